//! `export`: writes instances of a data store as DICOM files, to a folder or to S3.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use clap::Args;
use futures::TryStreamExt as _;
use healthimaging::{ObjectUri, Uid, sweep};
use healthimaging_audit::Recorded;
use healthimaging_objects::file_uri;
use healthimaging_workflows::deidentify::{Deidentify, Rectangle, Request, Review};
use healthimaging_workflows::export::{self, Export};
use healthimaging_workflows::find::{Criteria, Moment, Span};
use healthimaging_workflows::{ItemOutcome, ItemResult, Job, JobState, Ledger, NewJob, Work};
use indicatif::ProgressBar;
use serde_json::{Map, Value, json};

use super::datastore::{add_unfinished_imports, find, note_unfinished_imports};
use crate::backend::Backend;
use crate::config::Config;
use crate::outcome::Outcome;
use crate::stop::stop_signal;
use crate::terminal::{self, counted, megabytes, progress_bar};

const RESUMED: &str = "\
An export that was stopped or killed is a job that continues while `serve` or `stdio` uses the store;
short commands do not continue it. `call list_jobs` shows it, `call cancel_job` cancels it.";

#[derive(Debug, Args)]
#[command(after_help = RESUMED)]
pub(super) struct Arguments {
    /// Folder, created if missing, or S3 prefix (`s3://bucket/prefix/`)
    #[arg(long, value_name = "DIR_OR_URI")]
    out: String,

    /// Data store to export from, by name or ID [default: the only one]
    #[arg(long, value_name = "NAME")]
    datastore: Option<String>,

    /// Only this study
    #[arg(long, value_name = "UID", value_parser = uid)]
    study: Option<Uid>,

    /// Only this series
    #[arg(long, value_name = "UID", value_parser = uid)]
    series: Option<Uid>,

    /// Only this instance
    #[arg(long, value_name = "UID", value_parser = uid)]
    instance: Option<Uid>,

    /// Only image sets created since then, such as 2026-01-31T12:00:00Z
    #[arg(long, value_name = "TIME", value_parser = moment)]
    submitted_after: Option<Moment>,

    /// Only image sets created until then
    #[arg(long, value_name = "TIME", value_parser = moment)]
    submitted_before: Option<Moment>,

    /// Transfer syntax, such as 1.2.840.10008.1.2.1 [default: as stored]
    #[arg(long, value_name = "UID", value_parser = uid)]
    transfer_syntax: Option<Uid>,

    /// Image sets that are not primary too
    #[arg(long)]
    include_non_primary: bool,

    /// Replace existing files that have other content
    #[arg(long)]
    overwrite: bool,

    #[command(flatten)]
    deidentify: DeidentifyArguments,
}

/// How instances are de-identified; also an argument of `transfer`.
#[derive(Debug, Args)]
pub(super) struct ProfileArguments {
    /// De-identify by a profile of PS3.15: basic
    // Not named like the profile of the shared AWS files: clap would take one for the other.
    #[arg(long = "deidentify", value_name = "PROFILE")]
    deidentify: Option<String>,

    /// Such as clean-pixel-data,retain-modified-dates
    #[arg(
        long = "deidentify-options",
        value_name = "LIST",
        value_delimiter = ',',
        requires = "deidentify"
    )]
    options: Vec<String>,
}

impl ProfileArguments {
    /// The profile with its options; `None` if nothing is de-identified.
    pub(super) fn chosen(self) -> Option<(String, Vec<String>)> {
        let options = self.options.iter().map(|option| option.trim().to_owned()).collect();
        self.deidentify.map(|profile| (profile, options))
    }
}

#[derive(Debug, Args)]
struct DeidentifyArguments {
    #[command(flatten)]
    profile: ProfileArguments,

    /// File of 64 hexadecimal digits [default: one in the data folder]
    #[arg(long = "deidentify-key", value_name = "FILE", requires = "deidentify")]
    key: Option<PathBuf>,

    /// New file for original and new UIDs and patient IDs
    #[arg(long, value_name = "FILE", requires = "deidentify")]
    linkage: Option<PathBuf>,

    /// Area of the series to blank; you have seen the rest; repeatable
    #[arg(long, value_name = "X,Y,WIDTH,HEIGHT", value_parser = rectangle, requires = "deidentify")]
    blank: Vec<Rectangle>,

    /// You have seen that the series shows no identifying text
    #[arg(long, requires = "deidentify")]
    reviewed: bool,
}

/// Most files that are listed of those that were not written; the rest is counted.
const LISTED: u64 = 20;
/// Outcomes of a page.
const PAGE: u32 = 100;

fn uid(text: &str) -> healthimaging::Result<Uid> {
    Uid::try_from(text)
}

fn moment(text: &str) -> healthimaging::Result<Moment> {
    Moment::try_from(text.to_owned())
}

fn rectangle(text: &str) -> Result<Rectangle, String> {
    let numbers: Result<Vec<u32>, _> = text.split(',').map(str::parse).collect();
    let number = numbers.ok().and_then(|numbers| <[u32; 4]>::try_from(numbers).ok());
    let corner = |[left, top, width, height]: [u32; 4]| {
        let right = left.checked_add(width.checked_sub(1)?)?;
        let bottom = top.checked_add(height.checked_sub(1)?)?;
        Some(Rectangle { left, top, right, bottom })
    };
    let wrong = "give four whole numbers X,Y,WIDTH,HEIGHT; the last two are at least 1";
    number.and_then(corner).ok_or_else(|| wrong.to_owned())
}

fn absolute(path: &Path) -> Result<PathBuf> {
    std::path::absolute(path).with_context(|| format!("{} cannot be used", path.display()))
}

impl DeidentifyArguments {
    /// Returns how to de-identify; reads the key, or makes it.
    fn chosen(self, ledger: &Ledger) -> Result<Option<Deidentify>> {
        let Some((profile, options)) = self.profile.chosen() else { return Ok(None) };
        let review = Review { blank: self.blank, is_reviewed: self.reviewed };
        let key_file = self.key.as_deref().map(absolute).transpose()?;
        let request = Request { profile, options, key_file, review };
        Ok(Some(Deidentify::new(request, ledger.tools())?))
    }
}

pub(super) async fn run(config: &Config, arguments: Arguments) -> Result<Outcome> {
    if config.read_only {
        bail!("--read-only does not allow an export, which writes files");
    }
    let backend = Backend::open_existing(config).await?;
    let outcome = export(&backend, arguments).await;
    backend.close().await;
    outcome
}

/// Returns the URI of the output, and the folder that naming it allows.
fn output(out: &str) -> Result<(ObjectUri, Vec<PathBuf>)> {
    if out.starts_with("s3://") || out.starts_with("file://") {
        return Ok((ObjectUri::try_from(out)?, Vec::new()));
    }
    ensure!(!Path::new(out).is_file(), "--out: {out} is a file; name a folder");
    std::fs::create_dir_all(out).with_context(|| format!("{out} cannot be created"))?;
    let folder = Path::new(out).canonicalize();
    let folder = folder.with_context(|| format!("{out} cannot be used"))?;
    Ok((file_uri(&folder)?, vec![folder]))
}

/// What the audit log says of a job that has ended.
pub(super) fn job_objects(job: &Job) -> Recorded {
    Recorded::default()
        .with_ids("datastore_id", [job.datastore_id.as_str()])
        .with_ids("job_id", [job.job_id.as_str()])
        .with_count("items_done", job.items_done)
        .with_count("items_failed", job.items_failed)
}

async fn export(backend: &Backend, arguments: Arguments) -> Result<Outcome> {
    let named = arguments.datastore.as_deref();
    let Some((datastore_id, name)) = find(backend, named).await? else {
        bail!("--datastore: there is no such active data store; `call list_datastores` lists them");
    };
    let not_ended = note_unfinished_imports(backend, &datastore_id).await?;
    let (output_uri, allowed_paths) = output(&arguments.out)?;
    let submitted = Span { from: arguments.submitted_after, to: arguments.submitted_before };
    let is_open = submitted.from.is_none() && submitted.to.is_none();
    let ledger = &backend.ledger;
    let linkage = arguments.deidentify.linkage.as_deref().map(absolute).transpose()?;
    let deidentify = arguments.deidentify.chosen(ledger)?;
    let export = Export {
        datastore_id: datastore_id.clone(),
        output_uri,
        criteria: Criteria {
            study_instance_uid: arguments.study,
            series_instance_uid: arguments.series,
            created_at: (!is_open).then_some(submitted),
            ..Criteria::default()
        },
        sop_instance_uid: arguments.instance,
        overwrite: arguments.overwrite,
        include_non_primary: arguments.include_non_primary,
        transfer_syntax_uid: arguments.transfer_syntax,
        deidentify,
        linkage,
        data_access_role_arn: None,
        allowed_paths,
    };
    export.check(ledger.tools()).await?;
    let arguments_named = Map::from_iter([
        ("datastore_id".to_owned(), json!(export.datastore_id)),
        ("criteria".to_owned(), json!(export.criteria)),
        ("sop_instance_uid".to_owned(), json!(export.sop_instance_uid)),
    ]);
    let new = NewJob {
        tool: export::TOOL,
        job_name: None,
        client_token: None,
        datastore_id,
        work: Work::Export(export),
    };
    let started = Instant::now();
    let named = [arguments.out.clone()];
    let running = async { follow(ledger, ledger.start(new).await?).await };
    let job = backend.recorded("export", &arguments_named, &named, running, job_objects).await?;
    match job.job_status {
        JobState::Completed => report(ledger, &job, &name, started.elapsed(), not_ended).await,
        state => bail!("export job {} is {state}: {}", job.job_id, job.message.unwrap_or_default()),
    }
}

/// Shows the progress of the job until it has ended or a signal arrives.
async fn follow(ledger: &Ledger, mut job: Job) -> Result<Job> {
    let bar = progress_bar("{bar:30} {pos}/{len} files {msg}");
    while !job.job_status.has_ended() {
        show(&bar, &job);
        tokio::select! {
            changed = ledger.changed(&job) => job = changed?,
            stopped = stop_signal() => {
                bar.finish_and_clear();
                stopped?;
                bail!(
                    "stopped; written files stay, and export job {} continues whenever \
                     the store is used (`call get_job` shows it, `call cancel_job` cancels it)",
                    job.job_id
                );
            }
        }
    }
    bar.finish_and_clear();
    Ok(job)
}

fn show(bar: &ProgressBar, job: &Job) {
    if let Some(total) = job.items_total {
        bar.set_length(total);
    }
    bar.set_position(job.items_done);
    if job.items_failed > 0 {
        bar.set_message(format!("{} failed", job.items_failed));
    }
}

/// Reports a completed job. `not_ended` is how many imports had not ended before.
async fn report(
    ledger: &Ledger,
    job: &Job,
    name: &str,
    took: Duration,
    not_ended: usize,
) -> Result<Outcome> {
    let report = job.report.as_ref();
    let number = |key: &str| {
        let value = report.and_then(|report| report.get(key));
        value.and_then(Value::as_u64).unwrap_or_default()
    };
    let held_back = number("files_held_back");
    let mut unwritten = Vec::new();
    if job.items_failed + held_back > 0 {
        unwritten = list_unwritten(ledger, job, held_back).await?;
    }
    let outcome_uri = report.and_then(|report| report.get("output_s3_uri"));
    let bytes = number("bytes_written");
    terminal::note(&format!(
        "{} written from {} of data store {name}, {} failed; checksums are in {}",
        counted(number("files_written"), "file"),
        counted(number("image_sets"), "image set"),
        number("files_failed"),
        outcome_uri.and_then(Value::as_str).unwrap_or_default(),
    ));
    if held_back > 0 {
        terminal::note(&format!(
            "{} held back: look at their pixels, then export each series with --blank or --reviewed; \
             DEIDENTIFICATION/summary.md lists the reasons",
            counted(held_back, "file"),
        ));
    }
    match number("non_primary_image_sets_left_out") {
        0 => {}
        some => terminal::note(&format!(
            "{} not primary and left out; --include-non-primary exports them too",
            counted(some, "image set")
        )),
    }
    let milliseconds = u64::try_from(took.as_millis()).unwrap_or(u64::MAX).max(1);
    terminal::note(&format!(
        "{} in {:.1} s, {}/s",
        megabytes(bytes),
        took.as_secs_f64(),
        megabytes(bytes.saturating_mul(1000) / milliseconds),
    ));
    let outcome = Outcome::of_items(number("files_written"), job.items_failed, held_back);
    terminal::document(|| {
        let mut document = json!({
            "outcome": outcome.as_str(),
            "datastore_id": job.datastore_id,
            "datastore_name": name,
            "job_id": job.job_id,
            "not_written": unwritten,
        });
        if let (Value::Object(document), Some(report)) = (&mut document, report) {
            document.extend(report.clone());
        }
        add_unfinished_imports(&mut document, not_ended);
        document
    })?;
    Ok(outcome)
}

/// Lists the files that were not written, with the image sets of those that a person has to look at; returns the same as
/// JSON.
async fn list_unwritten(ledger: &Ledger, job: &Job, held_back: u64) -> Result<Vec<Value>> {
    let outcomes = sweep(usize::MAX, |start| ledger.outcomes(&job.job_id, start, PAGE));
    let mut outcomes = std::pin::pin!(outcomes);
    let (mut listed, mut documents) = (0, Vec::new());
    while let Some(outcome) = outcomes.try_next().await? {
        let ItemOutcome { item, image_set_id, result, details, error } = outcome;
        let (line, document) = match (result, error) {
            (ItemResult::HeldBack, _) => {
                let message = details.get("message").and_then(Value::as_str).unwrap_or_default();
                let set = image_set_id.map(String::from).unwrap_or_default();
                (
                    format!("held back: {item} of image set {set}: {message}"),
                    json!({ "file": item, "reason": "held back", "image_set_id": set, "message": message }),
                )
            }
            (_, Some(error)) => (
                format!("failed: {item}: {}", error.message),
                json!({ "file": item, "reason": "failed", "message": error.message }),
            ),
            (_, None) => continue,
        };
        if listed == LISTED {
            let more = (job.items_failed + held_back).saturating_sub(LISTED);
            terminal::note(&format!("not written: {more} more"));
            break;
        }
        listed += 1;
        terminal::note(&line);
        documents.push(document);
    }
    Ok(documents)
}
