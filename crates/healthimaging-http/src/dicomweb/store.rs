//! STOW-RS: stores files, with an outcome for each.

use std::sync::Arc;

use axum::body::{Body as HttpBody, BodyDataStream};
use axum::extract::Request;
use axum::response::Response;
use futures::stream::{self, BoxStream, StreamExt};
use healthimaging::model::StoreInstancesRequest;
use healthimaging::{Body, DatastoreId, DicomWeb, Error, ErrorKind, Result};
use http::{HeaderMap, header};

use super::accept::parameter;
use super::multipart;
use super::store_response::{Form, response};
use crate::base_url::BaseUrl;
use crate::call::{ForCaller, Path, query, with_accept};
use crate::content::read_failure;
use crate::failure::Failure;

/// Longest request in bytes.
const MAX_BODY: u64 = 1 << 30;

/// Files of a request.
const MAX_PARTS: usize = 100_000;

/// Longest boundary in bytes: RFC 2046 allows 70, Orthanc sends 73.
const MAX_BOUNDARY: usize = 256;

/// Stores the files of a request.
pub(super) async fn store(
    web: Arc<dyn DicomWeb>,
    request: Request,
) -> std::result::Result<Response, Failure> {
    let web = <dyn DicomWeb>::for_caller(web, &request);
    let (form, datastore_id, base_url, request) = parse(request).await?;
    let outcome = web.store_instances(request).await?;
    Ok(response(form, datastore_id, base_url, outcome).await?)
}

async fn parse(
    mut request: Request,
) -> std::result::Result<(Form, DatastoreId, BaseUrl, StoreInstancesRequest), Failure> {
    let path = Path::of(&mut request).await?;
    let (datastore_id, study) = (path.get::<DatastoreId>("datastoreId")?, path.get_if("study")?);
    let query = query(&mut request).await?;
    let headers = with_accept(request.headers().clone(), &query);
    let form = Form::select(&headers)?;
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
    Ok((form, datastore_id, base_url, request))
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
