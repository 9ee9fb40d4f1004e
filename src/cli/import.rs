//! `import`: DICOM files, folders and objects of S3 into a data store; into the embedded store here, into AWS
//! in `store`.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use clap::Args;
use healthimaging::model::{DatastoreStatus, DatastoreSummary, GetDatastoreRequest, JobStatus};
use healthimaging::{DatastoreId, DatastoreName, ObjectUri};
use healthimaging_local::{ImportProgress, ImportSummary, RefusedFile};
use indicatif::ProgressBar;

use super::serve::stop_signal;
use super::{Outcome, store};
use crate::backend::Backend;
use crate::config::{BackendKind, Config};
use crate::terminal::{self, counted, megabytes, progress_bar};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// What to import.
    #[arg(required = true, value_name = "PATH", help = PATHS)]
    paths: Vec<PathBuf>,

    /// Data store to import into, by name or id; made when there is none of that name
    /// [default: the only one, or a new one named `default`]
    #[arg(long, value_name = "NAME", verbatim_doc_comment)]
    datastore: Option<String>,
}

const PATHS: &str =
    "Files, folders to be searched recursively, or one prefix such as s3://bucket/scans/";

/// Begins the places that are prefixes of a bucket.
const S3: &str = "s3://";

/// Files that are listed of those that failed, and of those that were skipped; the rest is counted.
const LISTED: usize = 20;

pub(super) async fn run(config: &Config, arguments: Arguments) -> Result<Outcome> {
    if config.read_only {
        bail!("--read-only forbids an import");
    }
    let input = Input::of(&arguments.paths)?;
    if config.backend == BackendKind::Aws && matches!(input, Input::Prefix(_)) {
        bail!(
            "AWS imports from S3 itself; call the tool start_dicom_import_job, which names the role \
             that may read the bucket"
        );
    }
    let backend = Backend::open(config).await?;
    let named = arguments.datastore.as_deref();
    let outcome = match (config.backend, &input) {
        (BackendKind::Aws, Input::Paths(paths)) => store::run(&backend, named, paths).await,
        _ => import(&backend, named, &input).await,
    };
    backend.close().await;
    outcome
}

/// What is imported.
enum Input {
    Paths(Vec<PathBuf>),
    /// All objects whose keys begin so.
    Prefix(ObjectUri),
}

impl Input {
    fn of(named: &[PathBuf]) -> Result<Self> {
        let is_object = |path: &&PathBuf| path.to_str().is_some_and(|path| path.starts_with(S3));
        match (named, named.iter().find(is_object)) {
            ([only], Some(_)) => {
                let uri = only.to_str().unwrap_or_default();
                Ok(Self::Prefix(ObjectUri::try_from(uri).context("the s3:// prefix is invalid")?))
            }
            (_, Some(_)) => bail!("an s3:// prefix is imported by itself; name nothing else"),
            (paths, None) => {
                let found = paths.iter().map(|path| {
                    let found = path.canonicalize();
                    found.with_context(|| format!("{} cannot be read", path.display()))
                });
                Ok(Self::Paths(found.collect::<Result<_>>()?))
            }
        }
    }
}

async fn import(backend: &Backend, named: Option<&str>, input: &Input) -> Result<Outcome> {
    let (datastore, name) = find_or_make(backend, named).await?;
    let started = Instant::now();
    let bar = progress_bar("{bar:30} {pos}/{len} files {msg}");
    let store = backend.store("import")?;
    let shown = |progress| show(&bar, progress);
    let running = async {
        match input {
            Input::Paths(paths) => store.import_paths(&datastore, paths, shown).await,
            Input::Prefix(prefix) => store.import_objects(&datastore, prefix, shown).await,
        }
    };
    let ended = tokio::select! {
        ended = running => ended,
        heard = stop_signal() => {
            bar.finish_and_clear();
            heard.context("signals cannot be heard")?;
            bail!("stopped; what is imported stays, and the rest goes on when the store is used next");
        }
    };
    bar.finish_and_clear();
    let summary = ended?;
    report(&summary, &datastore, &name, started.elapsed());
    let failed = summary.progress.refused.saturating_sub(summary.refused.skipped_count());
    match (summary.status, failed) {
        (JobStatus::Completed, 0) => Ok(Outcome::Done),
        (JobStatus::Completed, _) => Ok(Outcome::Partly),
        (status, _) => bail!("the import is {status}: {}", summary.message.unwrap_or_default()),
    }
}

/// The data store to import into, with its name.
pub(super) async fn find_or_make(
    backend: &Backend,
    named: Option<&str>,
) -> Result<(DatastoreId, String)> {
    match find(backend, named).await? {
        Some(found) => Ok(found),
        None => make(backend, named.unwrap_or("default")).await,
    }
}

/// The data store of that name or id, or the only one, with its name; `None` when there is none.
pub(super) async fn find(
    backend: &Backend,
    named: Option<&str>,
) -> Result<Option<(DatastoreId, String)>> {
    let active = backend.active_datastores().await?;
    let fits = |one: &&DatastoreSummary| match named {
        Some(wanted) => one.datastore_name == wanted || one.datastore_id.as_str() == wanted,
        None => true,
    };
    let found: Vec<&DatastoreSummary> = active.iter().filter(fits).collect();
    match found.as_slice() {
        [only] => Ok(Some((only.datastore_id.clone(), only.datastore_name.clone()))),
        [] => Ok(None),
        several => bail!(
            "{} data stores fit; name one with --datastore: {}",
            several.len(),
            several.iter().map(|s| s.datastore_id.as_str()).collect::<Vec<_>>().join(", "),
        ),
    }
}

async fn make(backend: &Backend, name: &str) -> Result<(DatastoreId, String)> {
    let store = backend.store("import")?;
    let datastore_id = store.find_or_create_datastore(DatastoreName::try_from(name)?).await?;
    loop {
        let request = GetDatastoreRequest { datastore_id: datastore_id.clone() };
        let found = backend.service.get_datastore(request).await?.datastore_properties;
        match found.datastore_status {
            DatastoreStatus::Active => return Ok((datastore_id, found.datastore_name)),
            DatastoreStatus::Creating => tokio::time::sleep(Duration::from_millis(20)).await,
            other => bail!("the new data store is {other}"),
        }
    }
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

/// Names files that were not imported, as far as they are listed, and counts the rest.
pub(super) fn list(what: &str, files: &[RefusedFile], count: u64) {
    let listed = files.iter().take(LISTED);
    for file in listed.clone() {
        terminal::note(&format!("{what}: {}: {}", terminal::visible(&file.key), file.message));
    }
    match count.saturating_sub(listed.count() as u64) {
        0 => {}
        more => terminal::note(&format!("{what}: {more} more")),
    }
}

fn report(summary: &ImportSummary, datastore: &DatastoreId, name: &str, took: Duration) {
    let ImportProgress { files_done, bytes_done, image_sets, refused, warned, .. } =
        summary.progress;
    let skipped = summary.refused.skipped_count();
    let failed = refused.saturating_sub(skipped);
    list("failed", &summary.refused.failed, failed);
    list("skipped", &summary.refused.skipped, skipped);
    let kinds = summary.refused.skipped_kinds.iter();
    let kinds: Vec<String> = kinds.map(|(kind, count)| counted(*count, kind.noun())).collect();
    let kinds = if kinds.is_empty() { String::new() } else { format!(" ({})", kinds.join(", ")) };
    terminal::note(&format!(
        "{} seen, {} imported, {failed} failed, {skipped} skipped{kinds}, {warned} with a warning",
        counted(files_done, "file"),
        files_done.saturating_sub(refused),
    ));
    terminal::note(&format!(
        "{} in data store {name} ({datastore}); an outcome for each file is in {}",
        counted(image_sets, "image set"),
        summary.output_s3_uri,
    ));
    let milliseconds = u64::try_from(took.as_millis()).unwrap_or(u64::MAX).max(1);
    terminal::note(&format!(
        "{} in {:.1} s, {}/s",
        megabytes(bytes_done),
        took.as_secs_f64(),
        megabytes(bytes_done.saturating_mul(1000) / milliseconds),
    ));
}
