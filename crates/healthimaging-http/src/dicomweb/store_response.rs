//! The Store Instances Response (`PS3.18 §10.5.3`, Annex I), as DICOM JSON or, for older clients, as XML of the Native DICOM
//! Model (`PS3.19 §A.1`).

use std::fmt::Write as _;

use axum::response::Response;
use bytes::Bytes;
use futures::stream::{self, BoxStream, StreamExt};
use healthimaging::model::{FailedInstance, StoreInstancesResponse, StoredInstance};
use healthimaging::{Body, DatastoreId, Error, Result, path_segment};
use http::{HeaderMap, StatusCode};
use serde_json::Value;

use super::JSON;
use super::accept::{not_acceptable, ranges};
use crate::base_url::BaseUrl;
use crate::content::streamed;

const XML: &str = "application/dicom+xml";

/// Items of a response in one piece.
const ITEMS: usize = 256;

/// Longest value of LO in characters.
const LONGEST_COMMENT: usize = 64;

/// Failure reasons of a store without space (`PS3.18` Table I.2-2).
const OUT_OF_RESOURCES: std::ops::RangeInclusive<u16> = 0xA700..=0xA7FF;

/// Form of a response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    Json,
    Xml,
}

impl Form {
    /// Selects a form by `Accept`.
    pub(super) fn select(headers: &HeaderMap) -> Result<Self> {
        let form = ranges(headers).into_iter().find_map(|range| {
            if range.covers(JSON) || range.covers("application/json") {
                return Some(Self::Json);
            }
            range.covers(XML).then_some(Self::Xml)
        });
        form.ok_or_else(|| not_acceptable("application/dicom+json, application/dicom+xml"))
    }

    const fn media_type(self) -> &'static str {
        match self {
            Self::Json => JSON,
            Self::Xml => XML,
        }
    }

    /// Returns what is before the first attribute.
    const fn begin(self) -> &'static str {
        match self {
            Self::Json => "{",
            Self::Xml => {
                "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<NativeDicomModel \
                 xmlns=\"http://dicom.nema.org/PS3.19/models/NativeDICOM\" xml:space=\"preserve\">"
            }
        }
    }

    const fn end(self) -> &'static str {
        match self {
            Self::Json => "}",
            Self::Xml => "</NativeDicomModel>",
        }
    }

    const fn between(self) -> &'static str {
        match self {
            Self::Json => ",",
            Self::Xml => "",
        }
    }

    fn begin_sequence(self, tag: &str, keyword: &str) -> String {
        match self {
            Self::Json => format!("\"{tag}\":{{\"vr\":\"SQ\",\"Value\":["),
            Self::Xml => {
                format!("<DicomAttribute tag=\"{tag}\" vr=\"SQ\" keyword=\"{keyword}\">")
            }
        }
    }

    const fn end_sequence(self) -> &'static str {
        match self {
            Self::Json => "]}",
            Self::Xml => "</DicomAttribute>",
        }
    }

    /// Writes an item, counted from 1.
    fn item(self, number: usize, attributes: &[Attribute]) -> String {
        let all: Vec<String> = attributes.iter().map(|one| self.attribute(one)).collect();
        let all = all.join(self.between());
        match self {
            Self::Json => format!("{{{all}}}"),
            Self::Xml => format!("<Item number=\"{number}\">{all}</Item>"),
        }
    }

    fn attribute(self, attribute: &Attribute) -> String {
        let Attribute { tag, vr, keyword, value } = attribute;
        match self {
            Self::Json => {
                let value = value.as_ref().map(|value| format!(",\"Value\":[{value}]"));
                format!("\"{tag}\":{{\"vr\":\"{vr}\"{}}}", value.unwrap_or_default())
            }
            Self::Xml => {
                let value = value.as_ref().map(|value| {
                    let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
                    format!("<Value number=\"1\">{}</Value>", escaped(&text))
                });
                format!(
                    "<DicomAttribute tag=\"{tag}\" vr=\"{vr}\" keyword=\"{keyword}\">{}</DicomAttribute>",
                    value.unwrap_or_default()
                )
            }
        }
    }
}

/// An attribute of one value, or of none.
struct Attribute {
    tag: &'static str,
    vr: &'static str,
    keyword: &'static str,
    value: Option<Value>,
}

impl Attribute {
    fn uid(tag: &'static str, keyword: &'static str, uid: &str) -> Self {
        Self { tag, vr: "UI", keyword, value: (!uid.is_empty()).then(|| uid.into()) }
    }

    fn retrieve_url(url: Option<String>) -> Self {
        Self { tag: "00081190", vr: "UR", keyword: "RetrieveURL", value: url.map(Value::from) }
    }

    /// What is wrong with an instance (`PS3.7 §C.5`): one value of LO in the default character repertoire.
    fn error_comment(message: &str) -> Self {
        let value = (!message.is_empty()).then(|| comment(message).into());
        Self { tag: "00000902", vr: "LO", keyword: "ErrorComment", value }
    }

    fn reason(tag: &'static str, keyword: &'static str, reason: u16) -> Self {
        Self { tag, vr: "US", keyword, value: Some(reason.into()) }
    }
}

/// Returns the response as a stream, as it may have many items.
pub(super) async fn response(
    form: Form,
    datastore: DatastoreId,
    base_url: BaseUrl,
    outcome: StoreInstancesResponse,
) -> Result<Response> {
    let StoreInstancesResponse { stored, failed } = outcome;
    if stored.is_empty() && failed.is_empty() {
        return Err(Error::validation("the request has no file"));
    }
    let status = status(&stored, &failed);
    for failed in &failed {
        tracing::info!(
            position = failed.position,
            reason = failed.message,
            "an instance was not stored"
        );
    }
    let root = format!("{}/datastore/{datastore}", base_url.0);
    let url = form.attribute(&Attribute::retrieve_url(url_of_study(&root, &stored)));
    // Without the UIDs of an instance, its failure is one of another kind (PS3.18 Table I.2-1).
    let (failed, other): (Vec<_>, Vec<_>) = failed
        .into_iter()
        .partition(|failed| failed.sop_instance_uid.as_ref().is_some_and(|uid| !uid.is_empty()));
    let other_item = |failed: FailedInstance| {
        vec![
            Attribute::error_comment(&failed.message),
            Attribute::reason("00081197", "FailureReason", failed.failure_reason),
        ]
    };
    let attributes = [
        Some(text(url)),
        sequence(form, ("00081198", "FailedSOPSequence"), failed, failed_item),
        sequence(form, ("00081199", "ReferencedSOPSequence"), stored, move |one| {
            stored_item(&root, &one)
        }),
        sequence(form, ("0008119A", "OtherFailuresSequence"), other, other_item),
    ];
    let attributes =
        attributes.into_iter().flatten().enumerate().map(move |(number, attribute)| {
            let before = if number == 0 { form.begin() } else { form.between() };
            text(before.to_owned()).chain(attribute)
        });
    let whole = stream::iter(attributes).flatten().chain(text(form.end().to_owned())).boxed();
    let mut response = streamed(Body::from_stream(whole, None), form.media_type()).await?;
    *response.status_mut() = status;
    Ok(response)
}

/// Returns the status of a request with these outcomes (`PS3.18` Table 10.5.3-1).
fn status(stored: &[StoredInstance], failed: &[FailedInstance]) -> StatusCode {
    let is_warned = stored.iter().any(|stored| stored.warning_reason.is_some());
    let is_full = failed.iter().all(|failed| OUT_OF_RESOURCES.contains(&failed.failure_reason));
    match (stored.is_empty(), failed.is_empty()) {
        (true, _) if is_full => StatusCode::INSUFFICIENT_STORAGE,
        (true, _) => StatusCode::CONFLICT,
        (false, true) if !is_warned => StatusCode::OK,
        _ => StatusCode::ACCEPTED,
    }
}

/// Returns the URL of the study, if all stored instances are of one.
fn url_of_study(root: &str, stored: &[StoredInstance]) -> Option<String> {
    let study = &stored.first()?.study_instance_uid;
    let is_one = stored.iter().all(|one| one.is_primary && one.study_instance_uid == *study);
    is_one.then(|| format!("{root}/studies/{}", path_segment(study)))
}

fn text(text: String) -> BoxStream<'static, Result<Bytes>> {
    stream::iter([Ok(Bytes::from(text))]).boxed()
}

/// Returns a sequence with an item for each of these, if there are any.
fn sequence<T: Send + 'static>(
    form: Form,
    (tag, keyword): (&str, &str),
    items: Vec<T>,
    item: impl Fn(T) -> Vec<Attribute> + Send + 'static,
) -> Option<BoxStream<'static, Result<Bytes>>> {
    if items.is_empty() {
        return None;
    }
    let begin = form.begin_sequence(tag, keyword);
    let texts = stream::iter(items).enumerate().map(move |(at, one)| {
        let before = if at == 0 { "" } else { form.between() };
        format!("{before}{}", form.item(at + 1, &item(one)))
    });
    let pieces = texts.ready_chunks(ITEMS).map(|some| Ok(Bytes::from(some.concat())));
    Some(text(begin).chain(pieces).chain(text(form.end_sequence().to_owned())).boxed())
}

fn stored_item(root: &str, stored: &StoredInstance) -> Vec<Attribute> {
    let mut url = format!(
        "{root}/studies/{}/series/{}/instances/{}",
        path_segment(&stored.study_instance_uid),
        path_segment(&stored.series_instance_uid),
        path_segment(&stored.sop_instance_uid),
    );
    if !stored.is_primary {
        // Writing to a text does not fail.
        let _ = write!(url, "?imageSetId={}", stored.image_set_id);
    }
    let mut item = vec![
        Attribute::uid("00081150", "ReferencedSOPClassUID", &stored.sop_class_uid),
        Attribute::uid("00081155", "ReferencedSOPInstanceUID", &stored.sop_instance_uid),
        Attribute::retrieve_url(Some(url)),
    ];
    if let Some(reason) = stored.warning_reason {
        item.push(Attribute::reason("00081196", "WarningReason", reason));
    }
    item
}

fn failed_item(failed: FailedInstance) -> Vec<Attribute> {
    let class = failed.sop_class_uid.unwrap_or_default();
    let instance = failed.sop_instance_uid.unwrap_or_default();
    vec![
        Attribute::error_comment(&failed.message),
        Attribute::uid("00081150", "ReferencedSOPClassUID", &class),
        Attribute::uid("00081155", "ReferencedSOPInstanceUID", &instance),
        Attribute::reason("00081197", "FailureReason", failed.failure_reason),
    ]
}

/// Returns a text as a value of LO, which has 64 characters and no backslash (`PS3.5 §6.2`); a longer one is cut behind a word.
fn comment(message: &str) -> String {
    let is_allowed = |c: char| c.is_ascii() && !c.is_ascii_control() && c != '\\';
    let text: String = message.chars().map(|c| if is_allowed(c) { c } else { '?' }).collect();
    if text.len() <= LONGEST_COMMENT {
        return text;
    }
    let cut = text.get(..LONGEST_COMMENT - 3).unwrap_or_default();
    let cut = cut.rsplit_once(' ').map_or(cut, |(words, _)| words);
    format!("{}...", cut.trim_end_matches([',', ';', ':']))
}

/// Returns a text as content of an XML element; characters that XML cannot have are left out.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            c if c.is_control() => {}
            c => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::header::ACCEPT;

    fn failed(uids: Option<&str>, failure_reason: u16) -> FailedInstance {
        FailedInstance {
            position: 0,
            sop_class_uid: uids.map(|uid| format!("{uid}.1")),
            sop_instance_uid: uids.map(str::to_owned),
            failure_reason,
            message: String::new(),
        }
    }

    fn stored(study: &str) -> StoredInstance {
        StoredInstance {
            position: 0,
            sop_class_uid: "1.2.1".to_owned(),
            sop_instance_uid: "1.2.3".to_owned(),
            study_instance_uid: study.to_owned(),
            series_instance_uid: "1.2.4".to_owned(),
            image_set_id: "0123456789abcdef0123456789abcdef".parse().unwrap(),
            is_primary: true,
            warning_reason: None,
        }
    }

    async fn answered(
        form: Form,
        stored: Vec<StoredInstance>,
        failed: Vec<FailedInstance>,
    ) -> (StatusCode, String) {
        let datastore = "0f1e2d3c4b5a69788796a5b4c3d2e1f0".parse().unwrap();
        let outcome = StoreInstancesResponse { stored, failed };
        let base_url = BaseUrl("http://h".to_owned());
        let response = response(form, datastore, base_url, outcome).await.unwrap();
        let status = response.status();
        let body = axum::body::to_bytes(response.into_body(), 1 << 16).await.unwrap();
        (status, String::from_utf8(body.to_vec()).unwrap())
    }

    async fn json(stored: Vec<StoredInstance>, failed: Vec<FailedInstance>) -> (u16, Value) {
        let (status, text) = answered(Form::Json, stored, failed).await;
        (status.as_u16(), serde_json::from_str(&text).unwrap())
    }

    /// PS3.18 Tables 10.5.3-1 and I.2-1.
    #[tokio::test]
    async fn failures_have_their_uids_or_are_other_failures() {
        let (status, found) = json(Vec::new(), vec![failed(None, 0xC000)]).await;
        assert_eq!(status, 409);
        assert_eq!(found["0008119A"]["Value"][0]["00081197"]["Value"][0], 0xC000);
        assert!(found.get("00081198").is_none());
        assert_eq!(found["00081190"], serde_json::json!({ "vr": "UR" }));
        let some = vec![failed(Some("1.5"), 0xA900), failed(None, 0xC000)];
        let (status, found) = json(vec![stored("1.9")], some).await;
        assert_eq!(status, 202);
        assert_eq!(found["00081198"]["Value"][0]["00081155"]["Value"][0], "1.5");
        assert_eq!(found["00081198"]["Value"][0]["00081150"]["Value"][0], "1.5.1");
        assert_eq!(found["0008119A"]["Value"].as_array().unwrap().len(), 1);
        let study = "http://h/datastore/0f1e2d3c4b5a69788796a5b4c3d2e1f0/studies/1.9";
        assert_eq!(found["00081190"]["Value"][0], study);
        let (status, found) = json(vec![stored("1.9"), stored("1.8")], Vec::new()).await;
        assert_eq!((status, found["00081190"].get("Value")), (200, None), "of two studies");
    }

    /// PS3.7 Table C.5: an Error Comment is a value of LO in the default character repertoire.
    #[tokio::test]
    async fn failures_say_what_is_wrong() {
        let long = "the file ends within its pixel data, at byte 1234567; send it again \\ \u{e9}";
        let refused = |uids, message: &str| FailedInstance {
            message: message.to_owned(),
            ..failed(uids, 0xC000)
        };
        let some = vec![refused(Some("1.5"), "no \u{e9}\\"), refused(None, long)];
        let (_, found) = json(Vec::new(), some).await;
        let of = |sequence: &str| found[sequence]["Value"][0]["00000902"].clone();
        assert_eq!(of("00081198"), serde_json::json!({ "vr": "LO", "Value": ["no ??"] }));
        let cut = "the file ends within its pixel data, at byte 1234567; send...";
        assert_eq!(of("0008119A"), serde_json::json!({ "vr": "LO", "Value": [cut] }));
    }

    #[tokio::test]
    async fn a_full_store_is_507() {
        let full = failed(Some("1.5"), 0xA700);
        assert_eq!(json(Vec::new(), vec![full.clone(), full.clone()]).await.0, 507);
        assert_eq!(json(Vec::new(), vec![full.clone(), failed(None, 0xC000)]).await.0, 409);
        assert_eq!(json(vec![stored("1.9")], vec![full]).await.0, 202);
    }

    #[tokio::test]
    async fn xml_is_the_native_model() {
        let (_, text) =
            answered(Form::Xml, vec![stored("1.9")], vec![failed(Some("1<5"), 0xA900)]).await;
        for part in [
            "<NativeDicomModel xmlns=\"http://dicom.nema.org/PS3.19/models/NativeDICOM\"",
            "<DicomAttribute tag=\"00081198\" vr=\"SQ\" keyword=\"FailedSOPSequence\"><Item number=\"1\">",
            "keyword=\"ReferencedSOPInstanceUID\"><Value number=\"1\">1&lt;5</Value>",
            "keyword=\"FailureReason\"><Value number=\"1\">43264</Value></DicomAttribute></Item>",
        ] {
            assert!(text.contains(part), "{part} in {text}");
        }
        assert!(text.ends_with("</Item></DicomAttribute></NativeDicomModel>"), "{text}");
        let of =
            |text: &str| Form::select(&HeaderMap::from_iter([(ACCEPT, text.parse().unwrap())]));
        assert_eq!(of("application/dicom+xml").unwrap(), Form::Xml);
        assert_eq!(of("*/*").unwrap(), Form::Json);
        assert_eq!(of("application/dicom+xml;q=0.5, application/json").unwrap(), Form::Json);
        assert!(of("text/html").is_err());
    }
}
