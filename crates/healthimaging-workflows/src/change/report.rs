//! The end of a change: what was done, and a fresh search that proves what is left.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use chrono::Utc;
use futures::{StreamExt as _, TryStreamExt as _, stream};
use serde_json::{Value, json};

use healthimaging::{Error, ImageSetId, Result};

use super::image_sets::{Halt, Step as Stepped};
use super::part::Without;
use super::run::Run;
use super::{Action, Change, Object, Step, Target};
use crate::document::FETCHED_AT_ONCE;
use crate::find;
use crate::work::{ItemOutcome, ItemResult};

/// Image sets that a report names; the rest is counted.
const NAMED: usize = 50;

/// What deleting in a data store does not reach.
const NOT_REACHED: [&str; 4] = [
    "files that were exported, and their manifests",
    "the files that were imported, and the outcome files of import jobs",
    "other data stores",
    "backups and copies of the store itself",
];

/// Counts of what was done to image sets of one kind.
#[derive(Default)]
struct Counts {
    image_sets: u64,
    studies: BTreeSet<usize>,
    series: usize,
    instances: usize,
    versions: u64,
}

impl Counts {
    fn add(&mut self, step: &Step, outcome: &ItemOutcome) {
        self.image_sets += 1;
        self.studies.insert(step.study);
        self.series += step.series.unwrap_or_default();
        self.instances += step.instances.unwrap_or_default();
        let versions = outcome.details.get("versions").and_then(Value::as_u64);
        self.versions += versions.unwrap_or_else(|| step.version_id.number());
    }
}

/// Counts of image sets that got new values.
#[derive(Default)]
struct Updated {
    image_sets: u64,
    studies: BTreeSet<usize>,
}

impl Updated {
    fn add(&mut self, change: &Change, outcome: &ItemOutcome) {
        self.image_sets += 1;
        let Some(id) = &outcome.image_set_id else {
            return;
        };
        let of_set = |step: &&Step| match &step.action {
            Action::UpdateStudy { others } => step.image_set_id == *id || others.contains(id),
            _ => step.image_set_id == *id,
        };
        self.studies.extend(change.steps.iter().find(of_set).map(|step| step.study));
    }
}

/// Report of a job that has ended, without patient data.
pub(super) async fn report(run: &Run<'_>) -> Result<Object> {
    let change = run.change;
    let by_id: HashMap<&str, &Step> =
        change.steps.iter().map(|step| (step.image_set_id.as_str(), step)).collect();
    let (mut by_result, mut gone) = (BTreeMap::<String, u64>::new(), HashSet::new());
    let [mut deleted, mut removed, mut erased, mut renewed, mut replaced] =
        <[Counts; 5]>::default();
    let mut updated = Updated::default();
    let mut outcomes = run.journal.outcomes();
    while let Some(outcome) = outcomes.try_next().await? {
        let name = serde_json::to_value(outcome.result)
            .map_err(|cause| Error::internal("an outcome has no name", cause))?;
        *by_result.entry(name.as_str().unwrap_or("unknown").to_owned()).or_default() += 1;
        match (outcome.result, by_id.get(outcome.item.as_str())) {
            (ItemResult::Updated, _) => updated.add(change, &outcome),
            (ItemResult::Removed, Some(step)) => removed.add(step, &outcome),
            (ItemResult::Deleted, Some(step)) => {
                gone.insert(step.image_set_id.clone());
                match step.action {
                    Action::Erase { .. } => erased.add(step, &outcome),
                    Action::Renew { .. } => renewed.add(step, &outcome),
                    Action::Replace { .. } => replaced.add(step, &outcome),
                    _ => deleted.add(step, &outcome),
                }
            }
            _ => {}
        }
    }
    let mut report = Object::new();
    report.insert("outcomes".to_owned(), json!(by_result));
    let mut count = |name: &str, is_planned: fn(&Action) -> bool, counts: Value| {
        if change.steps.iter().any(|step| is_planned(&step.action)) {
            report.insert(name.to_owned(), counts);
        }
    };
    count(
        "deleted",
        |action| matches!(action, Action::Delete),
        json!({
            "image_sets": deleted.image_sets, "studies": deleted.studies.len(),
            "series": deleted.series, "instances": deleted.instances,
            "versions": deleted.versions,
        }),
    );
    count(
        "removed_from_latest_version",
        |action| matches!(action, Action::Remove),
        json!({
            "image_sets": removed.image_sets, "series": removed.series,
            "instances": removed.instances,
        }),
    );
    count(
        "replaced_by_rest",
        |action| matches!(action, Action::Erase { .. }),
        json!({
            "image_sets": erased.image_sets, "series_erased": erased.series,
            "instances_erased": erased.instances, "versions_erased": erased.versions,
        }),
    );
    count(
        "replaced_by_latest_version",
        |action| matches!(action, Action::Renew { .. }),
        json!({ "image_sets": renewed.image_sets, "versions_erased": renewed.versions }),
    );
    count(
        "replaced_by_changed_copy",
        |action| matches!(action, Action::Replace { .. }),
        json!({ "image_sets": replaced.image_sets, "versions_erased": replaced.versions }),
    );
    count(
        "updated",
        |action| matches!(action, Action::Update | Action::UpdateStudy { .. }),
        json!({ "image_sets": updated.image_sets, "studies": updated.studies.len() }),
    );
    match remaining(run, &gone).await {
        Ok(left) => {
            let name = match &change.part {
                _ if sets_values(change) => "without_the_values",
                Some(_) => "still_holding",
                None => "remaining",
            };
            let named: Vec<&ImageSetId> = left.iter().take(NAMED).collect();
            report.insert(
                name.to_owned(),
                json!({ "image_sets": left.len(), "image_set_ids": named }),
            );
            report.insert("searched_at".to_owned(), json!(Utc::now()));
        }
        Err(Halt::Stopped) => {}
        Err(Halt::Failed(error)) => {
            let message = format!("the search for what remains failed: {}", error.message());
            report.insert("not_searched".to_owned(), json!(message));
        }
    }
    if !sets_values(change) {
        report.insert("not_reached".to_owned(), json!(NOT_REACHED));
    }
    Ok(report)
}

fn sets_values(change: &Change) -> bool {
    change.values.is_some() || change.series_values.is_some()
}

/// Image sets that the change was about and that still hold what was to go, or lack what was to be set.
async fn remaining(run: &Run<'_>, gone: &HashSet<ImageSetId>) -> Stepped<Vec<ImageSetId>> {
    let mut candidates = candidates(run).await?;
    let mut left: Vec<ImageSetId> = stream::iter(candidates.drain(..))
        .map(|id| Box::pin(is_left(run, gone, id)))
        .buffered(FETCHED_AT_ONCE)
        .try_filter_map(async |left| Ok(left))
        .try_collect()
        .await?;
    left.dedup();
    Ok(left)
}

async fn candidates(run: &Run<'_>) -> Stepped<Vec<ImageSetId>> {
    let mut ids: Vec<ImageSetId> = match &run.change.target {
        Target::Matching(criteria) => {
            let (service, datastore) = (run.sets.service, run.sets.datastore_id);
            let found = find::all(service, datastore, criteria, find::MOST_EXAMINED).await?;
            let found = found.image_sets.into_iter();
            found.map(|set| set.image_set_id).collect()
        }
        Target::ImageSet(id) => vec![id.clone()],
        Target::Forgotten {} => Vec::new(),
    };
    // What does not match any more may still be there, such as a set whose Patient ID was changed.
    let known: HashSet<ImageSetId> = ids.iter().cloned().collect();
    let steps = run.change.steps.iter().flat_map(|step| match &step.action {
        Action::UpdateStudy { others } => [&[step.image_set_id.clone()][..], others].concat(),
        _ => vec![step.image_set_id.clone()],
    });
    if sets_values(run.change) || run.change.part.is_some() {
        ids.extend(steps.filter(|id| !known.contains(id)));
    }
    Ok(ids)
}

/// The image set, when it is left.
async fn is_left(
    run: &Run<'_>,
    gone: &HashSet<ImageSetId>,
    id: ImageSetId,
) -> Stepped<Option<ImageSetId>> {
    let change = run.change;
    if change.part.is_none() && !sets_values(change) && !gone.contains(&id) {
        return Ok(Some(id));
    }
    // A search may lag behind a deletion.
    let Some(now) = run.sets.latest(&id).await? else {
        return Ok(None);
    };
    let is_left = if let Some(part) = &change.part {
        let contents = run.sets.contents(&id, &now.version_id).await?;
        part.taken_from(&contents) != Without::Same
    } else if let Some(values) = &change.values {
        !values.are_in(&run.sets.contents(&id, &now.version_id).await?)
    } else if let Some(values) = &change.series_values {
        let document = run.sets.fetched(&id, Some(&now.version_id)).await?.document;
        values.lacking(&document).await?.is_some()
    } else {
        true
    };
    Ok(is_left.then_some(id))
}
