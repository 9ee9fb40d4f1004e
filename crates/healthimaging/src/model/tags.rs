//! Tags of data stores and image sets.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;

use crate::id::{ResourceArn, TagKey, TagValue};

/// Input of `TagResource`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TagResourceRequest {
    /// ARN of the resource.
    pub resource_arn: ResourceArn,
    /// Tags to set.
    pub tags: BTreeMap<TagKey, TagValue>,
}

/// Output of `TagResource`: empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TagResourceResponse {}

/// Input of `UntagResource`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UntagResourceRequest {
    /// ARN of the resource.
    pub resource_arn: ResourceArn,
    /// Keys to remove, at most 200.
    pub tag_keys: Vec<TagKey>,
}

/// Output of `UntagResource`: empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UntagResourceResponse {}

/// Input of `ListTagsForResource`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListTagsForResourceRequest {
    /// ARN of the resource.
    pub resource_arn: ResourceArn,
}

/// Output of `ListTagsForResource`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct ListTagsForResourceResponse {
    /// Its tags.
    pub tags: BTreeMap<TagKey, TagValue>,
}
