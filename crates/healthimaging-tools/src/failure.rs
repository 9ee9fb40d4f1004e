//! The one form of an error: `{error: true, type, message, code?, request_id?}`.

use serde_json::{Map, Value};

use healthimaging::{Error, ErrorKind};

use crate::visible;

/// Returns the error as callers get it; its source stays in the log.
pub fn error_document(error: &Error) -> Map<String, Value> {
    let mut document = Map::new();
    document.insert("error".to_owned(), Value::Bool(true));
    document.insert("type".to_owned(), Value::from(error.kind().public_type().as_str()));
    document.insert("message".to_owned(), Value::from(visible::shown(error.message())));
    if let Some(code) = error.code() {
        document.insert("code".to_owned(), Value::from(code));
    }
    if let Some(request_id) = error.request_id() {
        document.insert("request_id".to_owned(), Value::from(request_id));
    }
    document
}

/// Logs what the caller does not get; the log holds no arguments.
pub(crate) fn log(tool: &str, error: &Error) {
    let source = std::error::Error::source(error).map(ToString::to_string);
    let kind = error.kind();
    if kind == ErrorKind::Internal {
        tracing::error!(tool, ?kind, %error, source, "tool failed");
    } else {
        tracing::info!(tool, ?kind, code = error.code(), source, "tool refused");
    }
}
