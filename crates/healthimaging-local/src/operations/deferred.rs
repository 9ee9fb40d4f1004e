//! Carrying out acknowledged writes in the background.

use std::sync::Arc;
use std::time::Duration;

use healthimaging::JobId;
use healthimaging_jobs::{Origin, engine};

use crate::error::StoreError;
use crate::shared::SharedStore;

/// When a write that the store could not end is tried again, such as on a full disk.
const RETRY: Duration = Duration::from_secs(5);

/// Carries a write out in the background, after the configured delay.
pub(crate) fn spawn(shared: &SharedStore, id: Option<JobId>) {
    let Some(id) = id else {
        return;
    };
    let task = Arc::clone(shared);
    shared.lifecycle.tasks.spawn(async move {
        if !task.config.write_delay.is_zero() {
            tokio::select! {
                () = tokio::time::sleep(task.config.write_delay) => {}
                () = task.lifecycle.closing.cancelled() => {}
            }
        }
        // This process holds the lease of its writes.
        loop {
            match engine::carry_out(&task, &id, Some(Origin::Accepted)).await {
                Ok(true) => return,
                Ok(false) => {}
                Err(error) => tracing::error!(?error, "an acknowledged write is tried again"),
            }
            tokio::select! {
                () = tokio::time::sleep(RETRY) => {}
                // The process that opens the store next does it.
                () = task.lifecycle.closing.cancelled() => return,
            }
        }
    });
}

/// The message of a version whose write failed. Errors of the contract are shown as they are; others are logged.
pub(crate) fn failure_message(row: i64, error: StoreError) -> String {
    if !matches!(&error, StoreError::Public(_)) {
        tracing::error!(row, ?error, "an acknowledged write failed");
    }
    wire_message(healthimaging::Error::from(error).message())
}

/// Fits a message to the rule of the service model: up to 2048 letters, digits, `_`, back quotes and
/// characters from the space to the colon.
fn wire_message(message: &str) -> String {
    message
        .chars()
        .map(|c| match c {
            ';' => ',',
            ' '..=':' | '_' | '`' => c,
            c if c.is_alphanumeric() => c,
            _ => ' ',
        })
        .take(2048)
        .collect()
}
