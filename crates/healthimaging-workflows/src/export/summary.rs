//! The summary of a de-identified export, for an ethics board: what was done, in counts and names of attributes.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde_json::Value;

use healthimaging::JobId;
use healthimaging_deidentify::TABLE_SOURCE;

use super::deidentified::Attributes;
use crate::deidentify::{Deidentify, Outcome, Review};
use crate::plan::counted;
use crate::work::{ItemOutcome, ItemResult};

/// Held-back files that are listed; all of them are in the report.
const LISTED: usize = 1000;

/// Columns of the table of attributes.
const OUTCOMES: [(Outcome, &str); 8] = [
    (Outcome::Removed, "removed"),
    (Outcome::Emptied, "emptied"),
    (Outcome::Replaced, "replaced"),
    (Outcome::NewUid, "new UID"),
    (Outcome::DateShifted, "date shifted"),
    (Outcome::Cleaned, "cleaned"),
    (Outcome::Kept, "kept by an option"),
    (Outcome::Set, "set"),
];

const LIMITS: &str = "\
- Free text that an option keeps was cleaned by rules, which cannot prove that it names no person.
- Burned-in text is judged by kind of image, not by reading it. Text inside an ultrasound region stays.
- Faces in volumes were not removed.
- Frames that were not blanked are stored as they were, with comments inside of compressed frames, if there are any.
";

/// Counts of a de-identified export.
pub(super) struct Summary<'a> {
    deidentify: &'a Deidentify,
    unchanged: u64,
    blanked: u64,
    absent: u64,
    failed: u64,
    /// Files held back, by reason.
    reasons: BTreeMap<String, u64>,
    held_back: Vec<(String, String)>,
    /// Files in which an attribute had an outcome.
    attributes: BTreeMap<String, BTreeMap<Outcome, u64>>,
}

impl<'a> Summary<'a> {
    pub(super) fn new(deidentify: &'a Deidentify) -> Self {
        Self {
            deidentify,
            unchanged: 0,
            blanked: 0,
            absent: 0,
            failed: 0,
            reasons: BTreeMap::new(),
            held_back: Vec::new(),
            attributes: BTreeMap::new(),
        }
    }

    /// Counts a file.
    pub(super) fn add(&mut self, outcome: &ItemOutcome, attributes: Option<&Attributes>) {
        let detail = |name: &str| outcome.details.get(name).and_then(Value::as_str);
        match outcome.result {
            ItemResult::HeldBack => {
                let message = detail("message").unwrap_or("unknown").to_owned();
                *self.reasons.entry(message.clone()).or_default() += 1;
                if self.held_back.len() < LISTED {
                    self.held_back.push((outcome.item.clone(), message));
                }
                return;
            }
            ItemResult::Failed => {
                self.failed += 1;
                return;
            }
            _ => match detail("pixels") {
                Some("blanked") => self.blanked += 1,
                Some("absent") => self.absent += 1,
                _ => self.unchanged += 1,
            },
        }
        for (outcome, names) in attributes.into_iter().flatten() {
            for name in names {
                let counts = self.attributes.entry(name.clone()).or_default();
                *counts.entry(*outcome).or_default() += 1;
            }
        }
    }

    /// Returns the summary as Markdown.
    pub(super) fn text(&self, job_id: &JobId) -> String {
        let mut text = String::from("# De-identification summary\n\n");
        self.method(&mut text, job_id);
        self.files(&mut text);
        self.held_back(&mut text);
        self.attributes(&mut text);
        let _ = write!(text, "\n## What this export does not promise\n\n{LIMITS}");
        text
    }

    fn method(&self, text: &mut String, job_id: &JobId) {
        let Deidentify { options, key_id, review, .. } = self.deidentify;
        let options = if options.is_empty() { "none".to_owned() } else { options.join(", ") };
        let now = chrono::Utc::now().format("%Y-%m-%d");
        let version = env!("CARGO_PKG_VERSION");
        let _ = writeln!(text, "| | |\n|---|---|");
        let mut row = |name: &str, value: &str| {
            let _ = writeln!(text, "| {name} | {value} |");
        };
        row("Profile", "Basic Application Level Confidentiality Profile, DICOM PS3.15 Annex E");
        row("Options", &options);
        row("Table of attributes", TABLE_SOURCE);
        row("Identity of the key", key_id);
        row("Review by a person", &reviewed(review));
        row("Program", &format!("healthimaging-mcp-server {version}"));
        row("Job", job_id.as_str());
        row("Date", &now.to_string());
        let _ = writeln!(
            text,
            "\nNew UIDs and pseudonyms are keyed digests (HMAC-SHA256). Without the key, which is not part of this export, \
             they cannot be linked to the originals. Exports with the same key can be linked to one another."
        );
    }

    fn files(&self, text: &mut String) {
        let held_back: u64 = self.reasons.values().sum();
        let _ = writeln!(text, "\n## Files\n\n| Files | Number |\n|---|---|");
        for (name, number) in [
            ("written, pixels unchanged", self.unchanged),
            ("written, parts of every frame blanked, stored without compression", self.blanked),
            ("written, without pixels", self.absent),
            ("held back: not written", held_back),
            ("failed: not written", self.failed),
        ] {
            let _ = writeln!(text, "| {name} | {number} |");
        }
    }

    fn held_back(&self, text: &mut String) {
        let _ = writeln!(text, "\n## Held back for a person to decide\n");
        if self.held_back.is_empty() {
            let _ = writeln!(text, "None.");
            return;
        }
        let _ = writeln!(text, "| Reason | Files |\n|---|---|");
        for (reason, files) in &self.reasons {
            let _ = writeln!(text, "| {reason} | {files} |");
        }
        let _ = writeln!(text, "\n| File | Reason |\n|---|---|");
        for (file, reason) in &self.held_back {
            let _ = writeln!(text, "| `{file}` | {reason} |");
        }
        let more = self.reasons.values().sum::<u64>() - self.held_back.len() as u64;
        if more > 0 {
            let _ = writeln!(text, "\nreport.ndjson lists {more} more.");
        }
    }

    fn attributes(&self, text: &mut String) {
        let _ = write!(text, "\n## Attributes, in numbers of written files\n\n| Attribute |");
        for (_, name) in OUTCOMES {
            let _ = write!(text, " {name} |");
        }
        let _ = writeln!(text, "\n|---|{}", "---|".repeat(OUTCOMES.len()));
        for (attribute, counts) in &self.attributes {
            let _ = write!(text, "| {attribute} |");
            for (outcome, _) in OUTCOMES {
                match counts.get(&outcome) {
                    Some(files) => _ = write!(text, " {files} |"),
                    None => text.push_str(" |"),
                }
            }
            text.push('\n');
        }
    }
}

fn reviewed(review: &Review) -> String {
    let Review { blank, is_reviewed } = review;
    match (blank.len(), is_reviewed) {
        (0, false) => "none".to_owned(),
        (0, true) => "the frames show no identifying text".to_owned(),
        (some, _) => format!("{} blanked in every frame", counted(some, "rectangle")),
    }
}
