//! Errors of requests that are not admitted.

use healthimaging::{Error, ErrorKind};

/// A request that may not come in.
pub(super) fn refused(code: &str, message: &str) -> Error {
    Error::new(ErrorKind::AccessDenied, message).with_code(code)
}

pub(super) fn mismatch() -> Error {
    refused(
        "InvalidSignatureException",
        "the signature does not match the request: check the secret key, and that nothing on the way \
         changed path, query, signed headers or body",
    )
}

pub(super) fn incomplete(what: &str) -> Error {
    Error::new(ErrorKind::BadRequest, format!("the signature is incomplete: {what}"))
        .with_code("IncompleteSignatureException")
}
