//! Which files an export consists of.

use std::borrow::Cow;
use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::atomic::Ordering;
use std::sync::{Mutex, PoisonError};

use futures::future;
use futures::stream::{self, BoxStream, Stream, StreamExt as _, TryStreamExt as _};

use healthimaging::model::{
    GetImageSetMetadataRequest, ImageSetsMetadataSummary, SearchDicomRequest, SearchLevel,
};
use healthimaging::{Error, ImageSetId, Result, Uid};
use healthimaging_dicom::Document;
use serde::de::IgnoredAny;
use sha2::{Digest as _, Sha256};

use super::{Counts, Export};
use crate::back_end::BackEnd;
use crate::document;
use crate::find::{self, Criteria};
use crate::work::Journal;

/// Most image sets that an export walks over.
const MOST_IMAGE_SETS: usize = 50_000_000;
/// Documents that are read ahead.
const READ_AHEAD: usize = 2;
/// Bytes of a name without its ending; file systems take 255 with it.
const LONGEST_NAME: usize = 200;
/// Ending of the files.
pub(super) const ENDING: &str = ".dcm";

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
    fn of(study: &str, series: &str, sop: &str) -> Result<Self> {
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

    fn path(&self, image_set_id: Option<&ImageSetId>) -> String {
        let [study, series, sop] = [&self.study, &self.series, &self.sop].map(file_name);
        match image_set_id {
            None => format!("{study}/{series}/{sop}{ENDING}"),
            Some(set) => format!("{study}/{series}/{set}/{sop}{ENDING}"),
        }
    }
}

/// A UID as the name of a file: percent-encoded where it is malformed, and cut where that is longer than
/// file systems take, with a hash of the whole.
fn file_name(uid: &Uid) -> Cow<'_, str> {
    let name = uid.path_segment();
    if name.len() <= LONGEST_NAME {
        return name;
    }
    let hash = Sha256::digest(uid.as_str());
    let hash = hash.iter().take(8).fold(0_u64, |hash, byte| (hash << 8) | u64::from(*byte));
    let hash = format!("{hash:016x}");
    // The name is ASCII.
    let kept = name.get(..LONGEST_NAME - hash.len() - 1).unwrap_or_default();
    Cow::Owned(format!("{kept}~{hash}"))
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
    /// Hashes of the names that are given: two primary image sets should never hold one instance.
    names: Mutex<HashSet<u64>>,
}

impl<'a> Walk<'a> {
    pub(super) fn new(
        export: &'a Export,
        back_end: &'a BackEnd,
        journal: &'a dyn Journal,
        counts: &'a Counts,
    ) -> Self {
        Self { export, back_end, journal, counts, names: Mutex::default() }
    }

    /// Whether less than the whole data store is asked for.
    pub(super) fn is_narrowed(&self) -> bool {
        !self.export.criteria.is_empty() || self.export.sop_instance_uid.is_some()
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
        let items = held.map_ok(move |(candidate, read)| {
            let items = self.items_of(&candidate, read);
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
            let request = SearchDicomRequest {
                datastore_id: self.export.datastore_id.clone(),
                level: SearchLevel::Instances(None, None),
                filters: vec![("SOPInstanceUID".to_owned(), sop.to_string())],
                include_fields: Vec::new(),
                fuzzy_matching: false,
                limit: Some(1),
                offset: 0,
            };
            let found = self.back_end.dicomweb.search(request).await?;
            let study = found.first().and_then(|found| {
                let values = found.get("0020000D")?.get("Value")?;
                Uid::try_from(values.get(0)?.as_str()?.to_owned()).ok()
            });
            let missing = || {
                Error::not_found(
                    "no primary image set holds the instance, so nothing was exported; \
                     include_non_primary looks at the others too",
                )
            };
            criteria.study_instance_uid = Some(study.ok_or_else(missing)?);
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
            Err(error) => return vec![item(image_set_id.to_string(), Err(error))],
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
                Err(error) => item(format!("{image_set_id}/{number}"), Err(error)),
            }
        });
        items.collect()
    }

    /// The path of a file; no two instances ever share one.
    fn name(&self, candidate: &Candidate, instance: &Instance) -> String {
        let own = Some(&candidate.image_set_id);
        let plain = instance.path(None);
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
            instance.path(own)
        } else {
            plain
        }
    }

    fn is_open(&self, item: &Item) -> bool {
        self.journal.outcome_of(&item.name).is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hostile_uid_is_never_a_path() {
        for hostile in ["..", ".", "", "1\0", "1\n"] {
            assert!(Instance::of(hostile, "1.2", "1.3").is_err(), "{hostile:?}");
            assert!(Instance::of("1.1", hostile, "1.3").is_err(), "{hostile:?}");
            assert!(Instance::of("1.1", "1.2", hostile).is_err(), "{hostile:?}");
        }
        for (hostile, name) in [
            ("../1", "..%2F1"),
            ("1/2", "1%2F2"),
            ("1.2\\3", "1.2%5C3"),
            ("/etc", "%2Fetc"),
            ("a b", "a%20b"),
            ("C:", "C%3A"),
        ] {
            let instance = Instance::of(hostile, "1.2", "1.3").unwrap();
            assert_eq!(instance.path(None), format!("{name}/1.2/1.3.dcm"));
        }
        let instance = Instance::of("1.1", "1.2", "1.3").unwrap();
        assert_eq!(instance.path(None), "1.1/1.2/1.3.dcm");
    }

    #[test]
    fn long_uids_keep_apart_in_names_that_file_systems_take() {
        let long = |last: &str| format!("{}{last}", "é".repeat(250));
        let names = ["1", "2"].map(|last| {
            let instance = Instance::of("1.1", "1.2", &long(last)).unwrap();
            instance.path(None)
        });
        assert_ne!(names[0], names[1]);
        assert!(names.iter().all(|name| name.len() == "1.1/1.2/.dcm".len() + LONGEST_NAME));
    }
}
