//! STOW-RS: small files are sent together, a large one is streamed by itself.

mod outcome;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::{Bytes, BytesMut};
use futures::stream::{self, BoxStream, StreamExt, TryStreamExt};
use healthimaging::model::{FailedInstance, StoreInstancesRequest, StoreInstancesResponse};
use healthimaging::{Body, DatastoreId, Error, HealthImaging, Result};

use super::multipart::multipart;
use super::part10::{self, HEAD, Meta};
use super::request::{Sent, Web};

/// Bytes of a request: few requests create few versions of an image set.
const MAX_BATCH: usize = 32 * 1024 * 1024;
/// Files of a request.
const MAX_FILES: usize = 500;

/// A file: its position in the request, and its UIDs.
struct Item {
    position: usize,
    meta: Meta,
}

/// Files of one request.
#[derive(Default)]
struct Batch {
    items: Vec<Item>,
    files: Vec<Bytes>,
    size: usize,
}

/// A file after its beginning was read.
enum Read {
    /// A whole file.
    Whole(Bytes),
    /// Too large for a batch, with its length.
    Large(Meta, BoxStream<'static, Result<Bytes>>, u64),
    /// Too large for a batch, with an unknown length.
    Unsized,
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
                if batch.size + file.len() > MAX_BATCH || batch.files.len() == MAX_FILES {
                    storing.batch(std::mem::take(&mut batch)).await?;
                }
                batch.add(position, file);
            }
            Ok(Read::Large(meta, body, length)) => {
                storing.batch(std::mem::take(&mut batch)).await?;
                let is_cut = Arc::new(AtomicBool::new(false));
                let cut = Arc::clone(&is_cut);
                let body = body.inspect_err(move |_| cut.store(true, Ordering::Relaxed));
                let sent = Sent::Streamed(body.boxed(), length);
                let items = vec![Item { position, meta }];
                storing.send(items, "application/dicom", sent).await?;
                if is_cut.load(Ordering::Relaxed) {
                    break;
                }
            }
            Ok(Read::Unsized) => storing.fail(position, too_long()),
            // The request cannot be read further. Nothing of it is stored, unless a part of it was sent already.
            Err(error) if !storing.sent => return Err(error),
            Err(error) => {
                storing.fail(position, error.message().to_owned());
                break;
            }
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

/// Reads a file up to the size of a batch.
async fn read(file: Body) -> Result<Read> {
    let length = file.length();
    let enough = match length {
        Some(length) if length > MAX_BATCH as u64 => HEAD,
        _ => MAX_BATCH + 1,
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
        return Ok(Read::Unsized);
    };
    let meta = part10::meta(&held);
    let whole = stream::once(async move { Ok(held.freeze()) }).chain(pieces);
    Ok(Read::Large(meta, whole.boxed(), length))
}

fn too_long() -> String {
    format!(
        "the file is longer than {} MiB and of unknown length; store it by itself with its length",
        MAX_BATCH / 1024 / 1024
    )
}

/// A store in progress.
struct Storing<'a> {
    service: &'a dyn HealthImaging,
    web: &'a Web,
    datastore: DatastoreId,
    path: String,
    /// Whether a request was sent, so that an error must not hide its outcomes.
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

    /// Sends a request. After the first one, a failure is an outcome of its files.
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
