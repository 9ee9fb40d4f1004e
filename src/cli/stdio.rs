//! `stdio`: MCP over stdin and stdout.

use anyhow::{Context, Result};

use super::Outcome;
use super::serve::stop_signal;
use crate::backend::Backend;
use crate::config::Config;
use crate::streams;

pub(super) async fn run(config: &Config) -> Result<Outcome> {
    let backend = Backend::open(config).await?;
    let server = backend.server(config)?;
    let (input, output) = (streams::input(), streams::output());
    let ended: Result<()> = tokio::select! {
        end = healthimaging_tools::serve(server, input, output) => end.map_err(Into::into),
        heard = stop_signal() => heard.context("signals cannot be heard"),
    };
    backend.close().await;
    ended.map(|()| Outcome::Done)
}
