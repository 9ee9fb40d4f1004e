//! Looking at all that a store shows, and holding it against what went in.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use flate2::read::GzDecoder;
use futures::TryStreamExt;
use healthimaging::model::{
    GetDicomImportJobRequest, GetImageFrameRequest, GetImageSetMetadataRequest, GetImageSetRequest,
    GetImageSetResponse, ImageSetState, ImageSetWorkflowStatus, JobStatus,
    ListDicomImportJobsRequest, SearchCriteria, SearchImageSetsRequest,
};
use healthimaging::{DatastoreId, ErrorKind, HealthImaging, ImageFrameId, ImageSetId, Page, sweep};
use healthimaging_local::LocalStore;
use healthimaging_pixels::{FrameShape, PixelRepresentation, decode_stored};
use memchr::memmem;
use serde_json::Value;

use crate::model::{Set, Sets, Version};
use crate::source::{Instance, SIDE};

/// Far beyond what any wait needs: to reach it is a failure.
const PATIENCE: Duration = Duration::from_mins(2);
/// Nothing here is larger.
const LIMIT: u64 = 1 << 20;

/// An open store and the data store that is looked at.
pub(crate) struct Look<'a> {
    pub(crate) store: &'a LocalStore,
    pub(crate) datastore: &'a DatastoreId,
}

impl Look<'_> {
    /// Every image set that a search shows.
    pub(crate) async fn sets(&self) -> Vec<ImageSetId> {
        let pages = sweep(100_000, |token| async {
            let request = SearchImageSetsRequest {
                datastore_id: self.datastore.clone(),
                search_criteria: SearchCriteria::default(),
                next_token: token,
                max_results: None,
            };
            let found = self.store.search_image_sets(request).await?;
            Ok(Page { items: found.image_sets_metadata_summaries, next_token: found.next_token })
        });
        let found: Vec<_> = pages.try_collect().await.unwrap();
        found.into_iter().map(|set| set.image_set_id).collect()
    }

    async fn state(&self, set: &ImageSetId) -> GetImageSetResponse {
        let request = GetImageSetRequest {
            datastore_id: self.datastore.clone(),
            image_set_id: set.clone(),
            version_id: None,
        };
        self.store.get_image_set(request).await.unwrap()
    }

    /// The metadata of a version, gzip as it is served; `None` while a new set is being made, or when
    /// making it failed.
    pub(crate) async fn packed(&self, set: &ImageSetId, version: u32) -> Option<Vec<u8>> {
        let request = GetImageSetMetadataRequest {
            datastore_id: self.datastore.clone(),
            image_set_id: set.clone(),
            version_id: Some(version.into()),
        };
        let served = match self.store.get_image_set_metadata(request).await {
            Ok(served) => served,
            Err(error) if matches!(error.kind(), ErrorKind::Conflict | ErrorKind::NotFound) => {
                return None;
            }
            Err(error) => panic!("version {version} of {set}: {error:?}"),
        };
        Some(served.image_set_metadata.collect(LIMIT).await.unwrap().into())
    }

    /// A stored frame.
    pub(crate) async fn frame(&self, set: &ImageSetId, frame: &str) -> Vec<u8> {
        let request = GetImageFrameRequest {
            datastore_id: self.datastore.clone(),
            image_set_id: set.clone(),
            image_frame_id: ImageFrameId::try_from(frame).unwrap(),
        };
        let served = self.store.get_image_frame(request).await;
        let served = served.unwrap_or_else(|error| panic!("frame {frame} of {set}: {error:?}"));
        served.image_frame.collect(LIMIT).await.unwrap().into()
    }

    /// Everything that is shown, each frame of each version compared with the pixels that went in.
    ///
    /// A set that is locked shows whole versions too, or none at all while it is being made.
    pub(crate) async fn all(&self) -> BTreeMap<u32, Sets> {
        let mut patients: BTreeMap<u32, Sets> = BTreeMap::new();
        for id in self.sets().await {
            let found = self.state(&id).await.properties;
            let latest: u32 = found.version_id.as_str().parse().unwrap();
            let mut versions = Vec::new();
            let mut seen = HashSet::new();
            for number in 1..=latest {
                let Some(packed) = self.packed(&id, number).await else {
                    let locked = found.image_set_state == ImageSetState::Locked;
                    let workflow = found.image_set_workflow_status;
                    assert!(locked || workflow == Some(ImageSetWorkflowStatus::CopyFailed), "{id}");
                    continue;
                };
                let document = serde_json::from_reader(GzDecoder::new(&packed[..])).unwrap();
                versions.push(self.version(&id, &document, &mut seen).await);
            }
            let any = versions.first().and_then(|one: &Version| one.instances.first());
            let Some(patient) = any.map(|one| one.patient) else {
                continue;
            };
            let set = Set { primary: found.is_primary.unwrap(), versions };
            patients.entry(patient).or_default().insert(id, set);
        }
        patients
    }

    async fn version(
        &self,
        id: &ImageSetId,
        document: &Value,
        seen: &mut HashSet<String>,
    ) -> Version {
        let mut instances = BTreeSet::new();
        for (series, found) in document["Study"]["Series"].as_object().unwrap() {
            for (sop, found) in found["Instances"].as_object().unwrap() {
                let instance = Instance::of(sop);
                assert_eq!(*series, instance.series_uid());
                let syntax = found["StoredTransferSyntaxUID"].as_str().unwrap();
                let frames = found["ImageFrames"].as_array().unwrap();
                let expected = instance.frames();
                assert_eq!(frames.len(), expected.len(), "{id} {sop}");
                for (frame, expected) in frames.iter().zip(expected) {
                    let frame = frame["ID"].as_str().unwrap();
                    if seen.insert(frame.to_owned()) {
                        let stored = self.frame(id, frame).await;
                        assert!(pixels(syntax, &stored) == expected, "{id} {sop} {frame}");
                    }
                }
                instances.insert(instance);
            }
        }
        let description = &document["Study"]["DICOM"]["StudyDescription"];
        Version { description: description.as_str().unwrap().trim().to_owned(), instances }
    }

    /// A few bytes of each stored document and frame of a set, as they lie on the disk.
    ///
    /// The documents of these tests are smaller than a page of the catalog, so they are not cut there.
    pub(crate) async fn traces(&self, id: &ImageSetId, latest: u32) -> Vec<Vec<u8>> {
        let mut traces = Vec::new();
        for number in 1..=latest {
            let packed = self.packed(id, number).await.unwrap();
            traces.push(middle(&packed));
            let document: Value = serde_json::from_reader(GzDecoder::new(&packed[..])).unwrap();
            for series in document["Study"]["Series"].as_object().unwrap().values() {
                for instance in series["Instances"].as_object().unwrap().values() {
                    for frame in instance["ImageFrames"].as_array().unwrap() {
                        let frame = self.frame(id, frame["ID"].as_str().unwrap()).await;
                        traces.push(middle(&frame));
                    }
                }
            }
        }
        traces.sort();
        traces.dedup();
        traces
    }

    /// The packed documents of every version of what was found.
    pub(crate) async fn documents(&self, found: &BTreeMap<u32, Sets>) -> Vec<Vec<u8>> {
        let mut documents = Vec::new();
        for (id, set) in found.values().flatten() {
            for number in 1..=set.number() {
                documents.extend(self.packed(id, number).await);
            }
        }
        documents
    }

    /// Waits until no write and no job is under way, and holds the output of each job that ended well
    /// against its input; why others failed.
    pub(crate) async fn settle(&self) -> Vec<String> {
        until(async || {
            for job in self.jobs().await {
                if !matches!(job.0, JobStatus::Completed | JobStatus::Failed) {
                    return Err(format!("job {}", job.1));
                }
            }
            for set in self.sets().await {
                if self.state(&set).await.properties.image_set_state == ImageSetState::Locked {
                    return Err(format!("locked {set}"));
                }
            }
            Ok(())
        })
        .await;
        let mut failed = Vec::new();
        for (status, job) in self.jobs().await {
            let request =
                GetDicomImportJobRequest { datastore_id: self.datastore.clone(), job_id: job };
            let job = self.store.get_dicom_import_job(request).await.unwrap();
            let job = job.job_properties;
            if status == JobStatus::Failed {
                failed.push(job.message.unwrap());
                continue;
            }
            let input = local_path(job.input_s3_uri.as_str());
            let output = local_path(job.output_s3_uri.as_str());
            assert!(output.join("job-output-manifest.json").exists());
            let success = std::fs::read_to_string(output.join("SUCCESS/success.ndjson")).unwrap();
            let failure = std::fs::read_to_string(output.join("FAILURE/failure.ndjson")).unwrap();
            let files = std::fs::read_dir(input).unwrap().count();
            assert_eq!((success.lines().count(), &*failure), (files, ""), "{success}");
        }
        failed
    }

    /// Messages of the last failed write of each set.
    pub(crate) async fn failures(&self) -> Vec<String> {
        let mut messages = Vec::new();
        for set in self.sets().await {
            let found = self.state(&set).await.properties;
            let failed = [ImageSetWorkflowStatus::CopyFailed, ImageSetWorkflowStatus::UpdateFailed];
            if failed.map(Some).contains(&found.image_set_workflow_status) {
                messages.push(found.message.unwrap());
            }
        }
        messages
    }

    /// Waits until jobs have ended, unless they cannot be run or listed.
    pub(crate) async fn wait_for_jobs(&self) {
        for _ in 0..100 {
            let request = ListDicomImportJobsRequest {
                datastore_id: self.datastore.clone(),
                job_status: None,
                next_token: None,
                max_results: None,
            };
            let Ok(found) = self.store.list_dicom_import_jobs(request).await else {
                return;
            };
            let runs = |status| matches!(status, JobStatus::Submitted | JobStatus::InProgress);
            if !found.job_summaries.iter().any(|job| runs(job.job_status)) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    async fn jobs(&self) -> Vec<(JobStatus, healthimaging::JobId)> {
        let pages = sweep(100_000, |token| async {
            let request = ListDicomImportJobsRequest {
                datastore_id: self.datastore.clone(),
                job_status: None,
                next_token: token,
                max_results: None,
            };
            let found = self.store.list_dicom_import_jobs(request).await?;
            Ok(Page { items: found.job_summaries, next_token: found.next_token })
        });
        let jobs: Vec<_> = pages.try_collect().await.unwrap();
        jobs.into_iter().map(|job| (job.job_status, job.job_id)).collect()
    }

    /// Checksums agree, all over.
    pub(crate) async fn verify(&self) {
        let report = self.store.verify(|_| {}).await.unwrap();
        assert_eq!(report.damaged, []);
    }
}

fn pixels(syntax: &str, stored: &[u8]) -> Vec<u8> {
    let shape = FrameShape {
        rows: SIDE.into(),
        columns: SIDE.into(),
        samples_per_pixel: 1,
        bits_allocated: 16,
        bits_stored: 16,
        representation: PixelRepresentation::Unsigned,
    };
    decode_stored(syntax, &shape, "MONOCHROME2", stored).unwrap().pixels
}

fn middle(bytes: &[u8]) -> Vec<u8> {
    bytes[bytes.len() / 2..][..40].to_vec()
}

fn local_path(uri: &str) -> PathBuf {
    PathBuf::from(uri.strip_prefix("file://").unwrap())
}

/// Repeats a check until it passes or time is up; then reports the last failure.
pub(crate) async fn until(mut ask: impl AsyncFnMut() -> Result<(), String>) {
    let start = Instant::now();
    while let Err(wrong) = ask().await {
        assert!(start.elapsed() < PATIENCE, "waited in vain: {wrong}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// All files below a folder.
pub(crate) fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let Ok(entry) = entry else { continue };
        let path = entry.path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.push(path);
        }
    }
    found
}

/// Whether no work is noted, and no file of the store is there without a use.
pub(crate) fn tidy(store: &Path) -> Result<(), String> {
    let catalog = rusqlite::Connection::open(store.join("catalogue.sqlite")).unwrap();
    let ask = |sql: &str| -> Vec<String> {
        let mut statement = catalog.prepare(sql).unwrap();
        let rows = statement.query_map([], |row| row.get(0)).unwrap();
        rows.map(Result::unwrap).collect()
    };
    let pending = ask("SELECT id FROM job WHERE scope = 'write'");
    if !pending.is_empty() {
        return Err(format!("{} writes are noted", pending.len()));
    }
    let unowned = ask("SELECT id FROM pack WHERE image_set IS NULL");
    let owned = ask("SELECT id FROM pack");
    let owned: BTreeSet<String> = owned.into_iter().map(|id| format!("{id}.pack")).collect();
    let name = |path: &PathBuf| path.file_name().unwrap().to_string_lossy().into_owned();
    let packs = files(&store.join("packs"));
    let packs: BTreeSet<String> = packs.iter().map(name).collect();
    if !unowned.is_empty() || packs != owned {
        return Err(format!("{} packs, {} owned", packs.len(), owned.len()));
    }
    let incoming = files(&store.join("incoming"));
    let drafts = files(&store.join("imports"));
    let drafts = drafts.iter().map(name).filter(|name| name.starts_with('.'));
    match (incoming.len(), drafts.count()) {
        (0, 0) => Ok(()),
        left => Err(format!("incoming and drafts: {left:?}")),
    }
}

/// Files below a folder that hold one of these.
pub(crate) fn holders(folder: &Path, needles: &[Vec<u8>]) -> Vec<PathBuf> {
    let mut found = files(folder);
    found.retain(|path| {
        let bytes = std::fs::read(path).unwrap_or_default();
        needles.iter().any(|needle| holds(&bytes, needle))
    });
    found
}

/// The space that a store sets aside makes its folder megabytes large.
pub(crate) fn holds(bytes: &[u8], needle: &[u8]) -> bool {
    memmem::find(bytes, needle).is_some()
}
