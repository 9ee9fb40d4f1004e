//! Who may come in: signatures with known access keys, the bearer token, or anyone on this machine.

mod canonical;
mod chunked;
mod claim;
mod keys;
mod payload;
mod refusal;
mod unproved;

use std::sync::Arc;

use axum::body::Body;
use chrono::Utc;
use healthimaging::Result;
use http::{Request, header};

pub use keys::AccessKeys;

use crate::token::Token;
use claim::Claim;
use payload::Payload;
use refusal::refused;

/// What a request must bring. Without keys and token, nothing.
#[derive(Debug, Clone, Default)]
pub(crate) struct Access {
    pub(crate) keys: Option<Arc<AccessKeys>>,
    pub(crate) token: Option<Token>,
}

impl Access {
    /// Whether nothing is asked for.
    pub(crate) fn is_open(&self) -> bool {
        self.keys.is_none() && self.token.is_none()
    }

    /// Lets a request in or refuses it, once its signature is proved. Where the body must have a hash or chunks that are
    /// signed, they are checked while it is read, and it ends with an error when they are wrong.
    pub(crate) async fn admit(&self, request: Request<Body>) -> Result<Request<Body>> {
        let (head, body) = request.into_parts();
        let body = if self.is_open() || self.is_token(&head.headers)? {
            Payload::of(&head.headers, |_| true)?.unchecked(body)
        } else {
            let claim = Claim::of(&head)?;
            let key = self.keys.as_ref().and_then(|keys| keys.signing_key(&claim));
            let key = key.ok_or_else(|| {
                refused(
                    "UnrecognizedClientException",
                    "the access key of the signature is not known here",
                )
            })?;
            claim.check_time(Utc::now())?;
            let payload = Payload::of(&head.headers, |name| claim.signs(name))?;
            payload.checked(body, claim, key, &head).await?
        };
        Ok(Request::from_parts(head, body))
    }

    /// Whether the request brings the token; a wrong one is refused.
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
        Err(refused("AccessDeniedException", "the bearer token is not valid here"))
    }
}
