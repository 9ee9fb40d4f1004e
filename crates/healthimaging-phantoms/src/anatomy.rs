//! The bodies: what a slice, a projection or an echo looks like, before it is stored.

use std::f32::consts::{PI, TAU};

use crate::noise::Noise;
use crate::plane::{Ellipse, Plane};
use crate::seed::Generator;

/// What is in the picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Anatomy {
    /// A thorax in Hounsfield units.
    Thorax,
    /// A head as a T1-weighted MR sees it, in arbitrary units.
    Head,
    /// A heart in an ultrasound fan.
    Echo,
    /// A chest radiograph; high values are much exposed.
    Radiograph,
}

impl Anatomy {
    /// The lowest and the highest value that a picture can hold.
    pub(crate) fn range(self) -> (f32, f32) {
        match self {
            Self::Thorax => (-1024.0, 3071.0),
            Self::Head | Self::Radiograph => (0.0, 4095.0),
            Self::Echo => (0.0, 255.0),
        }
    }

    /// The deviation of the noise that suits the picture.
    pub(crate) fn noise(self) -> f32 {
        match self {
            Self::Thorax => 18.0,
            Self::Head => 14.0,
            Self::Echo => 0.0,
            Self::Radiograph => 9.0,
        }
    }

    /// Draws the picture at `z` (0 to 1: the way through the body, or the heart's cycle).
    pub(crate) fn draw(self, rows: usize, columns: usize, z: f32, seed: u64) -> Plane {
        match self {
            Self::Thorax => thorax(rows, columns, z, seed),
            Self::Head => head(rows, columns, z, seed),
            Self::Echo => echo(rows, columns, z, seed),
            Self::Radiograph => radiograph(rows, columns, seed),
        }
    }

    /// The picture as red, green and blue: an echo gets a Doppler cloud, anything else a warm tint.
    pub(crate) fn color(self, gray: &Plane, z: f32) -> [Plane; 3] {
        if self == Self::Echo {
            return doppler(gray, z);
        }
        let (low, _) = self.range();
        [1.0, 0.9, 0.75].map(|share| {
            let mut plane = gray.clone();
            for value in &mut plane.values {
                *value = low + (*value - low) * share;
            }
            plane
        })
    }
}

fn thorax(rows: usize, columns: usize, z: f32, seed: u64) -> Plane {
    let mut slice = Plane::new(rows, columns, -1000.0);
    let size = 0.75 + 0.1 * (z * 3.1).sin();
    slice.fill(Ellipse::new(0.0, 0.0, size, size * 0.75), -90.0);
    slice.fill(Ellipse::new(0.0, 0.0, size * 0.93, size * 0.68), 45.0);
    for side in [-1.0, 1.0] {
        let width = 0.22 + 0.08 * (z * 2.0).cos();
        slice.fill(Ellipse::new(side * 0.3, -0.05, width, 0.34), -830.0);
    }
    slice.fill(Ellipse::new(0.0, 0.38, 0.10, 0.10), 380.0);
    slice.fill(Ellipse::new(0.0, 0.38, 0.05, 0.05), 40.0);
    slice.fill(Ellipse::new(0.02, 0.02, 0.08 + 0.02 * z, 0.10), 160.0);
    for rib in 0..10u8 {
        let angle = f32::from(rib) * 0.628 + z * 0.4;
        let (x, y) = (size * 0.83 * angle.cos(), size * 0.60 * angle.sin());
        slice.fill(Ellipse::new(x, y, 0.04, 0.028), 600.0);
    }
    let mut vessels = Generator::new(seed, &["vessels"]);
    for _ in 0..60 {
        let x = vessels.between(-0.5, 0.5) + 0.05 * z;
        let y = vessels.between(-0.35, 0.3);
        let radius = vessels.between(0.006, 0.016);
        slice.add(Ellipse::new(x, y, radius, radius), vessels.between(60.0, 500.0));
    }
    slice.blur();
    slice
}

fn head(rows: usize, columns: usize, z: f32, seed: u64) -> Plane {
    let mut slice = Plane::new(rows, columns, 8.0);
    let size = 0.62 + 0.18 * (z * PI).sin();
    for (share, value) in [(1.0, 820.0), (0.94, 60.0), (0.89, 180.0), (0.86, 430.0)] {
        slice.fill(Ellipse::new(0.0, 0.0, size * 0.8 * share, size * share), value);
    }
    for side in [-1.0, 1.0] {
        slice.fill(Ellipse::new(side * size * 0.34, 0.0, size * 0.26, size * 0.62), 620.0);
        slice.fill(Ellipse::new(side * 0.09, -0.05, 0.05, 0.1 + 0.12 * z), 140.0);
    }
    let mut folds = Generator::new(seed, &["folds"]);
    for _ in 0..140 {
        let angle = folds.between(0.0, TAU) + 0.3 * z;
        let reach = size * folds.between(0.70, 0.84);
        let (x, y) = (reach * 0.8 * angle.cos(), reach * angle.sin());
        let (width, height) = (folds.between(0.01, 0.04), folds.between(0.01, 0.03));
        slice.fill(Ellipse::new(x, y, width, height), folds.between(190.0, 460.0));
    }
    // The receive coil is nearer to one side: the signal falls off across the head.
    slice.map(|x, y, value| value * (1.0 + 0.12 * x - 0.08 * y));
    slice.blur();
    slice
}

fn echo(rows: usize, columns: usize, phase: f32, seed: u64) -> Plane {
    let mut fan = Plane::new(rows, columns, 95.0);
    let beat = (phase * TAU).sin();
    let (width, height) = (0.26 + 0.05 * beat, 0.36 + 0.06 * beat);
    fan.fill(Ellipse::new(-0.05, 0.15, width + 0.1, height + 0.1), 165.0);
    fan.fill(Ellipse::new(-0.05, 0.15, width, height), 18.0);
    fan.fill(Ellipse::new(0.32, 0.30, 0.16 - 0.03 * beat, 0.22), 22.0);
    fan.fill(Ellipse::new(-0.05 + 0.05 * beat, 0.42, 0.2, 0.012), 220.0);
    let speckle = Noise::new(rows, columns, &mut Generator::new(seed, &["speckle"]));
    let mut grains = Plane::new(rows, columns, 0.0);
    let shift = (phase * 4.0).max(0.0);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a few pixels, never negative"
    )]
    speckle.add_to(&mut grains, shift as usize, 0, 0.45);
    // Speckle multiplies the echo; behind the fan's edge nothing returns.
    for (value, grain) in fan.values.iter_mut().zip(&grains.values) {
        *value = (*value * (1.0 + grain)).clamp(0.0, 255.0);
    }
    fan.map(|x, y, value| {
        let (down, distance) = (y + 0.95, x.hypot(y + 0.95));
        let inside = down > 0.0 && distance < 1.85 && x.abs() < down * 0.75;
        if inside { value * (1.15 - 0.3 * distance) } else { 0.0 }
    });
    fan
}

fn doppler(gray: &Plane, phase: f32) -> [Plane; 3] {
    let mut channels = [gray.clone(), gray.clone(), gray.clone()];
    let flow = (phase * TAU).cos();
    let strength = 120.0 + 120.0 * flow.abs();
    let [red, green, blue] = &mut channels;
    let (towards, away) = if flow >= 0.0 { (red, blue) } else { (blue, red) };
    for share in [1.0, 0.6] {
        let cloud = Ellipse::new(-0.02, 0.25 + 0.1 * flow, 0.12 * share, 0.2 * share);
        towards.change(cloud, |v| (v * 0.3 + strength * (1.2 - 0.4 * share)).min(255.0));
        green.change(cloud, |v| (v * 0.2 + 90.0 * (1.0 - share)).min(255.0));
        away.change(cloud, |v| v * 0.1);
    }
    channels
}

fn radiograph(rows: usize, columns: usize, seed: u64) -> Plane {
    // First how much tissue each ray crosses, then what is left of it.
    let mut path = Plane::new(rows, columns, 0.0);
    path.map(|x, y, _| {
        let width = 0.78 + 0.12 * y;
        (1.0 - (x / width).powi(2)).max(0.0).sqrt() * 1.6
    });
    for side in [-1.0, 1.0] {
        path.change(Ellipse::new(side * 0.36, -0.08, 0.27, 0.62), |v| v * 0.48);
        path.add(Ellipse::new(side * 0.45, -0.86, 0.42, 0.03), 0.28);
    }
    path.add(Ellipse::new(0.0, 0.0, 0.09, 1.2), 0.55);
    path.add(Ellipse::new(0.14, 0.25, 0.24, 0.3), 0.6);
    path.add(Ellipse::new(-0.3, 0.85, 0.55, 0.35), 0.5);
    for rib in 0..9u8 {
        let low = f32::from(rib) * 0.15 - 0.78;
        for side in [-1.0, 1.0] {
            path.add(Ellipse::new(side * 0.36, low, 0.33, 0.022), 0.16);
        }
    }
    let mut vessels = Generator::new(seed, &["lung vessels"]);
    for _ in 0..260 {
        let x = vessels.between(0.1, 0.58) * if vessels.below(2) == 0 { -1.0 } else { 1.0 };
        let y = vessels.between(-0.6, 0.45);
        let (width, height) = (vessels.between(0.003, 0.02), vessels.between(0.003, 0.03));
        path.add(Ellipse::new(x, y, width, height), vessels.between(0.02, 0.12));
    }
    path.blur();
    path.map(|_, _, tissue| 3600.0 * (-tissue).exp() + 120.0);
    path
}
