//! WADO-RS: frames and bulk data. Frames are requested one by one, so that none is held in memory.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use futures::stream::{self, BoxStream, StreamExt, TryStreamExt};
use healthimaging::model::{
    RetrieveBulkdataRequest, RetrieveBulkdataResponse, RetrieveFramesRequest,
    RetrieveFramesResponse, TransferSyntaxChoice,
};
use healthimaging::{Body, Error, Result, path_segment};

use super::request::{Answer, Web};
use super::retrieve::{instance_path, parameter, unreadable};

/// Longest headers of a part in bytes.
const MAX_HEAD: usize = 16 * 1024;

pub(crate) async fn frames(
    web: &Arc<Web>,
    request: RetrieveFramesRequest,
) -> Result<RetrieveFramesResponse> {
    let mut numbers = request.frames.clone().into_iter();
    let first =
        numbers.next().ok_or_else(|| Error::validation("frames must have at least one number"))?;
    let (transfer_syntax_uid, first) = frame(web, &request, first).await?;
    let web = Arc::clone(web);
    let rest = stream::iter(numbers).then(move |number| {
        let (web, request) = (Arc::clone(&web), request.clone());
        async move { frame(&web, &request, number).await.map(|(_, body)| body) }
    });
    Ok(RetrieveFramesResponse {
        transfer_syntax_uid,
        lower_resolution: None,
        frames: stream::once(async { Ok(first) }).chain(rest).boxed(),
        content_name: None,
    })
}

async fn frame(web: &Web, request: &RetrieveFramesRequest, number: u32) -> Result<(String, Body)> {
    let wanted = match &request.transfer_syntax {
        TransferSyntaxChoice::Stored => "*",
        TransferSyntaxChoice::Uid(uid) => uid.as_str(),
    };
    let accept =
        format!("multipart/related; type=\"application/octet-stream\"; transfer-syntax={wanted}");
    let path = instance_path!(request, "/frames/{number}");
    let response = web.get(&request.datastore_id, &path, &accept).await?;
    let part = only_part(response).await?;
    let uid = part.media.as_deref().and_then(|media| parameter(media, "transfer-syntax"));
    let uid = uid.ok_or_else(|| unreadable("a frame without a transfer syntax"))?;
    Ok((uid, part.body))
}

pub(crate) async fn bulkdata(
    web: &Web,
    request: &RetrieveBulkdataRequest,
) -> Result<RetrieveBulkdataResponse> {
    let path = instance_path!(request, "/bulkdata/{}", path_segment(&request.bulkdata_id));
    let accept = "application/octet-stream";
    let response = web.get(&request.datastore_id, &path, accept).await?;
    let bulkdata = only_part(response).await?.body;
    Ok(RetrieveBulkdataResponse { bulkdata, content_name: None })
}

/// Content of a response.
struct Part {
    media: Option<String>,
    body: Body,
}

/// Returns the only part of a multipart response, or the content of another one.
async fn only_part(response: Answer) -> Result<Part> {
    let media = response.media().map(str::to_owned);
    let boundary = media.as_deref().and_then(|media| parameter(media, "boundary"));
    let Some(boundary) = boundary else {
        let body = response.body;
        return Ok(Part { media, body });
    };
    let mut pieces = response.body.into_stream();
    let mut held = BytesMut::new();
    let headers = loop {
        if let Some(end) = find(&held, b"\r\n\r\n") {
            let headers = held.split_to(end + 4);
            break String::from_utf8_lossy(&headers).into_owned();
        }
        match pieces.try_next().await? {
            Some(piece) if held.len() < MAX_HEAD => held.extend_from_slice(&piece),
            _ => return Err(unreadable("no part")),
        }
    };
    let media = headers.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        let named = name.trim().eq_ignore_ascii_case("content-type");
        named.then(|| value.trim().to_owned())
    });
    let end = format!("\r\n--{boundary}").into_bytes();
    Ok(Part { media, body: Body::from_stream(until(end, held, pieces), None) })
}

/// Returns the bytes of a stream before its last `end`.
fn until(
    end: Vec<u8>,
    held: BytesMut,
    pieces: BoxStream<'static, Result<Bytes>>,
) -> BoxStream<'static, Result<Bytes>> {
    // Two dashes, a line end and spaces may follow.
    let tail = end.len() + 16;
    let start = Some((end, held, pieces));
    stream::try_unfold(start, move |state| async move {
        let Some((end, mut held, mut pieces)) = state else {
            return Ok(None);
        };
        while held.len() <= tail {
            if let Some(piece) = pieces.try_next().await? {
                held.extend_from_slice(&piece);
                continue;
            }
            let length = find(&held, &end).ok_or_else(|| unreadable("a part without an end"))?;
            return Ok(Some((held.split_to(length).freeze(), None)));
        }
        let sure = held.len() - tail;
        let piece = held.split_to(sure).freeze();
        Ok(Some((piece, Some((end, held, pieces)))))
    })
    .boxed()
}

fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes.windows(wanted.len()).position(|found| found == wanted)
}
