//! Directions of the body at the edges of an image.

use crate::attributes::{Attributes, numbers};
use crate::document::FrameLocation;

/// Cosines below this have no letter.
const LEAST: f64 = 0.3;

/// Letters of the directions at the edges of an image (PS3.3 §C.7.6.1.1.1): R, L, A, P, F and H, those of the
/// largest components first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Orientation {
    /// At the left edge.
    pub left: String,
    /// At the right edge.
    pub right: String,
    /// At the top.
    pub top: String,
    /// At the bottom.
    pub bottom: String,
}

impl FrameLocation {
    /// Returns the orientation by Image Orientation (Patient) (0020,0037) or else Patient Orientation (0020,0020);
    /// `None` if the frame has neither.
    #[must_use]
    pub fn orientation(&self) -> Option<Orientation> {
        let attributes = &self.instance.attributes;
        match cosines(attributes, self.index) {
            Some((row, column)) => Some(Orientation {
                left: letters(row.map(|cosine| -cosine)),
                right: letters(row),
                top: letters(column.map(|cosine| -cosine)),
                bottom: letters(column),
            }),
            None => by_letters(attributes),
        }
    }
}

/// Image Orientation (Patient) of a frame, counted from 0: the direction of rows, and that of columns.
pub(crate) fn cosines(attributes: &Attributes, frame: usize) -> Option<([f64; 3], [f64; 3])> {
    let source = attributes.group_or_own(frame, "PlaneOrientationSequence");
    let found: Option<Vec<f64>> = numbers(source, "ImageOrientationPatient").into_iter().collect();
    let found = found?;
    let (row, column) = found.split_at_checked(3)?;
    Some((row.try_into().ok()?, column.try_into().ok()?))
}

fn letters(direction: [f64; 3]) -> String {
    let ends = [('R', 'L'), ('A', 'P'), ('F', 'H')];
    let mut found: Vec<(f64, char)> = direction
        .into_iter()
        .zip(ends)
        .map(|(cosine, (minus, plus))| (cosine.abs(), if cosine > 0.0 { plus } else { minus }))
        .filter(|(size, _)| *size > LEAST)
        .collect();
    found.sort_by(|(one, _), (other, _)| other.total_cmp(one));
    found.into_iter().map(|(_, letter)| letter).collect()
}

/// Patient Orientation: the direction of rows, then that of columns.
fn by_letters(attributes: &Attributes) -> Option<Orientation> {
    let value = attributes.get("PatientOrientation")?;
    let texts: Vec<&str> = match value.as_array() {
        Some(values) => values.iter().filter_map(|value| value.as_str()).collect(),
        None => value.as_str()?.split('\\').collect(),
    };
    let [right, bottom] = texts[..] else { return None };
    let [right, bottom] = [right.trim(), bottom.trim()];
    let is_known = |text: &str| {
        (1..=3).contains(&text.len()) && text.bytes().all(|letter| b"RLAPHF".contains(&letter))
    };
    (is_known(right) && is_known(bottom)).then(|| Orientation {
        left: opposite(right),
        right: right.to_owned(),
        top: opposite(bottom),
        bottom: bottom.to_owned(),
    })
}

fn opposite(letters: &str) -> String {
    let other = |letter| match letter {
        'R' => 'L',
        'L' => 'R',
        'A' => 'P',
        'P' => 'A',
        'H' => 'F',
        _ => 'H',
    };
    letters.chars().map(other).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_are_those_of_the_largest_components() {
        assert_eq!(letters([1.0, 0.0, 0.0]), "L");
        assert_eq!(letters([0.0, -1.0, 0.0]), "A");
        assert_eq!(letters([0.0, 0.6, -0.8]), "FP");
        assert_eq!(letters([0.98, 0.2, 0.0]), "L");
    }
}
