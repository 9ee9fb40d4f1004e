//! From one data store into another: the service's copy stays within one.

use std::sync::Arc;

use async_trait::async_trait;

use healthimaging::model::{
    GetImageSetMetadataRequest, GetImageSetRequest, ImageSetProperties, ImageSetState,
    RetrieveInstanceRequest, TransferSyntaxChoice,
};
use healthimaging::{Body, DatastoreId, DicomWeb, Error, ImageSetId, Result, Uid, VersionId};
use healthimaging_dicom::CopySelection;

use super::{Source, Stored, Watch, nothing_to_store, store};
use crate::back_end::BackEnd;
use crate::document;

/// An image set that is to be copied into another data store: retrieved there, stored here.
#[derive(Debug)]
pub struct Across {
    /// From which data store.
    pub from: DatastoreId,
    /// Which image set.
    pub image_set_id: ImageSetId,
    /// The version that the caller knows as the latest; any other is a `Conflict`.
    pub latest_version_id: VersionId,
    /// Which instances, as `CopyImageSet` names them; all, when absent.
    pub copiable_attributes: Option<String>,
    /// Into which data store.
    pub to: DatastoreId,
}

impl Across {
    /// The source as it stands, and what became of each instance, by SOP Instance UID.
    pub async fn copy(
        &self,
        back_end: &BackEnd,
        watch: Watch,
    ) -> Result<(ImageSetProperties, Stored<String>)> {
        let selection = self.copiable_attributes.as_deref();
        let selection = selection.map(CopySelection::parse).transpose()?;
        let source = self.source(back_end).await?;
        let request = GetImageSetMetadataRequest {
            datastore_id: self.from.clone(),
            image_set_id: self.image_set_id.clone(),
            version_id: None,
        };
        let mut held = document::uids(&*back_end.service, request).await?;
        if let Some(selection) = selection {
            held = selection.select(&held).map_err(|_| {
                Error::validation(
                    "copiableAttributes names a series or an instance that the source does not hold",
                )
            })?;
        }
        let mut items = Vec::new();
        for (series, instances) in &held.series {
            for sop in instances.instances.keys() {
                items.push((Uid::try_from(series.clone())?, Uid::try_from(sop.clone())?));
            }
        }
        if items.is_empty() {
            return Err(nothing_to_store());
        }
        let study = Uid::try_from(held.study_instance_uid().unwrap_or_default().to_owned())?;
        let instances = Instances {
            dicomweb: Arc::clone(&back_end.dicomweb),
            datastore_id: self.from.clone(),
            image_set_id: self.image_set_id.clone(),
            study,
        };
        let stored = store(&*back_end.dicomweb, &self.to, instances, items, watch).await?;
        let (done, failed) = (stored.stored.into_iter(), stored.failed.into_iter());
        let by_sop = Stored {
            stored: done.map(|((_, sop), outcome)| (sop.into(), outcome)).collect(),
            failed: failed.map(|((_, sop), why)| (sop.into(), why)).collect(),
            not_tried: stored.not_tried,
            error: stored.error,
        };
        Ok((source, by_sop))
    }

    async fn source(&self, back_end: &BackEnd) -> Result<ImageSetProperties> {
        let request = GetImageSetRequest {
            datastore_id: self.from.clone(),
            image_set_id: self.image_set_id.clone(),
            version_id: None,
        };
        let source = back_end.service.get_image_set(request).await?.properties;
        match source.image_set_state {
            ImageSetState::Active => {}
            ImageSetState::Locked => {
                return Err(Error::conflict(
                    "the source image set is locked by another write; try again when it is ACTIVE",
                ));
            }
            ImageSetState::Deleted => {
                return Err(Error::not_found("the source image set is deleted"));
            }
        }
        if source.version_id.number() != self.latest_version_id.number() {
            return Err(Error::conflict(format!(
                "the latest version of the source image set is {}, not {}",
                source.version_id, self.latest_version_id
            )));
        }
        Ok(source)
    }
}

/// The instances of an image set.
struct Instances {
    dicomweb: Arc<dyn DicomWeb>,
    datastore_id: DatastoreId,
    image_set_id: ImageSetId,
    study: Uid,
}

#[async_trait]
impl Source for Instances {
    /// Series and SOP Instance UID.
    type Item = (Uid, Uid);

    async fn open(&self, (series, sop): &Self::Item) -> Result<Body> {
        let request = RetrieveInstanceRequest {
            datastore_id: self.datastore_id.clone(),
            study_instance_uid: self.study.clone(),
            series_instance_uid: series.clone(),
            sop_instance_uid: sop.clone(),
            image_set_id: Some(self.image_set_id.clone()),
            transfer_syntax: TransferSyntaxChoice::Stored,
        };
        Ok(self.dicomweb.retrieve_instance(request).await?.instance)
    }
}
