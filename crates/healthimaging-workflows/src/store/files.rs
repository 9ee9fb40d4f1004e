//! Local files.

use std::path::PathBuf;

use async_trait::async_trait;
use futures::TryStreamExt as _;
use tokio::io::{AsyncReadExt as _, AsyncSeekExt as _};
use tokio_util::io::ReaderStream;

use healthimaging::{Body, DatastoreId, Error, Result};
use healthimaging_objects::{Entry, Listed, Location, Objects, file_uri};

use super::{Source, Stored, Watch, nothing_to_store, store};
use crate::back_end::BackEnd;

/// Bytes that are read at once.
const PIECE: usize = 256 << 10;

/// Bytes of a file that are shown to [`Inspect`].
const START: usize = 512;

/// Refuses a file by its first 512 bytes, with the reason, before anything of it is sent.
pub type Inspect = fn(&[u8]) -> Option<String>;

/// Stores files, and the files of folders, recursively: what became of each, by absolute path.
///
/// `Validation` for a relative path, `AccessDenied` for one outside of the allowed folders, `NotFound`
/// for one that is not there; nothing is stored then.
pub async fn files(
    back_end: &BackEnd,
    objects: &Objects,
    datastore_id: &DatastoreId,
    paths: &[PathBuf],
    inspect: Inspect,
    watch: Watch,
) -> Result<Stored<String>> {
    let (mut waiting, mut unreadable) = (Vec::new(), Vec::new());
    for path in paths {
        let place = objects.location(&file_uri(path)?)?;
        for line in place.list().await? {
            match line {
                Listed::Object(entry) => waiting.push((place.clone(), entry)),
                Listed::Unreadable { key, message } => unreadable.push((key, message)),
            }
        }
    }
    // Two of the paths may lead to one file.
    waiting.sort_by(|(_, a), (_, b)| a.key.cmp(&b.key));
    waiting.dedup_by(|(_, a), (_, b)| a.key == b.key);
    if waiting.is_empty() && unreadable.is_empty() {
        return Err(nothing_to_store());
    }
    let stored =
        store(&*back_end.dicomweb, datastore_id, Files { inspect }, waiting, watch).await?;
    let failed = stored.failed.into_iter();
    unreadable.extend(failed.map(|((_, entry), message)| (entry.key, message)));
    let done = stored.stored.into_iter();
    Ok(Stored {
        stored: done.map(|((_, entry), outcome)| (entry.key, outcome)).collect(),
        failed: unreadable,
        not_tried: stored.not_tried,
        error: stored.error,
    })
}

struct Files {
    inspect: Inspect,
}

#[async_trait]
impl Source for Files {
    type Item = (Location, Entry);

    async fn open(&self, (place, entry): &Self::Item) -> Result<Body> {
        let file = place.fetch(entry).await?;
        let length = file.metadata().map(|found| found.len()).ok();
        let unreadable = |cause| Error::internal("the file cannot be read", cause);
        let mut file = tokio::fs::File::from_std(file);
        let mut start = Vec::with_capacity(START);
        (&mut file).take(START as u64).read_to_end(&mut start).await.map_err(unreadable)?;
        if let Some(reason) = (self.inspect)(&start) {
            return Err(Error::validation(reason));
        }
        file.rewind().await.map_err(unreadable)?;
        let pieces = ReaderStream::with_capacity(file, PIECE).map_err(unreadable);
        Ok(Body::from_stream(Box::pin(pieces), length))
    }
}
