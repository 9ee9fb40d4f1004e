//! The metadata of an image set, in parts that a model can read.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use healthimaging::model::GetImageSetMetadataRequest;
use healthimaging::{DatastoreId, ImageSetId, Listing, NextToken, Result, Uid, VersionId};

use healthimaging_workflows::counted;
use healthimaging_workflows::document::{
    self, Attribute, DocumentText, LEFT_OUT_LISTED, LeftOut, Level, Outline, Part, page,
};

use crate::answer::{Link, Reply};
use crate::arguments::MaxBytes;
use crate::context::Context;
use crate::resources;
use crate::size::{self, LONGEST_ANSWER};
use crate::tool::{Effect, Tool};

/// Bytes of an answer beside the metadata and the arguments in `next`: ids, counts and the summary, at most.
const BESIDE: usize = 1_500;

/// Get the metadata (DICOM attributes, frame IDs) of an image set as JSON, or a part of it. If it exceeds
/// max_bytes, the answer is an outline, and next holds the arguments that get it page by page.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct GetImageSetMetadata {
    /// ID or name
    datastore_id: Option<DatastoreId>,
    /// Image set ID
    image_set_id: ImageSetId,
    /// Default: the latest
    version_id: Option<VersionId>,
    /// Deepest level
    level: Option<Level>,
    /// Keywords or tags, such as PatientID or 00100020; ImageFrames for the frames
    #[serde(default)]
    attributes: Vec<Attribute>,
    /// (0020,000E)
    series_instance_uid: Option<Uid>,
    /// (0008,0018)
    sop_instance_uid: Option<Uid>,
    /// Longest answer; default 60000
    max_bytes: Option<MaxBytes>,
    /// From next of the previous answer
    next_token: Option<NextToken>,
}

/// The metadata, or its outline if it is too large.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Metadata {
    image_set_id: ImageSetId,
    #[serde(skip_serializing_if = "Option::is_none")]
    version_id: Option<VersionId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    metadata: Option<Map<String, Value>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    outline: Option<Outline>,
    /// Size of the requested metadata, all pages together.
    size_bytes: usize,
    content_type: &'static str,
    /// Members that are too long for a page.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    left_out: Vec<LeftOut>,
    /// Arguments of the call that gets the next page.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<Map<String, Value>>,
}

impl Tool for GetImageSetMetadata {
    const NAME: &'static str = "get_image_set_metadata";
    const TITLE: &'static str = "Get image set metadata";
    const EXAMPLE: &'static str = r#"{"datastore_id": "0f1e2d3c4b5a69788796a5b4c3d2e1f0", "image_set_id": "a0b1c2d3e4f5061728394a5b6c7d8e9f", "level": "SERIES"}"#;
    const EFFECT: Effect = Effect::Reads;
    const IS_LARGE: bool = true;
    type Output = Metadata;

    async fn call(self, context: &Context) -> Result<Reply<Self::Output>> {
        let asked = Asked::of(&self);
        let longest = self.max_bytes.map_or(LONGEST_ANSWER, |most| most.get() as usize);
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
        let asked = asked.in_document(&datastore_id, &document)?;
        let mut output = Metadata {
            image_set_id: self.image_set_id,
            version_id: self.version_id,
            metadata: None,
            outline: None,
            size_bytes: 0,
            content_type: "application/json",
            left_out: Vec::new(),
            next: None,
        };
        let room = longest
            .saturating_sub(BESIDE)
            .saturating_sub(size::size_of(&asked.next(0)?)?)
            .max(longest / 2);
        let token = self.next_token.as_ref();
        let text = if let Some(token) = token {
            let from = asked.listing.after(Some(token))?.unwrap_or_default();
            let cut = document::cut(&document, part).await?;
            output.size_bytes = cut.size;
            let page =
                page(cut.object, from, room, &size::size).ok_or_else(Listing::foreign_token)?;
            let is_last = page.next.is_none();
            output.metadata = Some(page.object);
            output.left_out = page.left_out;
            output.next = page.next.map(|at| asked.next(at)).transpose()?;
            let rest =
                if is_last { "the last one" } else { "next holds the arguments of the next one" };
            format!("A page of the metadata; {rest}.")
        } else {
            let shown = Shown::of(&document, part, longest).await?;
            let counts = format!(
                "{} series, {}",
                document.levels().series.len(),
                counted(document.levels().instances().count(), "instance")
            );
            output.size_bytes = shown.size;
            output.metadata = shown.metadata;
            let version = match &output.version_id {
                Some(version) => format!("version {}", version.as_str()),
                None => "the latest version".to_owned(),
            };
            let whole = format!("Metadata of {version} of an image set with {counts}.");
            let is_whole = output.metadata.is_some()
                && Reply::new(&output, &*whole).length(context.chosen_datastore())? <= longest;
            if is_whole {
                whole
            } else {
                output.metadata = None;
                let mut outline = document::outline(&document).await?;
                output.left_out = outline.shorten(room, &size::size);
                output.outline = Some(outline);
                output.next = Some(asked.next(0)?);
                format!(
                    "The metadata is {} bytes; an answer with all of it needs max_bytes {} or more, \
                     and this one has {longest}. This is its outline: {counts}. next holds the \
                     arguments that get the metadata page by page. Or select a part with level, \
                     attributes, series_instance_uid or sop_instance_uid, raise max_bytes, or read \
                     the linked resource.",
                    shown.size,
                    shown.length + BESIDE
                )
            }
        };
        let text = text + &named(&output.left_out);
        output.left_out.truncate(LEFT_OUT_LISTED);
        let is_whole = output.outline.is_none();
        let link = Link {
            uri: resources::metadata_uri(
                &datastore_id,
                &output.image_set_id,
                output.version_id.as_ref(),
            ),
            name: "Whole metadata".to_owned(),
            media_type: "application/json".to_owned(),
            size: document.text().len() as u64,
            data: None,
        };
        let reply = Reply::new(output, text).up_to(longest);
        Ok(if is_whole { reply } else { reply.with_link(link) })
    }
}

fn named(left_out: &[LeftOut]) -> String {
    match left_out.iter().map(|one| one.size_bytes).max() {
        None => String::new(),
        Some(largest) => format!(
            " Too long for a page: {}, listed in left_out. Get each with attributes, and with \
             sop_instance_uid if it is of an instance, otherwise with level and series_instance_uid; \
             the largest needs max_bytes {}.",
            counted(left_out.len(), "member"),
            largest + 2 * BESIDE
        ),
    }
}

/// Arguments of a call, to be repeated for the next page.
struct Asked {
    arguments: Map<String, Value>,
}

/// Arguments of a call for one document.
struct AskedOf {
    arguments: Map<String, Value>,
    listing: Listing,
}

impl Asked {
    fn of(tool: &GetImageSetMetadata) -> Self {
        let all = json!({
            "image_set_id": tool.image_set_id,
            "version_id": tool.version_id,
            "level": tool.level,
            "attributes": tool.attributes,
            "series_instance_uid": tool.series_instance_uid,
            "sop_instance_uid": tool.sop_instance_uid,
            "max_bytes": tool.max_bytes.map(MaxBytes::get),
        });
        let mut arguments = match all {
            Value::Object(arguments) => arguments,
            _ => Map::new(),
        };
        arguments.retain(|_, value| !value.is_null() && *value != json!([]));
        Self { arguments }
    }

    /// Binds the pages to one document: a write between two of them ends the listing.
    fn in_document(self, datastore_id: &DatastoreId, document: &DocumentText) -> Result<AskedOf> {
        let mut arguments = Map::new();
        arguments.insert("datastore_id".to_owned(), json!(datastore_id));
        arguments.extend(self.arguments);
        let listing = Listing::of(&json!([arguments, document::digest(document)]))?;
        Ok(AskedOf { arguments, listing })
    }
}

impl AskedOf {
    fn next(&self, at: usize) -> Result<Map<String, Value>> {
        let mut arguments = self.arguments.clone();
        arguments.insert("next_token".to_owned(), json!(self.listing.token(&at)?));
        Ok(arguments)
    }
}

/// The part of a document that an answer shows.
struct Shown {
    /// Size of the requested part, in bytes of JSON.
    size: usize,
    /// Size with invisible characters as escapes; a lower bound for a whole document.
    length: usize,
    /// The part, unless it is too large.
    metadata: Option<Map<String, Value>>,
}

impl Shown {
    async fn of(document: &Arc<DocumentText>, part: Part, longest: usize) -> Result<Self> {
        let size = document.text().len();
        if part.is_whole() && size > longest {
            // An outline needs only the levels above the instances.
            return Ok(Self { size, length: size, metadata: None });
        }
        let cut = document::cut(document, part).await?;
        let metadata = Value::Object(cut.object);
        let length = if cut.size > longest { cut.size } else { size::size(&metadata) };
        let metadata = match metadata {
            Value::Object(metadata) if length <= longest => Some(metadata),
            _ => None,
        };
        Ok(Self { size: cut.size, length, metadata })
    }
}
