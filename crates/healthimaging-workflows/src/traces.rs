//! What stays of erased image sets outside of the data store: records and manifests of export jobs, and the outcome files
//! of import jobs.

use std::collections::HashSet;
use std::path::PathBuf;
use std::pin::pin;

use futures::TryStreamExt as _;

use healthimaging::model::{GetDicomImportJobRequest, ListDicomImportJobsRequest};
use healthimaging::{ImageSetId, JobId, ObjectUri, Page, Result, sweep};

use crate::export;
use crate::ledger::{JobFilter, Ledger};
use crate::plan::Plan;
use crate::work::Work;

/// The outcome file of an import that names image sets.
const SUCCESS: &str = "SUCCESS/success.ndjson";
/// Longest outcome file that is read, in bytes.
const LONGEST: u64 = 64 << 20;
/// Import jobs whose outcome files are read, the newest first.
const READ: usize = 100;
/// Jobs that are named; the rest is counted.
const NAMED: usize = 20;
/// Jobs or outcomes of a page.
const PAGE: u32 = 100;

/// Names the jobs whose records and files hold identifiers of the image sets of a plan, by reading only: a line each kind.
///
/// Files that cannot be read are named as such. Nothing is erased: the files belong to whoever asked for them.
pub async fn of(ledger: &Ledger, plan: &Plan) -> Result<Vec<String>> {
    let ids: HashSet<&ImageSetId> = plan.image_sets.iter().map(|set| &set.image_set_id).collect();
    let exports = exports(ledger, plan, &ids).await?;
    let imports = imports(ledger, plan, &ids).await?;
    let mut lines = Vec::new();
    let mut tell = |what: &str, names: &[String]| {
        if names.is_empty() {
            return;
        }
        let more = match names.len().saturating_sub(NAMED) {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        let shown: Vec<&str> = names.iter().take(NAMED).map(String::as_str).collect();
        lines.push(format!("{what}: {}{more}.", shown.join(", ")));
    };
    tell("Not erased, files and manifests of export jobs, and the records of these jobs", &exports);
    tell(
        "Not erased, outcome files of import jobs, which name paths and image sets",
        &imports.naming,
    );
    tell("Outcome files of import jobs that could not be read", &imports.unread);
    if imports.older > 0 {
        lines.push(format!("Outcome files of {} older import jobs were not read.", imports.older));
    }
    Ok(lines)
}

/// Export jobs that wrote files of these image sets.
async fn exports(ledger: &Ledger, plan: &Plan, ids: &HashSet<&ImageSetId>) -> Result<Vec<String>> {
    let filter = JobFilter {
        datastore_id: Some(plan.datastore_id.clone()),
        tool: Some(export::TOOL.to_owned()),
        ..JobFilter::default()
    };
    let mut jobs = pin!(sweep(usize::MAX, |start| ledger.list(&filter, start, PAGE)));
    let mut named = Vec::new();
    while let Some(job) = jobs.try_next().await? {
        let mut outcomes =
            pin!(sweep(usize::MAX, |start| ledger.outcomes(&job.job_id, start, PAGE)));
        let mut holds = false;
        while let (false, Some(outcome)) = (holds, outcomes.try_next().await?) {
            holds = outcome.image_set_id.is_some_and(|id| ids.contains(&id));
        }
        if let (true, Work::Export(export)) = (holds, ledger.work(&job.job_id).await?) {
            named.push(format!("{} in {}", job.job_id, export.output_uri));
        }
    }
    Ok(named)
}

/// What outcome files of import jobs hold.
#[derive(Default)]
struct Imports {
    naming: Vec<String>,
    unread: Vec<String>,
    older: usize,
}

async fn imports(ledger: &Ledger, plan: &Plan, ids: &HashSet<&ImageSetId>) -> Result<Imports> {
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
        let output = service.get_dicom_import_job(request).await?.job_properties.output_s3_uri;
        let name = named(&job.job_id, &output);
        match text(ledger, &output).await {
            Ok(text) if ids.iter().any(|id| text.contains(id.as_str())) => {
                imports.naming.push(name);
            }
            Ok(_) => {}
            Err(error) => {
                tracing::debug!(%error, "outcomes of an import not read");
                imports.unread.push(name);
            }
        }
    }
    Ok(imports)
}

fn named(job_id: &JobId, output: &ObjectUri) -> String {
    format!("{job_id} in {output}")
}

/// The outcome file of a job. The folder was named to the job, or is the store's own.
async fn text(ledger: &Ledger, output: &ObjectUri) -> Result<String> {
    let folder = output.as_str().strip_prefix("file://").map(PathBuf::from);
    let folders: Vec<PathBuf> = folder.into_iter().collect();
    let place = ledger.tools().objects.allowing(&folders).place(output)?;
    let bytes = place.read(SUCCESS, LONGEST).await?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
