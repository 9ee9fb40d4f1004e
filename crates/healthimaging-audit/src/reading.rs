//! Reads the records of a log, segment by segment.

use std::collections::HashSet;
use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Read as _};
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use crate::tail::{LONGEST_LINE, parse, segment_path, segments};

/// A line of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// Number of its segment.
    pub segment: u32,
    /// Number of the line in its segment, from 1.
    pub number: u64,
    /// The line without its end.
    pub text: String,
    /// Whether the line has its end.
    pub is_whole: bool,
}

/// The lines of a log, in order.
#[derive(Debug)]
pub struct Lines {
    folder: PathBuf,
    rest: std::vec::IntoIter<u32>,
    open: Option<(u32, u64, BufReader<File>)>,
}

impl Lines {
    /// Opens the log in `folder`, the folder `audit` of a data folder or a copy of it.
    ///
    /// # Errors
    ///
    /// `NotFound` without a log.
    pub fn open(folder: &Path) -> io::Result<Self> {
        let found = segments(folder)?;
        if found.is_empty() {
            return Err(io::ErrorKind::NotFound.into());
        }
        Ok(Self { folder: folder.to_owned(), rest: found.into_iter(), open: None })
    }

    fn read(&mut self) -> io::Result<Option<Line>> {
        loop {
            if self.open.is_none() {
                let Some(segment) = self.rest.next() else { return Ok(None) };
                let file = File::open(segment_path(&self.folder, segment))?;
                self.open = Some((segment, 0, BufReader::new(file)));
            }
            let Some((segment, number, reader)) = &mut self.open else { continue };
            let mut bytes = Vec::new();
            let most = 2 * LONGEST_LINE as u64;
            reader.by_ref().take(most).read_until(b'\n', &mut bytes)?;
            if bytes.is_empty() {
                self.open = None;
                continue;
            }
            *number += 1;
            let is_whole = bytes.last() == Some(&b'\n');
            if is_whole {
                bytes.pop();
            }
            // Bytes that are not text make the hash differ.
            let text = String::from_utf8_lossy(&bytes).into_owned();
            return Ok(Some(Line { segment: *segment, number: *number, text, is_whole }));
        }
    }
}

impl Iterator for Lines {
    type Item = io::Result<Line>;

    fn next(&mut self) -> Option<Self::Item> {
        self.read().transpose()
    }
}

/// The records about a value: those with its digest, and those of the calls and jobs that they belong to.
#[derive(Debug, Default)]
pub struct Selection {
    digest: String,
    calls: HashSet<String>,
    jobs: HashSet<String>,
}

impl Selection {
    /// Finds which calls and jobs of a log are about the value of `digest`.
    ///
    /// # Errors
    ///
    /// As [`Lines::open`], and when the log cannot be read.
    pub fn find(folder: &Path, digest: String) -> io::Result<Self> {
        let mut found = Self { digest, ..Self::default() };
        for line in Lines::open(folder)? {
            let line = line?;
            if line.text.contains(&found.digest)
                && let Some(call) =
                    parse(&line.text).as_ref().and_then(|record| text(record, "call"))
            {
                found.calls.insert(call.to_owned());
            }
        }
        // The record of the end of a call names the job that the call started.
        for line in Lines::open(folder)? {
            let Some(record) = parse(&line?.text) else { continue };
            if text(&record, "call").is_some_and(|call| found.calls.contains(call)) {
                let objects = record.get("objects").and_then(Value::as_object);
                found.jobs.extend(objects.and_then(|all| text(all, "job_id")).map(str::to_owned));
            }
        }
        Ok(found)
    }

    /// Whether a line belongs to it.
    pub fn has(&self, line: &str) -> bool {
        if line.contains(&self.digest) {
            return true;
        }
        let Some(record) = parse(line) else { return false };
        text(&record, "call").is_some_and(|call| self.calls.contains(call))
            || text(&record, "job").is_some_and(|job| self.jobs.contains(job))
    }
}

fn text<'a>(record: &'a Map<String, Value>, name: &str) -> Option<&'a str> {
    record.get(name).and_then(Value::as_str)
}
