//! Presentation states, by what they refer to and change (PS3.3 §A.33, §C.10, §C.11).

use super::json::{DataSet, item, items, joined, text};
use super::reference::{Evidence, Reference};

/// A line: its depth and text.
pub(super) type Line = (usize, String);

/// Attributes of the root that are shown: name, tag.
const ATTRIBUTES: &[(&str, &str)] = &[
    ("Content label", "00700080"),
    ("Content description", "00700081"),
    ("Creation date", "00700082"),
    ("Creation time", "00700083"),
    ("Image rotation in degrees", "00700042"),
    ("Image flipped horizontally", "00700041"),
    ("Presentation LUT shape", "20500020"),
    ("Rescale slope", "00281053"),
    ("Rescale intercept", "00281052"),
    ("Shutter shape", "00181600"),
];

/// Describes a presentation state, and lists what it refers to.
pub(super) fn read(root: &DataSet) -> (Vec<Line>, Vec<Reference>) {
    let evidence = Evidence::of_series(root);
    let mut lines = Vec::new();
    for (name, tag) in ATTRIBUTES {
        lines.extend(joined(root, tag, " \\ ").map(|value| (0, format!("{name}: {value}"))));
    }
    let mut references = Vec::new();
    for series in items(root, "00081115") {
        let uid = text(series, "0020000E").unwrap_or_default();
        lines.push((0, format!("Refers to series {uid}")));
        for image in items(series, "00081140") {
            let reference = Reference::of(image, &evidence);
            let of_series = Reference { series_instance_uid: None, ..reference.clone() };
            lines.push((1, format!("Image {of_series}")));
            references.push(reference);
        }
    }
    for voi in items(root, "00283110") {
        let value = |tag| joined(voi, tag, " \\ ");
        if let (Some(center), Some(width)) = (value("00281050"), value("00281051")) {
            lines.push((0, format!("Window center {center}, width {width}")));
        }
        for lut in items(voi, "00283010") {
            let explanation = text(lut, "00283003").unwrap_or_default();
            lines.push((0, format!("VOI LUT {explanation}").trim_end().to_owned()));
        }
    }
    for area in items(root, "0070005A") {
        let value = |tag| joined(area, tag, ", ").unwrap_or_default();
        lines.push((
            0,
            format!(
                "Displayed area: columns and rows {} to {}, {}",
                value("00700052"),
                value("00700053"),
                value("00700100")
            )
            .trim_end_matches([',', ' '])
            .to_owned(),
        ));
    }
    for layer in items(root, "00700060") {
        let name = text(layer, "00700002").unwrap_or_default();
        lines.push((0, format!("Graphic layer: {name}")));
        lines.extend(text(layer, "00700068").map(|text| (1, format!("Description: {text}"))));
    }
    for annotation in items(root, "00700001") {
        let layer = text(annotation, "00700002").unwrap_or_default();
        lines.push((0, format!("Annotation in layer {layer}")));
        for one in items(annotation, "00700008") {
            lines.extend(text(one, "00700006").map(|text| (1, format!("Text: {text}"))));
        }
        for one in items(annotation, "00700009") {
            let kind = text(one, "00700023").unwrap_or_default();
            let points = text(one, "00700021").unwrap_or_default();
            lines.push((1, format!("Graphic: {kind}, {points} points")));
        }
    }
    if let Some(blended) = item(root, "00700402") {
        lines.extend(text(blended, "00700405").map(|at| (0, format!("Blending position: {at}"))));
    }
    (lines, references)
}
