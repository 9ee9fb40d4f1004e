//! The lines on the wire: both eras, rubbish, and the end.

use std::process::Stdio;
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::time::timeout;

use crate::program;

/// Longer than any answer takes; a server that does not answer fails the test, not the run.
const PATIENCE: Duration = Duration::from_mins(2);

pub(crate) struct Wire {
    child: Child,
    input: ChildStdin,
    output: Lines<BufReader<ChildStdout>>,
    pub(crate) folder: TempDir,
}

impl Wire {
    fn open(arguments: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut command = program(folder.path());
        command.args(arguments);
        Self::over(folder, command)
    }

    /// Starts the program that has its data in `folder`.
    pub(crate) fn over(folder: TempDir, mut command: Command) -> Self {
        let mut child = command.spawn().unwrap();
        let input = child.stdin.take().unwrap();
        let output = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { child, input, output, folder }
    }

    pub(crate) async fn send(&mut self, line: &str) {
        self.input.write_all(line.as_bytes()).await.unwrap();
        self.input.write_all(b"\n").await.unwrap();
    }

    /// The next line, which has to be a message of the protocol.
    pub(crate) async fn next(&mut self) -> Value {
        let line = timeout(PATIENCE, self.output.next_line()).await.unwrap().unwrap().unwrap();
        let message: Value = serde_json::from_str(&line).unwrap();
        assert_eq!(message["jsonrpc"], "2.0", "{line}");
        message
    }

    /// The answer to a request.
    pub(crate) async fn ask(&mut self, request: Value) -> Value {
        self.send(&request.to_string()).await;
        loop {
            let message = self.next().await;
            if message["id"] == request["id"] {
                return message;
            }
        }
    }

    pub(crate) async fn initialize(&mut self) -> Value {
        let answer = self.ask(initialize()).await;
        let ready = json!({ "jsonrpc": "2.0", "method": "notifications/initialized" });
        self.send(&ready.to_string()).await;
        answer
    }

    /// Hangs up; the program has to end by itself, and well.
    pub(crate) async fn hang_up(mut self) {
        drop(self.input);
        let status = timeout(PATIENCE, self.child.wait()).await.unwrap().unwrap();
        assert!(status.success(), "{status}");
    }
}

/// What a client of the old era says first.
pub(crate) fn initialize() -> Value {
    let params = json!({
        "protocolVersion": "2025-06-18",
        "capabilities": {},
        "clientInfo": { "name": "test", "version": "1" }
    });
    request(0, "initialize", &params)
}

pub(crate) fn request(id: u32, method: &str, params: &Value) -> Value {
    json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params })
}

/// The parameters of a request of the new era, which says everything itself.
pub(crate) fn modern(mut params: Value) -> Value {
    params["_meta"] = json!({
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": {},
        "io.modelcontextprotocol/clientInfo": { "name": "test", "version": "1" }
    });
    params
}

#[tokio::test]
async fn a_client_that_initializes_is_served_in_its_version() {
    let mut wire = Wire::open(&[]);
    let greeting = wire.initialize().await;
    assert_eq!(greeting["result"]["protocolVersion"], "2025-06-18");
    assert_eq!(greeting["result"]["serverInfo"]["name"], "healthimaging-mcp-server");
    assert!(greeting["result"]["instructions"].as_str().unwrap().contains("embedded"));
    let list = wire.ask(request(1, "tools/list", &json!({}))).await;
    assert!(list["result"].get("resultType").is_none());
    assert!(list["result"]["tools"].as_array().unwrap().len() >= 18);
    wire.hang_up().await;
}

#[tokio::test]
async fn a_client_of_the_new_era_needs_no_greeting() {
    let mut wire = Wire::open(&[]);
    let found = wire.ask(request(1, "server/discover", &modern(json!({})))).await;
    let versions = found["result"]["supportedVersions"].as_array().unwrap().clone();
    assert!(versions.contains(&json!("2026-07-28")), "{found}");
    let list = wire.ask(request(2, "tools/list", &modern(json!({})))).await;
    assert_eq!(list["result"]["resultType"], "complete");
    assert!(list["result"]["ttlMs"].as_u64().unwrap() > 0);
    let call = modern(json!({ "name": "list_datastores", "arguments": {} }));
    let answer = wire.ask(request(3, "tools/call", &call)).await;
    assert_eq!(answer["result"]["structuredContent"]["datastore_summaries"], json!([]));
    wire.hang_up().await;
}

#[tokio::test]
async fn invalid_lines_do_not_end_the_session() {
    let mut wire = Wire::open(&[]);
    wire.initialize().await;
    for rubbish in ["", "not json", "{\"jsonrpc\":\"2.0\"}", "[[[[[[", "{\"id\":9}", "\u{feff}null"]
    {
        wire.send(rubbish).await;
    }
    let answer = wire.ask(request(1, "no/such/method", &json!({}))).await;
    assert_eq!(answer["error"]["code"], -32601);
    let call = json!({ "name": "get_datastore", "arguments": { "datastore_id": "short" } });
    let answer = wire.ask(request(2, "tools/call", &call)).await;
    assert_eq!(answer["result"]["isError"], true);
    let error = answer["result"]["content"][0]["text"].as_str().unwrap();
    assert_eq!(serde_json::from_str::<Value>(error).unwrap()["type"], "validation_error");
    let call = json!({ "name": "no_such_tool", "arguments": {} });
    let answer = wire.ask(request(3, "tools/call", &call)).await;
    assert_eq!(answer["error"]["code"], -32602);
    wire.hang_up().await;
}

/// JSON-RPC 2.0 section 5.1: -32700 for what is no JSON. The id is left out where it cannot be read, as MCP 2026-07-28 says
/// (Basic, error responses).
#[tokio::test]
async fn garbage_is_answered_and_arguments_may_be_text() {
    let mut wire = Wire::open(&[]);
    wire.send("hello").await;
    assert_eq!(wire.next().await["error"]["code"], -32700);
    wire.initialize().await;
    for (line, code) in [("{", -32700), ("[]", -32600), (r#"{"jsonrpc":"2.0","id":5}"#, -32600)] {
        wire.send(line).await;
        let answer = wire.next().await;
        assert_eq!(answer["error"]["code"], code, "{line}: {answer}");
        assert_eq!(answer["id"], if line.contains("id") { json!(5) } else { json!(null) });
    }
    let call = json!({ "name": "list_datastores", "arguments": "{}" });
    let answer = wire.ask(request(1, "tools/call", &call)).await;
    assert_eq!(answer["result"]["structuredContent"]["datastore_summaries"], json!([]));
    let call = json!({ "name": "list_datastores", "arguments": "[]" });
    let answer = wire.ask(request(2, "tools/call", &call)).await;
    assert_eq!(answer["error"]["code"], -32602);
    wire.hang_up().await;
}

/// An MCP client shows its user what a tool answers, and seldom why a server did not start.
#[tokio::test]
async fn every_tool_returns_a_configuration_error() {
    for (arguments, words) in [
        (["--account-id", "12"], "--account-id"),
        (["--confirm", "perhaps"], "--confirm"),
        (["--data-dir", "/dev/null/store"], "/dev/null/store"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_healthimaging-mcp-server"));
        command.env_clear().args(["--backend", "local"]).args(arguments);
        if arguments[0] != "--data-dir" {
            command.arg("--data-dir").arg(folder.path());
        }
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true);
        let mut wire = Wire::over(folder, command);
        let greeting = wire.initialize().await;
        let instructions = greeting["result"]["instructions"].as_str().unwrap();
        assert!(instructions.contains("could not start"), "{instructions}");
        let list = wire.ask(request(1, "tools/list", &json!({}))).await;
        assert!(list["result"]["tools"].as_array().unwrap().len() > 30);
        let call = json!({ "name": "list_datastores", "arguments": {} });
        let answer = wire.ask(request(2, "tools/call", &call)).await;
        assert_eq!(answer["result"]["isError"], true);
        let error = answer["result"]["content"][0]["text"].as_str().unwrap();
        let error: Value = serde_json::from_str(error).unwrap();
        let message = error["message"].as_str().unwrap();
        assert!(message.contains(words) && message.contains("MCP client"), "{message}");
        let read = json!({ "uri": "healthimaging://datastores" });
        let answer = wire.ask(request(3, "resources/read", &read)).await;
        assert!(answer["error"]["message"].as_str().unwrap().contains(words), "{answer}");
        // It ends with the client, and not well.
        drop(wire.input);
        let status = timeout(PATIENCE, wire.child.wait()).await.unwrap().unwrap();
        assert!(!status.success());
    }
}

#[tokio::test]
async fn a_read_only_server_offers_and_does_nothing_but_reading() {
    let mut writer = Wire::open(&[]);
    writer.initialize().await;
    let mut command = program(writer.folder.path());
    command.arg("--read-only");
    let mut wire = Wire::over(tempfile::tempdir().unwrap(), command);
    wire.initialize().await;
    let list = wire.ask(request(1, "tools/list", &json!({}))).await;
    for tool in list["result"]["tools"].as_array().unwrap() {
        assert_eq!(tool["annotations"]["readOnlyHint"], true, "{}", tool["name"]);
    }
    let call = json!({ "name": "create_datastore", "arguments": { "datastore_name": "x" } });
    let answer = wire.ask(request(2, "tools/call", &call)).await;
    assert_eq!(answer["error"]["code"], -32602);
    let call = json!({ "name": "list_datastores", "arguments": {} });
    let answer = wire.ask(request(3, "tools/call", &call)).await;
    assert_eq!(answer["result"]["structuredContent"]["datastore_summaries"], json!([]));
    wire.hang_up().await;
    writer.hang_up().await;
}

#[tokio::test]
async fn a_read_only_server_does_not_create_a_store() {
    let mut wire = Wire::open(&["--read-only"]);
    wire.initialize().await;
    let call = json!({ "name": "list_datastores", "arguments": {} });
    let answer = wire.ask(request(1, "tools/call", &call)).await;
    assert_eq!(answer["result"]["isError"], true);
    assert!(answer["result"]["content"][0]["text"].as_str().unwrap().contains("check --data-dir"));
    assert_eq!(wire.folder.path().read_dir().unwrap().count(), 0);
    drop(wire.input);
    let status = timeout(PATIENCE, wire.child.wait()).await.unwrap().unwrap();
    assert!(!status.success());
}

/// As a shell does: `... | healthimaging-mcp-server`.
#[tokio::test]
async fn a_client_that_hung_up_is_answered() {
    let mut wire = Wire::open(&[]);
    wire.initialize().await;
    // It reports progress, and that the list of resources changed.
    let params = json!({
        "name": "create_datastore",
        "arguments": { "datastore_name": "ward", "wait_seconds": 60 },
        "_meta": { "progressToken": 1 }
    });
    wire.send(&request(1, "tools/call", &params).to_string()).await;
    drop(wire.input);
    loop {
        let line = timeout(PATIENCE, wire.output.next_line()).await.unwrap();
        let line = line.unwrap().expect("it is answered before the end");
        let message: Value = serde_json::from_str(&line).unwrap();
        if message["id"] == 1 {
            assert_eq!(message["result"]["isError"], false, "{message}");
            break;
        }
    }
}
