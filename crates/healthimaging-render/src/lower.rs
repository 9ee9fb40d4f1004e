//! Small pictures from a lower resolution of the frame, whose higher ones are then not decoded.

use healthimaging_image::PixelDescription;

use crate::attributes::Attributes;
use crate::display::{Display, Voi};
use crate::options::RenderOptions;
use crate::overlay;
use crate::picture::side_lengths;
use crate::pixel_aspect;
use crate::viewport::Viewport;

/// Returns the rows and columns that a picture needs of a frame, if a lower resolution may have them.
///
/// Only samples that are amounts can be averaged: no palette indices. Overlays lie on pixels of the frame. Where the range of the
/// values is the window, all of them count: averages have another range, and padding may be averaged with pixels.
pub(crate) fn least(
    attributes: &Attributes,
    index: usize,
    described: &PixelDescription,
    options: &RenderOptions,
) -> Option<(u32, u32)> {
    let is_whole = options
        .viewport
        .is_none_or(|viewport| viewport == Viewport::whole(viewport.columns, viewport.rows));
    let is_amount =
        matches!(
            described.photometric.as_str(),
            "MONOCHROME1" | "MONOCHROME2" | "RGB" | "YBR_FULL" | "YBR_RCT" | "YBR_ICT"
        ) && attributes.first_text("PixelPresentation").is_none_or(|kind| kind == "MONOCHROME");
    if !options.may_use_lower_resolution || !is_whole || !is_amount {
        return None;
    }
    if options.annotation && overlay::exist(attributes) {
        return None;
    }
    let display = Display::of(attributes, index, described, options.contrast, &mut Vec::new());
    if described.samples_per_pixel == 1 && matches!(display.voi, Voi::Auto) {
        return None;
    }
    let (rows, columns) = (described.rows, described.columns);
    let size = match pixel_aspect::of(attributes, index) {
        Some((ratio, _)) => pixel_aspect::square(rows, columns, ratio),
        None => (rows, columns),
    };
    let (needed_rows, needed_columns) = match &options.viewport {
        Some(viewport) => side_lengths(size, (viewport.rows, viewport.columns), f64::INFINITY),
        None => side_lengths(size, (options.max_rows, options.max_columns), 1.0),
    };
    let is_lower = needed_rows <= rows / 2 && needed_columns <= columns / 2;
    is_lower.then_some((needed_rows, needed_columns))
}
