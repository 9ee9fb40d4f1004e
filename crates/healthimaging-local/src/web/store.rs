//! Storing instances (STOW-RS, `PS3.18 §10.5`): the same rules as an import, at once.

use std::collections::HashMap;
use std::io::BufReader;
use std::sync::Arc;

use futures::StreamExt;
use healthimaging::Uid;
use healthimaging::model::{
    FailedInstance, StoreInstancesRequest, StoreInstancesResponse, StoredInstance,
};
use healthimaging_dicom::GroupKey;

use crate::error::Result;
use crate::index::datastores::{self, DatastoreRow};
use crate::ingest::{
    self, Arrival, Budget, Failure, Group, Header, OpenFile, Outcome, Overrides, Refusal, Section,
    Sink, Spool,
};
use crate::shared::SharedStore;

/// The instance cannot be understood (`PS3.18 §I.2.2`).
const CANNOT_UNDERSTAND: u16 = 0xC000;
/// The data set does not fit; here: it is of another study than the request names.
const DOES_NOT_MATCH: u16 = 0xA900;
/// A fault of this program or its machine.
const PROCESSING_FAILURE: u16 = 0x0110;

/// An instance that waits on disk.
#[derive(Debug)]
struct Waiting {
    position: usize,
    section: Section,
    header: Header,
}

/// Stores each instance of a request, or says why not. What is said to be stored is durable.
pub(crate) async fn store_instances(
    shared: &SharedStore,
    mut request: StoreInstancesRequest,
) -> Result<StoreInstancesResponse> {
    let id = request.datastore_id.clone();
    let datastore = shared
        .catalogue
        .read(move |connection| datastores::find_active(connection, &id))
        .await?;
    let of_task = Arc::clone(shared);
    let mut spool = tokio::task::spawn_blocking(move || Spool::new(&of_task)).await??;
    let mut groups: Vec<(GroupKey, Vec<Waiting>)> = Vec::new();
    let mut places: HashMap<GroupKey, usize> = HashMap::new();
    let mut response = StoreInstancesResponse {
        stored: Vec::new(),
        failed: Vec::new(),
    };
    let mut position = 0;
    while let Some(body) = request.instances.next().await {
        let section = spool.add(body?).await??;
        match accept(position, section, request.study_instance_uid.as_ref()).await {
            Ok(waiting) => {
                let key = waiting.header.group.clone();
                let place = *places.entry(key.clone()).or_insert(groups.len());
                if place == groups.len() {
                    groups.push((key, Vec::new()));
                }
                if let Some((_, group)) = groups.get_mut(place) {
                    group.push(waiting);
                }
            }
            Err(failed) => response.failed.push(*failed),
        }
        position += 1;
    }
    let budget = Budget::default();
    for (key, group) in groups {
        store_group(shared, &datastore, key, group, &budget, &mut response).await;
    }
    response.stored.sort_by_key(|stored| stored.position);
    response.failed.sort_by_key(|failed| failed.position);
    Ok(response)
}

/// Reads the header of an instance.
async fn accept(
    position: usize,
    section: Section,
    study: Option<&Uid>,
) -> Result<Waiting, Box<FailedInstance>> {
    let source = section.clone();
    let read = tokio::task::spawn_blocking(move || {
        OpenFile::of(BufReader::new(source), &Overrides::default()).map(|file| file.header())
    });
    let read = read.await.unwrap_or_else(|error| {
        tracing::error!(%error, "reading an instance ended unexpectedly");
        Err(Refusal::fault(
            "the instance could not be read because of a fault of this program",
        ))
    });
    let header = read.map_err(|refusal| Box::new(failure(position, None, &refusal)))?;
    if study.is_some_and(|study| study.as_str() != header.group.study.study_instance_uid) {
        let refusal = Refusal::invalid("the instance is of another study than the request names");
        let mut failed = failure(position, Some(&header), &refusal);
        failed.failure_reason = DOES_NOT_MATCH;
        return Err(Box::new(failed));
    }
    Ok(Waiting {
        position,
        section,
        header,
    })
}

/// Stores the instances of one image set; what goes wrong is told of each of them.
async fn store_group(
    shared: &SharedStore,
    datastore: &DatastoreRow,
    key: GroupKey,
    group: Vec<Waiting>,
    budget: &Budget,
    response: &mut StoreInstancesResponse,
) {
    let mut headers = HashMap::new();
    let mut sections = Vec::with_capacity(group.len());
    for waiting in group {
        headers.insert(waiting.position, waiting.header);
        sections.push((waiting.position, waiting.section));
    }
    let outcomes = match store_sections(shared, datastore, key, sections, budget).await {
        Ok(outcomes) => outcomes,
        Err(error) => {
            tracing::error!(?error, "instances could not be stored");
            let fault = Refusal::fault(healthimaging::Error::from(error).message());
            let all = headers.keys();
            all.map(|position| (*position, Outcome::Refused(fault.clone())))
                .collect()
        }
    };
    for (position, outcome) in outcomes {
        let header = headers.get(&position);
        match (outcome, header) {
            (Outcome::Imported(imported), Some(header)) => response.stored.push(StoredInstance {
                position,
                sop_class_uid: header.sop_class_uid.clone().unwrap_or_default(),
                sop_instance_uid: header.sop_instance_uid.clone(),
                study_instance_uid: header.group.study.study_instance_uid.clone(),
                series_instance_uid: header.group.series.series_instance_uid.clone(),
                image_set_id: imported.image_set,
                is_primary: imported.is_primary,
                warning_reason: ingest::Warning::shown(&imported.warnings),
            }),
            (Outcome::Refused(refusal), header) => {
                response.failed.push(failure(position, header, &refusal));
            }
            (Outcome::Imported(_), None) => {}
        }
    }
}

async fn store_sections(
    shared: &SharedStore,
    datastore: &DatastoreRow,
    key: GroupKey,
    sections: Vec<(usize, Section)>,
    budget: &Budget,
) -> Result<Vec<(usize, Outcome)>> {
    let sink = Arc::new(Sink::new(shared));
    let format = ingest::lossless_format(datastore.format);
    let mut storing = futures::stream::iter(sections)
        .map(|(position, section)| {
            let sink = &sink;
            async move {
                let opened = tokio::task::spawn_blocking(move || {
                    OpenFile::of(BufReader::new(section), &Overrides::default())
                });
                let stored = match opened.await {
                    Ok(Ok(file)) => ingest::store(file, format, sink, budget).await,
                    Ok(Err(refusal)) => Err(Failure::File(refusal)),
                    Err(error) => Err(Failure::Store(error.into())),
                };
                (position, stored)
            }
        })
        .buffered(2 * rayon::current_num_threads());
    let (mut arrivals, mut refused) = (Vec::new(), Vec::new());
    while let Some((number, stored)) = storing.next().await {
        match stored {
            Ok(file) => arrivals.push(Arrival { number, file }),
            Err(Failure::File(refusal)) => refused.push((number, refusal)),
            Err(Failure::Store(error)) => return Err(error),
        }
    }
    drop(storing);
    let group = Group {
        shared: Arc::clone(shared),
        datastore: datastore.id.clone(),
        datastore_row: datastore.row,
        key,
        recorder: Arc::new(|_, _| Ok(())),
    };
    group.store(sink, arrivals, refused).await
}

fn failure(position: usize, header: Option<&Header>, refusal: &Refusal) -> FailedInstance {
    FailedInstance {
        position,
        sop_class_uid: header.and_then(|header| header.sop_class_uid.clone()),
        sop_instance_uid: header.map(|header| header.sop_instance_uid.clone()),
        failure_reason: if refusal.is_fault() {
            PROCESSING_FAILURE
        } else {
            CANNOT_UNDERSTAND
        },
        message: refusal.message.clone(),
    }
}
