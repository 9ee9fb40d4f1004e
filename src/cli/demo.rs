//! `demo`: a whole conversation with the real server, on generated scans.
//!
//! A temporary store is filled in this process; then this very program is started as a server over
//! stdio and spoken to as an assistant would. Any answer that is not as expected ends it with an
//! error. Nothing is left behind.

mod conversation;
mod script;

use std::io::IsTerminal;
use std::path::Path;

use anyhow::{Context, Result, anyhow, ensure};
use healthimaging::model::JobStatus;
use healthimaging_phantoms::{demo_archive, write_to};
use healthimaging_tools::Client;
use serde_json::Value;
use tokio::process::Command;

use super::serve::stop_signal;
use super::{Outcome, import};
use crate::backend::Backend;
use crate::config::{self, Config};
use crate::terminal::{self, counted, megabytes};
use conversation::Conversation;
use script::{Colour, Script};

/// What the store is made with.
const DATASTORE: &str = "demo";

pub(super) async fn run() -> Result<Outcome> {
    let folder = tempfile::Builder::new()
        .prefix("healthimaging-demo-")
        .tempdir()
        .context("no temporary folder can be made")?;
    let colour = config::may_colour() && std::io::stdout().is_terminal();
    let mut script = Script::new(if colour { Colour::Ansi } else { Colour::Plain });
    let (scans, store) = (folder.path().join("scans"), folder.path().join("store"));
    terminal::result(
        "HealthImaging on this machine: generated scans, a temporary store, no account.",
    )?;

    let told = async {
        fill(&mut script, &scans, &store).await?;
        let client = connect(&mut script, &store).await?;
        let mut conversation = Conversation::new(&mut script, client);
        let held = conversation.hold(&scans).await;
        held.and(conversation.end().await)
    };
    let outcome = tokio::select! {
        outcome = told => outcome,
        heard = stop_signal() => {
            heard.context("signals cannot be heard").and(Err(anyhow!("the demonstration was stopped")))
        }
    };
    let removed = folder.close().context("the temporary folder cannot be removed");
    outcome.and(removed)?;
    terminal::result("\nEverything was as expected; the temporary store is gone.")?;
    Ok(Outcome::Done)
}

/// Makes the scans and imports them.
async fn fill(script: &mut Script, scans: &Path, store: &Path) -> Result<()> {
    script.step("Make scans: a CT, a radiograph, a colour ultrasound loop, an MR")?;
    let target = scans.to_path_buf();
    let bytes = tokio::task::spawn_blocking(move || write_to(&target, demo_archive())).await??;
    script.answered(&format!("{} of synthetic DICOM files", megabytes(bytes)))?;

    script.step("Import them into an embedded store, as `healthimaging-mcp-server import` does")?;
    let backend = Backend::open(&Config::temporary(store)?).await?;
    let (datastore, _) = import::find_or_make(&backend, Some(DATASTORE)).await?;
    let imported =
        backend.store("demo")?.import_paths(&datastore, &[scans.to_path_buf()], |_| ()).await;
    backend.close().await;
    let summary = imported?;
    let done = summary.progress;
    script.answered(&format!(
        "{} in {}; every frame is kept as HTJ2K, lossless, decoded again and compared",
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
    let program = std::env::current_exe().context("this program does not know where it is")?;
    let mut command = Command::new(program);
    // The flags win over whatever the environment says.
    command.args(["--backend=local", "--read-only=false", "--no-delete=false", "--confirm=auto"]);
    command.args(["--log-level=error", "--data-dir"]).arg(store).arg("stdio");
    script.asked("healthimaging-mcp-server --data-dir … stdio", &Value::Null)?;
    Ok(Client::spawn(command).await?)
}
