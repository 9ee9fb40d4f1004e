//! The attributes of an instance in the DICOM JSON Model (PS3.18 Annex F): those that pictures depend on are read, and
//! all others skipped.

use std::borrow::Cow;
use std::fmt;

use healthimaging::{Error, Result};
use healthimaging_dicom::key_of_json;
use healthimaging_image::{PixelDescription, number_of_frames};
use healthimaging_pixels::FrameShape;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::Value;

use crate::attributes::{Attributes, Object, integers, number};
use crate::lower::least;
use crate::options::RenderOptions;

/// Member of a name whose value is the name (PS3.18 §F.2.2).
const ALPHABETIC: &str = "Alphabetic";

/// Attributes beside those of the groups of pixels (0028) and overlays (60xx).
const RELEVANT: &[&str] = &[
    "00080016", // SOP Class UID
    "00080018", // SOP Instance UID
    "00080020", // Study Date
    "00080060", // Modality
    "0008103E", // Series Description
    "00081196", // Warning Reason
    "00089205", // Pixel Presentation
    "00100010", // Patient's Name
    "00100020", // Patient ID
    "00100030", // Patient's Birth Date
    "00100040", // Patient's Sex
    "00180050", // Slice Thickness
    "00180060", // KVP
    "00180080", // Repetition Time
    "00180081", // Echo Time
    "00181164", // Imager Pixel Spacing
    "00182010", // Nominal Scanned Pixel Spacing
    "00200011", // Series Number
    "00200013", // Instance Number
    "00201041", // Slice Location
    "20500020", // Presentation LUT Shape
    "3004000E", // Dose Grid Scaling
    "52009229", // Shared Functional Groups Sequence
    "52009230", // Per-Frame Functional Groups Sequence
];

/// Warnings of pixel data that was kept as received because it could not be transcoded: a back end returns all of it as
/// one frame.
const KEPT_WHOLE: [i64; 2] = [0xB100, 0xB120];

/// The attributes of an instance that pictures depend on.
#[derive(Debug)]
pub struct InstanceAttributes(Attributes);

impl InstanceAttributes {
    /// Reads the first data set of an array of them in the DICOM JSON Model.
    ///
    /// # Errors
    /// `Internal` when the text is not such an array, or has no data set.
    pub fn from_dicom_json(json: &[u8]) -> Result<Self> {
        let unreadable = |error| Error::internal("the DICOM JSON of an instance is invalid", error);
        let mut reader = serde_json::Deserializer::from_slice(json);
        let own = reader.deserialize_seq(FirstDataSet).map_err(unreadable)?;
        let above = [Object::new(), Object::new(), Object::new()];
        Ok(Self(Attributes { own, above }))
    }

    pub(crate) fn attributes(&self) -> &Attributes {
        &self.0
    }

    /// Returns whether the attributes describe pixels.
    #[must_use]
    pub fn has_pixels(&self) -> bool {
        PixelDescription::of(&self.0).is_ok()
    }

    /// Number of Frames (0028,0008), 1 where it is absent or not usable.
    #[must_use]
    pub fn number_of_frames(&self) -> usize {
        usize::try_from(number_of_frames(&self.0)).unwrap_or(1).max(1)
    }

    /// The number, from 1, of the frame that stands for all of them: Representative Frame Number (0028,6010), or else
    /// the middle one.
    #[must_use]
    pub fn representative_frame(&self) -> usize {
        let count = self.number_of_frames();
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "other numbers are not in the range"
        )]
        let named = number(&self.0.own, "RepresentativeFrameNumber").map(|named| named as usize);
        named.filter(|named| (1..=count).contains(named)).unwrap_or(count.div_ceil(2))
    }

    /// Returns whether the pixel data was kept as received, and is returned as one frame.
    #[must_use]
    pub fn is_kept_whole(&self) -> bool {
        integers(&self.0.own, "WarningReason").iter().any(|reason| KEPT_WHOLE.contains(reason))
    }

    /// Returns whether decoded samples mean what the attributes say, regardless of the decoder: samples of gray and palette
    /// images do. Of color, only a stream says what a decoder makes of it.
    #[must_use]
    pub fn is_decoded_alike(&self) -> bool {
        PixelDescription::of(&self.0).is_ok_and(|described| {
            described.samples_per_pixel == 1
                || matches!(described.photometric.as_str(), "RGB" | "YBR_FULL")
        })
    }

    /// Rows and columns that are enough for the picture of a frame, counted from 0, if it may be made of a lower resolution.
    #[must_use]
    pub fn enough(&self, index: usize, options: &RenderOptions) -> Option<(u32, u32)> {
        let described = PixelDescription::of(&self.0).ok()?;
        least(&self.0, index, &described, options)
    }

    /// Bytes of memory that rendering a frame takes, about: as stored, decoded and as a picture. 0 where the
    /// attributes do not describe it.
    #[must_use]
    pub fn memory(&self) -> u64 {
        let described = PixelDescription::of(&self.0);
        let length = described.map_or(0, |described| FrameShape::from(&described).byte_length());
        length.saturating_mul(3)
    }
}

/// Returns whether pictures depend on an attribute.
fn is_relevant(tag: &str) -> bool {
    let is_overlay = || tag.get(2..4).is_some_and(|group| u8::from_str_radix(group, 16).is_ok());
    tag.starts_with("0028")
        || (tag.starts_with("60") && is_overlay())
        || RELEVANT.iter().any(|relevant| tag.eq_ignore_ascii_case(relevant))
}

/// Reads an array of data sets, of which only the first counts.
struct FirstDataSet;

impl<'de> Visitor<'de> for FirstDataSet {
    type Value = Object;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array with a data set")
    }

    fn visit_seq<A: SeqAccess<'de>>(
        self,
        mut data_sets: A,
    ) -> std::result::Result<Object, A::Error> {
        let first = data_sets.next_element_seed(DataSet)?;
        while data_sets.next_element::<IgnoredAny>()?.is_some() {}
        match first {
            Some(Value::Object(first)) => Ok(first),
            _ => Err(serde::de::Error::invalid_length(0, &self)),
        }
    }
}

/// Reads a data set, or one of the values of an attribute.
struct DataSet;

impl<'de> DeserializeSeed<'de> for DataSet {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> std::result::Result<Value, D::Error> {
        from.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for DataSet {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a data set or a value")
    }

    fn visit_unit<E>(self) -> std::result::Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> std::result::Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, number: i64) -> std::result::Result<Value, E> {
        Ok(number.into())
    }

    fn visit_u64<E>(self, number: u64) -> std::result::Result<Value, E> {
        Ok(number.into())
    }

    fn visit_f64<E>(self, number: f64) -> std::result::Result<Value, E> {
        Ok(number.into())
    }

    fn visit_str<E>(self, text: &str) -> std::result::Result<Value, E> {
        Ok(text.into())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> std::result::Result<Value, A::Error> {
        let mut read = Object::new();
        let mut name = None;
        while let Some(tag) = members.next_key::<Cow<'de, str>>()? {
            if tag == ALPHABETIC {
                name = Some(members.next_value::<String>()?);
                continue;
            }
            match key_of_json(&tag).filter(|_| is_relevant(&tag)) {
                Some(key) => {
                    read.insert(key, members.next_value_seed(Attribute)?);
                }
                None => drop(members.next_value::<IgnoredAny>()?),
            }
        }
        Ok(name.map_or_else(|| read.into(), Value::String))
    }
}

/// Reads an attribute: its values, or its bytes in base64. An empty one, and one that is bulk data, has none.
struct Attribute;

impl<'de> DeserializeSeed<'de> for Attribute {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> std::result::Result<Value, D::Error> {
        from.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Attribute {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an attribute")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> std::result::Result<Value, A::Error> {
        let mut read = Value::Null;
        while let Some(member) = members.next_key::<Cow<'de, str>>()? {
            match &*member {
                "Value" => read = members.next_value_seed(Values)?,
                "InlineBinary" => read = Value::String(members.next_value()?),
                _ => drop(members.next_value::<IgnoredAny>()?),
            }
        }
        Ok(read)
    }
}

/// Reads the values of an attribute.
struct Values;

impl<'de> DeserializeSeed<'de> for Values {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> std::result::Result<Value, D::Error> {
        from.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Values {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of values")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut values: A) -> std::result::Result<Value, A::Error> {
        let mut read = Vec::new();
        while let Some(value) = values.next_element_seed(DataSet)? {
            read.push(value);
        }
        Ok(if read.is_empty() { Value::Null } else { read.into() })
    }
}
