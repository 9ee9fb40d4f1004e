//! Several frames in one picture.

use crate::orientation::Orientation;
use crate::picture::{Channels, Picture};
use crate::text;

/// Pixels between two cells, and their gray level.
const GAP: u32 = 2;
const GAP_LEVEL: u8 = 64;

/// Smallest side of a cell in pixels, so that its number can be read.
const SMALLEST: u32 = 48;

/// Side of a cell for which characters are enlarged once more.
const ENLARGED_EVERY: u32 = 100;

/// Grid of a contact sheet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ContactSheet {
    /// Rows of cells.
    pub rows: u32,
    /// Columns of cells.
    pub columns: u32,
    /// Height of a cell in pixels.
    pub cell_rows: u32,
    /// Width of a cell in pixels.
    pub cell_columns: u32,
}

/// A picture in a contact sheet.
#[derive(Debug)]
pub struct Tile {
    /// Number that is drawn into it.
    pub number: usize,
    /// The picture, no larger than a cell; `None` leaves the cell black.
    pub picture: Option<Picture>,
    /// Letters that are drawn into it.
    pub orientation: Option<Orientation>,
}

impl ContactSheet {
    /// Lays out a number of pictures of about one size, given as rows and columns, in the grid that shows them largest
    /// within `max_size` pixels a side. Pictures are never made larger.
    #[must_use]
    pub fn layout(count: usize, (rows, columns): (u32, u32), max_size: u32) -> Self {
        let count = u32::try_from(count).unwrap_or(u32::MAX).clamp(1, max_size.max(1));
        // What is left of a side by the gaps, for each cell.
        let side = |cells: u32| Some(max_size.checked_sub(GAP * (cells - 1))? / cells);
        let whole = max_size.max(1);
        let mut best = (-1.0, Self { rows: 1, columns: 1, cell_rows: whole, cell_columns: whole });
        for across in 1..=count {
            let down = count.div_ceil(across);
            let (Some(most_rows @ 1..), Some(most_columns @ 1..)) = (side(down), side(across))
            else {
                continue;
            };
            let scale = (f64::from(most_rows) / f64::from(rows.max(1)))
                .min(f64::from(most_columns) / f64::from(columns.max(1)))
                .min(1.0);
            // Of grids that show them alike, the one that is nearer to a square, and of two the wider.
            let rank = scale - 1e-9 * f64::from(across.abs_diff(down));
            if rank >= best.0 {
                let cell = |length: u32, most: u32| {
                    #[expect(
                        clippy::cast_possible_truncation,
                        clippy::cast_sign_loss,
                        reason = "not larger than the side was"
                    )]
                    let scaled = (f64::from(length) * scale).round() as u32;
                    scaled.max(SMALLEST).min(most)
                };
                let (cell_rows, cell_columns) =
                    (cell(rows, most_rows), cell(columns, most_columns));
                best = (rank, Self { rows: down, columns: across, cell_rows, cell_columns });
            }
        }
        best.1
    }

    /// Draws the tiles, row by row; those beyond the last cell are left out. The sheet is gray if all of them are.
    #[must_use]
    pub fn draw(&self, tiles: &[Tile]) -> Picture {
        let side = |cells: u32, length: u32| cells * length + (cells - 1) * GAP;
        let (rows, columns) =
            (side(self.rows, self.cell_rows), side(self.columns, self.cell_columns));
        let is_color = |tile: &Tile| {
            tile.picture.as_ref().is_some_and(|picture| picture.channels == Channels::Rgb)
        };
        let (channels, width) =
            if tiles.iter().any(is_color) { (Channels::Rgb, 3) } else { (Channels::Gray, 1) };
        let samples = vec![GAP_LEVEL; rows as usize * columns as usize * width];
        let mut sheet = Picture { rows, columns, channels, samples };
        let places = (0..self.rows).flat_map(|row| (0..self.columns).map(move |at| (row, at)));
        let mut tiles = tiles.iter();
        for (row, column) in places {
            let place = (row * (self.cell_rows + GAP), column * (self.cell_columns + GAP));
            self.draw_cell(&mut sheet, place, tiles.next());
        }
        sheet
    }

    fn draw_cell(&self, sheet: &mut Picture, (top, left): (u32, u32), tile: Option<&Tile>) {
        let (height, width) = (self.cell_rows, self.cell_columns);
        let black = Picture {
            rows: height,
            columns: width,
            channels: Channels::Gray,
            samples: vec![0; height as usize * width as usize],
        };
        paste(sheet, &black, (top, left));
        let Some(tile) = tile else { return };
        if let Some(picture) = &tile.picture {
            let (down, across) = (
                height.saturating_sub(picture.rows) / 2,
                width.saturating_sub(picture.columns) / 2,
            );
            paste(sheet, picture, (top + down, left + across));
        }
        let scale = (height.min(width) / ENLARGED_EVERY).clamp(1, 4);
        let size = text::SIZE * scale;
        let margin = 2 * scale;
        let long = |letters: &str| u32::try_from(letters.len()).unwrap_or(1) * size;
        text::draw(sheet, &tile.number.to_string(), (top + margin, left + margin), scale);
        let Some(Orientation { left: west, right: east, top: north, bottom: south }) =
            &tile.orientation
        else {
            return;
        };
        let middle_row = top + height.saturating_sub(size) / 2;
        let middle = |letters: &str| left + width.saturating_sub(long(letters)) / 2;
        let right = left + width.saturating_sub(long(east) + margin);
        let bottom = top + height.saturating_sub(size + margin);
        text::draw(sheet, west, (middle_row, left + margin), scale);
        text::draw(sheet, east, (middle_row, right), scale);
        text::draw(sheet, north, (top + margin, middle(north)), scale);
        text::draw(sheet, south, (bottom, middle(south)), scale);
    }
}

/// Copies a picture into another at a place; gray becomes color where the other is in color.
fn paste(sheet: &mut Picture, picture: &Picture, (top, left): (u32, u32)) {
    let width = |channels| if channels == Channels::Rgb { 3 } else { 1 };
    let (from, to) = (width(picture.channels), width(sheet.channels));
    let source = picture.samples.chunks_exact((picture.columns as usize * from).max(1));
    let line = (sheet.columns as usize * to).max(1);
    let target = sheet.samples.chunks_exact_mut(line).skip(top as usize);
    for (target, source) in target.zip(source) {
        let target = target.chunks_exact_mut(to).skip(left as usize);
        for (pixel, color) in target.zip(source.chunks_exact(from)) {
            match color {
                [gray] => pixel.fill(*gray),
                color if color.len() == pixel.len() => pixel.copy_from_slice(color),
                _ => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sheet_is_as_large_as_it_may_be_and_no_larger() {
        let sheet = ContactSheet::layout(16, (512, 512), 1024);
        assert_eq!((sheet.rows, sheet.columns), (4, 4));
        assert_eq!((sheet.cell_rows, sheet.cell_columns), (254, 254));
        // Wide pictures lie below each other.
        let sheet = ContactSheet::layout(3, (100, 400), 1024);
        assert_eq!((sheet.cell_rows, sheet.cell_columns), (100, 400));
        assert_eq!((sheet.rows, sheet.columns), (2, 2));
        let sheet = ContactSheet::layout(3, (400, 3000), 1000);
        assert_eq!((sheet.rows, sheet.columns), (3, 1));
        for count in [1, 2, 3, 7, 16, 31, 100] {
            for size in [(512, 512), (4000, 3000), (10, 900), (2, 3), (1, 65535)] {
                for most in [256, 300, 1024] {
                    let sheet = ContactSheet::layout(count, size, most);
                    let picture = sheet.draw(&[]);
                    assert!(picture.rows <= most && picture.columns <= most, "{count} {size:?}");
                    let cells = sheet.rows * sheet.columns;
                    assert!(cells as usize >= count, "{count} {size:?} {most}");
                }
            }
        }
    }

    #[test]
    fn pictures_lie_in_their_cells() {
        let picture = |channels, level: u8, width: usize| Picture {
            rows: 60,
            columns: 60,
            channels,
            samples: [level, 7, 7][..width].repeat(3600),
        };
        let tile = |number, picture| Tile { number, picture, orientation: None };
        let gray = tile(1, Some(picture(Channels::Gray, 90, 1)));
        let sheet = ContactSheet::layout(4, (60, 60), 1024);
        assert_eq!((sheet.rows, sheet.columns), (2, 2));
        let drawn = sheet.draw(&[gray, tile(2, None)]);
        assert_eq!((drawn.rows, drawn.columns, drawn.channels), (122, 122, Channels::Gray));
        let at = |row: usize, column: usize| drawn.samples[row * 122 + column];
        // The first picture, the line, and the black of a cell without one.
        assert_eq!((at(30, 30), at(30, 60), at(30, 61), at(30, 90)), (90, 64, 64, 0));
        assert_eq!(at(90, 30), 0);

        let color = tile(2, Some(picture(Channels::Rgb, 200, 3)));
        let gray = tile(1, Some(picture(Channels::Gray, 90, 1)));
        let drawn = sheet.draw(&[gray, color]);
        let at = |row: usize, column: usize| &drawn.samples[(row * 122 + column) * 3..][..3];
        assert_eq!((at(30, 30), at(30, 90)), (&[90, 90, 90][..], &[200, 7, 7][..]));
    }
}
