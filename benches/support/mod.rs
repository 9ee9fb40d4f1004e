//! What the benches share: the server as a child process, a store in a folder of its own, and percentiles.
#![expect(dead_code, reason = "each bench uses a part")]

use std::error::Error;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use healthimaging::model::{CreateDatastoreRequest, DatastoreStatus, GetDatastoreRequest};
use healthimaging::{DatastoreId, HealthImaging};
use healthimaging_local::{LocalConfig, LocalStore};

pub(crate) type Outcome<T> = Result<T, Box<dyn Error>>;

/// The release binary on the store in `data`.
pub(crate) fn command(data: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_healthimaging-mcp-server"));
    command
        .args(["--backend", "local", "--data-dir"])
        .arg(data)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped());
    command
}

/// The server on stdio.
pub(crate) struct Server {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Server {
    pub(crate) fn start(data: &Path) -> Outcome<Self> {
        let mut child = command(data).spawn()?;
        let input = child.stdin.take().ok_or("no stdin")?;
        let output = BufReader::new(child.stdout.take().ok_or("no stdout")?);
        Ok(Self { child, input, output })
    }

    pub(crate) fn initialize(&mut self) -> Outcome<String> {
        self.ask(
            r#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"bench","version":"1"}}}"#,
        )
    }

    pub(crate) fn list_tools(&mut self) -> Outcome<String> {
        self.say(r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#)?;
        self.ask(r#"{"jsonrpc":"2.0","id":2,"method":"tools/list"}"#)
    }

    fn say(&mut self, message: &str) -> Outcome<()> {
        writeln!(self.input, "{message}")?;
        Ok(self.input.flush()?)
    }

    fn ask(&mut self, message: &str) -> Outcome<String> {
        self.say(message)?;
        let mut answer = String::new();
        self.output.read_line(&mut answer)?;
        Ok(answer)
    }

    /// Resident memory now.
    pub(crate) fn resident_mib(&self) -> Outcome<f64> {
        memory_mib(self.child.id(), "VmRSS:")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A figure of a process's memory, as Linux reports it.
pub(crate) fn memory_mib(process: u32, figure: &str) -> Outcome<f64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix(figure));
    let kib: f64 = line
        .and_then(|line| line.split_whitespace().next())
        .ok_or("the system does not report the memory of a process")?
        .parse()?;
    Ok(kib / 1024.0)
}

/// A store in `data`, with a data store that can be used.
pub(crate) async fn open(data: &Path) -> Outcome<(Arc<LocalStore>, DatastoreId)> {
    let store = LocalStore::open(LocalConfig::new(data)).await?;
    let datastore = store.create_datastore(CreateDatastoreRequest::default()).await?.datastore_id;
    let request = GetDatastoreRequest { datastore_id: datastore.clone() };
    // It is `CREATING` for a moment.
    loop {
        let found = store.get_datastore(request.clone()).await?;
        if found.datastore_properties.datastore_status == DatastoreStatus::Active {
            return Ok((store, datastore));
        }
        tokio::task::yield_now().await;
    }
}

/// Milliseconds of the one that so many percent of `times` do not exceed.
pub(crate) fn percentile(times: &mut [Duration], percent: usize) -> f64 {
    times.sort_unstable();
    let at = (times.len() * percent / 100).min(times.len().saturating_sub(1));
    milliseconds(times.get(at).copied().unwrap_or_default())
}

pub(crate) fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

#[expect(clippy::cast_precision_loss, reason = "a count")]
pub(crate) fn a_second(count: usize, took: Duration) -> f64 {
    count as f64 / took.as_secs_f64()
}
