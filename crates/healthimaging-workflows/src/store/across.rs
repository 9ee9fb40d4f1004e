//! From one data store into another: the service's copy stays within one.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use serde::Deserialize;

use healthimaging::model::{
    GetImageSetRequest, ImageSetProperties, ImageSetState, RetrieveInstanceRequest,
    TransferSyntaxChoice,
};
use healthimaging::{Body, DatastoreId, DicomWeb, Error, ImageSetId, Result, Uid, VersionId};

use super::{Source, Stored, Watch, nothing_to_store, store};
use crate::back_end::BackEnd;
use crate::content::{self, Content};

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
        let selection = selection.map(Copiable::parse).transpose()?;
        let source = self.source(back_end).await?;
        let content = content::read(&*back_end.service, &self.from, &self.image_set_id).await?;
        let chosen = match selection {
            None => everything(&content),
            Some(selection) => selection.choose(&content)?,
        };
        if chosen.is_empty() {
            return Err(nothing_to_store());
        }
        let study = Uid::try_from(content.study_instance_uid)?;
        let mut items = Vec::with_capacity(chosen.len());
        for (series, sop) in chosen {
            items.push((Uid::try_from(series)?, Uid::try_from(sop)?));
        }
        let instances = Instances {
            dicomweb: Arc::clone(&back_end.dicomweb),
            datastore_id: self.from.clone(),
            image_set_id: self.image_set_id.clone(),
            study,
        };
        let stored = store(&*back_end.dicomweb, &self.to, instances, items, watch).await?;
        let (done, failed) = (stored.stored.into_iter(), stored.failed.into_iter());
        let by_sop = Stored {
            stored: done.map(|((_, sop), told)| (sop.into(), told)).collect(),
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

fn everything(content: &Content) -> Vec<(String, String)> {
    let series = content.series.iter();
    series.flat_map(|(series, sops)| sops.iter().map(|sop| (series.clone(), sop.clone()))).collect()
}

/// `copiableAttributes`: the metadata document, with series and instances that are each `{}`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Copiable {
    #[serde(rename = "SchemaVersion")]
    _schema_version: Option<String>,
    #[serde(rename = "Study")]
    study: CopiableStudy,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CopiableStudy {
    #[serde(rename = "Series")]
    series: BTreeMap<String, CopiableSeries>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CopiableSeries {
    /// All, when absent.
    #[serde(rename = "Instances")]
    #[expect(clippy::zero_sized_map_values, reason = "in JSON it is a map")]
    instances: Option<BTreeMap<String, Nothing>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Nothing {}

impl Copiable {
    fn parse(text: &str) -> Result<Self> {
        serde_json::from_str(text).map_err(|error| {
            Error::validation(
                "copiableAttributes must be JSON that names series and instances, each {}, and no \
                 attributes: {\"SchemaVersion\":\"1.1\",\"Study\":{\"Series\":{UID:{\"Instances\":{UID:{}}}}}}",
            )
            .with_source(error)
        })
    }

    fn choose(&self, content: &Content) -> Result<Vec<(String, String)>> {
        let mut chosen = Vec::new();
        for (uid, wanted) in &self.study.series {
            let held = content.series.iter().find(|(held, _)| held == uid);
            let (_, held) = held.ok_or_else(missing)?;
            match &wanted.instances {
                None => chosen.extend(held.iter().map(|sop| (uid.clone(), sop.clone()))),
                Some(wanted) => {
                    for sop in wanted.keys() {
                        if !held.contains(sop) {
                            return Err(missing());
                        }
                        chosen.push((uid.clone(), sop.clone()));
                    }
                }
            }
        }
        Ok(chosen)
    }
}

fn missing() -> Error {
    Error::validation(
        "copiableAttributes names a series or an instance that the source does not hold",
    )
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
