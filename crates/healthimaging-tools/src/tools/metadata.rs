//! The metadata of an image set, as JSON that a model can read.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use healthimaging::model::GetImageSetMetadataRequest;
use healthimaging::{DatastoreId, ImageSetId, Result, Uid, VersionId};

use healthimaging_workflows::document::{
    self, Attribute, Contents, Document, Level, Outline, Part,
};

use crate::context::Context;
use crate::resources;
use crate::tool::{Effect, Link, Reply, Tool};

/// Longest metadata in an answer, in bytes of JSON; more than that is shown in outline.
const LONGEST_ANSWER: usize = 200_000;

/// Get the metadata (DICOM attributes, frame ids) of an image set as JSON, or a part of it; an
/// outline when it is large.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct GetImageSetMetadata {
    /// Data store: ID, name or ARN
    datastore_id: Option<DatastoreId>,
    /// Image set ID
    image_set_id: ImageSetId,
    /// The latest when left out.
    version_id: Option<VersionId>,
    /// Deepest level to show.
    level: Option<Level>,
    /// Keywords or tags to keep, such as PatientID or 00100020.
    #[serde(default)]
    attributes: Vec<Attribute>,
    /// (0020,000E)
    series_instance_uid: Option<Uid>,
    /// (0008,0018)
    sop_instance_uid: Option<Uid>,
}

/// The metadata, or its outline where it is too large.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Metadata {
    image_set_id: ImageSetId,
    #[serde(skip_serializing_if = "Option::is_none")]
    version_id: Option<VersionId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    metadata: Option<Map<String, Value>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    outline: Option<Outline>,
    size_bytes: usize,
    content_type: &'static str,
}

impl Tool for GetImageSetMetadata {
    const NAME: &'static str = "get_image_set_metadata";
    const TITLE: &'static str = "Get image set metadata";
    const EXAMPLE: &'static str = r#"{"datastore_id": "0f1e2d3c4b5a69788796a5b4c3d2e1f0", "image_set_id": "a0b1c2d3e4f5061728394a5b6c7d8e9f", "level": "SERIES"}"#;
    const EFFECT: Effect = Effect::Reads;
    type Output = Metadata;

    async fn call(self, context: &Context) -> Result<Reply<Self::Output>> {
        let datastore_id = context.datastore(self.datastore_id).await?;
        let request = GetImageSetMetadataRequest {
            datastore_id: datastore_id.clone(),
            image_set_id: self.image_set_id.clone(),
            version_id: self.version_id.clone(),
        };
        let document = document::fetch(context.service(), request).await?;
        let part = Part {
            level: self.level,
            attributes: self.attributes,
            series_instance_uid: self.series_instance_uid,
            sop_instance_uid: self.sop_instance_uid,
        };
        let Shown { contents, size, metadata } = Shown::of(&document, part).await?;
        let counts =
            format!("{} series, {} instances", contents.series().len(), contents.instances());
        let is_whole = metadata.is_some();
        let mut output = Metadata {
            image_set_id: self.image_set_id,
            version_id: self.version_id,
            metadata,
            outline: None,
            size_bytes: size,
            content_type: "application/json",
        };
        if is_whole {
            let told = format!("Metadata of an image set of {counts}.");
            return Ok(Reply::new(output, told));
        }
        let link = Link {
            uri: resources::metadata_uri(
                &datastore_id,
                &output.image_set_id,
                output.version_id.as_ref(),
            ),
            name: "Whole metadata".to_owned(),
            media_type: "application/json",
            size: document.text().len() as u64,
        };
        output.outline = Some(Outline::from(&*contents));
        let text = format!(
            "The metadata asked for is {size} bytes, more than the {LONGEST_ANSWER} of an answer, \
             so this is its outline: {counts}. Pick a part with level, attributes, \
             series_instance_uid or sop_instance_uid, or read the linked resource.",
        );
        Ok(Reply::new(output, text).with_link(link))
    }
}

/// What is shown of a document.
struct Shown {
    contents: Arc<Contents>,
    /// Of the part that is asked for, in bytes of JSON.
    size: usize,
    /// That part, unless it is too large.
    metadata: Option<Map<String, Value>>,
}

impl Shown {
    async fn of(document: &Arc<Document>, part: Part) -> Result<Self> {
        let size = document.text().len();
        if part.is_whole() && size > LONGEST_ANSWER {
            // An outline needs little of it.
            return Ok(Self { contents: document.contents().await?, size, metadata: None });
        }
        let cut = document.cut(part).await?;
        Ok(Self {
            contents: cut.contents,
            size: cut.size,
            metadata: (cut.size <= LONGEST_ANSWER).then_some(cut.object),
        })
    }
}
