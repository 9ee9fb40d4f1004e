//! The signals that end a command.

use anyhow::{Context, Result};

/// Waits for ctrl-c or SIGTERM.
pub(crate) async fn stop_signal() -> Result<()> {
    wait().await.context("signals cannot be received")
}

#[cfg(unix)]
async fn wait() -> std::io::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        interrupted = tokio::signal::ctrl_c() => interrupted,
        _ = terminate.recv() => Ok(()),
    }
}

#[cfg(not(unix))]
async fn wait() -> std::io::Result<()> {
    tokio::signal::ctrl_c().await
}
