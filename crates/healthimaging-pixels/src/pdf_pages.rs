//! Pages of PDF documents, by `hayro`.

use hayro::hayro_interpret::font::{Glyph, GlyphRun};
use hayro::hayro_interpret::hayro_cmap::BfString;
use hayro::hayro_interpret::{
    BlendMode, ClipPath, Context, Device, DrawMode, DrawProps, Image, ImageDrawProps,
    InterpreterCache, InterpreterSettings, SoftMask, interpret_page,
};
use hayro::hayro_syntax::page::Page;
use hayro::hayro_syntax::{LoadPdfError, Pdf};
use hayro::kurbo::{Affine, BezPath, Point, Rect};
use hayro::vello_cpu::color::palette::css::WHITE;
use hayro::{PixmapSettings, RenderCache, RenderSettings, render};
use memchr::memmem;

use crate::pdf::{
    LARGEST_PAGE, LONGEST_TEXT, MOST_PAGES, PdfContent, PdfError, PdfPart, PdfPicture,
};

pub(crate) fn read(data: &[u8], part: PdfPart) -> Result<PdfContent, PdfError> {
    let pdf = Pdf::new(data.to_vec()).map_err(|error| match error {
        LoadPdfError::Decryption(_) => PdfError::Encrypted,
        // Some forms of encryption look like damage.
        LoadPdfError::Invalid if memmem::find(data, b"/Encrypt").is_some() => PdfError::Encrypted,
        LoadPdfError::Invalid => PdfError::Malformed,
    })?;
    let pages = pdf.pages();
    let page_count = u32::try_from(pages.len()).unwrap_or(u32::MAX);
    if page_count == 0 {
        return Err(PdfError::Malformed);
    }
    let page = |number: u32| {
        let index = number.checked_sub(1).map(|index| index as usize);
        index.and_then(|index| pages.get(index)).ok_or(PdfError::NoSuchPage(page_count))
    };
    let (mut texts, mut picture) = (Vec::new(), None);
    match part {
        PdfPart::Page(number, side) => {
            let page = page(number)?;
            texts.push(text_of(page, LONGEST_TEXT));
            picture = Some(picture_of(page, side)?);
        }
        PdfPart::Text(first) => {
            let mut room = LONGEST_TEXT;
            for number in first..first.saturating_add(MOST_PAGES) {
                match page(number) {
                    Err(error) if number == first => return Err(error),
                    Err(_) => break,
                    Ok(page) => texts.push(text_of(page, room)),
                }
                room -= texts.last().map_or(0, String::len);
                if room == 0 {
                    break;
                }
            }
        }
    }
    Ok(PdfContent { page_count, texts, picture })
}

/// Draws a page on white.
fn picture_of(page: &Page<'_>, side: u32) -> Result<PdfPicture, PdfError> {
    let (width, height) = page.render_dimensions();
    let side = u16::try_from(side.clamp(1, LARGEST_PAGE)).unwrap_or(u16::MAX);
    let scale = f32::from(side) / width.max(height);
    // The other side may round to nothing.
    if !(scale.is_finite() && scale > 0.0 && width.min(height) * scale >= 1.0) {
        return Err(PdfError::Malformed);
    }
    let settings = PixmapSettings { x_scale: scale, y_scale: scale, bg_color: WHITE };
    let cache = RenderCache::new();
    let interpreter = InterpreterSettings::default();
    let drawn = render(page, &cache, &interpreter, &RenderSettings::default(), &settings);
    let rgb = drawn.data().iter().flat_map(|pixel| [pixel.r, pixel.g, pixel.b]).collect();
    Ok(PdfPicture { rows: drawn.height().into(), columns: drawn.width().into(), rgb })
}

/// Reads the text of a page in the order in which it is drawn, at most so many bytes.
fn text_of(page: &Page<'_>, room: usize) -> String {
    let cache = InterpreterCache::new();
    let settings = InterpreterSettings::default();
    let everything = Rect::new(-1e6, -1e6, 1e6, 1e6);
    let mut context = Context::new(Affine::IDENTITY, everything, &cache, page.xref(), settings);
    let mut lines = Lines { text: String::new(), end: None, room };
    interpret_page(page, &mut context, &mut lines);
    lines.text
}

/// Joins glyphs to words and lines.
struct Lines {
    text: String,
    /// Where the last glyph ends, and the height of its font.
    end: Option<(Point, f64)>,
    room: usize,
}

/// Distance between glyphs that is a space, in parts of the height of the font.
const SPACE: f64 = 0.2;

/// Distance from the line that begins another one, in parts of the height of the font.
const LINE: f64 = 0.5;

/// Glyphs have 1000 units to the height of the font.
const UNITS: f64 = 1000.0;

impl Lines {
    fn add(&mut self, glyph: &Glyph<'_>, place: Affine) {
        let [a, b, ..] = place.as_coeffs();
        let size = a.hypot(b) * UNITS;
        if !size.is_finite() || size <= 0.0 || self.text.len() >= self.room {
            return;
        }
        let start = place * Point::ORIGIN;
        if let Some((end, last_size)) = self.end {
            // Along the line of text, and across.
            let (along, across) = (a * UNITS / size, b * UNITS / size);
            let gap = start - end;
            let forward = gap.x * along + gap.y * across;
            let sideways = (gap.y * along - gap.x * across).abs();
            if sideways > LINE * size.max(last_size) {
                self.separate('\n');
            } else if forward > SPACE * size || forward < -LINE * size {
                self.separate(' ');
            }
        }
        match glyph.as_unicode() {
            Some(BfString::Char(c)) => self.text.push(c),
            Some(BfString::String(several)) => self.text.push_str(&several),
            None => self.text.push(char::REPLACEMENT_CHARACTER),
        }
        let advance = match glyph {
            Glyph::Outline(outline) => outline.advance_width(),
            Glyph::Type3(drawn) => drawn.advance_width(),
        };
        let end = place * Point::new(f64::from(advance.unwrap_or(500.0)), 0.0);
        self.end = Some((end, size));
        if self.text.len() > self.room {
            self.text.truncate(self.text.floor_char_boundary(self.room));
        }
    }

    fn separate(&mut self, by: char) {
        if !self.text.is_empty() && !self.text.ends_with([' ', '\n']) {
            self.text.push(by);
        } else if by == '\n' && self.text.ends_with(' ') {
            self.text.pop();
            self.text.push(by);
        }
    }
}

impl<'a> Device<'a> for Lines {
    fn draw_path(&mut self, _: &BezPath, _: DrawProps<'a>, _: &DrawMode) {}

    fn push_clip_path(&mut self, _: &ClipPath) {}

    fn push_transparency_group(&mut self, _: f32, _: Option<SoftMask<'a>>, _: BlendMode) {}

    fn draw_glyph_run(&mut self, run: &GlyphRun<'_, 'a>, props: DrawProps<'a>, _: &DrawMode) {
        for glyph in run.glyphs() {
            self.add(glyph, props.transform * glyph.transform());
        }
    }

    fn draw_image(&mut self, _: Image<'a, '_>, _: ImageDrawProps<'a>) {}

    fn pop_clip(&mut self) {}

    fn pop_transparency_group(&mut self) {}
}
