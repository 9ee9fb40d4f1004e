//! The command line: one file a command.

mod call;
mod demo;
mod doctor;
mod export;
mod import;
mod serve;
mod stdio;
mod store;
mod tools;
mod verify;

use std::process::ExitCode;

use anyhow::{Context, Result, anyhow};
use clap::{CommandFactory, Parser, Subcommand};
use tokio::runtime::{Builder, Runtime};

use crate::config::{Config, Options, Usual, log_level};
use crate::{logging, terminal};

/// A Model Context Protocol server for AWS HealthImaging, with an embedded store that needs no account.
///
/// Without a command it speaks MCP over stdin and stdout, as an MCP client expects.
#[derive(Debug, Parser)]
#[command(version, max_term_width = 100)]
pub(crate) struct Cli {
    #[command(flatten)]
    options: Options,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Speak MCP over stdin and stdout
    Stdio,
    /// Serve MCP over HTTP, at /mcp; on the embedded store also the AWS API and DICOMweb
    Serve(serve::Arguments),
    /// Import DICOM files and folders, or the objects under a prefix of S3
    Import(import::Arguments),
    /// Export instances as DICOM files, to a folder or to S3
    Export(export::Arguments),
    /// List the tools
    Tools(tools::Arguments),
    /// Call a tool and print its result as JSON
    Call(call::Arguments),
    /// Tell what is configured, who calls, and what can be reached; changes nothing
    Doctor,
    /// Reread everything in the store against its checksums
    Verify,
    /// Hold a whole conversation with the real server on generated scans, then clean up
    Demo,
}

/// How a command that ran to its end went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// All is well: exit code 0.
    Done,
    /// What was asked for could not be had: exit code 1.
    Refused,
    /// Some of it was refused, the rest was done: exit code 3.
    Partly,
}

impl From<Outcome> for ExitCode {
    fn from(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Done => Self::SUCCESS,
            Outcome::Refused => Self::FAILURE,
            Outcome::Partly => Self::from(3),
        }
    }
}

/// Runs the command.
pub(crate) fn run(cli: Cli) -> Result<Outcome> {
    if cli.command.is_none() && terminal::is_interactive() {
        terminal::note(CONNECT);
        return Ok(Outcome::Done);
    }
    let command = cli.command.unwrap_or(Command::Stdio);
    let config = match configured(cli.options, &command) {
        Err(error) if matches!(command, Command::Stdio) => return explain(&error),
        configured => configured?,
    };
    // The two that serve tell their clients, and the demonstration has a store of its own.
    if !matches!(command, Command::Stdio | Command::Serve(_) | Command::Demo) {
        terminal::note(&config.announcement());
    }
    let runtime = match command {
        Command::Stdio => one_thread()?,
        _ => Runtime::new().context("the async runtime does not start")?,
    };
    let outcome = runtime.block_on(async {
        match command {
            Command::Stdio => stdio::run(&config).await,
            Command::Serve(arguments) => serve::run(&config, arguments).await,
            Command::Import(arguments) => import::run(&config, arguments).await,
            Command::Export(arguments) => export::run(&config, arguments).await,
            Command::Tools(arguments) => tools::run(&config, &arguments),
            Command::Call(arguments) => call::run(&config, arguments).await,
            Command::Doctor => doctor::run(&config).await,
            Command::Verify => verify::run(&config).await,
            Command::Demo => demo::run().await,
        }
    });
    // A read of stdin cannot be cancelled, and must not keep the process from ending.
    runtime.shutdown_background();
    outcome
}

fn configured(options: Options, command: &Command) -> Result<Config> {
    let usual = if matches!(command, Command::Serve(_)) { "info" } else { "warn" };
    logging::start(&log_level(&options, usual))?;
    let usual = match command {
        Command::Stdio => Usual::ByEnvironment,
        _ => Usual::Local,
    };
    Config::resolve(options, usual)
}

/// One client is waited for; handing its calls from thread to thread takes longer than most of them.
fn one_thread() -> Result<Runtime> {
    let runtime = Builder::new_current_thread().enable_all().build();
    runtime.context("the async runtime does not start")
}

/// Tells an MCP client why the server cannot work.
fn explain(error: &anyhow::Error) -> Result<Outcome> {
    let runtime = one_thread()?;
    let outcome = runtime.block_on(stdio::explain(error));
    runtime.shutdown_background();
    outcome
}

/// Flags that cannot be read: told as clap does and, where an MCP client waits, to that client too.
pub(crate) fn misused(error: &clap::Error) -> ExitCode {
    let commands = Cli::command();
    let mut words = std::env::args().skip(1);
    let names_command = words.any(|word| {
        word != "stdio" && commands.get_subcommands().any(|one| one.get_name() == word)
    });
    if !error.use_stderr() || names_command || terminal::is_interactive() {
        error.exit();
    }
    let text = error.render().to_string();
    let first = text.lines().next().unwrap_or_default();
    let first = first.strip_prefix("error: ").unwrap_or(first).to_owned();
    // What fails here has nobody left to be told.
    let _ = explain(&anyhow!(first));
    ExitCode::from(2)
}

/// Told to a person who starts the program by hand.
const CONNECT: &str = concat!(
    "healthimaging-mcp-server ",
    env!("CARGO_PKG_VERSION"),
    ": a Model Context Protocol server for AWS HealthImaging, with an embedded store.

It is started by an MCP client (Kiro, Cursor, VS Code, Claude, Cline), which talks to it over
stdin and stdout. Tell the client about it:

  { \"mcpServers\": { \"healthimaging\": { \"command\": \"healthimaging-mcp-server\" } } }

By hand:
  healthimaging-mcp-server import ~/scans      fill the embedded store with DICOM files
  healthimaging-mcp-server export --out DIR    write DICOM files out of it
  healthimaging-mcp-server tools               what an assistant can do with it
  healthimaging-mcp-server call list_datastores
  healthimaging-mcp-server serve               MCP over HTTP
  healthimaging-mcp-server demo                see it all at work on generated scans
  healthimaging-mcp-server doctor              what is configured, and what can be reached
  healthimaging-mcp-server --help              everything else"
);
