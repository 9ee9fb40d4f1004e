//! STOW-RS: files put together into requests of some megabytes, a large one streamed by itself.

mod outcome;

use bytes::{Bytes, BytesMut};
use futures::stream::{self, BoxStream, StreamExt, TryStreamExt};
use healthimaging::model::{FailedInstance, StoreInstancesRequest, StoreInstancesResponse};
use healthimaging::{Body, DatastoreId, Error, HealthImaging, Result};

use super::multipart::multipart;
use super::part10::{self, HEAD, Meta};
use super::request::{Sent, Web};

/// Files are put together up to this many bytes: few requests, and few versions of an image set.
const TOGETHER: usize = 32 * 1024 * 1024;
/// Files of one request.
const MOST_FILES: usize = 500;

/// A file of the request: its place in it, and what it says it is.
struct Item {
    position: usize,
    meta: Meta,
}

/// Files that go into one request.
#[derive(Default)]
struct Batch {
    items: Vec<Item>,
    files: Vec<Bytes>,
    size: usize,
}

/// What came of a file's body before anything was sent.
enum Read {
    /// All of it.
    Whole(Bytes),
    /// Too large to hold, and as long as this.
    Large(Meta, BoxStream<'static, Result<Bytes>>, u64),
    /// Too large to hold, of unknown length.
    Endless,
}

pub(crate) async fn store(
    service: &dyn HealthImaging,
    web: &Web,
    request: StoreInstancesRequest,
) -> Result<StoreInstancesResponse> {
    let path = request
        .study_instance_uid
        .map_or_else(|| "/studies".to_owned(), |uid| format!("/studies/{}", uid.path_segment()));
    let mut storing = Storing {
        service,
        web,
        datastore: request.datastore_id,
        path,
        sent: false,
        outcomes: StoreInstancesResponse { stored: Vec::new(), failed: Vec::new() },
    };
    let mut batch = Batch::default();
    let mut files = request.instances.enumerate();
    while let Some((position, file)) = files.next().await {
        let read = match file {
            Ok(file) => read(file).await,
            Err(error) => Err(error),
        };
        match read {
            Ok(Read::Whole(file)) => {
                if batch.size + file.len() > TOGETHER || batch.files.len() == MOST_FILES {
                    storing.batch(std::mem::take(&mut batch)).await?;
                }
                batch.add(position, file);
            }
            Ok(Read::Large(meta, body, length)) => {
                storing.batch(std::mem::take(&mut batch)).await?;
                let sent = Sent::Streamed(body, length);
                let items = vec![Item { position, meta }];
                storing.send(items, "application/dicom", sent).await?;
            }
            Ok(Read::Endless) => storing.fail(position, too_long()),
            Err(error) => storing.fail(position, error.message().to_owned()),
        }
    }
    storing.batch(batch).await?;
    let mut outcomes = storing.outcomes;
    outcomes.stored.sort_by_key(|stored| stored.position);
    outcomes.failed.sort_by_key(|failed| failed.position);
    Ok(outcomes)
}

impl Batch {
    fn add(&mut self, position: usize, file: Bytes) {
        let meta = part10::meta(&file);
        self.items.push(Item { position, meta });
        self.size += file.len();
        self.files.push(file);
    }
}

/// Reads a file as far as it may be held.
async fn read(file: Body) -> Result<Read> {
    let length = file.length();
    let enough = match length {
        Some(length) if length > TOGETHER as u64 => HEAD,
        _ => TOGETHER + 1,
    };
    let mut pieces = file.into_stream();
    let mut held = BytesMut::new();
    while held.len() < enough {
        let Some(piece) = pieces.try_next().await? else {
            return Ok(Read::Whole(held.freeze()));
        };
        held.extend_from_slice(&piece);
    }
    let Some(length) = length else {
        return Ok(Read::Endless);
    };
    let meta = part10::meta(&held);
    let whole = stream::once(async move { Ok(held.freeze()) }).chain(pieces);
    Ok(Read::Large(meta, whole.boxed(), length))
}

fn too_long() -> String {
    format!(
        "longer than {} MiB, and its length is not known before it is read",
        TOGETHER / 1024 / 1024
    )
}

/// A store under way.
struct Storing<'a> {
    service: &'a dyn HealthImaging,
    web: &'a Web,
    datastore: DatastoreId,
    path: String,
    /// Whether something has been sent, so that an error must not hide its outcomes.
    sent: bool,
    outcomes: StoreInstancesResponse,
}

impl Storing<'_> {
    async fn batch(&mut self, batch: Batch) -> Result<()> {
        if batch.items.is_empty() {
            return Ok(());
        }
        if let [file] = &batch.files[..] {
            let sent = Sent::Whole(file.clone());
            return self.send(batch.items, "application/dicom", sent).await;
        }
        let body = multipart(batch.files.iter())?;
        drop(batch.files);
        self.send(batch.items, &body.content_type, Sent::Whole(body.body)).await
    }

    /// Sends one request. Once there are outcomes, its failure is an outcome too.
    async fn send(&mut self, items: Vec<Item>, content_type: &str, sent: Sent) -> Result<()> {
        match self.outcome(&items, content_type, sent).await {
            Ok(outcomes) => {
                self.outcomes.stored.extend(outcomes.stored);
                self.outcomes.failed.extend(outcomes.failed);
            }
            Err(error) if self.sent => {
                for item in items {
                    self.fail(item.position, error.message().to_owned());
                }
            }
            Err(error) => return Err(error),
        }
        self.sent = true;
        Ok(())
    }

    async fn outcome(
        &self,
        items: &[Item],
        content_type: &str,
        sent: Sent,
    ) -> Result<StoreInstancesResponse, Error> {
        let answer = self.web.post(&self.datastore, &self.path, content_type, sent).await?;
        outcome::read(self.service, self.web, &self.datastore, items, answer).await
    }

    fn fail(&mut self, position: usize, message: String) {
        self.outcomes.failed.push(FailedInstance {
            position,
            sop_class_uid: None,
            sop_instance_uid: None,
            failure_reason: outcome::PROCESSING_FAILURE,
            message,
        });
    }
}
