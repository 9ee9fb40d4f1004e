//! The real program over standard input and output, as MCP clients start it.
#![expect(clippy::panic, clippy::unwrap_used, reason = "a test that cannot go on has to fail")]

mod held;
mod help;
mod long;
mod plain;
mod readers;
mod redaction;
mod streams;
mod transcript;
mod viewer;
mod wire;
mod work;

use std::path::Path;
use std::process::Stdio;

use tokio::process::Command;

/// The program on a store in `folder`, with nothing of the environment that could choose another.
fn program(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_healthimaging-mcp-server"));
    for (name, _) in std::env::vars() {
        if name.starts_with("AWS_") || name.starts_with("HEALTHIMAGING_") {
            command.env_remove(name);
        }
    }
    command
        .args(["--backend", "local", "--data-dir"])
        .arg(folder.join("data"))
        .arg("--allow-path")
        .arg(folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .kill_on_drop(true);
    command
}
