//! Middleware that admits requests to mounted services, and the checks of their hosts.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use healthimaging::{Grant, InsufficientScope};
use http::{HeaderValue, StatusCode, header};
use serde_json::json;

use crate::access::{Access, OAuth, Refusal};
use crate::base_url::BaseUrl;
use crate::cors::CorsPolicy;
use crate::failure::Failure;
use crate::token::presented;
use crate::{caller, gate, peers};

/// Requires a token of this server, or an access token of its authorization server. A server that accepts neither rejects every
/// request, since no credentials would help.
pub(crate) async fn admit(State(access): State<Access>, request: Request, next: Next) -> Response {
    if !access.has_tokens() && access.oauth.is_none() {
        let message = "this server accepts only signed requests of DICOMweb and of the AWS API; for MCP and the start page, \
                       start it with a token too (--http-token or HEALTHIMAGING_HTTP_TOKEN)";
        return refused(StatusCode::FORBIDDEN, message, None);
    }
    let base = BaseUrl::from_headers(&request).0;
    let found = match (access.bearer(request.headers()), &access.oauth) {
        (Some(grant), _) => Ok(grant),
        (None, None) => Err(None),
        (None, Some(oauth)) => match presented(request.headers()) {
            Some(token) => oauth.grant(token).await.map_err(Some),
            None => Err(None),
        },
    };
    let challenge = |refusal: Option<&Refusal>| match &access.oauth {
        Some(oauth) => oauth.challenge(&base, refusal),
        None => "Bearer".to_owned(),
    };
    match found {
        Ok(grant) => {
            peers::admitted(&request);
            let mut response = next.run(caller::identified(request, grant)).await;
            if let Some(InsufficientScope(needed)) = response.extensions_mut().remove()
                && let Some(oauth) = &access.oauth
                && let Ok(value) = HeaderValue::from_str(&oauth.wider(&base, needed))
            {
                response.headers_mut().insert(header::WWW_AUTHENTICATE, value);
            }
            response
        }
        Err(None) => {
            let message = if access.oauth.is_some() {
                "sign in at the authorization server of this server, and send its access token"
            } else {
                "send a token of this server as `Authorization: Bearer TOKEN`"
            };
            refused(StatusCode::UNAUTHORIZED, message, Some(challenge(None)))
        }
        Err(Some(refusal)) => {
            let status = match refusal {
                Refusal::Invalid(_) => StatusCode::UNAUTHORIZED,
                Refusal::NoScope => StatusCode::FORBIDDEN,
                Refusal::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
            };
            let challenge = (refusal != Refusal::Unavailable).then(|| challenge(Some(&refusal)));
            refused(status, &refusal.to_string(), challenge)
        }
    }
}

fn refused(status: StatusCode, message: &str, challenge: Option<String>) -> Response {
    let body = json!({ "error": true, "type": "auth_error", "message": message });
    let mut response = (status, Json(body)).into_response();
    if let Some(value) = challenge.and_then(|text| HeaderValue::from_str(&text).ok()) {
        response.headers_mut().insert(header::WWW_AUTHENTICATE, value);
    }
    response
}

/// The metadata of the protected resource, for every client and every page.
pub(crate) async fn metadata(State(oauth): State<Arc<OAuth>>) -> Response {
    let any = [(header::ACCESS_CONTROL_ALLOW_ORIGIN, "*")];
    (any, Json(oauth.metadata())).into_response()
}

/// Rejects a request that has not exactly one `Host`.
pub(crate) async fn require_host(request: Request, next: Next) -> Response {
    match gate::one_host(&request) {
        Ok(()) => next.run(request).await,
        Err(error) => Failure::from(error).into_response(),
    }
}

/// Rejects a request for a public host, or of a page of another host, if no authentication is required.
pub(crate) async fn require_local(
    State(cors): State<CorsPolicy>,
    request: Request,
    next: Next,
) -> Response {
    match cors.admit(&request) {
        Ok(()) => next.run(request).await,
        Err(error) => Failure::from(error).into_response(),
    }
}

/// Rejects a request with several `Host`; probes may have none.
pub(crate) async fn reject_hosts(request: Request, next: Next) -> Response {
    if request.headers().contains_key(header::HOST) {
        require_host(request, next).await
    } else {
        next.run(request).await
    }
}

/// Requires the token or a signature.
pub(crate) async fn admit_signed(
    State(access): State<Access>,
    request: Request,
    next: Next,
) -> Response {
    match access.admit(request).await {
        Ok(request) => {
            peers::admitted(&request);
            next.run(request).await
        }
        Err(error) => Failure::from(error).into_response(),
    }
}

/// Admits every request, as no token is required.
pub(crate) async fn admit_all(request: Request, next: Next) -> Response {
    peers::admitted(&request);
    next.run(caller::identified(request, Grant::open())).await
}
