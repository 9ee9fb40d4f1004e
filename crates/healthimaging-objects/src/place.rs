//! The face of the crate: URIs become places, places list, fetch and write.

use std::fs::File;
use std::io::Read;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use healthimaging::{Error, ObjectUri, Result};

use crate::bucket::Bucket;
use crate::credentials::S3Config;
use crate::folder::{Existing, Folder};
use crate::writing::Writing;

/// What may be read and written, and how.
#[derive(Debug, Clone, Default)]
pub struct ObjectsConfig {
    /// Folders that `file://` may touch; none by default.
    pub allowed_paths: Vec<PathBuf>,
    /// How S3 is reached.
    pub s3: S3Config,
    /// Where downloads lie while they are read; the system's temporary folder when absent. They
    /// have no name there and vanish when they are closed.
    pub download_dir: Option<PathBuf>,
}

/// Makes places of URIs.
#[derive(Debug, Clone)]
pub struct Objects {
    config: Arc<ObjectsConfig>,
    /// Resolved folders that replace the allowed ones.
    confined_to: Option<Arc<[PathBuf]>>,
}

impl Objects {
    /// Objects under these rules.
    #[must_use]
    pub fn new(config: ObjectsConfig) -> Self {
        Self { config: Arc::new(config), confined_to: None }
    }

    /// The same, with more folders allowed.
    #[must_use]
    pub fn allowing(&self, paths: &[PathBuf]) -> Self {
        let mut config = (*self.config).clone();
        config.allowed_paths.extend_from_slice(paths);
        Self::new(config)
    }

    /// The same S3, with `file://` confined to `folders`, which [`Self::resolved_folders`] returned
    /// earlier, whatever the configuration allows.
    ///
    /// A folder that has become a link to elsewhere since then is not followed.
    #[must_use]
    pub fn confined_to(&self, folders: &[PathBuf]) -> Self {
        Self { config: Arc::clone(&self.config), confined_to: Some(folders.into()) }
    }

    /// The folders that these URIs name, links resolved, without those that are not allowed and without
    /// `s3://`: what work over exactly these places has to be allowed, by whichever process it is done.
    #[must_use]
    pub fn resolved_folders<'a>(
        &self,
        uris: impl IntoIterator<Item = &'a ObjectUri>,
    ) -> Vec<PathBuf> {
        let places = uris.into_iter().filter_map(|uri| self.place(uri).ok());
        let mut folders: Vec<PathBuf> = places
            .filter_map(|place| match place {
                Place::Folder(folder) => Some(folder.resolved()),
                Place::Bucket(_) => None,
            })
            .collect();
        folders.sort();
        folders.dedup();
        folders
    }

    /// The place that a URI names.
    ///
    /// `AccessDenied` when it is a folder outside of those allowed, `Credentials` when S3 is asked for
    /// and nobody signs. Nothing is read yet.
    pub fn place(&self, uri: &ObjectUri) -> Result<Place> {
        let text = uri.as_str();
        if let Some(rest) = text.strip_prefix("s3://") {
            let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
            let download_dir = self.config.download_dir.clone();
            return Bucket::new(bucket, prefix, &self.config.s3, download_dir).map(Place::Bucket);
        }
        let path = text
            .strip_prefix("file://")
            .ok_or_else(|| Error::validation("a place starts with s3:// or file:///"))?;
        match &self.confined_to {
            Some(folders) => Folder::new(path, folders),
            None => Folder::new(path, &resolved(&self.config.allowed_paths)),
        }
        .map(Place::Folder)
    }
}

/// Allowed folders that exist, links resolved.
fn resolved(allowed: &[PathBuf]) -> Vec<PathBuf> {
    allowed.iter().filter_map(|folder| std::fs::canonicalize(folder).ok()).collect()
}

/// An object found in a listing.
#[derive(Debug, Clone)]
pub struct Entry {
    /// The object key; for a file its absolute path, bytes that are not UTF-8 shown as `\xNN`.
    pub key: String,
    /// Size in bytes when it was listed.
    pub size: u64,
    /// The path, for a file: a key does not always lead back to it.
    pub(crate) path: Option<PathBuf>,
}

/// Some bytes of an object.
#[derive(Debug, Clone)]
pub struct ObjectPart {
    /// The bytes.
    pub bytes: Bytes,
    /// Tells what the object holds from what it held before or holds later (its `ETag`).
    pub version: Option<String>,
}

/// A line of a listing.
#[derive(Debug, Clone)]
pub enum Listed {
    /// An object.
    Object(Entry),
    /// Something that is there and cannot be read.
    Unreadable {
        /// Its key.
        key: String,
        /// Why, without naming it.
        message: String,
    },
}

impl Listed {
    /// The key.
    #[must_use]
    pub fn key(&self) -> &str {
        match self {
            Self::Object(entry) => &entry.key,
            Self::Unreadable { key, .. } => key,
        }
    }
}

/// A prefix, in a bucket or on disk.
#[derive(Debug, Clone)]
pub enum Place {
    /// In a bucket.
    Bucket(Bucket),
    /// On disk.
    Folder(Folder),
}

impl Place {
    /// Everything beneath the prefix, sorted by key; folders and zero-byte folder markers left out.
    ///
    /// What cannot be read is listed as such; an error means that nothing could be listed at all.
    pub async fn list(&self) -> Result<Vec<Listed>> {
        let mut listed = match self {
            Self::Bucket(bucket) => bucket.list().await?,
            Self::Folder(folder) => {
                let folder = folder.clone();
                blocking(move || folder.list()).await?
            }
        };
        listed.sort_by(|a, b| a.key().cmp(b.key()));
        Ok(listed)
    }

    /// The content of a listed object, as a file open for reading.
    ///
    /// `NotFound` when it has vanished, `AccessDenied` when it may not be read.
    pub async fn fetch(&self, entry: &Entry) -> Result<File> {
        match self {
            Self::Bucket(bucket) => bucket.fetch(&entry.key).await,
            Self::Folder(folder) => {
                let (folder, path) = (folder.clone(), entry.path.clone());
                let path =
                    path.ok_or_else(|| Error::not_found("the entry is not of this place"))?;
                blocking(move || folder.open(&path)).await
            }
        }
    }

    /// Whether objects are read where they are; those in a bucket have to be fetched.
    #[must_use]
    pub fn is_local(&self) -> bool {
        matches!(self, Self::Folder(_))
    }

    /// Some bytes of a listed object in a bucket, which has at least so many; of `version`, where one is
    /// named.
    ///
    /// `Conflict` when the object has changed.
    pub async fn fetch_part(
        &self,
        entry: &Entry,
        range: Range<u64>,
        version: Option<&str>,
    ) -> Result<ObjectPart> {
        match self {
            Self::Bucket(bucket) => bucket.fetch_part(&entry.key, range, version).await,
            Self::Folder(_) => Err(Error::not_supported("files are read where they are")),
        }
    }

    /// The content of a listed object in a bucket, of which `start` was fetched before, as a file open for
    /// reading: no byte is fetched twice.
    ///
    /// `Conflict` when the object has changed.
    pub async fn fetch_rest(
        &self,
        entry: &Entry,
        start: Bytes,
        version: Option<&str>,
    ) -> Result<File> {
        match self {
            Self::Bucket(bucket) => bucket.fetch_rest(&entry.key, start, entry.size, version).await,
            Self::Folder(_) => Err(Error::not_supported("files are read where they are")),
        }
    }

    /// The key of a relative name below the prefix, as a listing shows it.
    pub fn key(&self, name: &str) -> Result<String> {
        match self {
            Self::Bucket(bucket) => bucket.key(name),
            Self::Folder(folder) => folder.key(name),
        }
    }

    /// The object of a relative name below the prefix; one longer than `limit` bytes is refused.
    pub async fn read(&self, name: &str, limit: u64) -> Result<Vec<u8>> {
        let file = match self {
            Self::Bucket(bucket) => bucket.fetch(&bucket.key(name)?).await?,
            Self::Folder(folder) => {
                let (folder, path) = (folder.clone(), folder.below(name)?);
                blocking(move || folder.open(&path)).await?
            }
        };
        blocking(move || read_up_to(file, limit)).await
    }

    /// Writes an object at a relative name below the prefix, over what was there, whole or not at
    /// all; durable when this returns.
    pub async fn write(&self, name: &str, content: Bytes) -> Result<()> {
        let mut writing = self.create(name).await?;
        writing.write(content).await?;
        writing.finish().await
    }

    /// The same place for work that may be taken up again after its process died: an object that it begins
    /// anew leaves nothing of the first attempt. Two must never work under one name at a time.
    #[must_use]
    pub fn resumable(self, owner: &str) -> Self {
        match self {
            Self::Folder(folder) => Self::Folder(folder.with_owner(owner)),
            bucket @ Self::Bucket(_) => bucket,
        }
    }

    /// Removes what objects that were begun in this place, or in the folders right below it, left when
    /// their process died. For places that nobody else writes to at the time.
    pub async fn discard_drafts(&self) -> Result<()> {
        match self {
            Self::Bucket(_) => Ok(()),
            Self::Folder(folder) => {
                let folder = folder.clone();
                blocking(move || folder.discard_drafts()).await
            }
        }
    }

    /// Removes what the owner that [`Self::resumable`] names left anywhere in this place when its process
    /// died.
    pub async fn discard_own_drafts(&self) -> Result<()> {
        match self {
            Self::Bucket(_) => Ok(()),
            Self::Folder(folder) => {
                let folder = folder.clone();
                blocking(move || folder.discard_own_drafts()).await
            }
        }
    }

    /// Begins an object at a relative name below the prefix, to be written piece by piece over what was there.
    pub async fn create(&self, name: &str) -> Result<Writing> {
        self.begin(name, Existing::Replaced).await
    }

    /// As [`Self::create`], but finishing it is a `Conflict` where a file of this name has other content. Objects in a
    /// bucket are replaced.
    pub async fn create_new(&self, name: &str) -> Result<Writing> {
        self.begin(name, Existing::Kept).await
    }

    async fn begin(&self, name: &str, existing: Existing) -> Result<Writing> {
        match self {
            Self::Bucket(bucket) => bucket.create(name).map(Writing::upload),
            Self::Folder(folder) => {
                let (folder, name) = (folder.clone(), name.to_owned());
                blocking(move || folder.create(&name, existing)).await.map(Writing::draft)
            }
        }
    }
}

fn read_up_to(file: File, limit: u64) -> Result<Vec<u8>> {
    let mut content = Vec::new();
    file.take(limit.saturating_add(1))
        .read_to_end(&mut content)
        .map_err(|error| Error::internal("the object could not be read", error))?;
    if content.len() as u64 > limit {
        return Err(Error::validation(format!(
            "the object is larger than the limit of {limit} bytes"
        )));
    }
    Ok(content)
}

/// Runs file work where it may block.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|error| Error::internal("the work on files was interrupted", error))?
}
