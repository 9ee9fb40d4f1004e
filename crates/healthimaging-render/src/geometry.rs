//! Faults of a series of slices: gaps, uneven spacing, mixed orientations, missing attributes.

use std::collections::BTreeMap;

use crate::attributes::{Attributes, number, numbers};
use crate::orientation::cosines;
use crate::stack::{Placed, SliceOrder};

/// Attributes that every slice of a volume has, each with the functional group of an enhanced image that holds it
/// (PS3.3 §C.7.6.2, §C.7.6.16).
const EXPECTED: [(&str, &str); 4] = [
    ("ImageOrientationPatient", "PlaneOrientationSequence"),
    ("ImagePositionPatient", "PlanePositionSequence"),
    ("PixelSpacing", "PixelMeasuresSequence"),
    ("SliceThickness", "PixelMeasuresSequence"),
];

/// Missing besides those: number of an instance.
const INSTANCE_NUMBER: &str = "InstanceNumber";

/// Most faults of one kind that are listed.
const LISTED: usize = 20;

/// Largest difference of direction cosines of one orientation.
const PARALLEL: f64 = 0.01;

/// Most orientations that are counted separately.
const MOST_ORIENTATIONS: usize = 10;

/// Distances that differ by up to so many micrometers are equal: rounding errors of the writer.
const ROUNDING: f64 = 10.0;

/// A distance of so many times the usual one is a gap.
const GAP: f64 = 1.5;

/// Distances that differ by more than this part of the usual one are uneven.
const UNEVEN: f64 = 0.05;

/// A distance between two slices that is not the usual one.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Distance {
    /// The slice before it, from 1 in the order of the stack.
    pub after_slice: usize,
    /// In millimeters.
    pub millimeters: f64,
}

/// What the positions of the slices of a series show. Lists have at most 20 entries, counts are whole.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Geometry {
    /// What orders the slices.
    pub order: SliceOrder,
    /// Number of different orientations, at most 10; 0 if no slice has one.
    pub orientations: usize,
    /// Usual distance of neighboring slices in millimeters, the median; `None` unless all are parallel.
    pub spacing: Option<f64>,
    /// Number of distances of at least one and a half times the usual one.
    pub gaps: usize,
    /// Number of other distances that differ by more than 5 % from the usual one.
    pub uneven: usize,
    /// The first gaps and uneven distances.
    pub distances: Vec<Distance>,
    /// Number of slices at the position of the slice before, as repeated slices or phases are.
    pub at_one_position: usize,
    /// The first Instance Numbers between the smallest and the largest that no instance has.
    pub missing_numbers: Vec<u64>,
    /// Number of slices that lack an attribute, by its keyword; those that none lacks are absent.
    pub lacking: BTreeMap<&'static str, usize>,
}

impl Geometry {
    /// Counts what the instance lacks, for each of its frames.
    pub(crate) fn look(&mut self, attributes: &Attributes, frames: usize) {
        if number(&attributes.own, INSTANCE_NUMBER).is_none() {
            *self.lacking.entry(INSTANCE_NUMBER).or_default() += frames;
        }
        for (keyword, group) in EXPECTED {
            let has = |frame| {
                let values = numbers(attributes.group_or_own(frame, group), keyword);
                !values.is_empty() && values.iter().all(Option::is_some)
            };
            let lacking = (0..frames).filter(|frame| !has(*frame)).count();
            if lacking > 0 {
                *self.lacking.entry(keyword).or_default() += lacking;
            }
        }
    }

    /// Adds what the order and the positions show; `placed` is in the order of the stack.
    pub(crate) fn measure(&mut self, placed: &[Placed]) {
        self.orientations = orientations(placed);
        self.missing_numbers = missing_numbers(placed);
        let positions: Option<Vec<f64>> = placed
            .iter()
            .map(|one| one.plane.map(|(_, along)| along).filter(|along| along.is_finite()))
            .collect();
        let Some(positions) = positions.filter(|_| self.orientations == 1) else { return };
        let between: Vec<f64> =
            positions.windows(2).map(|pair| (pair[1] - pair[0]).abs()).collect();
        self.at_one_position = between.iter().filter(|distance| **distance < ROUNDING).count();
        let mut usual: Vec<f64> =
            between.iter().copied().filter(|distance| *distance >= ROUNDING).collect();
        usual.sort_by(f64::total_cmp);
        let Some(usual) = usual.get(usual.len().saturating_sub(1) / 2).copied() else { return };
        self.spacing = Some(usual / 1000.0);
        for (at, distance) in between.into_iter().enumerate() {
            let is_gap = distance >= GAP * usual;
            let differs = (distance - usual).abs() > (UNEVEN * usual).max(ROUNDING);
            if distance < ROUNDING || !differs {
                continue;
            }
            *(if is_gap { &mut self.gaps } else { &mut self.uneven }) += 1;
            if self.distances.len() < LISTED {
                self.distances
                    .push(Distance { after_slice: at + 1, millimeters: distance / 1000.0 });
            }
        }
    }

    /// Whether nothing is wrong with the slices.
    #[must_use]
    pub fn is_regular(&self) -> bool {
        self.orientations == 1
            && self.gaps + self.uneven + self.at_one_position == 0
            && self.missing_numbers.is_empty()
            && self.lacking.is_empty()
    }
}

fn orientations(placed: &[Placed]) -> usize {
    let mut known: Vec<[f64; 6]> = Vec::new();
    for one in placed.iter().filter_map(|one| one.orientation) {
        let is_known = known
            .iter()
            .any(|other| one.iter().zip(other).all(|(one, other)| (one - other).abs() < PARALLEL));
        if !is_known && known.len() < MOST_ORIENTATIONS {
            known.push(one);
        }
    }
    known.len()
}

/// Both directions of a frame.
pub(crate) fn orientation(attributes: &Attributes, frame: usize) -> Option<[f64; 6]> {
    let (row, column) = cosines(attributes, frame)?;
    [row, column].concat().try_into().ok()
}

fn missing_numbers(placed: &[Placed]) -> Vec<u64> {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "whole, positive and below 2^53"
    )]
    let whole = |number: f64| {
        (number.fract() == 0.0 && (0.0..9e15).contains(&number)).then_some(number as u64)
    };
    let mut numbers: Vec<u64> = placed
        .iter()
        .filter(|one| one.has_number)
        .filter_map(|one| whole(one.instance_number))
        .collect();
    numbers.sort_unstable();
    numbers.windows(2).flat_map(|pair| pair[0].saturating_add(1)..pair[1]).take(LISTED).collect()
}
