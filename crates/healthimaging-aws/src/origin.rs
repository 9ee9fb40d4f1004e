//! Sources of credentials, and how to renew them.

/// Source of the credentials.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) enum Origin {
    /// `AWS_ACCESS_KEY_ID` and `AWS_SECRET_ACCESS_KEY`.
    Environment,
    /// A profile of the shared files.
    Profile {
        /// Profile with the credentials, at the end of the source profiles.
        name: String,
        way: Way,
        /// File and line.
        place: String,
    },
    /// A token file, a container, the instance, or the caller of this crate.
    #[default]
    Other,
}

/// Kind of the credentials of a profile.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    /// Access keys.
    Keys,
    /// A session of IAM Identity Center.
    Sso,
    /// A session of `aws login`.
    Login,
    /// A credential process.
    Process,
}

impl Origin {
    /// Returns whether the source is an `aws login` session.
    pub(crate) fn is_login(&self) -> bool {
        matches!(self, Self::Profile { way: Way::Login, .. })
    }

    /// Message for credentials that have expired.
    pub(crate) fn when_expired(&self) -> Option<String> {
        Some(match self {
            Self::Environment => {
                "AWS_SESSION_TOKEN in the environment of this server has expired: restart it with new keys, or use a \
                 profile, which is read again when it changes"
                    .to_owned()
            }
            Self::Profile { name, way: Way::Keys, place } => format!(
                "the keys of profile `{name}` have expired ({place}): replace them there; the next call uses the new ones"
            ),
            Self::Profile { name, way: Way::Process, place } => format!(
                "the credential_process of profile `{name}` ({place}) returned expired credentials: renew them there; \
                 the next call runs it again"
            ),
            Self::Profile { name, way, .. } => {
                format!("the AWS credentials have expired: run `{}`", way.login(name)?)
            }
            Self::Other => return None,
        })
    }

    /// Message for a source that failed with `cause`.
    pub(crate) fn when_failed(&self, cause: &str) -> Option<String> {
        let Self::Profile { name, way, place } = self else { return None };
        Some(match way {
            Way::Process => {
                format!("the credential_process of profile `{name}` ({place}) failed: {cause}")
            }
            // The response of IAM Identity Center if the account or the role is not assigned.
            Way::Sso if cause.contains("No access") => format!(
                "IAM Identity Center does not assign its role to profile `{name}`: check sso_account_id and sso_role_name \
                 ({place})"
            ),
            Way::Login => format!(
                "profile `{name}` uses `aws login`, and the AWS CLI returns no credentials for it ({cause}): run \
                 `aws login --profile {name}`"
            ),
            way => format!(
                "the session of profile `{name}` has ended or was revoked ({cause}): run `{}`",
                way.login(name)?
            ),
        })
    }
}

impl Way {
    /// Returns the sign-in command.
    fn login(self, profile: &str) -> Option<String> {
        match self {
            Self::Sso => Some(format!("aws sso login --profile {profile}")),
            Self::Login => Some(format!("aws login --profile {profile}")),
            Self::Keys | Self::Process => None,
        }
    }
}
