//! Locations that URIs name: they list, fetch and write objects.

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
use crate::listing::{Entry, Listed, ObjectPart, blocking};
use crate::writer::ObjectWriter;

/// Settings of [`Objects`].
#[derive(Debug, Clone, Default)]
pub struct ObjectsConfig {
    /// Folders in which `file://` is allowed; none by default.
    pub allowed_paths: Vec<PathBuf>,
    /// Settings of S3.
    pub s3: S3Config,
    /// Folder for downloads while they are read; the system's temporary folder by default. They have no name and are
    /// removed when they are closed.
    pub download_dir: Option<PathBuf>,
}

/// Opens locations under the rules of an [`ObjectsConfig`].
#[derive(Debug, Clone)]
pub struct Objects {
    config: Arc<ObjectsConfig>,
    /// Folders that replace the allowed ones, with links resolved.
    confined_to: Option<Arc<[PathBuf]>>,
}

impl Objects {
    /// Creates it from these settings.
    #[must_use]
    pub fn new(config: ObjectsConfig) -> Self {
        Self { config: Arc::new(config), confined_to: None }
    }

    /// Returns a copy that allows more folders.
    #[must_use]
    pub fn allowing(&self, paths: &[PathBuf]) -> Self {
        let mut config = (*self.config).clone();
        config.allowed_paths.extend_from_slice(paths);
        Self::new(config)
    }

    /// Returns a copy with the same S3, and `file://` confined to `folders`, which [`Self::resolved_folders`] returned
    /// earlier.
    ///
    /// A folder that has been replaced by a link since then is not followed.
    #[must_use]
    pub fn confined_to(&self, folders: &[PathBuf]) -> Self {
        Self { config: Arc::clone(&self.config), confined_to: Some(folders.into()) }
    }

    /// Returns the allowed folders among these URIs, with links resolved: a job over them runs in another process with
    /// exactly these folders allowed.
    #[must_use]
    pub fn resolved_folders<'a>(
        &self,
        uris: impl IntoIterator<Item = &'a ObjectUri>,
    ) -> Vec<PathBuf> {
        let locations = uris.into_iter().filter_map(|uri| self.location(uri).ok());
        let mut folders: Vec<PathBuf> = locations
            .filter_map(|location| match location {
                Location::Folder(folder) => Some(folder.resolved()),
                Location::Bucket(_) => None,
            })
            .collect();
        folders.sort();
        folders.dedup();
        folders
    }

    /// Returns the location of a URI. Reads nothing.
    ///
    /// # Errors
    /// `AccessDenied` for a folder outside of the allowed ones, `Credentials` for S3 without credentials.
    pub fn location(&self, uri: &ObjectUri) -> Result<Location> {
        let text = uri.as_str();
        if let Some(rest) = text.strip_prefix("s3://") {
            let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
            let download_dir = self.config.download_dir.clone();
            return Bucket::new(bucket, prefix, &self.config.s3, download_dir)
                .map(Location::Bucket);
        }
        let path = text.strip_prefix("file://").ok_or_else(|| {
            Error::validation("the URI of an object or folder must begin with s3:// or file:///")
        })?;
        match &self.confined_to {
            Some(folders) => Folder::new(path, folders),
            None => Folder::new(path, &resolved(&self.config.allowed_paths)),
        }
        .map(Location::Folder)
    }
}

/// Allowed folders that exist, with links resolved.
fn resolved(allowed: &[PathBuf]) -> Vec<PathBuf> {
    allowed.iter().filter_map(|folder| std::fs::canonicalize(folder).ok()).collect()
}

/// A prefix, in a bucket or on disk.
#[derive(Debug, Clone)]
pub enum Location {
    /// In a bucket.
    Bucket(Bucket),
    /// On disk.
    Folder(Folder),
}

impl Location {
    /// Lists everything beneath the prefix, sorted by key, without folders and zero-byte folder markers.
    ///
    /// Files that cannot be read are part of the list; an error means that there is no list.
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

    /// Opens a listed object for reading.
    ///
    /// # Errors
    /// `NotFound` if it was removed, `AccessDenied` if it may not be read.
    pub async fn fetch(&self, entry: &Entry) -> Result<File> {
        match self {
            Self::Bucket(bucket) => bucket.fetch(&entry.key).await,
            Self::Folder(folder) => {
                let (folder, path) = (folder.clone(), entry.path.clone());
                let path =
                    path.ok_or_else(|| Error::not_found("the entry is not of this location"))?;
                blocking(move || folder.open(&path)).await
            }
        }
    }

    /// Returns whether objects are local files, which need no download.
    #[must_use]
    pub fn is_local(&self) -> bool {
        matches!(self, Self::Folder(_))
    }

    /// Downloads a range of a listed object in a bucket, of `version` if one is given. The object must have at least that
    /// many bytes.
    ///
    /// # Errors
    /// `Conflict` if the object has changed.
    pub async fn fetch_part(
        &self,
        entry: &Entry,
        range: Range<u64>,
        version: Option<&str>,
    ) -> Result<ObjectPart> {
        match self {
            Self::Bucket(bucket) => bucket.fetch_part(&entry.key, range, version).await,
            Self::Folder(_) => Err(Error::not_supported("local files need no download")),
        }
    }

    /// Downloads a listed object in a bucket after `start`, which was fetched before, and opens the whole for reading.
    ///
    /// # Errors
    /// `Conflict` if the object has changed.
    pub async fn fetch_rest(
        &self,
        entry: &Entry,
        start: Bytes,
        version: Option<&str>,
    ) -> Result<File> {
        match self {
            Self::Bucket(bucket) => bucket.fetch_rest(&entry.key, start, entry.size, version).await,
            Self::Folder(_) => Err(Error::not_supported("local files need no download")),
        }
    }

    /// Returns the key of a relative name below the prefix, as in a listing.
    pub fn key(&self, name: &str) -> Result<String> {
        match self {
            Self::Bucket(bucket) => bucket.key(name),
            Self::Folder(folder) => folder.key(name),
        }
    }

    /// Reads the object of a relative name below the prefix, at most `limit` bytes.
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

    /// Writes an object at a relative name below the prefix, atomically, over an existing one. It is durable when this
    /// returns.
    pub async fn write(&self, name: &str, content: Bytes) -> Result<()> {
        let mut writer = self.create(name).await?;
        writer.write(content).await?;
        writer.finish().await
    }

    /// Returns this location for work that may be resumed by another process: an object that is begun again replaces the
    /// unfinished file of the first attempt. Only one process may use an owner at a time.
    #[must_use]
    pub fn resumable(self, owner: &str) -> Self {
        match self {
            Self::Folder(folder) => Self::Folder(folder.with_owner(owner)),
            bucket @ Self::Bucket(_) => bucket,
        }
    }

    /// Removes unfinished files of crashed processes in this folder and in the folders directly below it. No other process
    /// may write here at the time.
    pub async fn discard_drafts(&self) -> Result<()> {
        match self {
            Self::Bucket(_) => Ok(()),
            Self::Folder(folder) => {
                let folder = folder.clone();
                blocking(move || folder.discard_drafts()).await
            }
        }
    }

    /// Removes the unfinished files of the owner of [`Self::resumable`], recursively.
    pub async fn discard_own_drafts(&self) -> Result<()> {
        match self {
            Self::Bucket(_) => Ok(()),
            Self::Folder(folder) => {
                let folder = folder.clone();
                blocking(move || folder.discard_own_drafts()).await
            }
        }
    }

    /// Begins an object at a relative name below the prefix, which replaces an existing one.
    pub async fn create(&self, name: &str) -> Result<ObjectWriter> {
        self.begin(name, Existing::Replaced).await
    }

    /// Begins an object as [`Self::create`] does, but finishing it is a `Conflict` if a file of this name has other content.
    /// Objects in a bucket are replaced.
    pub async fn create_new(&self, name: &str) -> Result<ObjectWriter> {
        self.begin(name, Existing::Kept).await
    }

    async fn begin(&self, name: &str, existing: Existing) -> Result<ObjectWriter> {
        match self {
            Self::Bucket(bucket) => bucket.create(name).map(ObjectWriter::upload),
            Self::Folder(folder) => {
                let (folder, name) = (folder.clone(), name.to_owned());
                blocking(move || folder.create(&name, existing)).await.map(ObjectWriter::draft)
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
