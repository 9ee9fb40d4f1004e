//! The hidden command of the child processes that decode frames.

use std::ffi::OsStr;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, Result};
use healthimaging_pixels::Decoder;
use healthimaging_sandbox::{Children, this_binary};

/// The command. It is not part of the command line: a decoder has no configuration, no log and no runtime, since
/// a hostile frame may take over whatever its process has.
pub(crate) const COMMAND: &str = "decode-frames";

/// Returns a decoder that decodes compressed frames in child processes.
pub(crate) fn decoder() -> Result<Decoder> {
    let program = this_binary().context("the path of this program is unknown")?;
    Ok(Decoder::isolated(Arc::new(Children::new(program, COMMAND))))
}

/// Whether this process was started as a decoder.
pub(crate) fn is_requested() -> bool {
    std::env::args_os().nth(1).as_deref() == Some(OsStr::new(COMMAND))
}

/// Decodes until stdin ends. Its stderr is not read; the exit code is for the log of the server.
pub(crate) fn run() -> ExitCode {
    match healthimaging_sandbox::serve() {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}
