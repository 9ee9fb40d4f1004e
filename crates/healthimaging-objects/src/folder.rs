//! `file://`: folders inside allowed roots. Nothing outside of them is opened, by links neither.

use std::ffi::{OsStr, OsString};
use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Component, Path, PathBuf};

use healthimaging::{Error, ErrorKind, ObjectUri, Result};
use walkdir::{DirEntry, WalkDir};

use crate::place::{Entry, Listed};

/// Begins the name of a file that is not whole yet.
const DRAFT: &str = ".unfinished-";

/// A folder, or a single file, inside an allowed root.
#[derive(Debug, Clone)]
pub struct Folder {
    /// As the caller named it, percent-encoding undone.
    path: PathBuf,
    /// The allowed root around it, links resolved.
    root: PathBuf,
    /// Whose drafts are begun here; nobody else has one of the same name.
    owner: Option<String>,
}

impl Folder {
    /// A folder; `path` is percent-encoded as in a URI (RFC 3986 §2.1) and absolute, the roots that are
    /// allowed have their links resolved.
    pub(crate) fn new(path: &str, allowed: &[PathBuf]) -> Result<Self> {
        let path = PathBuf::from(percent_decoded(path)?);
        if path.components().any(|part| part == Component::ParentDir) {
            return Err(Error::validation("a file:// place may not contain .."));
        }
        let resolved = resolve_existing_part(&path);
        allowed
            .iter()
            .find(|root| resolved.starts_with(root))
            .map(|root| Self { path, root: root.clone(), owner: None })
            .ok_or_else(|| {
                Error::new(
                    ErrorKind::AccessDenied,
                    "file:// may only be used inside allowed folders, and this place is outside of them; \
                     allow a folder with --allow-path",
                )
            })
    }

    /// The folder with the links resolved as they are now.
    pub(crate) fn resolved(&self) -> PathBuf {
        resolve_existing_part(&self.path)
    }

    pub(crate) fn list(&self) -> Result<Vec<Listed>> {
        fs::metadata(&self.path).map_err(|error| io_error(error, "the input folder"))?;
        let mut outside = Vec::new();
        let mut listed = Vec::new();
        let walk = WalkDir::new(&self.path).follow_links(true).into_iter();
        let walk = walk.filter_entry(|entry| {
            let inside = !entry.path_is_symlink() || self.contains(entry.path());
            if !inside {
                outside.push(unreadable(entry.path(), "a link that leads out of the folder"));
            }
            inside
        });
        for step in walk {
            match step {
                Ok(entry) => listed.extend(line(&entry)),
                Err(error) => {
                    let path = error.path().unwrap_or(&self.path);
                    let message = match error.io_error() {
                        Some(cause) => reason(cause),
                        None => "a link that leads back to a folder above it",
                    };
                    listed.push(unreadable(path, message));
                }
            }
        }
        listed.append(&mut outside);
        Ok(listed)
    }

    /// Opens a file of this place. The check comes after the opening, on the path as it is then.
    pub(crate) fn open(&self, path: &Path) -> Result<File> {
        if !fs::metadata(path).is_ok_and(|found| found.is_file()) {
            let missing = io::Error::from(io::ErrorKind::NotFound);
            return Err(io_error(missing, "the file"));
        }
        if !self.contains(path) {
            return Err(Error::new(
                ErrorKind::AccessDenied,
                "the file lies outside of the allowed folders",
            ));
        }
        File::open(path).map_err(|error| io_error(error, "the file"))
    }

    /// The path of a relative name.
    pub(crate) fn below(&self, name: &str) -> Result<PathBuf> {
        let name = Path::new(name);
        let plain = |part| matches!(part, Component::Normal(_));
        if name.as_os_str().is_empty() || !name.components().all(plain) {
            return Err(Error::validation(
                "the path of an object must be relative and may not contain ..",
            ));
        }
        Ok(self.path.join(name))
    }

    /// The key of a relative name.
    pub(crate) fn key(&self, name: &str) -> Result<String> {
        Ok(shown(self.below(name)?.as_os_str()))
    }

    /// Begins a file: it is written beside its name, which it gets when it is whole.
    pub(crate) fn create(&self, name: &str) -> Result<Draft> {
        let target = self.below(name)?;
        let folder = target.parent().unwrap_or(&self.path).to_owned();
        fs::create_dir_all(&folder).map_err(unwritable)?;
        if !self.contains(&folder) {
            return Err(Error::new(
                ErrorKind::AccessDenied,
                "the output folder lies outside of the allowed folders",
            ));
        }
        let file = self.draft(&folder, &target).map_err(unwritable)?;
        Ok(Draft { file, folder, target })
    }

    /// A file for what is to become `target`. One that an earlier life of the owner left makes way.
    fn draft(&self, folder: &Path, target: &Path) -> io::Result<tempfile::NamedTempFile> {
        let Some(owner) = &self.owner else {
            return tempfile::Builder::new().prefix(DRAFT).tempfile_in(folder);
        };
        let mut name = OsString::from(format!("{DRAFT}{owner}-"));
        name.push(target.file_name().unwrap_or_default());
        match fs::remove_file(folder.join(&name)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        tempfile::Builder::new().prefix(&name).rand_bytes(0).tempfile_in(folder)
    }

    /// The same folder for the drafts of `owner`.
    pub(crate) fn with_owner(self, owner: &str) -> Self {
        Self { owner: Some(owner.to_owned()), ..self }
    }

    /// Removes what files that were begun here, and in the folders in here, left when their process died.
    pub(crate) fn discard_drafts(&self) -> Result<()> {
        discard(WalkDir::new(&self.path).max_depth(2), DRAFT)
    }

    /// Removes what the owner left here, and in all folders below, when its process died.
    pub(crate) fn discard_own_drafts(&self) -> Result<()> {
        match &self.owner {
            Some(owner) => discard(WalkDir::new(&self.path), &format!("{DRAFT}{owner}-")),
            None => Ok(()),
        }
    }

    fn contains(&self, path: &Path) -> bool {
        fs::canonicalize(path).is_ok_and(|resolved| resolved.starts_with(&self.root))
    }
}

/// Removes the files whose names begin so.
fn discard(walk: WalkDir, prefix: &str) -> Result<()> {
    for entry in walk.into_iter().filter_map(std::result::Result::ok) {
        let name = entry.file_name().as_encoded_bytes();
        if entry.file_type().is_file() && name.starts_with(prefix.as_bytes()) {
            fs::remove_file(entry.path()).map_err(unwritable)?;
        }
    }
    Ok(())
}

/// A file that is being written; dropped unfinished, it vanishes.
#[derive(Debug)]
pub(crate) struct Draft {
    file: tempfile::NamedTempFile,
    folder: PathBuf,
    target: PathBuf,
}

impl Draft {
    pub(crate) fn write(&mut self, piece: &[u8]) -> Result<()> {
        self.file.write_all(piece).map_err(unwritable)
    }

    /// Syncs, then renames: a reader sees the old file or the new one.
    pub(crate) fn finish(self) -> Result<()> {
        self.file.as_file().sync_all().map_err(unwritable)?;
        self.file.persist(&self.target).map_err(|error| unwritable(error.error))?;
        sync_folder(&self.folder).map_err(unwritable)
    }
}

fn unwritable(error: io::Error) -> Error {
    io_error(error, "the output folder")
}

/// Makes a rename durable; only Unix lets a folder be synced.
fn sync_folder(folder: &Path) -> io::Result<()> {
    if cfg!(unix) {
        File::open(folder)?.sync_all()?;
    }
    Ok(())
}

/// The line of a walked entry; none for a folder.
fn line(entry: &DirEntry) -> Option<Listed> {
    let kind = entry.file_type();
    if kind.is_dir() {
        return None;
    }
    if !kind.is_file() {
        return Some(unreadable(entry.path(), "not a regular file"));
    }
    Some(match entry.metadata() {
        Ok(metadata) => Listed::Object(Entry {
            key: shown(entry.path().as_os_str()),
            size: metadata.len(),
            path: Some(entry.path().to_owned()),
        }),
        Err(error) => {
            let message = error.io_error().map_or("cannot be read", reason);
            unreadable(entry.path(), message)
        }
    })
}

fn unreadable(path: &Path, message: &str) -> Listed {
    Listed::Unreadable { key: shown(path.as_os_str()), message: message.to_owned() }
}

/// A path as text; bytes that are not UTF-8 as `\xNN`, so that two such names stay two keys.
fn shown(path: &OsStr) -> String {
    let mut text = String::new();
    for chunk in path.as_encoded_bytes().utf8_chunks() {
        text.push_str(chunk.valid());
        for byte in chunk.invalid() {
            // Writing to a string cannot fail.
            let _ = write!(text, "\\x{byte:02X}");
        }
    }
    text
}

fn reason(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::NotFound => "it vanished while it was read",
        io::ErrorKind::PermissionDenied => "permission denied",
        _ => "it cannot be read",
    }
}

fn io_error(error: io::Error, what: &str) -> Error {
    let (kind, verdict) = match error.kind() {
        io::ErrorKind::NotFound => (ErrorKind::NotFound, "does not exist"),
        io::ErrorKind::PermissionDenied => {
            (ErrorKind::AccessDenied, "may not be used: permission denied")
        }
        io::ErrorKind::StorageFull => {
            (ErrorKind::Internal, "cannot be written: the disk is full; free space, then try again")
        }
        _ => (ErrorKind::Internal, "cannot be used; check the disk, then try again"),
    };
    Error::new(kind, format!("{what} {verdict}")).with_source(error)
}

/// Links resolved as far as the path exists; the rest, which is still to be made, appended.
fn resolve_existing_part(path: &Path) -> PathBuf {
    let mut missing = Vec::new();
    let mut at = path;
    loop {
        if let Ok(resolved) = fs::canonicalize(at) {
            return missing.iter().rev().fold(resolved, |path: PathBuf, part| path.join(part));
        }
        match (at.parent(), at.file_name()) {
            (Some(parent), Some(name)) => {
                missing.push(name.to_owned());
                at = parent;
            }
            _ => return path.to_owned(),
        }
    }
}

/// The `file://` URI of an absolute path; what a URI may not hold is percent-encoded (RFC 3986 §2.3).
///
/// Refuses relative paths, and those that are not UTF-8.
pub fn file_uri(path: &Path) -> Result<ObjectUri> {
    let text = path
        .to_str()
        .filter(|_| path.is_absolute())
        .ok_or_else(|| Error::validation("a path must be absolute and valid UTF-8"))?;
    let mut uri = String::from("file://");
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"/-._~".contains(&byte) {
            uri.push(char::from(byte));
        } else {
            // Writing to a string cannot fail.
            let _ = write!(uri, "%{byte:02X}");
        }
    }
    ObjectUri::try_from(uri)
}

fn percent_decoded(text: &str) -> Result<String> {
    let bad = || Error::validation("the file:// place has a wrong percent-encoding");
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, tail)) = rest.split_first() {
        rest = tail;
        if first != b'%' {
            bytes.push(first);
            continue;
        }
        let (digits, tail) = tail.split_at_checked(2).ok_or_else(bad)?;
        let digits = std::str::from_utf8(digits).map_err(|_| bad())?;
        bytes.push(u8::from_str_radix(digits, 16).map_err(|_| bad())?);
        rest = tail;
    }
    String::from_utf8(bytes).map_err(|_| bad())
}
