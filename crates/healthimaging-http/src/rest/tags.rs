//! Tags.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::call::{Call, json};
use axum::response::Response;
use healthimaging::model::{ListTagsForResourceRequest, TagResourceRequest, UntagResourceRequest};
use healthimaging::{HealthImaging, Result, TagKey, TagValue};
use serde::{Deserialize, Serialize};

/// Tags of a resource, in requests and responses.
#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Tags {
    tags: BTreeMap<TagKey, TagValue>,
}

/// Response without members.
#[derive(Serialize)]
struct Done {}

pub(super) async fn tag(service: Arc<dyn HealthImaging>, call: Call) -> Result<Response> {
    let request = TagResourceRequest {
        resource_arn: call.path("resourceArn")?,
        tags: call.body::<Tags>()?.tags,
    };
    service.tag_resource(request).await?;
    json(&Done {})
}

pub(super) async fn untag(service: Arc<dyn HealthImaging>, call: Call) -> Result<Response> {
    let request = UntagResourceRequest {
        resource_arn: call.path("resourceArn")?,
        tag_keys: call.all("tagKeys").map(TagKey::try_from).collect::<Result<_>>()?,
    };
    service.untag_resource(request).await?;
    json(&Done {})
}

pub(super) async fn list(service: Arc<dyn HealthImaging>, call: Call) -> Result<Response> {
    let request = ListTagsForResourceRequest { resource_arn: call.path("resourceArn")? };
    let tags = service.list_tags_for_resource(request).await?.tags;
    json(&Tags { tags })
}
