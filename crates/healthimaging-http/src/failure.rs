//! Error responses in the format of AWS. Only this module maps an [`ErrorKind`] to a status.

use std::error::Error as StdError;
use std::io;

use axum::Json;
use axum::response::{IntoResponse, Response};
use healthimaging::{Error, ErrorKind, Outage};
use http::{HeaderName, HeaderValue, StatusCode, header};
use serde_json::json;

/// Header of the exception name for SDKs.
const ERROR_TYPE: HeaderName = HeaderName::from_static("x-amzn-errortype");

/// Exception of a request without credentials.
pub(crate) const UNAUTHENTICATED: &str = "MissingAuthenticationTokenException";

/// Error response: a status, the name of the exception, `{"message": …}`.
#[derive(Debug)]
pub(crate) struct Failure {
    status: StatusCode,
    code: String,
    message: String,
    /// The error, if it was one of the contract.
    cause: Option<Cause>,
}

/// What decides the status of an error under the paths of DICOMweb.
#[derive(Debug, Clone, Copy)]
struct Cause {
    kind: ErrorKind,
    outage: Option<Outage>,
    is_unauthenticated: bool,
    /// Whether a disk is full.
    is_full: bool,
}

impl Failure {
    /// No operation has this path and method.
    pub(crate) fn unknown_operation() -> Self {
        Self {
            status: StatusCode::NOT_FOUND,
            code: "UnknownOperationException".to_owned(),
            message: "no operation has this method and path".to_owned(),
            cause: None,
        }
    }

    /// The resource at this path does not support the method.
    pub(crate) fn method_not_allowed() -> Self {
        Self {
            status: StatusCode::METHOD_NOT_ALLOWED,
            code: "MethodNotAllowedException".to_owned(),
            message: "the resource does not support this method; the header Allow lists the supported ones"
                .to_owned(),
            cause: None,
        }
    }

    /// The requested range is outside of the content of this length.
    pub(crate) fn unsatisfiable_range(length: u64) -> Self {
        Self {
            status: StatusCode::RANGE_NOT_SATISFIABLE,
            code: "InvalidRangeException".to_owned(),
            message: format!("the range is not within the {length} bytes of the content"),
            cause: None,
        }
    }

    /// The operation does not support the type of the body.
    pub(crate) fn unsupported_media_type(message: &str) -> Self {
        Self {
            status: StatusCode::UNSUPPORTED_MEDIA_TYPE,
            code: "UnsupportedMediaTypeException".to_owned(),
            message: message.to_owned(),
            cause: None,
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
        let code = named.unwrap_or(code);
        let cause = Cause {
            kind: error.kind(),
            outage: error.outage(),
            is_unauthenticated: code == UNAUTHENTICATED,
            is_full: is_full(&error),
        };
        Self {
            status,
            code: code.to_owned(),
            message: error.message().to_owned(),
            cause: Some(cause),
        }
    }
}

/// Returns whether a full disk is among the causes of an error.
fn is_full(error: &Error) -> bool {
    std::iter::successors(StdError::source(error), |&cause| cause.source())
        .filter_map(|cause| cause.downcast_ref::<io::Error>())
        .any(|cause| {
            matches!(cause.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
        })
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
        let mut response = (self.status, [(ERROR_TYPE, self.code)], body).into_response();
        if let Some(cause) = self.cause {
            response.extensions_mut().insert(cause);
        }
        response
    }
}

/// Gives an error response the status that HTTP and `PS3.18 §8.5` have for it: DICOMweb clients do not know the exceptions of
/// AWS, which the headers keep. `challenges` are the accepted schemes of authentication; in a bridge, failures of the service
/// are those of an upstream server.
pub(crate) fn as_dicomweb(
    mut response: Response,
    is_bridge: bool,
    challenges: &[&'static str],
) -> Response {
    let Some(cause) = response.extensions_mut().remove::<Cause>() else { return response };
    let status = match (cause.kind, cause.outage) {
        (ErrorKind::AccessDenied, _) if cause.is_unauthenticated => StatusCode::UNAUTHORIZED,
        (ErrorKind::QuotaExceeded, _) => StatusCode::PAYLOAD_TOO_LARGE,
        (ErrorKind::Internal, _) if cause.is_full => StatusCode::INSUFFICIENT_STORAGE,
        (ErrorKind::Throttled, _) | (ErrorKind::Service, Some(Outage::Unavailable(_))) => {
            StatusCode::SERVICE_UNAVAILABLE
        }
        (ErrorKind::Service, Some(Outage::TimedOut)) => StatusCode::GATEWAY_TIMEOUT,
        (ErrorKind::Service | ErrorKind::Credentials, _) if is_bridge => StatusCode::BAD_GATEWAY,
        _ => return response,
    };
    *response.status_mut() = status;
    let headers = response.headers_mut();
    if status == StatusCode::UNAUTHORIZED {
        for scheme in challenges {
            headers.append(header::WWW_AUTHENTICATE, HeaderValue::from_static(scheme));
        }
    }
    if let Some(Outage::Unavailable(Some(pause))) = cause.outage {
        headers.insert(header::RETRY_AFTER, pause.as_secs().into());
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    /// RFC 9110 §15.5.2, §15.5.14 and §15.6.
    #[test]
    fn dicomweb_clients_get_the_statuses_of_http() {
        let service = || Error::new(ErrorKind::Service, "down");
        let full = io::Error::from(io::ErrorKind::StorageFull);
        let pause = Some(Duration::from_secs(7));
        let throttled = Error::new(ErrorKind::Throttled, "slow down");
        let missing = Error::new(ErrorKind::AccessDenied, "sign").with_code(UNAUTHENTICATED);
        for (error, api, dicomweb, (name, value)) in [
            (service(), 500, 502, ("retry-after", None)),
            (service().with_outage(Outage::TimedOut), 500, 504, ("retry-after", None)),
            (service().with_outage(Outage::Unavailable(None)), 500, 503, ("retry-after", None)),
            (
                throttled.with_outage(Outage::Unavailable(pause)),
                429,
                503,
                ("retry-after", Some("7")),
            ),
            (Error::new(ErrorKind::Credentials, "expired"), 403, 502, ("www-authenticate", None)),
            (Error::new(ErrorKind::AccessDenied, "no"), 403, 403, ("www-authenticate", None)),
            (missing, 403, 401, ("www-authenticate", Some("Bearer"))),
            (Error::new(ErrorKind::QuotaExceeded, "long"), 402, 413, ("retry-after", None)),
            (Error::not_found("none"), 404, 404, ("retry-after", None)),
            (Error::internal("ours", "cause"), 500, 500, ("retry-after", None)),
            (Error::internal("full", full), 500, 507, ("retry-after", None)),
        ] {
            let answer = Failure::from(error).into_response();
            assert_eq!(answer.status(), api);
            let exception = answer.headers()[&ERROR_TYPE].clone();
            let answer = as_dicomweb(answer, true, &["Bearer"]);
            assert_eq!(answer.status(), dicomweb);
            assert_eq!(answer.headers()[&ERROR_TYPE], exception);
            let found = answer.headers().get(name).map(|value| value.to_str().unwrap());
            assert_eq!(found, value);
        }
        // A fault of the embedded store is none of an upstream server.
        let own = as_dicomweb(Failure::from(service()).into_response(), false, &[]);
        assert_eq!(own.status(), 500);
    }
}
