//! What a certificate states: the outcome of a deletion, its search and its scan, as a document.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use chrono::Utc;
use healthimaging::{Error, ImageSetId, JobId};
use healthimaging_audit::Keys;
use serde_json::{Map, Value, json};

use super::identifiers::{Digests, Identifiers, ListedDigests, digest_of};
use super::make::Scanned;
use super::{Certificate, CertifiedImageSet, Certify, FORMAT, KIND, Verdict};
use crate::change::{Action, Change, Step, Target};
use crate::find::Criteria;
use crate::plan::counted;
use crate::work::{ItemOutcome, ItemResult};

/// Most image sets that a certificate lists; the rest is counted.
const LISTED: usize = 10_000;
/// Places that are named; the rest is counted.
const NAMED: usize = 100;

/// What became of each image set.
pub(super) fn image_sets(change: &Change, outcomes: &[ItemOutcome]) -> Vec<CertifiedImageSet> {
    let by_item: HashMap<&str, &ItemOutcome> =
        outcomes.iter().map(|outcome| (outcome.item.as_str(), outcome)).collect();
    let of_step = |step: &Step| {
        let outcome = by_item.get(step.image_set_id.as_str());
        let detail = |name: &str| outcome.and_then(|outcome| outcome.details.get(name));
        let what = match outcome.map(|outcome| outcome.result) {
            Some(ItemResult::Deleted) if matches!(step.action, Action::Renew { .. }) => {
                "older_versions_deleted"
            }
            Some(ItemResult::Deleted) => "deleted",
            Some(_) => "failed",
            None => "not_done",
        };
        let is_deleted = matches!(what, "deleted" | "older_versions_deleted");
        CertifiedImageSet {
            image_set_id: step.image_set_id.clone(),
            outcome: what.to_owned(),
            versions: is_deleted.then(|| {
                let known = detail("versions").and_then(Value::as_u64);
                known.unwrap_or_else(|| step.version_id.number())
            }),
            instances: step.instances,
            replaced_by: detail("replaced_by").and_then(Value::as_str).map(str::to_owned),
            error: outcome
                .and_then(|outcome| outcome.error.as_ref())
                .map(|error| error.kind.as_str().to_owned()),
        }
    };
    change.steps.iter().map(of_step).collect()
}

/// What selected the image sets: names of criteria with digests, also of what is not a value of a patient.
fn scope(change: &Change, certify: &Certify, keys: &Keys) -> Map<String, Value> {
    let mut scope = Map::new();
    scope.insert("tool".to_owned(), json!(certify.tool));
    scope.insert("datastore_id".to_owned(), json!(change.datastore_id));
    if let Target::Matching(criteria) = &change.target {
        for (name, value) in json!(criteria).as_object().into_iter().flatten() {
            let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            scope.insert(name.clone(), json!(keys.digest(&text)));
        }
    }
    scope
}

/// Whether an image set that is left is known by the patient or the study that was to be erased.
fn scope_is_held(criteria: &Criteria, scanned: &Scanned, keys: &Keys) -> bool {
    let patient = criteria.patient_id.as_ref().map(|id| digest_of(keys, "patientid", id.as_str()));
    let study = criteria
        .study_instance_uid
        .as_ref()
        .map(|uid| digest_of(keys, "studyinstanceuid", uid.as_str()));
    let wanted: Vec<[u8; 16]> = patient.into_iter().chain(study).collect();
    let held: BTreeSet<u32> = scanned.held.values().flatten().copied().collect();
    (0..)
        .zip(scanned.digests.all())
        .any(|(number, digest)| held.contains(&number) && wanted.contains(digest))
}

/// Whether image sets that are left have everything by which the erased ones are known, so that nothing could be searched for.
fn all_is_held(scanned: &Scanned) -> bool {
    let held: BTreeSet<u32> = scanned.held.values().flatten().copied().collect();
    let all = scanned.digests.all().count();
    all > 0 && held.len() >= all
}

/// The certificate, not signed yet.
pub(super) fn document(
    (change, certify): (&Change, &Certify),
    (keys, back_end): (&Keys, &str),
    job: &JobId,
    mut image_sets: Vec<CertifiedImageSet>,
    scanned: Option<&(Scanned, Identifiers)>,
    report: &Map<String, Value>,
    failed: Option<&Error>,
) -> Certificate {
    let search = search(report, failed);
    let not_done = image_sets.iter().filter(|set| matches!(&*set.outcome, "failed" | "not_done"));
    let not_done = not_done.count();
    let found = search.get("image_sets_found").and_then(Value::as_u64);
    let is_held = scanned.is_some_and(|(scanned, _)| {
        let is_of_scope = match &change.target {
            Target::Matching(criteria) => scope_is_held(criteria, scanned, keys),
            _ => false,
        };
        is_of_scope || all_is_held(scanned)
    });
    let has_traces = scanned.is_some_and(|(scanned, identifiers)| {
        !scanned.elsewhere.is_empty()
            || !scanned.packs_left.is_empty()
            || !scanned.unread.is_empty()
            || !identifiers.unread.is_empty()
    });
    let verdict = if not_done > 0 || found != Some(0) || failed.is_some() {
        Verdict::NotComplete
    } else if has_traces || is_held {
        Verdict::ErasedTracesRemain
    } else {
        Verdict::Erased
    };
    let counts = counts(change, &image_sets, scanned);
    let not_listed = image_sets.len().saturating_sub(LISTED);
    let erased = image_sets.len() - not_done;
    image_sets.truncate(LISTED);
    let (scan, identifiers) = if let Some((scanned, identifiers)) = scanned {
        let held = scanned.held.values().flatten().copied().collect();
        let scan = scan(scanned, identifiers, is_held);
        (scan, ListedDigests::from(&scanned.digests.without(&held)))
    } else {
        let why = "none: this server cannot examine the storage of the service; only the search shows what is left";
        let scan = [("not_scanned".to_owned(), json!(why))];
        (Map::from_iter(scan), ListedDigests::from(&Digests::default()))
    };
    let mut not_reached = certify.not_reached.clone();
    if let Some(Value::Array(general)) = report.get("not_reached") {
        not_reached.extend(general.iter().filter_map(Value::as_str).map(str::to_owned));
    }
    Certificate {
        kind: KIND.to_owned(),
        format: FORMAT,
        certificate_id: job.clone(),
        made_at: Utc::now(),
        software: concat!("healthimaging-mcp-server ", env!("CARGO_PKG_VERSION")).to_owned(),
        back_end: back_end.to_owned(),
        verdict,
        summary: summary(
            (verdict, has_traces),
            erased,
            not_done,
            scanned.map(|(scanned, _)| scanned),
        ),
        scope: scope(change, certify, keys),
        agreed_at: certify.agreed_at,
        consent: certify.consent.clone(),
        counts,
        image_sets,
        image_sets_not_listed: not_listed as u64,
        search,
        scan,
        not_reached,
        identifiers,
        public_key: String::new(),
        signature: String::new(),
    }
}

/// The search after the deletion, which the report of the job has.
fn search(report: &Map<String, Value>, failed: Option<&Error>) -> Map<String, Value> {
    let mut search = Map::new();
    if let Some(remaining) = report.get("remaining") {
        search.insert("at".to_owned(), report.get("searched_at").cloned().unwrap_or_default());
        let of = |name: &str| remaining.get(name).cloned().unwrap_or_default();
        search.insert("image_sets_found".to_owned(), of("image_sets"));
        search.insert("image_set_ids".to_owned(), of("image_set_ids"));
    }
    if let Some(message) = report.get("not_searched") {
        search.insert("not_searched".to_owned(), message.clone());
    }
    if let Some(error) = failed {
        let kind = error.kind().public_type().as_str();
        search.insert("job_failed".to_owned(), json!(kind));
    }
    search
}

fn counts(
    change: &Change,
    image_sets: &[CertifiedImageSet],
    scanned: Option<&(Scanned, Identifiers)>,
) -> BTreeMap<String, u64> {
    let is_deleted = |set: &&CertifiedImageSet| set.versions.is_some();
    let deleted: BTreeSet<&ImageSetId> =
        image_sets.iter().filter(is_deleted).map(|set| &set.image_set_id).collect();
    let steps = || change.steps.iter().filter(|step| deleted.contains(&step.image_set_id));
    let studies: BTreeSet<usize> = steps().map(|step| step.study).collect();
    let instances: Option<usize> = steps().map(|step| step.instances).sum();
    let versions = image_sets.iter().filter_map(|set| set.versions).sum();
    let mut counts = BTreeMap::from([
        ("image_sets_planned".to_owned(), image_sets.len() as u64),
        ("image_sets_erased".to_owned(), deleted.len() as u64),
        ("studies".to_owned(), studies.len() as u64),
        ("versions".to_owned(), versions),
    ]);
    counts.extend(instances.map(|instances| ("instances".to_owned(), instances as u64)));
    if let Some((_, identifiers)) = scanned {
        counts.insert("frames_and_large_values".to_owned(), identifiers.frame_count);
        counts.insert("packs".to_owned(), identifiers.packs.len() as u64);
    }
    counts
}

/// The scan as certificates show it.
fn scan(scanned: &Scanned, identifiers: &Identifiers, is_held: bool) -> Map<String, Value> {
    let named = |found: &BTreeSet<u32>, digests: &Digests| {
        let all: Vec<&[u8; 16]> = digests.all().collect();
        let digests = found.iter().filter_map(|number| all.get(*number as usize));
        digests.take(10).map(hex::encode).collect::<Vec<_>>()
    };
    let places = scanned.elsewhere.iter().take(NAMED).map(|(place, found)| {
        json!({ "place": place, "identifiers": found.len(), "digests": named(found, &scanned.digests) })
    });
    let held = scanned.held.iter().take(NAMED);
    let held = held.map(|(id, found)| json!({ "image_set_id": id, "identifiers": found.len() }));
    let Digests { uids, values, short_values, frames } = &scanned.digests;
    let document = json!({
        "started_at": scanned.started_at,
        "ended_at": Utc::now(),
        "examined": [
            "every row of the catalog, with documents unpacked",
            "the bytes of the catalog and of its write-ahead log",
            "every row of the ledger of jobs, except for this job, which is cleared when it ends",
            "the audit log", "outcome files of imports in the data folder", "certificates",
            "the list of stored frames, by length and checksum",
            "whether the packs that held the images are gone",
        ],
        "method": {
            "uids": uids.len(), "values_of_8_characters_or_more": values.len(),
            "of_these_searched_as_bytes": scanned.texts,
            "shorter_values_and_dates_by_attribute": short_values.len(),
            "frames_by_checksum_and_length": frames.len(),
            "not_searched": identifiers.not_listed,
        },
        "strings_and_files": scanned.pieces,
        "bytes": scanned.bytes,
        "found": places.collect::<Vec<_>>(),
        "found_places": scanned.elsewhere.len(),
        "packs_left": scanned.packs_left.len(),
        "could_not_be_read": scanned.unread,
        "image_sets_that_were_not_read_before": identifiers.unread,
        "clean_up_had_ended": scanned.is_settled,
        "also_identify_other_image_sets": scanned.held.values().flatten().collect::<BTreeSet<_>>().len(),
        "other_image_sets": held.collect::<Vec<_>>(),
        "other_image_sets_total": scanned.held.len(),
        "scope_still_names_image_sets": is_held,
    });
    match document {
        Value::Object(document) => document,
        _ => Map::new(),
    }
}

fn summary(
    (verdict, has_traces): (Verdict, bool),
    erased: usize,
    not_done: usize,
    scanned: Option<&Scanned>,
) -> String {
    let sets = |count| counted(count, "image set");
    let places = scanned.map_or(0, |scanned| scanned.elsewhere.len());
    match (verdict, scanned) {
        (Verdict::NotComplete, _) if not_done > 0 => {
            format!("not complete: {} erased, {not_done} not erased", sets(erased))
        }
        (Verdict::NotComplete, _) => {
            format!(
                "not complete: {} erased; what is left could not be ruled out by a search",
                sets(erased)
            )
        }
        (Verdict::ErasedTracesRemain, Some(_)) if !has_traces => {
            format!(
                "{} erased; the scan found nothing of them, but image sets that are left, such as those of another data store, are \
                 of the same patient or study: see other_image_sets",
                sets(erased)
            )
        }
        (Verdict::ErasedTracesRemain, _) => {
            let also = if places == 0 {
                String::new()
            } else {
                format!(" in {}", counted(places, "place"))
            };
            format!("{} erased; traces remain{also}: see the scan", sets(erased))
        }
        (Verdict::Erased, Some(_)) => {
            format!(
                "{} erased; neither a search nor a scan of the store found anything left",
                sets(erased)
            )
        }
        (Verdict::Erased, None) => {
            format!(
                "{} erased; a search finds nothing left; the storage was not scanned",
                sets(erased)
            )
        }
    }
}
