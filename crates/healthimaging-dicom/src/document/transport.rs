//! The document as JSON, in the form and order that the service has used since 2025.

use std::collections::BTreeMap;
use std::io::Write;

use healthimaging::{DatastoreId, Error, ImageFrameId, ImageSetId, Result};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{
    Attributes, ChecksumType, Document, FrameChecksum, ImageFrame, Instance, InstanceDetails,
    Series,
};

impl Document {
    /// The document as the service sends it (before compression): higher levels in the order of their
    /// keys, instances in the order of `InstanceNumber`, their attributes in the order of the tags.
    pub fn to_json(
        &self,
        datastore_id: &DatastoreId,
        image_set_id: &ImageSetId,
    ) -> Result<Vec<u8>> {
        let mut json = Vec::new();
        self.write_json(datastore_id, image_set_id, &mut json)?;
        Ok(json)
    }

    /// As [`Self::to_json`], piece by piece.
    pub fn write_json(
        &self,
        datastore_id: &DatastoreId,
        image_set_id: &ImageSetId,
        to: impl Write,
    ) -> Result<()> {
        let document = DocumentOut {
            schema_version: "1.1",
            datastore_id,
            image_set_id,
            patient: PatientOut { dicom: Sorted(&self.patient) },
            study: StudyOut { dicom: Sorted(&self.study), series: SeriesOut(&self.series) },
        };
        serde_json::to_writer(to, &document)
            .map_err(|error| Error::internal("the metadata document could not be written", error))
    }

    /// Reads a document that [`Document::to_json`] wrote; `details` are by `SOPInstanceUID`.
    ///
    /// For documents of this program's own: nesting is not limited here.
    pub fn from_json(json: &[u8], mut details: BTreeMap<String, InstanceDetails>) -> Result<Self> {
        let mut source = serde_json::Deserializer::from_slice(json);
        source.disable_recursion_limit();
        let mut document = Self::deserialize(&mut source)
            .and_then(|document| source.end().map(|()| document))
            .map_err(|error| Error::internal("the stored metadata document is damaged", error))?;
        for series in document.series.values_mut() {
            for (sop_uid, instance) in &mut series.instances {
                instance.details = details.remove(sop_uid).unwrap_or_default();
            }
        }
        Ok(document)
    }

    /// What the document cannot express, by `SOPInstanceUID`.
    #[must_use]
    pub fn details(&self) -> BTreeMap<String, InstanceDetails> {
        let instances = self.series.values().flat_map(|series| &series.instances);
        instances.map(|(sop_uid, instance)| (sop_uid.clone(), instance.details.clone())).collect()
    }
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct DocumentOut<'a, S> {
    pub(super) schema_version: &'static str,
    #[serde(rename = "DatastoreID")]
    pub(super) datastore_id: &'a DatastoreId,
    #[serde(rename = "ImageSetID")]
    pub(super) image_set_id: &'a ImageSetId,
    pub(super) patient: PatientOut<'a>,
    pub(super) study: StudyOut<'a, S>,
}

#[derive(Serialize)]
pub(super) struct PatientOut<'a> {
    #[serde(rename = "DICOM")]
    pub(super) dicom: Sorted<'a>,
}

#[derive(Serialize)]
pub(super) struct StudyOut<'a, S> {
    #[serde(rename = "DICOM")]
    pub(super) dicom: Sorted<'a>,
    #[serde(rename = "Series")]
    pub(super) series: S,
}

/// A series, with its instances in a form of choice.
#[derive(Serialize)]
pub(super) struct OneSeries<'a, I> {
    #[serde(rename = "DICOM")]
    pub(super) dicom: Sorted<'a>,
    #[serde(rename = "Instances")]
    pub(super) instances: I,
}

struct SeriesOut<'a>(&'a BTreeMap<String, Series>);

impl Serialize for SeriesOut<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_map(self.0.iter().map(|(uid, series)| {
            let dicom = Sorted(&series.attributes);
            let instances = InstancesOut(series);
            (uid, OneSeries { dicom, instances })
        }))
    }
}

struct InstancesOut<'a>(&'a Series);

impl Serialize for InstancesOut<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let instances = self.0.in_order().into_iter();
        to.collect_map(instances.map(|(order, one)| (order.sop_uid, InstanceOut::from(one))))
    }
}

#[derive(Serialize)]
pub(super) struct InstanceOut<'a> {
    #[serde(rename = "DICOM")]
    dicom: &'a Attributes,
    #[serde(rename = "DICOMVRs")]
    vrs: &'a BTreeMap<String, String>,
    #[serde(rename = "StoredTransferSyntaxUID")]
    #[serde(skip_serializing_if = "Option::is_none")]
    stored_transfer_syntax: Option<&'a str>,
    #[serde(rename = "ChecksumType", skip_serializing_if = "Option::is_none")]
    checksum_type: Option<ChecksumType>,
    #[serde(rename = "ImageFrames")]
    frames: Vec<FrameJson>,
}

impl<'a> From<&'a Instance> for InstanceOut<'a> {
    fn from(instance: &'a Instance) -> Self {
        Self {
            dicom: &instance.attributes,
            vrs: &instance.vrs,
            stored_transfer_syntax: instance.stored_transfer_syntax.as_deref(),
            checksum_type: instance.checksum_type,
            frames: instance.frames.iter().map(FrameJson::from).collect(),
        }
    }
}

/// Attributes in the order of their keys.
pub(super) struct Sorted<'a>(pub(super) &'a Attributes);

impl Serialize for Sorted<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let sorted: BTreeMap<_, _> = self.0.iter().collect();
        sorted.serialize(to)
    }
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct InstanceIn {
    #[serde(rename = "DICOM")]
    dicom: Attributes,
    #[serde(rename = "DICOMVRs")]
    vrs: BTreeMap<String, String>,
    #[serde(rename = "StoredTransferSyntaxUID")]
    stored_transfer_syntax: Option<String>,
    #[serde(rename = "ChecksumType")]
    checksum_type: Option<ChecksumType>,
    #[serde(rename = "ImageFrames")]
    frames: Vec<FrameJson>,
}

impl<'de> Deserialize<'de> for Instance {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let read = InstanceIn::deserialize(from)?;
        Ok(Self {
            attributes: read.dicom,
            vrs: read.vrs,
            stored_transfer_syntax: read.stored_transfer_syntax,
            checksum_type: read.checksum_type,
            frames: read.frames.into_iter().map(ImageFrame::from).collect(),
            details: InstanceDetails::default(),
        })
    }
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct FrameJson {
    #[serde(rename = "ID")]
    id: ImageFrameId,
    #[serde(default)]
    pixel_data_checksum_from_base_to_full_resolution: Vec<ChecksumJson>,
    min_pixel_value: Option<i64>,
    max_pixel_value: Option<i64>,
    #[serde(default)]
    frame_size_in_bytes: u64,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ChecksumJson {
    width: u32,
    height: u32,
    checksum: u32,
}

impl From<&ImageFrame> for FrameJson {
    fn from(frame: &ImageFrame) -> Self {
        let checksums = frame.checksums.iter().map(|checksum| ChecksumJson {
            width: checksum.width,
            height: checksum.height,
            checksum: checksum.checksum,
        });
        Self {
            id: frame.id.clone(),
            pixel_data_checksum_from_base_to_full_resolution: checksums.collect(),
            min_pixel_value: frame.min,
            max_pixel_value: frame.max,
            frame_size_in_bytes: frame.size,
        }
    }
}

impl From<FrameJson> for ImageFrame {
    fn from(frame: FrameJson) -> Self {
        let checksums = frame.pixel_data_checksum_from_base_to_full_resolution;
        let checksums = checksums.into_iter().map(|checksum| FrameChecksum {
            width: checksum.width,
            height: checksum.height,
            checksum: checksum.checksum,
        });
        Self {
            id: frame.id,
            checksums: checksums.collect(),
            min: frame.min_pixel_value,
            max: frame.max_pixel_value,
            size: frame.frame_size_in_bytes,
        }
    }
}
