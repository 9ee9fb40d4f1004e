//! A back end on the wire: what every request to it passes, and what every response carries.

use std::fmt::Write;
use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use healthimaging::{DicomWeb, Error, HealthImaging};
use http::{HeaderName, HeaderValue};

use crate::access::Access;
use crate::failure::Failure;
use crate::patience::patient;
use crate::rest;
use crate::visitors::{Visitors, is_preflight, preflight};

const REQUEST_ID: HeaderName = HeaderName::from_static("x-amzn-requestid");

/// The AWS wire and DICOMweb.
pub(crate) fn routes(
    service: Arc<dyn HealthImaging>,
    dicomweb: Arc<dyn DicomWeb>,
    access: Access,
    visitors: Visitors,
) -> Router {
    let _ = dicomweb;
    rest::routes(service)
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
    let mut response = match visitors.admit(&request) {
        Err(error) => Failure::from(error).into_response(),
        Ok(()) if is_preflight(&request) => preflight(&asked).into_response(),
        Ok(()) => match access.admit(request.map(patient)) {
            Ok(request) => next.run(request).await,
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

/// A random UUID (RFC 9562, version 4).
fn request_id() -> Result<HeaderValue, Error> {
    let mut bytes = [0_u8; 16];
    getrandom::fill(&mut bytes)
        .map_err(|error| Error::internal("the machine gives no random numbers", error))?;
    bytes[6] = bytes[6] & 0x0F | 0x40;
    bytes[8] = bytes[8] & 0x3F | 0x80;
    let mut text = String::with_capacity(36);
    for (index, byte) in bytes.iter().enumerate() {
        if matches!(index, 4 | 6 | 8 | 10) {
            text.push('-');
        }
        // Writing to a string does not fail.
        let _ = write!(text, "{byte:02x}");
    }
    HeaderValue::from_str(&text)
        .map_err(|error| Error::internal("a request id is no header", error))
}
