//! The settings of the back end, and the standard settings of AWS with them.

use std::time::Duration;

use aws_config::timeout::TimeoutConfig;
use aws_config::{AppName, BehaviorVersion, Region, SdkConfig};
use aws_credential_types::Credentials;
use healthimaging::{Error, Result};
use healthimaging_objects::S3Credentials;

use crate::network::Network;
use crate::shared_files::{SharedFiles, variable};

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

/// Resolves the standard settings.
pub(crate) async fn load(config: &AwsConfig, network: &Network) -> SdkConfig {
    let timeouts = TimeoutConfig::builder().read_timeout(ANSWER_BEGINS).build();
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

/// What sets the region: the flag, a variable, or the line of a file.
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
