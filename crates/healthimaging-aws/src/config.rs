//! Opens the back end: region, credentials, endpoint, time-outs, by the standard settings of AWS.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use aws_config::profile;
use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{AppName, BehaviorVersion, Region, SdkConfig};
use aws_credential_types::Credentials;
use aws_runtime::env_config::file::EnvConfigFiles;
use aws_sdk_medicalimaging::Client;
use aws_smithy_http_client::Connector;
use aws_smithy_http_client::proxy::ProxyConfig;
use aws_smithy_http_client::tls::Provider;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::connector_metadata::ConnectorMetadata;
use aws_smithy_runtime_api::client::endpoint::EndpointPrefix;
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnectorSettings, SharedHttpClient, SharedHttpConnector,
};
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
use aws_types::os_shim_internal::{Env, Fs};
use aws_types::service_config::ServiceConfigKey;
use healthimaging::{Error, Result};
use healthimaging_objects::{S3CredentialSource, S3Credentials};

use crate::credentials::Keys;
use crate::web::Web;

/// Name in the user agent of each call.
const APP_NAME: &str = "healthimaging-mcp-server";
/// Until an answer begins; bodies have a protection against stalling of their own.
const ANSWER_BEGINS: Duration = Duration::from_mins(1);

/// What is not left to the standard settings of AWS.
#[derive(Debug, Clone, Default)]
pub struct AwsConfig {
    /// Region; that of the environment, the profile or the machine when absent.
    pub region: Option<String>,
    /// Profile of the shared files; `AWS_PROFILE` when absent.
    pub profile: Option<String>,
    /// Another endpoint for all of HealthImaging, DICOMweb too; `AWS_ENDPOINT_URL_MEDICAL_IMAGING` and its
    /// like when absent.
    pub endpoint_url: Option<String>,
    /// Keys to use instead of the standard chain.
    pub credentials: Option<S3Credentials>,
}

/// AWS HealthImaging as a back end.
pub struct Aws {
    pub(crate) client: Client,
    pub(crate) web: Arc<Web>,
    pub(crate) sdk: SdkConfig,
    keys: Arc<Keys>,
    region: String,
    endpoint: Option<String>,
}

impl Aws {
    /// Reads the settings; calls nothing yet. Without a region, or with a profile that does not
    /// exist, it is a `Validation` error.
    pub async fn open(config: AwsConfig) -> Result<Arc<Self>> {
        check_profile(&config).await?;
        let sdk = load(&config).await;
        let region = sdk.region().map(ToString::to_string).ok_or_else(|| {
            Error::validation(
                "no AWS region is known: set AWS_REGION, give --region, or set it in the profile",
            )
        })?;
        let endpoint = config.endpoint_url.or_else(|| configured_endpoint(&sdk));
        if let Some(url) = &endpoint {
            check_endpoint(url)?;
        }
        let keys = Arc::new(Keys::new(sdk.credentials_provider()));
        let mut builder = aws_sdk_medicalimaging::config::Builder::from(&sdk);
        builder.set_endpoint_url(endpoint.clone());
        builder.push_retry_classifier(SharedRetryClassifier::new(NotWhenThrottled));
        if endpoint.is_some() {
            builder.push_interceptor(SharedInterceptor::new(NoHostPrefix));
        }
        let web = Web::new(&sdk, &region, endpoint.as_deref(), Arc::clone(&keys));
        Ok(Arc::new(Self {
            client: Client::from_conf(builder.build()),
            web: Arc::new(web),
            sdk,
            keys,
            region,
            endpoint,
        }))
    }

    /// The region that is called.
    #[must_use]
    pub fn region(&self) -> &str {
        &self.region
    }

    /// The endpoint that is called instead of that of AWS.
    #[must_use]
    pub fn endpoint(&self) -> Option<&str> {
        self.endpoint.as_deref()
    }

    /// The same credentials, for S3.
    #[must_use]
    pub fn credentials(&self) -> Arc<dyn S3CredentialSource> {
        Arc::clone(&self.keys) as _
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

/// The one HTTP client, through the proxy that the environment names.
pub(crate) fn connector(settings: &HttpConnectorSettings) -> Connector {
    Connector::builder()
        .connector_settings(settings.clone())
        .proxy_config(ProxyConfig::from_env())
        .tls_provider(Provider::Rustls(CryptoMode::AwsLc))
        .build()
}

pub(crate) async fn load(config: &AwsConfig) -> SdkConfig {
    let client =
        aws_smithy_http_client::Builder::new().build_with_connector_fn(
            |settings, _| match settings {
                Some(settings) => connector(settings),
                None => connector(&HttpConnectorSettings::default()),
            },
        );
    let timeouts = TimeoutConfig::builder().read_timeout(ANSWER_BEGINS).build();
    let mut loader = aws_config::defaults(BehaviorVersion::latest())
        .http_client(WhenNeeded(client))
        .timeout_config(timeouts);
    if let Ok(name) = AppName::new(APP_NAME) {
        loader = loader.app_name(name);
    }
    if let Some(region) = &config.region {
        loader = loader.region(Region::new(region.clone()));
    }
    if let Some(profile) = &config.profile {
        loader = loader.profile_name(profile);
    }
    if let Some(keys) = &config.credentials {
        loader = loader.credentials_provider(Credentials::new(
            keys.access_key_id.clone(),
            keys.secret_access_key.clone(),
            keys.session_token.clone(),
            None,
            APP_NAME,
        ));
    }
    loader.load().await
}

/// The endpoint that the environment or the profile names for this service, or for all.
fn configured_endpoint(sdk: &SdkConfig) -> Option<String> {
    let key = ServiceConfigKey::builder()
        .service_id("Medical Imaging")
        .env("AWS_ENDPOINT_URL")
        .profile("endpoint_url")
        .build()
        .ok()?;
    let own = sdk.service_config().and_then(|found| found.load_config(key));
    own.or_else(|| sdk.endpoint_url().map(str::to_owned))
}

/// A profile that is named must exist: the chain would go on without it, as somebody else.
async fn check_profile(config: &AwsConfig) -> Result<()> {
    if config.credentials.is_some() {
        return Ok(());
    }
    let named = config.profile.clone().map(Cow::Owned);
    let files = EnvConfigFiles::default();
    // Files that cannot be read are told of by the chain.
    let Ok(found) = profile::load(&Fs::real(), &Env::real(), &files, named).await else {
        return Ok(());
    };
    let chosen = found.selected_profile();
    if matches!(chosen, "" | "default") || found.get_profile(chosen).is_some() {
        return Ok(());
    }
    Err(Error::validation(format!(
        "there is no profile `{chosen}` in the shared AWS files (~/.aws/config, \
         ~/.aws/credentials): check --profile and AWS_PROFILE, or run `aws configure --profile \
         {chosen}`"
    )))
}

fn check_endpoint(url: &str) -> Result<()> {
    let well_formed = url.parse::<http::Uri>().is_ok_and(|uri| {
        matches!(uri.scheme_str(), Some("http" | "https")) && uri.host().is_some()
    });
    if well_formed {
        return Ok(());
    }
    Err(Error::validation(
        "the endpoint must be a URL such as http://127.0.0.1:8730: check --endpoint-url and \
         AWS_ENDPOINT_URL_MEDICAL_IMAGING",
    ))
}

/// For a call that must not be made twice: after a cut connection nobody knows whether it was done.
pub(crate) fn sent_once() -> aws_sdk_medicalimaging::config::Builder {
    aws_sdk_medicalimaging::config::Builder::new().retry_config(RetryConfig::disabled())
}

/// Leaves throttling answers to whoever paces the calls: the SDK would try again at once.
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

/// Reads the certificates of the system with the first call, and not when a client is made: it takes longer
/// than all the rest of a start.
#[derive(Debug)]
struct WhenNeeded(SharedHttpClient);

impl HttpClient for WhenNeeded {
    fn http_connector(
        &self,
        settings: &HttpConnectorSettings,
        components: &RuntimeComponents,
    ) -> SharedHttpConnector {
        self.0.http_connector(settings, components)
    }

    fn connector_metadata(&self) -> Option<ConnectorMetadata> {
        self.0.connector_metadata()
    }
}

/// Keeps `runtime-` from the front of a host that was given: no such name exists there.
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
