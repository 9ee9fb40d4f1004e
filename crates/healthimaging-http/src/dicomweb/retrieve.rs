//! WADO-RS: instances, metadata, frames, bulk data.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::response::Response;
use futures::future::{BoxFuture, FutureExt};
use futures::stream::{StreamExt, TryStreamExt};
use healthimaging::model::{
    InstanceMetadataRequest, RetrieveBulkdataRequest, RetrieveFramesRequest,
    RetrieveFramesResponse, RetrieveInstanceRequest, SeriesMetadataRequest, TransferSyntaxChoice,
};
use healthimaging::{DicomWeb, Error, ErrorKind, Result, Uid, path_segment};
use http::HeaderMap;

use super::accept::{
    DEFAULT, Range, any, is_htj2k, is_of_media, lists_other_than_htj2k, not_acceptable, ranges,
};
use super::part::{Part, Urls};
use super::{IMAGE_SET_ID, JSON, check_parameters, multipart, require_json};
use crate::byte_range::ranged;
use crate::call::Call;
use crate::content::streamed;
use crate::entity_tag::{tag, tagged, validated};

const DICOM: &str = "application/dicom";
const BYTES: &str = "application/octet-stream";

/// Builds a request for an instance from the path and query of a call, and its other members.
macro_rules! of_instance {
    ($call:ident, $request:ident { $($member:ident: $value:expr),* $(,)? }) => {
        $request {
            datastore_id: $call.path("datastoreId")?,
            study_instance_uid: $call.path("study")?,
            series_instance_uid: $call.path("series")?,
            sop_instance_uid: $call.path("instance")?,
            image_set_id: $call.query("imageSetId")?,
            $($member: $value,)*
        }
    };
}

/// Returns the URL of a resource of the instance of a request.
macro_rules! location {
    ($call:ident, $request:ident, $resource:expr) => {
        Urls::of(&$call)?.of_instance(
            &$request.study_instance_uid,
            &$request.series_instance_uid,
            &$request.sop_instance_uid,
            $resource,
        )
    };
}

/// Tries the media ranges of `Accept` in order until one is available. `media` returns how a range can be met, and `fits` whether
/// what was found meets it.
async fn negotiated<M, T>(
    headers: &HeaderMap,
    available: &str,
    media: impl Fn(&Range) -> Option<M>,
    get: impl Fn(TransferSyntaxChoice) -> BoxFuture<'static, Result<T>>,
    fits: impl Fn(&M, &T) -> bool,
) -> Result<(M, T)> {
    let mut choices = Vec::new();
    for range in ranges(headers) {
        for choice in range.syntaxes()? {
            choices.extend(media(&range).map(|media| (media, choice)));
        }
    }
    let mut refusal = not_acceptable(available);
    for (media, choice) in choices {
        match get(choice).await {
            Err(error) if error.kind() == ErrorKind::NotAcceptable => refusal = error,
            Ok(found) if !fits(&media, &found) => {}
            answer => return Ok((media, answer?)),
        }
    }
    Err(refusal)
}

/// Returns an instance as a Part 10 file, by itself or as the only part of a multipart.
pub(super) async fn instance(web: Arc<dyn DicomWeb>, call: Call) -> Result<Response> {
    check_parameters(&call, &[IMAGE_SET_ID])?;
    let request = of_instance!(
        call,
        RetrieveInstanceRequest { transfer_syntax: TransferSyntaxChoice::Stored }
    );
    let sop_instance_uid = request.sop_instance_uid.to_string();
    let location = location!(call, request, "");
    let available =
        "application/dicom; transfer-syntax=UID, or transfer-syntax=* for the stored one";
    let is_multipart = |range: &Range| {
        if range.covers(DICOM) { Some(false) } else { range.is_multipart_of(DICOM).then_some(true) }
    };
    let get = move |transfer_syntax| {
        let (web, request) = (Arc::clone(&web), request.clone());
        let request = RetrieveInstanceRequest { transfer_syntax, ..request };
        async move { web.retrieve_instance(request).await }.boxed()
    };
    let (is_multipart, found) =
        negotiated(&call.headers, available, is_multipart, get, |_, _| true).await?;
    let media = format!("{DICOM}; transfer-syntax={}", found.transfer_syntax_uid);
    let envelope = if is_multipart { DICOM } else { "" };
    let tag = found.content_name.map(|name| tag_of(&name, &sop_instance_uid, envelope, &media));
    validated(&call.headers, tag, async {
        if is_multipart {
            let part = Part { media: media.clone(), location, body: found.instance };
            let one = futures::stream::once(async move { Ok(part) });
            return multipart::response(DICOM, one.boxed()).await;
        }
        streamed(found.instance, &media).await
    })
    .await
}

/// Returns the entity tag of a part of a named content, in this envelope and media type.
fn tag_of(name: &str, part: &str, envelope: &str, media: &str) -> String {
    tag(&[name.as_bytes(), part.as_bytes(), envelope.as_bytes(), media.as_bytes()])
}

/// Returns the attributes of an instance.
pub(super) async fn instance_metadata(web: Arc<dyn DicomWeb>, call: Call) -> Result<Response> {
    check_parameters(&call, &[IMAGE_SET_ID])?;
    require_json(&call.headers)?;
    let request = of_instance!(call, InstanceMetadataRequest {});
    let found = web.instance_metadata(request).await?;
    tagged(&call.headers, call.base_url.complete_bulk_data(found), JSON).await
}

/// Returns the attributes of every instance of a series.
pub(super) async fn series_metadata(web: Arc<dyn DicomWeb>, call: Call) -> Result<Response> {
    check_parameters(&call, &[IMAGE_SET_ID])?;
    require_json(&call.headers)?;
    let request = SeriesMetadataRequest {
        datastore_id: call.path("datastoreId")?,
        study_instance_uid: call.path("study")?,
        series_instance_uid: call.path("series")?,
        image_set_id: call.query("imageSetId")?,
    };
    let found = web.series_metadata(request).await?;
    tagged(&call.headers, call.base_url.complete_bulk_data(found), JSON).await
}

/// Returns frames as a multipart.
pub(super) async fn frames(web: Arc<dyn DicomWeb>, call: Call) -> Result<Response> {
    check_parameters(&call, &[IMAGE_SET_ID])?;
    let request = of_instance!(
        call,
        RetrieveFramesRequest {
            frames: frame_numbers(&call.text("frames"))?,
            transfer_syntax: TransferSyntaxChoice::Stored,
            enough: None,
            is_whole: false,
        }
    );
    let available = "multipart/related; type=\"application/octet-stream\"; transfer-syntax=UID, or \
                    transfer-syntax=* for the stored one";
    let media = |range: &Range| range.frame_media().map(str::to_owned);
    let asked = request.clone();
    let get = move |transfer_syntax| {
        let (web, request) = (Arc::clone(&web), asked.clone());
        let request = RetrieveFramesRequest { transfer_syntax, ..request };
        async move { web.retrieve_frames(request).await }.boxed()
    };
    let fits = |media: &String, found: &RetrieveFramesResponse| {
        is_of_media(media, &found.transfer_syntax_uid)
    };
    let (media, mut found) = negotiated(&call.headers, available, media, &get, fits).await?;
    if media == BYTES
        && is_htj2k(&found.transfer_syntax_uid)
        && lists_other_than_htj2k(&call.headers)
    {
        match get(TransferSyntaxChoice::Uid(Uid::try_from(DEFAULT)?)).await {
            Err(error) if error.kind() == ErrorKind::NotAcceptable => {}
            uncompressed => found = uncompressed?,
        }
    }
    let of_part = format!("{media}; transfer-syntax={}", found.transfer_syntax_uid);
    let wanted = format!("{}/{:?}", request.sop_instance_uid, request.frames);
    let tag = found.content_name.take().map(|name| tag_of(&name, &wanted, &media, &of_part));
    validated(&call.headers, tag, async {
        if let [number] = request.frames[..]
            && let Some(frame) = found.frames.next().await.transpose()?
        {
            let RetrieveFramesRequest { datastore_id, sop_instance_uid, image_set_id, .. } =
                &request;
            let subject = (datastore_id, sop_instance_uid, image_set_id, number);
            let location = location!(call, request, &format!("/frames/{number}"));
            let part = Part { media: of_part.clone(), location, body: frame };
            return multipart::single(&call.headers, &subject, &media, part).await;
        }
        let (of_part, urls) = (of_part.clone(), Urls::of(&call)?);
        let mut numbers = request.frames.clone().into_iter();
        let parts = found.frames.map_ok(move |body| {
            let resource =
                numbers.next().map_or_else(String::new, |number| format!("/frames/{number}"));
            let RetrieveFramesRequest {
                study_instance_uid,
                series_instance_uid,
                sop_instance_uid,
                ..
            } = &request;
            let location = urls.of_instance(
                study_instance_uid,
                series_instance_uid,
                sop_instance_uid,
                &resource,
            );
            Part { media: of_part.clone(), location, body }
        });
        multipart::response(&media, parts.boxed()).await
    })
    .await
}

/// Parses `1,2,3`.
pub(super) fn frame_numbers(list: &str) -> Result<Vec<u32>> {
    let wrong =
        || Error::validation("frames must be a list of numbers from 1, each once, such as 1,2,3");
    let numbers = list.split(',').map(|number| number.trim().parse().map_err(|_| wrong()));
    let numbers: Vec<u32> = numbers.collect::<Result<_>>()?;
    let distinct: BTreeSet<_> = numbers.iter().collect();
    if distinct.len() == numbers.len() { Ok(numbers) } else { Err(wrong()) }
}

/// Returns bulk data.
pub(super) async fn bulkdata(web: Arc<dyn DicomWeb>, call: Call) -> Result<Response> {
    check_parameters(&call, &[IMAGE_SET_ID])?;
    let request =
        of_instance!(call, RetrieveBulkdataRequest { bulkdata_id: call.text("bulkdata") });
    let is_bare = any(&call.headers, &[BYTES]).is_ok();
    if !is_bare && !ranges(&call.headers).iter().any(|range| range.is_multipart_of(BYTES)) {
        return Err(not_acceptable(BYTES));
    }
    let wanted = format!("{}/{}", request.sop_instance_uid, request.bulkdata_id);
    let location =
        location!(call, request, &format!("/bulkdata/{}", path_segment(&request.bulkdata_id)));
    let found = web.retrieve_bulkdata(request).await?;
    let envelope = if is_bare { "" } else { BYTES };
    let tag = found.content_name.map(|name| tag_of(&name, &wanted, envelope, BYTES));
    validated(&call.headers, tag, async {
        if is_bare {
            return ranged(&call.headers, found.bulkdata, BYTES).await;
        }
        let part = Part { media: BYTES.to_owned(), location, body: found.bulkdata };
        let one = futures::stream::once(async move { Ok(part) });
        multipart::response(BYTES, one.boxed()).await
    })
    .await
}
