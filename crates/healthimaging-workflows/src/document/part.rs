//! A part of a document: down to a level, of one series or instance, of some attributes.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use healthimaging::{Error, Result, Uid};

use super::Object;
use super::attribute::Attribute;

/// How deep a document is shown.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "UPPERCASE")]
#[schemars(inline)]
#[expect(missing_docs, reason = "documented variants make a long schema, and the words say it")]
pub enum Level {
    Patient,
    Study,
    Series,
    Instance,
}

/// Which part of a document is wanted.
#[derive(Debug, Default)]
pub struct Part {
    /// Deepest level.
    pub level: Option<Level>,
    /// Attributes to keep; all, when empty.
    pub attributes: Vec<Attribute>,
    /// The one series to keep.
    pub series_instance_uid: Option<Uid>,
    /// The one instance to keep.
    pub sop_instance_uid: Option<Uid>,
}

impl Part {
    /// Whether nothing is cut.
    pub fn is_whole(&self) -> bool {
        self.level.is_none()
            && self.attributes.is_empty()
            && self.series_instance_uid.is_none()
            && self.sop_instance_uid.is_none()
    }

    /// Cuts a document down; a series or instance that is not there is `NotFound`.
    pub fn cut(&self, document: &mut Object) -> Result<()> {
        if let Some(wanted) = &self.series_instance_uid {
            keep_only(all_series(document), wanted, "the image set holds no series of that UID")?;
        }
        if let Some(wanted) = &self.sop_instance_uid {
            let missing = "the image set holds no instance of that UID";
            let series = all_series(document).ok_or_else(|| Error::not_found(missing))?;
            series.retain(|_, one| {
                instances(one).is_some_and(|all| all.contains_key(wanted.as_str()))
            });
            if series.is_empty() {
                return Err(Error::not_found(missing));
            }
            for one in series.values_mut() {
                keep_only(instances(one), wanted, missing)?;
            }
        }
        self.cut_levels(document);
        if !self.attributes.is_empty() {
            self.cut_attributes(document);
        }
        Ok(())
    }

    fn cut_levels(&self, document: &mut Object) {
        let level = self.level.unwrap_or(Level::Instance);
        if level < Level::Study {
            document.remove("Study");
        } else if level < Level::Series
            && let Some(Value::Object(study)) = document.get_mut("Study")
        {
            study.remove("Series");
        } else if level < Level::Instance
            && let Some(series) = all_series(document)
        {
            for one in series.values_mut() {
                if let Value::Object(one) = one {
                    one.remove("Instances");
                }
            }
        }
    }

    fn is_wanted(&self, key: &str) -> bool {
        self.attributes.iter().any(|wanted| wanted.is_named(key))
    }

    fn cut_attributes(&self, document: &mut Object) {
        for (name, inner) in document.iter_mut() {
            let Value::Object(inner) = inner else {
                continue;
            };
            if name == "DICOM" || name == "DICOMVRs" {
                inner.retain(|key, _| self.is_wanted(key));
            } else {
                self.cut_attributes(inner);
            }
        }
        if !self.is_wanted("ImageFrames") {
            document.remove("ImageFrames");
        }
        if document.get("DICOMVRs").is_some_and(|vrs| vrs.as_object().is_some_and(Object::is_empty))
        {
            document.remove("DICOMVRs");
        }
    }
}

fn keep_only(all: Option<&mut Object>, wanted: &Uid, missing: &'static str) -> Result<()> {
    let all = all.ok_or_else(|| Error::not_found(missing))?;
    all.retain(|uid, _| uid == wanted.as_str());
    if all.is_empty() { Err(Error::not_found(missing)) } else { Ok(()) }
}

fn all_series(document: &mut Object) -> Option<&mut Object> {
    document.get_mut("Study")?.get_mut("Series")?.as_object_mut()
}

fn instances(series: &mut Value) -> Option<&mut Object> {
    series.get_mut("Instances")?.as_object_mut()
}
