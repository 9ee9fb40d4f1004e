//! The program, on a store of its own for one test.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use healthimaging_phantoms::{Archive, write_to};
use serde_json::Value;
use tempfile::TempDir;

/// A store and a folder of scans of its own.
pub(crate) struct Rig {
    pub(crate) folder: TempDir,
}

impl Rig {
    pub(crate) fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The program on the store, with nothing of this machine's environment.
    pub(crate) fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_healthimaging-mcp-server"));
        command.env_clear().env("TMPDIR", self.folder.path()).stdin(Stdio::null());
        command.arg("--data-dir").arg(self.path("store")).args(words);
        command
    }

    pub(crate) fn run(&self, words: &[&str]) -> Output {
        self.command(words).output().unwrap()
    }

    pub(crate) fn call(&self, tool: &str, arguments: &Value) -> Value {
        let output = self.run(&["call", tool, &arguments.to_string()]);
        assert_eq!(output.status.code(), Some(0), "{tool}: {}", stdout(&output));
        serde_json::from_slice(&output.stdout).unwrap()
    }

    /// Two series of three slices.
    pub(crate) fn scans(&self) -> PathBuf {
        let archive = Archive {
            patients: 1,
            studies: 1,
            series: 2,
            instances: 3,
            size: 32,
            ..Archive::default()
        };
        write_to(&self.path("scans"), archive.files()).unwrap();
        self.path("scans")
    }
}

pub(crate) fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

pub(crate) fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

pub(crate) fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}
