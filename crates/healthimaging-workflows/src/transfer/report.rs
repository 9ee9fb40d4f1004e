//! What a transfer reports at its end.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value, json};

use healthimaging::model::ImageSetsMetadataSummary;
use healthimaging::{ImageSetId, Result};

use super::{Selected, outcomes};
use crate::work::{ItemResult, Journal};

/// Image sets that are listed.
const LISTED: usize = 20;

/// Versions before the latest one, which are not transferred.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(inline)]
pub struct OlderVersions {
    /// How many.
    pub versions: u64,
    /// Of so many image sets.
    pub image_sets: usize,
    /// The first of those.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub first_image_sets: Vec<ImageSetId>,
}

impl OlderVersions {
    /// Counts those of image sets.
    pub(super) fn of(sets: &[ImageSetsMetadataSummary]) -> Self {
        let mut older = Self::default();
        for set in sets {
            let before = u64::from(set.version.unwrap_or(1).saturating_sub(1));
            older.versions += before;
            if before > 0 {
                older.image_sets += 1;
                if older.first_image_sets.len() < LISTED {
                    older.first_image_sets.push(set.image_set_id.clone());
                }
            }
        }
        older
    }
}

/// Counts the outcomes of all runs of the job.
pub(super) async fn report(
    journal: &dyn Journal,
    selected: Option<&Selected>,
) -> Result<Map<String, Value>> {
    let mut counts: BTreeMap<&str, u64> = BTreeMap::new();
    let mut differs_in: BTreeMap<String, u64> = BTreeMap::new();
    let mut reasons: BTreeMap<String, u64> = BTreeMap::new();
    let (mut bytes, mut non_primary) = (0, 0);
    outcomes(journal, |outcome| {
        let name = match outcome.result {
            ItemResult::Copied => "instances_transferred",
            ItemResult::Unchanged => "instances_there_before",
            ItemResult::HeldBack => "instances_held_back",
            _ => "instances_failed",
        };
        *counts.entry(name).or_default() += 1;
        let details = &outcome.details;
        if outcome.result == ItemResult::Copied {
            bytes += details.get("size_in_bytes").and_then(Value::as_u64).unwrap_or_default();
        }
        if outcome.result == ItemResult::HeldBack {
            let reason = details.get("reason").and_then(Value::as_str).unwrap_or("unknown");
            *reasons.entry(reason.to_owned()).or_default() += 1;
        }
        if details.get("is_primary") == Some(&Value::Bool(false)) {
            non_primary += 1;
        }
        for name in details.get("differs_in").and_then(Value::as_array).into_iter().flatten() {
            let name = name.as_str().unwrap_or_default().to_owned();
            *differs_in.entry(name).or_default() += 1;
        }
    })
    .await?;
    let mut report = Map::new();
    for name in [
        "instances_transferred",
        "instances_there_before",
        "instances_held_back",
        "instances_failed",
    ] {
        report.insert(name.to_owned(), json!(counts.get(name).copied().unwrap_or_default()));
    }
    if !reasons.is_empty() {
        report.insert("held_back_reasons".to_owned(), json!(reasons));
    }
    report.insert("bytes_transferred".to_owned(), json!(bytes));
    report.insert("instances_not_primary_at_the_destination".to_owned(), json!(non_primary));
    report.insert("instances_that_differ_in".to_owned(), json!(differs_in));
    if let Some(selected) = selected {
        let older = OlderVersions::of(&selected.image_sets);
        report.insert("image_sets".to_owned(), json!(selected.image_sets.len()));
        report.insert("non_primary_image_sets_left_out".to_owned(), json!(selected.non_primary));
        report.insert("older_versions_left_out".to_owned(), json!(older));
    }
    Ok(report)
}
