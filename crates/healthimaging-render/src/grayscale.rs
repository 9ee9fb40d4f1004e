//! Gray: modality LUT, VOI LUT, then black for white where the image is inverse.

use std::ops::Range;

use healthimaging_image::{PixelDescription, SampleFormat};

use crate::display::{Display, Voi};
use crate::lookup_table::LookupTable;
use crate::palette::Palette;
use crate::samples::{Reader, samples};
use crate::window::Window;

/// Levels of all pixels, and the window that they were seen through.
pub(crate) fn shade(
    description: &PixelDescription,
    pixels: &[u8],
    display: &Display,
) -> (Vec<u8>, Option<Window>) {
    let (levels, window) = Chain::new(description, display).run(pixels, |level| level.gray);
    (levels, window)
}

/// The same where a supplemental palette colors some values: red, green and blue.
pub(crate) fn shade_and_color(
    description: &PixelDescription,
    pixels: &[u8],
    display: &Display,
) -> (Vec<u8>, Option<Window>) {
    let (colors, window) = Chain::new(description, display)
        .run(pixels, |level| level.color.unwrap_or([level.gray; 3]));
    (colors.concat(), window)
}

/// The window that [`shade`] shows pixels through; `None` for a VOI LUT.
pub(crate) fn window(
    description: &PixelDescription,
    pixels: &[u8],
    display: &Display,
) -> Option<Window> {
    Chain::new(description, display).run(pixels, |_| ()).1
}

/// What becomes of a sample.
#[derive(Debug, Clone, Copy)]
struct Level {
    gray: u8,
    color: Option<[u8; 3]>,
}

/// From samples to levels.
struct Chain<'a> {
    reader: Reader,
    bytes: usize,
    one_bit: bool,
    fractional: bool,
    display: &'a Display,
}

impl<'a> Chain<'a> {
    fn new(description: &PixelDescription, display: &'a Display) -> Self {
        Self {
            reader: Reader::of(description, false),
            bytes: usize::from(description.bits_allocated / 8),
            one_bit: description.bits_stored == 1,
            fractional: description.format == SampleFormat::Float,
            display,
        }
    }

    fn run<T: Copy + Default>(
        &self,
        pixels: &[u8],
        pick: impl Fn(Level) -> T,
    ) -> (Vec<T>, Option<Window>) {
        match self.bytes {
            1 => self.by_table(0..1 << 8, samples::<1>(pixels), pick),
            2 => self.by_table(0..1 << 16, samples::<2>(pixels), pick),
            4 => self.one_by_one(samples::<4>(pixels), pick),
            _ => self.one_by_one(samples::<8>(pixels), pick),
        }
    }

    /// Works out the level of each sample that occurs, once.
    fn by_table<T: Copy + Default>(
        &self,
        possible: Range<usize>,
        samples: impl Iterator<Item = u64> + Clone,
        pick: impl Fn(Level) -> T,
    ) -> (Vec<T>, Option<Window>) {
        let place = |sample: u64| usize::try_from(sample).unwrap_or(usize::MAX);
        let mut occurs = vec![false; possible.len()];
        for sample in samples.clone() {
            if let Some(one) = occurs.get_mut(place(sample)) {
                *one = true;
            }
        }
        let distinct = (0_u64..).zip(&occurs).filter(|(_, occurs)| **occurs);
        let voi = self.settled(distinct.clone().map(|(sample, _)| sample));
        let mut levels = vec![T::default(); possible.len()];
        for (sample, _) in distinct {
            if let Some(level) = levels.get_mut(place(sample)) {
                *level = pick(self.level(sample, &voi));
            }
        }
        let shown = samples.map(|sample| levels.get(place(sample)).copied().unwrap_or_default());
        (shown.collect(), voi.window())
    }

    /// For samples of so many bits that a table would be larger than the frame.
    fn one_by_one<T>(
        &self,
        samples: impl Iterator<Item = u64> + Clone,
        pick: impl Fn(Level) -> T,
    ) -> (Vec<T>, Option<Window>) {
        let voi = self.settled(samples.clone());
        let shown = samples.map(|sample| pick(self.level(sample, &voi)));
        (shown.collect(), voi.window())
    }

    fn level(&self, sample: u64, voi: &Settled<'_>) -> Level {
        let stored = self.reader.value(sample);
        let color = self.display.palette.as_ref().and_then(|palette| {
            #[expect(clippy::cast_possible_truncation, reason = "only integers have palettes")]
            let stored = stored as i64;
            (stored >= palette.first()).then(|| palette.at(stored))
        });
        if self.is_padding(stored) {
            return Level { gray: 0, color };
        }
        let value = self.display.modality.value(stored);
        let level = match voi {
            Settled::Window(window) => window.level(value),
            Settled::Table(table) => table.level(value),
        };
        let shown = if self.display.inverse { 255.0 - level } else { level };
        Level { gray: byte(shown), color }
    }

    /// Whether a stored value stands for no pixel.
    fn is_padding(&self, stored: f64) -> bool {
        self.display.padding.is_some_and(|(low, high)| (low..=high).contains(&stored))
    }

    fn settled(&self, samples: impl Iterator<Item = u64> + Clone) -> Settled<'_> {
        let value = |stored: f64| self.display.modality.value(stored);
        match &self.display.voi {
            Voi::Window(window) => Settled::Window(*window),
            Voi::Table(table) => Settled::Table(table),
            // A frame of one value would say nothing about the other one.
            Voi::Auto if self.one_bit => {
                Settled::Window(Window::spanning(value(0.0), value(1.0), false))
            }
            Voi::Auto => Settled::Window(self.auto(samples)),
        }
    }

    /// The window from the lowest to the highest value. Padding, what a supplemental palette colors,
    /// and infinite values count only when there is nothing else.
    fn auto(&self, samples: impl Iterator<Item = u64> + Clone) -> Window {
        let stored = samples.map(|sample| self.reader.value(sample));
        let colored = self.display.palette.as_ref().map(Palette::first);
        #[expect(clippy::cast_precision_loss, reason = "16 bits")]
        let is_colored = |stored: f64| colored.is_some_and(|first| stored >= first as f64);
        let inside = stored.clone().filter(|&one| !self.is_padding(one) && !is_colored(one));
        let range = self.range(inside).or_else(|| self.range(stored));
        let (low, high) = range.unwrap_or((0.0, 0.0));
        Window::spanning(low, high, self.fractional)
    }

    fn range(&self, stored: impl Iterator<Item = f64>) -> Option<(f64, f64)> {
        let values = stored.map(|one| self.display.modality.value(one));
        values.filter(|value| value.is_finite()).fold(None, |range, value| {
            let (low, high) = range.unwrap_or((value, value));
            Some((low.min(value), high.max(value)))
        })
    }
}

/// The VOI LUT of one frame.
enum Settled<'a> {
    Window(Window),
    Table(&'a LookupTable),
}

impl Settled<'_> {
    fn window(&self) -> Option<Window> {
        match self {
            Self::Window(window) => Some(*window),
            Self::Table(_) => None,
        }
    }
}

/// A level from 0 to 255 as a byte; what lies outside is cut, and what is not a number is black.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "from 0 to 255")]
pub(crate) fn byte(level: f64) -> u8 {
    level.round().clamp(0.0, 255.0) as u8
}
