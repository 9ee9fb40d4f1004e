//! Part 10 files into a data store by DICOMweb, in requests of bounded size.

mod across;
mod files;

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use futures::stream::{self, BoxStream, StreamExt as _};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use healthimaging::model::{StoreInstancesRequest, StoreInstancesResponse, StoredInstance};
use healthimaging::{Body, DatastoreId, DicomWeb, Error, ErrorKind, Result};

pub use across::Across;
pub use files::{Inspect, files};

/// Bytes after which no file is added to a request; the service takes 1 GB.
const BYTES: u64 = 512 << 20;
/// Files of a request.
const FILES: usize = 1000;

/// Where files come from; one is opened when its turn comes.
#[async_trait]
pub(crate) trait Source: Send + Sync + 'static {
    /// What stands for a file.
    type Item: Send + 'static;

    /// The file.
    async fn open(&self, item: &Self::Item) -> Result<Body>;
}

/// What storing came to, file by file.
#[derive(Debug)]
pub struct Stored<T> {
    /// What is stored.
    pub stored: Vec<(T, StoredInstance)>,
    /// What is not, and why.
    pub failed: Vec<(T, String)>,
    /// Files that were not tried: the call was cancelled, or the data store refused a whole request.
    pub not_tried: usize,
    /// Why the data store refused a whole request.
    pub error: Option<Error>,
}

/// How far it is, and who ends it.
#[derive(Debug)]
pub struct Watch {
    /// Receives the number of files that were processed.
    pub done: watch::Sender<usize>,
    /// Ends it after the file that is being sent.
    pub cancelled: CancellationToken,
}

/// Stores files; an error means that nothing was stored because the data store refused it all.
pub(crate) async fn store<S: Source>(
    dicomweb: &dyn DicomWeb,
    datastore_id: &DatastoreId,
    source: S,
    items: Vec<S::Item>,
    watch: Watch,
) -> Result<Stored<S::Item>> {
    let round = Arc::new(Round {
        source,
        watch,
        total: items.len(),
        state: Mutex::new(State {
            waiting: items.into(),
            sent: Vec::new(),
            unopened: Vec::new(),
            bytes: 0,
            broken: None,
        }),
    });
    let mut all = Stored { stored: Vec::new(), failed: Vec::new(), not_tried: 0, error: None };
    while !round.is_over() {
        let request = StoreInstancesRequest {
            datastore_id: datastore_id.clone(),
            study_instance_uid: None,
            instances: bodies(Arc::clone(&round)),
        };
        let answer = dicomweb.store_instances(request).await;
        if let Err(error) = round.settle(answer, &mut all) {
            if all.stored.is_empty() {
                return Err(error);
            }
            all.error = Some(error);
            break;
        }
    }
    all.not_tried = round.state().waiting.len();
    Ok(all)
}

/// What the requests and the stream that they read from share.
struct Round<S: Source> {
    source: S,
    watch: Watch,
    total: usize,
    state: Mutex<State<S::Item>>,
}

struct State<T> {
    waiting: VecDeque<T>,
    /// Of this request, in its order.
    sent: Vec<T>,
    /// Of this request: what could not be opened.
    unopened: Vec<(T, Error)>,
    /// Of this request.
    bytes: u64,
    /// Why the file that was sent last broke off.
    broken: Option<Error>,
}

impl<S: Source> Round<S> {
    fn state(&self) -> MutexGuard<'_, State<S::Item>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_over(&self) -> bool {
        self.watch.cancelled.is_cancelled() || self.state().waiting.is_empty()
    }

    /// The next file, unless the request is full.
    fn next(&self) -> Option<S::Item> {
        let mut state = self.state();
        if state.bytes >= BYTES || state.sent.len() >= FILES || self.watch.cancelled.is_cancelled()
        {
            return None;
        }
        let item = state.waiting.pop_front();
        let begun = self.total - state.waiting.len();
        // A request that is tried again does not go back.
        self.watch.done.send_if_modified(|done| {
            let is_news = begun > *done;
            *done = begun.max(*done);
            is_news
        });
        item
    }

    /// Puts a file into the request, unless it is too much for what is in there already.
    fn admit(self: &Arc<Self>, item: S::Item, body: Body) -> Option<Body> {
        let mut state = self.state();
        let length = body.length().unwrap_or_default();
        if !state.sent.is_empty() && state.bytes.saturating_add(length) > BYTES {
            state.waiting.push_front(item);
            return None;
        }
        state.sent.push(item);
        drop(state);
        let round = Arc::clone(self);
        let length = body.length();
        let pieces = body.into_stream().inspect(move |piece| {
            let mut state = round.state();
            match piece {
                Ok(piece) => state.bytes += piece.len() as u64,
                Err(error) => {
                    state.broken = Some(Error::new(error.kind(), error.message()));
                }
            }
        });
        Some(Body::from_stream(pieces.boxed(), length))
    }

    /// Writes down what became of the files of a request. An error ends it all.
    fn settle(
        &self,
        answer: Result<StoreInstancesResponse>,
        all: &mut Stored<S::Item>,
    ) -> Result<()> {
        let mut state = self.state();
        state.bytes = 0;
        let broken = state.broken.take();
        let unopened = std::mem::take(&mut state.unopened);
        let mut sent = std::mem::take(&mut state.sent);
        let nothing_was_sent = sent.is_empty();
        let moved_on = !unopened.is_empty();
        let unopened = unopened.into_iter();
        all.failed.extend(unopened.map(|(item, error)| (item, error.message().to_owned())));
        match (answer, broken) {
            (Ok(answer), _) => {
                drop(state);
                sort(answer, sent, all);
                Ok(())
            }
            // One file broke off, and the request with it: the others get another one.
            (Err(_), Some(error)) => {
                let last = sent.pop();
                all.failed.extend(last.map(|item| (item, error.message().to_owned())));
                sent.into_iter().rev().for_each(|item| state.waiting.push_front(item));
                Ok(())
            }
            // Some back ends refuse a request without a file in it.
            (Err(_), None) if nothing_was_sent && moved_on => Ok(()),
            (Err(error), None) => {
                let sent = sent.into_iter();
                all.failed.extend(sent.map(|item| (item, error.message().to_owned())));
                Err(error)
            }
        }
    }
}

/// The files of one request.
fn bodies<S: Source>(round: Arc<Round<S>>) -> BoxStream<'static, Result<Body>> {
    stream::unfold(round, async |round| {
        loop {
            let item = round.next()?;
            match round.source.open(&item).await {
                Ok(body) => {
                    let body = round.admit(item, body)?;
                    return Some((Ok(body), round));
                }
                Err(error) => round.state().unopened.push((item, error)),
            }
        }
    })
    .boxed()
}

/// Gives each file of a request its outcome.
fn sort<T>(answer: StoreInstancesResponse, sent: Vec<T>, all: &mut Stored<T>) {
    let mut sent: Vec<Option<T>> = sent.into_iter().map(Some).collect();
    let mut take = |position: usize| sent.get_mut(position).and_then(Option::take);
    for stored in answer.stored {
        if let Some(item) = take(stored.position) {
            all.stored.push((item, stored));
        }
    }
    for failed in answer.failed {
        if let Some(item) = take(failed.position) {
            all.failed.push((item, failed.message));
        }
    }
    let without_outcome = sent.into_iter().flatten();
    all.failed.extend(
        without_outcome.map(|item| (item, "the data store did not return its outcome".to_owned())),
    );
}

/// Refuses a call that would store nothing.
fn nothing_to_store() -> Error {
    Error::new(ErrorKind::Validation, "there is nothing to store there")
}
