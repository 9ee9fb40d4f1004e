//! The files of a data folder, as they are searched.

use std::fs::{self, File};
use std::io::{self, BufRead as _, BufReader, Read};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use super::matcher::{LONGEST, Matcher};
use super::scan::{Piece, Place, StoreScan};

/// Bytes that are read at once.
const PIECE: usize = 1 << 20;
/// Longest line that is read as a text.
const LONGEST_LINE: u64 = 4 << 20;

/// Which files are searched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reach {
    /// Those that may name what was erased: the catalog with its log, audit, imports, certificates.
    Usual,
    /// The same, and the file of jobs; a job that runs names what it erases.
    WithJobs,
    /// All, with the frames of every pack.
    Full,
}

/// Called with the bytes that were read; it ends the search.
pub(super) type Progress<'p> = dyn FnMut(u64) -> ControlFlow<()> + 'p;

/// Searches the files of a data folder, but for that of the name `except`; returns which could not be read.
pub(super) fn search(
    data_folder: &Path,
    reach: Reach,
    except: &str,
    store: &dyn StoreScan,
    matcher: &mut Matcher,
    progress: &mut Progress<'_>,
) -> Vec<String> {
    let mut unread = Vec::new();
    for file in files(data_folder, reach, &mut unread) {
        let name = file.strip_prefix(data_folder).unwrap_or(&file).to_string_lossy().into_owned();
        if file.file_name().is_some_and(|last| last == except) {
            continue;
        }
        let place = || Place::new(name.clone());
        let is_text = ["jsonl", "ndjson", "json"]
            .iter()
            .any(|ending| file.extension().is_some_and(|found| found == *ending));
        let read = if is_text {
            lines(&file, matcher, &place, progress)
        } else {
            bytes(&file, matcher, &place, progress)
        };
        match read {
            Ok(ControlFlow::Continue(())) => {}
            Ok(ControlFlow::Break(())) => break,
            // It was removed since.
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(_) => unread.push(name.clone()),
        }
        if reach == Reach::Full && file.extension().is_some_and(|found| found == "pack") {
            let mut frame = |length, crc32| matcher.visit(Piece::Frame { length, crc32 }, &place);
            if store.walk_pack(&file, &mut frame).is_err() && file.exists() {
                unread.push(name.clone());
            }
        }
    }
    unread
}

fn files(data_folder: &Path, reach: Reach, unread: &mut Vec<String>) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut add = |path: PathBuf| {
        if let Err(error) = walk(&path, &mut found)
            && error.kind() != io::ErrorKind::NotFound
        {
            unread.push(path.strip_prefix(data_folder).unwrap_or(&path).display().to_string());
        }
    };
    if reach == Reach::Full {
        add(data_folder.to_owned());
        return found;
    }
    for name in ["catalogue.sqlite", "catalogue.sqlite-wal", "audit", "imports", "certificates"] {
        add(data_folder.join(name));
    }
    if reach == Reach::WithJobs {
        add(data_folder.join("ledger"));
    }
    found
}

/// Adds the files of a folder, in all folders below it; links are not followed.
fn walk(path: &Path, found: &mut Vec<PathBuf>) -> io::Result<()> {
    let kind = fs::symlink_metadata(path)?.file_type();
    if kind.is_file() {
        found.push(path.to_owned());
    } else if kind.is_dir() {
        let mut entries: Vec<PathBuf> = fs::read_dir(path)?
            .map(|entry| entry.map(|entry| entry.path()))
            .collect::<io::Result<_>>()?;
        entries.sort();
        for entry in entries {
            match walk(&entry, found) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                walked => walked?,
            }
        }
    }
    Ok(())
}

/// Searches a file of lines of JSON.
fn lines(
    path: &Path,
    matcher: &mut Matcher,
    place: &dyn Fn() -> Place,
    progress: &mut Progress<'_>,
) -> io::Result<ControlFlow<()>> {
    let mut reader = BufReader::new(File::open(path)?);
    let mut line = Vec::new();
    loop {
        line.clear();
        let read = reader.by_ref().take(LONGEST_LINE).read_until(b'\n', &mut line)?;
        if read == 0 {
            return Ok(ControlFlow::Continue(()));
        }
        matcher.visit(Piece::Text(&String::from_utf8_lossy(&line)), place);
        if progress(read as u64).is_break() {
            return Ok(ControlFlow::Break(()));
        }
    }
}

/// Searches a file of any form, in pieces that overlap.
fn bytes(
    path: &Path,
    matcher: &mut Matcher,
    place: &dyn Fn() -> Place,
    progress: &mut Progress<'_>,
) -> io::Result<ControlFlow<()>> {
    let mut file = File::open(path)?;
    let mut piece: Vec<u8> = Vec::new();
    loop {
        let kept = piece.len().min(LONGEST);
        piece.drain(..piece.len() - kept);
        let read = file.by_ref().take(PIECE as u64).read_to_end(&mut piece)?;
        if read == 0 {
            return Ok(ControlFlow::Continue(()));
        }
        matcher.raw(&piece, place);
        if progress(read as u64).is_break() {
            return Ok(ControlFlow::Break(()));
        }
    }
}
