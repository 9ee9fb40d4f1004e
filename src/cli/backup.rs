//! `backup` and `restore`: verified copies of the embedded store.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use clap::Args;
use healthimaging::Effect;
use healthimaging_audit::{Entry, Recorded};
use healthimaging_local::{CopyProgress, CopyReport, LocalStore};
use serde_json::json;

use super::verify;
use crate::backend;
use crate::config::Config;
use crate::options::BackendKind;
use crate::outcome::Outcome;
use crate::stop::stop_signal;
use crate::terminal::{self, counted, megabytes, progress_bar};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Folder of the backup
    #[arg(value_name = "DIR")]
    folder: PathBuf,
}

/// Copies the store to a new folder, while other processes use it.
pub(super) async fn back_up(config: &Config, arguments: &Arguments) -> Result<Outcome> {
    check_backend(config, "backup")?;
    // Nothing is written to the store, and its jobs are left to other processes.
    let reading = Config { read_only: true, ..config.clone() };
    let store = backend::existing_store(&reading).await?;
    let folder = &arguments.folder;
    let copied = shown(|show| store.back_up(folder, show)).await;
    store.close().await;
    let copied = copied.with_context(|| format!("DIR ({})", folder.display()))?;
    report(&copied, "backed up to", folder)
}

/// Copies a backup to the data folder, which must be missing or empty.
pub(super) async fn restore(config: &Config, arguments: &Arguments) -> Result<Outcome> {
    check_backend(config, "restore")?;
    if config.read_only {
        bail!("--read-only does not allow a restore");
    }
    let local = backend::store_config(config).await?;
    let folder = &arguments.folder;
    let copied = shown(|show| LocalStore::restore(&local, folder, show)).await;
    let copied =
        copied.with_context(|| format!("{} to {}", folder.display(), config.data_dir.display()))?;
    let log = backend::audit_log(config, None);
    if log.records(Effect::Writes) {
        let source = folder.to_string_lossy().into_owned();
        let named =
            log.with_keys(|keys| Recorded::default().with_digests("paths", [&*source], keys));
        let entry = Entry::command("restore", Effect::Writes);
        let made = Recorded::default().with_count("packs", copied.progress.packs_done);
        log.begin(entry.with_arguments(named?.unwrap_or_default())).end(made, None);
        log.flush().await?;
    }
    report(&copied, "restored to", &config.data_dir)
}

fn check_backend(config: &Config, command: &str) -> Result<()> {
    if config.backend == BackendKind::Aws {
        bail!("`{command}` only works with the embedded store; AWS keeps its own copies");
    }
    Ok(())
}

/// Shows the progress of a copy until it has ended or a signal arrives.
async fn shown<F: Future<Output = healthimaging::Result<CopyReport>>>(
    copying: impl FnOnce(Show) -> F,
) -> Result<CopyReport> {
    let bar = progress_bar("{bar:30} {pos}/{len} packs {msg}");
    let of_copy = bar.clone();
    let show: Show = Box::new(move |progress| {
        of_copy.set_length(progress.packs_total);
        of_copy.set_position(progress.packs_done);
        of_copy.set_message(megabytes(progress.bytes_done));
    });
    let copied = tokio::select! {
        copied = copying(show) => copied.map_err(Into::into),
        stopped = stop_signal() => stopped.and_then(|()| bail!("stopped; nothing was completed")),
    };
    bar.finish_and_clear();
    copied
}

type Show = Box<dyn Fn(CopyProgress) + Send>;

fn report(copied: &CopyReport, what: &str, folder: &Path) -> Result<Outcome> {
    let place = folder.display();
    terminal::note(&format!(
        "{} ({}) {what} {place}",
        counted(copied.progress.packs_done, "pack"),
        megabytes(copied.progress.bytes_done),
    ));
    let outcome = match verify::report(&copied.verified)? {
        Outcome::Done => Outcome::Done,
        _ => Outcome::Partly,
    };
    terminal::document(|| {
        json!({
            "outcome": outcome.as_str(),
            "folder": folder.display().to_string(),
            "packs": copied.progress.packs_done,
            "bytes": copied.progress.bytes_done,
            "verified": verify::document(&copied.verified, outcome),
        })
    })?;
    Ok(outcome)
}
