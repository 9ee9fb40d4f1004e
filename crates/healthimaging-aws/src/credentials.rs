//! Credentials of the standard chain, for what the SDK does not sign: DICOMweb and S3.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use aws_credential_types::Credentials;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider};
use healthimaging::{Error, ErrorKind, Result};
use healthimaging_objects::{S3CredentialSource, S3Credentials};
use tokio::sync::{Mutex, OnceCell};

use crate::config::{AwsConfig, load};
use crate::error;

/// Credentials are asked for anew this long before they expire.
const EARLY: Duration = Duration::from_mins(5);

/// Asks the chain, and keeps what it gave until shortly before that expires.
pub(crate) struct Keys {
    chain: Option<SharedCredentialsProvider>,
    kept: Mutex<Option<Credentials>>,
}

impl Keys {
    pub(crate) fn new(chain: Option<SharedCredentialsProvider>) -> Self {
        Self { chain, kept: Mutex::default() }
    }

    /// Credentials that are valid now.
    pub(crate) async fn get(&self) -> Result<Credentials> {
        let mut kept = self.kept.lock().await;
        if let Some(credentials) = kept.as_ref().filter(|found| is_fresh(found)) {
            return Ok(credentials.clone());
        }
        let chain = self
            .chain
            .as_ref()
            .ok_or_else(|| Error::new(ErrorKind::Credentials, error::NO_CREDENTIALS))?;
        let found = chain.provide_credentials().await.map_err(error::of_credentials)?;
        *kept = Some(found.clone());
        Ok(found)
    }
}

fn is_fresh(credentials: &Credentials) -> bool {
    credentials.expiry().is_none_or(|end| SystemTime::now() + EARLY < end)
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keys").finish_non_exhaustive()
    }
}

#[async_trait]
impl S3CredentialSource for Keys {
    async fn credentials(&self) -> Result<S3Credentials> {
        let found = self.get().await?;
        Ok(S3Credentials {
            access_key_id: found.access_key_id().to_owned(),
            secret_access_key: found.secret_access_key().to_owned(),
            session_token: found.session_token().map(str::to_owned),
        })
    }
}

/// Credentials of the standard chain for S3 alone; nothing is read before they are asked for.
#[must_use]
pub fn credentials(config: AwsConfig) -> Arc<dyn S3CredentialSource> {
    Arc::new(Later { config, keys: OnceCell::new() })
}

/// The chain, once it is needed.
#[derive(Debug)]
struct Later {
    config: AwsConfig,
    keys: OnceCell<Keys>,
}

#[async_trait]
impl S3CredentialSource for Later {
    async fn credentials(&self) -> Result<S3Credentials> {
        let load = async || Keys::new(load(&self.config).await.credentials_provider());
        let keys = self.keys.get_or_init(load).await;
        keys.credentials().await
    }
}
