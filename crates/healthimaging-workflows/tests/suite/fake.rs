//! A back end in memory: image sets are documents, and writes are done at once.

use std::any::Any;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use futures::{StreamExt as _, TryStreamExt as _};
use serde_json::{Value, json};
use tempfile::TempDir;

use healthimaging::model::{
    self, CopiedImageSetProperties, CopyImageSetRequest, CopyImageSetResponse,
    DeleteImageSetRequest, DeleteImageSetResponse, DicomTags, GetImageSetMetadataRequest,
    GetImageSetMetadataResponse, GetImageSetRequest, GetImageSetResponse, ImageSetCount,
    ImageSetProperties, ImageSetState, ImageSetWorkflowStatus, ImageSetsMetadataSummary,
    MetadataUpdates, SearchImageSetsRequest, SearchImageSetsResponse,
    UpdateImageSetMetadataRequest, UpdateImageSetMetadataResponse,
};
use healthimaging::{
    Body, DatastoreId, DicomWeb, Error, ErrorKind, HealthImaging, ImageSetId, Limits, Page, Result,
    VersionId, sweep,
};
use healthimaging_jobs_sqlite::JobsFile;
use healthimaging_objects::{Objects, ObjectsConfig};
use healthimaging_workflows::certificate::{Certify, Certifying};
use healthimaging_workflows::change::planning::Planner;
use healthimaging_workflows::find::Criteria;
use healthimaging_workflows::{
    BackEnd, ItemOutcome, Job, Ledger, LedgerConfig, NewJob, Plan, Tools, Work,
};

/// An image set: its versions, the first one first.
#[derive(Debug, Clone)]
pub(crate) struct Set {
    pub(crate) versions: Vec<Value>,
    pub(crate) is_primary: bool,
}

/// What a call meets.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Fault {
    /// It is not done.
    Refused(ErrorKind),
    /// It is done, and its response is lost.
    Lost,
    /// Another client deletes the image set of this number before, and the call conflicts.
    Deleted(usize),
}

#[derive(Debug, Default)]
pub(crate) struct State {
    pub(crate) sets: BTreeMap<ImageSetId, Set>,
    /// Of the next calls of each request.
    pub(crate) faults: BTreeMap<&'static str, VecDeque<Fault>>,
    /// Whether documents have names; then, how many bodies were read.
    pub(crate) are_named: bool,
    pub(crate) bodies_read: Arc<AtomicUsize>,
    /// Maximum number of frames per copy.
    pub(crate) copy_frames: Option<u64>,
    /// Of the copies: how many instances each took.
    pub(crate) copied: Vec<usize>,
}

#[derive(Debug, Clone, Default)]
pub(crate) struct Fake(pub(crate) Arc<Mutex<State>>);

pub(crate) fn id(number: usize) -> ImageSetId {
    format!("{number:032x}").parse().unwrap()
}

pub(crate) fn datastore() -> DatastoreId {
    "d".repeat(32).parse().unwrap()
}

/// A document of the patient P and the study 1.2, with these series, each with instances of two frames.
pub(crate) fn document(series: &[(&str, usize)]) -> Value {
    let mut all = json!({});
    for (uid, count) in series {
        let mut instances = json!({});
        for number in 1..=*count {
            instances[format!("{uid}.{number}")] = json!({
                "DICOM": { "InstanceNumber": number.to_string(), "Rows": 2 }, "DICOMVRs": {},
                "ImageFrames": [{ "ID": "a" }, { "ID": "b" }]
            });
        }
        all[*uid] = json!({
            "DICOM": { "SeriesInstanceUID": uid, "Modality": "CT" }, "Instances": instances
        });
    }
    json!({
        "SchemaVersion": "1.1", "DatastoreID": datastore(), "ImageSetID": id(1),
        "Patient": { "DICOM": { "PatientID": "P", "PatientName": "DOE^JANE" } },
        "Study": { "DICOM": { "StudyInstanceUID": "1.2", "StudyDate": "20260131" }, "Series": all }
    })
}

/// The SOP Instance UIDs of a document.
pub(crate) fn instances(document: &Value) -> Vec<String> {
    let series = document["Study"]["Series"].as_object().unwrap().values();
    series.flat_map(|one| one["Instances"].as_object().unwrap().keys().cloned()).collect()
}

impl Fake {
    pub(crate) fn add(&self, number: usize, document: Value, is_primary: bool) {
        let set = Set { versions: vec![document], is_primary };
        self.0.lock().unwrap().sets.insert(id(number), set);
    }

    pub(crate) fn fail(&self, request: &'static str, faults: &[Fault]) {
        self.0.lock().unwrap().faults.insert(request, faults.iter().copied().collect());
    }

    pub(crate) fn sets(&self) -> BTreeMap<ImageSetId, Set> {
        self.0.lock().unwrap().sets.clone()
    }

    fn answer<Q: Any, A: Any>(&self, request: Q) -> Result<A> {
        let name = std::any::type_name::<Q>().rsplit("::").next().unwrap();
        let mut state = self.0.lock().unwrap();
        let fault = state.faults.get_mut(name).and_then(VecDeque::pop_front);
        if let Some(Fault::Refused(kind)) = fault {
            return Err(Error::new(kind, "a fault of the test"));
        }
        if let Some(Fault::Deleted(number)) = fault {
            state.sets.remove(&id(number)).unwrap();
            return Err(Error::conflict("a fault of the test"));
        }
        let answer = state.answer(&request)?;
        if let Some(Fault::Lost) = fault {
            return Err(Error::new(ErrorKind::Service, "the response was lost"));
        }
        Ok(*answer.downcast().unwrap())
    }
}

macro_rules! implement {
    ($trait:ident { $($rest:item)* }
        $($(#[$doc:meta])* $effect:ident $operation:ident $api:literal:
            $method:ident($request:ident) -> $response:ident;)*) => {
        #[async_trait]
        impl $trait for Fake {
            $($rest)*
            $(async fn $method(&self, request: model::$request) -> Result<model::$response> {
                self.answer(request)
            })*
        }
    };
}
healthimaging::with_operations!(implement HealthImaging {
    fn limits(&self) -> Limits {
        let copy_frames = self.0.lock().unwrap().copy_frames;
        Limits { page_size: 50, rate: |_| None, web_rate: None, copy_frames }
    }

    async fn count_image_sets(&self, _: DatastoreId) -> Result<Option<ImageSetCount>> {
        Ok(None)
    }
});
healthimaging::with_web_operations!(implement DicomWeb {});

impl State {
    fn answer(&mut self, request: &dyn Any) -> Result<Box<dyn Any>> {
        if let Some(request) = request.downcast_ref::<SearchImageSetsRequest>() {
            return Ok(Box::new(self.search(request)));
        }
        if let Some(request) = request.downcast_ref::<GetImageSetRequest>() {
            return Ok(Box::new(GetImageSetResponse {
                datastore_id: request.datastore_id.clone(),
                properties: self.properties(&request.image_set_id, request.version_id.as_ref())?,
                image_set_arn: None,
                last_accessed_at: None,
                storage_tier: None,
            }));
        }
        if let Some(request) = request.downcast_ref::<GetImageSetMetadataRequest>() {
            let set = self.sets.get(&request.image_set_id).ok_or_else(missing)?;
            let latest = set.versions.len();
            let version =
                request.version_id.as_ref().map_or(Ok(latest), |id| id.number().try_into());
            let version: usize = version.map_err(|_| missing())?;
            let document = set.versions.get(version - 1).ok_or_else(missing)?;
            let body: Body = document.to_string().into_bytes().into();
            let read = Arc::clone(&self.bodies_read);
            let counted = body.into_stream().inspect(move |_| {
                read.fetch_add(1, Ordering::SeqCst);
            });
            let body = Body::from_stream(counted.boxed(), None);
            let name = format!("{}/{version}", request.image_set_id);
            return Ok(Box::new(GetImageSetMetadataResponse {
                image_set_metadata: if self.are_named { body.named(name) } else { body },
                content_type: "application/json".to_owned(),
                content_encoding: String::new(),
            }));
        }
        if let Some(request) = request.downcast_ref::<UpdateImageSetMetadataRequest>() {
            return Ok(Box::new(self.update(request)?));
        }
        if let Some(request) = request.downcast_ref::<CopyImageSetRequest>() {
            return Ok(Box::new(self.copy(request)?));
        }
        if let Some(request) = request.downcast_ref::<DeleteImageSetRequest>() {
            self.sets.remove(&request.image_set_id).ok_or_else(missing)?;
            return Ok(Box::new(DeleteImageSetResponse {
                datastore_id: request.datastore_id.clone(),
                image_set_id: request.image_set_id.clone(),
                image_set_state: ImageSetState::Locked,
                image_set_workflow_status: ImageSetWorkflowStatus::Deleting,
            }));
        }
        Err(Error::not_supported("not in this fake"))
    }

    fn search(&self, request: &SearchImageSetsRequest) -> SearchImageSetsResponse {
        let summary = |(id, set): (&ImageSetId, &Set)| {
            let latest = set.versions.last().unwrap();
            let text = |level: &str, keyword: &str| {
                latest[level]["DICOM"][keyword].as_str().map(str::to_owned)
            };
            let series = latest["Study"]["Series"].as_object().unwrap();
            ImageSetsMetadataSummary {
                image_set_id: id.clone(),
                version: u32::try_from(set.versions.len()).ok(),
                created_at: None,
                updated_at: None,
                last_accessed_at: None,
                storage_tier: None,
                is_primary: Some(set.is_primary),
                dicom_tags: Some(DicomTags {
                    patient_id: text("Patient", "PatientID"),
                    patient_name: text("Patient", "PatientName"),
                    study_instance_uid: text("Study", "StudyInstanceUID"),
                    study_date: text("Study", "StudyDate"),
                    series_instance_uid: series.keys().next().cloned(),
                    number_of_study_related_series: u32::try_from(series.len()).ok(),
                    number_of_study_related_instances: u32::try_from(instances(latest).len()).ok(),
                    ..DicomTags::default()
                }),
            }
        };
        SearchImageSetsResponse {
            image_sets_metadata_summaries: self.sets.iter().map(summary).collect(),
            sort: request.search_criteria.sort,
            next_token: None,
        }
    }

    fn properties(
        &self,
        id: &ImageSetId,
        version: Option<&VersionId>,
    ) -> Result<ImageSetProperties> {
        let set = self.sets.get(id).ok_or_else(missing)?;
        let latest = VersionId::from(u32::try_from(set.versions.len()).unwrap());
        Ok(ImageSetProperties {
            image_set_id: id.clone(),
            version_id: version.cloned().unwrap_or(latest),
            image_set_state: ImageSetState::Active,
            image_set_workflow_status: Some(ImageSetWorkflowStatus::Updated),
            created_at: None,
            updated_at: None,
            deleted_at: None,
            message: None,
            overrides: None,
            is_primary: Some(set.is_primary),
        })
    }

    fn update(
        &mut self,
        request: &UpdateImageSetMetadataRequest,
    ) -> Result<UpdateImageSetMetadataResponse> {
        let MetadataUpdates::DicomUpdates { updatable_attributes, removable_attributes } =
            &request.updates
        else {
            return Err(Error::not_supported("not in this fake"));
        };
        let parsed = |text: &Option<bytes::Bytes>| -> Value {
            text.as_ref().map_or(json!({}), |text| serde_json::from_slice(text).unwrap())
        };
        let (set, removed) = (parsed(updatable_attributes), parsed(removable_attributes));
        let whole_study = request.include_study_image_sets;
        let ids = self
            .sets
            .iter()
            .filter(|(id, held)| **id == request.image_set_id || (whole_study && held.is_primary));
        let ids: Vec<ImageSetId> = ids.map(|(id, _)| id.clone()).collect();
        for id in ids {
            let versions = &mut self.sets.get_mut(&id).unwrap().versions;
            let mut next = versions.last().unwrap().clone();
            for level in ["Patient", "Study"] {
                for (keyword, value) in set[level]["DICOM"].as_object().into_iter().flatten() {
                    next[level]["DICOM"][keyword] = value.clone();
                }
            }
            take(&mut next, &removed);
            versions.push(next);
        }
        let properties = self.properties(&request.image_set_id, None)?;
        Ok(UpdateImageSetMetadataResponse {
            datastore_id: request.datastore_id.clone(),
            image_set_id: request.image_set_id.clone(),
            latest_version_id: properties.version_id,
            image_set_state: ImageSetState::Locked,
            image_set_workflow_status: Some(ImageSetWorkflowStatus::Updating),
            created_at: None,
            updated_at: None,
            message: None,
        })
    }

    fn copy(&mut self, request: &CopyImageSetRequest) -> Result<CopyImageSetResponse> {
        let id_of_source = &request.source_image_set_id;
        let source = self.sets.get(id_of_source).ok_or_else(missing)?;
        let mut copy = source.versions.last().unwrap().clone();
        let information = &request.copy_image_set_information;
        if let Some(copies) = &information.source_image_set.dicom_copies {
            let text = &copies.copiable_attributes;
            if text.len() > 260_000 {
                return Err(Error::validation("copiableAttributes is too long"));
            }
            let named = instances(&serde_json::from_str(text).unwrap());
            let named: BTreeSet<&String> = named.iter().collect();
            let series = copy["Study"]["Series"].as_object_mut().unwrap();
            series.retain(|_, one| {
                let held = one["Instances"].as_object_mut().unwrap();
                held.retain(|uid, _| named.contains(uid));
                !held.is_empty()
            });
        }
        let frames = frames(&copy);
        if self.copy_frames.is_some_and(|most| frames > most) {
            return Err(Error::new(ErrorKind::QuotaExceeded, format!("{frames} frames")));
        }
        self.copied.push(instances(&copy).len());
        let named = information.destination_image_set.as_ref().map(|named| &named.image_set_id);
        let promoted = self.sets.iter().find(|(_, set)| {
            let shares =
                |uid: &String| !set.versions.last().unwrap()["Study"]["Series"][uid].is_null();
            let mut series = copy["Study"]["Series"].as_object().unwrap().keys();
            request.promote_to_primary && set.is_primary && series.any(shares)
        });
        let joined = named.or(promoted.map(|(id, _)| id)).cloned();
        let id_of_copy = joined.clone().unwrap_or_else(|| id(100 + self.copied.len()));
        if joined.is_some() {
            join(self.sets.get_mut(&id_of_copy).ok_or_else(missing)?, &copy)?;
        } else {
            let copy = Set { versions: vec![copy], is_primary: request.promote_to_primary };
            self.sets.insert(id_of_copy.clone(), copy);
        }
        let side = |id: &ImageSetId| -> Result<CopiedImageSetProperties> {
            Ok(CopiedImageSetProperties {
                image_set_id: id.clone(),
                latest_version_id: self.properties(id, None)?.version_id,
                image_set_state: None,
                image_set_workflow_status: None,
                created_at: None,
                updated_at: None,
                image_set_arn: None,
            })
        };
        Ok(CopyImageSetResponse {
            datastore_id: request.datastore_id.clone(),
            source_image_set_properties: side(id_of_source)?,
            destination_image_set_properties: side(&id_of_copy)?,
        })
    }
}

/// Frames of all instances of a document.
fn frames(document: &Value) -> u64 {
    let series = document["Study"]["Series"].as_object().unwrap().values();
    let instances = series.flat_map(|one| one["Instances"].as_object().unwrap().values());
    instances.map(|one| one["ImageFrames"].as_array().unwrap().len() as u64).sum()
}

/// Makes a version with the instances of a document besides; it has their series, and none of them.
fn join(set: &mut Set, document: &Value) -> Result<()> {
    let mut next = set.versions.last().unwrap().clone();
    let own = next["Study"]["Series"].as_object_mut().unwrap();
    for (uid, series) in document["Study"]["Series"].as_object().unwrap() {
        let own = own.get_mut(uid).ok_or_else(|| Error::validation("Series don't match"))?;
        let held = own["Instances"].as_object_mut().unwrap();
        for (sop, instance) in series["Instances"].as_object().unwrap() {
            if held.insert(sop.clone(), instance.clone()).is_some() {
                return Err(Error::validation("an instance is there already"));
            }
        }
    }
    set.versions.push(next);
    Ok(())
}

/// Takes series and instances out of a document; `{}` is the whole series.
fn take(document: &mut Value, removed: &Value) {
    let Some(named) = removed["Study"]["Series"].as_object() else { return };
    let series = document["Study"]["Series"].as_object_mut().unwrap();
    for (uid, node) in named {
        match node["Instances"].as_object() {
            None => drop(series.remove(uid)),
            Some(sops) => {
                let held = series[uid]["Instances"].as_object_mut().unwrap();
                held.retain(|sop, _| !sops.contains_key(sop));
            }
        }
    }
}

fn missing() -> Error {
    Error::not_found("no such image set")
}

/// A fake, and a ledger over it.
pub(crate) struct Scene {
    pub(crate) fake: Fake,
    ledger: Ledger,
    pub(crate) folder: TempDir,
}

impl Scene {
    pub(crate) fn new() -> Self {
        Self::with(Certifying::default())
    }

    /// One whose certificates are made so.
    pub(crate) fn with(certifying: Certifying) -> Self {
        let (fake, folder) = (Fake::default(), tempfile::tempdir().unwrap());
        let back_end =
            BackEnd { service: Arc::new(fake.clone()), dicomweb: Arc::new(fake.clone()) };
        let objects = Objects::new(ObjectsConfig::default());
        let tools = Tools { certifying, ..Tools::in_process(back_end, objects, folder.path()) };
        let jobs = Arc::new(JobsFile::open(folder.path()).unwrap());
        let config = LedgerConfig::new(folder.path(), "fake");
        let ledger = Ledger::open(config, jobs, tools).unwrap();
        Self { fake, ledger, folder }
    }

    /// Makes a plan with a planner of the fake.
    pub(crate) async fn plan<F: Future<Output = Result<Plan>>>(
        &self,
        make: impl FnOnce(Planner<'static>) -> F,
    ) -> Plan {
        // Leaked, so that a closure can have it.
        let service = Box::leak(Box::new(self.fake.clone()));
        let datastore_id = Box::leak(Box::new(datastore()));
        make(Planner { service, datastore_id }).await.unwrap()
    }

    /// The plan to delete all image sets, with a certificate.
    pub(crate) async fn certified_deletion(&self) -> Plan {
        let made = self.plan(|planner| async move {
            planner.deletion("delete", Criteria::default(), 10, "nothing").await
        });
        let mut plan = made.await;
        plan.change.as_mut().unwrap().certify =
            Certify::of("bulk_delete_by_criteria", Vec::new()).map(Box::new);
        plan
    }

    /// Carries a plan out.
    pub(crate) async fn carry_out(&self, plan: Plan) -> (Job, Vec<ItemOutcome>) {
        let work = Work::Change(plan.change.unwrap());
        let new = NewJob {
            tool: "test",
            job_name: None,
            client_token: None,
            datastore_id: datastore(),
            work,
        };
        let job = self.ledger.start(new).await.unwrap();
        let wait = Duration::from_mins(1);
        let job = self.ledger.wait(&job.job_id, wait, &mut |_| {}).await.unwrap();
        assert!(job.job_status.has_ended(), "{job:?}");
        let outcomes = sweep(usize::MAX, |start| async {
            let Page { items, next_token } = self.ledger.outcomes(&job.job_id, start, 100).await?;
            Ok(Page { items, next_token })
        });
        let outcomes = outcomes.try_collect().await.unwrap();
        (job, outcomes)
    }
}
