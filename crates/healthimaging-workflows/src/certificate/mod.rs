//! Certificates of erasure: what a deletion erased, what a search and a scan of the store found afterwards, signed.
//!
//! A certificate has no value of a patient: identifiers are keyed digests, by which a later check finds them again. It is
//! made once for a job, after the deletion is durable, by whichever process ends the job.

mod files;
mod folder;
mod identifiers;
mod make;
mod matcher;
mod page;
mod read_packs;
mod scan;
mod search;
mod search_job;
mod statement;
mod strings;
mod verification;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use healthimaging::{DatastoreId, ImageSetId, JobId, Timestamp};
use healthimaging_audit::{Actor, Keys, os_user};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

pub use files::{list, read};
pub use identifiers::ListedDigests;
pub(crate) use make::{begin, finish};
pub use page::page;
pub use scan::{Piece, Place, StoreScan, Visit};
pub use search::Event;
pub use search_job::SearchJobs;
pub use verification::{Check, NotSearched, Request, Verification, verify};

/// What a file is that has this member `kind`.
const KIND: &str = "healthimaging erasure certificate";
/// The form of certificates that this program writes.
const FORMAT: u64 = 1;

/// Tools that end with a certificate.
const CERTIFYING: [&str; 3] = ["delete_patient_studies", "delete_study", "bulk_delete_by_criteria"];

/// How certificates are made by a process.
#[derive(Debug, Clone, Default)]
pub struct Certifying {
    /// The back end: `local`, or `aws:` with region and endpoint.
    pub back_end: String,
    /// The disk of the store, if this program can search it.
    pub scan: Option<Arc<dyn StoreScan>>,
}

/// What a job has to know to end with a certificate. Nothing of it is patient data.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Certify {
    /// The tool that planned the deletion.
    pub tool: String,
    /// When the plan was agreed to.
    pub agreed_at: Timestamp,
    /// How the plan was agreed to, and by whom, as the audit log has it.
    pub consent: BTreeMap<String, String>,
    /// What the server does not reach, in sentences; paths are digests.
    #[serde(default)]
    pub not_reached: Vec<String>,
}

/// The digest of a path or a value in texts of a certificate: that of the audit log.
pub fn digest(data_folder: &Path, value: &str) -> String {
    Keys::of_data_folder(data_folder)
        .map_or_else(|_| "(withheld)".to_owned(), |keys| keys.digest(value))
}

impl Certify {
    /// Whether a tool ends with a certificate.
    pub fn is_due(tool: &str) -> bool {
        CERTIFYING.contains(&tool)
    }

    /// What a job of this tool has to know; `None` if the tool does not end with a certificate. The consent is that of the
    /// current task.
    pub fn of(tool: &str, not_reached: Vec<String>) -> Option<Self> {
        if !Self::is_due(tool) {
            return None;
        }
        let actor = Actor::current();
        let members = [
            ("agreed", actor.agreed.map(str::to_owned)),
            ("user", Some(os_user().to_owned())),
            ("door", actor.door.map(str::to_owned)),
            ("credential", actor.credential),
            ("client", actor.client),
            ("client_version", actor.client_version),
            ("session", actor.session),
            ("request_id", actor.request_id),
        ];
        let consent = members
            .into_iter()
            .filter_map(|(name, value)| Some((name.to_owned(), value?)))
            .collect();
        Some(Self { tool: tool.to_owned(), agreed_at: chrono::Utc::now(), consent, not_reached })
    }
}

/// What became of a deletion.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Everything that was planned is deleted, and nothing of it was found.
    Erased,
    /// Everything that was planned is deleted; identifiers of it were found in other places, which are named.
    ErasedTracesRemain,
    /// A part was not deleted.
    NotComplete,
}

/// A certificate. Its members are documented in docs/audit.md.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Certificate {
    /// "healthimaging erasure certificate".
    pub kind: String,
    /// The form of the document: 1.
    pub format: u64,
    /// Its id: that of the job.
    pub certificate_id: JobId,
    /// When it was made.
    pub made_at: Timestamp,
    /// The program and its version.
    pub software: String,
    /// The back end.
    pub back_end: String,
    /// What became of the deletion.
    pub verdict: Verdict,
    /// The same in a sentence.
    pub summary: String,
    /// What was to be erased: tool, data store, and what selected the image sets, as digests.
    pub scope: Map<String, Value>,
    /// When the plan was agreed to.
    pub agreed_at: Timestamp,
    /// How it was agreed to, and by whom.
    pub consent: BTreeMap<String, String>,
    /// Numbers of what was erased.
    pub counts: BTreeMap<String, u64>,
    /// The image sets, with what became of each.
    pub image_sets: Vec<CertifiedImageSet>,
    /// Image sets that are not listed.
    pub image_sets_not_listed: u64,
    /// The search after the deletion.
    pub search: Map<String, Value>,
    /// The scan of the store, or why there was none.
    pub scan: Map<String, Value>,
    /// What this server does not reach.
    pub not_reached: Vec<String>,
    /// Digests of what was erased.
    pub identifiers: ListedDigests,
    /// The key that verifies the signature: Ed25519, hexadecimal.
    pub public_key: String,
    /// Signature of everything else.
    pub signature: String,
}

/// An image set that was to be erased.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CertifiedImageSet {
    /// Its id.
    pub image_set_id: ImageSetId,
    /// `deleted`, `older_versions_deleted`, `failed` or `not_done`.
    pub outcome: String,
    /// Number of its versions that were deleted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub versions: Option<u64>,
    /// Number of its instances, if the plan had it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instances: Option<usize>,
    /// The image set that has its latest version, if only older versions were deleted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replaced_by: Option<String>,
    /// The type of the error.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

impl Certificate {
    /// The text that is signed: a line with the kind, then the JSON without its member `signature` and without white space.
    fn signed_text(document: &Value) -> String {
        let mut document = document.clone();
        if let Value::Object(members) = &mut document {
            members.shift_remove("signature");
        }
        format!("{KIND}\n{document}")
    }

    /// Signs it.
    fn signed(mut self, keys: &Keys) -> serde_json::Result<Self> {
        self.public_key = keys.public_key();
        let text = Self::signed_text(&serde_json::to_value(&self)?);
        self.signature = keys.sign(&text);
        Ok(self)
    }

    /// What a report and an answer show of it.
    pub fn short(&self) -> Value {
        json!({
            "certificate_id": self.certificate_id,
            "verdict": self.verdict,
            "summary": self.summary,
            "made_at": self.made_at,
            "file": format!("{}/{}", files::FOLDER, files::name(&self.certificate_id)),
        })
    }

    /// The data store in its scope.
    fn datastore_id(&self) -> Option<DatastoreId> {
        DatastoreId::try_from(self.scope.get("datastore_id")?.as_str()?.to_owned()).ok()
    }
}
