//! Hostile input to the program: memory, outcome, and that the rest continues.
#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "a test says that something is wrong by panicking")]

mod answers;
mod codecs;
mod decoders;
mod files;
mod memory;
mod streams;

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use nix::sys::resource::{UsageWho, getrusage};
use serde_json::{Value, json};
use tempfile::TempDir;

const PROGRAM: &str = env!("CARGO_BIN_EXE_healthimaging-mcp-server");

/// The most memory that any process of ours may take for any input of these tests, in MiB.
const MOST_MEMORY: i64 = 400;

/// A store of its own, and a folder of input.
struct Rig {
    folder: TempDir,
}

/// What an import said.
struct Imported {
    output: Output,
    said: String,
}

impl Rig {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("input")).unwrap();
        Self { folder }
    }

    fn input(&self) -> PathBuf {
        self.folder.path().join("input")
    }

    fn put(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.input().join(name);
        std::fs::write(&path, bytes).unwrap();
        path
    }

    /// The program on the store, with nothing of this machine's environment.
    fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(PROGRAM);
        command
            .env_clear()
            .env("TMPDIR", self.folder.path())
            .stdin(Stdio::null())
            .arg("--data-dir")
            .arg(self.folder.path().join("store"))
            .args(words);
        command
    }

    /// Imports the folder of input, within the bound of memory.
    fn import(&self) -> Imported {
        let input = self.input();
        let output = self.command(&["import", input.to_str().unwrap()]).output().unwrap();
        check_memory();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        Imported { output, said }
    }

    fn call(&self, tool: &str, arguments: &Value) -> Value {
        let output = self.command(&["call", tool, &arguments.to_string()]).output().unwrap();
        let answer = String::from_utf8_lossy(&output.stdout).into_owned();
        assert_eq!(output.status.code(), Some(0), "{tool}: {answer}");
        serde_json::from_str(&answer).unwrap()
    }

    /// Whether everything in the store agrees with its checksums.
    fn is_sound(&self) -> bool {
        self.command(&["verify"]).output().unwrap().status.code() == Some(0)
    }

    /// How many image sets there are.
    fn image_sets(&self) -> usize {
        let found = self.call("search_image_sets", &json!({ "max_results": 50 }));
        found["image_sets_metadata_summaries"].as_array().unwrap().len()
    }
}

impl Imported {
    /// How many files were seen, imported, failed and warned of.
    fn check(&self, imported: usize, refused: usize, warned: usize) {
        let all = imported + refused;
        let files = if all == 1 { "file" } else { "files" };
        let expected = format!(
            "{all} {files} seen, {imported} imported, {refused} failed, 0 skipped, {warned} with a warning"
        );
        assert!(self.said.contains(&expected), "not {expected}: {}", self.said);
        let code = match (imported, refused) {
            (_, 0) => 0,
            (0, _) => 1,
            _ => 3,
        };
        assert_eq!(self.output.status.code(), Some(code), "{}", self.said);
    }
}

/// No process that ended so far has taken too much.
fn check_memory() {
    let most = getrusage(UsageWho::RUSAGE_CHILDREN).unwrap().max_rss() >> 10;
    assert!(most > 10, "{most} MiB are too few to be true");
    assert!(most < MOST_MEMORY, "a process took {most} MiB");
}

/// The processes that `parent` started and that still run.
fn children_of(parent: u32) -> Vec<u32> {
    let path = Path::new("/proc").join(parent.to_string()).join("task");
    let Ok(tasks) = std::fs::read_dir(path) else {
        return Vec::new();
    };
    let lists =
        tasks.filter_map(|task| std::fs::read_to_string(task.ok()?.path().join("children")).ok());
    lists
        .flat_map(|list| list.split_whitespace().map(|id| id.parse().unwrap()).collect::<Vec<_>>())
        .collect()
}
