//! The back end: clients of the SDK, of DICOMweb and of S3 with the same settings and credentials.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use aws_config::SdkConfig;
use aws_config::identity::IdentityCache;
use aws_config::retry::RetryConfig;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider};
use aws_sdk_medicalimaging::Client;
use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::endpoint::EndpointPrefix;
use aws_smithy_runtime_api::client::interceptors::context::{
    BeforeSerializationInterceptorContextMut, InterceptorContext,
};
use aws_smithy_runtime_api::client::interceptors::{
    Intercept, SharedInterceptor, dyn_dispatch_hint,
};
use aws_smithy_runtime_api::client::retries::classifiers::{
    ClassifyRetry, RetryAction, SharedRetryClassifier,
};
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::config_bag::ConfigBag;
use aws_smithy_types::retry::ErrorKind as RetryKind;
use healthimaging::{Error, Result, check_region};
use healthimaging_objects::S3Config;

use crate::credentials::{Keys, s3_config};
use crate::error;
use crate::network::Network;
use crate::settings::{AwsConfig, check_endpoint, load, region_source};
use crate::shared_files::SharedFiles;
use crate::web::Web;

/// AWS HealthImaging as a back end.
pub struct Aws {
    pub(crate) client: Client,
    pub(crate) web: Arc<Web>,
    pub(crate) sdk: SdkConfig,
    pub(crate) keys: Arc<Keys>,
    s3: S3Config,
    region: String,
    endpoint: Option<String>,
}

impl Aws {
    /// Reads the settings, without a network request.
    ///
    /// # Errors
    /// `Validation` for a missing or invalid region, endpoint, proxy or certificate bundle. `Credentials` for invalid shared
    /// files or keys, with the file and line.
    pub async fn open(config: AwsConfig) -> Result<Arc<Self>> {
        let files = SharedFiles::read(config.profile.as_deref()).await?;
        if config.credentials.is_none() {
            files.origin()?;
        }
        let network = Network::read(&files)?;
        let sdk = load(&config, &network).await;
        let region = sdk.region().map(ToString::to_string).ok_or_else(|| {
            Error::validation(
                "no AWS region is configured: set AWS_REGION, use --region, or set it in the profile",
            )
        })?;
        check_region(&region, &region_source(&config, &files))?;
        let endpoint = config.endpoint_url.clone().or_else(|| files.endpoint("medical_imaging"));
        if let Some(url) = &endpoint {
            check_endpoint(url)?;
        }
        let keys = Arc::new(Keys::new(AwsConfig { region: Some(region.clone()), ..config }));
        let provider = Arc::clone(&keys) as Arc<dyn ProvideCredentials>;
        let sdk = sdk
            .to_builder()
            .credentials_provider(SharedCredentialsProvider::from(provider))
            .identity_cache(IdentityCache::no_cache())
            .build();
        let mut builder = aws_sdk_medicalimaging::config::Builder::from(&sdk);
        builder.set_endpoint_url(endpoint.clone());
        builder.push_retry_classifier(SharedRetryClassifier::new(NotWhenThrottled));
        builder.push_retry_classifier(SharedRetryClassifier::new(Renewed(Arc::clone(&keys))));
        if endpoint.is_some() {
            builder.push_interceptor(SharedInterceptor::new(NoHostPrefix));
        }
        let s3 = s3_config(Some(&files), Some(region.clone()), &network, Arc::clone(&keys));
        let web = Web::new(&sdk, network, &region, endpoint.as_deref(), Arc::clone(&keys));
        Ok(Arc::new(Self {
            client: Client::from_conf(builder.build()),
            web: Arc::new(web),
            sdk,
            s3,
            keys,
            region,
            endpoint,
        }))
    }

    /// Returns the region.
    #[must_use]
    pub fn region(&self) -> &str {
        &self.region
    }

    /// Returns the endpoint, if it is not that of AWS.
    #[must_use]
    pub fn endpoint(&self) -> Option<&str> {
        self.endpoint.as_deref()
    }

    /// Returns settings of S3 with the same credentials.
    #[must_use]
    pub fn s3(&self) -> S3Config {
        self.s3.clone()
    }

    /// Checks whether there are credentials.
    pub async fn check_credentials(&self) -> Result<()> {
        self.keys.get().await.map(drop)
    }
}

impl fmt::Debug for Aws {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Aws")
            .field("region", &self.region)
            .field("endpoint", &self.endpoint)
            .finish_non_exhaustive()
    }
}

/// Disables retries for a call that must not be repeated: after a connection failure its outcome is unknown.
pub(crate) fn sent_once() -> aws_sdk_medicalimaging::config::Builder {
    aws_sdk_medicalimaging::config::Builder::new().retry_config(RetryConfig::disabled())
}

/// Disables retries of throttled calls, which the rate limiter retries later.
#[derive(Debug)]
struct NotWhenThrottled;

impl ClassifyRetry for NotWhenThrottled {
    fn name(&self) -> &'static str {
        "NotWhenThrottled"
    }

    fn classify_retry(&self, context: &InterceptorContext) -> RetryAction {
        match context.response() {
            Some(answer) if answer.status().as_u16() == 429 => RetryAction::RetryForbidden,
            _ => RetryAction::NoActionIndicated,
        }
    }
}

/// Reads expired credentials again before the next attempt: they may have been renewed.
#[derive(Debug)]
struct Renewed(Arc<Keys>);

impl ClassifyRetry for Renewed {
    fn name(&self) -> &'static str {
        "Renewed"
    }

    fn classify_retry(&self, context: &InterceptorContext) -> RetryAction {
        let code = context.response().and_then(|answer| answer.headers().get("x-amzn-errortype"));
        // `Code:http://…` in headers.
        let code = code.and_then(|code| code.split(':').next());
        if !code.is_some_and(error::is_expired) {
            return RetryAction::NoActionIndicated;
        }
        self.0.renew();
        RetryAction::retryable_error_with_explicit_delay(RetryKind::ServerError, Duration::ZERO)
    }
}

/// Omits the prefix `runtime-` of the host of a custom endpoint, which has no such name.
#[derive(Debug)]
struct NoHostPrefix;

#[dyn_dispatch_hint]
impl Intercept for NoHostPrefix {
    fn name(&self) -> &'static str {
        "NoHostPrefix"
    }

    fn modify_before_serialization(
        &self,
        _: &mut BeforeSerializationInterceptorContextMut<'_>,
        _: &RuntimeComponents,
        config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        config.interceptor_state().unset::<EndpointPrefix>();
        Ok(())
    }
}
