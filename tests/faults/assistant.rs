//! The program as a child process that can be killed, called line by line as by an assistant.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::time::timeout;

/// Longer than any answer takes; a server that does not answer fails the test, not the run.
const PATIENCE: Duration = Duration::from_mins(3);

/// The program on the data folder below `folder`, with nothing of the environment that could choose another.
pub(crate) fn program(folder: &Path) -> Command {
    let mut command = bare_program(folder);
    command.arg("--allow-path").arg(folder);
    command
}

/// The same without a folder that `file://` may touch.
pub(crate) fn bare_program(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_healthimaging-mcp-server"));
    for (name, _) in std::env::vars() {
        if name.starts_with("AWS_") || name.starts_with("HEALTHIMAGING_") {
            command.env_remove(name);
        }
    }
    command
        .args(["--backend", "local", "--confirm", "never", "--data-dir"])
        .arg(folder.join("data"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .kill_on_drop(true);
    command
}

/// One life of the program.
pub(crate) struct Assistant {
    child: Child,
    input: ChildStdin,
    output: Lines<BufReader<ChildStdout>>,
    asked: u64,
}

impl Assistant {
    /// Starts the program and greets it.
    pub(crate) async fn start(folder: &Path) -> Self {
        Self::of(&mut program(folder)).await
    }

    /// Starts a program with flags of its own and greets it.
    pub(crate) async fn of(program: &mut Command) -> Self {
        let mut child = program.spawn().unwrap();
        let input = child.stdin.take().unwrap();
        let output = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut assistant = Self { child, input, output, asked: 0 };
        let greeting = json!({
            "protocolVersion": "2025-06-18", "capabilities": {},
            "clientInfo": { "name": "test", "version": "1" }
        });
        assistant.ask("initialize", greeting).await;
        let ready = json!({ "jsonrpc": "2.0", "method": "notifications/initialized" });
        assistant.send(&ready).await;
        assistant
    }

    async fn send(&mut self, message: &Value) {
        let line = format!("{message}\n");
        self.input.write_all(line.as_bytes()).await.unwrap();
    }

    async fn ask(&mut self, method: &str, params: Value) -> Value {
        self.asked += 1;
        let id = self.asked;
        let request = json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params });
        self.send(&request).await;
        loop {
            let line = timeout(PATIENCE, self.output.next_line()).await.unwrap();
            let message: Value = serde_json::from_str(&line.unwrap().unwrap()).unwrap();
            if message["id"] == id {
                return message["result"].clone();
            }
        }
    }

    /// Calls a tool that has to do what is asked.
    pub(crate) async fn call(&mut self, tool: &str, arguments: Value) -> Value {
        let result = self.ask("tools/call", json!({ "name": tool, "arguments": arguments })).await;
        assert_ne!(result["isError"], true, "{tool}: {result}");
        result["structuredContent"].clone()
    }

    /// Ends the program as a power cut does.
    pub(crate) async fn kill(mut self) {
        self.child.kill().await.unwrap();
    }

    /// Asks the program to end, as a service manager does; it has to end well.
    pub(crate) async fn stop(mut self) {
        stop(&mut self.child).await;
    }
}

/// Sends SIGTERM and waits for a good end.
pub(crate) async fn stop(child: &mut Child) {
    let id = child.id().unwrap().to_string();
    let sent = Command::new("kill").args(["-TERM", &id]).status().await;
    assert!(sent.unwrap().success());
    let ended = timeout(PATIENCE, child.wait()).await.unwrap().unwrap();
    assert_eq!(ended.code(), Some(0));
}
