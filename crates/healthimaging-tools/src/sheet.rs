//! Contact sheets: several slices of a series in one picture.

use std::collections::BTreeSet;
use std::sync::{Arc, Weak};

use futures::{StreamExt as _, TryStreamExt as _, stream};
use healthimaging::{Cache, DatastoreId, Error, ImageSetId, MemoryBudget, MemoryLease, Result};
use healthimaging_pixels::Decoder;
use healthimaging_render::{
    ContactSheet, Contrast, DecodedImage, DrawnFrame, FrameLocation, Orientation, PictureFormat,
    RenderError, RenderOptions, Tile, Window, draw, evenly_spaced,
};

use crate::picture::{self, BackEnd};
use crate::stack::Stack;

/// Number of slices unless a call asks for another.
pub(crate) const DEFAULT_COUNT: u32 = 16;

/// Longest side in pixels unless a call asks for another.
pub(crate) const DEFAULT_SIZE: u32 = 1024;

/// Frames that are fetched and decoded at once.
const AT_ONCE: usize = 4;

/// Decoded slices that wait for the range of values of all, in bytes.
const MOST_KEPT: usize = 64 << 20;

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

/// Decoded slices by their index.
type Kept = Cache<usize, Arc<Slice>>;

/// A slice that is decoded and not drawn yet.
struct Slice {
    location: FrameLocation,
    image: DecodedImage,
    _lease: MemoryLease,
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
    let contrast = match options.contrast {
        Contrast::File => middle.contrast_of_file().unwrap_or(Contrast::Auto),
        contrast => contrast,
    };
    let drawn = match contrast {
        Contrast::Auto => sheet.draw_alike(&indices).await?,
        contrast => sheet.draw(&indices, contrast).await?,
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
        let drawn = slices.buffered(AT_ONCE).try_collect().await?;
        checked(drawn)
    }

    /// As [`Self::draw`], through the range of values of all slices. They are decoded once, unless they take more memory than
    /// can be spared until the range is known.
    async fn draw_alike(&self, indices: &[usize]) -> Result<Vec<Drawn>> {
        let kept: Arc<Kept> = Arc::new(Cache::new(MOST_KEPT));
        let cache: Weak<Kept> = Arc::downgrade(&kept);
        MemoryBudget::process().add_cache(cache);
        let ranges = stream::iter(indices.to_vec()).map(|index| {
            let kept = &kept;
            async move { Ok::<_, Error>(self.range(index, kept).await.ok().flatten()) }
        });
        let ranges: Vec<Option<Window>> = ranges.buffered(AT_ONCE).try_collect().await?;
        let range = ranges.into_iter().flatten().reduce(|all, one| all.union(&one));
        let contrast = range.map_or(Contrast::Auto, Contrast::Window);
        let slices = stream::iter(indices.to_vec()).map(|index| {
            let kept = kept.get(&index);
            async move {
                let location = self.stack.locate(index)?;
                let orientation = location.orientation();
                let frame = match kept {
                    Some(slice) => self.draw_kept(slice, contrast).await,
                    None => self.frame(location, contrast).await,
                };
                Ok::<_, Error>(Drawn { orientation, frame })
            }
        });
        let drawn = slices.buffered(AT_ONCE).try_collect().await?;
        checked(drawn)
    }

    /// Returns the range of values of a slice, which is kept if there is memory to spare; `None` for color.
    async fn range(&self, index: usize, kept: &Kept) -> Result<Option<Window>> {
        let options = self.options(Contrast::Auto);
        let work = move |decoder: &Decoder, location: &FrameLocation, stored: &[u8]| {
            let image = DecodedImage::of(decoder, location, stored, &options)?;
            let range = image.range(location);
            Ok((image, range))
        };
        let (location, (image, range)) = self.decoded(self.stack.locate(index)?, work).await?;
        let memory = image.memory();
        if let Some(lease) = MemoryBudget::process().spare(memory) {
            let slice = Arc::new(Slice { location, image, _lease: lease });
            kept.insert(index, slice, usize::try_from(memory).unwrap_or(usize::MAX));
            MemoryBudget::process().shed();
        }
        Ok(range)
    }

    /// Draws a slice that was kept.
    async fn draw_kept(&self, slice: Arc<Slice>, contrast: Contrast) -> Result<DrawnFrame> {
        let options = self.options(contrast);
        let drawn = move || slice.image.draw(&slice.location, &options);
        let failed = |error| Error::internal("drawing the slice failed", error);
        Ok(tokio::task::spawn_blocking(drawn).await.map_err(failed)??)
    }

    async fn frame(&self, location: FrameLocation, contrast: Contrast) -> Result<DrawnFrame> {
        let options = self.options(contrast);
        let work = move |decoder: &Decoder, location: &FrameLocation, stored: &[u8]| {
            draw(decoder, location, stored, &options)
        };
        self.decoded(location, work).await.map(|(_, frame)| frame)
    }

    async fn decoded<T: Send + 'static>(
        &self,
        mut location: FrameLocation,
        work: impl FnOnce(&Decoder, &FrameLocation, &[u8]) -> Result<T, RenderError> + Send + 'static,
    ) -> Result<(FrameLocation, T)> {
        let (service, dicomweb) = self.back_end;
        let place: (&DatastoreId, &ImageSetId) =
            (&self.stack.datastore_id, &self.stack.image_set_id);
        picture::settle_padding(dicomweb, place.0, place.1, &mut location).await?;
        picture::decoded(service, self.decoder, place, location, work).await
    }

    fn options(&self, contrast: Contrast) -> RenderOptions {
        RenderOptions {
            max_rows: self.grid.cell_rows,
            max_columns: self.grid.cell_columns,
            contrast,
            may_use_lower_resolution: true,
            ..RenderOptions::default()
        }
    }
}

/// Returns the slices, or the error of the last if none was drawn.
fn checked(mut drawn: Vec<Drawn>) -> Result<Vec<Drawn>> {
    if drawn.iter().any(|one| one.frame.is_ok()) {
        return Ok(drawn);
    }
    match drawn.pop() {
        Some(Drawn { frame: Err(error), .. }) => Err(error),
        _ => Err(Error::internal("the series has no slices", "an empty list")),
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
        notes.push(format!("of the slices, {more} more are not shown"));
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
