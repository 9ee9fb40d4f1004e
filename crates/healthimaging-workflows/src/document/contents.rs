//! What an image set holds, read without the attributes of its instances.

use std::collections::BTreeMap;
use std::fmt;

use schemars::JsonSchema;
use serde::de::{IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use healthimaging::{Error, ErrorKind, Result};

use super::Object;
use super::page::{LeftOut, shorten, size_of};
use crate::change::keyword_of_patient_or_study;

/// What an image set holds. What is missing in the document is empty here.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct Contents {
    patient: Patient,
    study: Study,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
struct Patient {
    #[serde(rename = "DICOM")]
    dicom: Object,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
struct Study {
    #[serde(rename = "DICOM")]
    dicom: Object,
    #[serde(rename = "Series")]
    series: BTreeMap<String, SeriesContents>,
}

/// What a series of an image set holds.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct SeriesContents {
    /// Attributes of the series, by keyword.
    #[serde(rename = "DICOM")]
    pub dicom: Object,
    /// Its instances, by SOP Instance UID.
    #[serde(rename = "Instances")]
    pub instances: BTreeMap<String, InstanceContents>,
}

/// What an instance of an image set holds.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct InstanceContents {
    #[serde(rename = "DICOM")]
    own: OwnValues,
    #[serde(rename = "ImageFrames")]
    frames: Option<Vec<IgnoredAny>>,
}

impl Contents {
    /// Reads them out of the text of a document.
    pub(super) fn read(text: &[u8]) -> Result<Self> {
        serde_json::from_slice(text).map_err(malformed)
    }

    /// The contents of a document that was read whole.
    pub(super) fn of(document: &Object) -> Result<Self> {
        Self::deserialize(document).map_err(malformed)
    }

    /// Patient ID (0010,0020), where there is one.
    pub fn patient_id(&self) -> Option<&str> {
        text(&self.patient.dicom, "PatientID")
    }

    /// Study Instance UID (0020,000D), where there is one.
    pub fn study_instance_uid(&self) -> Option<&str> {
        text(&self.study.dicom, "StudyInstanceUID")
    }

    /// Attributes of the patient, by keyword.
    pub fn patient(&self) -> &Object {
        &self.patient.dicom
    }

    /// Attributes of the study, by keyword.
    pub fn study(&self) -> &Object {
        &self.study.dicom
    }

    /// The series, by Series Instance UID.
    pub fn series(&self) -> &BTreeMap<String, SeriesContents> {
        &self.study.series
    }

    /// How many instances there are.
    pub fn instances(&self) -> usize {
        let series = self.study.series.values();
        series.map(|series| series.instances.len()).sum()
    }
}

impl SeriesContents {
    /// An attribute of the series that has one value of text.
    pub fn text(&self, keyword: &str) -> Option<&str> {
        text(&self.dicom, keyword)
    }
}

impl InstanceContents {
    /// Its value of an attribute of the patient or the study, where that is not the value of its image
    /// set.
    pub fn own(&self, keyword: &str) -> Option<&Value> {
        self.own.0.get(keyword)
    }

    /// How many frames it has.
    pub fn frames(&self) -> usize {
        self.frames.as_ref().map_or(0, Vec::len)
    }
}

/// Attributes of the patient and the study levels that an instance has otherwise than its image set;
/// its other attributes are not kept.
#[derive(Debug, Clone, Default)]
struct OwnValues(Object);

impl<'de> Deserialize<'de> for OwnValues {
    fn deserialize<D: Deserializer<'de>>(source: D) -> Result<Self, D::Error> {
        source.deserialize_map(OwnValuesVisitor)
    }
}

struct OwnValuesVisitor;

impl<'de> Visitor<'de> for OwnValuesVisitor {
    type Value = OwnValues;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the attributes of an instance")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut own = Object::new();
        while let Some(KeptKey(key)) = map.next_key()? {
            match key {
                Some(key) => _ = own.insert(key.to_owned(), map.next_value()?),
                None => _ = map.next_value::<IgnoredAny>()?,
            }
        }
        Ok(OwnValues(own))
    }
}

/// A keyword of the patient or study level; `None` for other keys.
struct KeptKey(Option<&'static str>);

impl<'de> Deserialize<'de> for KeptKey {
    fn deserialize<D: Deserializer<'de>>(source: D) -> Result<Self, D::Error> {
        struct Key;
        impl Visitor<'_> for Key {
            type Value = KeptKey;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a key")
            }

            fn visit_str<E>(self, key: &str) -> Result<KeptKey, E> {
                Ok(KeptKey(keyword_of_patient_or_study(key)))
            }
        }
        source.deserialize_str(Key)
    }
}

fn text<'a>(attributes: &'a Object, keyword: &str) -> Option<&'a str> {
    attributes.get(keyword)?.as_str().map(str::trim)
}

fn malformed(error: serde_json::Error) -> Error {
    let message = "the metadata is not a JSON object that describes an image set";
    Error::new(ErrorKind::Service, message).with_source(error)
}

/// A document in brief: whose it is, and how much of what it holds.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(inline)]
pub struct Outline {
    patient: Object,
    study: Object,
    series: Vec<SeriesOutline>,
    #[serde(skip_serializing_if = "Option::is_none")]
    series_left_out: Option<usize>,
}

impl Outline {
    /// Leaves out what does not fit `longest`, by what `size` says: the longest attributes, and the last
    /// series, which are counted.
    pub fn shorten(&mut self, longest: usize, size: &dyn Fn(&Value) -> usize) -> Vec<LeftOut> {
        let mut left_out = Vec::new();
        let mut levels = [("Patient", &mut self.patient), ("Study", &mut self.study)];
        let excess = levels.iter().map(|(_, level)| size_of(level, size)).sum::<usize>();
        shorten(&mut levels, excess.saturating_sub(longest / 2), size, &mut left_out);
        let mut room = longest / 2;
        let fits = |one: &&SeriesOutline| {
            let length = serde_json::to_value(one).map_or(usize::MAX, |value| size(&value) + 1);
            room = room.saturating_sub(length);
            room > 0
        };
        let fitting = self.series.iter().take_while(fits).count();
        let beyond = self.series.len() - fitting;
        self.series.truncate(fitting);
        self.series_left_out = (beyond > 0).then_some(beyond);
        left_out
    }
}

/// A series in brief.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(inline)]
struct SeriesOutline {
    series_instance_uid: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    modality: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    series_description: Option<String>,
    instances: usize,
    frames: usize,
}

impl From<&Contents> for Outline {
    fn from(contents: &Contents) -> Self {
        let series = contents.study.series.iter();
        Self {
            series: series
                .map(|(uid, one)| SeriesOutline {
                    series_instance_uid: uid.clone(),
                    modality: one.text("Modality").map(str::to_owned),
                    series_description: one.text("SeriesDescription").map(str::to_owned),
                    instances: one.instances.len(),
                    frames: one.instances.values().map(InstanceContents::frames).sum(),
                })
                .collect(),
            patient: contents.patient.dicom.clone(),
            study: contents.study.dicom.clone(),
            series_left_out: None,
        }
    }
}
