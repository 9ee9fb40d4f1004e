//! What an image set holds, read without the attributes of its instances.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};

use healthimaging::{Error, ErrorKind, Result};

use super::Object;

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
    /// How many frames it has.
    pub fn frames(&self) -> usize {
        self.frames.as_ref().map_or(0, Vec::len)
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
        }
    }
}
