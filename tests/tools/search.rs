//! Searching.

use serde_json::json;

use crate::rig::Rig;

pub(crate) async fn everything_is_found_without_criteria(rig: Rig) {
    let datastore = rig.filled().await;
    let asked = json!({ "datastore_id": datastore });
    let found = rig.call("search_image_sets", asked).await;
    let sets = found["image_sets_metadata_summaries"].as_array().unwrap();
    assert_eq!(sets.len(), 8);
}
