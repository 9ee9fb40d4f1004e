//! What the metadata of an instance says about its pixels and how they are shown.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use healthimaging::{Error, Result};
use healthimaging_image::{
    Attribute, ImageAttributes, PixelDescription, PixelRepresentation, number_of_frames,
};
use healthimaging_pixels::{
    Disposition, LookupTable, Modality, Palette, PaletteData, Voi, Window, WindowFunction,
    disposition, is_encapsulated,
};

use super::locate::{Object, taken};

/// HTJ2K Lossless RPCL: what frames are stored in where the metadata does not say it.
const HTJ2K_LOSSLESS_RPCL: &str = "1.2.840.10008.1.2.4.202";

/// JPEG 2000 Lossless Only: the other lossless format of data stores.
const JPEG_2000_LOSSLESS: &str = "1.2.840.10008.1.2.4.90";

/// An instance of a metadata document.
#[derive(Debug)]
pub(super) struct Instance {
    dicom: Object,
    /// Attributes of its series, which has some that rendering needs.
    series: Arc<Object>,
    frames: Vec<Value>,
    stored_syntax: Option<String>,
    checksum_type: Option<String>,
}

impl Instance {
    /// An instance of a document, and the attributes of its series.
    pub(super) fn new(mut instance: Object, series: Arc<Object>) -> Self {
        let text = |value: Option<&Value>| value.and_then(Value::as_str).map(str::to_owned);
        Self {
            stored_syntax: text(instance.get("StoredTransferSyntaxUID")),
            checksum_type: text(instance.get("ChecksumType")),
            frames: match instance.remove("ImageFrames") {
                Some(Value::Array(frames)) => frames,
                _ => Vec::new(),
            },
            dicom: taken(instance.remove("DICOM")),
            series,
        }
    }

    /// The id of a stored frame.
    pub(super) fn frame_id(&self, entry: usize) -> Option<&str> {
        self.frames.get(entry)?.get("ID")?.as_str()
    }

    /// The ids of the stored frames.
    pub(super) fn frame_ids(&self) -> impl Iterator<Item = &str> {
        (0..self.frames.len()).filter_map(|entry| self.frame_id(entry))
    }

    /// How many frames are stored.
    pub(super) fn stored_frames(&self) -> usize {
        self.frames.len()
    }

    /// Transfer syntax of the stored frames.
    pub(super) fn stored_syntax(&self) -> &str {
        let told = self.stored_syntax.as_deref();
        told.unwrap_or(HTJ2K_LOSSLESS_RPCL)
    }

    /// CRC-32 of a stored frame, of the full resolution: the last, where there are several.
    pub(super) fn checksum(&self, entry: usize) -> Option<u32> {
        let frame = self.frames.get(entry)?;
        let levels = frame.get("PixelDataChecksumFromBaseToFullResolution")?;
        let checksum = levels.as_array()?.last()?.get("Checksum")?.as_u64()?;
        u32::try_from(checksum).ok()
    }

    /// Whether checksums are of stored bytes, as for frames that are kept as received, and not of
    /// decoded pixels.
    pub(super) fn checksum_is_of_stored_bytes(&self) -> bool {
        match self.checksum_type.as_deref() {
            Some(of) => of == "COMPRESSED",
            None => ![HTJ2K_LOSSLESS_RPCL, JPEG_2000_LOSSLESS].contains(&self.stored_syntax()),
        }
    }

    /// Whether the bytes are not a frame but all pixel data as received, fragments and all: that of a
    /// compressed syntax that is transcoded as a rule, and could not be.
    pub(super) fn is_kept_for_want_of_a_codec(&self) -> bool {
        let syntax = self.stored_syntax();
        self.checksum_is_of_stored_bytes()
            && is_encapsulated(syntax)
            && disposition(syntax, 8) != Disposition::Keep
    }

    /// Number of Frames (0028,0008); 1 when it is left out.
    pub(super) fn number_of_frames(&self) -> usize {
        usize::try_from(number_of_frames(self)).map_or(1, |count| count.max(1))
    }

    /// What its pixels are.
    pub(super) fn description(&self) -> Result<PixelDescription> {
        PixelDescription::of(self).map_err(|error| missing(error.keyword))
    }

    /// The stored values that stand for no pixel (PS3.3 §C.7.5.1.1.2).
    pub(super) fn padding(&self) -> Option<(i64, i64)> {
        let value = self.get("PixelPaddingValue").and_then(as_integer)?;
        let limit = self.get("PixelPaddingRangeLimit").and_then(as_integer);
        let limit = limit.unwrap_or(value);
        Some((value.min(limit), value.max(limit)))
    }

    /// The modality LUT of a frame, counted from 0.
    pub(super) fn modality(&self, frame: usize) -> Result<Modality> {
        let source = self.group(frame, "PixelValueTransformationSequence");
        if let Some(table) = first_item(&self.dicom, "ModalityLUTSequence") {
            return Ok(Modality::Table(table_of(table, self.is_signed())?));
        }
        Ok(Modality::Rescale {
            slope: number(source, "RescaleSlope")?.unwrap_or(1.0),
            intercept: number(source, "RescaleIntercept")?.unwrap_or(0.0),
        })
    }

    /// The VOI LUT of a frame: the first table, or else the first window.
    pub(super) fn voi(&self, frame: usize) -> Result<Voi> {
        let source = self.group(frame, "FrameVOILUTSequence");
        if let Some(table) = first_item(source, "VOILUTSequence") {
            return Ok(Voi::Table(table_of(table, self.is_signed())?));
        }
        let center = number(source, "WindowCenter")?;
        let (Some(center), Some(width)) = (center, number(source, "WindowWidth")?) else {
            return Ok(Voi::Auto);
        };
        let function = source.get("VOILUTFunction").and_then(Value::as_str);
        let window = Window {
            center,
            width,
            function: match function.map(str::trim) {
                Some("LINEAR_EXACT") => WindowFunction::LinearExact,
                Some("SIGMOID") => WindowFunction::Sigmoid,
                _ => WindowFunction::Linear,
            },
        };
        window.check().map_err(|error| {
            Error::validation(format!(
                "the window of the file cannot be used ({error}); give window_center and \
                 window_width, or auto_window"
            ))
            .with_source(error)
        })?;
        Ok(Voi::Window(window))
    }

    /// The palette of a `PALETTE COLOR` image.
    pub(super) fn palette(&self) -> Result<Option<Palette>> {
        if self.description()?.photometric != "PALETTE COLOR" {
            return Ok(None);
        }
        let [red, green, blue] = ["Red", "Green", "Blue"].map(|colour| self.palette_table(colour));
        Ok(Some(Palette::new([red?, green?, blue?])?))
    }

    fn palette_table(&self, colour: &str) -> Result<([i64; 3], PaletteData)> {
        let dicom = &self.dicom;
        let descriptor = format!("{colour}PaletteColorLookupTableDescriptor");
        let descriptor = descriptor_of(dicom, &descriptor)?;
        let segmented = format!("Segmented{colour}PaletteColorLookupTableData");
        let data = if dicom.contains_key(&segmented) {
            PaletteData::Segmented(bytes(dicom, &segmented)?)
        } else {
            let plain = format!("{colour}PaletteColorLookupTableData");
            PaletteData::Plain(bytes(dicom, &plain)?)
        };
        Ok((descriptor, data))
    }

    fn is_signed(&self) -> bool {
        let description = PixelDescription::of(self);
        description.is_ok_and(|found| found.representation == PixelRepresentation::Signed)
    }

    /// An attribute of the instance or of its series.
    fn get(&self, keyword: &str) -> Option<&Value> {
        let own = self.dicom.get(keyword);
        own.or_else(|| self.series.get(keyword))
    }

    /// A functional group of a frame (PS3.3 §C.7.6.16); the instance itself where it has none.
    fn group(&self, frame: usize, name: &str) -> &Object {
        let frames = self.dicom.get("PerFrameFunctionalGroupsSequence");
        let own = frames.and_then(|frames| object(frames.get(frame)));
        let shared = first_item(&self.dicom, "SharedFunctionalGroupsSequence");
        let mut groups = own.into_iter().chain(shared);
        groups.find_map(|groups| first_item(groups, name)).unwrap_or(&self.dicom)
    }
}

impl ImageAttributes for Instance {
    fn integer(&self, attribute: Attribute) -> Option<i64> {
        let own = self.dicom.integer(attribute);
        own.or_else(|| self.series.integer(attribute))
    }

    fn text(&self, attribute: Attribute) -> Option<&str> {
        let own = self.dicom.text(attribute);
        own.or_else(|| self.series.text(attribute))
    }
}

fn missing(keyword: &'static str) -> Error {
    Error::validation(format!(
        "no picture can be made of this instance: its metadata has no usable {keyword}; take its \
         frames with format stored"
    ))
}

fn object(value: Option<&Value>) -> Option<&Object> {
    value?.as_object()
}

fn first_item<'a>(attributes: &'a Object, sequence: &str) -> Option<&'a Object> {
    object(attributes.get(sequence)?.get(0))
}

/// A whole number, as a number or as the text of an IS.
fn as_integer(value: &Value) -> Option<i64> {
    match value {
        Value::String(text) => text.trim().parse().ok(),
        other => other.as_i64(),
    }
}

/// The first value of a DS, FL or FD; `None` when it is absent or empty.
fn number(attributes: &Object, keyword: &'static str) -> Result<Option<f64>> {
    let value = match attributes.get(keyword) {
        Some(Value::Array(values)) => values.first(),
        other => other,
    };
    let told = match value {
        None | Some(Value::Null) => return Ok(None),
        Some(Value::String(text)) if text.trim().is_empty() => return Ok(None),
        Some(Value::String(text)) => text.trim().parse().ok(),
        Some(other) => other.as_f64(),
    };
    told.filter(|number: &f64| number.is_finite())
        .map(Some)
        .ok_or_else(|| Error::validation(format!("the {keyword} of the file is not a number")))
}

fn table_of(item: &Object, signed: bool) -> Result<LookupTable> {
    let descriptor = descriptor_of(item, "LUTDescriptor")?;
    Ok(LookupTable::new(descriptor, signed, &bytes(item, "LUTData")?)?)
}

fn descriptor_of(attributes: &Object, keyword: &str) -> Result<[i64; 3]> {
    let numbers = attributes.get(keyword).and_then(Value::as_array);
    let numbers: Option<Vec<i64>> =
        numbers.and_then(|numbers| numbers.iter().map(as_integer).collect());
    numbers
        .and_then(|numbers| <[i64; 3]>::try_from(numbers).ok())
        .ok_or_else(|| Error::validation(format!("the {keyword} of the file is not three numbers")))
}

/// The bytes of a table in little endian, which is base64 or, of VR US, numbers.
fn bytes(attributes: &Object, keyword: &str) -> Result<Vec<u8>> {
    let unusable = || Error::validation(format!("the {keyword} of the file cannot be used"));
    let word = |number: &Value| {
        // A table of VR SS is one of words too.
        let number = number.as_i64()?;
        u16::try_from(number & 0xffff).ok().map(u16::to_le_bytes)
    };
    match attributes.get(keyword) {
        Some(Value::String(text)) => STANDARD.decode(text).map_err(|_| unusable()),
        Some(Value::Array(numbers)) => {
            let words: Option<Vec<[u8; 2]>> = numbers.iter().map(word).collect();
            words.map(|words| words.concat()).ok_or_else(unusable)
        }
        Some(number) => word(number).map(Vec::from).ok_or_else(unusable),
        None => Err(unusable()),
    }
}
