//! Noise as a scanner makes it.
#![expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    reason = "a deviation needs no more than f32"
)]

use crate::plane::Plane;
use crate::seed::Generator;

/// A field of noise with mean 0 and deviation 1 that wraps at its edges.
///
/// Neighboring values are correlated as after filtered back projection: a band-pass, here the
/// difference of two Gaussian blurs (0.75 and 1.5 pixels), with a little white noise left in.
#[derive(Debug)]
pub(crate) struct Noise {
    columns: usize,
    values: Vec<f32>,
}

const NARROW: [f32; 3] = [0.5246, 0.2157, 0.0150];
const WIDE: [f32; 5] = [0.2665, 0.2134, 0.1096, 0.0361, 0.0076];
const WHITE: f32 = 0.075;

impl Noise {
    pub(crate) fn new(rows: usize, columns: usize, generator: &mut Generator) -> Self {
        let white: Vec<f32> = (0..rows * columns).map(|_| generator.normal()).collect();
        let narrow = blurred(&white, rows, columns, &NARROW);
        let wide = blurred(&white, rows, columns, &WIDE);
        let mut values: Vec<f32> = white
            .iter()
            .zip(narrow.iter().zip(&wide))
            .map(|(white, (narrow, wide))| narrow - wide + WHITE * white)
            .collect();
        let power: f64 = values.iter().map(|v| f64::from(*v) * f64::from(*v)).sum();
        let deviation = (power / values.len().max(1) as f64).sqrt().max(1e-6) as f32;
        for value in &mut values {
            *value /= deviation;
        }
        Self { columns, values }
    }

    /// Adds the field, moved by (`down`, `right`) and multiplied by `gain`, to a plane of its size.
    pub(crate) fn add_to(&self, plane: &mut Plane, down: usize, right: usize, gain: f32) {
        let columns = self.columns.max(1);
        let start = down % plane.rows.max(1) * columns;
        let (first, last) = self.values.split_at(start.min(self.values.len()));
        let source = last.chunks(columns).chain(first.chunks(columns));
        for (line, noise) in plane.values.chunks_mut(columns).zip(source) {
            let (left, rest) = noise.split_at(right % columns);
            for (value, noise) in line.iter_mut().zip(rest.iter().chain(left)) {
                *value += noise * gain;
            }
        }
    }
}

/// `values` convolved along both axes with a symmetric kernel, given from its center outwards.
fn blurred(values: &[f32], rows: usize, columns: usize, kernel: &[f32]) -> Vec<f32> {
    let across: Vec<f32> = values
        .chunks(columns.max(1))
        .flat_map(|line| (0..columns).map(move |i| tap(kernel, i, columns, |j| line[j])))
        .collect();
    (0..rows * columns)
        .map(|i| tap(kernel, i / columns, rows, |row| across[row * columns + i % columns]))
        .collect()
}

/// The kernel's weighted sum around index `i` of a ring of `count` values.
fn tap(kernel: &[f32], i: usize, count: usize, at: impl Fn(usize) -> f32) -> f32 {
    let ring = |offset: usize| at((i + offset) % count);
    kernel
        .iter()
        .enumerate()
        .map(|(k, weight)| match k {
            0 => weight * ring(0),
            _ => weight * (ring(k) + ring(count * k - k)),
        })
        .sum()
}
