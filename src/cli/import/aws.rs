//! `import` into AWS HealthImaging: files and folders by DICOMweb (STOW-RS).

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use healthimaging::DatastoreId;
use healthimaging_workflows::store::{self, Stored, Watch};
use serde_json::json;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::report::{self, Counts, File};
use crate::backend::Backend;
use crate::cli::datastore::find;
use crate::outcome::Outcome;
use crate::stop::stop_signal;
use crate::terminal::{self, counted, progress_bar};

/// How often the count of files is drawn.
const REDRAWN: Duration = Duration::from_millis(100);

/// Stores files and folders in the data store of that name or ID.
///
/// Files that are recognized as something other than a DICOM instance are skipped, as by an import into the embedded
/// store.
pub(super) async fn run(
    backend: &Backend,
    named: Option<&str>,
    paths: &[PathBuf],
) -> Result<Outcome> {
    let Some((datastore, name)) = find(backend, named).await? else {
        bail!(
            "--datastore: there is no such active data store in AWS HealthImaging; `call list_datastores` lists them, \
             `call create_datastore` creates one"
        );
    };
    let started = Instant::now();
    let bar = progress_bar("{spinner} {pos} files sent");
    bar.enable_steady_tick(REDRAWN);
    let (done, mut progress) = watch::channel(0_usize);
    let cancelled = CancellationToken::new();
    let tools = backend.ledger.tools();
    let objects = tools.objects.allowing(paths);
    let watch = Watch { done, cancelled: cancelled.clone() };
    let storing =
        store::files(&tools.back_end, &objects, &datastore, paths, kind::recognize, watch);
    let mut storing = std::pin::pin!(storing);
    let stored = loop {
        tokio::select! {
            ended = &mut storing => break ended,
            Ok(()) = progress.changed() => bar.set_position(*progress.borrow_and_update() as u64),
            stopped = stop_signal(), if !cancelled.is_cancelled() => {
                stopped?;
                // The request in flight ends first, so that its outcomes are known.
                cancelled.cancel();
            }
        }
    };
    bar.finish_and_clear();
    print(stored?, (&name, &datastore), started.elapsed())
}

fn print(
    stored: Stored<String>,
    (name, datastore): (&str, &DatastoreId),
    took: Duration,
) -> Result<Outcome> {
    let (mut skipped, mut failed) = (Vec::new(), Vec::new());
    let mut kinds: BTreeMap<&'static str, u64> = BTreeMap::new();
    for (key, message) in &stored.failed {
        let file = File { key, message };
        match kind::noun(message) {
            Some(noun) => {
                *kinds.entry(noun).or_default() += 1;
                skipped.push(file);
            }
            None => failed.push(file),
        }
    }
    let (failed_count, skipped_count) = (failed.len(), skipped.len());
    report::list("failed", failed.iter().copied(), failed_count as u64);
    report::list("skipped", skipped.iter().copied(), skipped_count as u64);
    let warned = stored.stored.iter().filter(|(_, one)| one.warning_reason.is_some()).count();
    let sets: BTreeSet<_> = stored.stored.iter().map(|(_, one)| &one.image_set_id).collect();
    let seen = stored.stored.len() + failed_count + skipped_count + stored.not_tried;
    let counts = Counts {
        seen: seen as u64,
        imported: stored.stored.len() as u64,
        failed: failed_count as u64,
        skipped: skipped_count as u64,
        kinds: kinds.into_iter().collect(),
        warned: warned as u64,
    };
    report::count(&counts);
    terminal::note(&format!(
        "{} in data store {name} ({datastore}), in {:.1} s",
        counted(sets.len() as u64, "image set"),
        took.as_secs_f64()
    ));
    let not_tried = match stored.not_tried {
        0 => String::new(),
        more => format!("; {} not sent", counted(more as u64, "file")),
    };
    if let Some(error) = stored.error {
        bail!("the data store refused a request: {}{not_tried}", error.message());
    }
    if stored.not_tried > 0 {
        bail!("stopped; imported files stay{not_tried}");
    }
    let outcome = counts.outcome();
    terminal::document(|| {
        let more = json!({
            "datastore_id": datastore,
            "datastore_name": name,
            "image_sets": sets.len(),
            "failed": report::listed(failed.into_iter()),
            "skipped": report::listed(skipped.into_iter()),
        });
        counts.document(outcome, more)
    })?;
    Ok(outcome)
}

/// Files that are not DICOM instances, as the embedded store recognizes them.
#[cfg(feature = "local")]
mod kind {
    use healthimaging_local::FileKind;

    /// Returns why a file that begins with `start` is skipped.
    pub(super) fn recognize(start: &[u8]) -> Option<String> {
        FileKind::recognize(start).map(FileKind::message)
    }

    pub(super) fn noun(message: &str) -> Option<&'static str> {
        FileKind::of_message(message).map(FileKind::noun)
    }
}

/// Without the embedded store every file is sent, and the service refuses those that are not DICOM instances.
#[cfg(not(feature = "local"))]
mod kind {
    pub(super) fn recognize(_: &[u8]) -> Option<String> {
        None
    }

    pub(super) fn noun(_: &str) -> Option<&'static str> {
        None
    }
}
