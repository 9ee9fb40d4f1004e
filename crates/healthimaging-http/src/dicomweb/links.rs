//! Addresses in data sets: back ends name places below this host, clients want whole URLs.

use healthimaging::model::DicomJson;
use serde_json::Value;

use crate::here::Here;

const BULK_DATA_URI: &str = "BulkDataURI";
const RETRIEVE_URL: &str = "00081190";

/// What the links of an answer are made with.
pub(super) struct Links {
    here: Here,
    /// The image set that was asked for; values of one that is not primary are found in it alone.
    image_set: Option<String>,
}

impl Links {
    pub(super) fn new(here: Here, image_set: Option<String>) -> Self {
        Self { here, image_set }
    }

    /// A path as a URL.
    pub(super) fn url(&self, path: &str) -> String {
        format!("{}{path}", self.here.0)
    }

    /// Makes the links of a data set whole.
    pub(super) fn complete(&self, data_set: &mut DicomJson) {
        for (tag, attribute) in data_set {
            let Some(attribute) = attribute.as_object_mut() else {
                continue;
            };
            if let Some(Value::String(uri)) = attribute.get_mut(BULK_DATA_URI) {
                if let Some(id) = &self.image_set {
                    *uri = format!("{uri}?imageSetId={id}");
                }
                self.make_whole(uri);
            }
            let Some(Value::Array(values)) = attribute.get_mut("Value") else {
                continue;
            };
            for value in values {
                match value {
                    Value::Object(item) => self.complete(item),
                    Value::String(url) if tag == RETRIEVE_URL => self.make_whole(url),
                    _ => {}
                }
            }
        }
    }

    fn make_whole(&self, place: &mut String) {
        if place.starts_with('/') {
            *place = self.url(place);
        }
    }
}
