//! The command line: one file a command.

mod audit;
#[cfg(feature = "local")]
mod backup;
mod call;
mod certificate;
mod completions;
mod datastore;
#[cfg(feature = "local")]
mod demo;
mod doctor;
mod export;
mod import;
mod redact_token;
mod serve;
mod stdio;
mod tools;
mod transfer;
#[cfg(feature = "local")]
mod verify;

use std::process::ExitCode;

use anyhow::{Context, Result, anyhow};
use clap::{CommandFactory, Parser, Subcommand};
use healthimaging_audit::{Actor, as_actor};
use healthimaging_tools::ServerOptions;
use tokio::runtime::{Builder, Runtime};

use crate::config::{Config, DefaultBackend, log_level};
use crate::options::Options;
use crate::outcome::Outcome;
use crate::{logging, terminal};

/// A Model Context Protocol server for AWS HealthImaging, with an embedded store that needs no account
#[derive(Debug, Parser)]
#[command(version, max_term_width = 100, after_help = VARIABLES)]
pub(crate) struct Cli {
    #[command(flatten, next_help_heading = "Global options")]
    options: Options,
    #[command(subcommand)]
    command: Option<Command>,
}

const VARIABLES: &str = "\
Without a command, the program serves MCP over stdin and stdout, as an MCP client expects.
Each option has an environment variable: HEALTHIMAGING_DATA_DIR is that of --data-dir. The log level
is read from AWS_LOG_LEVEL and RUST_LOG too.";

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve MCP over stdin and stdout
    Stdio,
    /// Serve MCP over HTTP; with the embedded store also the AWS API and DICOMweb
    Serve(serve::Arguments),
    /// Import DICOM files and folders, or the objects of an S3 prefix
    Import(import::Arguments),
    /// Export instances as DICOM files, to a folder or to S3
    Export(Box<export::Arguments>),
    /// Transfer studies to another data store, also between the embedded store and AWS
    Transfer(Box<transfer::Arguments>),
    /// List the tools
    Tools,
    /// Call a tool and print its result as JSON
    Call(call::Arguments),
    /// Print the token that --redact-phi shows in place of a value
    RedactToken(redact_token::Arguments),
    /// Show configuration, identity and reachability; changes nothing
    Doctor,
    /// Check or show the audit log
    Audit(audit::Arguments),
    /// List, show or check certificates of erasure
    Certificate(certificate::Arguments),
    /// Check everything in the embedded store against its checksums
    #[cfg(feature = "local")]
    Verify,
    /// Copy the embedded store to a new folder and verify the copy, during use
    #[cfg(feature = "local")]
    Backup(backup::Arguments),
    /// Copy a backup to the data folder, which must be missing or empty, and verify it
    #[cfg(feature = "local")]
    Restore(backup::Arguments),
    /// Run an end-to-end demo on generated scans, then clean up
    #[cfg(feature = "local")]
    Demo,
    /// Print the script with which a shell completes commands and options
    Completions(completions::Arguments),
}

impl Command {
    /// Its name in the audit log.
    fn name(&self) -> &'static str {
        match self {
            Self::Stdio => "stdio",
            Self::Serve(_) => "serve",
            Self::Import(_) => "import",
            Self::Export(_) => "export",
            Self::Transfer(_) => "transfer",
            Self::Tools => "tools",
            Self::Call(_) => "call",
            Self::Doctor => "doctor",
            Self::RedactToken(_) => "redact-token",
            Self::Audit(_) => "audit",
            Self::Certificate(_) => "certificate",
            Self::Completions(_) => "completions",
            #[cfg(feature = "local")]
            Self::Verify => "verify",
            #[cfg(feature = "local")]
            Self::Backup(_) => "backup",
            #[cfg(feature = "local")]
            Self::Restore(_) => "restore",
            #[cfg(feature = "local")]
            Self::Demo => "demo",
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
    // On stdio, stdout belongs to the protocol.
    if cli.options.print_json && !matches!(command, Command::Stdio) {
        terminal::print_json();
    }
    let config = match configured(cli.options, &command) {
        Err(error) if matches!(command, Command::Stdio) => {
            explain(&error)?;
            return Ok(Outcome::of(&error));
        }
        configured => configured?,
    };
    if announces(&command) {
        terminal::note(&config.announcement());
    }
    let runtime = match command {
        Command::Stdio => one_thread()?,
        _ => Runtime::new().context("the async runtime does not start")?,
    };
    let actor = Actor { tool: Some(command.name().to_owned()), ..Actor::at("command line") };
    let outcome = runtime.block_on(as_actor(actor, async {
        match command {
            Command::Stdio => stdio::run(&config).await,
            Command::Serve(arguments) => serve::run(&config, arguments).await,
            Command::Import(arguments) => import::run(&config, arguments).await,
            Command::Export(arguments) => export::run(&config, *arguments).await,
            Command::Transfer(arguments) => transfer::run(&config, *arguments).await,
            Command::Tools => tools::run(&config),
            Command::Call(arguments) => call::run(&config, arguments).await,
            Command::Doctor => doctor::run(&config).await,
            Command::RedactToken(arguments) => redact_token::run(&config, &arguments),
            Command::Audit(arguments) => audit::run(&config, arguments),
            Command::Certificate(arguments) => certificate::run(&config, arguments).await,
            #[cfg(feature = "local")]
            Command::Verify => verify::run(&config).await,
            #[cfg(feature = "local")]
            Command::Backup(arguments) => backup::back_up(&config, &arguments).await,
            #[cfg(feature = "local")]
            Command::Restore(arguments) => backup::restore(&config, &arguments).await,
            #[cfg(feature = "local")]
            Command::Demo => demo::run().await,
            Command::Completions(arguments) => completions::run(&arguments),
        }
    }));
    // A read of stdin cannot be cancelled, and must not keep the process from ending.
    runtime.shutdown_background();
    outcome
}

/// Whether a command prints which back end it uses. Those that serve report it to their clients, and the demo has a
/// store of its own.
fn announces(command: &Command) -> bool {
    match command {
        Command::Stdio | Command::Serve(_) => false,
        #[cfg(feature = "local")]
        Command::Demo => false,
        Command::Completions(_) | Command::RedactToken(_) => false,
        _ => true,
    }
}

fn configured(options: Options, command: &Command) -> Result<Config> {
    let default = if matches!(command, Command::Serve(_)) { "info" } else { "warn" };
    let level = log_level(&options, default);
    logging::start(&level.text, level.source)?;
    let default = match command {
        Command::Stdio => DefaultBackend::ByEnvironment,
        _ => DefaultBackend::Local,
    };
    Config::resolve(options, default)
}

/// There is one client; handing its calls from thread to thread takes longer than most of them.
fn one_thread() -> Result<Runtime> {
    let runtime = Builder::new_current_thread().enable_all().build();
    runtime.context("the async runtime does not start")
}

/// Reports to an MCP client why the server cannot work.
fn explain(error: &anyhow::Error) -> Result<Outcome> {
    let runtime = one_thread()?;
    let outcome = runtime.block_on(stdio::explain(error, ServerOptions::default()));
    runtime.shutdown_background();
    outcome
}

/// Reports invalid flags: on stderr as clap does and, where an MCP client waits, to that client.
pub(crate) fn misused(error: &clap::Error) -> ExitCode {
    let commands = Cli::command();
    let mut words = std::env::args().skip(1);
    let names_command = words.any(|word| {
        word != "stdio" && commands.get_subcommands().any(|one| one.get_name() == word)
    });
    let message = in_a_line(&error.render().to_string());
    let wants_json = wants_json();
    if !error.use_stderr() || names_command || wants_json || terminal::is_interactive() {
        if error.use_stderr() && wants_json {
            terminal::print_json();
            // The exit code says the same if stdout is closed.
            let _ = terminal::document(|| terminal::error(&anyhow!(message)));
        }
        error.exit();
    }
    // The exit code is all that is left if this fails.
    let _ = explain(&anyhow!(message));
    ExitCode::from(2)
}

/// Whether results are to be printed as JSON, where the flags could not be read. On stdio, stdout belongs to the protocol.
fn wants_json() -> bool {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let is_named = |name: &str| words.iter().any(|word| word == name);
    let by_flag = is_named("--json") || is_named("--json=true");
    let by_variable = || std::env::var("HEALTHIMAGING_JSON").is_ok_and(|set| set == "true");
    (by_flag || by_variable()) && !is_named("stdio")
}

/// The message of an error of clap, without the usage.
fn in_a_line(text: &str) -> String {
    let ends = |line: &&str| !line.starts_with("Usage:") && !line.starts_with("For more");
    let lines = text.lines().map(str::trim).take_while(ends).filter(|line| !line.is_empty());
    let message = lines.collect::<Vec<_>>().join(" ");
    message.strip_prefix("error: ").unwrap_or(&message).to_owned()
}

/// Printed for a person who starts the program by hand.
const CONNECT: &str = concat!(
    "healthimaging-mcp-server ",
    env!("CARGO_PKG_VERSION"),
    ": a Model Context Protocol server for AWS HealthImaging, with an embedded store.

An MCP client (Kiro, Cursor, VS Code, Claude, Cline) starts it and uses its stdin and stdout.
Add it to the client's configuration:

  { \"mcpServers\": { \"healthimaging\": { \"command\": \"healthimaging-mcp-server\" } } }

On the command line:
  healthimaging-mcp-server import ~/scans      import DICOM files into the embedded store
  healthimaging-mcp-server export --out DIR    export DICOM files
  healthimaging-mcp-server tools               list the tools of an assistant
  healthimaging-mcp-server call list_datastores
  healthimaging-mcp-server serve               serve MCP over HTTP
  healthimaging-mcp-server demo                run an end-to-end demo on generated scans
  healthimaging-mcp-server doctor              show configuration and reachability
  healthimaging-mcp-server --help              list everything else"
);
