//! Who sends a request, for the audit log.

use axum::body::Body;
use healthimaging::Grant;
use healthimaging_audit::Actor;
use http::request::{Parts, Request};
use http::{HeaderMap, header};
use sha2::{Digest, Sha256};
use tower_http::request_id::RequestId;

/// Header of a session of the Model Context Protocol.
const SESSION: &str = "mcp-session-id";

/// Adds who sends a request, and what that may do, to its extensions.
pub(crate) fn identified(request: Request<Body>, grant: Grant) -> Request<Body> {
    let (mut head, body) = request.into_parts();
    let actor = of(&head, &grant);
    head.extensions.insert(actor);
    head.extensions.insert(grant);
    Request::from_parts(head, body)
}

/// Returns who sends a request.
pub(crate) fn of(head: &Parts, grant: &Grant) -> Actor {
    let path = head.uri.path();
    let door = match path.trim_start_matches('/').split('/').collect::<Vec<_>>()[..] {
        ["mcp", ..] => "mcp http",
        ["datastore", _, "studies" | "series" | "instances" | "bulkdata", ..] => "dicomweb",
        _ => "aws api",
    };
    let actor = Actor {
        credential: grant.holder().map(str::to_owned),
        request_id: head
            .extensions
            .get::<RequestId>()
            .and_then(|id| id.header_value().to_str().ok())
            .map(str::to_owned),
        // A session ID gives access to its session.
        session: text(&head.headers, SESSION)
            .map(|id| hex::encode(Sha256::digest(id)).chars().take(16).collect()),
        ..Actor::at(door)
    };
    match text(&head.headers, header::USER_AGENT.as_str()) {
        Some(client) => actor.with_client(client, None),
        None => actor,
    }
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}
