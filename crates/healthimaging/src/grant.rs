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
    redaction: Option<RedactionLevel>,
    revoked: CancellationToken,
}

/// How much of what identifies patients is kept from a caller; the later one keeps more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum RedactionLevel {
    /// Names, IDs and other identifying values.
    On,
    /// Descriptions, free text, and pictures that may show text too.
    Strict,
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
        Self::made(None, Rights::unlimited(), None, false)
    }

    /// The grant of a credential; `holder` is its name, which is no secret.
    #[must_use]
    pub fn new(holder: impl Into<String>, rights: Rights, expires: Option<SystemTime>) -> Self {
        Self::made(Some(holder.into()), rights, expires, false)
    }

    /// The grant of an access token, whose holder can ask its issuer for a wider scope.
    #[must_use]
    pub fn of_access_token(
        holder: impl Into<String>,
        rights: Rights,
        expires: Option<SystemTime>,
    ) -> Self {
        Self::made(Some(holder.into()), rights, expires, true)
    }

    fn made(
        holder: Option<String>,
        rights: Rights,
        expires: Option<SystemTime>,
        can_widen: bool,
    ) -> Self {
        let (redaction, revoked) = (None, CancellationToken::new());
        Self(Arc::new(Inner { holder, rights, expires, can_widen, redaction, revoked }))
    }

    /// The same grant, but the identity of patients is kept from its caller: only faces that redact serve it. Of two levels, the
    /// stricter one counts.
    #[must_use]
    pub fn redacting(self, level: Option<RedactionLevel>) -> Self {
        let Inner { holder, rights, expires, can_widen, redaction, revoked } = &*self.0;
        Self(Arc::new(Inner {
            holder: holder.clone(),
            rights: rights.clone(),
            expires: *expires,
            can_widen: *can_widen,
            redaction: (*redaction).max(level),
            revoked: revoked.clone(),
        }))
    }

    /// Whether the caller can get a wider scope, and so should be asked to.
    #[must_use]
    pub fn can_widen(&self) -> bool {
        self.0.can_widen
    }

    /// Whether the identity of patients is kept from the caller.
    #[must_use]
    pub fn redacts(&self) -> bool {
        self.0.redaction.is_some()
    }

    /// How much is kept from the caller.
    #[must_use]
    pub fn redaction(&self) -> Option<RedactionLevel> {
        self.0.redaction
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stricter_redaction_counts_and_a_redacting_grant_ends_with_the_other() {
        use RedactionLevel::{On, Strict};
        let made = Grant::of_access_token("a", Rights::unlimited(), None);
        assert!(!made.redacts() && !made.clone().redacting(None).redacts());
        for (first, second, found) in [
            (On, Some(Strict), Strict),
            (Strict, Some(On), Strict),
            (Strict, None, Strict),
            (On, None, On),
        ] {
            let grant = made.clone().redacting(Some(first)).redacting(second);
            assert_eq!(grant.redaction(), Some(found), "{first:?} {second:?}");
            assert!(grant.can_widen() && grant.holder() == Some("a"));
        }
        let redacting = made.clone().redacting(Some(On));
        made.revoke();
        assert!(redacting.has_ended());
    }
}
