//! How the demonstration is printed: what is asked, what comes back.

use std::io;

use serde_json::Value;

use crate::terminal;

/// Prints the steps; colours only where a terminal shows them.
#[derive(Debug)]
pub(super) struct Script {
    colour: Colour,
    step: u32,
}

/// Whether escape sequences may be printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Colour {
    Plain,
    Ansi,
}

/// Longest request that is printed whole.
const WIDEST: usize = 150;

impl Script {
    pub(super) fn new(colour: Colour) -> Self {
        Self { colour, step: 0 }
    }

    /// Begins a step.
    pub(super) fn step(&mut self, title: &str) -> io::Result<()> {
        self.step += 1;
        let number = self.step;
        terminal::result(&self.painted("1", &format!("\n{number}. {title}")))
    }

    /// What is asked of the server.
    pub(super) fn asked(&self, what: &str, arguments: &Value) -> io::Result<()> {
        let written = match arguments {
            Value::Null => String::new(),
            _ => shortened(&arguments.to_string()),
        };
        terminal::result(&self.painted("36", &format!("   → {what} {written}")))
    }

    /// What came back.
    pub(super) fn answered(&self, line: &str) -> io::Result<()> {
        terminal::result(&self.painted("32", &format!("   ← {line}")))
    }

    /// More of what came back, or what to make of it.
    pub(super) fn detail(line: &str) -> io::Result<()> {
        terminal::result(&format!("     {line}"))
    }

    fn painted(&self, code: &str, text: &str) -> String {
        match self.colour {
            Colour::Ansi => format!("\x1b[{code}m{text}\x1b[0m"),
            Colour::Plain => text.to_owned(),
        }
    }
}

fn shortened(text: &str) -> String {
    match text.char_indices().nth(WIDEST) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}
