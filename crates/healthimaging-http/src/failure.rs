//! Error responses in the format of AWS. Only this module maps an [`ErrorKind`] to a status.

use axum::Json;
use axum::response::{IntoResponse, Response};
use healthimaging::{Error, ErrorKind};
use http::{HeaderName, StatusCode};
use serde_json::json;

/// Header of the exception name for SDKs.
const ERROR_TYPE: HeaderName = HeaderName::from_static("x-amzn-errortype");

/// Error response: a status, the name of the exception, `{"message": …}`.
#[derive(Debug)]
pub(crate) struct Failure {
    status: StatusCode,
    code: String,
    message: String,
}

impl Failure {
    /// No operation has this path and method.
    pub(crate) fn unknown_operation() -> Self {
        Self {
            status: StatusCode::NOT_FOUND,
            code: "UnknownOperationException".to_owned(),
            message: "no operation has this method and path".to_owned(),
        }
    }

    /// The resource at this path does not support the method.
    pub(crate) fn method_not_allowed() -> Self {
        Self {
            status: StatusCode::METHOD_NOT_ALLOWED,
            code: "MethodNotAllowedException".to_owned(),
            message: "the resource does not support this method; the header Allow lists the supported ones"
                .to_owned(),
        }
    }

    /// The requested range is outside of the content of this length.
    pub(crate) fn unsatisfiable_range(length: u64) -> Self {
        Self {
            status: StatusCode::RANGE_NOT_SATISFIABLE,
            code: "InvalidRangeException".to_owned(),
            message: format!("the range is not within the {length} bytes of the content"),
        }
    }

    /// The operation does not support the type of the body.
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
        let (status, code) = status_of(error.kind());
        if status == StatusCode::INTERNAL_SERVER_ERROR {
            tracing::error!(?error, "a request failed");
        }
        // Specific exceptions such as InvalidSignatureException keep their name.
        let named = error.code().filter(|code| code.ends_with("Exception"));
        Self { status, code: named.unwrap_or(code).to_owned(), message: error.message().to_owned() }
    }
}

const fn status_of(kind: ErrorKind) -> (StatusCode, &'static str) {
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
