//! What went wrong, in the words of AWS: the one place where an [`ErrorKind`] becomes a status.

use axum::Json;
use axum::response::{IntoResponse, Response};
use healthimaging::{Error, ErrorKind};
use http::{HeaderName, StatusCode};
use serde_json::json;

/// Names the exception, for SDKs.
const ERROR_TYPE: HeaderName = HeaderName::from_static("x-amzn-errortype");

/// An error as it goes out: a status, the name of the exception, `{"message": …}`.
#[derive(Debug)]
pub(crate) struct Failure {
    status: StatusCode,
    code: String,
    message: String,
}

impl Failure {
    /// There is nothing at this path, or not for this method.
    pub(crate) fn unknown_operation() -> Self {
        Self {
            status: StatusCode::NOT_FOUND,
            code: "UnknownOperationException".to_owned(),
            message: "no operation has this method and path".to_owned(),
        }
    }

    /// There is a resource at this path, but not for this method.
    pub(crate) fn method_not_allowed() -> Self {
        Self {
            status: StatusCode::METHOD_NOT_ALLOWED,
            code: "MethodNotAllowedException".to_owned(),
            message: "the resource does not support this method; Allow lists those that it does"
                .to_owned(),
        }
    }

    /// No byte of the content, which has this length, lies in the range asked for.
    pub(crate) fn unsatisfiable_range(length: u64) -> Self {
        Self {
            status: StatusCode::RANGE_NOT_SATISFIABLE,
            code: "InvalidRangeException".to_owned(),
            message: format!("the range is not within the {length} bytes of the content"),
        }
    }

    /// The body is of a kind that this operation does not take.
    pub(crate) fn unsupported_media_type(message: &str) -> Self {
        Self {
            status: StatusCode::UNSUPPORTED_MEDIA_TYPE,
            code: "UnsupportedMediaTypeException".to_owned(),
            message: message.to_owned(),
        }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let (status, code) = shown_as(error.kind());
        if status == StatusCode::INTERNAL_SERVER_ERROR {
            tracing::error!(?error, "a request failed");
        }
        // An exception that is known by its own name keeps it, such as InvalidSignatureException.
        let named = error.code().filter(|code| code.ends_with("Exception"));
        Self { status, code: named.unwrap_or(code).to_owned(), message: error.message().to_owned() }
    }
}

const fn shown_as(kind: ErrorKind) -> (StatusCode, &'static str) {
    match kind {
        ErrorKind::Validation | ErrorKind::NotSupported => {
            (StatusCode::BAD_REQUEST, "ValidationException")
        }
        ErrorKind::BadRequest => (StatusCode::BAD_REQUEST, "BadRequestException"),
        ErrorKind::NotAcceptable => (StatusCode::NOT_ACCEPTABLE, "NotAcceptableException"),
        ErrorKind::NotFound => (StatusCode::NOT_FOUND, "ResourceNotFoundException"),
        ErrorKind::AccessDenied | ErrorKind::Credentials => {
            (StatusCode::FORBIDDEN, "AccessDeniedException")
        }
        ErrorKind::Conflict => (StatusCode::CONFLICT, "ConflictException"),
        ErrorKind::Throttled => (StatusCode::TOO_MANY_REQUESTS, "ThrottlingException"),
        ErrorKind::QuotaExceeded => (StatusCode::PAYMENT_REQUIRED, "ServiceQuotaExceededException"),
        ErrorKind::Service | ErrorKind::Internal => {
            (StatusCode::INTERNAL_SERVER_ERROR, "InternalServerException")
        }
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let body = Json(json!({ "message": self.message }));
        (self.status, [(ERROR_TYPE, self.code)], body).into_response()
    }
}
