//! The series that image sets add up to: from their metadata, since summaries do not describe them.

use std::collections::BTreeMap;

use futures::{StreamExt as _, TryStreamExt as _, stream};
use schemars::JsonSchema;
use serde::Serialize;

use healthimaging::model::{GetImageSetMetadataRequest, ImageSetsMetadataSummary};
use healthimaging::{DatastoreId, ErrorKind, HealthImaging, ImageSetId, Result};
use healthimaging_dicom::{InstanceSummary, Series as SeriesContents};

use crate::document::{self, Contents};
use crate::find::{Text, is_primary, mentions};

/// A series.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(inline)]
pub struct Series {
    /// Series Instance UID (0020,000E).
    pub series_instance_uid: String,
    /// Study Instance UID (0020,000D).
    pub study_instance_uid: String,
    /// Series Number (0020,0011).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub series_number: Option<i64>,
    /// Modality (0008,0060).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub modality: Option<String>,
    /// Series Description (0008,103E).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub series_description: Option<String>,
    /// Body Part Examined (0018,0015).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub body_part: Option<String>,
    /// How many instances it has in its primary image set, or else in the other one that holds most.
    pub instances: usize,
    /// How many frames those have.
    pub frames: usize,
    /// The image set that holds it in the primary hierarchy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub primary_image_set_id: Option<ImageSetId>,
    /// Other image sets that hold it or a part of it.
    pub other_image_set_ids: Vec<ImageSetId>,
    /// Attributes of the series that have the text of the search.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub mentioned_in: Vec<String>,
}

/// The series that image sets hold, by study and series number; their documents are read.
///
/// Image sets that are deleted during the call are left out. Of each series, the attributes that have `text` are named.
pub async fn series(
    service: &dyn HealthImaging,
    datastore_id: &DatastoreId,
    image_sets: &[ImageSetsMetadataSummary],
    text: Option<&Text>,
) -> Result<Vec<Series>> {
    let ids: Vec<ImageSetId> = image_sets.iter().map(|set| set.image_set_id.clone()).collect();
    let reads = ids.into_iter().map(|id| contents(service, datastore_id, id));
    let documents: Vec<_> =
        stream::iter(reads).buffered(document::FETCHED_AT_ONCE).try_collect().await?;
    let read = image_sets.iter().zip(documents);
    let mut all: BTreeMap<(String, String), Series> = BTreeMap::new();
    for (set, contents) in read {
        let Some(contents) = contents else { continue };
        let study = contents.study_instance_uid().unwrap_or_default();
        for (uid, held) in &contents.series {
            let mut found = Series::of(study, uid, held, set);
            if let Some(text) = text {
                found.mentioned_in = mentions(&held.attributes, text);
            }
            match all.get_mut(&(study.to_owned(), uid.clone())) {
                Some(known) => known.join(found),
                None => {
                    all.insert((study.to_owned(), uid.clone()), found);
                }
            }
        }
    }
    let mut all: Vec<Series> = all.into_values().collect();
    // They are in order of UIDs already, and a stable sort keeps them so.
    all.sort_by(|a, b| {
        (&a.study_instance_uid, a.series_number).cmp(&(&b.study_instance_uid, b.series_number))
    });
    Ok(all)
}

async fn contents(
    service: &dyn HealthImaging,
    datastore_id: &DatastoreId,
    image_set_id: ImageSetId,
) -> Result<Option<Contents>> {
    let request = GetImageSetMetadataRequest {
        datastore_id: datastore_id.clone(),
        image_set_id,
        version_id: None,
    };
    match document::contents(service, request).await {
        Ok(contents) => Ok(Some(contents)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

impl Series {
    /// A series as one image set holds it.
    fn of(
        study: &str,
        uid: &str,
        held: &SeriesContents<InstanceSummary>,
        set: &ImageSetsMetadataSummary,
    ) -> Self {
        let text = |keyword| held.text(keyword).map(str::to_owned);
        let id = set.image_set_id.clone();
        let (primary, others) =
            if is_primary(set) { (Some(id), Vec::new()) } else { (None, vec![id]) };
        Self {
            series_instance_uid: uid.to_owned(),
            study_instance_uid: study.to_owned(),
            series_number: held.text("SeriesNumber").and_then(|text| text.parse().ok()),
            modality: text("Modality"),
            series_description: text("SeriesDescription"),
            body_part: text("BodyPartExamined"),
            instances: held.instances.len(),
            frames: held.instances.values().map(InstanceSummary::frame_count).sum(),
            primary_image_set_id: primary,
            other_image_set_ids: others,
            mentioned_in: Vec::new(),
        }
    }

    /// Adds what another image set holds of the same series; the primary one describes it.
    fn join(&mut self, mut other: Self) {
        let rank = |series: &Self| (series.primary_image_set_id.is_some(), series.instances);
        if rank(&other) > rank(self) {
            std::mem::swap(self, &mut other);
        }
        self.other_image_set_ids.extend(other.primary_image_set_id);
        self.other_image_set_ids.extend(other.other_image_set_ids);
    }
}
