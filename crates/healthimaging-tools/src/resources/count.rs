//! Counts the image sets of a data store.

use futures::{StreamExt as _, TryStreamExt as _};
use serde_json::{Map, Value};

use healthimaging::model::ImageSetCount;
use healthimaging::{DatastoreId, HealthImaging, Result};
use healthimaging_workflows::find::{self, Criteria};

/// Image sets that are listed if the back end cannot count: ten pages of AWS, within a second.
const MOST_COUNTED: usize = 500;

/// Returns exact counts if the back end has them; otherwise those of the first pages, as "at least".
pub(crate) async fn of(
    service: &dyn HealthImaging,
    datastore_id: &DatastoreId,
) -> Result<Map<String, Value>> {
    if let Some(counted) = service.count_image_sets(datastore_id.clone()).await? {
        return Ok(shown(counted, true));
    }
    let everything = Criteria::default();
    let all = find::candidates(service, datastore_id, &everything, usize::MAX);
    let mut first = std::pin::pin!(all.take(MOST_COUNTED + 1));
    let mut counted = ImageSetCount { image_sets: 0, primary_image_sets: 0 };
    while let Some(summary) = first.try_next().await? {
        if counted.image_sets == MOST_COUNTED as u64 {
            return Ok(shown(counted, false));
        }
        counted.image_sets += 1;
        counted.primary_image_sets += u64::from(find::is_primary(&summary));
    }
    Ok(shown(counted, true))
}

fn shown(counted: ImageSetCount, is_exact: bool) -> Map<String, Value> {
    let ImageSetCount { image_sets, primary_image_sets } = counted;
    let suffix = if is_exact { "" } else { "_at_least" };
    [("image_sets", image_sets), ("primary_image_sets", primary_image_sets)]
        .map(|(name, count)| (format!("{name}{suffix}"), Value::from(count)))
        .into_iter()
        .collect()
}
