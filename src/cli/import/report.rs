//! The report of an import.

use serde_json::{Value, json};

use crate::outcome::Outcome;
use crate::terminal::{self, counted};

/// Most files that are listed of those that failed, and of those that were skipped; the rest is counted.
const LISTED: usize = 20;

/// A file that was not imported.
#[derive(Debug, Clone, Copy)]
pub(super) struct File<'a> {
    pub(super) key: &'a str,
    pub(super) message: &'a str,
}

/// Lists files that were not imported, and counts those beyond the limit.
pub(super) fn list<'a>(what: &str, files: impl Iterator<Item = File<'a>>, count: u64) {
    let mut listed = 0;
    for File { key, message } in files.take(LISTED) {
        listed += 1;
        terminal::note(&format!("{what}: {}: {message}", terminal::visible(key)));
    }
    match count.saturating_sub(listed) {
        0 => {}
        more => terminal::note(&format!("{what}: {more} more")),
    }
}

/// Returns files that were not imported as JSON: the first of them.
pub(super) fn listed<'a>(files: impl Iterator<Item = File<'a>>) -> Vec<Value> {
    let file = |File { key, message }: File<'a>| json!({ "file": key, "message": message });
    files.take(LISTED).map(file).collect()
}

/// What became of the files of an import.
#[derive(Debug)]
pub(super) struct Counts {
    pub(super) seen: u64,
    pub(super) imported: u64,
    pub(super) failed: u64,
    pub(super) skipped: u64,
    /// Noun and count of each kind of skipped files.
    pub(super) kinds: Vec<(&'static str, u64)>,
    pub(super) warned: u64,
}

impl Counts {
    /// Returns how the import went; one that imported nothing failed, also if everything was skipped.
    pub(super) fn outcome(&self) -> Outcome {
        match self.imported {
            0 => Outcome::Failed,
            imported => Outcome::of_items(imported, self.failed, 0),
        }
    }

    /// Returns the result of an import as JSON; `more` is what else there is of it.
    pub(super) fn document(&self, outcome: Outcome, more: Value) -> Value {
        let mut document = json!({
            "outcome": outcome.as_str(),
            "files_seen": self.seen,
            "files_imported": self.imported,
            "files_failed": self.failed,
            "files_skipped": self.skipped,
            "files_warned": self.warned,
        });
        if let (Value::Object(document), Value::Object(more)) = (&mut document, more) {
            document.extend(more);
        }
        document
    }
}

/// Prints the counts in a line.
pub(super) fn count(counts: &Counts) {
    let Counts { seen, imported, failed, skipped, kinds, warned } = counts;
    let kinds: Vec<String> = kinds.iter().map(|(noun, count)| counted(*count, noun)).collect();
    let kinds = if kinds.is_empty() { String::new() } else { format!(" ({})", kinds.join(", ")) };
    terminal::note(&format!(
        "{} seen, {imported} imported, {failed} failed, {skipped} skipped{kinds}, {warned} with a warning",
        counted(*seen, "file"),
    ));
}
