//! The part of a frame that is shown, and the size that it fills (PS3.18 §8.3.5.1.3).

use crate::error::RenderError;
use crate::picture::{Channels, Picture};

/// A rectangle of the frame, and the size of the picture that it fills without distortion.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Viewport {
    /// Width of the viewport in pixels, at least 1.
    pub columns: u32,
    /// Height of the viewport in pixels, at least 1.
    pub rows: u32,
    /// Left edge of the rectangle in columns of the frame, from 0.
    pub left: f64,
    /// Top edge of the rectangle in rows of the frame, from 0.
    pub top: f64,
    /// Width of the rectangle in columns of the frame, to the right edge of the frame if absent. A negative one
    /// mirrors the picture horizontally.
    pub width: Option<f64>,
    /// Height of the rectangle in rows of the frame, to the bottom edge of the frame if absent. A negative one
    /// mirrors the picture vertically.
    pub height: Option<f64>,
}

impl Viewport {
    /// Creates a viewport that the whole frame fills.
    #[must_use]
    pub const fn whole(columns: u32, rows: u32) -> Self {
        Self { columns, rows, left: 0.0, top: 0.0, width: None, height: None }
    }

    /// The rectangle of a picture in the size of the frame; what lies outside of the frame is left out.
    pub(crate) fn cropped(&self, picture: Picture) -> Result<Picture, RenderError> {
        let (columns, is_mirrored) = span(self.left, self.width, picture.columns, "columns")?;
        let (rows, is_flipped) = span(self.top, self.height, picture.rows, "rows")?;
        if columns == (0..picture.columns as usize)
            && rows == (0..picture.rows as usize)
            && !is_mirrored
            && !is_flipped
        {
            return Ok(picture);
        }
        let channels = match picture.channels {
            Channels::Gray => 1,
            Channels::Rgb => 3,
        };
        let row_length = picture.columns as usize * channels;
        let bytes = columns.start * channels..columns.end * channels;
        let mut samples = Vec::with_capacity(rows.len() * bytes.len());
        let mut all: Vec<&[u8]> = picture
            .samples
            .chunks_exact(row_length.max(1))
            .skip(rows.start)
            .take(rows.len())
            .filter_map(|row| row.get(bytes.clone()))
            .collect();
        if is_flipped {
            all.reverse();
        }
        for row in all {
            if is_mirrored {
                row.rchunks_exact(channels).for_each(|pixel| samples.extend_from_slice(pixel));
            } else {
                samples.extend_from_slice(row);
            }
        }
        let side = |length: usize| u32::try_from(length).unwrap_or(u32::MAX);
        Ok(Picture { rows: side(rows.len()), columns: side(columns.len()), samples, ..picture })
    }
}

/// The pixels between two edges, at least one, and whether their order is reversed.
fn span(
    from: f64,
    length: Option<f64>,
    side: u32,
    what: &str,
) -> Result<(std::ops::Range<usize>, bool), RenderError> {
    let end = length.map_or(f64::from(side), |length| from + length.abs());
    let outside = || {
        RenderError::Request(format!("the viewport has no pixel of the {side} {what} of the frame"))
    };
    if !(from < f64::from(side) && end > 0.0 && end > from) {
        return Err(outside());
    }
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "from 0 to the side of a frame"
    )]
    let edge = |place: f64| place.round().clamp(0.0, f64::from(side)) as usize;
    let first = edge(from).min(side as usize - 1);
    let range = first..edge(end).max(first + 1);
    Ok((range, length.is_some_and(|length| length < 0.0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn picture() -> Picture {
        Picture { rows: 2, columns: 3, channels: Channels::Gray, samples: vec![1, 2, 3, 4, 5, 6] }
    }

    fn of(left: f64, top: f64, width: Option<f64>, height: Option<f64>) -> Vec<u8> {
        let viewport = Viewport { columns: 9, rows: 9, left, top, width, height };
        viewport.cropped(picture()).unwrap().samples
    }

    #[test]
    fn a_rectangle_is_cut_out_and_mirrored() {
        assert_eq!(of(0.0, 0.0, None, None), [1, 2, 3, 4, 5, 6]);
        assert_eq!(of(1.0, 0.0, None, Some(1.0)), [2, 3]);
        assert_eq!(of(1.0, 1.0, Some(1.0), None), [5]);
        assert_eq!(of(-1.0, 0.0, Some(2.0), Some(9.0)), [1, 4]);
        assert_eq!(of(0.0, 0.0, Some(-3.0), None), [3, 2, 1, 6, 5, 4]);
        assert_eq!(of(0.0, 0.0, None, Some(-2.0)), [4, 5, 6, 1, 2, 3]);
        assert_eq!(of(2.2, 0.0, Some(0.2), Some(1.0)), [3], "at least one pixel");
    }

    #[test]
    fn a_rectangle_outside_of_the_frame_is_refused() {
        for (left, width) in [(3.0, None), (-2.0, Some(1.0)), (0.0, Some(0.0)), (f64::NAN, None)] {
            let viewport = Viewport { left, width, ..Viewport::whole(9, 9) };
            assert!(matches!(viewport.cropped(picture()), Err(RenderError::Request(_))));
        }
    }
}
