//! `import` into AWS HealthImaging: files and folders by DICOMweb (STOW-RS).

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use healthimaging_local::{FileKind, RefusedFile};
use healthimaging_workflows::store::{self, Stored, Watch};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::Outcome;
use super::import::{find, list};
use super::serve::stop_signal;
use crate::backend::Backend;
use crate::terminal::{self, counted, progress_bar};

/// How often the count of files is drawn.
const REDRAWN: Duration = Duration::from_millis(100);

/// Stores the files, and those of folders, in the data store of that name or ID.
///
/// What is recognized as something else than a DICOM instance is skipped, as by an import into the embedded store.
pub(super) async fn run(
    backend: &Backend,
    named: Option<&str>,
    paths: &[PathBuf],
) -> Result<Outcome> {
    let Some((datastore, name)) = find(backend, named).await? else {
        bail!(
            "there is no active data store of that name in AWS HealthImaging: `call list_datastores` lists them, `call \
             create_datastore` makes one"
        );
    };
    let started = Instant::now();
    let bar = progress_bar("{spinner} {pos} files sent");
    bar.enable_steady_tick(REDRAWN);
    let (done, mut heard) = watch::channel(0_usize);
    let cancelled = CancellationToken::new();
    let tools = backend.ledger.tools();
    let objects = tools.objects.allowing(paths);
    let inspect = |start: &[u8]| FileKind::recognize(start).map(FileKind::message);
    let watch = Watch { done, cancelled: cancelled.clone() };
    let storing = store::files(&tools.back_end, &objects, &datastore, paths, inspect, watch);
    let mut storing = std::pin::pin!(storing);
    let stored = loop {
        tokio::select! {
            ended = &mut storing => break ended,
            Ok(()) = heard.changed() => bar.set_position(*heard.borrow_and_update() as u64),
            signal = stop_signal(), if !cancelled.is_cancelled() => {
                signal.context("signals cannot be heard")?;
                // The request that is being sent ends first, so that its outcomes are known.
                cancelled.cancel();
            }
        }
    };
    bar.finish_and_clear();
    report(stored?, &format!("{name} ({datastore})"), started.elapsed())
}

fn report(stored: Stored<String>, datastore: &str, took: Duration) -> Result<Outcome> {
    let (mut skipped, mut failed) = (Vec::new(), Vec::new());
    let mut kinds: BTreeMap<FileKind, u64> = BTreeMap::new();
    for (key, message) in stored.failed {
        let kind = FileKind::of_message(&message);
        let file = RefusedFile { key, message };
        match kind {
            Some(kind) => {
                *kinds.entry(kind).or_default() += 1;
                skipped.push(file);
            }
            None => failed.push(file),
        }
    }
    list("failed", &failed, failed.len() as u64);
    list("skipped", &skipped, skipped.len() as u64);
    let kinds: Vec<String> =
        kinds.into_iter().map(|(kind, count)| counted(count, kind.noun())).collect();
    let kinds = if kinds.is_empty() { String::new() } else { format!(" ({})", kinds.join(", ")) };
    let warned = stored.stored.iter().filter(|(_, one)| one.warning_reason.is_some()).count();
    let sets: BTreeSet<_> = stored.stored.iter().map(|(_, one)| &one.image_set_id).collect();
    let seen = stored.stored.len() + failed.len() + skipped.len() + stored.not_tried;
    terminal::note(&format!(
        "{} seen, {} imported, {} failed, {} skipped{kinds}, {warned} with a warning",
        counted(seen as u64, "file"),
        stored.stored.len(),
        failed.len(),
        skipped.len(),
    ));
    terminal::note(&format!(
        "{} in data store {datastore}, in {:.1} s",
        counted(sets.len() as u64, "image set"),
        took.as_secs_f64()
    ));
    let tried = match stored.not_tried {
        0 => String::new(),
        more => format!("; {} not tried", counted(more as u64, "file")),
    };
    if let Some(error) = stored.error {
        bail!("the data store refused a request: {}{tried}", error.message());
    }
    if stored.not_tried > 0 {
        bail!("stopped; what is imported stays{tried}");
    }
    Ok(if failed.is_empty() { Outcome::Done } else { Outcome::Partly })
}
