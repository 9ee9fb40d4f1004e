//! The hidden command with which this program starts itself, to have frames decoded apart.

use std::ffi::OsStr;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, Result};
use healthimaging_pixels::Decoder;
use healthimaging_sandbox::{Children, this_binary};

/// The command. No command line reads it: a decoder has no configuration, no log and no runtime, for
/// whatever it has, a hostile frame may have.
pub(crate) const COMMAND: &str = "decode-frames";

/// Decodes compressed frames in child processes.
pub(crate) fn decoder() -> Result<Decoder> {
    let program = this_binary().context("this program does not know where it is")?;
    Ok(Decoder::apart(Arc::new(Children::new(program, COMMAND))))
}

/// Whether this process was started so.
pub(crate) fn is_asked_for() -> bool {
    std::env::args_os().nth(1).as_deref() == Some(OsStr::new(COMMAND))
}

/// Decodes until stdin ends. Nobody reads what it might say; the exit code is for the log of the server.
pub(crate) fn run() -> ExitCode {
    match healthimaging_sandbox::serve() {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}
