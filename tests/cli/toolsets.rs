//! Toolsets: flags and variables, over `tools`, `call`, stdio and HTTP.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};

use crate::http::Served;
use crate::rig::{Rig, stderr, stdout};

const JOBS: [&str; 3] = ["cancel_job", "get_job", "list_jobs"];

fn names(output: &Output) -> Vec<String> {
    let listed: Vec<Value> = serde_json::from_slice(&output.stdout).unwrap();
    listed.iter().map(|tool| tool["name"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn flags_and_variables_select_tools() {
    let rig = Rig::new();
    let listed = |words: &[&str], variables: &[(&str, &str)]| {
        let mut command = rig.command(&["tools", "--json"]);
        names(&command.args(words).envs(variables.iter().copied()).output().unwrap())
    };
    assert_eq!(listed(&["--toolsets", "jobs"], &[]), JOBS);
    assert_eq!(listed(&[], &[("HEALTHIMAGING_TOOLSETS", "jobs")]), JOBS);
    let by_name = [("HEALTHIMAGING_TOOLSETS", " tags , jobs"), ("HEALTHIMAGING_READ_ONLY", "true")];
    assert_eq!(listed(&[], &by_name), ["get_job", "list_jobs", "list_tags_for_resource"]);
    assert_eq!(listed(&["--tools", "get_job,tag_resource"], &[]), ["get_job", "tag_resource"]);
    let without = ["--toolsets", "jobs", "--exclude-tools", "cancel_job"];
    assert_eq!(listed(&without, &[]), ["get_job", "list_jobs"]);
    assert!(
        !listed(&["--no-delete", "--toolsets", "core,erase"], &[]).contains(&"delete_study".into())
    );
    let lean = rig.run(&["tools", "--json", "--schemas", "lean"]);
    assert!(stdout(&lean).contains("input_schema") && !stdout(&lean).contains("output_schema"));
}

#[test]
fn an_unknown_name_ends_the_start_and_lists_the_known_ones() {
    let rig = Rig::new();
    for (words, known) in [
        (["--toolsets", "pictures"], "core, all, or some of datastores, search"),
        (["--tools", "delete_all"], "cancel_job"),
        (["--exclude-tools", "x"], "cancel_job"),
        (["--toolsets", "erase"], "leaves no tool"),
    ] {
        for command in ["tools", "stdio", "serve"] {
            let mut words = vec![command, words[0], words[1]];
            if known == "leaves no tool" {
                words.push("--read-only");
            }
            let output = rig.run(&words);
            assert_eq!(output.status.code(), Some(2), "{words:?}: {}", stderr(&output));
            assert!(stderr(&output).contains(known), "{words:?}: {}", stderr(&output));
        }
    }
    assert!(!rig.path("store").exists());
}

#[test]
fn calls_of_what_is_not_offered_are_refused() {
    let rig = Rig::new();
    let output = rig.run(&["--toolsets", "search", "call", "create_datastore", "{}"]);
    assert_eq!(output.status.code(), Some(1));
    let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(answer["type"], "not_found");
    assert!(answer["message"].as_str().unwrap().contains("--toolsets"), "{answer}");
}

fn listed(answer: &Value) -> Vec<&str> {
    let tools = answer["result"]["tools"].as_array().unwrap();
    tools.iter().map(|tool| tool["name"].as_str().unwrap()).collect()
}

/// A request of a client without `initialize`.
fn list() -> String {
    let meta = json!({
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientInfo": { "name": "test", "version": "1" },
        "io.modelcontextprotocol/clientCapabilities": {}
    });
    json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": { "_meta": meta } })
        .to_string()
}

#[test]
fn stdio_and_http_list_the_same_selection() {
    let rig = Rig::new();
    let mut command: Command = rig.command(&["--toolsets", "jobs"]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    writeln!(child.stdin.as_ref().unwrap(), "{}", list()).unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    drop(child.stdin.take());
    assert!(child.wait().unwrap().success());
    assert_eq!(listed(&serde_json::from_str(&line).unwrap()), JOBS);

    let served = Served::start(&rig, &["--toolsets", "jobs"]);
    let body = list();
    let headers = format!(
        "Content-Type: application/json\r\nAccept: application/json\r\nMcp-Method: tools/list\r\n\
         MCP-Protocol-Version: 2026-07-28\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let answer = served.ask("POST /mcp", &headers);
    let (_, json) = answer.split_once("\r\n\r\n").unwrap();
    assert_eq!(listed(&serde_json::from_str(json).unwrap()), JOBS, "{answer}");
}
