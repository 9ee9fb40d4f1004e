//! STOW-RS: stores files, with an outcome for each.

use std::sync::Arc;

use axum::body::{Body as HttpBody, BodyDataStream};
use axum::extract::Request;
use axum::response::Response;
use bytes::Bytes;
use futures::stream::{self, BoxStream, StreamExt};
use healthimaging::model::{
    FailedInstance, StoreInstancesRequest, StoreInstancesResponse, StoredInstance,
};
use healthimaging::{Body, DatastoreId, DicomWeb, Error, ErrorKind, Result, path_segment};
use http::{HeaderMap, StatusCode, header};
use serde_json::{Value, json};

use super::accept::{any, parameter};
use super::{JSON, multipart};
use crate::base_url::BaseUrl;
use crate::call::{Path, query, with_accept};
use crate::content::{read_failure, streamed};
use crate::failure::Failure;

/// Longest request in bytes.
const MAX_BODY: u64 = 1 << 30;

/// Files of a request.
const MAX_PARTS: usize = 100_000;

/// Items of a response in one piece.
const ITEMS: usize = 256;

/// Longest boundary in bytes: RFC 2046 allows 70, Orthanc sends 73.
const MAX_BOUNDARY: usize = 256;

/// Stores the files of a request.
pub(super) async fn store(
    web: Arc<dyn DicomWeb>,
    request: Request,
) -> std::result::Result<Response, Failure> {
    let (datastore_id, base_url, request) = parse(request).await?;
    let outcome = web.store_instances(request).await?;
    Ok(response(datastore_id, base_url, outcome).await?)
}

async fn parse(
    mut request: Request,
) -> std::result::Result<(DatastoreId, BaseUrl, StoreInstancesRequest), Failure> {
    let path = Path::of(&mut request).await?;
    let (datastore_id, study) = (path.get::<DatastoreId>("datastoreId")?, path.get_if("study")?);
    let query = query(&mut request).await?;
    let headers = with_accept(request.headers().clone(), &query);
    // Clients that accept XML only read the status: their files are stored, and the response is JSON.
    any(&headers, &[JSON, "application/json", "application/dicom+xml"])?;
    let base_url = BaseUrl::of_request(&request);
    let media = request.headers().get(header::CONTENT_TYPE).cloned();
    let media = media.as_ref().map(|media| media.to_str().unwrap_or_default());
    let (head, body) = request.into_parts();
    let body = bounded(&head.headers, body)?;
    let instances = instances(media.unwrap_or_default(), body)?;
    let request = StoreInstancesRequest {
        datastore_id: datastore_id.clone(),
        study_instance_uid: study,
        instances,
    };
    Ok((datastore_id, base_url, request))
}

/// Returns the files of a body of this media type.
fn instances(
    media: &str,
    body: BodyDataStream,
) -> std::result::Result<BoxStream<'static, Result<Body>>, Failure> {
    let kind = media.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let of_dicom = |kind: &str| kind.eq_ignore_ascii_case("application/dicom");
    match kind.as_str() {
        "application/dicom" => {
            let pieces = body.map(|piece| piece.map_err(read_failure));
            let file = Body::from_stream(pieces.boxed(), None);
            Ok(stream::once(async move { Ok(file) }).boxed())
        }
        "multipart/related" if parameter(media, "type").is_none_or(|kind| of_dicom(&kind)) => {
            let boundary = parameter(media, "boundary")
                .filter(|text| (1..=MAX_BOUNDARY).contains(&text.len()));
            let missing = || {
                Error::validation(format!(
                    "Content-Type must have a boundary of up to {MAX_BOUNDARY} characters"
                ))
            };
            let parts = multipart::parts(body, &boundary.ok_or_else(missing)?).enumerate();
            let bounded =
                parts.map(|(number, part)| if number < MAX_PARTS { part } else { Err(too_many()) });
            Ok(bounded.boxed())
        }
        _ => Err(Failure::unsupported_media_type(
            "Content-Type must be application/dicom for one file, or \
             multipart/related; type=\"application/dicom\" for several",
        )),
    }
}

fn too_many() -> Error {
    Error::new(
        ErrorKind::QuotaExceeded,
        format!("a request is limited to {MAX_PARTS} files; send them in several requests"),
    )
}

/// Returns the body with an error where it becomes too long.
fn bounded(headers: &HeaderMap, body: HttpBody) -> Result<BodyDataStream> {
    let too_long = || {
        Error::new(
            ErrorKind::QuotaExceeded,
            "a request is limited to 1 GiB; send the files in several requests",
        )
    };
    let length = headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok());
    if length.and_then(|length| length.parse().ok()).is_some_and(|length: u64| length > MAX_BODY) {
        return Err(too_long());
    }
    let mut seen = 0;
    let pieces = body.into_data_stream().map(move |piece| {
        let piece = piece.map_err(read_failure)?;
        seen += piece.len() as u64;
        if seen > MAX_BODY { Err(too_long()) } else { Ok(piece) }
    });
    Ok(HttpBody::from_stream(pieces).into_data_stream())
}

/// Returns the Store Instances Response (`PS3.18 §10.5.3`, Annex I) as a stream, as it may have many items.
async fn response(
    datastore: DatastoreId,
    base_url: BaseUrl,
    outcome: StoreInstancesResponse,
) -> Result<Response> {
    let StoreInstancesResponse { stored, failed } = outcome;
    if stored.is_empty() && failed.is_empty() {
        return Err(Error::validation("the request has no file"));
    }
    let is_warned = stored.iter().any(|stored| stored.warning_reason.is_some());
    let status = match (stored.is_empty(), failed.is_empty()) {
        (true, _) => StatusCode::CONFLICT,
        (false, true) if !is_warned => StatusCode::OK,
        _ => StatusCode::ACCEPTED,
    };
    for failed in &failed {
        tracing::info!(
            position = failed.position,
            reason = failed.message,
            "an instance was not stored"
        );
    }
    let is_last = stored.is_empty();
    let failed = sequence("00081198", failed, |failed| failed_item(&failed));
    let stored = sequence("00081199", stored, move |one| stored_item(&datastore, &base_url, &one));
    let between = if failed.is_some() && !is_last { "," } else { "" };
    let text = |text: &'static str| stream::iter([Ok(Bytes::from_static(text.as_bytes()))]).boxed();
    let parts = [Some(text("{")), failed, Some(text(between)), stored, Some(text("}"))];
    let whole = stream::iter(parts.into_iter().flatten()).flatten().boxed();
    let mut response = streamed(Body::from_stream(whole, None), JSON).await?;
    *response.status_mut() = status;
    Ok(response)
}

/// Returns a sequence with an item for each of these, if there are any.
fn sequence<T: Send + 'static>(
    tag: &str,
    items: Vec<T>,
    item: impl Fn(T) -> Value + Send + 'static,
) -> Option<BoxStream<'static, Result<Bytes>>> {
    let number = items.len();
    if number == 0 {
        return None;
    }
    let begin = format!("\"{tag}\":{{\"vr\":\"SQ\",\"Value\":[");
    let texts = stream::iter(items).enumerate().map(move |(at, one)| {
        let end = if at + 1 == number { "]}" } else { "," };
        format!("{}{end}", item(one))
    });
    let pieces = texts.ready_chunks(ITEMS).map(|some| Ok(Bytes::from(some.concat())));
    Some(stream::iter([Ok(Bytes::from(begin))]).chain(pieces).boxed())
}

fn stored_item(datastore: &DatastoreId, base_url: &BaseUrl, stored: &StoredInstance) -> Value {
    let mut path = format!(
        "/datastore/{datastore}/studies/{}/series/{}/instances/{}",
        path_segment(&stored.study_instance_uid),
        path_segment(&stored.series_instance_uid),
        path_segment(&stored.sop_instance_uid),
    );
    if !stored.is_primary {
        path = format!("{path}?imageSetId={}", stored.image_set_id);
    }
    let mut item = json!({
        "00081150": uid(&stored.sop_class_uid),
        "00081155": uid(&stored.sop_instance_uid),
        "00081190": { "vr": "UR", "Value": [format!("{}{path}", base_url.0)] },
    });
    if let Some(reason) = stored.warning_reason {
        item["00081196"] = json!({ "vr": "US", "Value": [reason] });
    }
    item
}

fn failed_item(failed: &FailedInstance) -> Value {
    json!({
        "00081150": uid(failed.sop_class_uid.as_deref().unwrap_or_default()),
        "00081155": uid(failed.sop_instance_uid.as_deref().unwrap_or_default()),
        "00081197": { "vr": "US", "Value": [failed.failure_reason] },
    })
}

/// Returns an attribute of a UID, or an empty one.
fn uid(text: &str) -> Value {
    if text.is_empty() { json!({ "vr": "UI" }) } else { json!({ "vr": "UI", "Value": [text] }) }
}
