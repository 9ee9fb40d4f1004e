//! `file://`: folders inside allowed roots. Files outside of them are never opened or written, neither through links nor
//! when folders change at the same time: paths are resolved beneath an open root (cap-std).

use std::ffi::{OsStr, OsString};
use std::fmt::Write as _;
use std::fs::{self, File};
use std::hash::{BuildHasher, RandomState};
use std::io::{self, Read, Write};
use std::path::{Component, Path, PathBuf};

use cap_std::ambient_authority;
use cap_std::fs::{Dir, OpenOptions};
use healthimaging::{Error, ErrorKind, ObjectUri, Result};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use walkdir::{DirEntry, WalkDir};

use crate::listing::{Entry, Listed};

/// Prefix of the names of unfinished files.
const DRAFT: &str = ".unfinished-";

/// A folder, or a single file, inside an allowed root.
#[derive(Debug, Clone)]
pub struct Folder {
    /// As given, percent-decoded.
    path: PathBuf,
    /// The allowed root around it, with links resolved.
    root: PathBuf,
    /// Owner of the drafts, by whose name they are found again.
    owner: Option<String>,
}

impl Folder {
    /// Creates it from an absolute, percent-encoded path (RFC 3986 §2.1). `allowed` are roots with links resolved.
    pub(crate) fn new(path: &str, allowed: &[PathBuf]) -> Result<Self> {
        let path = PathBuf::from(percent_decoded(path)?);
        if path.components().any(|part| part == Component::ParentDir) {
            return Err(Error::validation("a file:// URI must not contain .."));
        }
        let resolved = resolve_existing_part(&path);
        allowed
            .iter()
            .find(|root| resolved.starts_with(root))
            .map(|root| Self { path, root: root.clone(), owner: None })
            .ok_or_else(|| {
                Error::new(
                    ErrorKind::AccessDenied,
                    "this file:// URI is outside of the allowed folders; allow a folder with --allow-path",
                )
            })
    }

    /// Returns the path with links resolved now.
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

    /// Opens a listed file.
    pub(crate) fn open(&self, path: &Path) -> Result<File> {
        let unreadable = |error| io_error(error, "the file");
        let resolved = fs::canonicalize(path).map_err(unreadable)?;
        let below = self.below_base(&resolved).ok_or_else(|| outside("the file"))?;
        let mut options = OpenOptions::new();
        options.read(true);
        #[cfg(unix)]
        {
            use cap_std::fs::OpenOptionsExt;
            // A pipe in place of the file must not block.
            options.custom_flags(libc::O_NONBLOCK);
        }
        let file = self.base().and_then(|base| base.open_with(below, &options));
        let file = file.map_err(unreadable)?;
        if !file.metadata().is_ok_and(|found| found.is_file()) {
            return Err(unreadable(io::ErrorKind::NotFound.into()));
        }
        Ok(file.into_std())
    }

    /// The folder beneath which paths are resolved: the root, or the folder around a root that is a file or does not exist
    /// yet.
    fn base_path(&self) -> &Path {
        self.root.ancestors().find(|folder| folder.is_dir()).unwrap_or(&self.root)
    }

    /// Opens that folder. Fails if it was moved or replaced by a link.
    fn base(&self) -> io::Result<Dir> {
        let path = self.base_path();
        #[cfg(target_os = "linux")]
        {
            use rustix::fs::{CWD, Mode, OFlags, ResolveFlags, openat2};
            use rustix::io::Errno;
            let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
            match openat2(CWD, path, flags, Mode::empty(), ResolveFlags::NO_SYMLINKS) {
                Ok(opened) => return Ok(Dir::from_std_file(File::from(opened))),
                // Linux before 5.6, and containers that refuse the call.
                Err(Errno::NOSYS | Errno::PERM) => {}
                Err(error) => return Err(error.into()),
            }
        }
        let base = Dir::open_ambient_dir(path, ambient_authority())?;
        if fs::canonicalize(path)? == path { Ok(base) } else { Err(io::ErrorKind::NotFound.into()) }
    }

    /// Returns a resolved path relative to that folder; `None` outside of the root.
    fn below_base<'a>(&self, resolved: &'a Path) -> Option<&'a Path> {
        if !resolved.starts_with(&self.root) {
            return None;
        }
        resolved.strip_prefix(self.base_path()).ok()
    }

    /// Returns the path of a relative name.
    pub(crate) fn below(&self, name: &str) -> Result<PathBuf> {
        let name = Path::new(name);
        let plain = |part| matches!(part, Component::Normal(_));
        if name.as_os_str().is_empty() || !name.components().all(plain) {
            return Err(Error::validation(
                "the path of an object must be relative and must not contain ..",
            ));
        }
        Ok(self.path.join(name))
    }

    /// Returns the key of a relative name.
    pub(crate) fn key(&self, name: &str) -> Result<String> {
        Ok(shown(self.below(name)?.as_os_str()))
    }

    /// Begins a file under a temporary name.
    pub(crate) fn create(&self, name: &str, existing: Existing) -> Result<Draft> {
        let target = self.below(name)?;
        let folder = resolve_existing_part(target.parent().unwrap_or(&self.path));
        let below = self.below_base(&folder).ok_or_else(|| outside("the output folder"))?;
        let target = target.file_name().unwrap_or_default().to_owned();
        self.draft(below, target, existing).map_err(unwritable)
    }

    /// Creates the temporary file of `target`, in place of one that the owner left.
    fn draft(&self, folder: &Path, target: OsString, existing: Existing) -> io::Result<Draft> {
        let mut dir = self.base()?;
        if folder != Path::new("") {
            dir.create_dir_all(folder)?;
            dir = dir.open_dir(folder)?;
        }
        let mut name = OsString::from(DRAFT);
        if let Some(owner) = &self.owner {
            name.push(format!("{owner}-"));
            name.push(&target);
            match dir.remove_file(&name) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        } else {
            name.push(format!("{:016x}", RandomState::new().hash_one(&target)));
        }
        let mut options = OpenOptions::new();
        options.read(true).write(true).create_new(true);
        #[cfg(unix)]
        {
            use cap_std::fs::OpenOptionsExt;
            options.mode(0o600);
        }
        let file = dir.open_with(&name, &options)?.into_std();
        Ok(Draft { file, dir, name, target, existing, is_finished: false })
    }

    /// Returns this folder with an owner of drafts.
    pub(crate) fn with_owner(self, owner: &str) -> Self {
        Self { owner: Some(owner.to_owned()), ..self }
    }

    /// Removes the drafts in this folder and in those directly below it.
    pub(crate) fn discard_drafts(&self) -> Result<()> {
        self.discard(WalkDir::new(&self.path).max_depth(2), DRAFT)
    }

    /// Removes the drafts of the owner, recursively.
    pub(crate) fn discard_own_drafts(&self) -> Result<()> {
        match &self.owner {
            Some(owner) => self.discard(WalkDir::new(&self.path), &format!("{DRAFT}{owner}-")),
            None => Ok(()),
        }
    }

    /// Removes the files whose names begin with `prefix`.
    fn discard(&self, walk: WalkDir, prefix: &str) -> Result<()> {
        for entry in walk.into_iter().filter_map(std::result::Result::ok) {
            let name = entry.file_name().as_encoded_bytes();
            if !entry.file_type().is_file() || !name.starts_with(prefix.as_bytes()) {
                continue;
            }
            let folder = entry.path().parent().and_then(|folder| fs::canonicalize(folder).ok());
            let Some(path) = folder.map(|folder| folder.join(entry.file_name())) else { continue };
            if let Some(below) = self.below_base(&path) {
                self.base().and_then(|base| base.remove_file(below)).map_err(unwritable)?;
            }
        }
        Ok(())
    }

    fn contains(&self, path: &Path) -> bool {
        fs::canonicalize(path).is_ok_and(|resolved| resolved.starts_with(&self.root))
    }
}

/// What to do with an existing file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Existing {
    /// Replace it.
    Replaced,
    /// Keep it; it is a conflict unless it has the same content.
    Kept,
}

/// Unfinished file, which is removed on drop.
#[derive(Debug)]
pub(crate) struct Draft {
    file: File,
    /// The folder of the draft and of its target.
    dir: Dir,
    name: OsString,
    target: OsString,
    existing: Existing,
    is_finished: bool,
}

impl Draft {
    pub(crate) fn write(&mut self, piece: &[u8]) -> Result<()> {
        self.file.write_all(piece).map_err(unwritable)
    }

    /// Syncs, then renames: a reader sees either the old or the new file.
    pub(crate) fn finish(mut self) -> Result<()> {
        self.file.sync_all().map_err(unwritable)?;
        if self.existing == Existing::Replaced {
            self.rename().map_err(unwritable)?;
        } else if !self.link().map_err(unwritable)?
            && !self.is_there_already().map_err(unwritable)?
        {
            return Err(Error::conflict(
                "a file of this name with other content exists; use --overwrite, or export to another folder",
            ));
        }
        self.sync_folder().map_err(unwritable)
    }

    fn rename(&mut self) -> io::Result<()> {
        self.dir.rename(&self.name, &self.dir, &self.target)?;
        self.is_finished = true;
        Ok(())
    }

    /// Gives the file its name; `false` if it is taken.
    fn link(&mut self) -> io::Result<bool> {
        match self.dir.hard_link(&self.name, &self.dir, &self.target) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
            // Some file systems have no hard links.
            Err(_) if self.dir.symlink_metadata(&self.target).is_err() => {
                self.rename().map(|()| true)
            }
            Err(_) => Ok(false),
        }
    }

    /// Returns whether the existing file has the same content, as after an earlier run.
    fn is_there_already(&self) -> io::Result<bool> {
        let found = self.dir.open(&self.target)?;
        let metadata = found.metadata()?;
        if !metadata.is_file() || metadata.len() != self.file.metadata()?.len() {
            return Ok(false);
        }
        same_content(&found.into_std(), &self.dir.open(&self.name)?.into_std())
    }

    /// Makes a rename durable; only Unix can sync folders.
    fn sync_folder(&self) -> io::Result<()> {
        if cfg!(unix) {
            // The open folder may be usable for paths only (O_PATH).
            self.dir.open(".")?.sync_all()?;
        }
        Ok(())
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        if !self.is_finished
            && let Err(error) = self.dir.remove_file(&self.name)
        {
            tracing::warn!(%error, "an unfinished file could not be removed");
        }
    }
}

/// Returns whether two files of one length have the same bytes.
fn same_content(one: &File, other: &File) -> io::Result<bool> {
    const PIECE: u64 = 64 << 10;
    let (mut of_one, mut of_other) = (Vec::new(), Vec::new());
    loop {
        of_one.clear();
        of_other.clear();
        let read = one.take(PIECE).read_to_end(&mut of_one)?;
        other.take(PIECE).read_to_end(&mut of_other)?;
        if of_one != of_other {
            return Ok(false);
        }
        if read == 0 {
            return Ok(true);
        }
    }
}

fn outside(what: &str) -> Error {
    let message =
        format!("{what} is outside of the allowed folders; allow a folder with --allow-path");
    Error::new(ErrorKind::AccessDenied, message)
}

fn unwritable(error: io::Error) -> Error {
    io_error(error, "the output folder")
}

/// Item of a walked entry; none for a folder.
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

/// Path as text, with bytes that are not UTF-8 as `\xNN`, so that different names have different keys.
fn shown(path: &OsStr) -> String {
    let mut text = String::new();
    for chunk in path.as_encoded_bytes().utf8_chunks() {
        text.push_str(chunk.valid());
        for byte in chunk.invalid() {
            // ObjectWriter to a string cannot fail.
            let _ = write!(text, "\\x{byte:02X}");
        }
    }
    text
}

fn reason(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::NotFound => "the file was removed while it was read",
        io::ErrorKind::PermissionDenied => "permission denied",
        _ => "the file cannot be read",
    }
}

fn io_error(error: io::Error, what: &str) -> Error {
    let (kind, verdict) = match error.kind() {
        io::ErrorKind::NotFound => (ErrorKind::NotFound, "does not exist"),
        io::ErrorKind::PermissionDenied => {
            (ErrorKind::AccessDenied, "cannot be accessed: permission denied")
        }
        io::ErrorKind::StorageFull => {
            (ErrorKind::Internal, "cannot be written: the disk is full; free space, then try again")
        }
        _ => (ErrorKind::Internal, "cannot be used; check the disk, then try again"),
    };
    Error::new(kind, format!("{what} {verdict}")).with_source(error)
}

/// Resolves the links of the part of a path that exists.
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

/// Returns the `file://` URI of an absolute path, percent-encoded (RFC 3986 §2.3).
///
/// # Errors
/// `Validation` for a relative path, or one that is not UTF-8.
pub fn file_uri(path: &Path) -> Result<ObjectUri> {
    let text = path
        .to_str()
        .filter(|_| path.is_absolute())
        .ok_or_else(|| Error::validation("a path must be absolute and valid UTF-8"))?;
    ObjectUri::try_from(format!("file://{}", utf8_percent_encode(text, RESERVED)))
}

/// Returns the path of a `file://` URI, percent-decoded; `None` for other URIs, and for one that is not encoded rightly.
#[must_use]
pub fn file_path(uri: &ObjectUri) -> Option<PathBuf> {
    let path = uri.as_str().strip_prefix("file://")?;
    percent_decoded(path).ok().map(PathBuf::from)
}

/// Everything but unreserved characters and the separator.
const RESERVED: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'/').remove(b'-').remove(b'.').remove(b'_').remove(b'~');

fn percent_decoded(text: &str) -> Result<String> {
    let invalid = || Error::validation("the file:// URI has an invalid percent-encoding");
    let is_encoded = |rest: &str| {
        rest.as_bytes().get(..2).is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
    };
    if !text.split('%').skip(1).all(is_encoded) {
        return Err(invalid());
    }
    percent_decode_str(text).decode_utf8().map(Into::into).map_err(|_| invalid())
}
