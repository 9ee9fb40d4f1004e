//! Addresses in data sets: back ends name places below this host, clients want whole URLs.

use healthimaging::model::DicomJson;
use http::{HeaderMap, header};
use serde_json::Value;

const BULK_DATA_URI: &str = "BulkDataURI";
const RETRIEVE_URL: &str = "00081190";

/// Where this host is, as the client sees it, and what its links must carry.
pub(super) struct Links {
    host: Option<String>,
    /// The image set that was asked for; values of one that is not primary are found in it alone.
    image_set: Option<String>,
}

impl Links {
    /// Links for the answer to a request with these headers.
    pub(super) fn of(headers: &HeaderMap, image_set: Option<String>) -> Self {
        let host = headers
            .get(header::HOST)
            .and_then(|host| host.to_str().ok());
        let host = host.and_then(|host| host.rsplit('@').next());
        let scheme = headers
            .get("x-forwarded-proto")
            .and_then(|scheme| scheme.to_str().ok());
        let scheme = scheme.filter(|scheme| *scheme == "https").unwrap_or("http");
        Self {
            host: host.map(|host| format!("{scheme}://{host}")),
            image_set,
        }
    }

    /// A path as a URL, where the host is known.
    pub(super) fn url(&self, path: &str) -> String {
        format!("{}{path}", self.host.as_deref().unwrap_or_default())
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
