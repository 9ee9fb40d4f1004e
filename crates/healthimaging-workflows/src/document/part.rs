//! A part of a document: down to a level, of one series or instance, of some attributes.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use healthimaging::{Error, Result, Uid};
use healthimaging_dicom::{Document, DocumentText, InstanceText, Series};

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

    /// Takes the part out of a document; a series or instance that is not there is `NotFound`.
    pub(super) fn cut(&self, document: &DocumentText) -> Result<Object> {
        let levels = document.levels();
        let chosen = self.chosen(levels)?;
        let level = self.deepest();
        let mut cut = document.identity().clone();
        cut.insert("Patient".to_owned(), json!({ "DICOM": self.kept(&levels.patient) }));
        if level == Level::Patient {
            return Ok(cut);
        }
        let mut study = json!({ "DICOM": self.kept(&levels.study) });
        if level >= Level::Series {
            let mut all = Object::new();
            for (uid, series, instances) in chosen {
                let mut one = json!({ "DICOM": self.kept(&series.attributes) });
                if level == Level::Instance {
                    let parsed = instances.into_iter().map(|(uid, text)| {
                        Ok((uid.clone(), Value::Object(self.kept_of_instance(text.parse()?))))
                    });
                    one["Instances"] = Value::Object(parsed.collect::<Result<_>>()?);
                }
                all.insert(uid.clone(), one);
            }
            study["Series"] = Value::Object(all);
        }
        cut.insert("Study".to_owned(), study);
        Ok(cut)
    }

    /// Length of the text that [`Self::cut`] parses, in bytes.
    pub(super) fn text_length(&self, document: &DocumentText) -> usize {
        if self.deepest() < Level::Instance {
            return 0;
        }
        let chosen = self.chosen(document.levels()).into_iter().flatten();
        let instances = chosen.flat_map(|(_, _, instances)| instances);
        instances.map(|(_, text)| text.text().len()).sum()
    }

    fn deepest(&self) -> Level {
        self.level.unwrap_or(Level::Instance)
    }

    /// The series to keep, each with its instances to keep, in the order of the document.
    fn chosen<'a>(&self, levels: &'a Document<InstanceText>) -> Result<Vec<Chosen<'a>>> {
        let is = |wanted: &Option<Uid>, uid: &str| {
            wanted.as_ref().is_none_or(|wanted| wanted.as_str() == uid)
        };
        let series = levels.series.iter().filter(|(uid, _)| is(&self.series_instance_uid, uid));
        let mut chosen: Vec<Chosen<'_>> = series
            .map(|(uid, series)| {
                let instances = series.instances.iter();
                let instances = instances.filter(|(uid, _)| is(&self.sop_instance_uid, uid));
                let mut instances: Vec<_> = instances.collect();
                instances.sort_by_key(|(_, text)| text.text().as_ptr().addr());
                (uid, series, instances)
            })
            .collect();
        let missing = |what| Error::not_found(format!("the image set holds no {what} of that UID"));
        if chosen.is_empty() && self.series_instance_uid.is_some() {
            return Err(missing("series"));
        }
        if self.sop_instance_uid.is_some() {
            chosen.retain(|(_, _, instances)| !instances.is_empty());
            if chosen.is_empty() {
                return Err(missing("instance"));
            }
        }
        Ok(chosen)
    }

    fn is_wanted(&self, key: &str) -> bool {
        self.attributes.is_empty() || self.attributes.iter().any(|wanted| wanted.is_named(key))
    }

    fn kept(&self, attributes: &Object) -> Object {
        let kept = attributes.iter().filter(|(key, _)| self.is_wanted(key));
        kept.map(|(key, value)| (key.clone(), value.clone())).collect()
    }

    fn kept_of_instance(&self, mut instance: Object) -> Object {
        if self.attributes.is_empty() {
            return instance;
        }
        for name in ["DICOM", "DICOMVRs"] {
            if self.attributes.iter().any(|wanted| wanted.is_named(name)) {
                continue;
            }
            if let Some(Value::Object(attributes)) = instance.get_mut(name) {
                attributes.retain(|key, _| self.is_wanted(key));
            }
        }
        instance.retain(|name, value| match name.as_str() {
            "ImageFrames" => self.is_wanted(name),
            "DICOMVRs" => value.as_object().is_none_or(|vrs| !vrs.is_empty()),
            _ => true,
        });
        instance
    }
}

/// A series, and instances of it.
type Chosen<'a> = (&'a String, &'a Series<InstanceText>, Vec<(&'a String, &'a InstanceText)>);
