//! `demo`: an end-to-end demo on generated scans.
//!
//! This process fills a temporary store, then starts this program as a server over stdio and calls it as an
//! assistant does. It fails at the first answer that is not as expected, and leaves nothing behind.

mod conversation;
mod script;

use std::io::IsTerminal;
use std::path::Path;

use anyhow::{Context, Result, anyhow, ensure};
use healthimaging::model::JobStatus;
use healthimaging_client::Client;
use healthimaging_phantoms::{demo_archive, write_to};
use serde_json::{Value, json};
use tokio::process::Command;

use super::datastore;
use crate::backend::Backend;
use crate::config::{self, Config};
use crate::outcome::Outcome;
use crate::stop::stop_signal;
use crate::terminal::{self, counted, megabytes};
use conversation::{Conversation, DATASTORE};
use script::{Colors, Script};

pub(super) async fn run() -> Result<Outcome> {
    let folder = tempfile::Builder::new()
        .prefix("healthimaging-demo-")
        .tempdir()
        .context("the temporary folder cannot be created")?;
    let colored = config::may_color() && std::io::stdout().is_terminal();
    let mut script = Script::new(if colored { Colors::Ansi } else { Colors::Plain });
    let (scans, store) = (folder.path().join("scans"), folder.path().join("store"));
    script::print(
        "HealthImaging on this machine: generated scans, a temporary store, no account.",
    )?;

    let demo = async {
        fill(&mut script, &scans, &store).await?;
        let client = connect(&mut script, &store).await?;
        let mut conversation = Conversation::new(&mut script, client);
        let outcome = conversation.run(&scans).await;
        outcome.and(conversation.end().await)
    };
    let outcome = tokio::select! {
        outcome = demo => outcome,
        stopped = stop_signal() => stopped.and(Err(anyhow!("the demo was stopped"))),
    };
    let removed = folder.close().context("the temporary folder cannot be removed");
    outcome.and(removed)?;
    script::print("\nEverything was as expected; the temporary store is gone.")?;
    terminal::document(|| json!({ "outcome": Outcome::Done.as_str() }))?;
    Ok(Outcome::Done)
}

/// Generates the scans and imports them.
async fn fill(script: &mut Script, scans: &Path, store: &Path) -> Result<()> {
    script.step("Generate scans: a CT, a radiograph, a color ultrasound loop, an MR")?;
    let target = scans.to_path_buf();
    let bytes = tokio::task::spawn_blocking(move || write_to(&target, demo_archive())).await??;
    script.answer(&format!("{} of synthetic DICOM files", megabytes(bytes)))?;

    script.step("Import them into an embedded store, as `healthimaging-mcp-server import` does")?;
    let backend = Backend::open(&Config::temporary(store)?).await?;
    let (datastore, _) = datastore::find_or_create(&backend, Some(DATASTORE)).await?;
    let imported =
        backend.store("demo")?.import_paths(&datastore, &[scans.to_path_buf()], |_| ()).await;
    backend.close().await;
    let summary = imported?;
    let done = summary.progress;
    script.answer(&format!(
        "{} in {}; every frame is stored as lossless HTJ2K, decoded again and compared",
        counted(done.files_done, "file"),
        counted(done.image_sets, "image set"),
    ))?;
    ensure!(summary.status == JobStatus::Completed, "the import is {}", summary.status);
    ensure!(done.refused == 0, "generated files were refused");
    ensure!((done.files_done, done.image_sets) == (62, 4), "62 files make 4 image sets");
    Ok(())
}

/// Starts this program as a server on the store.
async fn connect(script: &mut Script, store: &Path) -> Result<Client> {
    script.step("Start the server as an MCP client does")?;
    let program = std::env::current_exe().context("the path of this program is unknown")?;
    let mut command = Command::new(program);
    // Flags win over the environment.
    command.args(["--backend=local", "--read-only=false", "--no-delete=false", "--confirm=auto"]);
    command.args(["--log-level=error", "--data-dir"]).arg(store).arg("stdio");
    script.request("healthimaging-mcp-server --data-dir … stdio", &Value::Null)?;
    Ok(Client::spawn(command).await?)
}
