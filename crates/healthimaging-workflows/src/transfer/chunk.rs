//! Instances on their way, some at a time: retrieved to temporary files, stored in one request, read back and compared.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::io::{self, Seek as _, SeekFrom};

use futures::{StreamExt as _, TryStreamExt as _, stream};
use serde::de::IgnoredAny;
use serde_json::{Map, json};
use sha2::{Digest as _, Sha256};

use healthimaging::model::{
    GetImageSetMetadataRequest, RetrieveInstanceRequest, StoreInstancesRequest,
    TransferSyntaxChoice,
};
use healthimaging::{Body, Error, ErrorKind, ImageSetId, Result, Uid, retry_read};
use healthimaging_dicom::Document;
use healthimaging_jobs::is_lack_of_access;

use super::Transfer;
use super::facts::Facts;
use crate::back_end::BackEnd;
use crate::deidentify::{HoldReason, Instances, Processed, Spool, blocking, unspooled};
use crate::document;
use crate::find::{self, Criteria, MOST_EXAMINED};
use crate::work::{ItemError, ItemOutcome, ItemResult, Journal, Tools};

/// Instances of a request.
const FILES: usize = 24;
/// Bytes after which no instance is added to a request.
const BYTES: u64 = 128 << 20;
/// Instances that are retrieved or read back at once.
const AT_ONCE: usize = 4;
/// Requests for one chunk whose outcome is unknown.
const ATTEMPTS: usize = 3;

/// An instance of the source.
#[derive(Debug, Clone)]
pub(super) struct Item {
    name: String,
    image_set_id: ImageSetId,
    uids: Option<[Uid; 3]>,
}

impl Item {
    /// The instances of an image set. The names of those that are de-identified are digests.
    pub(super) fn all(
        image_set_id: &ImageSetId,
        content: &Document<IgnoredAny>,
        is_deidentified: bool,
    ) -> Vec<Self> {
        let study = content.study_instance_uid().unwrap_or_default();
        let instances = content.series.iter().flat_map(|(series, of_series)| {
            of_series.instances.keys().map(move |sop| [study, series.as_str(), sop.as_str()])
        });
        let items = instances.map(|uids| {
            let name = if is_deidentified {
                hex::encode(Sha256::digest(uids[2])).chars().take(16).collect()
            } else {
                uids[2].to_owned()
            };
            let [study, series, sop] = uids.map(|uid| Uid::try_from(uid).ok());
            Self {
                name: format!("{image_set_id}/{name}"),
                image_set_id: image_set_id.clone(),
                uids: study.zip(series).zip(sop).map(|((study, series), sop)| [study, series, sop]),
            }
        });
        items.collect()
    }
}

/// An instance that is ready to be stored.
struct Ready {
    item: Item,
    spool: Spool,
    bytes: u64,
    facts: Facts,
}

/// What retrieving an instance came to.
enum Retrieved {
    Ready(Box<Ready>),
    HeldBack(HoldReason),
}

/// Where an instance is at the destination.
type Held = HashMap<String, (ImageSetId, bool)>;

/// Transfers instances, and records what became of each.
pub(super) struct Chunks<'a> {
    transfer: &'a Transfer,
    from: &'a BackEnd,
    to: &'a BackEnd,
    tools: &'a Tools,
    journal: &'a dyn Journal,
    instances: Option<Instances>,
}

impl<'a> Chunks<'a> {
    pub(super) fn new(
        transfer: &'a Transfer,
        (from, to): (&'a BackEnd, &'a BackEnd),
        tools: &'a Tools,
        journal: &'a dyn Journal,
        instances: Option<Instances>,
    ) -> Self {
        Self { transfer, from, to, tools, journal, instances }
    }

    /// Records an image set whose metadata cannot be read.
    pub(super) async fn unreadable(&self, id: &ImageSetId, error: &Error) -> Result<()> {
        let item = Item { name: id.to_string(), image_set_id: id.clone(), uids: None };
        if self.journal.outcome_of(&item.name).is_some() {
            return Ok(());
        }
        self.failed(item, error).await
    }

    /// Transfers the instances of an image set that have no outcome yet.
    ///
    /// # Errors
    /// The destination cannot be reached, or refuses everything; what was transferred is recorded.
    pub(super) async fn transfer(&self, items: Vec<Item>) -> Result<()> {
        let is_open = |item: &Item| self.journal.outcome_of(&item.name).is_none();
        let open = items.into_iter().filter(is_open);
        let retrieved = open.map(|item| async {
            let retrieved = self.retrieve(&item).await;
            (item, retrieved)
        });
        let mut retrieved = std::pin::pin!(
            stream::iter(retrieved)
                .buffered(AT_ONCE)
                .take_until(self.journal.cancelled().cancelled())
        );
        let mut held: HashMap<String, Held> = HashMap::new();
        let (mut waiting, mut bytes) = (Vec::new(), 0);
        while let Some((item, retrieved)) = retrieved.next().await {
            match retrieved {
                Ok(Retrieved::Ready(ready)) => {
                    bytes += ready.bytes;
                    waiting.push(*ready);
                }
                Ok(Retrieved::HeldBack(reason)) => {
                    let mut details = Map::new();
                    details.insert("reason".to_owned(), json!(reason));
                    details.insert("message".to_owned(), reason.message().into());
                    self.record(item, ItemResult::HeldBack, details, None).await?;
                }
                Err(error) => self.failed(item, &error).await?,
            }
            if waiting.len() == FILES || bytes >= BYTES {
                bytes = 0;
                self.store(std::mem::take(&mut waiting), &mut held).await?;
            }
        }
        if self.journal.cancelled().is_cancelled() {
            return Ok(());
        }
        self.store(waiting, &mut held).await
    }

    async fn retrieve(&self, item: &Item) -> Result<Retrieved> {
        let Some([study, series, sop]) = item.uids.clone() else {
            return Err(Error::validation(
                "an instance whose study, series or SOP Instance UID is empty, or holds control characters, cannot \
                 be retrieved",
            ));
        };
        let request = RetrieveInstanceRequest {
            datastore_id: self.transfer.from.datastore_id.clone(),
            study_instance_uid: study,
            series_instance_uid: series,
            sop_instance_uid: sop,
            image_set_id: None,
            transfer_syntax: TransferSyntaxChoice::Stored,
        };
        let retrieved = retry_read(|| async {
            let found = self.from.dicomweb.retrieve_instance(request.clone()).await?;
            let file = match &self.instances {
                None => found.instance,
                Some(instances) => match instances.process(found.instance).await? {
                    Processed::HeldBack(reason, _) => return Ok(Err(reason)),
                    Processed::Ready(ready) => ready.file,
                },
            };
            Spool::spooled(file, &self.tools.data_folder).await.map(Ok)
        });
        let spool = match retrieved.await? {
            Ok(spool) => spool,
            Err(reason) => return Ok(Retrieved::HeldBack(reason)),
        };
        let mut measured = spool.clone();
        let bytes = blocking(move || measured.seek(SeekFrom::End(0)).map_err(unspooled)).await?;
        let facts = Facts::of(spool.clone(), self.tools.decoder.clone()).await?;
        let item = item.clone();
        Ok(Retrieved::Ready(Box::new(Ready { item, spool, bytes, facts })))
    }

    /// Stores what the destination does not have, and compares all of it with what is there.
    async fn store(&self, ready: Vec<Ready>, held: &mut HashMap<String, Held>) -> Result<()> {
        let series: BTreeSet<&str> = ready.iter().map(|one| one.facts.uids[1].as_str()).collect();
        for uid in series {
            if !held.contains_key(uid) {
                let there = self.held(uid).await.map_err(|error| Self::interrupted(&error))?;
                held.insert(uid.to_owned(), there);
            }
        }
        let earlier: HashSet<usize> =
            (0..ready.len()).filter(|at| place_of(&ready[*at], held).is_some()).collect();
        let mut refused: HashMap<usize, Error> = HashMap::new();
        let mut attempt = 0;
        loop {
            let missing: Vec<usize> = (0..ready.len())
                .filter(|at| place_of(&ready[*at], held).is_none() && !refused.contains_key(at))
                .collect();
            if missing.is_empty() {
                break;
            }
            let Err(error) = self.send(&ready, &missing, held, &mut refused).await else {
                continue;
            };
            attempt += 1;
            // What became of the request is unknown, or it was refused as a whole: look before the next one.
            let uids: Vec<String> = held.keys().cloned().collect();
            for uid in uids {
                let now = self.held(&uid).await.map_err(|_| Self::interrupted(&error))?;
                held.insert(uid, now);
            }
            if attempt == ATTEMPTS {
                return Err(Self::interrupted(&error));
            }
        }
        let checks = ready.into_iter().enumerate().map(|(at, one)| {
            let place = place_of(&one, held).cloned();
            let refused = refused.remove(&at);
            let is_earlier = earlier.contains(&at);
            async move {
                let checked = match (place, refused) {
                    (Some(place), _) => self.check(&one, place, is_earlier).await,
                    (None, Some(error)) => Err(error),
                    (None, None) => Err(Error::new(
                        ErrorKind::Service,
                        "the destination did not return the outcome of the instance",
                    )),
                };
                match checked {
                    Ok((result, details)) => self.record(one.item, result, details, None).await,
                    Err(error) => self.failed(one.item, &error).await,
                }
            }
        });
        let checks: Vec<_> = checks.collect();
        stream::iter(checks).map(Ok).try_for_each_concurrent(AT_ONCE, |check| check).await
    }

    fn interrupted(error: &Error) -> Error {
        Error::new(
            error.kind(),
            format!(
                "the destination does not take instances ({}); what was transferred stays: start the transfer again \
                 to continue",
                error.message()
            ),
        )
    }

    /// Sends instances in one request.
    async fn send(
        &self,
        ready: &[Ready],
        missing: &[usize],
        held: &mut HashMap<String, Held>,
        refused: &mut HashMap<usize, Error>,
    ) -> Result<()> {
        let bodies: Vec<Result<Body>> = missing.iter().map(|at| Ok(body(&ready[*at]))).collect();
        let request = StoreInstancesRequest {
            datastore_id: self.transfer.to.datastore_id.clone(),
            study_instance_uid: None,
            instances: stream::iter(bodies).boxed(),
        };
        let answer = self.to.dicomweb.store_instances(request).await?;
        for stored in answer.stored {
            let Some(at) = missing.get(stored.position) else { continue };
            let [_, series, sop] = &ready[*at].facts.uids;
            let of_series = held.entry(series.clone()).or_default();
            of_series.insert(sop.clone(), (stored.image_set_id, stored.is_primary));
        }
        for failed in answer.failed {
            let Some(at) = missing.get(failed.position) else { continue };
            let message = format!("the destination refused the instance: {}", failed.message);
            refused.insert(*at, Error::validation(message));
        }
        // Whatever has no outcome is not sent again.
        for at in missing {
            if place_of(&ready[*at], held).is_none() {
                refused.entry(*at).or_insert_with(|| {
                    let message = "the destination did not return the outcome of the instance";
                    Error::new(ErrorKind::Service, message)
                });
            }
        }
        Ok(())
    }

    /// The instances of a series that the destination has, those of primary image sets first.
    async fn held(&self, series: &str) -> Result<Held> {
        let service = &*self.to.service;
        let datastore_id = &self.transfer.to.datastore_id;
        let criteria = Criteria::series(Uid::try_from(series)?);
        let found = retry_read(|| find::all(service, datastore_id, &criteria, MOST_EXAMINED));
        let mut held = Held::new();
        for set in found.await?.image_sets {
            let request = GetImageSetMetadataRequest {
                datastore_id: datastore_id.clone(),
                image_set_id: set.image_set_id.clone(),
                version_id: None,
            };
            let is_primary = find::is_primary(&set);
            let content = match retry_read(|| document::uids(service, request.clone())).await {
                Ok(content) => content,
                // Deleted meanwhile, or a failed copy without content.
                Err(error) if error.kind() == ErrorKind::NotFound => continue,
                Err(error) => return Err(error),
            };
            let instances = content.series.get(series).into_iter();
            for sop in instances.flat_map(|series| series.instances.keys()) {
                if is_primary || !held.contains_key(sop) {
                    held.insert(sop.clone(), (set.image_set_id.clone(), is_primary));
                }
            }
        }
        Ok(held)
    }

    /// Reads an instance back and compares it.
    async fn check(
        &self,
        one: &Ready,
        (image_set_id, is_primary): (ImageSetId, bool),
        is_earlier: bool,
    ) -> Result<(ItemResult, Map<String, serde_json::Value>)> {
        let [study, series, sop] = &one.facts.uids;
        let request = RetrieveInstanceRequest {
            datastore_id: self.transfer.to.datastore_id.clone(),
            study_instance_uid: Uid::try_from(study.as_str())?,
            series_instance_uid: Uid::try_from(series.as_str())?,
            sop_instance_uid: Uid::try_from(sop.as_str())?,
            image_set_id: (!is_primary).then(|| image_set_id.clone()),
            transfer_syntax: TransferSyntaxChoice::Stored,
        };
        let spool = retry_read(|| async {
            let found = self.to.dicomweb.retrieve_instance(request.clone()).await?;
            Spool::spooled(found.instance, &self.tools.data_folder).await
        });
        let there = Facts::of(spool.await?, self.tools.decoder.clone()).await?;
        let differs_in = one.facts.differences(&there);
        if !one.facts.has_pixels_of(&there) || is_earlier && !differs_in.is_empty() {
            let names = match differs_in.len() {
                0 => "its pixels".to_owned(),
                _ => differs_in.join(", "),
            };
            return Err(Error::conflict(if is_earlier {
                format!(
                    "the destination has another instance of this UID, which stays; it differs in {names}"
                )
            } else {
                "the destination stored other pixels than it was sent".to_owned()
            }));
        }
        let mut details = Map::new();
        details.insert("image_set_id".to_owned(), json!(image_set_id));
        details.insert("is_primary".to_owned(), is_primary.into());
        details.insert("size_in_bytes".to_owned(), one.bytes.into());
        if !differs_in.is_empty() {
            details.insert("differs_in".to_owned(), json!(differs_in));
        }
        let result = if is_earlier { ItemResult::Unchanged } else { ItemResult::Copied };
        Ok((result, details))
    }

    async fn failed(&self, item: Item, error: &Error) -> Result<()> {
        if self.journal.is_taken_over() && is_lack_of_access(error.kind()) {
            return Err(Error::new(error.kind(), error.message()));
        }
        let error = ItemError::from(error);
        self.record(item, ItemResult::Failed, Map::new(), Some(error)).await
    }

    async fn record(
        &self,
        item: Item,
        result: ItemResult,
        details: Map<String, serde_json::Value>,
        error: Option<ItemError>,
    ) -> Result<()> {
        let Item { name, image_set_id, .. } = item;
        let image_set_id = Some(image_set_id);
        self.journal.record(ItemOutcome { item: name, image_set_id, result, details, error }).await
    }
}

fn place_of<'h>(ready: &Ready, held: &'h HashMap<String, Held>) -> Option<&'h (ImageSetId, bool)> {
    let [_, series, sop] = &ready.facts.uids;
    held.get(series)?.get(sop)
}

fn body(ready: &Ready) -> Body {
    let mut spool = ready.spool.clone();
    Body::from_writer(Some(ready.bytes), move |out| {
        spool.rewind().map_err(unspooled)?;
        io::copy(&mut spool, out).map_err(unspooled)?;
        Ok(())
    })
}
