//! Comparison of two data stores, series by series.

use std::collections::{BTreeMap, BTreeSet};

use futures::{StreamExt as _, TryStreamExt as _, stream};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use healthimaging::model::ImageSetsMetadataSummary;
use healthimaging::{DatastoreId, Error, ErrorKind, HealthImaging, ImageSetId, Result};

use super::{Differences, Version, differences};
use crate::find::{self, Criteria, Found, MOST_EXAMINED, is_primary};

/// Series that are compared at once; each holds two documents.
const AT_ONCE: usize = 4;

/// Attributes that are named for each series.
const NAMED: usize = 10;

/// A series in a data store: Study and Series Instance UID.
pub type Key = (String, String);

/// What differs between two data stores.
#[derive(Debug, Clone, PartialEq)]
pub struct DatastoreComparison {
    /// Image sets that were examined, in the old and in the new one.
    pub image_sets_examined: [usize; 2],
    /// Series in both.
    pub series_in_both: usize,
    /// Series only in the old one.
    pub series_removed: usize,
    /// Series only in the new one.
    pub series_added: usize,
    /// Series in both whose metadata and frames were compared now.
    pub series_compared: usize,
    /// The series that differ, of those that were visited now.
    pub series: Vec<SeriesDifference>,
    /// The last series that was visited, unless it is the last of all.
    pub next: Option<Key>,
}

/// In which data store a series is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub enum SeriesState {
    /// Only in the old one.
    Removed,
    /// Only in the new one.
    Added,
    /// In both, and different.
    Different,
}

/// A series that differs.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[schemars(inline)]
pub struct SeriesDifference {
    /// Study Instance UID (0020,000D).
    pub study_instance_uid: String,
    /// Series Instance UID (0020,000E).
    pub series_instance_uid: String,
    /// Where it is.
    pub state: SeriesState,
    /// The image set of the old data store.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image_set_id: Option<ImageSetId>,
    /// The image set of the new data store.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub other_image_set_id: Option<ImageSetId>,
    /// The first attributes that differ.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub attributes: BTreeSet<String>,
    /// Counts of instances and frames.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub counts: Option<Differences>,
}

/// Compares the series of two data stores that match the criteria: where each is, and of `most` in both, their metadata
/// and frames. `after` continues after a series.
///
/// A series is compared by its primary image set or, if it has none, by the newest.
///
/// # Errors
/// `Validation` if more image sets match than are examined, `NotFound` if there are criteria and none matches.
pub async fn datastores(
    service: &dyn HealthImaging,
    [old, new]: [&DatastoreId; 2],
    criteria: &Criteria,
    after: Option<&Key>,
    most: usize,
) -> Result<DatastoreComparison> {
    let of_old = find::all(service, old, criteria, MOST_EXAMINED).await?;
    let of_new = find::all(service, new, criteria, MOST_EXAMINED).await?;
    let image_sets_examined = [of_old.examined, of_new.examined];
    if !criteria.is_empty() && of_old.image_sets.is_empty() && of_new.image_sets.is_empty() {
        return Err(Error::new(
            ErrorKind::NotFound,
            "neither data store has an image set that matches, so there is nothing to compare",
        ));
    }
    let (of_old, of_new) = (by_series(of_old), by_series(of_new));
    let keys: BTreeSet<&Key> = of_old.keys().chain(of_new.keys()).collect();
    let in_both = |key: &&&Key| of_old.contains_key(**key) && of_new.contains_key(**key);
    let series_in_both = keys.iter().filter(in_both).count();
    let mut comparison = DatastoreComparison {
        image_sets_examined,
        series_in_both,
        series_removed: of_old.len() - series_in_both,
        series_added: of_new.len() - series_in_both,
        series_compared: 0,
        series: Vec::new(),
        next: None,
    };
    let rest: Vec<&Key> =
        keys.iter().copied().filter(|key| after.is_none_or(|after| *key > after)).collect();
    let visited: Vec<&Key> = rest.iter().copied().take(most).collect();
    if visited.len() < rest.len() {
        comparison.next = visited.last().map(|key| (*key).clone());
    }
    comparison.series_compared = visited.iter().filter(in_both).count();
    let compared = visited.into_iter().map(|key| {
        let sides = [of_old.get(key).cloned(), of_new.get(key).cloned()];
        compare(service, [old, new], key.clone(), sides)
    });
    let compared = stream::iter(compared.collect::<Vec<_>>()).buffered(AT_ONCE);
    comparison.series = compared.try_filter_map(async |found| Ok(found)).try_collect().await?;
    Ok(comparison)
}

/// The image set that represents each series.
fn by_series(found: Found) -> BTreeMap<Key, ImageSetId> {
    let mut series: BTreeMap<Key, (bool, ImageSetId)> = BTreeMap::new();
    // Oldest first, so that a newer one replaces an older one.
    for set in found.image_sets {
        let primary = is_primary(&set);
        let key = key_of(&set);
        if series.get(&key).is_none_or(|(known, _)| primary || !known) {
            series.insert(key, (primary, set.image_set_id));
        }
    }
    series.into_iter().map(|(key, (_, id))| (key, id)).collect()
}

fn key_of(set: &ImageSetsMetadataSummary) -> Key {
    let tags = set.dicom_tags.as_ref();
    let uid = |uid: Option<&String>| uid.cloned().unwrap_or_default();
    (
        uid(tags.and_then(|tags| tags.study_instance_uid.as_ref())),
        uid(tags.and_then(|tags| tags.series_instance_uid.as_ref())),
    )
}

async fn compare(
    service: &dyn HealthImaging,
    [old, new]: [&DatastoreId; 2],
    (study_instance_uid, series_instance_uid): Key,
    [image_set_id, other_image_set_id]: [Option<ImageSetId>; 2],
) -> Result<Option<SeriesDifference>> {
    let mut found = SeriesDifference {
        study_instance_uid,
        series_instance_uid,
        state: SeriesState::Different,
        image_set_id,
        other_image_set_id,
        attributes: BTreeSet::new(),
        counts: None,
    };
    let (one, other) = match (&found.image_set_id, &found.other_image_set_id) {
        (Some(one), Some(other)) => (one.clone(), other.clone()),
        (Some(_), None) => {
            return Ok(Some(SeriesDifference { state: SeriesState::Removed, ..found }));
        }
        _ => return Ok(Some(SeriesDifference { state: SeriesState::Added, ..found })),
    };
    let one = fetch(service, old, one).await?;
    let other = fetch(service, new, other).await?;
    let (one, other) = match (one, other) {
        (Some(one), Some(other)) => (one, other),
        // Deleted during the call.
        (Some(_), None) => {
            return Ok(Some(SeriesDifference { state: SeriesState::Removed, ..found }));
        }
        (None, Some(_)) => {
            return Ok(Some(SeriesDifference { state: SeriesState::Added, ..found }));
        }
        (None, None) => return Ok(None),
    };
    let differences = differences(&one, &other).await?;
    if differences.is_empty() {
        return Ok(None);
    }
    let names = differences.attributes.iter().map(|one| one.attribute.clone());
    found.attributes = names.collect::<BTreeSet<_>>().into_iter().take(NAMED).collect();
    found.counts = Some(differences);
    Ok(Some(found))
}

async fn fetch(
    service: &dyn HealthImaging,
    datastore_id: &DatastoreId,
    image_set_id: ImageSetId,
) -> Result<Option<Version>> {
    match Version::fetch(service, datastore_id.clone(), image_set_id, None).await {
        Ok(version) => Ok(Some(version)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}
