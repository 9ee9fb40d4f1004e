//! The outcomes of a job's items, one line of JSON each, in the order they were done.
//!
//! A line counts when it ends: what a crash tore off is not there, and is overwritten.

use std::fs::File;
use std::io::{BufRead as _, BufReader, ErrorKind, Read as _, Seek as _, SeekFrom};
use std::path::Path;

use serde::Deserialize;

use healthimaging::{Error, JobId, NextToken, Page, Result};

use super::files::unusable;
use crate::work::{ItemOutcome, ItemResult};

/// What an index needs of an outcome.
#[derive(Debug, Deserialize)]
pub(super) struct Brief {
    pub(super) item: String,
    pub(super) result: ItemResult,
}

/// Whole lines of a file, from a place on, with the place of each.
pub(super) struct Lines {
    reader: BufReader<File>,
    place: u64,
}

impl Lines {
    /// `None` when there is no file yet.
    pub(super) fn open(path: &Path, place: u64) -> Result<Option<Self>> {
        let mut file = match File::open(path) {
            Ok(file) => file,
            Err(missing) if missing.kind() == ErrorKind::NotFound => return Ok(None),
            Err(other) => return Err(unusable(path)(other)),
        };
        file.seek(SeekFrom::Start(place)).map_err(unusable(path))?;
        let reader = BufReader::new(file);
        Ok(Some(Self { reader, place }))
    }

    /// Where the next line begins.
    pub(super) fn place(&self) -> u64 {
        self.place
    }

    /// The next whole line and its place.
    pub(super) fn next(&mut self) -> Result<Option<(u64, Vec<u8>)>> {
        let mut line = Vec::new();
        self.reader
            .read_until(b'\n', &mut line)
            .map_err(|cause| Error::internal("the outcomes of this job cannot be read", cause))?;
        if line.last() != Some(&b'\n') {
            return Ok(None);
        }
        let place = self.place;
        self.place += line.len() as u64;
        Ok(Some((place, line)))
    }

    /// The next outcome; lines that are none were damaged from outside, and are skipped.
    pub(super) fn next_outcome(&mut self) -> Result<Option<ItemOutcome>> {
        while let Some((place, line)) = self.next()? {
            match serde_json::from_slice(&line) {
                Ok(outcome) => return Ok(Some(outcome)),
                Err(error) => tracing::warn!(place, %error, "a line of a job is damaged"),
            }
        }
        Ok(None)
    }
}

impl Iterator for Lines {
    type Item = Result<ItemOutcome>;

    fn next(&mut self) -> Option<Self::Item> {
        self.next_outcome().transpose()
    }
}

/// How many items are done, counted as far as the file was read.
#[derive(Debug, Default)]
pub(super) struct Tally {
    read_to: u64,
    pub(super) done: u64,
    pub(super) failed: u64,
}

impl Tally {
    /// Reads what has come since; whether the file is there at all.
    pub(super) fn update(&mut self, path: &Path) -> Result<bool> {
        let Some(mut lines) = Lines::open(path, self.read_to)? else {
            return Ok(false);
        };
        while let Some((_, line)) = Lines::next(&mut lines)? {
            if let Ok(brief) = serde_json::from_slice::<Brief>(&line) {
                self.done += 1;
                self.failed += u64::from(brief.result == ItemResult::Failed);
            }
        }
        self.read_to = lines.place();
        Ok(true)
    }
}

/// A page of outcomes.
pub(super) fn page(
    path: &Path,
    job_id: &JobId,
    start: Option<&NextToken>,
    count: u32,
) -> Result<Page<ItemOutcome>> {
    let place = start.map_or(Ok(0), |token| place_of(path, job_id, token))?;
    let mut items = Vec::new();
    let Some(mut lines) = Lines::open(path, place)? else {
        let next_token = None;
        return Ok(Page { items, next_token });
    };
    while items.len() < count as usize {
        let Some(outcome) = lines.next_outcome()? else {
            let next_token = None;
            return Ok(Page { items, next_token });
        };
        items.push(outcome);
    }
    let place = lines.place();
    let next_token = match lines.next_outcome()? {
        Some(_) => Some(NextToken::try_from(format!("{job_id}.{place}"))?),
        None => None,
    };
    Ok(Page { items, next_token })
}

/// Where a token says to go on: the beginning of a line of this job.
fn place_of(path: &Path, job_id: &JobId, token: &NextToken) -> Result<u64> {
    let bad = || {
        Error::validation(
            "next_token does not belong to this job; take it from the page before, with the same \
             job_id",
        )
    };
    let place: u64 = token
        .as_str()
        .split_once('.')
        .filter(|(job, _)| *job == job_id.as_str())
        .and_then(|(_, place)| place.parse().ok())
        .ok_or_else(bad)?;
    let before = place.checked_sub(1).ok_or_else(bad)?;
    let mut byte = [0];
    let lines = Lines::open(path, before)?;
    match lines.map(|mut lines| lines.reader.read_exact(&mut byte)) {
        Some(Ok(())) if byte == *b"\n" => Ok(place),
        _ => Err(bad()),
    }
}
