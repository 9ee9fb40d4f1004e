//! What a store keeps beside the document, so that the instance comes back as it was.

use std::collections::{BTreeMap, BTreeSet};

use dicom_core::Tag;
use healthimaging::ImageFrameId;
use serde::{Deserialize, Serialize};

use super::dictionary;
use crate::read::PixelData;

/// Facts about an instance that the document has no place for.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct InstanceDetails {
    /// Path → VR, of elements whose VR is not the one that dictionary and document give.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub vrs: BTreeMap<String, String>,
    /// Path → bulk value; the document shows `null`.
    #[serde(rename = "apart", skip_serializing_if = "BTreeMap::is_empty")]
    pub bulk_data: BTreeMap<String, BulkValue>,
    /// Path → text as it was, where the document shows it without padding and a writer would not add
    /// that again.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub texts: BTreeMap<String, String>,
    /// Keywords of attributes that the image set has at the patient, study or series level and the
    /// instance does not.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub absent: BTreeSet<String>,
    /// The whole pixel data as received, for instances without separate frames.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pixel_blob: Option<ImageFrameId>,
    /// `PixelData`, `FloatPixelData` or `DoubleFloatPixelData`; `PixelData` when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pixel_element: Option<String>,
    /// VR of the pixel data in the file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pixel_vr: Option<String>,
    /// Bytes that `GetImageFrame` puts before each stored frame: what frames are shorter in a file than
    /// the document says.
    #[serde(skip_serializing_if = "is_zero")]
    pub frame_header: u64,
    /// Warning of the import (`PS3.3 §C.12.1.1`, `WarningReason` 0008,1196).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub warning_reason: Option<u16>,
}

impl InstanceDetails {
    /// Keeps which element held the pixels, and with which VR.
    pub fn keep_pixel_form(&mut self, pixels: &PixelData) {
        self.pixel_element = dictionary::keyword(pixels.tag).map(str::to_owned);
        self.pixel_vr = Some(pixels.vr.to_string().to_owned());
    }

    /// Forgets an element of the root and everything in it.
    pub(crate) fn forget(&mut self, tag: Tag) {
        let path = dictionary::hex(tag);
        let within = |known: &String| known.split('/').next() == Some(path.as_str());
        self.vrs.retain(|known, _| !within(known));
        self.texts.retain(|known, _| !within(known));
        self.bulk_data.retain(|known, _| !within(known));
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for it so")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// A value that is stored as bulk data, outside of the document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BulkValue {
    /// Id of the stored bytes.
    pub blob_id: ImageFrameId,
    /// Their number.
    pub length: u64,
    /// VR of the element.
    pub vr: String,
}
