//! Storing instances (STOW-RS, `PS3.18 §10.5`): the same rules as an import, at once.

use std::collections::HashMap;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard};

use futures::future::{self, Either};
use futures::stream::BoxStream;
use healthimaging::model::{
    FailedInstance, StoreInstancesRequest, StoreInstancesResponse, StoredInstance,
};
use healthimaging::{Body, Uid};
use healthimaging_dicom::{ReadLimits, read_sop_uids};
use healthimaging_pixels::LosslessFormat;
use tokio::sync::oneshot;
use tokio::task::JoinSet;

use super::received::{Arrived, Received, Receiver};
use crate::catalog::datastores::{self, DatastoreRow};
use crate::error::Result;
use crate::ingest::{
    self, Arrival, BatchKey, Batches, Failure, Group, GroupMemory, Header, LargeHeaders, Outcome,
    Refusal, Reopen, Sink, StoredFile,
};
use crate::shared::SharedStore;
use crate::sync::locked;

/// The instance cannot be understood (`PS3.18 §I.2.2`).
const CANNOT_UNDERSTAND: u16 = 0xC000;
/// The data set does not fit; here: it is of another study than the request names.
const DOES_NOT_MATCH: u16 = 0xA900;
/// Memory for the UIDs of an instance that is refused, in bytes.
const UIDS: u64 = 8 << 20;
/// The disk is full.
const OUT_OF_RESOURCES: u16 = 0xA700;
/// A fault of this program or its machine.
const PROCESSING_FAILURE: u16 = 0x0110;

/// A readable file of a request, in the pack of its batch or with the reason why it is not.
struct ReadInstance {
    header: Box<Header>,
    batch: BatchKey,
    stored: Result<StoredFile, Failure>,
}

/// Whether an instance was accepted when its header was read.
enum Accepted {
    /// It is not read yet; then this gets a message.
    Waits(oneshot::Sender<()>),
    Into(Box<Header>, BatchKey),
    Refused(Option<Box<Header>>),
}

/// The outcome of the file at a position of the request.
type Processed = (usize, Result<ReadInstance, Box<FailedInstance>>);

/// Stores each instance of a request; a failed one is reported with its reason. Stored ones are durable.
///
/// Frames are encoded while later instances arrive; nothing becomes visible before the request has been
/// read to its end.
pub(crate) async fn store_instances(
    shared: &SharedStore,
    mut request: StoreInstancesRequest,
) -> Result<StoreInstancesResponse> {
    let id = request.datastore_id.clone();
    let mut instances = request.instances;
    let (datastore, first) = {
        // The first instance arrives while the data store is looked up.
        let looking_up =
            pin!(shared.catalog.read(move |reader| datastores::find_active(reader, &id)));
        let mut receiver = Receiver::new(shared);
        let first = pin!(async {
            let first = receiver.next(&mut instances).await;
            (first, receiver)
        });
        match future::select(looking_up, first).await {
            Either::Left((datastore, first)) => (datastore?, first.await),
            Either::Right((first, looking_up)) => (looking_up.await?, first),
        }
    };
    let stow = Arc::new(StowRequest {
        shared: Arc::clone(shared),
        format: ingest::lossless_format(datastore.format),
        study: request.study_instance_uid.take(),
        batches: Mutex::default(),
        sinks: Mutex::default(),
        memory: Arc::new(Mutex::new(GroupMemory::begin(1).await)),
        large: LargeHeaders::default(),
    });
    let (mut under_way, mut processed) = (JoinSet::new(), Vec::new());
    let arrived = stow.receive_all(first, instances, &mut under_way, &mut processed).await;
    // Nothing of a request is still being written when it is answered, whatever the answer.
    while let Some(one) = under_way.join_next().await {
        processed.push(one?);
    }
    arrived?;
    let answer = stow.finish(&datastore, processed).await;
    if shared.blobs.ready.are_few() {
        let filled = Arc::clone(shared);
        shared.lifecycle.tasks.spawn_blocking(move || {
            if let Err(error) = filled.blobs.ready.fill(&filled.blobs.packs) {
                tracing::warn!(%error, "packs could not be made for the next requests");
            }
        });
    }
    answer
}

/// What the files of a request share.
struct StowRequest {
    shared: SharedStore,
    format: LosslessFormat,
    /// The study of all instances.
    study: Option<Uid>,
    batches: Mutex<Batches>,
    /// A pack for each batch.
    sinks: Mutex<HashMap<BatchKey, Arc<Sink>>>,
    /// Of all files.
    memory: Arc<Mutex<GroupMemory>>,
    large: LargeHeaders,
}

impl StowRequest {
    /// Begins to keep each instance when it has arrived.
    async fn receive_all(
        self: &Arc<Self>,
        (mut arrived, mut receiver): (Arrived, Receiver),
        mut instances: BoxStream<'static, healthimaging::Result<Body>>,
        under_way: &mut JoinSet<Processed>,
        processed: &mut Vec<Processed>,
    ) -> Result<()> {
        let mut position = 0;
        while let Some(instance) = arrived? {
            if under_way.len() >= 2 * rayon::current_num_threads()
                && let Some(one) = under_way.join_next().await
            {
                processed.push(one?);
            }
            let (opened, is_opened) = oneshot::channel();
            under_way.spawn(Arc::clone(self).process(position, instance?, opened));
            // Headers are read in the order of arrival, which decides the batch of an instance that comes again.
            // An error: the header cannot be read.
            is_opened.await.ok();
            position += 1;
            arrived = receiver.next(&mut instances).await;
        }
        Ok(())
    }

    /// Reads an instance, and puts everything large of it into the pack of its batch. `opened` gets a message when its
    /// header has been read.
    async fn process(
        self: Arc<Self>,
        position: usize,
        received: Received,
        opened: oneshot::Sender<()>,
    ) -> Processed {
        let again = received.reopen();
        let accepted = Arc::new(Mutex::new(Accepted::Waits(opened)));
        let sink = {
            let (stow, accepted) = (Arc::clone(&self), Arc::clone(&accepted));
            move |header| stow.accept(header, &mut locked(&accepted))
        };
        let grouping = self.shared.config.grouping;
        let stored =
            ingest::open_and_store(received, &self.large, grouping, self.format, sink).await;
        let accepted = std::mem::replace(&mut *locked(&accepted), Accepted::Refused(None));
        let outcome = match (stored, accepted) {
            (Ok(Some(stored)), Accepted::Into(header, batch)) => {
                let stored = stored.and_then(|file| Ok(self.memory().add(file)?));
                Ok(ReadInstance { header, batch, stored })
            }
            (Err(refusal), _) => {
                // The UIDs by which the sender knows the instance, if they can be read.
                let limits = ReadLimits { header_bytes: UIDS, ..ReadLimits::default() };
                let reading =
                    tokio::task::spawn_blocking(move || read_sop_uids(again.ok()?, &limits).ok());
                let uids = reading.await.ok().flatten().unwrap_or_default();
                let mut failed = failure(position, None, &refusal);
                (failed.sop_class_uid, failed.sop_instance_uid) = (uids.class, uids.instance);
                Err(Box::new(failed))
            }
            (Ok(_), accepted) => {
                let header = if let Accepted::Refused(header) = accepted { header } else { None };
                let message = "the instance is of another study than the request names";
                let refusal = Refusal::invalid(message);
                let mut failed = failure(position, header.as_deref(), &refusal);
                failed.failure_reason = DOES_NOT_MATCH;
                Err(Box::new(failed))
            }
        };
        (position, outcome)
    }

    /// The pack for an instance with this header; `None` if it is of another study than the request names.
    fn accept(&self, header: Header, accepted: &mut Accepted) -> Option<Arc<Sink>> {
        let of_study = &header.group.study.study_instance_uid;
        let is_of_study = self.study.as_ref().is_none_or(|study| study.as_str() == of_study);
        let (now, sink) = if is_of_study {
            let batch = locked(&self.batches).add(&header);
            let sink = self.sink(&batch);
            (Accepted::Into(Box::new(header), batch), Some(sink))
        } else {
            (Accepted::Refused(Some(Box::new(header))), None)
        };
        if let Accepted::Waits(opened) = std::mem::replace(accepted, now) {
            // The receiver waits for it.
            opened.send(()).ok();
        }
        sink
    }

    fn sink(&self, key: &BatchKey) -> Arc<Sink> {
        let mut sinks = locked(&self.sinks);
        let sink = sinks.entry(key.clone());
        Arc::clone(sink.or_insert_with(|| Arc::new(Sink::of_request(&self.shared))))
    }

    fn memory(&self) -> MutexGuard<'_, GroupMemory> {
        locked(&self.memory)
    }

    /// Makes what was read part of its image sets.
    async fn finish(
        &self,
        datastore: &DatastoreRow,
        mut processed: Vec<Processed>,
    ) -> Result<StoreInstancesResponse> {
        processed.sort_by_key(|(position, _)| *position);
        let mut response = StoreInstancesResponse { stored: Vec::new(), failed: Vec::new() };
        let mut batches: Vec<(BatchKey, Vec<(usize, ReadInstance)>)> = Vec::new();
        let mut places: HashMap<BatchKey, usize> = HashMap::new();
        for (position, one) in processed {
            match one {
                Err(failed) => response.failed.push(*failed),
                Ok(read) => {
                    let key = read.batch.clone();
                    let place = *places.entry(key.clone()).or_insert(batches.len());
                    if place == batches.len() {
                        batches.push((key, Vec::new()));
                    }
                    if let Some((_, batch)) = batches.get_mut(place) {
                        batch.push((position, read));
                    }
                }
            }
        }
        batches.sort_by_key(|(key, _)| key.turn);
        for (key, batch) in batches {
            self.store_batch(datastore, key, batch, &mut response).await;
        }
        response.stored.sort_by_key(|stored| stored.position);
        response.failed.sort_by_key(|failed| failed.position);
        Ok(response)
    }

    /// Stores the instances of one batch; an error is reported for each of them.
    async fn store_batch(
        &self,
        datastore: &DatastoreRow,
        key: BatchKey,
        batch: Vec<(usize, ReadInstance)>,
        response: &mut StoreInstancesResponse,
    ) {
        let mut headers = HashMap::new();
        let mut files = Vec::with_capacity(batch.len());
        for (position, ReadInstance { header, stored, .. }) in batch {
            headers.insert(position, header);
            files.push((position, stored));
        }
        let mut is_full = false;
        let outcomes = match self.join(datastore, key, files).await {
            Ok(outcomes) => outcomes,
            Err(error) => {
                tracing::error!(?error, "instances could not be stored");
                is_full = error.is_full();
                let fault = Refusal::fault(healthimaging::Error::from(error).message());
                let all = headers.keys();
                all.map(|position| (*position, Outcome::Refused(fault.clone()))).collect()
            }
        };
        for (position, outcome) in outcomes {
            let header = headers.get(&position);
            match (outcome, header) {
                (Outcome::Imported(imported), Some(header)) => {
                    response.stored.push(StoredInstance {
                        position,
                        sop_class_uid: header.sop_class_uid.clone().unwrap_or_default(),
                        sop_instance_uid: header.sop_instance_uid.clone(),
                        study_instance_uid: header.group.study.study_instance_uid.clone(),
                        series_instance_uid: header.group.series.series_instance_uid.clone(),
                        image_set_id: imported.image_set,
                        is_primary: imported.is_primary,
                        warning_reason: ingest::Warning::shown(&imported.warnings),
                    });
                }
                (Outcome::Refused(refusal), header) => {
                    let mut failed = failure(position, header.map(|header| &**header), &refusal);
                    if is_full {
                        failed.failure_reason = OUT_OF_RESOURCES;
                    }
                    response.failed.push(failed);
                }
                (Outcome::Imported(_), None) => {}
            }
        }
    }

    async fn join(
        &self,
        datastore: &DatastoreRow,
        key: BatchKey,
        files: Vec<(usize, Result<StoredFile, Failure>)>,
    ) -> Result<Vec<(usize, Outcome)>> {
        let (mut arrivals, mut refused) = (Vec::new(), Vec::new());
        for (number, stored) in files {
            match stored {
                Ok(file) => arrivals.push(Arrival { number, file }),
                Err(Failure::File(refusal)) => refused.push((number, refusal)),
                Err(Failure::Store(error)) => return Err(error),
            }
        }
        let sink = self.sink(&key);
        let group = Group {
            shared: Arc::clone(&self.shared),
            datastore: datastore.id.clone(),
            datastore_row: datastore.row,
            key: key.group,
            recorder: Arc::new(|_, _| Ok(())),
            // The next instance of the series is probably on its way.
            is_read_again: true,
            memory: Arc::clone(&self.memory),
        };
        group.store(sink, arrivals, refused).await
    }
}

fn failure(position: usize, header: Option<&Header>, refusal: &Refusal) -> FailedInstance {
    FailedInstance {
        position,
        sop_class_uid: header.and_then(|header| header.sop_class_uid.clone()),
        sop_instance_uid: header.map(|header| header.sop_instance_uid.clone()),
        failure_reason: if refusal.is_fault() { PROCESSING_FAILURE } else { CANNOT_UNDERSTAND },
        message: refusal.message.clone(),
    }
}
