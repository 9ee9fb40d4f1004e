//! State and versions of image sets.

use schemars::JsonSchema;
use serde::Deserialize;

use healthimaging::model::{
    GetImageSetRequest, GetImageSetResponse, ListImageSetVersionsRequest,
    ListImageSetVersionsResponse,
};
use healthimaging::{DatastoreId, ImageSetId, NextToken, Page, Result, VersionId};

use crate::answer::Reply;
use crate::arguments::MaxResults;
use crate::context::Context;
use crate::listing;
use crate::tool::{Effect, Tool};

/// Get the state of an image set: version, status, whether it is primary.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct GetImageSet {
    /// ID or name
    datastore_id: Option<DatastoreId>,
    /// Image set ID
    image_set_id: ImageSetId,
    /// Default: the latest
    version_id: Option<VersionId>,
}

impl Tool for GetImageSet {
    const NAME: &'static str = "get_image_set";
    const TITLE: &'static str = "Get image set";
    const EXAMPLE: &'static str = r#"{"datastore_id": "0f1e2d3c4b5a69788796a5b4c3d2e1f0", "image_set_id": "a0b1c2d3e4f5061728394a5b6c7d8e9f"}"#;
    const EFFECT: Effect = Effect::Reads;
    type Output = GetImageSetResponse;

    async fn call(self, context: &Context) -> Result<Reply<Self::Output>> {
        let request = GetImageSetRequest {
            datastore_id: context.datastore(self.datastore_id).await?,
            image_set_id: self.image_set_id,
            version_id: self.version_id,
        };
        let found = context.service().get_image_set(request).await?;
        let set = &found.properties;
        let text = format!(
            "Image set {} version {} is {}.",
            set.image_set_id, set.version_id, set.image_set_state
        );
        Ok(Reply::new(found, text))
    }
}

/// List the versions of an image set, newest first.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ListImageSetVersions {
    /// ID or name
    datastore_id: Option<DatastoreId>,
    /// Image set ID
    image_set_id: ImageSetId,
    /// 1 to 100; default 50
    max_results: Option<MaxResults>,
    next_token: Option<NextToken>,
}

impl Tool for ListImageSetVersions {
    const NAME: &'static str = "list_image_set_versions";
    const TITLE: &'static str = "List versions of an image set";
    const EXAMPLE: &'static str = r#"{"datastore_id": "0f1e2d3c4b5a69788796a5b4c3d2e1f0", "image_set_id": "a0b1c2d3e4f5061728394a5b6c7d8e9f"}"#;
    const EFFECT: Effect = Effect::Reads;
    type Output = ListImageSetVersionsResponse;

    async fn call(self, context: &Context) -> Result<Reply<Self::Output>> {
        let datastore_id = context.datastore(self.datastore_id).await?;
        let service = context.service();
        let fetch = async |next_token, page_size| {
            let request = ListImageSetVersionsRequest {
                datastore_id: datastore_id.clone(),
                image_set_id: self.image_set_id.clone(),
                next_token,
                max_results: Some(page_size),
            };
            let page = service.list_image_set_versions(request).await?;
            Ok(Page { items: page.image_set_properties_list, next_token: page.next_token })
        };
        let page_size = service.limits().page_size;
        let page =
            listing::join(self.max_results, self.next_token, page_size, |_| true, fetch).await?;
        let next = page.next_token.as_ref();
        let text = listing::summary(page.items.len(), "version", next);
        let output = ListImageSetVersionsResponse {
            image_set_properties_list: page.items,
            next_token: page.next_token,
        };
        Ok(Reply::new(output, text))
    }
}
