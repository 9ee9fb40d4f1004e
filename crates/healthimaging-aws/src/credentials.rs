//! Credentials of the standard chain: one cache for the SDK, DICOMweb and S3.
//!
//! The providers of the SDK parse the shared files once, cache a revoked session until its expiration, and cache credentials
//! without an expiration forever. So the chain is created again when the files have changed, after it failed, and after AWS
//! rejected its credentials.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use aws_config::credential_process::CredentialProcessProvider;
use aws_config::meta::credentials::CredentialsProviderChain;
use aws_config::profile::ProfileFileCredentialsProvider;
use aws_config::provider_config::ProviderConfig;
use aws_credential_types::Credentials;
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider, future};
use healthimaging::{Error, ErrorKind, Result};
use healthimaging_objects::{S3Config, S3CredentialSource, S3Credentials};
use parking_lot::Mutex;

use crate::error;
use crate::network::Network;
use crate::origin::Origin;
use crate::settings::{AwsConfig, load};
use crate::shared_files::{SharedFiles, paths, variable};

/// Time before their expiration at which credentials are renewed.
const EARLY: Duration = Duration::from_mins(5);
/// Timeout of the chain. A credential process may wait for a person, but must not block all calls.
const TIMEOUT: Duration = Duration::from_mins(2);

/// Cached credentials of the standard chain.
pub(crate) struct Keys {
    config: AwsConfig,
    cache: tokio::sync::Mutex<Cache>,
    /// Source of the credentials.
    origin: Mutex<Origin>,
    /// Set after AWS rejected them.
    is_rejected: AtomicBool,
}

#[derive(Default)]
struct Cache {
    chain: Option<SharedCredentialsProvider>,
    credentials: Option<Credentials>,
    files: Files,
}

/// Modification times and lengths of the shared files, by which changes are noticed.
#[derive(Default, PartialEq, Eq)]
struct Files([Option<(SystemTime, u64)>; 2]);

impl Files {
    fn now() -> Self {
        Self(paths().map(|path| {
            let found = std::fs::metadata(path).ok()?;
            Some((found.modified().ok()?, found.len()))
        }))
    }
}

impl Keys {
    /// Creates it without reading anything.
    pub(crate) fn new(config: AwsConfig) -> Self {
        Self {
            config,
            cache: tokio::sync::Mutex::default(),
            origin: Mutex::default(),
            is_rejected: AtomicBool::new(false),
        }
    }

    /// Returns valid credentials.
    ///
    /// # Errors
    /// `Credentials` if there are none.
    pub(crate) async fn get(&self) -> Result<Credentials> {
        let mut cache = self.cache.lock().await;
        let files = Files::now();
        if self.is_rejected.swap(false, Ordering::Relaxed) || files != cache.files {
            *cache = Cache { files, ..Cache::default() };
        }
        let cached = cache.credentials.as_ref();
        if let Some(credentials) = cached.filter(|found| is_valid_for(found, EARLY)) {
            return Ok(credentials.clone());
        }
        match self.ask(&mut cache.chain).await {
            Ok(found) => {
                cache.credentials = Some(found.clone());
                Ok(found)
            }
            Err(error) => {
                // A failed provider may cache its failure.
                cache.chain = None;
                let cached = cache.credentials.as_ref();
                let still = cached.filter(|found| is_valid_for(found, Duration::ZERO)).cloned();
                still
                    .inspect(|_| tracing::warn!(%error, "the AWS credentials could not be renewed"))
                    .ok_or(error)
            }
        }
    }

    async fn ask(&self, chain: &mut Option<SharedCredentialsProvider>) -> Result<Credentials> {
        let provider = match chain {
            Some(provider) => provider,
            None => chain.insert(self.chain().await?),
        };
        let asked = tokio::time::timeout(TIMEOUT, provider.provide_credentials()).await;
        let found = asked.unwrap_or_else(|_| Err(CredentialsError::provider_timed_out(TIMEOUT)));
        found.map_err(|failed| error::of_credentials(failed, &self.origin()))
    }

    async fn chain(&self) -> Result<SharedCredentialsProvider> {
        let files = SharedFiles::read(self.config.profile.as_deref()).await?;
        if self.config.credentials.is_none() {
            *self.origin.lock() = files.origin()?;
        }
        let network = Network::read(&files)?;
        if self.origin().is_login() {
            let process = CredentialProcessProvider::new(export(files.selected()));
            return Ok(SharedCredentialsProvider::new(process));
        }
        let sdk = load(&self.config, &network).await;
        let chain = sdk.credentials_provider();
        let chain =
            chain.ok_or_else(|| Error::new(ErrorKind::Credentials, error::NO_CREDENTIALS))?;
        let Some(profile) = &self.config.profile else { return Ok(chain) };
        // A named profile precedes the environment, with which the chain begins.
        let settings = ProviderConfig::without_region()
            .with_region(sdk.region().cloned())
            .with_http_client(network.client());
        let named = ProfileFileCredentialsProvider::builder().profile_name(profile);
        let named = named.configure(&settings).build();
        let chain = CredentialsProviderChain::first_try("Named", named).or_else("Standard", chain);
        Ok(SharedCredentialsProvider::new(chain))
    }

    fn origin(&self) -> Origin {
        self.origin.lock().clone()
    }

    /// Makes the next call read the credentials again.
    pub(crate) fn renew(&self) {
        self.is_rejected.store(true, Ordering::Relaxed);
    }

    /// Handles the error of a call: rejected credentials are read again, and the message says how to renew them.
    pub(crate) fn note(&self, error: Error) -> Error {
        // Errors of the chain have no code.
        let (ErrorKind::Credentials, Some(code)) = (error.kind(), error.code()) else {
            return error;
        };
        self.renew();
        let renewal = error::is_expired(code).then(|| self.origin().when_expired()).flatten();
        let Some(message) = renewal else { return error };
        let mut renewable = Error::new(ErrorKind::Credentials, message).with_code(code);
        if let Some(id) = error.request_id() {
            renewable = renewable.with_request_id(id);
        }
        renewable.with_source(error)
    }
}

/// Command that prints the credentials of an `aws login` session and renews them.
///
/// The SDK reads such sessions with a cargo feature that adds two dozen crates. Users of a session have the AWS CLI, and AWS
/// documents this command for programs without the feature.
fn export(profile: &str) -> String {
    let quoted = if cfg!(windows) {
        format!("\"{}\"", profile.replace('"', ""))
    } else {
        format!("'{}'", profile.replace('\'', r"'\''"))
    };
    format!("aws configure export-credentials --profile {quoted} --format process")
}

fn is_valid_for(credentials: &Credentials, longer: Duration) -> bool {
    credentials.expiry().is_none_or(|end| SystemTime::now() + longer < end)
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keys").finish_non_exhaustive()
    }
}

/// For the SDK, whose errors contain ours.
impl ProvideCredentials for Keys {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        let provided = async { self.get().await.map_err(CredentialsError::provider_error) };
        future::ProvideCredentials::new(provided)
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

    fn refused(&self) {
        self.renew();
    }
}

/// Returns the settings of S3 by the standard settings of AWS.
///
/// Invalid shared files are reported when the credentials are used.
pub async fn s3(config: AwsConfig) -> S3Config {
    let files = SharedFiles::read(config.profile.as_deref()).await.ok();
    let bundle = files.as_ref().and_then(|files| Network::read(files).ok());
    s3_config(
        files.as_ref(),
        config.region.clone(),
        &bundle.unwrap_or_default(),
        Arc::new(Keys::new(config)),
    )
}

/// Returns settings of S3 with these credentials.
pub(crate) fn s3_config(
    files: Option<&SharedFiles>,
    region: Option<String>,
    network: &Network,
    keys: Arc<Keys>,
) -> S3Config {
    let region = region
        .or_else(|| variable("AWS_REGION"))
        .or_else(|| variable("AWS_DEFAULT_REGION"))
        .or_else(|| files?.setting("region").map(str::to_owned));
    S3Config {
        region,
        endpoint: files.and_then(|files| files.endpoint("s3")),
        ca_bundle: network.bundle().map(|bundle| bundle.to_vec()),
        credentials: Some(keys),
    }
}
