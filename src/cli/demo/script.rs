//! Prints the steps, requests and answers of the demo.

use std::io;

use serde_json::Value;

use crate::terminal;

/// Prints the steps of the demo.
#[derive(Debug)]
pub(super) struct Script {
    colors: Colors,
    step: u32,
}

/// Whether escape sequences may be printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Colors {
    Plain,
    Ansi,
}

/// Most characters of a request that are printed.
const WIDEST: usize = 150;

impl Script {
    pub(super) fn new(colors: Colors) -> Self {
        Self { colors, step: 0 }
    }

    /// Prints the title of a step.
    pub(super) fn step(&mut self, title: &str) -> io::Result<()> {
        self.step += 1;
        let number = self.step;
        print(&self.painted("1", &format!("\n{number}. {title}")))
    }

    /// Prints a request.
    pub(super) fn request(&self, what: &str, arguments: &Value) -> io::Result<()> {
        let written = match arguments {
            Value::Null => String::new(),
            _ => shortened(&arguments.to_string()),
        };
        print(&self.painted("36", &format!("   → {what} {written}")))
    }

    /// Prints an answer.
    pub(super) fn answer(&self, line: &str) -> io::Result<()> {
        print(&self.painted("32", &format!("   ← {line}")))
    }

    /// Prints more of an answer, or a remark.
    pub(super) fn detail(line: &str) -> io::Result<()> {
        print(&format!("     {line}"))
    }

    fn painted(&self, code: &str, text: &str) -> String {
        match self.colors {
            Colors::Ansi => format!("\x1b[{code}m{text}\x1b[0m"),
            Colors::Plain => text.to_owned(),
        }
    }
}

/// Prints a line for a person: on stderr if the result is JSON.
pub(super) fn print(line: &str) -> io::Result<()> {
    if terminal::is_json() {
        terminal::note(line);
        return Ok(());
    }
    terminal::result(line)
}

fn shortened(text: &str) -> String {
    match text.char_indices().nth(WIDEST) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}
