//! Errors of requests that are not admitted.

use healthimaging::{Error, ErrorKind};

/// Error of a request that is not admitted.
pub(super) fn refused(code: &str, message: &str) -> Error {
    Error::new(ErrorKind::AccessDenied, message).with_code(code)
}

pub(super) fn mismatch() -> Error {
    refused(
        "InvalidSignatureException",
        "the signature does not match the request: check the secret key, and that no proxy \
         changes path, query, signed headers or body",
    )
}

pub(super) fn incomplete(what: &str) -> Error {
    Error::new(ErrorKind::BadRequest, format!("incomplete signature: {what}"))
        .with_code("IncompleteSignatureException")
}
