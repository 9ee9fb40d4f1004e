//! Color of three or four samples a pixel (PS3.3 §C.7.6.3.1.2).

use healthimaging_image::PixelDescription;

use crate::grayscale::byte;
use crate::samples::{Reader, samples};

/// How samples are turned into red, green and blue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Space {
    /// Red, green, blue.
    Rgb,
    /// Luminance from 0, blue and red chrominance around the middle.
    YbrFull,
    /// The same in the ranges of television: 16 to 235, and 16 to 240.
    YbrPartial,
    /// Hue, saturation, value (retired).
    Hsv,
    /// Cyan, magenta, yellow, black (retired).
    Cmyk,
    /// Opacity, which is not applied, then red, green, blue (retired).
    Argb,
}

/// Red, green and blue of all pixels, interleaved.
pub(crate) fn rgb(description: &PixelDescription, pixels: &[u8], space: Space) -> Vec<u8> {
    let count = usize::from(description.samples_per_pixel);
    let levels = levels(description, pixels);
    if space == Space::Rgb && count == 3 {
        return levels;
    }
    let color = |pixel: &[u8]| match (space, pixel) {
        (Space::Cmyk, [cyan, magenta, yellow, black, ..]) => {
            [cyan, magenta, yellow].map(|ink| ink.saturating_add(*black)).map(|ink| 255 - ink)
        }
        (Space::YbrFull, [y, blue, red, ..]) => from_ybr(full([*y, *blue, *red])),
        (Space::YbrPartial, [y, blue, red, ..]) => from_ybr(partial([*y, *blue, *red])),
        (Space::Hsv, [hue, saturation, value, ..]) => from_hsv([*hue, *saturation, *value]),
        (Space::Argb, [_, red, green, blue, ..]) | (_, [red, green, blue, ..]) => {
            [*red, *green, *blue]
        }
        (_, [gray, ..]) => [*gray; 3],
        (_, []) => [0; 3],
    };
    levels.chunks_exact(count.max(1)).flat_map(color).collect()
}

/// Samples of any width as levels from 0 to 255.
fn levels(description: &PixelDescription, pixels: &[u8]) -> Vec<u8> {
    let reader = Reader::of(description, true);
    let greatest = 2.0_f64.powi(description.bits_stored.into()) - 1.0;
    let level = |sample: u64| byte(reader.value(sample) * 255.0 / greatest);
    match (description.bits_allocated, description.bits_stored) {
        (8, 8) => pixels.to_vec(),
        (8, _) => samples::<1>(pixels).map(level).collect(),
        (16, _) => samples::<2>(pixels).map(level).collect(),
        (32, _) => samples::<4>(pixels).map(level).collect(),
        _ => samples::<8>(pixels).map(level).collect(),
    }
}

/// Luminance from 0 to 255, chrominance around 0.
fn full([y, blue, red]: [u8; 3]) -> [f64; 3] {
    [f64::from(y), f64::from(blue) - 128.0, f64::from(red) - 128.0]
}

fn partial([y, blue, red]: [u8; 3]) -> [f64; 3] {
    [
        (f64::from(y) - 16.0) * 255.0 / 219.0,
        (f64::from(blue) - 128.0) * 255.0 / 224.0,
        (f64::from(red) - 128.0) * 255.0 / 224.0,
    ]
}

fn from_ybr([y, blue, red]: [f64; 3]) -> [u8; 3] {
    [
        byte(y + 1.402 * red),
        byte(y - 0.344_136_286 * blue - 0.714_136_286 * red),
        byte(y + 1.772 * blue),
    ]
}

/// The hue goes round once from 0 to 255.
fn from_hsv([hue, saturation, value]: [u8; 3]) -> [u8; 3] {
    let (value, saturation) = (f64::from(value), f64::from(saturation) / 255.0);
    let sixth = f64::from(hue) / 256.0 * 6.0;
    // Red is full around 0, green around 2, blue around 4 sixths.
    [5.0, 3.0, 1.0].map(|shift| {
        let away = (shift + sixth) % 6.0;
        let lack = away.min(4.0 - away).clamp(0.0, 1.0);
        byte(value - value * saturation * lack)
    })
}
