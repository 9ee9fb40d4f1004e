//! URLs of the service in its responses, as paths: only this program signs requests for them.

use bytes::{Bytes, BytesMut};
use healthimaging::model::DicomJson;
use serde_json::Value;

const BULK_DATA: &[u8] = b"\"BulkDataURI\"";
const RETRIEVE_URL: &str = "00081190";

/// Makes URLs of data stores in `BulkDataURI` of DICOM JSON paths from the root.
pub(super) fn without_hosts(json: Bytes) -> Bytes {
    let mut rest = &json[..];
    let mut changed = BytesMut::new();
    while let Some(at) = memchr::memmem::find(rest, BULK_DATA) {
        let (before, after) = rest.split_at(at + BULK_DATA.len());
        let value = after.trim_ascii_start().strip_prefix(b":").map(<[u8]>::trim_ascii_start);
        let value = value.and_then(|value| value.strip_prefix(b"\""));
        changed.extend_from_slice(before);
        rest = after;
        let length = value.and_then(|value| memchr::memchr(b'"', value));
        if let Some((value, length)) = value.zip(length)
            && let Some((url, end)) = value.split_at_checked(length)
            && let Some(path) = std::str::from_utf8(url).ok().and_then(path)
        {
            changed.extend_from_slice(b":\"");
            changed.extend_from_slice(path.as_bytes());
            rest = end;
        }
    }
    if changed.is_empty() {
        return json;
    }
    changed.extend_from_slice(rest);
    changed.freeze()
}

/// Makes Retrieve URL (0008,1190) of a search result a path from the root.
pub(super) fn without_host(result: &mut DicomJson) {
    let value = result.get_mut(RETRIEVE_URL).and_then(|url| url.pointer_mut("/Value/0"));
    if let Some(Value::String(url)) = value
        && let Some(path) = path(url).map(str::to_owned)
    {
        *url = path;
    }
}

/// The path of a URL of a data store.
fn path(url: &str) -> Option<&str> {
    let (scheme, rest) = url.split_once("://")?;
    let path = rest.get(rest.find('/')?..)?;
    let is_web = matches!(scheme, "http" | "https");
    (is_web && path.starts_with("/datastore/")).then_some(path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn urls_of_data_stores_become_paths() {
        let host = "https://dicom-medical-imaging.us-east-1.amazonaws.com";
        let text = format!(
            r#"[{{"a":{{"vr":"OB","BulkDataURI" : "{host}/datastore/1/studies/2"}},"b":{{"BulkDataURI":"/datastore/1"}},
            "c":"\"BulkDataURI\":\"{host}/datastore/","d":{{"BulkDataURI":"{host}/other"}}}}]"#
        );
        let found: Value = serde_json::from_slice(&without_hosts(text.clone().into())).unwrap();
        let mut expected: Value = serde_json::from_str(&text).unwrap();
        expected[0]["a"]["BulkDataURI"] = json!("/datastore/1/studies/2");
        assert_eq!(found, expected);
        for odd in
            ["", "[]", "\"BulkDataURI\"", "{\"BulkDataURI\": 1}", "{\"BulkDataURI\":\"http://"]
        {
            assert_eq!(without_hosts(odd.into()), odd);
        }
    }

    #[test]
    fn a_retrieve_url_becomes_a_path() {
        for (url, expected) in [
            ("https://aws/datastore/1/studies/2", "/datastore/1/studies/2"),
            ("/datastore/1", "/datastore/1"),
            ("https://aws/else", "https://aws/else"),
        ] {
            let value = json!({ "vr": "UR", "Value": [url] });
            let mut result = DicomJson::from_iter([(RETRIEVE_URL.to_owned(), value)]);
            without_host(&mut result);
            assert_eq!(result[RETRIEVE_URL]["Value"][0], expected);
        }
        without_host(&mut DicomJson::new());
    }
}
