//! Settings and credentials of S3.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use healthimaging::Result;

/// AWS credentials.
#[derive(Clone, PartialEq, Eq)]
pub struct S3Credentials {
    /// Access key id.
    pub access_key_id: String,
    /// Secret access key.
    pub secret_access_key: String,
    /// Session token of temporary credentials.
    pub session_token: Option<String>,
}

impl fmt::Debug for S3Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("S3Credentials").finish_non_exhaustive()
    }
}

/// Source of credentials, so that S3 works with profiles, SSO and roles.
///
/// It is called for every request: an implementation caches credentials while they are valid.
#[async_trait]
pub trait S3CredentialSource: fmt::Debug + Send + Sync {
    /// Returns valid credentials.
    ///
    /// # Errors
    /// `Credentials` if there are none.
    async fn credentials(&self) -> Result<S3Credentials>;

    /// Called after S3 rejected the credentials: an implementation may renew them for the next request.
    fn refused(&self) {}
}

/// Credentials that do not change.
#[derive(Debug, Clone)]
pub struct StaticS3Credentials(pub S3Credentials);

#[async_trait]
impl S3CredentialSource for StaticS3Credentials {
    async fn credentials(&self) -> Result<S3Credentials> {
        Ok(self.0.clone())
    }
}

/// Settings of S3.
#[derive(Debug, Clone, Default)]
pub struct S3Config {
    /// Region of the signatures; `us-east-1` by default.
    pub region: Option<String>,
    /// Endpoint of another object store, which is addressed in path style.
    pub endpoint: Option<String>,
    /// Trusted certificates in PEM, instead of those of the system.
    pub ca_bundle: Option<Vec<u8>>,
    /// Source of credentials; without it `s3://` is rejected.
    pub credentials: Option<Arc<dyn S3CredentialSource>>,
}
