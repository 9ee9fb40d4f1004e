//! The end of a chain, and the lines of a segment.

use std::fs::{self, File};
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

use aws_lc_rs::digest::{SHA256, digest};
use serde_json::{Map, Value};

/// Longest line in bytes.
pub(crate) const LONGEST_LINE: usize = 64 << 10;

/// Hash before the first record.
pub(crate) const NO_HASH: &str = "0000000000000000000000000000000000000000000000000000000000000000";

/// What stands between the hashed part of a line and its hash.
pub(crate) const HASH: &str = r#","hash":""#;

/// Where a chain ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Tail {
    /// Number of the segment, from 1.
    pub(crate) segment: u32,
    /// Length of the segment in bytes.
    pub(crate) length: u64,
    /// Number of the last record; 0 without one.
    pub(crate) sequence: u64,
    /// Hash of the last record.
    pub(crate) hash: String,
    /// Bytes of an incomplete line behind the last record.
    pub(crate) torn: u64,
}

/// File of a segment.
pub(crate) fn segment_path(folder: &Path, segment: u32) -> PathBuf {
    folder.join(format!("{segment:06}.jsonl"))
}

/// File of the head that was signed when a segment was completed.
pub(crate) fn sealed_path(folder: &Path, segment: u32) -> PathBuf {
    folder.join(format!("{segment:06}.head.json"))
}

/// Numbers of the segments of a folder, in order.
pub(crate) fn segments(folder: &Path) -> io::Result<Vec<u32>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let name = entry?.file_name();
        let number = name.to_str().and_then(|name| name.strip_suffix(".jsonl"));
        found.extend(number.and_then(|number| number.parse::<u32>().ok()));
    }
    found.sort_unstable();
    Ok(found)
}

/// Returns the hash of a line without its hash: SHA-256, hexadecimal. The line names the hash of the one before.
pub(crate) fn hash(text: &str) -> String {
    hex::encode(digest(&SHA256, text.as_bytes()))
}

/// Splits a line into what is hashed and the hash; `None` if it has none at its end.
pub(crate) fn split(line: &str) -> Option<(&str, &str)> {
    let (text, rest) = line.rsplit_once(HASH)?;
    Some((text, rest.strip_suffix("\"}")?))
}

/// Parses a line.
pub(crate) fn parse(line: &str) -> Option<Map<String, Value>> {
    serde_json::from_str(line).ok()
}

impl Tail {
    /// The end of an empty chain.
    fn empty() -> Self {
        Self { segment: 1, length: 0, sequence: 0, hash: NO_HASH.to_owned(), torn: 0 }
    }

    /// Reads the end of the chain of a folder.
    pub(crate) fn read(folder: &Path) -> io::Result<Self> {
        let mut of_last = None;
        for segment in segments(folder)?.into_iter().rev() {
            let (length, line, torn) = last_line(&segment_path(folder, segment))?;
            let (newest, torn_bytes) = *of_last.get_or_insert((segment, torn));
            let Some(line) = line else { continue };
            let known = split(&line).zip(parse(&line));
            let (sequence, hash) = known
                .and_then(|((_, hash), record)| {
                    Some((record.get("sequence")?.as_u64()?, hash.to_owned()))
                })
                .ok_or_else(|| {
                    io::Error::new(
                        io::ErrorKind::InvalidData,
                        "the last record is damaged; run `audit verify`, and move the folder audit away to begin a new log",
                    )
                })?;
            let length = if newest == segment { length } else { 0 };
            return Ok(Self { segment: newest, length, sequence, hash, torn: torn_bytes });
        }
        Ok(match of_last {
            Some((segment, torn)) => Self { segment, torn, ..Self::empty() },
            None => Self::empty(),
        })
    }
}

/// Returns the length of the whole lines of a file, the last of them, and how many bytes follow it.
fn last_line(path: &Path) -> io::Result<(u64, Option<String>, u64)> {
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    let start = length.saturating_sub(2 * LONGEST_LINE as u64 + 2);
    file.seek(SeekFrom::Start(start))?;
    let mut bytes = Vec::new();
    file.take(length - start).read_to_end(&mut bytes)?;
    let whole = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
    let torn = (bytes.len() - whole) as u64;
    if whole == 0 {
        return Ok((start, None, torn));
    }
    let lines = bytes.get(..whole - 1).unwrap_or_default();
    let begin = lines.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
    let line = String::from_utf8_lossy(lines.get(begin..).unwrap_or_default()).into_owned();
    Ok((start + whole as u64, Some(line), torn))
}
