//! Records and files outside of the data store that name erased image sets or their patients: of export jobs, of import
//! jobs, and of jobs that have not ended.

use std::collections::{BTreeSet, HashSet};
use std::pin::pin;

use futures::TryStreamExt as _;

use healthimaging::model::{GetDicomImportJobRequest, ListDicomImportJobsRequest};
use healthimaging::{Error, ErrorKind, ImageSetId, JobId, ObjectUri, Page, Result, sweep};

use crate::imports::{self, List};
use crate::ledger::{Job, JobFilter, Ledger};
use crate::plan::Plan;
use crate::work::Work;

/// The outcome files of an import that name image sets and files; warnings repeat what these hold.
const OUTCOMES: [List; 2] = [List::Success, List::Failure];
/// Import jobs whose outcome files are read, the newest first.
const READ: usize = 100;
/// Jobs that are named; the rest is counted.
const NAMED: usize = 20;
/// Jobs or outcomes of a page.
const PAGE: u32 = 100;

/// Names the jobs whose records and files hold identifiers of the image sets of a plan, in one line for each kind.
///
/// Files that cannot be read are named as such. Nothing is erased: the files belong to the owner of their folder.
pub async fn of(ledger: &Ledger, plan: &Plan) -> Result<Vec<String>> {
    Ok(found(ledger, plan).await?.lines(str::to_owned))
}

/// Finds the jobs whose records and files hold identifiers of the image sets of a plan.
pub async fn found(ledger: &Ledger, plan: &Plan) -> Result<Traces> {
    let identifiers = Identifiers::of(plan);
    let jobs = jobs(ledger, plan, &identifiers).await?;
    let imports = imports_naming(ledger, plan, &identifiers).await?;
    Ok(Traces {
        older: imports.older,
        kinds: [
            (
                "Not erased, files and manifests of export jobs, and the records of these jobs",
                jobs.exports,
            ),
            ("Not erased, records of jobs that have not ended", jobs.changes),
            (
                "Not erased, imported files, and the outcome files of import jobs, which name paths and image sets",
                imports.naming,
            ),
            ("Outcome files of import jobs that could not be read", imports.unread),
        ],
    })
}

/// A job, and the places of its files.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Trace {
    job: String,
    /// Each with the word before it.
    places: Vec<(&'static str, String)>,
}

/// Jobs whose records and files hold identifiers of image sets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Traces {
    kinds: [(&'static str, Vec<Trace>); 4],
    older: usize,
}

impl Trace {
    fn of<const N: usize>(job: &JobId, places: [(&'static str, String); N]) -> Self {
        Self { job: job.to_string(), places: places.into() }
    }
}

impl Traces {
    /// Names the jobs, in one line for each kind; the places of files are shown as `shown` returns them.
    pub fn lines(&self, shown: impl Fn(&str) -> String) -> Vec<String> {
        let name_of = |Trace { job, places }: &Trace| {
            let places = places.iter().map(|(word, place)| format!(" {word} {}", shown(place)));
            job.clone() + &places.collect::<String>()
        };
        let kinds = self.kinds.iter().filter(|(_, traces)| !traces.is_empty());
        let lines = kinds.map(|(what, traces)| {
            let more = match traces.len().saturating_sub(NAMED) {
                0 => String::new(),
                more => format!(" and {more} more"),
            };
            let names: Vec<String> = traces.iter().take(NAMED).map(name_of).collect();
            format!("{what}: {}{more}.", names.join(", "))
        });
        let mut lines: Vec<String> = lines.collect();
        if self.older > 0 {
            lines.push(format!("Outcome files of {} older import jobs were not read.", self.older));
        }
        lines
    }
}

/// What image sets, and the patients and studies in them, are known by.
struct Identifiers<'a> {
    image_sets: HashSet<&'a str>,
    patients_and_studies: BTreeSet<&'a str>,
}

impl<'a> Identifiers<'a> {
    fn of(plan: &'a Plan) -> Self {
        let of_patients = plan.patient_ids.iter().chain(&plan.study_instance_uids);
        Self {
            image_sets: plan.image_sets.iter().map(|set| set.image_set_id.as_str()).collect(),
            patients_and_studies: of_patients
                .map(|text| text.trim())
                .filter(|text| !text.is_empty())
                .collect(),
        }
    }

    fn has(&self, id: &ImageSetId) -> bool {
        self.image_sets.contains(id.as_str())
    }

    /// Whether a text holds one of the identifiers as a word of its own.
    fn are_in(&self, text: &str) -> bool {
        let is_word = |c: char| c.is_alphanumeric();
        let holds = |name: &str| {
            text.match_indices(name).any(|(at, _)| {
                let before = text.get(..at).and_then(|before| before.chars().next_back());
                let after = text.get(at + name.len()..).and_then(|after| after.chars().next());
                !before.is_some_and(is_word) && !after.is_some_and(is_word)
            })
        };
        text.split(|c| !is_word(c)).any(|word| self.image_sets.contains(word))
            || self.patients_and_studies.iter().any(|name| holds(name))
    }
}

/// Jobs of the ledger that name the image sets or their patients.
#[derive(Default)]
struct Jobs {
    exports: Vec<Trace>,
    changes: Vec<Trace>,
}

async fn jobs(ledger: &Ledger, plan: &Plan, identifiers: &Identifiers<'_>) -> Result<Jobs> {
    let filter =
        JobFilter { datastore_id: Some(plan.datastore_id.clone()), ..JobFilter::default() };
    let mut found = pin!(sweep(usize::MAX, |start| ledger.list(&filter, start, PAGE)));
    let mut jobs = Jobs::default();
    while let Some(job) = found.try_next().await? {
        let work = ledger.work(&job.job_id).await?;
        let record = serde_json::to_string(&work)
            .map_err(|cause| Error::internal("the job could not be written as JSON", cause))?;
        match work {
            Work::Export(export)
                if identifiers.are_in(&record) || exported(ledger, &job, identifiers).await? =>
            {
                let place = export.output_uri.to_string();
                jobs.exports.push(Trace::of(&job.job_id, [("in", place)]));
            }
            Work::Transfer(transfer)
                if identifiers.are_in(&record) || exported(ledger, &job, identifiers).await? =>
            {
                let to = transfer.to.datastore_id;
                jobs.exports.push(Trace {
                    job: format!("{} into data store {to}", job.job_id),
                    places: Vec::new(),
                });
            }
            // An ended one keeps ids of image sets only.
            Work::Change(_) if !job.job_status.has_ended() && identifiers.are_in(&record) => {
                jobs.changes.push(Trace::of(&job.job_id, []));
            }
            Work::Export(_) | Work::Change(_) | Work::Transfer(_) => {}
        }
    }
    Ok(jobs)
}

/// Whether an export job wrote files of the image sets.
async fn exported(ledger: &Ledger, job: &Job, identifiers: &Identifiers<'_>) -> Result<bool> {
    let mut outcomes = pin!(sweep(usize::MAX, |start| ledger.outcomes(&job.job_id, start, PAGE)));
    while let Some(outcome) = outcomes.try_next().await? {
        if outcome.image_set_id.is_some_and(|id| identifiers.has(&id)) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Import jobs by what their outcome files hold.
#[derive(Default)]
struct Imports {
    naming: Vec<Trace>,
    unread: Vec<Trace>,
    older: usize,
}

async fn imports_naming(
    ledger: &Ledger,
    plan: &Plan,
    identifiers: &Identifiers<'_>,
) -> Result<Imports> {
    let service = &*ledger.tools().back_end.service;
    let pages = sweep(usize::MAX, |next_token| async {
        let request = ListDicomImportJobsRequest {
            datastore_id: plan.datastore_id.clone(),
            job_status: None,
            next_token,
            max_results: None,
        };
        let page = service.list_dicom_import_jobs(request).await?;
        Ok(Page { items: page.job_summaries, next_token: page.next_token })
    });
    let mut jobs: Vec<_> = pages.try_collect().await?;
    jobs.sort_by_key(|job| std::cmp::Reverse(job.submitted_at));
    let mut imports = Imports { older: jobs.len().saturating_sub(READ), ..Imports::default() };
    for job in jobs.into_iter().take(READ) {
        let request = GetDicomImportJobRequest {
            datastore_id: plan.datastore_id.clone(),
            job_id: job.job_id.clone(),
        };
        let job = service.get_dicom_import_job(request).await?.job_properties;
        let places = [("of", job.input_s3_uri.to_string()), ("in", job.output_s3_uri.to_string())];
        let name = Trace::of(&job.job_id, places);
        match are_named(ledger, &job.output_s3_uri, identifiers).await {
            Ok(true) => imports.naming.push(name),
            Ok(false) => {}
            Err(error) => {
                tracing::debug!(%error, "outcomes of an import not read");
                imports.unread.push(name);
            }
        }
    }
    Ok(imports)
}

/// Whether the outcome files of a job hold the identifiers.
async fn are_named(
    ledger: &Ledger,
    output: &ObjectUri,
    identifiers: &Identifiers<'_>,
) -> Result<bool> {
    let place = imports::folder(&ledger.tools().objects, output)?;
    let mut missing = None;
    let mut is_read = false;
    for list in OUTCOMES {
        match place.read(list.file(), imports::LONGEST).await {
            Ok(bytes) if identifiers.are_in(&String::from_utf8_lossy(&bytes)) => return Ok(true),
            Ok(_) => is_read = true,
            // A job without failures, or without successes, may have no file of them.
            Err(error) if error.kind() == ErrorKind::NotFound => missing = Some(error),
            Err(error) => return Err(error),
        }
    }
    match missing {
        Some(error) if !is_read => Err(error),
        _ => Ok(false),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identifier_is_found_as_a_whole_word_only() {
        let identifiers = Identifiers {
            image_sets: HashSet::from(["0123456789abcdef0123456789abcdef"]),
            patients_and_studies: BTreeSet::from(["P-12", "1.2.840.1"]),
        };
        for named in [
            r#"{"importResponse":{"imageSetId":"0123456789abcdef0123456789abcdef"}}"#,
            r#"{"inputFile":"ward/P-12/1.dcm"}"#,
            r#"{"inputFile":"P-12"}"#,
            r#"{"exception":{"message":"study 1.2.840.1 is locked"}}"#,
        ] {
            assert!(identifiers.are_in(named), "{named}");
        }
        for other in [
            r#"{"imageSetId":"0123456789abcdef0123456789abcdef0"}"#,
            r#"{"inputFile":"ward/P-123/1.dcm"}"#,
            r#"{"inputFile":"ward/XP-12/1.dcm"}"#,
            r#"{"inputFile":"ward/11.2.840.12.dcm"}"#,
        ] {
            assert!(!identifiers.are_in(other), "{other}");
        }
    }
}
