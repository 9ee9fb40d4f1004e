//! Checking a certificate later: its signature, and whether what was erased has come back.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use chrono::Utc;
use healthimaging::model::{GetImageSetRequest, ImageSetState};
use healthimaging::{Error, ErrorKind, HealthImaging, ImageSetId, Result, Timestamp};
use healthimaging_audit::{FOLDER as AUDIT, Keys, verify_signature};
use serde::Serialize;
use serde_json::Value;

use super::scan::StoreScan;
use super::search::{Event, Search};
use super::search_job::{self, SearchJobs};
use super::{Certificate, FORMAT, KIND};

/// Most image sets that are asked for.
const ASKED: usize = 1000;

/// What is checked, and how.
#[derive(Debug, Clone)]
pub struct Request {
    /// The certificate.
    pub text: String,
    /// The data folder whose key signed it.
    pub data_folder: PathBuf,
    /// The back end that is open.
    pub back_end: String,
    /// Values that are looked for as bytes too.
    pub values: Vec<String>,
    /// Whether all files of the data folder are read.
    pub full: bool,
}

/// How a search was made.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Check {
    /// What was searched, and by what, in sentences.
    pub method: Vec<String>,
    /// Number of digests that were looked for.
    pub digests: usize,
    /// Number of given values that the certificate is about, and that were looked for as bytes.
    pub values_as_bytes: usize,
    /// Number of given values that the certificate is not about.
    pub values_not_of_certificate: usize,
    /// Strings, frames and files.
    pub pieces: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Packs among them that an earlier process read, which was interrupted, and that have not changed since.
    pub packs_read_before: u64,
    /// Files that could not be read.
    pub unread: Vec<String>,
}

/// What a check found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Verification {
    /// When it ended.
    pub checked_at: Timestamp,
    /// Image sets of the certificate that the back end has again, or still.
    pub image_sets_there: Vec<ImageSetId>,
    /// Image sets that were asked for.
    pub image_sets_asked: usize,
    /// Image sets that hold what was erased, with the number of identifiers.
    pub found_in_image_sets: BTreeMap<ImageSetId, usize>,
    /// Other places, with the number of identifiers.
    pub found_elsewhere: BTreeMap<String, usize>,
    /// How the store was searched; `None` if it was not.
    pub search: Option<Check>,
    /// Why the store was not searched.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub not_searched: Option<NotSearched>,
}

/// Why a store was not searched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum NotSearched {
    /// Its storage is that of the service.
    OfService,
    /// The certificate has no identifiers: other image sets of the same folder, such as those of another data store, had
    /// all of them when it was made.
    NoIdentifiers,
}

impl Verification {
    /// Whether nothing of what was erased was found, as far as a search of the store is possible.
    pub fn is_clean(&self) -> bool {
        self.not_searched != Some(NotSearched::NoIdentifiers)
            && self.image_sets_there.is_empty()
            && self.found_in_image_sets.is_empty()
            && self.found_elsewhere.is_empty()
            && self.search.as_ref().is_none_or(|search| search.unread.is_empty())
    }
}

/// Reads a certificate and checks its signature.
///
/// # Errors
///
/// `Validation` if it is no certificate, is altered, or was signed by the key of another store.
pub(super) fn signed(text: &str, data_folder: &Path) -> Result<(Certificate, Arc<Keys>)> {
    let invalid = |why: &str| Error::validation(why.to_owned());
    let document: Value = serde_json::from_str(text)
        .map_err(|_| invalid("the file is not a certificate: it is not JSON"))?;
    if document.get("kind").and_then(Value::as_str) != Some(KIND) {
        return Err(invalid("the file is not a certificate of erasure"));
    }
    if document.get("format").and_then(Value::as_u64).is_none_or(|format| format > FORMAT) {
        return Err(invalid("the certificate was made by a newer release; use that one"));
    }
    let keys = Keys::read(&data_folder.join(AUDIT)).map_err(|cause| {
        let message =
            format!("the key of the audit log, which signs certificates, cannot be read ({cause})");
        Error::validation(message).with_source(cause)
    })?;
    let of = |name: &str| document.get(name).and_then(Value::as_str).unwrap_or_default();
    if !verify_signature(of("public_key"), &Certificate::signed_text(&document), of("signature")) {
        return Err(invalid(
            "the certificate is altered: its signature does not match its content",
        ));
    }
    if of("public_key") != keys.public_key() {
        return Err(invalid(
            "the certificate was signed by the key of another store; check --data-dir",
        ));
    }
    let certificate = serde_json::from_value(document)
        .map_err(|cause| invalid("the certificate is damaged").with_source(cause))?;
    Ok((certificate, Arc::new(keys)))
}

/// Checks a certificate: its signature, the image sets that it lists, and, where the disk of the store can be searched, every
/// string and frame. `progress` is called as the search goes on, and ends it.
///
/// With `jobs`, a full search is a job: what it has read is durable, and the next call with the same certificate and values
/// continues after an interruption, in this or another process.
///
/// # Errors
///
/// `Validation` if the certificate is altered or of another store or back end, `Conflict` if `progress` ended the search.
pub async fn verify(
    request: Request,
    service: &dyn HealthImaging,
    scan: Option<Arc<dyn StoreScan>>,
    jobs: Option<SearchJobs>,
    progress: impl FnMut(Event) -> ControlFlow<()> + Send + 'static,
) -> Result<(Certificate, Verification)> {
    let (certificate, keys) = signed(&request.text, &request.data_folder)?;
    if certificate.back_end != request.back_end {
        return Err(Error::validation(format!(
            "the certificate is about the back end {}, and the open one is {}; check --backend, --region and \
             --endpoint-url",
            certificate.back_end, request.back_end
        )));
    }
    let deleted = certificate.image_sets.iter().filter(|set| set.versions.is_some());
    let asked: Vec<ImageSetId> = deleted.map(|set| set.image_set_id.clone()).take(ASKED).collect();
    let mut there = Vec::new();
    if let Some(datastore_id) = certificate.datastore_id() {
        for image_set_id in &asked {
            let request = GetImageSetRequest {
                datastore_id: datastore_id.clone(),
                image_set_id: image_set_id.clone(),
                version_id: None,
            };
            match service.get_image_set(request).await {
                Ok(found) if found.properties.image_set_state == ImageSetState::Deleted => {}
                Ok(_) => there.push(image_set_id.clone()),
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
    }
    let digests = certificate.identifiers.read().ok_or_else(|| {
        Error::validation("the certificate is damaged: it has a digest that is none")
    })?;
    let mut verification = Verification {
        checked_at: Utc::now(),
        image_sets_there: there,
        image_sets_asked: asked.len(),
        found_in_image_sets: BTreeMap::new(),
        found_elsewhere: BTreeMap::new(),
        search: None,
        not_searched: match &scan {
            None => Some(NotSearched::OfService),
            Some(_) => digests.is_empty().then_some(NotSearched::NoIdentifiers),
        },
    };
    if let Some(scan) = scan.filter(|_| !digests.is_empty()) {
        let jobs = jobs.filter(|_| request.full);
        let search = Search { request, digests, keys, scan };
        let (findings, check) =
            search_job::run(jobs, &certificate, search, Box::new(progress)).await?;
        let held: BTreeSet<u32> = findings.held.values().flatten().copied().collect();
        let count = |found: BTreeSet<u32>| found.len();
        let places = findings.elsewhere.into_iter().filter_map(|(place, found)| {
            let found = found.difference(&held).count();
            (found > 0).then_some((place, found))
        });
        verification.found_elsewhere = places.collect();
        verification.found_in_image_sets =
            findings.held.into_iter().map(|(id, found)| (id, count(found))).collect();
        verification.search = Some(check);
        verification.checked_at = Utc::now();
    }
    Ok((certificate, verification))
}
