//! Where credentials come from, and so how they are renewed.

/// Where the credentials come from.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) enum Origin {
    /// `AWS_ACCESS_KEY_ID` and `AWS_SECRET_ACCESS_KEY`.
    Environment,
    /// A profile of the shared files.
    Profile {
        /// The profile that has them, at the end of the source profiles.
        name: String,
        way: Way,
        /// The file and line.
        place: String,
    },
    /// A token file, a container, the machine, or a caller of this crate.
    #[default]
    Elsewhere,
}

/// What a profile has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    /// The keys themselves.
    Keys,
    /// A session of IAM Identity Center.
    Sso,
    /// A session of `aws login`.
    Login,
    /// A program that prints them.
    Process,
}

impl Origin {
    /// Whether they come from a session of `aws login`.
    pub(crate) fn is_login(&self) -> bool {
        matches!(self, Self::Profile { way: Way::Login, .. })
    }

    /// What to do when AWS says that the credentials have expired.
    pub(crate) fn when_expired(&self) -> Option<String> {
        Some(match self {
            Self::Environment => {
                "AWS_SESSION_TOKEN in the environment of this server has expired: restart it with new keys, or use a \
                 profile, which is read again when it changes"
                    .to_owned()
            }
            Self::Profile { name, way: Way::Keys, place } => format!(
                "the keys of profile `{name}` have expired ({place}): write new ones there; the next call uses them"
            ),
            Self::Profile { name, way: Way::Process, place } => format!(
                "the credential_process of profile `{name}` ({place}) returned expired credentials: renew them there; \
                 the next call runs it again"
            ),
            Self::Profile { name, way, .. } => {
                format!("the AWS credentials have expired: run `{}`", way.login(name)?)
            }
            Self::Elsewhere => return None,
        })
    }

    /// What to do when there are no credentials, for the reason `cause`.
    pub(crate) fn when_failed(&self, cause: &str) -> Option<String> {
        let Self::Profile { name, way, place } = self else { return None };
        Some(match way {
            Way::Process => {
                format!("the credential_process of profile `{name}` ({place}) failed: {cause}")
            }
            // IAM Identity Center answers so where the account or the role is not assigned.
            Way::Sso if cause.contains("No access") => format!(
                "IAM Identity Center does not give profile `{name}` its role: check sso_account_id and sso_role_name \
                 ({place})"
            ),
            Way::Login => format!(
                "profile `{name}` signs in by `aws login`, and the AWS CLI gives no credentials for it ({cause}): run \
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
    /// The command that signs a person in.
    fn login(self, profile: &str) -> Option<String> {
        match self {
            Self::Sso => Some(format!("aws sso login --profile {profile}")),
            Self::Login => Some(format!("aws login --profile {profile}")),
            Self::Keys | Self::Process => None,
        }
    }
}
