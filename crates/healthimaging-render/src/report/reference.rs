//! References to other instances.

use std::collections::HashMap;
use std::fmt;

use serde::Serialize;

use super::json::{DataSet, items, text, texts};

const SERIES_INSTANCE_UID: &str = "0020000E";
const SOP_INSTANCE_UID: &str = "00081155";

/// A reference to an instance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Reference {
    /// Referenced SOP Class UID.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sop_class_uid: Option<String>,
    /// Referenced SOP Instance UID.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sop_instance_uid: Option<String>,
    /// Series of the instance, if the object names it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub series_instance_uid: Option<String>,
    /// Study of the instance, if the object names it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub study_instance_uid: Option<String>,
    /// Numbers of frames; all if empty.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub frames: Vec<String>,
    /// Numbers of segments.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub segments: Vec<String>,
}

impl Reference {
    /// Reads an item of a sequence of references.
    pub(super) fn of(referred: &DataSet, evidence: &Evidence) -> Self {
        let sop_instance_uid = text(referred, SOP_INSTANCE_UID);
        let owner = sop_instance_uid.as_ref().and_then(|uid| evidence.0.get(uid)).cloned();
        let (study_instance_uid, series_instance_uid) = owner.unwrap_or_default();
        let numbers = |tag| texts(referred, tag).map(Into::into).collect();
        Self {
            sop_class_uid: text(referred, "00081150"),
            sop_instance_uid,
            series_instance_uid,
            study_instance_uid,
            frames: numbers("00081160"),
            segments: numbers("0062000B"),
        }
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.sop_instance_uid.as_deref().unwrap_or("an instance without a UID"))?;
        for (noun, numbers) in [("frames", &self.frames), ("segments", &self.segments)] {
            if !numbers.is_empty() {
                write!(f, " {noun} {}", numbers.join(", "))?;
            }
        }
        match &self.series_instance_uid {
            Some(series) => write!(f, " of series {series}"),
            None => Ok(()),
        }
    }
}

/// Study and series of the instances that an object names as its evidence (PS3.3 §C.17.2): SOP Instance UID → both.
#[derive(Debug, Default)]
pub(super) struct Evidence(HashMap<String, (Option<String>, Option<String>)>);

impl Evidence {
    pub(super) fn of(data_set: &DataSet) -> Self {
        let mut found = HashMap::new();
        let studies = ["0040A375", "0040A385"].iter().flat_map(|tag| items(data_set, tag));
        for study in studies {
            for series in items(study, "00081115") {
                let owner = (text(study, "0020000D"), text(series, SERIES_INSTANCE_UID));
                for instance in items(series, "00081199") {
                    found.extend(text(instance, SOP_INSTANCE_UID).map(|uid| (uid, owner.clone())));
                }
            }
        }
        Self(found)
    }

    /// The images of a presentation state (PS3.3 §C.11.11).
    pub(super) fn of_series(data_set: &DataSet) -> Self {
        let mut found = HashMap::new();
        for series in items(data_set, "00081115") {
            let owner = (text(data_set, "0020000D"), text(series, SERIES_INSTANCE_UID));
            for image in items(series, "00081140") {
                found.extend(text(image, SOP_INSTANCE_UID).map(|uid| (uid, owner.clone())));
            }
        }
        Self(found)
    }
}
