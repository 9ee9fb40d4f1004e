//! Appends records to the chain of a folder. Every call blocks.

use std::fs::{File, OpenOptions};
use std::io::{self, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use chrono::Utc;

use crate::entry::Entry;
use crate::head::{self, Head};
use crate::keys::{Keys, make_folder, owner_only, sync_folder};
use crate::tail::{HASH, LONGEST_LINE, Tail, hash, sealed_path, segment_path};

/// Length at which a segment is complete, in bytes.
const SEGMENT: u64 = 16 << 20;

/// Name of the file whose lock the writer of a record holds.
const LOCK: &str = "lock";

/// Command of the record that a missing head was signed anew.
pub(crate) const SIGNED_ANEW: &str = "sign a missing head anew";

/// The chain of a folder, open to append.
#[derive(Debug)]
pub(crate) struct Chain {
    folder: PathBuf,
    keys: Keys,
    lock: File,
    /// Where this process saw the end, and the segment that is open.
    seen: Option<(Tail, File)>,
    segment_length: u64,
}

impl Chain {
    /// Opens the chain of a folder, which is made if it is missing.
    pub(crate) fn open(folder: &Path, segment_length: Option<u64>) -> io::Result<Self> {
        make_folder(folder)?;
        let lock = owner_only().create(true).truncate(false).write(true).open(folder.join(LOCK))?;
        let keys = Keys::read_or_make(folder)?;
        let segment_length = segment_length.unwrap_or(SEGMENT);
        Ok(Self { folder: folder.to_owned(), keys, lock, seen: None, segment_length })
    }

    /// The keys of the log.
    pub(crate) fn keys(&self) -> &Keys {
        &self.keys
    }

    /// Appends a record, and returns the file that has to be synced to make it durable.
    pub(crate) fn append(&mut self, entry: &Entry) -> io::Result<File> {
        self.lock.lock()?;
        let appended = self.append_locked(entry);
        self.lock.unlock()?;
        appended
    }

    fn append_locked(&mut self, entry: &Entry) -> io::Result<File> {
        let (mut tail, file) = self.place()?;
        let (mut tail_hash, mut lines) = (tail.hash.clone(), String::new());
        let is_headless = tail.sequence > 0 && !self.folder.join(head::NAME).exists();
        let mut add = |entry: &Entry, sequence: u64| {
            let text = entry.line(sequence, &tail_hash, Utc::now());
            tail_hash = hash(&text);
            lines.push_str(&text);
            lines.push_str(HASH);
            lines.push_str(&tail_hash);
            lines.push_str("\"}\n");
        };
        if tail.torn > 0 {
            // The process or the machine stopped while the line was written; its call has no record.
            let torn = crate::Recorded::default().with_count("bytes", tail.torn);
            let removed =
                Entry::command("remove an incomplete line", healthimaging::Effect::Writes);
            tail.sequence += 1;
            add(&removed.with_objects(torn).with_outcome("done"), tail.sequence);
            file.set_len(tail.length)?;
            tail.torn = 0;
        }
        if is_headless {
            // Without it, nothing shows how many records there were.
            let anew = Entry::command(SIGNED_ANEW, healthimaging::Effect::Writes);
            tail.sequence += 1;
            add(&anew.with_outcome("done"), tail.sequence);
        }
        let must_be_signed = is_headless || tail.sequence == 0;
        tail.sequence += 1;
        add(entry, tail.sequence);
        if lines.len() > LONGEST_LINE {
            return Err(io::Error::other("a record is too long"));
        }
        tail.hash = tail_hash;
        write(&file, tail.length, lines.as_bytes())?;
        tail.length += lines.len() as u64;
        let written = file.try_clone()?;
        let (sequence, last) = (tail.sequence, tail.hash.clone());
        self.seen = Some((tail, file));
        if must_be_signed {
            written.sync_data()?;
            sync_folder(&self.folder)?;
            self.sign(sequence, &last)?;
        }
        Ok(written)
    }

    /// Returns the end of the chain, and its segment.
    fn end(&mut self) -> io::Result<(Tail, File)> {
        Ok(match self.seen.take() {
            Some((tail, file))
                if file.metadata()?.len() == tail.length
                    && segment_path(&self.folder, tail.segment).exists()
                    && !segment_path(&self.folder, tail.segment + 1).exists() =>
            {
                (tail, file)
            }
            // Another process has written since, or nothing is known yet.
            _ => {
                let tail = Tail::read(&self.folder)?;
                let file = open(&segment_path(&self.folder, tail.segment))?;
                (tail, file)
            }
        })
    }

    /// Returns where the next record goes; begins a new segment if the last one is complete.
    fn place(&mut self) -> io::Result<(Tail, File)> {
        let (tail, file) = self.end()?;
        if tail.length < self.segment_length || tail.torn > 0 {
            return Ok((tail, file));
        }
        file.sync_data()?;
        let sealed = Head::sign(&self.keys, tail.sequence, &tail.hash, Utc::now());
        sealed.write(&sealed_path(&self.folder, tail.segment))?;
        let segment = tail.segment + 1;
        let file = open(&segment_path(&self.folder, segment))?;
        sync_folder(&self.folder)?;
        Ok((Tail { segment, length: 0, ..tail }, file))
    }

    /// Makes every record durable, and signs the head.
    pub(crate) fn flush(&mut self) -> io::Result<()> {
        self.lock.lock()?;
        let end = self.end();
        self.lock.unlock()?;
        let (tail, file) = end?;
        let at = (tail.sequence, tail.hash.clone());
        // Other processes append during the sync.
        file.sync_data()?;
        self.seen = Some((tail, file));
        if at.0 == 0 {
            return Ok(());
        }
        self.lock.lock()?;
        let signed = self.sign(at.0, &at.1);
        self.lock.unlock()?;
        signed
    }

    /// Signs a head, unless a later one is signed.
    fn sign(&self, sequence: u64, hash: &str) -> io::Result<()> {
        let path = self.folder.join(head::NAME);
        // A head that cannot be read is left for `audit verify` to report.
        if Head::read(&path)?.is_some_and(|known| known.sequence >= sequence) {
            return Ok(());
        }
        Head::sign(&self.keys, sequence, hash, Utc::now()).write(&path)
    }
}

fn open(path: &Path) -> io::Result<File> {
    let mut options: OpenOptions = owner_only();
    options.create(true).truncate(false).read(true).write(true).open(path)
}

/// Writes all bytes at the end of a file, or none of them.
fn write(mut file: &File, end: u64, bytes: &[u8]) -> io::Result<()> {
    file.seek(SeekFrom::Start(end))?;
    let written = file.write_all(bytes);
    if written.is_err() {
        file.set_len(end)?;
    }
    written
}
