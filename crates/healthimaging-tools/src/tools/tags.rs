//! Tags of data stores and image sets.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use healthimaging::model::{
    ListTagsForResourceRequest, ListTagsForResourceResponse, TagResourceRequest,
    UntagResourceRequest,
};
use healthimaging::{Error, ResourceArn, Result, TagKey, TagValue};

use healthimaging_workflows::counted;

use crate::answer::Reply;
use crate::context::Context;
use crate::tool::{Effect, Tool};

/// Confirmation of the operation.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Done {
    success: bool,
}

/// List the tags of a data store or image set.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ListTagsForResource {
    /// ARN of a data store or image set
    resource_arn: ResourceArn,
}

impl Tool for ListTagsForResource {
    const NAME: &'static str = "list_tags_for_resource";
    const TITLE: &'static str = "List tags";
    const EXAMPLE: &'static str = r#"{"resource_arn": "arn:aws:medical-imaging:us-east-1:000000000000:datastore/0f1e2d3c4b5a69788796a5b4c3d2e1f0"}"#;
    const EFFECT: Effect = Effect::Reads;
    type Output = ListTagsForResourceResponse;

    async fn call(self, context: &Context) -> Result<Reply<Self::Output>> {
        let request = ListTagsForResourceRequest { resource_arn: self.resource_arn };
        let found = context.service().list_tags_for_resource(request).await?;
        let text = format!("{}.", counted(found.tags.len(), "tag"));
        Ok(Reply::new(found, text))
    }
}

/// Add tags to a data store or image set; existing keys get the new value.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct TagResource {
    /// ARN of a data store or image set
    resource_arn: ResourceArn,
    /// Key to value
    tags: BTreeMap<TagKey, TagValue>,
}

impl Tool for TagResource {
    const NAME: &'static str = "tag_resource";
    const TITLE: &'static str = "Add tags";
    const EXAMPLE: &'static str = r#"{"resource_arn": "arn:aws:medical-imaging:us-east-1:000000000000:datastore/0f1e2d3c4b5a69788796a5b4c3d2e1f0", "tags": {"project": "lung"}}"#;
    const EFFECT: Effect = Effect::Writes;
    type Output = Done;

    async fn call(self, context: &Context) -> Result<Reply<Self::Output>> {
        if self.tags.is_empty() {
            return Err(Error::validation("tags must have at least one tag"));
        }
        let count = self.tags.len();
        let request = TagResourceRequest { resource_arn: self.resource_arn, tags: self.tags };
        context.service().tag_resource(request).await?;
        Ok(Reply::new(Done { success: true }, format!("Tags set: {count}.")))
    }
}

/// Remove tags from a data store or image set.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct UntagResource {
    /// ARN of a data store or image set
    resource_arn: ResourceArn,
    /// Keys to remove
    tag_keys: Vec<TagKey>,
}

impl Tool for UntagResource {
    const NAME: &'static str = "untag_resource";
    const TITLE: &'static str = "Remove tags";
    const EXAMPLE: &'static str = r#"{"resource_arn": "arn:aws:medical-imaging:us-east-1:000000000000:datastore/0f1e2d3c4b5a69788796a5b4c3d2e1f0", "tag_keys": ["project"]}"#;
    const EFFECT: Effect = Effect::Writes;
    type Output = Done;

    async fn call(self, context: &Context) -> Result<Reply<Self::Output>> {
        if !(1..=200).contains(&self.tag_keys.len()) {
            return Err(Error::validation("tag_keys must have 1 to 200 keys"));
        }
        let request =
            UntagResourceRequest { resource_arn: self.resource_arn, tag_keys: self.tag_keys };
        context.service().untag_resource(request).await?;
        Ok(Reply::new(Done { success: true }, "The tags are removed."))
    }
}
