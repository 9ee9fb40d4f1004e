//! Windows over gray values (PS3.3 §C.11.2.1.2, §C.11.2.1.3).

use healthimaging_image::SampleFormat;

/// A window over values after the modality LUT.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Window {
    /// Window Center (0028,1050).
    pub center: f64,
    /// Window Width (0028,1051): at least 1 for [`WindowFunction::Linear`], more than 0 for others.
    pub width: f64,
    /// VOI LUT Function (0028,1056).
    pub function: WindowFunction,
}

/// VOI LUT Function (0028,1056).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum WindowFunction {
    /// `LINEAR`, the default: half a value off, as for whole numbers.
    Linear,
    /// `LINEAR_EXACT`.
    LinearExact,
    /// `SIGMOID`.
    Sigmoid,
}

impl WindowFunction {
    /// The defined term.
    #[must_use]
    pub const fn term(self) -> &'static str {
        match self {
            Self::Linear => "LINEAR",
            Self::LinearExact => "LINEAR_EXACT",
            Self::Sigmoid => "SIGMOID",
        }
    }

    /// The function of a defined term; `LINEAR` for a term that is not defined.
    pub(crate) fn of(term: &str) -> Self {
        match term.trim() {
            "LINEAR_EXACT" => Self::LinearExact,
            "SIGMOID" => Self::Sigmoid,
            _ => Self::Linear,
        }
    }
}

impl Window {
    /// Whether the numbers are finite and the width is what the function needs.
    #[must_use]
    pub fn is_usable(&self) -> bool {
        let least = match self.function {
            WindowFunction::Linear => self.width >= 1.0,
            WindowFunction::LinearExact | WindowFunction::Sigmoid => self.width > 0.0,
        };
        least && self.center.is_finite() && self.width.is_finite()
    }

    /// A window whose function is not named: exact for floating-point samples and for widths below 1, with which `LINEAR`
    /// is half a value off or not defined (PS3.3 §C.11.2.1.2.1); otherwise linear.
    pub(crate) fn named(center: f64, width: f64, format: SampleFormat) -> Self {
        let is_exact = format == SampleFormat::Float || width < 1.0;
        let function = if is_exact { WindowFunction::LinearExact } else { WindowFunction::Linear };
        Self { center, width, function }
    }

    /// The window that shows one value black and the other white; a single value is black.
    ///
    /// Whole numbers get a linear window, as files have them. Where less than 1 lies between the
    /// values, half a value off would be much, so that the window is exact.
    pub(crate) fn spanning(one: f64, other: f64, fractional: bool) -> Self {
        let (low, high) = (one.min(other), one.max(other));
        let range = (high - low).min(f64::MAX);
        if range > 0.0 && (fractional || range < 1.0) {
            let center = low + range / 2.0;
            return Self { center, width: range, function: WindowFunction::LinearExact };
        }
        let width = if low < high { range + 1.0 } else { 2.0 };
        Self { center: low + width / 2.0, width, function: WindowFunction::Linear }
    }

    /// The window that shows all values that either of two windows shows; linear.
    #[must_use]
    pub fn union(&self, other: &Self) -> Self {
        let bounds = |window: &Self| match window.function {
            // PS3.3 §C.11.2.1.2.1: the first and the last whole number that the ramp passes.
            WindowFunction::Linear => {
                let low = window.center - window.width / 2.0;
                (low, low + window.width - 1.0)
            }
            WindowFunction::LinearExact | WindowFunction::Sigmoid => {
                (window.center - window.width / 2.0, window.center + window.width / 2.0)
            }
        };
        let ((low, high), (other_low, other_high)) = (bounds(self), bounds(other));
        let is_whole = [self, other].iter().all(|one| one.function == WindowFunction::Linear);
        Self::spanning(low.min(other_low), high.max(other_high), !is_whole)
    }

    /// The level of a value, from 0 to 255; a value that is not a number has no level (NaN).
    pub(crate) fn level(&self, value: f64) -> f64 {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_without_its_function_is_exact_where_half_a_value_would_be_much() {
        let function = |width, format| Window::named(0.5, width, format).function;
        assert_eq!(function(1.0, SampleFormat::Float), WindowFunction::LinearExact);
        assert_eq!(function(0.999, SampleFormat::Integer), WindowFunction::LinearExact);
        assert_eq!(function(1.0, SampleFormat::Integer), WindowFunction::Linear);
    }
}
