//! `healthimaging-mcp-server`: opens a back end and serves a face.

mod backend;
mod cli;
mod config;
mod decoding;
mod environment;
#[cfg(feature = "local")]
mod ephemeral;
mod idle;
mod logging;
mod options;
mod outcome;
mod stop;
mod streams;
mod terminal;

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    if decoding::is_requested() {
        return decoding::run();
    }
    environment::drop_empty();
    let cli = match cli::Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return cli::misused(&error),
    };
    match cli::run(cli) {
        Ok(outcome) => outcome.into(),
        Err(error) if terminal::is_hung_up(&error) => ExitCode::FAILURE,
        Err(error) => {
            terminal::note(&format!("error: {}", terminal::explained(&error)));
            // The exit code says the same if stdout is closed.
            let _ = terminal::document(|| terminal::error(&error));
            outcome::Outcome::of(&error).into()
        }
    }
}
