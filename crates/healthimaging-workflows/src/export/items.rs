//! Which files an export consists of.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::atomic::Ordering;
use std::sync::{Mutex, PoisonError};

use futures::future;
use futures::stream::{self, BoxStream, Stream, StreamExt as _, TryStreamExt as _};

use healthimaging::model::{GetImageSetMetadataRequest, ImageSetsMetadataSummary};
use healthimaging::{Error, ImageSetId, Result, Uid};
use healthimaging_dicom::Document;
use serde::de::IgnoredAny;
use serde_json::Value;

use super::linkage::Linkage;
use super::matches::no_instance;
use super::naming::Naming;
use super::{Counts, Export};
use crate::back_end::BackEnd;
use crate::document;
use crate::find::{self, Criteria};
use crate::work::Journal;

/// Most image sets that an export walks over.
pub(super) const MOST_IMAGE_SETS: usize = 50_000_000;
/// Documents that are read ahead.
const READ_AHEAD: usize = 2;
/// One file to be written, or what stands in its way.
#[derive(Debug)]
pub(super) struct Item {
    /// Path of the file below the output; without [`ENDING`] where there can be no file.
    pub(super) name: String,
    pub(super) image_set_id: ImageSetId,
    pub(super) is_primary: bool,
    pub(super) instance: Result<Instance>,
}

/// Study, series and SOP Instance UID.
#[derive(Debug)]
pub(super) struct Instance {
    pub(super) study: Uid,
    pub(super) series: Uid,
    pub(super) sop: Uid,
}

impl Instance {
    pub(super) fn of(study: &str, series: &str, sop: &str) -> Result<Self> {
        let part = |uid: &str| {
            Uid::try_from(uid.to_owned()).map_err(|_| {
                Error::validation(
                    "an instance whose study, series or SOP Instance UID is empty, or holds \
                     control characters, cannot be retrieved",
                )
            })
        };
        Ok(Self { study: part(study)?, series: part(series)?, sop: part(sop)? })
    }
}

/// An image set of the export.
struct Candidate {
    image_set_id: ImageSetId,
    is_primary: bool,
}

/// The walk over the image sets.
pub(super) struct Walk<'a> {
    export: &'a Export,
    back_end: &'a BackEnd,
    journal: &'a dyn Journal,
    counts: &'a Counts,
    naming: &'a Naming,
    linkage: Option<&'a Linkage>,
    /// Hashes of the names that are given: two primary image sets should never hold one instance.
    names: Mutex<HashSet<u64>>,
}

impl<'a> Walk<'a> {
    pub(super) fn new(
        export: &'a Export,
        back_end: &'a BackEnd,
        journal: &'a dyn Journal,
        counts: &'a Counts,
        (naming, linkage): (&'a Naming, Option<&'a Linkage>),
    ) -> Self {
        Self { export, back_end, journal, counts, naming, linkage, names: Mutex::default() }
    }

    /// Every file that is still to be written, found as it is asked for.
    pub(super) async fn items(&'a self) -> Result<BoxStream<'a, Result<Item>>> {
        let criteria = self.criteria().await?;
        let held = self
            .candidates(&criteria)
            .map_ok(move |candidate| async move {
                let service = &*self.back_end.service;
                let datastore = &self.export.datastore_id;
                let request = GetImageSetMetadataRequest {
                    datastore_id: datastore.clone(),
                    image_set_id: candidate.image_set_id.clone(),
                    version_id: None,
                };
                let read = document::uids(service, request).await;
                Ok((candidate, read))
            })
            .try_buffered(READ_AHEAD);
        let items = held.and_then(move |(candidate, read)| {
            let patient_id = read.as_ref().ok().and_then(|held| held.patient.get("PatientID"));
            let patient_id = patient_id.cloned();
            let items = self.items_of(&candidate, read);
            future::ready(self.link(&items, patient_id.as_ref()).map(|()| items))
        });
        let items = items.map_ok(move |items| {
            let found = items.len() as u64;
            self.counts.items.fetch_add(found, Ordering::Relaxed);
            stream::iter(items.into_iter().filter(move |item| self.is_open(item)).map(Ok))
        });
        // Only when all documents are read it is known how many files there are.
        let end = stream::poll_fn(move |_| {
            self.journal.expect(super::count(&self.counts.items));
            std::task::Poll::Ready(None)
        });
        Ok(items.try_flatten().chain(end).boxed())
    }

    /// Narrows the search to the study of the instance, where only one is exported.
    async fn criteria(&self) -> Result<Criteria> {
        let mut criteria = self.export.criteria.clone();
        let unknown =
            criteria.study_instance_uid.is_none() && criteria.series_instance_uid.is_none();
        // DICOMweb knows the primary image sets only.
        if let Some(sop) = &self.export.sop_instance_uid
            && unknown
            && !self.export.include_non_primary
        {
            let place = self.export.primary_place(self.back_end, sop).await?;
            let [study, _] = place.ok_or_else(no_instance)?;
            criteria.study_instance_uid = Some(study);
        }
        Ok(criteria)
    }

    fn candidates(
        &'a self,
        criteria: &Criteria,
    ) -> impl Stream<Item = Result<Candidate>> + Send + 'a {
        let service = &*self.back_end.service;
        let datastore = &self.export.datastore_id;
        let found = find::candidates(service, datastore, criteria, MOST_IMAGE_SETS);
        let criteria = criteria.clone();
        found.try_filter_map(move |summary| {
            let candidate = criteria.matches(&summary).then(|| self.admit(summary));
            future::ready(Ok(candidate.flatten()))
        })
    }

    fn admit(&self, summary: ImageSetsMetadataSummary) -> Option<Candidate> {
        let is_primary = find::is_primary(&summary);
        let wanted = is_primary || self.export.include_non_primary;
        let counter = if wanted { &self.counts.image_sets } else { &self.counts.left_out };
        counter.fetch_add(1, Ordering::Relaxed);
        wanted.then_some(Candidate { image_set_id: summary.image_set_id, is_primary })
    }

    fn items_of(&self, candidate: &Candidate, read: Result<Document<IgnoredAny>>) -> Vec<Item> {
        let Candidate { image_set_id, is_primary } = candidate;
        let item = |name, instance| Item {
            name,
            image_set_id: image_set_id.clone(),
            is_primary: *is_primary,
            instance,
        };
        let content = match read {
            Ok(content) => content,
            Err(error) => return vec![item(self.naming.image_set(image_set_id), Err(error))],
        };
        let study = content.study_instance_uid().unwrap_or_default();
        let series = content.series.iter().filter(|(uid, _)| {
            let wanted = self.export.criteria.series_instance_uid.as_ref();
            wanted.is_none_or(|wanted| wanted.as_str() == *uid)
        });
        let instances =
            series.flat_map(|(uid, series)| series.instances.keys().map(move |sop| (uid, sop)));
        let instances = instances.filter(|(_, sop)| {
            let wanted = self.export.sop_instance_uid.as_ref();
            wanted.is_none_or(|wanted| wanted.as_str() == *sop)
        });
        let items = instances.enumerate().map(|(number, (series, sop))| {
            match Instance::of(study, series, sop) {
                Ok(instance) => item(self.name(candidate, &instance), Ok(instance)),
                Err(error) => {
                    let name = format!("{}/{number}", self.naming.image_set(image_set_id));
                    item(name, Err(error))
                }
            }
        });
        items.collect()
    }

    /// Adds items to the linkage file, if there is one.
    fn link(&self, items: &[Item], patient_id: Option<&Value>) -> Result<()> {
        let Some(linkage) = self.linkage else { return Ok(()) };
        for Item { name, instance, .. } in items {
            if let Ok(instance) = instance {
                linkage.add(self.naming, (name, instance), patient_id)?;
            }
        }
        Ok(())
    }

    /// The path of a file; no two instances ever share one.
    fn name(&self, candidate: &Candidate, instance: &Instance) -> String {
        let own = Some(&candidate.image_set_id);
        let plain = self.naming.path(instance, None);
        let is_given = || {
            // The walk goes the same way when the job is taken up again, and gives the same names.
            let mut hasher = DefaultHasher::new();
            plain.hash(&mut hasher);
            let mut names = self.names.lock().unwrap_or_else(PoisonError::into_inner);
            !names.insert(hasher.finish())
        };
        let is_of_another = || {
            let recorded = self.journal.outcome_of(&plain);
            recorded.is_some_and(|recorded| recorded.image_set_id.as_ref() != own)
        };
        if !candidate.is_primary || is_given() || is_of_another() {
            self.naming.path(instance, own)
        } else {
            plain
        }
    }

    fn is_open(&self, item: &Item) -> bool {
        self.journal.outcome_of(&item.name).is_none()
    }
}
