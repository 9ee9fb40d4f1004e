//! A caller that a face has authenticated: by what, what it may do, and until when.

use std::future;
use std::sync::Arc;
use std::time::SystemTime;

use tokio_util::sync::CancellationToken;

use crate::effect::Effect;
use crate::rights::Rights;

/// What a credential grants. Clones are the same grant.
#[derive(Debug, Clone)]
pub struct Grant(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    holder: Option<String>,
    rights: Rights,
    expires: Option<SystemTime>,
    can_widen: bool,
    redacts: bool,
    revoked: CancellationToken,
}

/// What a grant was made for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Credential,
    Redacting,
    AccessToken,
}

impl Default for Grant {
    fn default() -> Self {
        Self::open()
    }
}

impl Grant {
    /// The grant of a caller that need not authenticate.
    #[must_use]
    pub fn open() -> Self {
        Self::made(None, Rights::unlimited(), None, Kind::Credential)
    }

    /// The grant of a credential; `holder` is its name, which is no secret.
    #[must_use]
    pub fn new(holder: impl Into<String>, rights: Rights, expires: Option<SystemTime>) -> Self {
        Self::made(Some(holder.into()), rights, expires, Kind::Credential)
    }

    /// The grant of a credential from whose holder the identity of patients is kept: only faces that redact serve it.
    #[must_use]
    pub fn redacting(
        holder: impl Into<String>,
        rights: Rights,
        expires: Option<SystemTime>,
    ) -> Self {
        Self::made(Some(holder.into()), rights, expires, Kind::Redacting)
    }

    /// The grant of an access token, whose holder can ask its issuer for a wider scope.
    #[must_use]
    pub fn of_access_token(
        holder: impl Into<String>,
        rights: Rights,
        expires: Option<SystemTime>,
    ) -> Self {
        Self::made(Some(holder.into()), rights, expires, Kind::AccessToken)
    }

    fn made(
        holder: Option<String>,
        rights: Rights,
        expires: Option<SystemTime>,
        kind: Kind,
    ) -> Self {
        let revoked = CancellationToken::new();
        let (can_widen, redacts) = (kind == Kind::AccessToken, kind == Kind::Redacting);
        Self(Arc::new(Inner { holder, rights, expires, can_widen, redacts, revoked }))
    }

    /// Whether the caller can get a wider scope, and so should be asked to.
    #[must_use]
    pub fn can_widen(&self) -> bool {
        self.0.can_widen
    }

    /// Whether the identity of patients is kept from the caller.
    #[must_use]
    pub fn redacts(&self) -> bool {
        self.0.redacts
    }

    /// The name of the credential; `None` if none was required.
    #[must_use]
    pub fn holder(&self) -> Option<&str> {
        self.0.holder.as_deref()
    }

    /// What the caller may do.
    #[must_use]
    pub fn rights(&self) -> &Rights {
        &self.0.rights
    }

    /// Ends the grant: what it opened ends with it.
    pub fn revoke(&self) {
        self.0.revoked.cancel();
    }

    /// Whether it was revoked or has expired.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        self.0.revoked.is_cancelled()
            || self.0.expires.is_some_and(|expires| expires <= SystemTime::now())
    }

    /// Waits until the grant is revoked or expires.
    pub async fn ended(&self) {
        let expired = async {
            let Some(expires) = self.0.expires else { return future::pending().await };
            while let Ok(left) = expires.duration_since(SystemTime::now())
                && !left.is_zero()
            {
                tokio::time::sleep(left).await;
            }
        };
        tokio::select! {
            () = self.0.revoked.cancelled() => {}
            () = expired => {}
        }
    }
}

/// Marks a response to a call whose effect the scope of its access token does not include.
#[derive(Debug, Clone, Copy)]
pub struct InsufficientScope(pub Effect);
