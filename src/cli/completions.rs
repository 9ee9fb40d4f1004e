//! `completions`: the script with which a shell completes commands and options.

use anyhow::Result;
use clap::{Args, CommandFactory as _};
use clap_complete::{Shell, generate};

use super::Cli;
use crate::outcome::Outcome;
use crate::terminal;

/// Name of the program in a shell.
const PROGRAM: &str = "healthimaging-mcp-server";

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// bash, elvish, fish, powershell or zsh
    #[arg(value_enum, hide_possible_values = true)]
    shell: Shell,
}

pub(super) fn run(arguments: &Arguments) -> Result<Outcome> {
    let mut script = Vec::new();
    generate(arguments.shell, &mut Cli::command(), PROGRAM, &mut script);
    let script = String::from_utf8_lossy(&script);
    // clap_complete 4.6 reads the hyphens of the program's name as separators of sub-commands in some of its names.
    let script =
        script.replace("healthimaging__subcmd__mcp__subcmd__server", "healthimaging__mcp__server");
    terminal::result(script.trim_end())?;
    Ok(Outcome::Done)
}
