//! The frames of a series in the order in which they are scrolled. The viewer has the same rule (`geometry.js`).

use std::cmp::Ordering;

use healthimaging_dicom::DocumentText;
use healthimaging_image::number_of_frames;
use serde_json::Map;

use crate::attributes::{Attributes, Object, numbers, object};
use crate::error::RenderError;
use crate::geometry::{Geometry, orientation};
use crate::orientation::cosines;

/// Most frames of a series.
const MOST: usize = 200_000;

/// Largest difference of normals that are parallel, in each component.
const PARALLEL: f64 = 0.01;

/// A frame of a series.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Slice {
    /// SOP Instance UID of its instance.
    pub sop_instance_uid: String,
    /// Number of the frame in the instance, from 1.
    pub frame_number: u32,
}

/// What orders the frames of a series.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SliceOrder {
    /// Their positions; frames without one are last.
    Position,
    /// Instance Number (0020,0013), as positions are missing or the planes are not parallel.
    #[default]
    InstanceNumber,
}

/// Lists the frames of a series, or of all series of the document, in the order in which they are scrolled.
///
/// If most have a position and all of those are parallel, they are ordered by their position along the normal, in the
/// direction of the Instance Numbers, and the others are last; otherwise all are ordered by Instance Number. Frames of an
/// instance at one position keep their order. Only one instance is parsed at a time.
///
/// # Errors
/// [`RenderError::NotFound`] if there are no images, [`RenderError::Request`] if there are more than 200,000 frames.
pub fn slices(
    document: &DocumentText,
    series_instance_uid: Option<&str>,
) -> Result<Vec<Slice>, RenderError> {
    slices_and_geometry(document, series_instance_uid).map(|(slices, _)| slices)
}

/// As [`slices`], with what their positions show.
///
/// # Errors
/// As [`slices`].
pub fn slices_and_geometry(
    document: &DocumentText,
    series_instance_uid: Option<&str>,
) -> Result<(Vec<Slice>, Geometry), RenderError> {
    let (mut placed, mut geometry) = (Vec::new(), Geometry::default());
    for (uid, series) in &document.levels().series {
        if series_instance_uid.is_some_and(|wanted| wanted != uid) {
            continue;
        }
        for (uid, instance) in &series.instances {
            let unreadable =
                |_| RenderError::NotFound("the metadata of an instance cannot be read");
            let mut instance: Object = instance.parse().map_err(unreadable)?;
            let stored = instance.get("ImageFrames").and_then(|frames| frames.as_array());
            let stored = stored.map_or(0, Vec::len);
            let own = object(instance.remove("DICOM"));
            let attributes = Attributes { own, above: [Map::new(), Map::new(), Map::new()] };
            let before = placed.len();
            place(uid, &attributes, stored, &mut placed)?;
            geometry.look(&attributes, placed.len() - before);
        }
    }
    if placed.is_empty() {
        return Err(RenderError::NotFound(
            "the series has no images: its instances have no pixels, as those of reports and documents; \
             get_image_set_metadata shows what they hold",
        ));
    }
    geometry.order = sort(&mut placed);
    geometry.measure(&placed);
    Ok((placed.into_iter().map(|one| one.slice).collect(), geometry))
}

/// Selects so many of a number of slices: the first, the last, and others evenly between them; the middle one if only
/// one is wanted. Returns their indices.
#[must_use]
pub fn evenly_spaced(all: usize, wanted: usize) -> Vec<usize> {
    let wanted = wanted.min(all);
    match wanted {
        0 => Vec::new(),
        1 => vec![(all - 1) / 2],
        // Rounded to the nearest.
        _ => (0..wanted).map(|at| (2 * at * (all - 1) + wanted - 1) / (2 * (wanted - 1))).collect(),
    }
}

/// A frame and its place in the body.
pub(crate) struct Placed {
    slice: Slice,
    /// The directions of its rows and of its columns.
    pub(crate) orientation: Option<[f64; 6]>,
    /// The normal of its plane, and its position along it in micrometers.
    pub(crate) plane: Option<([f64; 3], f64)>,
    /// 0 if it has none.
    pub(crate) instance_number: f64,
    pub(crate) has_number: bool,
}

fn place(
    uid: &str,
    attributes: &Attributes,
    stored: usize,
    placed: &mut Vec<Placed>,
) -> Result<(), RenderError> {
    if !attributes.own.contains_key("Rows") {
        return Ok(());
    }
    let declared = usize::try_from(number_of_frames(attributes)).unwrap_or(1).max(1);
    let count = if stored > 1 { stored } else { declared };
    if placed.len() + count > MOST {
        return Err(RenderError::Request(format!("the series has more than {MOST} frames")));
    }
    let number = numbers(&attributes.own, "InstanceNumber").into_iter().flatten().next();
    for frame in 0..count {
        placed.push(Placed {
            slice: Slice {
                sop_instance_uid: uid.to_owned(),
                frame_number: u32::try_from(frame + 1).unwrap_or(u32::MAX),
            },
            orientation: orientation(attributes, frame),
            plane: plane(attributes, frame),
            instance_number: number.unwrap_or(0.0),
            has_number: number.is_some(),
        });
    }
    Ok(())
}

/// The plane of a frame (PS3.3 §C.7.6.2.1.1).
fn plane(attributes: &Attributes, frame: usize) -> Option<([f64; 3], f64)> {
    let (row, column) = cosines(attributes, frame)?;
    let source = attributes.group_or_own(frame, "PlanePositionSequence");
    let position: Option<Vec<f64>> = numbers(source, "ImagePositionPatient").into_iter().collect();
    let position: [f64; 3] = position?.try_into().ok()?;
    let normal = [
        row[1] * column[2] - row[2] * column[1],
        row[2] * column[0] - row[0] * column[2],
        row[0] * column[1] - row[1] * column[0],
    ];
    let along: f64 = normal.iter().zip(position).map(|(one, other)| one * other).sum();
    // Rounding errors of the writer do not order frames.
    Some((normal, (along * 1000.0 + 0.5).floor()))
}

fn sort(placed: &mut [Placed]) -> SliceOrder {
    placed.sort_by(by_number);
    // Those without a position are last, by number.
    placed.sort_by_key(|one| one.plane.is_none());
    let with_place = placed.iter().filter(|one| one.plane.is_some()).count();
    let all = placed.len();
    let (positioned, _) = placed.split_at_mut(with_place);
    let first = positioned.first().and_then(|one| one.plane).map(|(normal, _)| normal);
    let is_parallel = |one: &Placed| {
        let (Some((normal, along)), Some(first)) = (one.plane, first) else { return false };
        along.is_finite()
            && normal.iter().zip(first).all(|(one, other)| (one - other).abs() < PARALLEL)
    };
    if 2 * with_place <= all || !positioned.iter().all(is_parallel) {
        placed.sort_by(by_number);
        return SliceOrder::InstanceNumber;
    }
    let along = |one: &Placed| one.plane.map_or(0.0, |(_, along)| along);
    positioned.sort_by(|one, other| along(one).total_cmp(&along(other)));
    // The scanner's own direction is kept.
    if let (Some(first), Some(last)) = (positioned.first(), positioned.last())
        && along(first) < along(last)
        && number_and_frame(first, last) == Ordering::Greater
    {
        positioned.sort_by(|one, other| {
            along(other).total_cmp(&along(one)).then_with(|| by_number(one, other))
        });
    }
    SliceOrder::Position
}

fn by_number(one: &Placed, other: &Placed) -> Ordering {
    let numbers = one.instance_number.total_cmp(&other.instance_number);
    numbers
        .then_with(|| one.slice.sop_instance_uid.cmp(&other.slice.sop_instance_uid))
        .then_with(|| one.slice.frame_number.cmp(&other.slice.frame_number))
}

fn number_and_frame(one: &Placed, other: &Placed) -> Ordering {
    let numbers = one.instance_number.total_cmp(&other.instance_number);
    numbers.then_with(|| one.slice.frame_number.cmp(&other.slice.frame_number))
}

#[cfg(test)]
mod tests {
    use super::evenly_spaced;

    #[test]
    fn slices_are_spaced_evenly_from_the_first_to_the_last() {
        assert_eq!(evenly_spaced(9, 3), [0, 4, 8]);
        assert_eq!(evenly_spaced(10, 4), [0, 3, 6, 9]);
        assert_eq!(evenly_spaced(8, 3), [0, 4, 7]);
        assert_eq!(evenly_spaced(5, 16), [0, 1, 2, 3, 4]);
        assert_eq!(evenly_spaced(300, 1), [149]);
        assert_eq!(evenly_spaced(0, 4), [0_usize; 0]);
        for all in 2..80 {
            for wanted in 2..=all {
                let found = evenly_spaced(all, wanted);
                assert!(found.windows(2).all(|pair| pair[0] < pair[1]), "{all} {wanted}");
                assert_eq!((found[0], found[wanted - 1]), (0, all - 1));
            }
        }
    }
}
