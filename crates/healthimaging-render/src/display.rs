//! How an image is displayed, by its attributes.

use healthimaging_image::{PixelDescription, PixelRepresentation, SampleFormat};

use crate::attributes::{Attributes, first_item, first_text, number, numbers};
use crate::lookup_table::LookupTable;
use crate::options::Contrast;
use crate::palette::Palette;
use crate::samples::Reader;
use crate::window::{Window, WindowFunction};

/// X-Ray Angiographic, Radiofluoroscopic and (retired) Angiographic Bi-Plane Image Storage.
const WITHOUT_MODALITY_LUT: [&str; 3] = [
    "1.2.840.10008.5.1.4.1.1.12.1",
    "1.2.840.10008.5.1.4.1.1.12.2",
    "1.2.840.10008.5.1.4.1.1.12.3",
];

/// How a frame is shown.
#[derive(Debug, Clone, Default)]
pub struct Display {
    /// From stored values to values that mean something, such as Hounsfield units.
    pub modality: Modality,
    /// From those to gray levels.
    pub voi: Voi,
    /// Whether black and white are exchanged at the end.
    pub inverse: bool,
    /// Lowest and highest stored value that stand for no pixel: they are black, and [`Voi::Auto`]
    /// leaves them out.
    pub padding: Option<(f64, f64)>,
    /// The palette of a `PALETTE COLOR` image, or the supplemental palette of a gray one, which
    /// colors the stored values from its first one on (PS3.3 §C.7.6.19).
    pub palette: Option<Palette>,
}

/// The modality LUT (PS3.3 §C.11.1).
#[derive(Debug, Clone)]
pub enum Modality {
    /// `slope * value + intercept`.
    Rescale {
        /// Rescale Slope (0028,1053).
        slope: f64,
        /// Rescale Intercept (0028,1052).
        intercept: f64,
    },
    /// Modality LUT Sequence (0028,3000).
    Table(LookupTable),
}

impl Default for Modality {
    /// Values as they are.
    fn default() -> Self {
        Self::Rescale { slope: 1.0, intercept: 0.0 }
    }
}

impl Modality {
    /// The value that a stored value stands for.
    pub(crate) fn value(&self, stored: f64) -> f64 {
        match self {
            Self::Rescale { slope, intercept } => slope * stored + intercept,
            Self::Table(table) => f64::from(table.at(stored)),
        }
    }
}

/// The VOI LUT (PS3.3 §C.11.2): which values become black, which white.
#[derive(Debug, Clone, Default)]
pub enum Voi {
    /// From the lowest to the highest value of the frame.
    #[default]
    Auto,
    /// A window.
    Window(Window),
    /// VOI LUT Sequence (0028,3010).
    Table(LookupTable),
}

impl Display {
    /// How a frame, counted from 0, is shown; what could not be applied is noted.
    pub(crate) fn of(
        attributes: &Attributes,
        frame: usize,
        description: &PixelDescription,
        contrast: Contrast,
        notes: &mut Vec<String>,
    ) -> Self {
        let signed = description.representation == PixelRepresentation::Signed;
        let modality = modality(attributes, frame, signed, notes);
        let voi = match contrast.window(description.format) {
            Some(window) if window.is_usable() => Voi::Window(window),
            Some(_) => {
                notes.push(
                    "the requested window is not usable; the range of values is shown".into(),
                );
                Voi::Auto
            }
            None if contrast == Contrast::Auto => Voi::Auto,
            None => {
                let lowest = modality.value(Reader::of(description, false).lowest());
                let signed = matches!(modality, Modality::Rescale { .. }) && lowest < 0.0;
                voi(attributes, frame, signed, notes)
            }
        };
        Self {
            inverse: is_inverse(attributes, description),
            padding: padding(attributes, description),
            palette: palette(attributes, description, signed, notes),
            modality,
            voi,
        }
    }
}

fn modality(
    attributes: &Attributes,
    frame: usize,
    signed: bool,
    notes: &mut Vec<String>,
) -> Modality {
    let class = attributes.first_text("SOPClassUID");
    if class.is_some_and(|class| WITHOUT_MODALITY_LUT.contains(&class)) {
        // It makes values linear for measuring, and is not meant for display (PS3.3 §C.8.7.1.1.2).
        return Modality::default();
    }
    let transformation = attributes.functional_group(frame, "PixelValueTransformationSequence");
    let source = transformation.unwrap_or(&attributes.own);
    if let Some(item) = first_item(&attributes.own, "ModalityLUTSequence") {
        match LookupTable::of_item(item, signed) {
            Some(table) => return Modality::Table(table),
            None => notes.push("ModalityLUTSequence is not usable and was not applied".into()),
        }
    }
    let mut factor = |keyword: &'static str, absent: f64| {
        let found = numbers(source, keyword);
        match found.first() {
            Some(Some(number)) => *number,
            Some(None) => {
                notes.push(format!("{keyword} is not a number and was not applied"));
                absent
            }
            None => absent,
        }
    };
    let intercept = factor("RescaleIntercept", 0.0);
    let slope = factor("RescaleSlope", 1.0);
    let dose = number(source, "DoseGridScaling").filter(|scaling| *scaling > 0.0);
    match (slope, dose) {
        // Stored values of a dose times its scaling are Gy (PS3.3 §C.8.8.3).
        (1.0, Some(scaling)) if intercept == 0.0 => Modality::Rescale { slope: scaling, intercept },
        (0.0, _) => {
            notes.push("RescaleSlope is 0 and was not applied".into());
            Modality::default()
        }
        _ => Modality::Rescale { slope, intercept },
    }
}

/// The VOI LUT of a frame: the first usable table, or else the first usable window.
fn voi(attributes: &Attributes, frame: usize, signed: bool, notes: &mut Vec<String>) -> Voi {
    let source = attributes.group_or_own(frame, "FrameVOILUTSequence");
    if let Some(items) = source.get("VOILUTSequence").and_then(|items| items.as_array()) {
        let mut tables = items.iter().filter_map(|item| item.as_object());
        if let Some(table) = tables.find_map(|item| LookupTable::of_item(item, signed)) {
            return Voi::Table(table);
        }
        if !items.is_empty() {
            notes.push("VOILUTSequence is not usable and was not applied".into());
        }
    }
    let function = source.get("VOILUTFunction").and_then(first_text);
    let function = function.map_or(WindowFunction::Linear, WindowFunction::of);
    let (centers, widths) = (numbers(source, "WindowCenter"), numbers(source, "WindowWidth"));
    let windows = centers.len().max(widths.len());
    let usable = centers.iter().zip(&widths).enumerate().find_map(|(index, pair)| {
        let window = Window { center: (*pair.0)?, width: (*pair.1)?, function };
        window.is_usable().then_some((index, window))
    });
    match usable {
        Some((0, window)) => Voi::Window(window),
        Some((index, window)) => {
            notes.push(format!(
                "window 1 of the file is not usable; window {} is applied",
                index + 1
            ));
            Voi::Window(window)
        }
        None => {
            if windows > 0 {
                notes.push(
                    "the window of the file is not usable; the range of values is shown".into(),
                );
            }
            Voi::Auto
        }
    }
}

/// Whether the lowest value is white: by Presentation LUT Shape (2050,0020), which speaks of what comes
/// out of the VOI LUT, or else by Photometric Interpretation.
fn is_inverse(attributes: &Attributes, description: &PixelDescription) -> bool {
    match attributes.first_text("PresentationLUTShape") {
        Some("INVERSE") => true,
        Some("IDENTITY") => false,
        _ => description.photometric == "MONOCHROME1",
    }
}

/// Pixel Padding Value (0028,0120) to Pixel Padding Range Limit (0028,0121), or their floating-point
/// counterparts (PS3.3 §C.7.5.1.1.2).
fn padding(attributes: &Attributes, description: &PixelDescription) -> Option<(f64, f64)> {
    let first = |keyword: &str| number(attributes.level_of(keyword)?, keyword);
    let (value, limit) = if description.format == SampleFormat::Float {
        let either = |end: &str| {
            first(&format!("FloatPixelPadding{end}"))
                .or_else(|| first(&format!("DoubleFloatPixelPadding{end}")))
        };
        let value = either("Value")?;
        (value, either("RangeLimit").unwrap_or(value))
    } else {
        let value = as_stored(first("PixelPaddingValue")?, description);
        let limit = first("PixelPaddingRangeLimit").map(|limit| as_stored(limit, description));
        (value, limit.unwrap_or(value))
    };
    Some((value.min(limit), value.max(limit)))
}

/// A value of the sign that samples have: writers use US for signed samples, and the reverse.
fn as_stored(value: f64, description: &PixelDescription) -> f64 {
    let all = 2.0_f64.powi(description.bits_allocated.into());
    match description.representation {
        PixelRepresentation::Signed if value >= all / 2.0 && value < all => value - all,
        PixelRepresentation::Unsigned if value < 0.0 && value >= -all / 2.0 => value + all,
        _ => value,
    }
}

fn palette(
    attributes: &Attributes,
    description: &PixelDescription,
    signed: bool,
    notes: &mut Vec<String>,
) -> Option<Palette> {
    let is_palette = description.photometric == "PALETTE COLOR";
    let presentation = attributes.first_text("PixelPresentation");
    let is_supplemental = description.photometric.starts_with("MONOCHROME")
        && matches!(presentation, Some("COLOR" | "MIXED"));
    if !is_palette && !is_supplemental {
        return None;
    }
    let found = Palette::of(attributes, signed);
    if found.is_none() && is_palette {
        notes.push("the palette is not usable; stored values are shown in gray".into());
    }
    found
}
