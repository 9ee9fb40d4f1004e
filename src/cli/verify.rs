//! `verify`: checks everything in the store against its checksums.

use anyhow::{Result, bail};
use healthimaging_local::{Damage, VerifyProgress, VerifyReport};
use serde_json::{Value, json};

use crate::backend::Backend;
use crate::config::Config;
use crate::options::BackendKind;
use crate::outcome::Outcome;
use crate::terminal::{self, counted, megabytes, progress_bar};

pub(super) async fn run(config: &Config) -> Result<Outcome> {
    if config.backend == BackendKind::Aws {
        bail!("`verify` only works with the embedded store; AWS verifies its own storage");
    }
    let backend = Backend::open_existing(config).await?;
    let store = backend.store("verify")?;
    let bar = progress_bar("{bar:30} {pos}/{len} image sets {msg}");
    let show = |progress: VerifyProgress| {
        bar.set_length(progress.image_sets_total);
        bar.set_position(progress.image_sets_done);
        bar.set_message(megabytes(progress.bytes_done));
    };
    let report = store.verify(show).await;
    bar.finish_and_clear();
    backend.close().await;
    let report = report?;
    let outcome = self::report(&report)?;
    terminal::document(|| document(&report, outcome))?;
    Ok(outcome)
}

/// Prints what was found.
pub(super) fn report(report: &VerifyReport) -> Result<Outcome> {
    if !terminal::is_json() {
        for damage in &report.damaged {
            terminal::result(&described(damage))?;
        }
    }
    terminal::note(&format!(
        "{}, {} and {} reread ({}); {} damaged",
        counted(report.image_sets, "image set"),
        counted(report.documents, "document"),
        counted(report.blobs, "stored value"),
        megabytes(report.bytes),
        report.damaged.len(),
    ));
    Ok(if report.damaged.is_empty() { Outcome::Done } else { Outcome::Failed })
}

/// Returns the result as JSON.
pub(super) fn document(report: &VerifyReport, outcome: Outcome) -> Value {
    let damaged: Vec<Value> = report
        .damaged
        .iter()
        .map(|damage| {
            json!({
                "image_set_id": damage.image_set_id,
                "version": damage.version,
                "image_frame_id": damage.blob,
                "message": damage.message,
            })
        })
        .collect();
    json!({
        "outcome": outcome.as_str(),
        "image_sets": report.image_sets,
        "documents": report.documents,
        "stored_values": report.blobs,
        "bytes": report.bytes,
        "damaged": damaged,
    })
}

/// Returns where the damage is, and what it is, in a line.
fn described(damage: &Damage) -> String {
    let places = [
        damage.image_set_id.as_ref().map(|id| format!("image set {id}")),
        damage.version.map(|version| format!("version {version}")),
        damage.blob.as_ref().map(|id| format!("frame or value {id}")),
    ];
    let place: Vec<String> = places.into_iter().flatten().collect();
    let place = if place.is_empty() { "catalog".to_owned() } else { place.join(", ") };
    format!("{place}: {}", damage.message)
}
