//! Checks a log: each record against the one before, and the chain against its signed heads.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use serde_json::Value;

use crate::chain::SIGNED_ANEW;
use crate::head::{self, Head};
use crate::reading::{Line, Lines};
use crate::tail::{NO_HASH, hash, parse, sealed_path, segments, split};

/// A log that was checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    /// Number of records that were checked.
    pub records: u64,
    /// Number of the first record; more than 1 if earlier segments are kept elsewhere.
    pub first: u64,
    /// Number and hash of the last record.
    pub last: (u64, String),
    /// The signed head.
    pub head: Option<Head>,
    /// The first place where the chain is broken.
    pub broken: Option<Break>,
    /// Records before which the signed head was missing: until then, records may have been removed from the end.
    pub signed_anew: Vec<u64>,
}

/// Where a chain is broken, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Break {
    /// File, and line from 1; 0 for a file as a whole.
    pub place: (String, u64),
    /// Number of the record.
    pub sequence: u64,
    /// What is wrong.
    pub why: String,
}

/// Hashes that a record must have, by its number, and the file of the head that demands it.
type Demands = BTreeMap<u64, (String, String)>;

/// Checks the log in `folder`. The head must be signed by `public_key`, and the record of `expected` (number and hash) be
/// part of the chain, as printed by an earlier check.
///
/// # Errors
///
/// `NotFound` without a log, and when it cannot be read.
pub fn verify(
    folder: &Path,
    public_key: &str,
    expected: Option<&(u64, String)>,
) -> io::Result<Verified> {
    // Heads first: what is appended during the check lies behind them.
    let head = Head::read(&folder.join(head::NAME)).ok().flatten();
    let mut checked = Verified {
        records: 0,
        first: 0,
        last: (0, NO_HASH.to_owned()),
        head: head.clone(),
        broken: None,
        signed_anew: Vec::new(),
    };
    let mut demands = Demands::new();
    for segment in segments(folder)? {
        let path = sealed_path(folder, segment);
        if let Ok(Some(sealed)) = Head::read(&path) {
            let name = name_of(&path);
            if !sealed.is_signed_by(public_key) {
                checked.broken = Some(bad_signature(name, sealed.sequence));
                return Ok(checked);
            }
            demands.insert(sealed.sequence, (sealed.hash, name));
        }
    }
    let signed = head.filter(|head| head.is_signed_by(public_key));
    if let Some(head) = &signed {
        demands.insert(head.sequence, (head.hash.clone(), head::NAME.to_owned()));
    }
    if let Some((sequence, hash)) = expected {
        demands.insert(*sequence, (hash.clone(), "the expected head".to_owned()));
    }
    for line in Lines::open(folder)? {
        if let Some(broken) = checked.take(&line?, &mut demands) {
            checked.broken = Some(broken);
            return Ok(checked);
        }
    }
    checked.broken = match (signed, demands.last_key_value()) {
        (None, _) => Some(bad_signature(head::NAME.to_owned(), checked.last.0)),
        (_, Some((sequence, (_, by)))) if *sequence >= checked.first => Some(Break {
            place: (by.clone(), 0),
            sequence: checked.last.0 + 1,
            why: format!(
                "the log ends with record {}, but {by} names record {sequence}: the records from {} on were removed",
                checked.last.0,
                checked.last.0 + 1
            ),
        }),
        _ => None,
    };
    Ok(checked)
}

impl Verified {
    /// Checks a line; returns how it breaks the chain.
    fn take(&mut self, line: &Line, demands: &mut Demands) -> Option<Break> {
        let place = (format!("{:06}.jsonl", line.segment), line.number);
        let wanted = self.last.0 + 1;
        let broken = |why: String| Some(Break { place: place.clone(), sequence: wanted, why });
        if !line.is_whole {
            // A line that was being written; what it was to record is not part of the chain.
            return None;
        }
        let parts = split(&line.text).zip(parse(&line.text));
        let Some(((text, stated), record)) = parts else {
            return broken("the line is not a record".to_owned());
        };
        let sequence = record.get("sequence").and_then(Value::as_u64).unwrap_or_default();
        let previous = record.get("previous").and_then(Value::as_str).unwrap_or_default();
        if self.records == 0 && line.segment > 1 && sequence > 1 {
            // Earlier segments may be kept elsewhere.
            self.first = sequence;
        } else if sequence != wanted {
            return broken(format!("record {sequence} follows record {}", self.last.0));
        } else if previous != self.last.1 {
            return broken("it does not continue the record before, which was changed".to_owned());
        }
        if hash(text) != stated {
            return broken("its content does not match its hash".to_owned());
        }
        if let Some((demanded, by)) = demands.remove(&sequence)
            && demanded != stated
        {
            let why = format!("{by} is signed for another record: the chain was written again");
            return Some(Break { place, sequence, why });
        }
        self.first = if self.first == 0 { sequence } else { self.first };
        if record.get("command").and_then(Value::as_str) == Some(SIGNED_ANEW) {
            self.signed_anew.push(sequence);
        }
        self.records += 1;
        self.last = (sequence, stated.to_owned());
        None
    }
}

fn bad_signature(name: String, sequence: u64) -> Break {
    let why = "the signed head is missing, or not signed by this key: for the log of another store, name its key with --key".to_owned();
    Break { place: (name, 0), sequence, why }
}

fn name_of(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}
