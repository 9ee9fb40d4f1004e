//! The viewer: an MCP App, or a contact sheet where the client shows none.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use healthimaging::{DatastoreId, ImageSetId, Result, Uid, path_segment};
use healthimaging_render::{Contrast, PictureFormat, Window};
use healthimaging_workflows::counted;

use super::view::made;
use crate::answer::{Image, Reply};
use crate::arguments::SliceChoice;
use crate::context::Context;
use crate::options::ViewerAddress;
use crate::picture;
use crate::sheet::{self, SheetOptions};
use crate::stack::Stack;
use crate::tool::{Effect, Tool};

/// Show a series to the user in a viewer, at a slice and window; the viewer reports what the user looks
/// at. Clients without it get a contact sheet and a link.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ViewSeries {
    /// ID or name
    datastore_id: Option<DatastoreId>,
    series_instance_uid: Uid,
    /// Default: the primary one
    image_set_id: Option<ImageSetId>,
    /// middle, or a number from 1 in order of position; default 1
    slice: Option<SliceChoice>,
    /// With window_width, in rescaled units
    window_center: Option<f64>,
    /// With window_center
    window_width: Option<f64>,
}

/// What the viewer shows; the page reads these members.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Shown {
    datastore_id: DatastoreId,
    image_set_id: ImageSetId,
    series_instance_uid: String,
    slice: usize,
    number_of_slices: usize,
    /// What orders the slices: position, or instance_number where positions are missing or not parallel.
    order: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    window: Option<ShownWindow>,
    #[serde(skip_serializing_if = "Option::is_none")]
    viewer_url: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    dicomweb_url: Option<String>,
    /// Slices of the contact sheet, row by row.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    contact_sheet_slices: Vec<usize>,
}

/// A window.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(inline)]
struct ShownWindow {
    center: f64,
    width: f64,
}

impl Tool for ViewSeries {
    const NAME: &'static str = "view_series";
    const TITLE: &'static str = "View series";
    const EXAMPLE: &'static str = r#"{"datastore_id": "0f1e2d3c4b5a69788796a5b4c3d2e1f0", "series_instance_uid": "1.2.826.0.1.3680043.8.498.1.1", "slice": "middle", "window_center": 40, "window_width": 400}"#;
    const EFFECT: Effect = Effect::Reads;
    const HAS_PICTURES: bool = true;
    const HAS_VIEWER: bool = true;
    type Output = Shown;

    async fn call(self, context: &Context) -> Result<Reply<Self::Output>> {
        let contrast = picture::contrast(self.window_center, self.window_width, false)?;
        let datastore_id = context.datastore(self.datastore_id).await?;
        let documents = context.documents();
        let uid = self.series_instance_uid;
        let stack = Stack::of_series(documents, datastore_id, uid, self.image_set_id).await?;
        let slice = match self.slice {
            Some(choice) => stack.index(choice)? + 1,
            None => 1,
        };
        let window = match contrast {
            Contrast::Window(Window { center, width, .. }) | Contrast::Named { center, width } => {
                Some(ShownWindow { center, width })
            }
            Contrast::File | Contrast::Auto => None,
        };
        let mut output = Shown {
            datastore_id: stack.datastore_id.clone(),
            image_set_id: stack.image_set_id.clone(),
            series_instance_uid: stack.series_instance_uid.clone(),
            slice,
            number_of_slices: stack.len(),
            order: stack.order(),
            window,
            viewer_url: None,
            dicomweb_url: None,
            contact_sheet_slices: Vec::new(),
        };
        let place = format!("slice {slice} of {}", stack.len());
        if context.has_apps() {
            return Ok(Reply::new(output, format!("The viewer shows {place}.")));
        }
        let options = SheetOptions {
            count: sheet::DEFAULT_COUNT,
            max_size: sheet::DEFAULT_SIZE,
            contrast,
            format: PictureFormat::Jpeg,
        };
        let made = made(context, &stack, options).await?;
        let mut text = format!(
            "This client shows no viewer; the contact sheet has {} of {}.",
            made.shown.len(),
            counted(stack.len(), "slice")
        );
        output.contact_sheet_slices = made.shown;
        match context.viewer() {
            ViewerAddress::None => {}
            ViewerAddress::Served(base) => {
                output.viewer_url = page(base, &stack);
                text += " The viewer is at viewer_url.";
            }
            ViewerAddress::IfServed(base) => {
                output.viewer_url = page(base, &stack);
                text += " The viewer is at viewer_url while `healthimaging-mcp-server serve` runs.";
            }
            ViewerAddress::DicomWeb(base) => {
                output.dicomweb_url = series_url(base, &stack);
                text += " DICOMweb viewers find the series at dicomweb_url.";
            }
        }
        let media_type = options.format.media_type().to_owned();
        Ok(Reply::new(output, text).with_image(Image { data: made.file, media_type }))
    }
}

/// Address of a series in the page of `serve`.
fn page(base: &str, stack: &Stack) -> Option<String> {
    let study = path_segment(stack.study_instance_uid()?).into_owned();
    let series = path_segment(&stack.series_instance_uid).into_owned();
    Some(format!("{base}#{}/{study}/{series}", stack.datastore_id))
}

/// Address of a series in DICOMweb (PS3.18 §10.1.1).
fn series_url(base: &str, stack: &Stack) -> Option<String> {
    let study = path_segment(stack.study_instance_uid()?).into_owned();
    let series = path_segment(&stack.series_instance_uid).into_owned();
    Some(format!("{base}datastore/{}/studies/{study}/series/{series}", stack.datastore_id))
}
