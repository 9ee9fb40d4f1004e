//! STOW-RS: stores files, with an outcome for each.

use std::sync::Arc;

use axum::body::{Body as HttpBody, BodyDataStream};
use axum::extract::Request;
use axum::response::Response;
use futures::stream::{self, BoxStream, StreamExt};
use healthimaging::model::StoreInstancesRequest;
use healthimaging::{Body, DatastoreId, DicomWeb, Error, ErrorKind, Result, Uid};
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
    let datastore_id = path.get::<DatastoreId>("datastoreId")?;
    let study: Option<Uid> = path.get_if("study")?;
    if study.as_ref().is_some_and(|study| !is_valid(study.as_str())) {
        return Err(Error::validation(
            "the study of the path is not a valid UID (PS3.5 section 9.1); store to /studies for any study",
        )
        .into());
    }
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

/// Returns whether a text has the form of a UID: up to 64 digits and periods, no component empty or with a leading 0.
fn is_valid(uid: &str) -> bool {
    let is_component = |text: &str| {
        !text.is_empty()
            && text.bytes().all(|byte| byte.is_ascii_digit())
            && (text == "0" || !text.starts_with('0'))
    };
    uid.len() <= 64 && uid.split('.').all(is_component)
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

#[cfg(test)]
mod tests {
    use super::is_valid;

    #[test]
    fn uids_of_paths_have_the_form_of_the_standard() {
        for valid in ["1.2.840.10008.1.2", "2.25.0", "0.0", "1"] {
            assert!(is_valid(valid), "{valid}");
        }
        for wrong in ["", "abc", "1..2", "1.2.", "1.02", "1.2 ", &"1.".repeat(40)] {
            assert!(!is_valid(wrong), "{wrong}");
        }
    }
}
