//! What a tool would do, found out by reading only.

use std::collections::BTreeSet;

use serde::Serialize;
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use healthimaging::{DatastoreId, Error, ImageSetId, Result, VersionId};

use crate::change::Change;

/// Most entries of a list that a plan shows; all of them count for its fingerprint.
const SHOWN: usize = 100;

/// What would be done: what, how many, whose.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Plan {
    /// What would be done, in a sentence without patient data.
    pub action: String,
    /// In which data store.
    pub datastore_id: DatastoreId,
    /// What would be changed or erased, each in the version that was seen.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub image_sets: Vec<PlannedImageSet>,
    /// Whose images they are: Patient ID (0010,0020).
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub patient_ids: BTreeSet<String>,
    /// Study Instance UID (0020,000D) of the studies they belong to.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub study_instance_uids: BTreeSet<String>,
    /// What to know before agreeing.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
    /// How it would be done, where a job does it.
    #[serde(skip)]
    pub change: Option<Change>,
}

/// An image set in the version that was seen when the plan was made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PlannedImageSet {
    /// Which one.
    pub image_set_id: ImageSetId,
    /// Its latest version.
    pub version_id: VersionId,
    /// How many instances it holds, where that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instances: Option<usize>,
    /// What would be done to it, where the plan does several things.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub action: Option<&'static str>,
}

impl Plan {
    /// A plan that names nothing yet.
    pub fn new(action: impl Into<String>, datastore_id: DatastoreId) -> Self {
        Self {
            action: action.into(),
            datastore_id,
            image_sets: Vec::new(),
            patient_ids: BTreeSet::new(),
            study_instance_uids: BTreeSet::new(),
            notes: Vec::new(),
            change: None,
        }
    }

    /// SHA-256 of the plan: two plans with the same one are the same.
    pub fn fingerprint(&self) -> Result<String> {
        let value = serde_json::to_value((self, &self.change)).map_err(unwritable)?;
        Ok(fingerprint(&value))
    }

    /// The plan as it is shown: long lists are cut, and counted.
    pub fn shown(&self) -> Result<Map<String, Value>> {
        let Value::Object(mut shown) = serde_json::to_value(self).map_err(unwritable)? else {
            return Err(unwritable("not an object"));
        };
        let lists = ["image_sets", "patient_ids", "study_instance_uids"];
        for name in lists {
            let Some(Value::Array(list)) = shown.get_mut(name) else {
                continue;
            };
            let total = list.len();
            list.truncate(SHOWN);
            shown.insert(format!("{name}_total"), json!(total));
        }
        let instances: Option<usize> = self.image_sets.iter().map(|set| set.instances).sum();
        if let Some(instances) = instances.filter(|_| !self.image_sets.is_empty()) {
            shown.insert("instances_total".to_owned(), json!(instances));
        }
        Ok(shown)
    }

    /// The question to a person, with the ids that the decision needs.
    pub fn question(&self) -> String {
        const ASKED: usize = 10;
        let mut lines = vec![format!("Agree to {}?", self.action)];
        let lists: [(&str, Vec<&str>); 3] = [
            ("Image sets", self.image_sets.iter().map(|set| set.image_set_id.as_str()).collect()),
            ("Patient IDs", self.patient_ids.iter().map(String::as_str).collect()),
            ("Studies", self.study_instance_uids.iter().map(String::as_str).collect()),
        ];
        for (name, ids) in lists {
            if ids.is_empty() {
                continue;
            }
            let shown: Vec<String> = ids.iter().take(ASKED).map(|id| quoted(id)).collect();
            let more = match ids.len().saturating_sub(ASKED) {
                0 => String::new(),
                more => format!(" and {more} more"),
            };
            lines.push(format!("{name} ({}): {}{more}", ids.len(), shown.join(", ")));
        }
        lines.extend(self.notes.iter().cloned());
        lines.join("\n")
    }
}

fn unwritable(cause: impl Into<healthimaging::Source>) -> Error {
    Error::internal("the plan could not be written as JSON", cause)
}

/// Text out of a DICOM file, so that it cannot pass for a sentence of ours.
fn quoted(text: &str) -> String {
    const LONGEST: usize = 64;
    let plain: String =
        text.chars().filter(|c| !c.is_control() && *c != '"').take(LONGEST).collect();
    format!("\"{plain}\"")
}

/// SHA-256 of a value, whatever the order of its keys; lower-case hexadecimal.
pub fn fingerprint(value: &Value) -> String {
    let mut digest = Sha256::new();
    write_sorted(value, &mut digest);
    hexadecimal(&digest.finalize())
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        use std::fmt::Write as _;
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn write_sorted(value: &Value, digest: &mut Sha256) {
    match value {
        Value::Object(object) => {
            digest.update(b"{");
            let mut entries: Vec<_> = object.iter().collect();
            entries.sort_by_key(|(key, _)| *key);
            for (key, inner) in entries {
                digest.update(Value::from(key.as_str()).to_string());
                digest.update(b":");
                write_sorted(inner, digest);
                digest.update(b",");
            }
            digest.update(b"}");
        }
        Value::Array(items) => {
            digest.update(b"[");
            for inner in items {
                write_sorted(inner, digest);
                digest.update(b",");
            }
            digest.update(b"]");
        }
        scalar => digest.update(scalar.to_string()),
    }
}
