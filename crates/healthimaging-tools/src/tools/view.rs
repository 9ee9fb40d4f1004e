//! Pictures of a series.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use healthimaging::{DatastoreId, Error, ImageSetId, Result, Uid};
use healthimaging_render::{Distance, Geometry, Orientation, PictureFormat};
use healthimaging_workflows::counted;

use crate::answer::{Image, Link, Reply};
use crate::arguments::{SheetCount, SheetSize};
use crate::context::Context;
use crate::picture;
use crate::resources;
use crate::sheet::{self, Sheet, SheetOptions};
use crate::stack::Stack;
use crate::tool::{Effect, Tool};

/// Get evenly spaced slices of a series in one picture, and geometry: gaps, spacing, missing attributes.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct GetSeriesContactSheet {
    /// ID or name
    datastore_id: Option<DatastoreId>,
    series_instance_uid: Uid,
    /// Default: the primary one
    image_set_id: Option<ImageSetId>,
    /// Slices; default 16
    count: Option<SheetCount>,
    /// With window_width, in rescaled units
    window_center: Option<f64>,
    /// With window_center
    window_width: Option<f64>,
    /// Window from the value range
    auto_window: Option<bool>,
    /// Longest side; default 1024
    max_size: Option<SheetSize>,
    /// Default jpeg
    format: Option<Format>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(inline)]
enum Format {
    Png,
    Jpeg,
}

/// A contact sheet; the picture itself is image content.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct ContactSheet {
    datastore_id: DatastoreId,
    image_set_id: ImageSetId,
    series_instance_uid: String,
    number_of_slices: usize,
    /// What orders the slices: position, or instance_number where positions are missing or not parallel.
    order: &'static str,
    /// Numbers of the slices, row by row.
    slices: Vec<usize>,
    grid_rows: u32,
    grid_columns: u32,
    rows: u32,
    columns: u32,
    content_type: &'static str,
    size_bytes: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    window_center: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    window_width: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    orientation: Option<Edges>,
    geometry: SliceGeometry,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    notes: Vec<String>,
}

/// What the positions of all slices show; faults that are absent were not found.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(inline)]
struct SliceGeometry {
    is_regular: bool,
    orientations: usize,
    /// Millimeters, the median; absent unless all slices are parallel.
    #[serde(skip_serializing_if = "Option::is_none")]
    spacing: Option<f64>,
    #[serde(skip_serializing_if = "is_zero")]
    gaps: usize,
    #[serde(skip_serializing_if = "is_zero")]
    uneven_distances: usize,
    /// The first gaps and uneven distances: the slice before, and millimeters.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    distances: Vec<SliceDistance>,
    #[serde(skip_serializing_if = "is_zero")]
    at_position_of_the_slice_before: usize,
    /// The first Instance Numbers that no instance has.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    missing_instance_numbers: Vec<u64>,
    /// Slices that lack an attribute, by keyword.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    slices_lacking: BTreeMap<&'static str, usize>,
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(inline)]
struct SliceDistance {
    after_slice: usize,
    millimeters: f64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_zero(count: &usize) -> bool {
    *count == 0
}

impl From<&Geometry> for SliceGeometry {
    fn from(found: &Geometry) -> Self {
        let distances = found.distances.iter();
        Self {
            is_regular: found.is_regular(),
            orientations: found.orientations,
            spacing: found.spacing,
            gaps: found.gaps,
            uneven_distances: found.uneven,
            distances: distances
                .map(|&Distance { after_slice, millimeters }| SliceDistance {
                    after_slice,
                    millimeters,
                })
                .collect(),
            at_position_of_the_slice_before: found.at_one_position,
            missing_instance_numbers: found.missing_numbers.clone(),
            slices_lacking: found.lacking.clone(),
        }
    }
}

/// Letters at the edges of all slices.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(inline)]
struct Edges {
    left: String,
    right: String,
    top: String,
    bottom: String,
}

impl Tool for GetSeriesContactSheet {
    const NAME: &'static str = "get_series_contact_sheet";
    const TITLE: &'static str = "Get contact sheet of a series";
    const EXAMPLE: &'static str = r#"{"datastore_id": "0f1e2d3c4b5a69788796a5b4c3d2e1f0", "series_instance_uid": "1.2.826.0.1.3680043.8.498.1.1", "count": 20, "window_center": 40, "window_width": 400}"#;
    const EFFECT: Effect = Effect::Reads;
    const HAS_PICTURES: bool = true;
    type Output = ContactSheet;

    async fn call(self, context: &Context) -> Result<Reply<Self::Output>> {
        let auto = self.auto_window == Some(true);
        let options = SheetOptions {
            count: self.count.map_or(sheet::DEFAULT_COUNT, SheetCount::get),
            max_size: self.max_size.map_or(sheet::DEFAULT_SIZE, SheetSize::get),
            contrast: picture::contrast(self.window_center, self.window_width, auto)?,
            format: match self.format {
                Some(Format::Png) => PictureFormat::Png,
                Some(Format::Jpeg) | None => PictureFormat::Jpeg,
            },
        };
        let datastore_id = context.datastore(self.datastore_id).await?;
        let documents = context.documents();
        let uid = self.series_instance_uid;
        let stack = Stack::of_series(documents, datastore_id, uid, self.image_set_id).await?;
        let made = made(context, &stack, options).await?;
        Ok(shown(&stack, made, options))
    }
}

/// Makes a contact sheet, unless the call is cancelled.
pub(super) async fn made(context: &Context, stack: &Stack, options: SheetOptions) -> Result<Sheet> {
    let back_end = (context.service(), context.dicomweb());
    tokio::select! {
        made = sheet::make(back_end, context.decoder(), stack, options) => made,
        () = context.cancelled().cancelled() => Err(Error::conflict("the call was cancelled")),
    }
}

fn shown(stack: &Stack, made: Sheet, options: SheetOptions) -> Reply<ContactSheet> {
    let Sheet { file, grid, window, notes, .. } = made;
    let content_type = options.format.media_type();
    let text = format!(
        "{} of {} in a grid of {} x {}{}.{}",
        made.shown.len(),
        counted(stack.len(), "slice"),
        grid.columns,
        grid.rows,
        window.map_or_else(String::new, |window| format!(
            ", window {} / {}",
            window.center, window.width
        )),
        notes.iter().fold(String::new(), |text, note| text + " Note: " + note + "."),
    );
    let link = Link {
        uri: resources::sheet_uri(stack, options),
        name: "Contact sheet".to_owned(),
        media_type: content_type.to_owned(),
        size: file.len() as u64,
        data: None,
    };
    let output = ContactSheet {
        datastore_id: stack.datastore_id.clone(),
        image_set_id: stack.image_set_id.clone(),
        series_instance_uid: stack.series_instance_uid.clone(),
        number_of_slices: stack.len(),
        order: stack.order(),
        slices: made.shown,
        grid_rows: grid.rows,
        grid_columns: grid.columns,
        rows: made.rows,
        columns: made.columns,
        content_type,
        size_bytes: file.len(),
        window_center: window.map(|window| window.center),
        window_width: window.map(|window| window.width),
        orientation: made.orientation.map(|Orientation { left, right, top, bottom }| Edges {
            left,
            right,
            top,
            bottom,
        }),
        geometry: SliceGeometry::from(stack.geometry()),
        notes,
    };
    Reply::new(output, text)
        .with_image(Image { data: file, media_type: content_type.to_owned() })
        .with_link(link)
}
