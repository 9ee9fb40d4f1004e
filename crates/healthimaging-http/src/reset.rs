//! A request that empties the back end, for tests of programs.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use futures::future::BoxFuture;
use healthimaging::{Effect, Error, ErrorKind, Grant, Result};
use http::header;
use serde_json::Value;

use crate::failure::Failure;

/// Empties the back end, and returns what was deleted.
pub(crate) type Reset = Arc<dyn Fn() -> BoxFuture<'static, Result<Value>> + Send + Sync>;

/// Empties the back end; web pages, whose requests name their origin, may not ask for it.
pub(crate) async fn reset(State(reset): State<Reset>, request: Request) -> Response {
    if request.headers().contains_key(header::ORIGIN) {
        let message = "a web page cannot empty the store; send the request without Origin";
        return Failure::from(Error::new(ErrorKind::AccessDenied, message)).into_response();
    }
    let grant = request.extensions().get::<Grant>().cloned().unwrap_or_default();
    if grant.redacts() {
        let message = "a credential with redact reaches only MCP at /mcp";
        return Failure::from(Error::new(ErrorKind::AccessDenied, message)).into_response();
    }
    let rights = grant.rights();
    let allowed =
        rights.check_effect(Effect::Destroys).and_then(|()| rights.check_all_datastores());
    if let Err(error) = allowed {
        return Failure::from(error).into_response();
    }
    match reset().await {
        Ok(deleted) => Json(deleted).into_response(),
        Err(error) => Failure::from(error).into_response(),
    }
}
