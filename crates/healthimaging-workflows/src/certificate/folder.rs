//! The files of a data folder, as they are searched.

use std::fs::{self, File};
use std::io::{self, BufRead as _, BufReader, Read};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use healthimaging::Result;

use super::matcher::{Findings, LONGEST, Matcher};
use super::read_packs::{Identity, ReadPack, ReadPacks, identity};
use super::scan::{Piece, Place, StoreScan};
use super::search::Event;

/// Bytes that are read at once.
const PIECE: usize = 1 << 20;
/// Longest line that is read as a text.
const LONGEST_LINE: u64 = 4 << 20;
/// Folder of packs that do not change.
const PACKS: &str = "packs";

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

/// Called with what was read; it ends the search.
pub(super) type Progress<'p> = dyn FnMut(Event) -> ControlFlow<()> + 'p;

/// The files that are searched.
pub(super) struct Folder<'f> {
    pub(super) data_folder: &'f Path,
    pub(super) reach: Reach,
    /// Name of a file that is not searched.
    pub(super) except: &'f str,
    pub(super) store: &'f dyn StoreScan,
}

impl Folder<'_> {
    /// Reads the packs that are not read yet, and adds those in which nothing is found to `read`. Without the rest of the search,
    /// this finds nothing: packs with a finding are searched again by [`Folder::search`].
    ///
    /// An error means that what was read is not recorded.
    pub(super) fn read_packs(
        &self,
        matcher: &mut Matcher,
        read: &mut ReadPacks,
        progress: &mut Progress<'_>,
    ) -> Result<()> {
        let mut listed = Vec::new();
        // What cannot be listed is named by the search.
        let _ = walk(&self.data_folder.join(PACKS), &mut listed);
        listed.retain(|file| is_pack(file));
        let of = listed.len() as u64;
        let (mut same, mut bytes, mut changed) = (0, 0, 0);
        let recorded = read.len();
        listed.retain(|file| {
            let name = self.name(file);
            let known = now(file).and_then(|now| read.find(&name, &now));
            match known {
                Some(pack) => (same, bytes) = (same + 1, bytes + pack.bytes),
                None => changed += u64::from(read.knows(&name)),
            }
            known.is_none()
        });
        if recorded > 0 {
            let begun_at = read.begun_at;
            let _ = progress(Event::Continues { begun_at, packs: same, bytes, changed });
        }
        let mut recorded = Ok(());
        for (number, file) in (same + 1..).zip(listed) {
            let mut keep = |found: Result<()>| {
                if recorded.is_ok() {
                    recorded = found;
                }
            };
            let before = now(&file);
            let others = std::mem::take(&mut matcher.findings);
            let searched = self.search_file(&file, matcher, &mut |event| {
                keep(read.record_if_due());
                progress(event)
            });
            let found = std::mem::replace(&mut matcher.findings, others);
            match (searched, before) {
                (Ok(ControlFlow::Continue(())), Some(identity))
                    if found.is_empty() && now(&file) == Some(identity) =>
                {
                    let Findings { pieces, bytes, .. } = found;
                    keep(read.add(&self.name(&file), ReadPack { identity, pieces, bytes }));
                }
                (Ok(ControlFlow::Break(())), _) => break,
                _ => {}
            }
            if progress(Event::Packs { read: number, of }).is_break() {
                break;
            }
        }
        recorded.and(read.record())
    }

    /// Searches the files, except for packs in which nothing was found; returns which could not be read.
    pub(super) fn search(
        &self,
        matcher: &mut Matcher,
        read: Option<&ReadPacks>,
        progress: &mut Progress<'_>,
    ) -> Vec<String> {
        let mut unread = Vec::new();
        for file in self.files(&mut unread) {
            if file.file_name().is_some_and(|last| last == self.except) {
                continue;
            }
            let pack = read.filter(|_| is_pack(&file));
            if let Some(pack) = pack.and_then(|read| read.find(&self.name(&file), &now(&file)?)) {
                matcher.findings.pieces += pack.pieces;
                matcher.findings.bytes += pack.bytes;
                continue;
            }
            match self.search_file(&file, matcher, progress) {
                Ok(ControlFlow::Continue(())) => {}
                Ok(ControlFlow::Break(())) => break,
                Err(_) => unread.push(self.name(&file)),
            }
        }
        unread
    }

    /// Searches a file; one that was removed since it was listed has nothing.
    fn search_file(
        &self,
        file: &Path,
        matcher: &mut Matcher,
        progress: &mut Progress<'_>,
    ) -> io::Result<ControlFlow<()>> {
        let place = || Place::new(self.name(file));
        let is_text = ["jsonl", "ndjson", "json"]
            .iter()
            .any(|ending| file.extension().is_some_and(|found| found == *ending));
        let read = if is_text {
            lines(file, matcher, &place, progress)
        } else {
            bytes(file, matcher, &place, progress)
        };
        match read {
            Ok(ControlFlow::Continue(())) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Ok(ControlFlow::Continue(()));
            }
            other => return other,
        }
        if self.reach == Reach::Full && is_pack(file) {
            let mut frame = |length, crc32| matcher.visit(Piece::Frame { length, crc32 }, &place);
            if let Err(error) = self.store.walk_pack(file, &mut frame)
                && file.exists()
            {
                return Err(io::Error::other(error));
            }
        }
        Ok(ControlFlow::Continue(()))
    }

    /// The name of a file in the data folder.
    fn name(&self, file: &Path) -> String {
        file.strip_prefix(self.data_folder).unwrap_or(file).to_string_lossy().into_owned()
    }

    fn files(&self, unread: &mut Vec<String>) -> Vec<PathBuf> {
        let mut found = Vec::new();
        let mut add = |path: PathBuf| {
            if let Err(error) = walk(&path, &mut found)
                && error.kind() != io::ErrorKind::NotFound
            {
                unread.push(self.name(&path));
            }
        };
        if self.reach == Reach::Full {
            add(self.data_folder.to_owned());
            return found;
        }
        for name in ["catalogue.sqlite", "catalogue.sqlite-wal", "audit", "imports", "certificates"]
        {
            add(self.data_folder.join(name));
        }
        if self.reach == Reach::WithJobs {
            add(self.data_folder.join("ledger"));
        }
        found
    }
}

fn is_pack(file: &Path) -> bool {
    file.extension().is_some_and(|found| found == "pack")
}

/// What a file is known by now; `None` if it is gone.
fn now(file: &Path) -> Option<Identity> {
    fs::symlink_metadata(file).ok().filter(fs::Metadata::is_file).map(|file| identity(&file))
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
        if progress(Event::Read(read as u64)).is_break() {
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
        if progress(Event::Read(read as u64)).is_break() {
            return Ok(ControlFlow::Break(()));
        }
    }
}
