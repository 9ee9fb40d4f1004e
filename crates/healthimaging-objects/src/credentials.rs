//! Where S3 is and who signs for it.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use healthimaging::Result;

/// Credentials of AWS.
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

/// Gives credentials when a request is signed, so that profiles, SSO and roles can serve S3 too.
///
/// It is asked for each request: an implementation keeps what is still valid.
#[async_trait]
pub trait S3CredentialSource: fmt::Debug + Send + Sync {
    /// Credentials that are valid now; `Credentials` when there are none.
    async fn credentials(&self) -> Result<S3Credentials>;

    /// Takes note that S3 refused them: an implementation that can renews them for the next request.
    fn refused(&self) {}
}

/// The same credentials for ever.
#[derive(Debug, Clone)]
pub struct StaticS3Credentials(pub S3Credentials);

#[async_trait]
impl S3CredentialSource for StaticS3Credentials {
    async fn credentials(&self) -> Result<S3Credentials> {
        Ok(self.0.clone())
    }
}

/// How S3 is reached.
#[derive(Debug, Clone, Default)]
pub struct S3Config {
    /// Region that requests are signed for; `us-east-1` when absent.
    pub region: Option<String>,
    /// Another endpoint than that of AWS, such as a local object store; addressed in path style.
    pub endpoint: Option<String>,
    /// Certificates in PEM that are trusted in place of those of the system.
    pub ca_bundle: Option<Vec<u8>>,
    /// Who signs; without it every `s3://` place is refused.
    pub credentials: Option<Arc<dyn S3CredentialSource>>,
}
