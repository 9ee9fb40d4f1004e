//! A gray picture under construction.
#![expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "pixel numbers are small, and clamping casts are meant"
)]

/// One picture of `f32` values, row by row; coordinates for drawing run from -1 to 1 on both axes.
#[derive(Debug, Clone)]
pub(crate) struct Plane {
    pub(crate) rows: usize,
    pub(crate) columns: usize,
    pub(crate) values: Vec<f32>,
}

/// An ellipse in drawing coordinates.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ellipse {
    pub(crate) x: f32,
    pub(crate) y: f32,
    pub(crate) half_width: f32,
    pub(crate) half_height: f32,
}

impl Ellipse {
    pub(crate) fn new(x: f32, y: f32, half_width: f32, half_height: f32) -> Self {
        Self { x, y, half_width, half_height }
    }
}

impl Plane {
    pub(crate) fn new(rows: usize, columns: usize, value: f32) -> Self {
        Self { rows, columns, values: vec![value; rows * columns] }
    }

    /// Sets everything inside the ellipse to `value`.
    pub(crate) fn fill(&mut self, ellipse: Ellipse, value: f32) {
        self.change(ellipse, |_| value);
    }

    /// Adds `value` to everything inside the ellipse.
    pub(crate) fn add(&mut self, ellipse: Ellipse, value: f32) {
        self.change(ellipse, |old| old + value);
    }

    /// Applies `f` to the values inside the ellipse; touches only the rows and columns it spans.
    pub(crate) fn change(&mut self, ellipse: Ellipse, f: impl Fn(f32) -> f32) {
        let columns = self.columns;
        for row in span(ellipse.y, ellipse.half_height, self.rows) {
            let dy = (coordinate(row, self.rows) - ellipse.y) / ellipse.half_height;
            let reach = 1.0 - dy * dy;
            if reach <= 0.0 {
                continue;
            }
            let across = span(ellipse.x, ellipse.half_width * reach.sqrt(), columns);
            for value in &mut self.values[row * columns..][across] {
                *value = f(*value);
            }
        }
    }

    /// Replaces each value by `f(x, y, value)`.
    pub(crate) fn map(&mut self, f: impl Fn(f32, f32, f32) -> f32) {
        let (rows, columns) = (self.rows, self.columns);
        for (row, line) in self.values.chunks_mut(columns.max(1)).enumerate() {
            let y = coordinate(row, rows);
            for (column, value) in line.iter_mut().enumerate() {
                *value = f(coordinate(column, columns), y, *value);
            }
        }
    }

    /// Averages each value with its four neighbors, as a detector's blur does; edges wrap.
    pub(crate) fn blur(&mut self) {
        let (rows, columns) = (self.rows, self.columns);
        let old = self.values.clone();
        for row in 0..rows {
            let line = |r: usize| &old[r % rows * columns..][..columns];
            let (above, here, below) = (line(row + rows - 1), line(row), line(row + 1));
            for (i, value) in self.values[row * columns..][..columns].iter_mut().enumerate() {
                let sides = here[(i + columns - 1) % columns] + here[(i + 1) % columns];
                *value = (here[i] + above[i] + below[i] + sides) / 5.0;
            }
        }
    }
}

/// The drawing coordinate of pixel `index` of `count`.
fn coordinate(index: usize, count: usize) -> f32 {
    (index as f32 + 0.5) / count as f32 * 2.0 - 1.0
}

/// The pixels of `count` whose centers lie within `half` of `center`.
fn span(center: f32, half: f32, count: usize) -> std::ops::Range<usize> {
    // A float too low or too high to be a pixel number becomes 0 or the last one.
    let pixel = |c: f32| ((c.midpoint(1.0) * count as f32 - 0.5).ceil() as usize).min(count);
    let (low, high) = (pixel(center - half), pixel(center + half));
    low..high.max(low)
}
