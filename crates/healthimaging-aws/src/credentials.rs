//! Credentials of the standard chain: one cache for the SDK, DICOMweb and S3.
//!
//! The SDK's own providers parse the shared files once, keep a session that was revoked until it would have expired,
//! and never ask again for credentials without an expiration. So the chain is made anew when the files have changed,
//! after it failed, and after AWS refused what it gave.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
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

use crate::error;
use crate::network::Network;
use crate::origin::Origin;
use crate::settings::{AwsConfig, load};
use crate::shared_files::{SharedFiles, paths, variable};

/// Credentials are asked for anew this long before they expire.
const EARLY: Duration = Duration::from_mins(5);
/// A credential process may ask a person; one that hangs must not hang every call.
const LONGEST: Duration = Duration::from_mins(2);

/// The credentials, from the standard chain when they are first asked for.
pub(crate) struct Keys {
    config: AwsConfig,
    state: tokio::sync::Mutex<State>,
    /// Where the chain found them.
    origin: Mutex<Origin>,
    /// Set when AWS refused them.
    refused: AtomicBool,
}

#[derive(Default)]
struct State {
    chain: Option<SharedCredentialsProvider>,
    cached: Option<Credentials>,
    files: Files,
}

/// What a rewritten file differs in: its time and its length.
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
    /// Nothing is read yet.
    pub(crate) fn new(config: AwsConfig) -> Self {
        Self {
            config,
            state: tokio::sync::Mutex::default(),
            origin: Mutex::default(),
            refused: AtomicBool::new(false),
        }
    }

    /// Credentials that are valid now, as far as is known; a `Credentials` error without any.
    pub(crate) async fn get(&self) -> Result<Credentials> {
        let mut state = self.state.lock().await;
        let files = Files::now();
        if self.refused.swap(false, Ordering::Relaxed) || files != state.files {
            *state = State { files, ..State::default() };
        }
        let cached = state.cached.as_ref();
        if let Some(credentials) = cached.filter(|found| is_valid_for(found, EARLY)) {
            return Ok(credentials.clone());
        }
        match self.ask(&mut state.chain).await {
            Ok(found) => {
                state.cached = Some(found.clone());
                Ok(found)
            }
            Err(error) => {
                // A provider that failed may go on failing after the cause is gone.
                state.chain = None;
                let cached = state.cached.as_ref();
                let still = cached.filter(|found| is_valid_for(found, Duration::ZERO)).cloned();
                still
                    .inspect(|_| tracing::warn!(%error, "AWS credentials not renewed"))
                    .ok_or(error)
            }
        }
    }

    async fn ask(&self, chain: &mut Option<SharedCredentialsProvider>) -> Result<Credentials> {
        let provider = match chain {
            Some(provider) => provider,
            None => chain.insert(self.chain().await?),
        };
        let asked = tokio::time::timeout(LONGEST, provider.provide_credentials()).await;
        let found = asked.unwrap_or_else(|_| Err(CredentialsError::provider_timed_out(LONGEST)));
        found.map_err(|failed| error::of_credentials(failed, &self.origin()))
    }

    async fn chain(&self) -> Result<SharedCredentialsProvider> {
        let files = SharedFiles::read(self.config.profile.as_deref()).await?;
        if self.config.credentials.is_none() {
            *self.origin.lock().unwrap_or_else(PoisonError::into_inner) = files.origin()?;
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
        // The chain begins with the environment, and a profile that is named has to come before it.
        let settings = ProviderConfig::without_region()
            .with_region(sdk.region().cloned())
            .with_http_client(network.client());
        let named = ProfileFileCredentialsProvider::builder().profile_name(profile);
        let named = named.configure(&settings).build();
        let chain = CredentialsProviderChain::first_try("Named", named).or_else("Standard", chain);
        Ok(SharedCredentialsProvider::new(chain))
    }

    fn origin(&self) -> Origin {
        self.origin.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Has the next call read the credentials again.
    pub(crate) fn renew(&self) {
        self.refused.store(true, Ordering::Relaxed);
    }

    /// Takes note of an error: after one of credentials they are read again, and it says how to renew them.
    pub(crate) fn heed(&self, error: Error) -> Error {
        // Those of the chain itself have no code.
        let (ErrorKind::Credentials, Some(code)) = (error.kind(), error.code()) else {
            return error;
        };
        self.renew();
        let renewal = error::is_expired(code).then(|| self.origin().when_expired()).flatten();
        let Some(message) = renewal else { return error };
        let told = Error::new(ErrorKind::Credentials, message).with_code(code);
        let told = match error.request_id() {
            Some(id) => told.with_request_id(id),
            None => told,
        };
        told.with_source(error)
    }
}

/// The command that prints what a session of `aws login` gives, and renews it.
///
/// The SDK supports it with a cargo feature that adds two dozen crates. Users of such a session have the AWS CLI, and AWS
/// documents this command for programs without that feature.
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

/// For the SDK; the error within is ours already.
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

/// S3 by the standard settings of AWS, without HealthImaging.
///
/// Shared files that are broken are no reason to fail here: who asks for the credentials gets the error.
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

/// S3 with these credentials.
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
