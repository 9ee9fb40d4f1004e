//! Frames as they are stored.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use healthimaging::model::GetImageFrameRequest;
use healthimaging::{DatastoreId, ImageFrameId, ImageSetId, Result};

use crate::context::Context;
use crate::tool::{Effect, Reply, Tool};

/// Longest frame that is returned, in bytes as stored.
const LONGEST_FRAME: u64 = 64 * 1024 * 1024;

/// Get one frame as stored (usually HTJ2K), base64. Frame ids are in the metadata of the image set.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct GetImageFrame {
    datastore_id: Option<DatastoreId>,
    image_set_id: ImageSetId,
    image_frame_information: ImageFrameInformation,
}

/// Which frame, as the API spells it.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct ImageFrameInformation {
    image_frame_id: ImageFrameId,
}

/// A stored frame.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct StoredFrame {
    image_frame_blob: String,
    content_type: String,
    size_bytes: usize,
}

impl Tool for GetImageFrame {
    const NAME: &'static str = "get_image_frame";
    const TITLE: &'static str = "Get image frame";
    const EXAMPLE: &'static str = r#"{"datastore_id": "0f1e2d3c4b5a69788796a5b4c3d2e1f0", "image_set_id": "a0b1c2d3e4f5061728394a5b6c7d8e9f", "image_frame_information": {"imageFrameId": "5c0ffee05c0ffee05c0ffee05c0ffee0"}}"#;
    const EFFECT: Effect = Effect::Reads;
    type Output = StoredFrame;

    async fn call(self, context: &Context) -> Result<Reply<Self::Output>> {
        let request = GetImageFrameRequest {
            datastore_id: context.datastore(self.datastore_id).await?,
            image_set_id: self.image_set_id,
            image_frame_id: self.image_frame_information.image_frame_id,
        };
        let found = context.service().get_image_frame(request).await?;
        let frame = found.image_frame.collect(LONGEST_FRAME).await?;
        let text = format!(
            "{} bytes of {} in image_frame_blob.",
            frame.len(),
            found.content_type
        );
        let output = StoredFrame {
            image_frame_blob: STANDARD.encode(&frame),
            content_type: found.content_type,
            size_bytes: frame.len(),
        };
        Ok(Reply::new(output, text))
    }
}
