//! A back end on the wire: what every request to it passes, and what every response carries.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use healthimaging::{DicomWeb, Error, ErrorKind, HealthImaging, Result};
use http::{HeaderName, HeaderValue, header};

use crate::access::Access;
use crate::content::{check_encoding, random_hex};
use crate::failure::Failure;
use crate::here::Here;
use crate::patience::patient;
use crate::visitors::{Visitors, is_preflight, preflight};
use crate::{dicomweb, rest};

const REQUEST_ID: HeaderName = HeaderName::from_static("x-amzn-requestid");

/// The AWS wire and DICOMweb.
pub(crate) fn routes(
    service: Arc<dyn HealthImaging>,
    web: Arc<dyn DicomWeb>,
    access: Access,
    visitors: Visitors,
) -> Router {
    rest::routes(service)
        .merge(dicomweb::routes(web))
        .fallback(unknown)
        .method_not_allowed_fallback(unknown)
        .layer(middleware::from_fn_with_state((access, visitors), pass))
}

async fn unknown() -> Failure {
    Failure::unknown_operation()
}

/// Lets a request in, and puts on its response what belongs on each.
async fn pass(
    State((access, visitors)): State<(Access, Visitors)>,
    request: Request,
    next: Next,
) -> Response {
    let asked = request.headers().clone();
    let mut response = match one_host(&request).and_then(|()| visitors.admit(&request)) {
        Err(error) => Failure::from(error).into_response(),
        Ok(()) if is_preflight(&request) => preflight(&asked).into_response(),
        Ok(()) => match access.admit(request.map(patient)) {
            Ok(mut request) => match check_encoding(request.headers()) {
                Ok(()) => {
                    let here = Here::of(&request);
                    request.extensions_mut().insert(here);
                    next.run(request).await
                }
                Err(failure) => failure.into_response(),
            },
            Err(error) => Failure::from(error).into_response(),
        },
    };
    visitors.welcome(&asked, response.headers_mut());
    match request_id() {
        Ok(id) => {
            response.headers_mut().insert(REQUEST_ID, id);
            response
        }
        Err(error) => Failure::from(error).into_response(),
    }
}

/// Refuses a request whose host is not known for sure (RFC 9112 §3.2).
fn one_host(request: &Request) -> Result<()> {
    if request.headers().get_all(header::HOST).iter().count() == 1 {
        return Ok(());
    }
    Err(Error::new(ErrorKind::BadRequest, "a request must have one Host header"))
}

/// A random UUID (RFC 9562, version 4).
fn request_id() -> Result<HeaderValue> {
    let mut text = random_hex()?;
    text.replace_range(12..13, "4");
    text.replace_range(16..17, "8");
    for place in [20, 16, 12, 8] {
        text.insert(place, '-');
    }
    HeaderValue::try_from(text).map_err(|error| Error::internal("a request id is no header", error))
}
