//! Settings of the back end, on top of the standard settings of AWS.

use std::time::Duration;

use aws_config::timeout::TimeoutConfig;
use aws_config::{AppName, BehaviorVersion, Region, SdkConfig};
use aws_credential_types::Credentials;
use healthimaging::{Error, Result};
use healthimaging_objects::S3Credentials;

use crate::network::Network;
use crate::shared_files::{SharedFiles, variable};

/// Name in the user agent.
const APP_NAME: &str = "healthimaging-mcp-server";
/// Timeout until a response begins; the SDK has its own one for stalled bodies.
const RESPONSE_TIMEOUT: Duration = Duration::from_mins(1);

/// Settings that override the standard settings of AWS.
#[derive(Debug, Clone, Default)]
pub struct AwsConfig {
    /// Region; by default that of the environment, the profile or the instance.
    pub region: Option<String>,
    /// Profile of the shared files; `AWS_PROFILE` by default.
    pub profile: Option<String>,
    /// Endpoint of HealthImaging, including DICOMweb; by default `AWS_ENDPOINT_URL_MEDICAL_IMAGING` and the related settings.
    pub endpoint_url: Option<String>,
    /// Credentials that replace the standard chain.
    pub credentials: Option<S3Credentials>,
}

/// Loads the standard settings.
pub(crate) async fn load(config: &AwsConfig, network: &Network) -> SdkConfig {
    let timeouts = TimeoutConfig::builder().read_timeout(RESPONSE_TIMEOUT).build();
    let mut loader = aws_config::defaults(BehaviorVersion::latest())
        .http_client(network.client())
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

/// Returns what sets the region: the flag, a variable, or a file and line.
pub(crate) fn region_source(config: &AwsConfig, files: &SharedFiles) -> String {
    let variables = ["AWS_REGION", "AWS_DEFAULT_REGION"];
    match variables.into_iter().find(|name| variable(name).is_some()) {
        _ if config.region.is_some() => "--region".to_owned(),
        Some(name) => name.to_owned(),
        None => files.place(files.selected(), "region"),
    }
}

pub(crate) fn check_endpoint(url: &str) -> Result<()> {
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
