//! WADO-RS: instances and metadata.

use bytes::BytesMut;
use futures::stream::{self, StreamExt, TryStreamExt};
use healthimaging::model::{
    DicomJson, InstanceMetadataRequest, RetrieveInstanceRequest, RetrieveInstanceResponse,
    SeriesMetadataRequest, TransferSyntaxChoice,
};
use healthimaging::{Body, Error, ErrorKind, ImageSetId, Result};

use serde::Deserialize;
use serde::de::IgnoredAny;

use super::part10;
use super::request::{Answer, Web};
use super::urls::without_hosts;

/// Longest metadata of a series in bytes, above the limits of the service.
const MAX_METADATA: u64 = 512 * 1024 * 1024;

/// Formats the path of a request for an instance, with the rest of the path.
macro_rules! instance_path {
    ($request:ident, $($rest:tt)+) => {
        format!(
            "/studies/{}/series/{}/instances/{}{}{}",
            $request.study_instance_uid.path_segment(),
            $request.series_instance_uid.path_segment(),
            $request.sop_instance_uid.path_segment(),
            format_args!($($rest)+),
            $crate::web::retrieve::of_set($request.image_set_id.as_ref()),
        )
    };
}
pub(super) use instance_path;

pub(crate) async fn instance(
    web: &Web,
    request: RetrieveInstanceRequest,
) -> Result<RetrieveInstanceResponse> {
    let accept = match &request.transfer_syntax {
        TransferSyntaxChoice::Stored => "application/dicom; transfer-syntax=*".to_owned(),
        TransferSyntaxChoice::Uid(uid) => format!("application/dicom; transfer-syntax={uid}"),
    };
    let path = instance_path!(request, "");
    let answer = web.get(&request.datastore_id, &path, &accept).await?;
    let (transfer_syntax_uid, instance) = transfer_syntax(answer).await?;
    Ok(RetrieveInstanceResponse { transfer_syntax_uid, instance, content_name: None })
}

/// Returns the transfer syntax in the file, which a proxy cannot change.
async fn transfer_syntax(answer: Answer) -> Result<(String, Body)> {
    let length = answer.body.length();
    let media = answer.media().map(str::to_owned);
    let mut pieces = answer.body.into_stream();
    let mut head = BytesMut::new();
    while head.len() < part10::HEAD
        && let Some(piece) = pieces.try_next().await?
    {
        head.extend_from_slice(&piece);
    }
    let in_file = part10::meta(&head).transfer_syntax_uid;
    let uid = in_file
        .or_else(|| parameter(&media?, "transfer-syntax"))
        .ok_or_else(|| unreadable("a file without a transfer syntax"))?;
    let whole = stream::once(async move { Ok(head.freeze()) }).chain(pieces);
    Ok((uid, Body::from_stream(whole.boxed(), length)))
}

/// Returns a parameter of a media type.
pub(super) fn parameter(media: &str, name: &str) -> Option<String> {
    media.split(';').find_map(|part| {
        let (found, value) = part.trim().split_once('=')?;
        let named = found.eq_ignore_ascii_case(name);
        named.then(|| value.trim_matches('"').to_owned())
    })
}

pub(crate) async fn instance_metadata(
    web: &Web,
    request: &InstanceMetadataRequest,
) -> Result<Body> {
    let path = instance_path!(request, "/metadata");
    metadata(web.get(&request.datastore_id, &path, JSON).await?).await
}

pub(crate) async fn series_metadata(web: &Web, request: &SeriesMetadataRequest) -> Result<Body> {
    let path = format!(
        "/studies/{}/series/{}/metadata{}",
        request.study_instance_uid.path_segment(),
        request.series_instance_uid.path_segment(),
        of_set(request.image_set_id.as_ref()),
    );
    metadata(web.get(&request.datastore_id, &path, JSON).await?).await
}

/// Returns the content of a response, which must be an array that is not empty.
async fn metadata(answer: Answer) -> Result<Body> {
    let text = answer.body.collect(MAX_METADATA).await?;
    let found: Vec<IgnoredAny> = read(&text)?;
    if found.is_empty() {
        return Err(Error::not_found(
            "the data store has no metadata of this study, series or instance",
        ));
    }
    Ok(without_hosts(text).into())
}

pub(super) const JSON: &str = "application/dicom+json";

pub(super) fn of_set(set: Option<&ImageSetId>) -> String {
    set.map(|id| format!("?imageSetId={id}")).unwrap_or_default()
}

/// Returns the data sets of a response; none if it has no content.
pub(super) async fn data_sets(answer: Answer) -> Result<Vec<DicomJson>> {
    read(&answer.body.collect(MAX_METADATA).await?)
}

fn read<'a, T: Deserialize<'a>>(text: &'a [u8]) -> Result<Vec<T>> {
    if text.is_empty() {
        return Ok(Vec::new());
    }
    serde_json::from_slice(text).map_err(|cause| unreadable("not DICOM JSON").with_source(cause))
}

pub(super) fn unreadable(what: &str) -> Error {
    Error::new(
        ErrorKind::Service,
        format!("invalid response of DICOMweb of AWS HealthImaging: {what}"),
    )
}
