//! `certificate`: lists, shows and checks certificates of erasure.

use std::fs;
use std::io::ErrorKind as FileError;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, Result, anyhow, bail};
use clap::{Args, Subcommand};
use healthimaging::{ErrorKind, JobId, Timestamp};
use healthimaging_workflows::certificate::{
    self, Certificate, Check, Event, NotSearched, Request, SearchJobs, Verdict, Verification,
};
use indicatif::ProgressBar;
use serde_json::{Value, json};

use crate::backend::Backend;
use crate::config::Config;
use crate::outcome::Outcome;
use crate::stop::stop_signal;
use crate::terminal::{self, counted, megabytes, progress_bar};

#[derive(Debug, Args)]
#[command(arg_required_else_help = true)]
pub(super) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// List the certificates in the data folder, the newest first
    List,
    /// Print a certificate as JSON, or write its page
    Show {
        /// ID of the certificate, which is that of the job
        #[arg(value_name = "ID")]
        id: JobId,

        /// Write a page for people to this new file instead
        #[arg(long, value_name = "FILE")]
        html: Option<PathBuf>,
    },
    /// Check the signature of a certificate, and search again for what was erased
    Verify {
        /// File of the certificate, or its ID
        #[arg(value_name = "FILE")]
        file: PathBuf,

        /// File with values, one a line, that are searched as bytes too
        #[arg(long, value_name = "FILE")]
        values: Option<PathBuf>,

        /// Read every file of the data folder, with all packs; a search that was interrupted is continued by the same command
        #[arg(long)]
        full: bool,

        /// Write a page for people with the result to this new file
        #[arg(long, value_name = "FILE")]
        html: Option<PathBuf>,
    },
}

pub(super) async fn run(config: &Config, arguments: Arguments) -> Result<Outcome> {
    match arguments.command {
        Command::List => list(config),
        Command::Show { id, html } => show(config, &id, html.as_deref()),
        Command::Verify { file, values, full, html } => {
            let text = text_of(config, &file)?;
            let values = values.map(|file| values_of(&file)).transpose()?.unwrap_or_default();
            let found = Box::pin(verify(config, text, values, full)).await?;
            report(&found.0, &found.1, html.as_deref())
        }
    }
}

fn verdict(certificate: &Certificate) -> &'static str {
    match certificate.verdict {
        Verdict::Erased => "erased",
        Verdict::ErasedTracesRemain => "erased, traces remain",
        Verdict::NotComplete => "not complete",
    }
}

fn list(config: &Config) -> Result<Outcome> {
    let (certificates, others) = certificate::list(&config.data_dir)?;
    terminal::document(|| {
        let listed: Vec<Value> = certificates.iter().map(Certificate::short).collect();
        let others: Vec<String> = others.iter().map(|path| path.display().to_string()).collect();
        json!({ "outcome": Outcome::Done.as_str(), "certificates": listed, "not_certificates": others })
    })?;
    for certificate in certificates.iter().filter(|_| !terminal::is_json()) {
        terminal::result(&format!(
            "{}  {}  {}  {}",
            certificate.certificate_id,
            certificate.made_at.format("%Y-%m-%d %H:%M:%S"),
            verdict(certificate),
            certificate.scope.get("tool").and_then(Value::as_str).unwrap_or_default(),
        ))?;
    }
    for path in others {
        terminal::note(&format!("{} is not a certificate", path.display()));
    }
    terminal::note(&counted(certificates.len() as u64, "certificate"));
    Ok(Outcome::Done)
}

fn show(config: &Config, id: &JobId, html: Option<&Path>) -> Result<Outcome> {
    let text = certificate::read(&config.data_dir, id)?;
    match html {
        Some(file) => {
            let certificate = serde_json::from_str(&text).context("the certificate is damaged")?;
            write_page(file, &certificate::page(&certificate, None))?;
            terminal::document(|| json!({ "outcome": Outcome::Done.as_str(), "file": file }))?;
        }
        None => terminal::result(&text)?,
    }
    Ok(Outcome::Done)
}

/// Writes a page to a new file that only its owner may read.
fn write_page(file: &Path, page: &str) -> Result<()> {
    use std::io::Write as _;
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let written = options.open(file).and_then(|mut to| to.write_all(page.as_bytes()));
    if written.as_ref().is_err_and(|error| error.kind() == FileError::AlreadyExists) {
        bail!("--html: {} exists already; name a new file", file.display());
    }
    written.with_context(|| format!("{} cannot be written", file.display()))?;
    terminal::note(&format!("the page is in {}", file.display()));
    Ok(())
}

/// The text of a certificate by the path of its file or by its ID.
fn text_of(config: &Config, file: &Path) -> Result<String> {
    let id = file.to_str().and_then(|text| JobId::try_from(text.to_owned()).ok());
    match id.filter(|_| !file.exists()) {
        Some(id) => Ok(certificate::read(&config.data_dir, &id)?),
        None => fs::read_to_string(file)
            .with_context(|| format!("the certificate {} cannot be read", file.display())),
    }
}

fn values_of(file: &Path) -> Result<Vec<String>> {
    let text = fs::read_to_string(file)
        .with_context(|| format!("--values: {} cannot be read", file.display()))?;
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    Ok(lines.map(str::to_owned).collect())
}

async fn verify(
    config: &Config,
    text: String,
    values: Vec<String>,
    full: bool,
) -> Result<(Certificate, Verification)> {
    let reading = Config { read_only: true, ..config.clone() };
    let backend = Backend::open_existing(&reading).await?;
    let certifying = backend.ledger.tools().certifying.clone();
    let request = Request {
        text,
        data_folder: config.data_dir.clone(),
        back_end: certifying.back_end,
        values,
        full,
    };
    let is_job = full && certifying.scan.is_some();
    let jobs = if is_job { search_jobs(config) } else { None };
    let shown = Shown::new(jobs.is_some());
    let service = &*backend.service;
    let verified = {
        let watch = shown.clone().watch();
        let verifying = certificate::verify(request, service, certifying.scan, jobs, watch);
        let mut verifying = std::pin::pin!(verifying);
        tokio::select! {
            verified = &mut verifying => verified.map_err(Into::into),
            stopped = stop_signal() => {
                shown.is_stopped.store(true, Ordering::Relaxed);
                // It ends at the next piece, and records what it has read.
                let ended = verifying.await;
                stopped.and_then(|()| ended.map_err(|error| shown.stopped(error)))
            }
        }
    };
    shown.bar.finish_and_clear();
    backend.close().await;
    verified
}

/// Where a full search is recorded, so that it can be continued; `None` if it cannot, which stderr says.
fn search_jobs(config: &Config) -> Option<SearchJobs> {
    if config.read_only {
        terminal::note(&not_resumable("--read-only allows no record of it"));
        return None;
    }
    match Backend::search_jobs(config) {
        Ok(jobs) => Some(jobs),
        Err(error) => {
            terminal::note(&not_resumable(error.message()));
            None
        }
    }
}

fn not_resumable(why: &str) -> String {
    format!("this search cannot be continued if it is interrupted: {why}")
}

/// What a person sees of a search.
#[derive(Clone)]
struct Shown {
    bar: ProgressBar,
    is_stopped: Arc<AtomicBool>,
    is_resumable: Arc<AtomicBool>,
}

impl Shown {
    fn new(is_resumable: bool) -> Self {
        Self {
            bar: progress_bar("{spinner} {msg} searched"),
            is_stopped: Arc::default(),
            is_resumable: Arc::new(is_resumable.into()),
        }
    }

    /// Shows what happens until the search is stopped.
    fn watch(self) -> impl FnMut(Event) -> ControlFlow<()> + Send {
        let (mut bytes, mut packs) = (0, String::new());
        move |event| {
            match event {
                Event::Read(more) => bytes += more,
                Event::Packs { read, of } => packs = format!(", {read} of {of} packs"),
                Event::Continues { begun_at, packs, bytes, changed } => {
                    self.note(&continues(begun_at, packs, bytes, changed));
                }
                Event::Restarts(why) => {
                    self.note(&format!(
                        "an earlier search that was interrupted starts again: {why}"
                    ));
                }
                Event::NotResumable(why) => {
                    self.is_resumable.store(false, Ordering::Relaxed);
                    self.note(&not_resumable(&why));
                }
            }
            self.bar.set_message(format!("{}{packs}", megabytes(bytes)));
            self.bar.tick();
            if self.is_stopped.load(Ordering::Relaxed) {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        }
    }

    fn note(&self, line: &str) {
        self.bar.suspend(|| terminal::note(line));
    }

    /// The error of a search that a signal stopped.
    fn stopped(&self, error: healthimaging::Error) -> anyhow::Error {
        if error.kind() != ErrorKind::Conflict {
            return error.into();
        }
        anyhow!(if self.is_resumable.load(Ordering::Relaxed) {
            "stopped; the same command continues the search"
        } else {
            "stopped; the next search begins anew"
        })
    }
}

fn continues(begun_at: Timestamp, packs: u64, bytes: u64, changed: u64) -> String {
    let begun_at = begun_at.format("%Y-%m-%d %H:%M:%S UTC");
    if packs == 0 {
        return format!(
            "the search that was begun at {begun_at} starts again: no pack that it read is there unchanged"
        );
    }
    let changed = if changed > 0 {
        format!("; {} changed since and read again", counted(changed, "pack"))
    } else {
        String::new()
    };
    format!(
        "continues the search that was begun at {begun_at}: {} ({}) already read and unchanged{changed}; everything else is \
         read again",
        counted(packs, "pack"),
        megabytes(bytes),
    )
}

fn report(certificate: &Certificate, found: &Verification, html: Option<&Path>) -> Result<Outcome> {
    let outcome = if found.is_clean() { Outcome::Done } else { Outcome::Failed };
    if let Some(file) = html {
        write_page(file, &certificate::page(certificate, Some(found)))?;
    }
    terminal::document(|| {
        json!({
            "outcome": outcome.as_str(),
            "certificate": certificate.short(),
            "verification": found,
        })
    })?;
    if !terminal::is_json() {
        for id in &found.image_sets_there {
            terminal::result(&format!("image set {id} of the certificate is there"))?;
        }
        for (id, count) in &found.found_in_image_sets {
            let count = counted(*count as u64, "identifier");
            terminal::result(&format!("image set {id}: {count} of what was erased"))?;
        }
        for (place, count) in &found.found_elsewhere {
            let count = counted(*count as u64, "identifier");
            terminal::result(&format!("{place}: {count} of what was erased"))?;
        }
    }
    terminal::note(&format!("certificate of {}: {}", certificate.made_at, certificate.summary));
    let asked = counted(found.image_sets_asked as u64, "image set");
    terminal::note(&format!(
        "signature verified; {asked} of the certificate asked for, {} there",
        found.image_sets_there.len()
    ));
    let Some(Check { method, digests, pieces, bytes, unread, values_not_of_certificate, .. }) =
        &found.search
    else {
        terminal::note(match found.not_searched {
            Some(NotSearched::NoIdentifiers) => {
                "the store was NOT searched, neither for given values: the certificate has no identifiers, because image sets \
                 that were left in this data folder, such as those of another data store, had all of them when it was made"
            }
            _ => "the storage was not searched: it is that of the service",
        });
        return Ok(outcome);
    };
    for line in method {
        terminal::note(line);
    }
    if *values_not_of_certificate > 0 {
        terminal::note(&format!(
            "{values_not_of_certificate} given values were not searched: the certificate is not about them, or they are \
             shorter than 8 characters",
        ));
    }
    for name in unread {
        terminal::note(&format!("could not be read: {name}"));
    }
    terminal::note(&format!(
        "{} looked for in {}: {}",
        counted(*digests as u64, "digest"),
        format_args!("{pieces} pieces ({})", megabytes(*bytes)),
        if found.is_clean() { "nothing of what was erased was found" } else { "found, see above" },
    ));
    Ok(outcome)
}
