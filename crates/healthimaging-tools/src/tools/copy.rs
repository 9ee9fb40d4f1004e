//! Copies of image sets, within a data store and from another one.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use healthimaging::model::{
    CopiedImageSetProperties, CopyImageSetInformation, CopyImageSetRequest, CopyImageSetResponse,
    GetImageSetRequest, ImageSetProperties,
};
use healthimaging::{DatastoreId, Error, ImageSetId, Result};
use healthimaging_workflows::store::Across;

use super::changes::{check_made, settle};
use super::store::{self, StoreReport};
use crate::answer::Reply;
use crate::arguments::WaitSeconds;
use crate::context::Context;
use crate::tool::{Effect, Tool};

/// Copy an image set, whole or in part, to a new one or into another one of the data store.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CopyImageSet {
    /// ID or name
    datastore_id: Option<DatastoreId>,
    /// Image set to copy
    source_image_set_id: ImageSetId,
    /// copiableAttributes: JSON text in the form of the metadata that names the instances to copy
    copy_image_set_information: CopyImageSetInformation,
    /// Another data store to retrieve the instances from
    source_datastore_id: Option<DatastoreId>,
    /// Copy even if patient, study or series metadata differ
    force: Option<bool>,
    /// Make the copy primary if allowed
    promote_to_primary: Option<bool>,
    wait_seconds: Option<WaitSeconds>,
}

impl Tool for CopyImageSet {
    const NAME: &'static str = "copy_image_set";
    const TITLE: &'static str = "Copy image set";
    const EXAMPLE: &'static str = r#"{"datastore_id": "0f1e2d3c4b5a69788796a5b4c3d2e1f0", "source_image_set_id": "a0b1c2d3e4f5061728394a5b6c7d8e9f", "copy_image_set_information": {"sourceImageSet": {"latestVersionId": "1"}}, "wait_seconds": 60}"#;
    const EFFECT: Effect = Effect::Writes;
    type Output = Copied;

    async fn call(self, context: &Context) -> Result<Reply<Self::Output>> {
        let datastore_id = context.datastore(self.datastore_id.clone()).await?;
        if self.source_datastore_id.as_ref().is_some_and(|source| *source != datastore_id) {
            return copy_across(self.across(datastore_id)?, context).await;
        }
        let request = CopyImageSetRequest {
            datastore_id,
            source_image_set_id: self.source_image_set_id,
            copy_image_set_information: self.copy_image_set_information,
            force: self.force == Some(true),
            promote_to_primary: self.promote_to_primary == Some(true),
        };
        let promoted = request.promote_to_primary;
        let mut copied = context.service().copy_image_set(request).await?;
        let wait = self.wait_seconds;
        let destination = copied.destination_image_set_properties.image_set_id.clone();
        let source = copied.source_image_set_properties.image_set_id.clone();
        let ids = [destination, source];
        if let Some([settled, source]) = settle(context, &copied.datastore_id, &ids, wait).await? {
            check_made(&settled)?;
            if promoted && settled.is_primary == Some(false) {
                return Err(Error::conflict(format!(
                    "image set {} was created, but the service did not make it primary: {}",
                    settled.image_set_id,
                    settled.message.as_deref().unwrap_or("it gave no reason")
                )));
            }
            update(&mut copied.destination_image_set_properties, settled);
            update(&mut copied.source_image_set_properties, source);
        }
        let target = &copied.destination_image_set_properties;
        let state = target.image_set_state.map(|state| format!(" is {state}")).unwrap_or_default();
        let text = format!("The copy, image set {}{state}.", target.image_set_id);
        let copied = Copied { copied, across_data_stores: None };
        Ok(Reply::new(copied, text))
    }
}

/// A copy.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Copied {
    #[serde(flatten)]
    copied: CopyImageSetResponse,
    /// Present for a copy from another data store.
    #[serde(skip_serializing_if = "Option::is_none")]
    across_data_stores: Option<StoreReport>,
}

impl CopyImageSet {
    fn across(self, to: DatastoreId) -> Result<Across> {
        let information = self.copy_image_set_information;
        if information.destination_image_set.is_some() {
            return Err(Error::validation(
                "destinationImageSet cannot be set across data stores: the destination groups the \
                 instances into image sets by their metadata, as an import does",
            ));
        }
        if self.force == Some(true) || self.promote_to_primary == Some(true) {
            return Err(Error::validation(
                "force and promote_to_primary do not apply across data stores: the instances are \
                 stored by the rules of an import; copy within the destination afterwards",
            ));
        }
        let source = information.source_image_set;
        Ok(Across {
            from: self.source_datastore_id.unwrap_or_else(|| to.clone()),
            image_set_id: self.source_image_set_id,
            latest_version_id: source.latest_version_id,
            copiable_attributes: source.dicom_copies.map(|part| part.copiable_attributes),
            to,
        })
    }
}

async fn copy_across(mut across: Across, context: &Context) -> Result<Reply<Copied>> {
    if let Some(redaction) = context.redaction() {
        let copied = across.copiable_attributes.as_deref().map(|part| redaction.copied(part));
        across.copiable_attributes = copied.transpose()?;
    }
    // Files pass from one data store to the other, and none is shown.
    let back_end = context.real_back_end();
    let (source, stored) = store::watched(context, |watch| across.copy(back_end, watch)).await?;
    let report = StoreReport::of(stored);
    let why = report.first_failure().unwrap_or("no instance was stored");
    let destination = report
        .destination()
        .ok_or_else(|| Error::conflict(format!("nothing was copied: {why}")))?;
    let request = GetImageSetRequest {
        datastore_id: across.to.clone(),
        image_set_id: destination.clone(),
        version_id: None,
    };
    let destination = context.service().get_image_set(request).await?.properties;
    let text = format!(
        "Retrieved from data store {} and stored here: {} The source is unchanged.",
        across.from,
        report.summary()
    );
    let copied = Copied {
        copied: CopyImageSetResponse {
            datastore_id: across.to,
            source_image_set_properties: side(source),
            destination_image_set_properties: side(destination),
        },
        across_data_stores: Some(report),
    };
    Ok(Reply::new(copied, text))
}

/// Updates the source or destination of a copy to its current state.
fn update(side: &mut CopiedImageSetProperties, now: ImageSetProperties) {
    side.latest_version_id = now.version_id;
    side.image_set_state = Some(now.image_set_state);
    side.image_set_workflow_status = now.image_set_workflow_status;
    side.updated_at = now.updated_at;
}

/// Source or destination of a copy across data stores.
fn side(set: ImageSetProperties) -> CopiedImageSetProperties {
    CopiedImageSetProperties {
        image_set_id: set.image_set_id,
        latest_version_id: set.version_id,
        image_set_state: Some(set.image_set_state),
        image_set_workflow_status: set.image_set_workflow_status,
        created_at: set.created_at,
        updated_at: set.updated_at,
        image_set_arn: None,
    }
}
