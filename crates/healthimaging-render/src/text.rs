//! Short texts in a picture, such as slice numbers.

use font8x8::UnicodeFonts as _;

use crate::picture::{Channels, Picture};

/// Height and width of a character before it is enlarged, in pixels.
pub(crate) const SIZE: u32 = 8;

/// Draws ASCII characters in white with a black outline, each pixel of the font as a square of `scale` pixels. Other
/// characters are blank, and what lies outside of the picture is left out.
pub(crate) fn draw(picture: &mut Picture, text: &str, (top, left): (u32, u32), scale: u32) {
    let mut dots = Vec::new();
    for (place, character) in (0_u32..).zip(text.chars()) {
        let glyph = font8x8::BASIC_FONTS.get(character).unwrap_or_default();
        for (row, bits) in (0_u32..).zip(glyph) {
            // The lowest bit is the leftmost pixel.
            let columns = (0..SIZE).filter(|column| bits >> column & 1 == 1);
            dots.extend(columns.map(|column| (row, place * SIZE + column)));
        }
    }
    let outline = scale.div_ceil(2);
    for (is_white, margin) in [(false, outline), (true, 0)] {
        for (row, column) in &dots {
            let (row, column) = (top + row * scale, left + column * scale);
            let rows = row.saturating_sub(margin)..row + scale + margin;
            for row in rows {
                for column in column.saturating_sub(margin)..column + scale + margin {
                    set(picture, row, column, if is_white { 255 } else { 0 });
                }
            }
        }
    }
}

fn set(picture: &mut Picture, row: u32, column: u32, level: u8) {
    if row >= picture.rows || column >= picture.columns {
        return;
    }
    let channels = match picture.channels {
        Channels::Gray => 1,
        Channels::Rgb => 3,
    };
    let at = (row as usize * picture.columns as usize + column as usize) * channels;
    if let Some(pixel) = picture.samples.get_mut(at..at + channels) {
        pixel.fill(level);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_character_is_white_in_a_black_outline() {
        let (rows, columns) = (12, 12);
        let samples = vec![100; 144];
        let mut picture = Picture { rows, columns, channels: Channels::Gray, samples };
        draw(&mut picture, "I", (2, 2), 1);
        let at = |row: usize, column: usize| picture.samples[row * 12 + column];
        // The stem of an I, the black beside it, and what is away from it.
        let mut row: Vec<u8> = (0..12).map(|column| at(5, column)).collect();
        row.sort_unstable();
        assert_eq!(row, [0, 0, 100, 100, 100, 100, 100, 100, 100, 100, 255, 255]);
        assert_eq!((at(0, 0), at(5, 0), at(11, 11)), (100, 100, 100));
        // Beyond the edge nothing is drawn.
        draw(&mut picture, "8", (10, 10), 4);
    }
}
