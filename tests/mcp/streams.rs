//! Whatever standard input and output are: pipes are what all other tests use.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::program;
use crate::wire::{initialize, request};

/// The program with these as its standard input and output.
fn over(folder: &Path, input: impl Into<Stdio>, output: impl Into<Stdio>) -> Command {
    let mut command = program(folder).into_std();
    command.stdin(input).stdout(output);
    command
}

/// What a client says that lists the tools.
fn conversation() -> String {
    let ready = json!({ "jsonrpc": "2.0", "method": "notifications/initialized" });
    let list = request(1, "tools/list", &json!({}));
    format!("{}\n{ready}\n{list}\n", initialize())
}

fn lists_the_tools(line: &str) {
    let answer: Value = serde_json::from_str(line).unwrap();
    assert_eq!(answer["id"], 1);
    assert!(answer["result"]["tools"].as_array().unwrap().len() > 30);
}

/// Node connects a child to sockets.
#[test]
fn a_client_may_speak_over_sockets() {
    let folder = tempfile::tempdir().unwrap();
    let (mut input, theirs_in) = UnixStream::pair().unwrap();
    let (output, theirs_out) = UnixStream::pair().unwrap();
    let (theirs_in, theirs_out) = (OwnedFd::from(theirs_in), OwnedFd::from(theirs_out));
    let mut command = over(folder.path(), theirs_in, theirs_out);
    let mut child = command.spawn().unwrap();
    drop(command);
    input.write_all(conversation().as_bytes()).unwrap();
    let mut lines = BufReader::new(output).lines();
    lines.next().unwrap().unwrap();
    lists_the_tools(&lines.next().unwrap().unwrap());
    drop(input);
    assert!(child.wait().unwrap().success());
    assert!(lines.next().is_none());
}

#[test]
fn standard_input_and_output_may_be_files() {
    let folder = tempfile::tempdir().unwrap();
    let (said, received) = (folder.path().join("said"), folder.path().join("received"));
    std::fs::write(&said, conversation()).unwrap();
    let (said, into) = (File::open(&said).unwrap(), File::create(&received).unwrap());
    let status = over(&folder.path().join("store"), said, into).status();
    assert!(status.unwrap().success());
    let received = std::fs::read_to_string(received).unwrap();
    lists_the_tools(received.lines().nth(1).unwrap());
}

/// How a pipe is waited for belongs to all who have it open, and a shell goes on to read from it.
#[cfg(target_os = "linux")]
#[test]
fn a_pipe_is_waited_for_as_before() {
    use std::os::fd::AsRawFd as _;

    const O_NONBLOCK: u32 = 0o4000;
    let waits = |file: i32| {
        let info = std::fs::read_to_string(format!("/proc/self/fdinfo/{file}")).unwrap();
        let flags = info.lines().find_map(|line| line.strip_prefix("flags:"));
        u32::from_str_radix(flags.unwrap().trim(), 8).unwrap() & O_NONBLOCK == 0
    };
    let folder = tempfile::tempdir().unwrap();
    let (input, mut said) = std::io::pipe().unwrap();
    let (output, received) = std::io::pipe().unwrap();
    let theirs_in = OwnedFd::from(input.try_clone().unwrap());
    let theirs_out = OwnedFd::from(received.try_clone().unwrap());
    let mut command = over(folder.path(), theirs_in, theirs_out);
    let mut child = command.spawn().unwrap();
    said.write_all(conversation().as_bytes()).unwrap();
    let mut lines = BufReader::new(output).lines();
    lines.next().unwrap().unwrap();
    lists_the_tools(&lines.next().unwrap().unwrap());
    assert!(waits(input.as_raw_fd()) && waits(received.as_raw_fd()));
    drop(said);
    assert!(child.wait().unwrap().success());
}
