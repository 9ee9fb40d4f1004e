//! Answers: data, a summary, and what goes beside them.

use std::fmt;

use bytes::Bytes;
use healthimaging::{DatastoreId, Error, Result};
use serde::Serialize;
use serde_json::{Map, Value};

use crate::schema::SUMMARY;
use crate::{size, visible};

/// What a tool returns: data, and a sentence that summarizes it.
#[derive(Debug)]
pub(crate) struct Reply<T> {
    output: T,
    summary: String,
    links: Vec<Link>,
    images: Vec<Image>,
    longest: usize,
}

impl<T> Reply<T> {
    /// `summary` is brief: counts and ids, never text from a DICOM file.
    pub(crate) fn new(output: T, summary: impl Into<String>) -> Self {
        Self {
            output,
            summary: summary.into(),
            links: Vec::new(),
            images: Vec::new(),
            longest: size::LONGEST_ANSWER,
        }
    }

    /// Raises the limit to the bytes of JSON that the caller asked for.
    pub(crate) fn up_to(mut self, longest: usize) -> Self {
        self.longest = longest;
        self
    }

    /// Adds a resource that holds more.
    pub(crate) fn with_link(mut self, link: Link) -> Self {
        self.links.push(link);
        self
    }

    /// Adds a picture.
    pub(crate) fn with_image(mut self, image: Image) -> Self {
        self.images.push(image);
        self
    }
}

impl<T: Serialize> Reply<T> {
    /// Returns the bytes of its JSON, as it is shown.
    pub(crate) fn length(self, chosen: Option<&DatastoreId>) -> Result<usize> {
        Ok(size::size(&Value::Object(self.into_answer(chosen)?.structured)))
    }

    /// The answer as JSON; `chosen` is the data store that was used because none was named.
    pub(crate) fn into_answer(self, chosen: Option<&DatastoreId>) -> Result<Answer> {
        let mut structured = to_object(&self.output)?;
        let mut summary = self.summary;
        if let Some(chosen) = chosen {
            structured.entry("datastore_id").or_insert_with(|| Value::from(chosen.as_str()));
            summary = format!("{summary} Data store {chosen} was used, the only active one.");
        }
        let mut answer = Answer::new(structured, summary);
        (answer.links, answer.images, answer.longest) = (self.links, self.images, self.longest);
        Ok(answer)
    }
}

/// A resource of this server that holds more than the answer does.
#[derive(Debug, Clone)]
pub struct Link {
    /// Its URI.
    pub uri: String,
    /// What it is.
    pub name: String,
    /// Its media type.
    pub media_type: String,
    /// Its size in bytes.
    pub size: u64,
    /// Its content, if it is at hand; it is not sent.
    pub data: Option<Bytes>,
}

/// A picture, as the bytes of a file.
#[derive(Clone)]
pub struct Image {
    /// The file.
    pub data: Vec<u8>,
    /// Its media type.
    pub media_type: String,
}

impl fmt::Debug for Image {
    /// Leaves the picture out: it is patient data.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Image")
            .field("media_type", &self.media_type)
            .field("bytes", &self.data.len())
            .finish()
    }
}

/// The answer of any tool.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The data, as the tool's output schema describes it; [`SUMMARY`] is its first member.
    pub structured: Map<String, Value>,
    /// Resources that hold more.
    pub links: Vec<Link>,
    /// Pictures.
    pub images: Vec<Image>,
    /// Limit of its JSON, in bytes.
    longest: usize,
}

impl Answer {
    /// An answer of data alone, with its summary put first.
    pub(crate) fn new(mut structured: Map<String, Value>, summary: String) -> Self {
        structured.shift_insert(0, SUMMARY.to_owned(), Value::String(summary));
        let longest = size::LONGEST_ANSWER;
        Self { structured, links: Vec::new(), images: Vec::new(), longest }
    }

    /// The answer as it is sent: without invisible characters, and within its limit.
    pub(crate) fn shown(mut self) -> Self {
        self.structured.values_mut().for_each(visible::show);
        if size::cut(&mut self.structured, self.longest) {
            let summary = format!("{} Lists and texts are cut to fit an answer.", self.summary());
            self.structured.insert(SUMMARY.to_owned(), Value::String(summary));
        }
        self
    }

    /// The sentence that summarizes it.
    pub fn summary(&self) -> &str {
        self.structured.get(SUMMARY).and_then(Value::as_str).unwrap_or_default()
    }
}

/// Converts a value that is an object in JSON.
pub(crate) fn to_object<T: Serialize>(value: &T) -> Result<Map<String, Value>> {
    match serde_json::to_value(value) {
        Ok(Value::Object(object)) => Ok(object),
        Ok(_) => Err(Error::internal("the answer is not an object", "not an object")),
        Err(error) => Err(Error::internal("the answer could not be written as JSON", error)),
    }
}
