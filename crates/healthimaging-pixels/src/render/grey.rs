//! Grey: modality LUT, then VOI LUT, then black for white where it is `MONOCHROME1`.

use super::bits::{Cut, samples};
use super::{Modality, Rendering, Voi, Window, WindowFunction, byte, float};
use crate::error::CodecError;
use crate::shape::FrameShape;

/// Levels of all pixels, and the window that they were seen through.
pub(super) fn shade(
    shape: &FrameShape,
    pixels: &[u8],
    rendering: &Rendering,
    inverted: bool,
) -> Result<(Vec<u8>, Option<Window>), CodecError> {
    let chain = Chain {
        cut: Cut::of(shape, rendering.high_bit)?,
        one_bit: shape.bits_stored == 1,
        rendering,
        inverted,
    };
    chain.check()?;
    Ok(match shape.bytes_per_sample() {
        1 => chain.by_table(1 << 8, samples::<1>(pixels)),
        2 => chain.by_table(1 << 16, samples::<2>(pixels)),
        _ => chain.one_by_one(samples::<4>(pixels)),
    })
}

/// From samples to levels.
struct Chain<'a> {
    cut: Cut,
    one_bit: bool,
    rendering: &'a Rendering,
    inverted: bool,
}

impl Chain<'_> {
    fn check(&self) -> Result<(), CodecError> {
        if let Modality::Rescale { slope, intercept } = &self.rendering.modality
            && !(slope.is_finite() && intercept.is_finite())
        {
            return Err(CodecError::Shape(
                "Rescale Slope and Rescale Intercept must be finite numbers".to_owned(),
            ));
        }
        match &self.rendering.voi {
            Voi::Window(window) => window.check(),
            Voi::Auto | Voi::Table(_) => Ok(()),
        }
    }

    /// Works out the level of each sample that occurs, once.
    fn by_table(
        &self,
        possible: usize,
        samples: impl Iterator<Item = u32> + Clone,
    ) -> (Vec<u8>, Option<Window>) {
        let mut occurs = vec![false; possible];
        for sample in samples.clone() {
            if let Some(one) = occurs.get_mut(sample as usize) {
                *one = true;
            }
        }
        let distinct = (0_u32..).zip(&occurs).filter(|(_, occurs)| **occurs);
        let voi = self.settled(distinct.clone().map(|(sample, _)| sample));
        let mut levels = vec![0; possible];
        for (sample, _) in distinct {
            if let Some(level) = levels.get_mut(sample as usize) {
                *level = self.level(sample, &voi);
            }
        }
        let shown = samples.map(|sample| levels.get(sample as usize).copied().unwrap_or(0));
        (shown.collect(), voi.window())
    }

    /// For samples of so many bits that a table would be larger than the frame.
    fn one_by_one(&self, samples: impl Iterator<Item = u32> + Clone) -> (Vec<u8>, Option<Window>) {
        let voi = self.settled(samples.clone());
        let shown = samples.map(|sample| self.level(sample, &voi));
        (shown.collect(), voi.window())
    }

    fn level(&self, sample: u32, voi: &Settled<'_>) -> u8 {
        let value = self.value(self.cut.value(sample));
        let level = match voi {
            Settled::Window(window) => window.level(value),
            Settled::Table(table) => table.level(value),
        };
        byte(if self.inverted { 255.0 - level } else { level })
    }

    /// The modality LUT.
    fn value(&self, stored: i64) -> f64 {
        match &self.rendering.modality {
            Modality::Rescale { slope, intercept } => slope * float(stored) + intercept,
            Modality::Table(table) => f64::from(table.at(float(stored))),
        }
    }

    fn settled(&self, samples: impl Iterator<Item = u32> + Clone) -> Settled<'_> {
        match &self.rendering.voi {
            Voi::Window(window) => Settled::Window(*window),
            Voi::Table(table) => Settled::Table(table),
            // A frame of one value would say nothing about the other one.
            Voi::Auto if self.one_bit => Settled::Window(spanning(self.value(0), self.value(1))),
            Voi::Auto => Settled::Window(self.auto(samples)),
        }
    }

    /// The window from the lowest to the highest value. Padding counts only when there is nothing else.
    fn auto(&self, samples: impl Iterator<Item = u32> + Clone) -> Window {
        let stored = samples.map(|sample| self.cut.value(sample));
        let is_padding = |value: &i64| {
            let padding = self.rendering.padding;
            padding.is_some_and(|(low, high)| (low..=high).contains(value))
        };
        let inside = stored.clone().filter(|value| !is_padding(value));
        let range = self.range(inside).or_else(|| self.range(stored));
        let (low, high) = range.unwrap_or((0.0, 0.0));
        spanning(low, high)
    }

    fn range(&self, stored: impl Iterator<Item = i64>) -> Option<(f64, f64)> {
        stored.map(|one| self.value(one)).fold(None, |range, value| {
            let (low, high) = range.unwrap_or((value, value));
            Some((low.min(value), high.max(value)))
        })
    }
}

/// The VOI LUT of one frame.
enum Settled<'a> {
    Window(Window),
    Table(&'a super::LookupTable),
}

impl Settled<'_> {
    fn window(&self) -> Option<Window> {
        match self {
            Self::Window(window) => Some(*window),
            Self::Table(_) => None,
        }
    }
}

/// The linear window that shows one value black and the other white; a single value is black.
fn spanning(one: f64, other: f64) -> Window {
    let (low, high) = (one.min(other), one.max(other));
    let width = if low < high { high - low + 1.0 } else { 2.0 };
    Window { center: low + width / 2.0, width, function: WindowFunction::Linear }
}

impl Window {
    /// PS3.3 §C.11.2.1.2 and §C.11.2.1.3, with an output range of 0 to 255.
    fn level(&self, value: f64) -> f64 {
        let Self { center, width, .. } = *self;
        match self.function {
            WindowFunction::Linear => ramp(value - (center - 0.5), width - 1.0),
            WindowFunction::LinearExact => ramp(value - center, width),
            WindowFunction::Sigmoid => 255.0 / (1.0 + (-4.0 * (value - center) / width).exp()),
        }
    }
}

/// A straight line from 0 at half a width below the middle to 255 at half a width above.
fn ramp(from_middle: f64, width: f64) -> f64 {
    if from_middle <= -width / 2.0 {
        0.0
    } else if from_middle > width / 2.0 {
        255.0
    } else {
        (from_middle / width + 0.5) * 255.0
    }
}
