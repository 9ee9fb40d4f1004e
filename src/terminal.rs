//! Messages for people, on stderr, and results for programs, on stdout.

use std::error::Error;
use std::fmt;
use std::io::{self, IsTerminal, Write};
use std::sync::atomic::{AtomicBool, Ordering};

use healthimaging::{ErrorKind, is_invisible};
use healthimaging_tools::error_document;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::Value;

/// Whether results are printed as JSON.
static JSON: AtomicBool = AtomicBool::new(false);

/// Chooses JSON as the form of results, for the whole process.
pub(crate) fn print_json() {
    JSON.store(true, Ordering::Relaxed);
}

/// Whether results are printed as JSON.
pub(crate) fn is_json() -> bool {
    JSON.load(Ordering::Relaxed)
}

/// Writes the result of a command to stdout if results are printed as JSON: one object in a line.
pub(crate) fn document(document: impl FnOnce() -> Value) -> io::Result<()> {
    if is_json() { result(&document().to_string()) } else { Ok(()) }
}

/// Returns an error in the form in which tools return it.
///
/// An error without a public type is of the command line or of the system.
pub(crate) fn error(error: &anyhow::Error) -> Value {
    let known = error.chain().find_map(|cause| cause.downcast_ref::<healthimaging::Error>());
    let of_system = error.chain().find_map(|cause| cause.downcast_ref::<io::Error>());
    let kind = match of_system.map(io::Error::kind) {
        Some(io::ErrorKind::NotFound) => ErrorKind::NotFound,
        Some(_) => ErrorKind::Internal,
        None => ErrorKind::Validation,
    };
    let mut document =
        known.map_or_else(|| error_document(&healthimaging::Error::new(kind, "")), error_document);
    document.insert("message".to_owned(), visible_lines(&explained(error)).into());
    Value::Object(document)
}

/// Writes lines to stderr; a closed stderr is not an error.
pub(crate) fn note(lines: &str) {
    drop(writeln!(io::stderr(), "{}", visible_lines(lines)));
}

/// Escapes everything in lines of text that could control a terminal or is invisible.
fn visible_lines(lines: &str) -> String {
    lines.split('\n').map(visible).collect::<Vec<_>>().join("\n")
}

/// Escapes everything in a name from a disk or a file that could control a terminal or is invisible.
pub(crate) fn visible(name: &str) -> String {
    let mut shown = String::with_capacity(name.len());
    for c in name.chars() {
        if is_invisible(c) { shown.extend(c.escape_unicode()) } else { shown.push(c) }
    }
    shown
}

/// Why a result could not be written: its reader closed the pipe, as `head` does.
#[derive(Debug)]
pub(crate) struct HungUp;

impl fmt::Display for HungUp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the reader of the results closed the pipe")
    }
}

impl Error for HungUp {}

/// Writes a line to stdout.
pub(crate) fn result(line: &str) -> io::Result<()> {
    // Programs get the text unchanged.
    let line = if io::stdout().is_terminal() { visible_lines(line) } else { line.to_owned() };
    let mut stdout = io::stdout().lock();
    let written = writeln!(stdout, "{line}").and_then(|()| stdout.flush());
    written.map_err(|error| match error.kind() {
        io::ErrorKind::BrokenPipe => io::Error::new(error.kind(), HungUp),
        _ => error,
    })
}

/// Whether a command failed because its reader closed the pipe, which needs no message.
pub(crate) fn is_hung_up(error: &anyhow::Error) -> bool {
    let cause = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
    cause.is_some_and(<dyn Error + Send + Sync>::is::<HungUp>)
}

/// Returns an error and its causes in a line.
///
/// The message of a [`healthimaging::Error`] is complete; what caused it is for the log, and of libraries often a dump
/// of their state.
pub(crate) fn explained(error: &anyhow::Error) -> String {
    let mut messages: Vec<String> = Vec::new();
    for cause in error.chain() {
        let message = cause.to_string();
        if messages.last() != Some(&message) {
            messages.push(message);
        }
        if cause.is::<healthimaging::Error>() {
            break;
        }
    }
    messages.join(": ")
}

/// Whether stdin and stderr are terminals.
pub(crate) fn is_interactive() -> bool {
    io::stdin().is_terminal() && io::stderr().is_terminal()
}

/// Asks a question on stderr; only `y` or `yes` agrees.
pub(crate) fn agrees(question: &str) -> io::Result<bool> {
    let mut stderr = io::stderr();
    write!(stderr, "{} [y/N] ", visible_lines(question))?;
    stderr.flush()?;
    let mut answer = String::new();
    io::stdin().read_line(&mut answer)?;
    let answer = answer.trim();
    Ok(answer.eq_ignore_ascii_case("y") || answer.eq_ignore_ascii_case("yes"))
}

/// A progress bar on stderr, which is drawn on a terminal only.
pub(crate) fn progress_bar(template: &str) -> ProgressBar {
    let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr_with_hz(10));
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
    bar
}

/// A count with its noun: `1 file`, `2 files`.
pub(crate) fn counted(count: u64, noun: &str) -> String {
    if count == 1 { format!("1 {noun}") } else { format!("{count} {noun}s") }
}

/// Bytes as megabytes (10⁶) with one decimal.
pub(crate) fn megabytes(bytes: u64) -> String {
    let tenths = bytes.saturating_add(50_000) / 100_000;
    format!("{}.{} MB", tenths / 10, tenths % 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_a_line_without_what_is_for_the_log() {
        let source = io::Error::other("Dump { of: \"a library\" }");
        let public = healthimaging::Error::internal("the service failed; try again", source);
        let error = anyhow::Error::new(public).context("the store does not open");
        assert_eq!(explained(&error), "the store does not open: the service failed; try again");
        let error =
            anyhow::Error::new(io::Error::other("no space")).context("out cannot be created");
        assert_eq!(explained(&error), "out cannot be created: no space");
    }

    #[test]
    fn names_cannot_steer_a_terminal() {
        assert_eq!(visible("/cd/Müller 1.dcm"), "/cd/Müller 1.dcm");
        assert_eq!(visible_lines("a\rb\nc\u{9B}"), "a\\u{d}b\nc\\u{9b}");
        assert_eq!(visible("a\u{1B}[2J\u{202E}b\n"), "a\\u{1b}[2J\\u{202e}b\\u{a}");
        assert_eq!(visible("a\u{E0041}\u{FE0F}\u{34F}"), "a\\u{e0041}\\u{fe0f}\\u{34f}");
    }

    #[test]
    fn counts_and_sizes_read_well() {
        assert_eq!(counted(1, "file"), "1 file");
        assert_eq!(counted(0, "file"), "0 files");
        assert_eq!(megabytes(0), "0.0 MB");
        assert_eq!(megabytes(1_949_999), "1.9 MB");
        assert_eq!(megabytes(1_950_000), "2.0 MB");
    }
}
