//! Words for people and results for programs: stderr is for the former, stdout for the latter.

use std::error::Error;
use std::fmt;
use std::io::{self, IsTerminal, Write};

use healthimaging::is_invisible;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// Writes lines to stderr; a stderr that is gone is no reason to fail.
pub(crate) fn note(lines: &str) {
    drop(writeln!(io::stderr(), "{}", visible_lines(lines)));
}

/// Lines of text, with everything else that could steer a terminal, or is not seen, as escapes.
fn visible_lines(lines: &str) -> String {
    lines.split('\n').map(visible).collect::<Vec<_>>().join("\n")
}

/// A name from a disk or a file, with what could steer a terminal, or is not seen, as escapes.
pub(crate) fn visible(name: &str) -> String {
    let mut shown = String::with_capacity(name.len());
    for c in name.chars() {
        if is_invisible(c) { shown.extend(c.escape_unicode()) } else { shown.push(c) }
    }
    shown
}

/// Why a result could not be written: its reader has seen enough and hung up, as `head` does.
#[derive(Debug)]
pub(crate) struct HungUp;

impl fmt::Display for HungUp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the reader of the results hung up")
    }
}

impl Error for HungUp {}

/// Writes a line to stdout.
pub(crate) fn result(line: &str) -> io::Result<()> {
    // Programs read the text as it is.
    let is_seen = io::stdout().is_terminal();
    let line = if is_seen { visible_lines(line) } else { line.to_owned() };
    let mut stdout = io::stdout().lock();
    let written = writeln!(stdout, "{line}").and_then(|()| stdout.flush());
    written.map_err(|error| match error.kind() {
        io::ErrorKind::BrokenPipe => io::Error::new(error.kind(), HungUp),
        _ => error,
    })
}

/// Whether a command failed because its reader hung up, which needs no words.
pub(crate) fn is_hung_up(error: &anyhow::Error) -> bool {
    let told = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
    told.is_some_and(<dyn Error + Send + Sync>::is::<HungUp>)
}

/// Whether a person types here and reads here.
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

/// A bar on stderr; on anything but a terminal nothing is drawn.
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
