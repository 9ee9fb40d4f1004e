//! Pixels that are not square.

use crate::attributes::{Attributes, Object, numbers};

/// Ratios beyond this are errors of the writer.
const GREATEST: f64 = 100.0;
/// An invisible difference of sides.
const SQUARE: f64 = 0.001;

/// Height of a pixel divided by its width, where that is not 1, and what it was taken from.
///
/// The distance of rows is the height of a pixel: the first number of each of these attributes
/// (PS3.3 §10.7.1.3, §C.7.6.3.1.7).
pub(crate) fn of(attributes: &Attributes, frame: usize) -> Option<(f64, &'static str)> {
    let measures = attributes.functional_group(frame, "PixelMeasuresSequence");
    let sources = measures.into_iter().chain([&attributes.own]);
    let spacing = ["PixelSpacing", "ImagerPixelSpacing", "NominalScannedPixelSpacing"];
    let mut found = sources.flat_map(|source| {
        spacing.into_iter().filter_map(move |keyword| Some((ratio(source, keyword)?, keyword)))
    });
    let (ratio, keyword) = found
        .next()
        .or_else(|| Some((ratio(&attributes.own, "PixelAspectRatio")?, "PixelAspectRatio")))?;
    ((ratio - 1.0).abs() > SQUARE).then_some((ratio, keyword))
}

fn ratio(source: &Object, keyword: &str) -> Option<f64> {
    let [Some(vertical), Some(horizontal)] = numbers(source, keyword)[..] else {
        return None;
    };
    let ratio = vertical / horizontal;
    let is_likely = vertical > 0.0 && horizontal > 0.0;
    (is_likely && (1.0 / GREATEST..=GREATEST).contains(&ratio)).then_some(ratio)
}

/// The longest side that is made longer.
const LONGEST: u32 = 16_384;

/// Rows and columns of a picture with square pixels that loses none of the frame's: the side along
/// which pixels are longer becomes longer. Where that would be too long, the other becomes shorter.
pub(crate) fn square(rows: u32, columns: u32, ratio: f64) -> (u32, u32) {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "at most 100 times 16 bits"
    )]
    let longer = |side: u32, by: f64| ((f64::from(side) * by).round() as u32).max(1);
    let (high, wide) = (longer(rows, ratio), longer(columns, 1.0 / ratio));
    let keeps_rows = if ratio > 1.0 { high > LONGEST } else { wide <= LONGEST };
    if keeps_rows { (rows, wide) } else { (high, columns) }
}
