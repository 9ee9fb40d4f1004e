//! `stdio`: MCP over stdin and stdout.

use anyhow::Result;
use healthimaging::{Error, ErrorKind};
use healthimaging_tools::{Server, ServerOptions};

use crate::backend::{Backend, server_options};
use crate::config::Config;
use crate::outcome::Outcome;
use crate::stop::stop_signal;
use crate::{idle, streams, terminal};

pub(super) async fn run(config: &Config) -> Result<Outcome> {
    let backend = match Backend::open_to_serve(config).await {
        Ok(backend) => backend,
        Err(error) => return explain(&error, server_options(config)).await,
    };
    let server = backend.server(config, None)?;
    let ended = converse(server).await;
    backend.close().await;
    ended.map(|()| Outcome::Done)
}

async fn converse(server: Server) -> Result<()> {
    idle::watch();
    let (input, output) = (streams::input(), streams::output());
    tokio::select! {
        end = healthimaging_tools::serve(server, input, output) => end.map_err(Into::into),
        stopped = stop_signal() => stopped,
    }
}

/// Answers every call with the reason why the server cannot work: clients show that to their users, and seldom
/// stderr.
pub(super) async fn explain(error: &anyhow::Error, options: ServerOptions) -> Result<Outcome> {
    let reason = terminal::explained(error);
    terminal::note(&format!("error: {reason}"));
    let known = error.chain().find_map(|cause| cause.downcast_ref::<Error>());
    let kind = known.map_or(ErrorKind::Validation, Error::kind);
    let message = format!(
        "this server could not start: {reason}. Correct its settings in the MCP client (command, args, \
         env), then start it again; `healthimaging-mcp-server doctor` checks them"
    );
    let options = ServerOptions {
        backend: "This server could not start; every tool returns the reason.".to_owned(),
        ..options
    };
    converse(Server::unavailable(&Error::new(kind, message), options)?).await?;
    Ok(Outcome::Failed)
}
