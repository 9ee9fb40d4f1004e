//! `stdio`: MCP over stdin and stdout.

use anyhow::{Context, Result};

use super::Outcome;
use super::serve::stop_signal;
use crate::backend::Backend;
use crate::config::Config;

/// What fits into the pipe to the client, in bytes.
#[cfg(target_os = "linux")]
const PIPE: usize = 1 << 20;

pub(super) async fn run(config: &Config) -> Result<Outcome> {
    widen_stdout();
    let backend = Backend::open(config).await?;
    let server = backend.server(config)?;
    let ended: Result<()> = tokio::select! {
        end = healthimaging_tools::serve_stdio(server) => end.map_err(Into::into),
        heard = stop_signal() => heard.context("signals cannot be heard"),
    };
    backend.close().await;
    ended.map(|()| Outcome::Done)
}

/// With the usual 64 KiB, client and server wake each other several times for each frame that is answered.
/// Not every stdout is a pipe, and the system may have its limit: then it stays as it is.
fn widen_stdout() {
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::pipe::fcntl_setpipe_size(std::io::stdout(), PIPE) {
        tracing::debug!(%error, "stdout stays as it is");
    }
}
