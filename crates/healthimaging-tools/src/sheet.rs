//! Contact sheets: several slices of a series in one picture.

use std::collections::BTreeSet;

use futures::{StreamExt as _, TryStreamExt as _, stream};
use healthimaging::{DatastoreId, Error, ImageSetId, MemoryBudget, Result};
use healthimaging_pixels::Decoder;
use healthimaging_render::{
    ContactSheet, Contrast, DrawnFrame, FrameLocation, Orientation, PictureFormat, RenderOptions,
    Tile, Window, draw, evenly_spaced,
};

use crate::picture::{self, BackEnd};
use crate::stack::Stack;

/// Number of slices unless a call asks for another.
pub(crate) const DEFAULT_COUNT: u32 = 16;

/// Longest side in pixels unless a call asks for another.
pub(crate) const DEFAULT_SIZE: u32 = 1024;

/// Frames that are fetched and decoded at once.
const AT_ONCE: usize = 4;

/// Slices that could not be shown and are noted one by one.
const NOTED: usize = 3;

/// How a sheet is made.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct SheetOptions {
    /// Number of slices.
    pub(crate) count: u32,
    /// Longest side in pixels.
    pub(crate) max_size: u32,
    pub(crate) contrast: Contrast,
    pub(crate) format: PictureFormat,
}

/// A contact sheet as a file.
#[derive(Debug)]
pub(crate) struct Sheet {
    pub(crate) file: Vec<u8>,
    pub(crate) grid: ContactSheet,
    pub(crate) rows: u32,
    pub(crate) columns: u32,
    /// Numbers of the slices, from 1, in the order in which they are shown.
    pub(crate) shown: Vec<usize>,
    /// The window of all slices; `None` for color and VOI LUTs.
    pub(crate) window: Option<Window>,
    /// The orientation of all slices; `None` if they have none, or differ.
    pub(crate) orientation: Option<Orientation>,
    pub(crate) notes: Vec<String>,
}

/// A slice in the sheet: its orientation, and its picture unless it could not be made.
struct Drawn {
    orientation: Option<Orientation>,
    frame: Result<DrawnFrame>,
}

/// Draws evenly spaced slices, all through the same window.
pub(crate) async fn make(
    back_end: BackEnd<'_>,
    decoder: &Decoder,
    stack: &Stack,
    options: SheetOptions,
) -> Result<Sheet> {
    let indices = evenly_spaced(stack.len(), options.count as usize);
    let middle = stack.locate((stack.len() - 1) / 2)?;
    let grid = ContactSheet::layout(indices.len(), middle.picture_size(), options.max_size);
    let sheet = Making { back_end, decoder, stack, grid };
    let drawn = match options.contrast {
        Contrast::Window(_) => sheet.draw(&indices, options.contrast).await?,
        Contrast::File if middle.has_contrast() => {
            sheet.draw(&indices, sheet.contrast_of(middle).await?).await?
        }
        // The range of values of all slices that are shown.
        Contrast::File | Contrast::Auto => {
            let ranges = sheet.draw(&indices, Contrast::Auto).await?;
            match ranges.iter().filter_map(Drawn::window).reduce(|all, one| all.union(&one)) {
                Some(range) => sheet.draw(&indices, Contrast::Window(range)).await?,
                None => ranges,
            }
        }
    };
    let _lease = MemoryBudget::process().work(grid_memory(grid)).await;
    compose(grid, &indices, drawn, options.format)
}

/// Bytes of a sheet in color.
fn grid_memory(grid: ContactSheet) -> u64 {
    let cells = u64::from(grid.rows) * u64::from(grid.columns);
    3 * cells * u64::from(grid.cell_rows) * u64::from(grid.cell_columns)
}

/// A sheet that is being made.
struct Making<'a> {
    back_end: BackEnd<'a>,
    decoder: &'a Decoder,
    stack: &'a Stack,
    grid: ContactSheet,
}

impl Making<'_> {
    /// Draws slices; those that cannot be drawn have an error. If none can, that is the error of the sheet.
    async fn draw(&self, indices: &[usize], contrast: Contrast) -> Result<Vec<Drawn>> {
        let slices = stream::iter(indices.to_vec()).map(|index| async move {
            let location = self.stack.locate(index)?;
            let orientation = location.orientation();
            let frame = self.frame(location, contrast).await;
            Ok::<_, Error>(Drawn { orientation, frame })
        });
        let mut drawn: Vec<Drawn> = slices.buffered(AT_ONCE).try_collect().await?;
        if drawn.iter().any(|one| one.frame.is_ok()) {
            return Ok(drawn);
        }
        match drawn.pop() {
            Some(Drawn { frame: Err(error), .. }) => Err(error),
            _ => Err(Error::internal("the series has no slices", "an empty list")),
        }
    }

    async fn frame(&self, mut location: FrameLocation, contrast: Contrast) -> Result<DrawnFrame> {
        let (service, dicomweb) = self.back_end;
        let (datastore_id, image_set_id): (&DatastoreId, &ImageSetId) =
            (&self.stack.datastore_id, &self.stack.image_set_id);
        picture::settle_padding(dicomweb, datastore_id, image_set_id, &mut location).await?;
        let options = RenderOptions {
            max_rows: self.grid.cell_rows,
            max_columns: self.grid.cell_columns,
            contrast,
            may_use_lower_resolution: true,
            ..RenderOptions::default()
        };
        let place = (datastore_id, image_set_id);
        let work = move |decoder: &Decoder, location: &FrameLocation, stored: &[u8]| {
            draw(decoder, location, stored, &options)
        };
        picture::decoded(service, self.decoder, place, location, work).await.map(|(_, frame)| frame)
    }

    /// Returns the window of the file for a slice; the contrast of each file if that is no window.
    async fn contrast_of(&self, location: FrameLocation) -> Result<Contrast> {
        let window = self.frame(location, Contrast::File).await.ok().and_then(|frame| frame.window);
        Ok(window.map_or(Contrast::File, Contrast::Window))
    }
}

impl Drawn {
    fn window(&self) -> Option<Window> {
        self.frame.as_ref().ok()?.window
    }
}

fn compose(
    grid: ContactSheet,
    indices: &[usize],
    drawn: Vec<Drawn>,
    format: PictureFormat,
) -> Result<Sheet> {
    let shown: Vec<usize> = indices.iter().map(|index| index + 1).collect();
    let window = drawn.iter().find_map(Drawn::window);
    let first = drawn.first().and_then(|one| one.orientation.clone());
    let differ = drawn.iter().any(|one| one.orientation != first);
    let mut notes = BTreeSet::new();
    let mut failed = Vec::new();
    let mut tiles = Vec::with_capacity(drawn.len());
    for (number, one) in shown.iter().zip(drawn) {
        let picture = match one.frame {
            Ok(frame) => {
                notes.extend(frame.notes);
                Some(frame.picture)
            }
            Err(error) => {
                failed.push(format!("slice {number} is not shown: {}", error.message()));
                None
            }
        };
        tiles.push(Tile { number: *number, picture, orientation: one.orientation });
    }
    let mut notes: Vec<String> = notes.into_iter().collect();
    if differ {
        notes.push("slices have different orientations".to_owned());
    }
    let more = failed.len().saturating_sub(NOTED);
    notes.extend(failed.into_iter().take(NOTED));
    if more > 0 {
        notes.push(format!("{more} more slices are not shown"));
    }
    let picture = grid.draw(&tiles);
    Ok(Sheet {
        file: picture.encode(format, RenderOptions::default().quality)?,
        grid,
        rows: picture.rows(),
        columns: picture.columns(),
        shown,
        window,
        orientation: first.filter(|_| !differ),
        notes,
    })
}
