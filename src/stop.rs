//! The signals that end a command.

use anyhow::{Context, Result};

/// Waits for ctrl-c, SIGTERM or SIGHUP, which a terminal sends when it closes.
pub(crate) async fn stop_signal() -> Result<()> {
    wait().await.context("signals cannot be received")
}

#[cfg(unix)]
async fn wait() -> std::io::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate())?;
    let mut hang_up = signal(SignalKind::hangup())?;
    tokio::select! {
        interrupted = tokio::signal::ctrl_c() => interrupted,
        _ = terminate.recv() => Ok(()),
        _ = hang_up.recv() => Ok(()),
    }
}

#[cfg(not(unix))]
async fn wait() -> std::io::Result<()> {
    tokio::signal::ctrl_c().await
}
