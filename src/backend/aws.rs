//! Opens AWS HealthImaging.

use std::sync::Arc;

use anyhow::Result;
use healthimaging::{HealthImaging, Pace, Paced};
use healthimaging_aws::{Aws, AwsConfig};
use healthimaging_objects::S3Config;

use super::{BackendHandle, Opened, Traits};
use crate::config::Config;

pub(super) async fn open(config: &Config) -> Result<Opened> {
    let aws = Aws::open(aws_config(config)).await?;
    let s3 = aws.s3();
    let pace = Arc::new(Pace::new(&aws.limits(), config.rate_factor));
    let traits: Traits = (
        Arc::new(Paced::new(Arc::clone(&aws), Arc::clone(&pace))),
        Arc::new(Paced::new(Arc::clone(&aws), pace)),
    );
    Ok(Opened { handle: BackendHandle::Aws(aws), traits, s3 })
}

pub(super) async fn s3(config: &Config) -> S3Config {
    healthimaging_aws::s3(aws_config(config)).await
}

fn aws_config(config: &Config) -> AwsConfig {
    AwsConfig {
        region: config.region.clone(),
        profile: config.profile.clone(),
        endpoint_url: config.endpoint_url.clone(),
        credentials: None,
    }
}
