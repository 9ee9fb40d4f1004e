//! Authentication of requests: by a signature with a known access key, by the bearer token, or none.

mod canonical;
mod chunked;
mod claim;
mod keys;
mod payload;
mod refusal;
mod spool;

use std::sync::Arc;

use axum::body::Body;
use chrono::Utc;
use healthimaging::Result;
use healthimaging_audit::Actor;
use http::{Request, header};

pub use keys::AccessKeys;

use crate::caller;
use crate::token::Token;
use claim::Claim;
use payload::Payload;
use refusal::refused;

/// Accepted authentication; without keys and token, none is required.
#[derive(Debug, Clone, Default)]
pub(crate) struct Access {
    pub(crate) keys: Option<Arc<AccessKeys>>,
    pub(crate) token: Option<Token>,
}

impl Access {
    /// Returns whether no authentication is required.
    pub(crate) fn is_open(&self) -> bool {
        self.keys.is_none() && self.token.is_none()
    }

    /// Returns the accepted schemes of authentication, as in `WWW-Authenticate` (RFC 9110 §11.6.1).
    pub(crate) fn challenges(&self) -> Vec<&'static str> {
        let token = self.token.as_ref().map(|_| "Bearer");
        let keys = self.keys.as_ref().map(|_| "AWS4-HMAC-SHA256");
        token.into_iter().chain(keys).collect()
    }

    /// Admits or rejects a request by its signature. A signed hash of the body, and signed chunks, are verified while the body
    /// is read, which then ends with an error.
    pub(crate) async fn admit(&self, request: Request<Body>) -> Result<Request<Body>> {
        let (mut head, body) = request.into_parts();
        let credential;
        let body = if self.is_open() || self.is_token(&head.headers)? {
            credential = (!self.is_open()).then(|| "token".to_owned());
            Payload::of(&head.headers, |_| true)?.unchecked(body)
        } else {
            let claim = Claim::of(&head)?;
            let key = self.keys.as_ref().and_then(|keys| keys.signing_key(&claim));
            let key = key.ok_or_else(|| {
                refused("UnrecognizedClientException", "unknown access key; use one of this server")
            })?;
            claim.check_time(Utc::now())?;
            let payload = Payload::of(&head.headers, |name| claim.signs(name))?;
            credential = Some(format!("key {}", claim.access_key));
            payload.checked(body, claim, key, &head).await?
        };
        let actor = caller::of(&head, credential);
        head.extensions.insert::<Actor>(actor);
        Ok(Request::from_parts(head, body))
    }

    /// Returns whether a request has the token; a wrong one is rejected.
    fn is_token(&self, headers: &http::HeaderMap) -> Result<bool> {
        let bearer = headers
            .get(header::AUTHORIZATION)
            .and_then(|value| value.as_bytes().get(..7))
            .is_some_and(|scheme| scheme.eq_ignore_ascii_case(b"bearer "));
        if !bearer {
            return Ok(false);
        }
        if self.token.as_ref().is_some_and(|token| token.admits(headers)) {
            return Ok(true);
        }
        Err(refused("AccessDeniedException", "invalid bearer token; use that of this server"))
    }
}
