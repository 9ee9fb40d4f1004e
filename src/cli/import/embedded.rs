//! `import` into the embedded store.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use healthimaging::model::{GetDicomImportJobRequest, JobStatus};
use healthimaging::{DatastoreId, JobId};
use healthimaging_audit::Recorded;
use healthimaging_local::{ImportProgress, ImportSummary, LocalStore, RefusedFile};
use healthimaging_workflows::imports;
use indicatif::ProgressBar;
use serde_json::{Map, json};

use super::Input;
use super::report::{self, Counts, File};
use crate::backend::Backend;
use crate::cli::datastore::find_or_create;
use crate::outcome::Outcome;
use crate::stop::stop_signal;
use crate::terminal::{self, counted, megabytes, progress_bar};

pub(super) async fn run(
    backend: &Backend,
    store: &Arc<LocalStore>,
    named: Option<&str>,
    input: &Input,
) -> Result<Outcome> {
    let (datastore, name) = find_or_create(backend, named).await?;
    let others = note_others(backend, &datastore).await?;
    let started = Instant::now();
    let bar = progress_bar("{bar:30} {pos}/{len} files {msg}");
    let shown = |progress| show(&bar, progress);
    let running = async {
        match input {
            Input::Paths(paths) => store.import_paths(&datastore, paths, shown).await,
            Input::Prefix(prefix) => store.import_objects(&datastore, prefix, shown).await,
        }
    };
    let running = async { running.await.map_err(Into::into) };
    let made = |summary: &ImportSummary| {
        let progress = &summary.progress;
        Recorded::default()
            .with_ids("datastore_id", [datastore.as_str()])
            .with_ids("job_id", [summary.job_id.as_str()])
            .with_count("files_done", progress.files_done)
            .with_count("files_failed", progress.refused)
            .with_count("image_sets", progress.image_sets)
    };
    let (arguments, sources) = (Map::new(), input.names());
    let running = backend.recorded("import", &arguments, &sources, running, made);
    let ended = tokio::select! {
        ended = running => ended,
        stopped = stop_signal() => {
            bar.finish_and_clear();
            stopped?;
            bail!(
                "stopped; imported files stay. To continue, run the same import again, or let `serve` or `stdio` use the store"
            );
        }
    };
    bar.finish_and_clear();
    let summary = ended?;
    note_rest(backend, &datastore, others).await?;
    if summary.is_continued {
        terminal::note(&format!(
            "an earlier import of the same paths ({}) had not ended: this command completed it or waited for it, and no file \
             was imported twice",
            summary.job_id
        ));
    }
    let counts = print(&summary, &datastore, &name);
    let non_primary = non_primary(backend, &summary).await;
    print_rate(summary.progress.bytes_done, started.elapsed());
    let outcome = match summary.status {
        JobStatus::Completed => counts.outcome(),
        status => bail!("the import is {status}: {}", summary.message.unwrap_or_default()),
    };
    terminal::document(|| {
        let more = json!({
            "datastore_id": datastore,
            "datastore_name": name,
            "job_id": summary.job_id,
            "continued": summary.is_continued,
            "image_sets": summary.progress.image_sets,
            "non_primary_image_sets": non_primary,
            "bytes": summary.progress.bytes_done,
            "output_s3_uri": summary.output_s3_uri,
            "failed": report::listed(files(&summary.refused.failed)),
            "skipped": report::listed(files(&summary.refused.skipped)),
        });
        counts.document(outcome, more)
    })?;
    Ok(outcome)
}

/// Says which imports continue beside this one, and returns them.
async fn note_others(backend: &Backend, datastore: &DatastoreId) -> Result<Vec<JobId>> {
    let jobs = imports::not_ended(&*backend.service, datastore).await?;
    if !jobs.is_empty() {
        let named: Vec<&str> = jobs.iter().map(JobId::as_str).collect();
        terminal::note(&format!(
            "earlier imports into this data store have not ended ({}): they continue now, and whenever the store is \
             used. If these are the same paths, no second import is started",
            named.join(", ")
        ));
    }
    Ok(jobs)
}

/// Says which of the imports that continued beside this one have failed since, or have not ended yet.
async fn note_rest(backend: &Backend, datastore: &DatastoreId, jobs: Vec<JobId>) -> Result<()> {
    for job_id in jobs {
        let request = GetDicomImportJobRequest { datastore_id: datastore.clone(), job_id };
        let job = backend.service.get_dicom_import_job(request).await?.job_properties;
        let state = match job.job_status {
            JobStatus::Completed => continue,
            JobStatus::Failed => format!("has failed: {}", job.message.unwrap_or_default()),
            _ => "has not ended: it continues whenever the store is used".to_owned(),
        };
        terminal::note(&format!("the earlier import {} {state}", job.job_id));
    }
    Ok(())
}

/// Returns how many of the image sets are not primary, and says so: other commands leave them out. `None` if the outcome
/// files cannot be read; the import is complete all the same.
async fn non_primary(backend: &Backend, summary: &ImportSummary) -> Option<usize> {
    if summary.status != JobStatus::Completed {
        return None;
    }
    let objects = &backend.ledger.tools().objects;
    let found = match imports::counts(objects, &summary.output_s3_uri).await {
        Ok(counts) => counts.non_primary_image_sets,
        Err(error) => {
            terminal::note(&format!(
                "how many image sets are not primary could not be read: {}",
                error.message()
            ));
            return None;
        }
    };
    if found > 0 {
        terminal::note(&format!(
            "{} not primary, which export and transfer leave out unless --include-non-primary is given; compare_image_sets says \
             why",
            if found == 1 { "1 of them is".to_owned() } else { format!("{found} of them are") },
        ));
    }
    Some(found)
}

fn show(bar: &ProgressBar, progress: ImportProgress) {
    if let Some(total) = progress.files_total {
        bar.set_length(total);
    }
    bar.set_position(progress.files_done);
    bar.set_message(format!(
        "{}, {}",
        megabytes(progress.bytes_done),
        counted(progress.image_sets, "image set")
    ));
}

fn files(refused: &[RefusedFile]) -> impl Iterator<Item = File<'_>> {
    refused.iter().map(|file| File { key: &file.key, message: &file.message })
}

fn print(summary: &ImportSummary, datastore: &DatastoreId, name: &str) -> Counts {
    let ImportProgress { files_done, image_sets, refused, warned, .. } = summary.progress;
    let skipped = summary.refused.skipped_count();
    let failed = refused.saturating_sub(skipped);
    report::list("failed", files(&summary.refused.failed), failed);
    report::list("skipped", files(&summary.refused.skipped), skipped);
    let counts = Counts {
        seen: files_done,
        imported: files_done.saturating_sub(refused),
        failed,
        skipped,
        kinds: summary
            .refused
            .skipped_kinds
            .iter()
            .map(|(kind, count)| (kind.noun(), *count))
            .collect(),
        warned,
    };
    report::count(&counts);
    terminal::note(&format!(
        "{} in data store {name} ({datastore}); the outcome of each file is in {}",
        counted(image_sets, "image set"),
        summary.output_s3_uri,
    ));
    counts
}

/// Prints how many bytes were imported, and how fast.
fn print_rate(bytes: u64, took: Duration) {
    let milliseconds = u64::try_from(took.as_millis()).unwrap_or(u64::MAX).max(1);
    terminal::note(&format!(
        "{} in {:.1} s, {}/s",
        megabytes(bytes),
        took.as_secs_f64(),
        megabytes(bytes.saturating_mul(1000) / milliseconds),
    ));
}
