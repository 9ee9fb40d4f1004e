//! Authentication of requests: by a signature with a known access key, by the bearer token, or none.

mod canonical;
mod chunked;
mod claim;
mod entry;
mod file;
mod jwks;
mod keys;
mod oauth;
mod payload;
mod refusal;
mod spool;

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::body::Body;
use chrono::Utc;
use healthimaging::{Grant, Result, Rights};
use healthimaging_audit::Actor;
use http::{Request, header};
use parking_lot::Mutex;

pub use file::AccessFile;
pub use keys::AccessKeys;
pub use oauth::{Fetch, JwksSource, OAuth};
pub(crate) use oauth::{METADATA, Refusal};

use crate::caller;
use crate::token::{Token, digest, presented};
use claim::Claim;
use keys::SigningKey;
use payload::Payload;
use refusal::refused;

/// Accepted authentication; without any, none is required.
#[derive(Debug, Clone, Default)]
pub(crate) struct Access {
    pub(crate) keys: Option<Arc<AccessKeys>>,
    pub(crate) token: Option<Token>,
    pub(crate) file: Option<Arc<AccessFile>>,
    /// For MCP.
    pub(crate) oauth: Option<Arc<OAuth>>,
    /// What the token grants, and what each key does: everything.
    grants: Arc<Mutex<BTreeMap<String, Grant>>>,
}

impl Access {
    /// Returns whether no authentication is required.
    pub(crate) fn is_open(&self) -> bool {
        !self.has_tokens() && self.keys.is_none() && self.oauth.is_none()
    }

    /// Returns whether some bearer token is accepted.
    pub(crate) fn has_tokens(&self) -> bool {
        self.token.is_some() || self.file.is_some()
    }

    /// Returns the accepted schemes of authentication, as in `WWW-Authenticate` (RFC 9110 §11.6.1).
    pub(crate) fn challenges(&self) -> Vec<&'static str> {
        let token = self.has_tokens().then_some("Bearer");
        let keys = (self.keys.is_some() || self.file.is_some()).then_some("AWS4-HMAC-SHA256");
        token.into_iter().chain(keys).collect()
    }

    /// Admits or rejects a request by its signature or token, and adds the [`Grant`] and the [`Actor`]. A signed hash of the
    /// body, and signed chunks, are verified while the body is read, which then ends with an error.
    pub(crate) async fn admit(&self, request: Request<Body>) -> Result<Request<Body>> {
        let (mut head, body) = request.into_parts();
        let (grant, body) = if let Some(grant) = self.unsigned(&head.headers)? {
            (grant, Payload::of(&head.headers, |_| true)?.unchecked(body))
        } else {
            let claim = Claim::of(&head)?;
            let (key, grant) = self.key(&claim).ok_or_else(|| {
                refused("UnrecognizedClientException", "unknown access key; use one of this server")
            })?;
            claim.check_time(Utc::now())?;
            let payload = Payload::of(&head.headers, |name| claim.signs(name))?;
            (grant, payload.checked(body, claim, key, &head).await?)
        };
        if grant.redacts() {
            return Err(refused(
                "AccessDeniedException",
                "the identity of patients is kept from this credential (redact in the access file), so it reaches only \
                 MCP at /mcp; use another credential for the AWS API and DICOMweb",
            ));
        }
        let actor = caller::of(&head, &grant);
        head.extensions.insert::<Actor>(actor);
        head.extensions.insert(grant);
        Ok(Request::from_parts(head, body))
    }

    /// Returns the grant of a request with a token, or of every request if none is required; `None` for a request without
    /// a token. A wrong one is rejected.
    fn unsigned(&self, headers: &http::HeaderMap) -> Result<Option<Grant>> {
        if self.is_open() {
            return Ok(Some(self.full(None)));
        }
        let bearer = headers
            .get(header::AUTHORIZATION)
            .and_then(|value| value.as_bytes().get(..7))
            .is_some_and(|scheme| scheme.eq_ignore_ascii_case(b"bearer "));
        if !bearer {
            return Ok(None);
        }
        self.bearer(headers).map(Some).ok_or_else(|| {
            refused("AccessDeniedException", "invalid bearer token; use one of this server")
        })
    }

    /// Returns the grant of the token of a request.
    pub(crate) fn bearer(&self, headers: &http::HeaderMap) -> Option<Grant> {
        let presented = digest(presented(headers)?);
        // If both accept a token, that of the file grants less.
        if let Some(grant) = self.file.as_ref().and_then(|file| file.current().token(&presented)) {
            return Some(grant);
        }
        let is_known = self.token.as_ref().is_some_and(|token| token.is(&presented));
        is_known.then(|| self.full(Some("token".to_owned())))
    }

    /// Returns the signing key of a claim, and what its access key grants.
    fn key(&self, claim: &Claim) -> Option<(SigningKey, Grant)> {
        let id = claim.access_key.as_str();
        if let Some(secret) = self.keys.as_ref().and_then(|keys| keys.secret(id)) {
            return Some((SigningKey::of(secret, claim), self.full(Some(format!("key {id}")))));
        }
        let current = self.file.as_ref()?.current();
        let (secret, grant) = current.key(id)?;
        Some((SigningKey::of(secret, claim), grant))
    }

    /// Returns the grant of everything to a credential of the command line.
    fn full(&self, holder: Option<String>) -> Grant {
        let Some(holder) = holder else { return Grant::open() };
        let made = || Grant::new(holder.clone(), Rights::unlimited(), None);
        self.grants.lock().entry(holder.clone()).or_insert_with(made).clone()
    }
}
