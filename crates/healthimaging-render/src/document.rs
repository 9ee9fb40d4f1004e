//! Selecting a frame: its instance in a metadata document, and its place there.

use std::borrow::Cow;

use healthimaging::{ImageFrameId, Uid};
use healthimaging_dicom::DocumentText;
use healthimaging_image::{PixelDescription, number_of_frames};
use healthimaging_pixels::{Disposition, FrameShape, disposition, is_encapsulated};
use serde_json::Value;

use crate::attributes::{Attributes, Object, object};
use crate::encapsulated;
use crate::error::RenderError;

/// HTJ2K Lossless RPCL: the encoding of stored frames if the metadata does not name one.
const HTJ2K_LOSSLESS_RPCL: &str = "1.2.840.10008.1.2.4.202";

/// JPEG 2000 Lossless Only: the other lossless format of data stores.
const JPEG_2000_LOSSLESS: &str = "1.2.840.10008.1.2.4.90";

/// An attribute of the series level.
const PADDING: &str = "PixelPaddingValue";

/// Selects a frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FrameSelector {
    /// The frame of this id.
    Id(ImageFrameId),
    /// A frame of an instance, from 1.
    Number(Uid, u32),
}

/// Location of a frame in a metadata document.
#[derive(Debug)]
pub struct FrameLocation {
    pub(crate) instance: Instance,
    /// SOP Instance UID of its instance.
    pub sop_instance_uid: String,
    /// Id of the stored frame; several frames share one where all are stored together.
    pub image_frame_id: ImageFrameId,
    /// Index of the frame in the instance, from 0.
    pub index: usize,
    /// Number of frames of the instance.
    pub count: usize,
    /// Its place among the stored frames; differs from `index` where all are stored together.
    pub(crate) entry: usize,
}

/// Finds a frame in an image set metadata document; of its instances, only that of the frame is parsed.
///
/// # Errors
/// [`RenderError::NotFound`] when the document does not hold it, [`RenderError::Request`] when the
/// instance has no such frame.
pub fn find_frame(
    document: &DocumentText,
    selector: &FrameSelector,
) -> Result<FrameLocation, RenderError> {
    let levels = document.levels();
    let mut instances = levels.series.values().flat_map(|series| {
        series.instances.iter().map(move |(uid, instance)| (series, uid, instance))
    });
    let (series, uid, text, index) = match selector {
        FrameSelector::Id(id) => instances
            .find_map(|(series, uid, text)| {
                let ids = text.holds(id.as_str()).then(|| text.frame_ids().ok())??;
                let entry = ids.iter().position(|one| one.as_deref() == Some(id.as_str()))?;
                Some((series, uid, text, entry))
            })
            .ok_or(RenderError::NotFound(
                "the latest version of the image set has no frame of that id; ImageFrames in its \
                 metadata lists the ids",
            ))?,
        FrameSelector::Number(wanted, number) => levels
            .series
            .values()
            .find_map(|series| {
                let (uid, text) = series.instances.get_key_value(wanted.as_str())?;
                Some((series, uid, text))
            })
            .map(|(series, uid, text)| (series, uid, text, (*number as usize).saturating_sub(1)))
            .ok_or(RenderError::NotFound(
                "the image set holds no instance of that sop_instance_uid",
            ))?,
    };
    let unreadable = |_| RenderError::NotFound("the metadata of the instance cannot be read");
    let above = [&series.attributes, &levels.study, &levels.patient].map(Clone::clone);
    let instance = Instance::new(text.parse().map_err(unreadable)?, above);
    FrameLocation::new(uid.clone(), instance, index)
}

impl FrameLocation {
    fn new(
        sop_instance_uid: String,
        instance: Instance,
        index: usize,
    ) -> Result<Self, RenderError> {
        let stored = instance.frames.len();
        if stored == 0 {
            return Err(RenderError::Request(
                "the instance has no frames: it holds no pixels, or they are kept whole because \
                 they could not be separated; DICOMweb and exports return the whole instance"
                    .to_owned(),
            ));
        }
        let declared = usize::try_from(number_of_frames(&instance.attributes)).unwrap_or(1);
        let count = if stored == 1 { declared.max(1) } else { stored };
        if index >= count {
            let frames = if count == 1 { "frame" } else { "frames" };
            return Err(RenderError::Request(format!(
                "the instance has {count} {frames}; frame_number is from 1 to {count}"
            )));
        }
        let entry = index.min(stored - 1);
        let id = instance.frame_id(entry).unwrap_or_default();
        let image_frame_id = ImageFrameId::try_from(id)
            .map_err(|_| RenderError::NotFound("the metadata does not name the stored frame"))?;
        Ok(Self { instance, sop_instance_uid, image_frame_id, index, count, entry })
    }

    /// Bytes of memory that rendering the frame takes, about: as stored, decoded and as a picture. 0 where
    /// its attributes do not describe it.
    #[must_use]
    pub fn memory(&self) -> u64 {
        let described = PixelDescription::of(&self.instance.attributes);
        let length =
            described.map_or(0, |description| FrameShape::from(&description).byte_length());
        length.saturating_mul(3)
    }

    /// Returns the Study and Series Instance UIDs of its instance; `None` if the document has none.
    #[must_use]
    pub fn hierarchy(&self) -> Option<(Uid, Uid)> {
        let uid = |keyword| Uid::try_from(self.instance.attributes.first_text(keyword)?).ok();
        Some((uid("StudyInstanceUID")?, uid("SeriesInstanceUID")?))
    }

    /// Whether the picture uses a Pixel Padding Value (0028,0120) of the series.
    ///
    /// The document shows the value even if the file of the instance had none; the DICOM JSON of the instance
    /// does not. It is the only attribute of a picture that documents hold above the instance.
    #[must_use]
    pub fn inherits_padding(&self) -> bool {
        let attributes = &self.instance.attributes;
        !attributes.own.contains_key(PADDING) && attributes.get(PADDING).is_some()
    }

    /// Ignores the Pixel Padding Value of the series, which the instance does not have.
    pub fn ignore_inherited_padding(&mut self) {
        self.instance.attributes.own.insert(PADDING.to_owned(), Value::Null);
    }

    /// Transfer syntax UID of the stored frame.
    #[must_use]
    pub fn stored_transfer_syntax(&self) -> &str {
        self.instance.stored_syntax()
    }

    /// The bytes of this frame: a part of the stored ones where all frames are stored together.
    pub(crate) fn part_of<'a>(
        &self,
        stored: &'a [u8],
        description: &PixelDescription,
    ) -> Result<Cow<'a, [u8]>, RenderError> {
        let whole = StoredPixels {
            transfer_syntax: self.instance.stored_syntax(),
            is_kept_whole: self.instance.is_kept_whole(),
            is_one_frame: self.count == self.instance.frames.len(),
        };
        whole.frame(stored, self.index, self.count, description)
    }
}

/// What stored bytes hold: one frame, or all frames of an instance.
#[derive(Debug, Clone, Copy)]
pub(crate) struct StoredPixels<'a> {
    /// Transfer syntax UID.
    pub(crate) transfer_syntax: &'a str,
    /// Whether they may be fragments, which were kept as received.
    pub(crate) is_kept_whole: bool,
    /// Whether there are stored bytes for each frame.
    pub(crate) is_one_frame: bool,
}

impl StoredPixels<'_> {
    /// The bytes of a frame, counted from 0, of so many.
    pub(crate) fn frame<'a>(
        &self,
        stored: &'a [u8],
        index: usize,
        count: usize,
        description: &PixelDescription,
    ) -> Result<Cow<'a, [u8]>, RenderError> {
        let inseparable = || {
            RenderError::Unsupported(
                "the frames of its instance are stored together and cannot be separated".to_owned(),
            )
        };
        if is_encapsulated(self.transfer_syntax) {
            if self.is_kept_whole && encapsulated::is_sequence(stored) {
                return encapsulated::frame(stored, index, count).ok_or_else(inseparable);
            }
            return if self.is_one_frame { Ok(Cow::Borrowed(stored)) } else { Err(inseparable()) };
        }
        if self.is_one_frame {
            return Ok(Cow::Borrowed(stored));
        }
        let bits = usize::try_from(description.native_frame_bits()).unwrap_or(usize::MAX);
        let start = bits.saturating_mul(index);
        bits_of(stored, start, bits).ok_or_else(inseparable)
    }
}

/// So many bits from one on, moved to the start of the first byte.
fn bits_of(data: &[u8], start: usize, bits: usize) -> Option<Cow<'_, [u8]>> {
    let end = start.checked_add(bits)?.div_ceil(8);
    let bytes = data.get(start / 8..end)?;
    let shift = start % 8;
    if shift == 0 {
        return Some(Cow::Borrowed(bytes));
    }
    let above = bytes.iter().skip(1).copied().chain([0]);
    let moved = bytes.iter().zip(above).map(|(&byte, above)| byte >> shift | above << (8 - shift));
    Some(Cow::Owned(moved.take(bits.div_ceil(8)).collect()))
}

/// An instance of a metadata document.
#[derive(Debug)]
pub(crate) struct Instance {
    pub(crate) attributes: Attributes,
    frames: Vec<Value>,
    stored_syntax: Option<String>,
    checksum_type: Option<String>,
}

impl Instance {
    /// An instance of a document, and the attributes of the levels above it.
    fn new(mut instance: Object, above: [Object; 3]) -> Self {
        let text = |value: Option<&Value>| value.and_then(Value::as_str).map(str::to_owned);
        Self {
            stored_syntax: text(instance.get("StoredTransferSyntaxUID")),
            checksum_type: text(instance.get("ChecksumType")),
            frames: match instance.remove("ImageFrames") {
                Some(Value::Array(frames)) => frames,
                _ => Vec::new(),
            },
            attributes: Attributes { own: object(instance.remove("DICOM")), above },
        }
    }

    fn frame_id(&self, entry: usize) -> Option<&str> {
        self.frames.get(entry)?.get("ID")?.as_str()
    }

    /// Transfer syntax of the stored frames.
    pub(crate) fn stored_syntax(&self) -> &str {
        self.stored_syntax.as_deref().unwrap_or(HTJ2K_LOSSLESS_RPCL)
    }

    /// CRC-32 of a stored frame, of the full resolution: the last, where there are several.
    pub(crate) fn checksum(&self, entry: usize) -> Option<u32> {
        checksum_of(self.checksums(entry)?.last()?)
    }

    /// CRC-32 of a lower resolution of a stored frame; `None` if the document has none.
    pub(crate) fn lower_checksum(&self, entry: usize, (rows, columns): (u32, u32)) -> Option<u32> {
        let is_it = |level: &&Value| level["Height"] == rows && level["Width"] == columns;
        checksum_of(self.checksums(entry)?.iter().find(is_it)?)
    }

    fn checksums(&self, entry: usize) -> Option<&Vec<Value>> {
        self.frames.get(entry)?.get("PixelDataChecksumFromBaseToFullResolution")?.as_array()
    }

    /// Whether checksums are of stored bytes, as for frames that are kept as received, and not of
    /// decoded pixels.
    pub(crate) fn checksum_is_of_stored_bytes(&self) -> bool {
        match self.checksum_type.as_deref() {
            Some(of) => of == "COMPRESSED",
            None => ![HTJ2K_LOSSLESS_RPCL, JPEG_2000_LOSSLESS].contains(&self.stored_syntax()),
        }
    }

    /// Whether the bytes are not a frame but all pixel data as received, fragments and all: that of a
    /// compressed syntax that is transcoded as a rule, and could not be, or is not supported.
    pub(crate) fn is_kept_whole(&self) -> bool {
        let syntax = self.stored_syntax();
        self.checksum_is_of_stored_bytes()
            && is_encapsulated(syntax)
            && disposition(syntax, 8) != Disposition::Keep
    }
}

fn checksum_of(level: &Value) -> Option<u32> {
    u32::try_from(level.get("Checksum")?.as_u64()?).ok()
}

#[cfg(test)]
mod tests {
    use super::bits_of;

    #[test]
    fn bits_are_moved_to_the_start_of_a_byte() {
        // Three frames of 5 bits, lowest bit first: 01101, 10110, 11111.
        let data = [0b1100_1101, 0b0111_1110];
        let frame = |index: usize| bits_of(&data, index * 5, 5).map(|bits| bits[0] & 0b1_1111);
        assert_eq!(
            [frame(0), frame(1), frame(2)],
            [Some(0b0_1101), Some(0b1_0110), Some(0b1_1111)]
        );
        assert_eq!(bits_of(&data, 15, 5), None);
        assert_eq!(bits_of(&data, 8, 8).as_deref(), Some(&[0b0111_1110][..]));
    }
}
