//! Bulk work and single calls of the genuine SDK and of our DICOMweb client over a bad line.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::FutureExt as _;
use futures::StreamExt as _;
use futures::future::{BoxFuture, join_all};
use futures::stream;
use healthimaging::model::{
    CopyImageSetInformation, CopyImageSetRequest, CopySource, GetImageSetMetadataRequest,
    GetImageSetRequest, ImageSetState, ImageSetsMetadataSummary, ListDatastoresRequest,
    ListImageSetVersionsRequest, MetadataUpdates, RetrieveInstanceRequest, SearchCriteria,
    SearchDicomRequest, SearchImageSetsRequest, SearchLevel, SeriesMetadataRequest,
    StoreInstancesRequest, TransferSyntaxChoice, UpdateImageSetMetadataRequest,
};
use healthimaging::{
    Body, DatastoreId, DicomWeb, Error, ErrorKind, HealthImaging, ImageSetId, Pace, Paced,
};
use healthimaging_aws::Aws;
use healthimaging_local::{LocalConfig, LocalStore};
use healthimaging_objects::{Objects, ObjectsConfig, file_uri};
use healthimaging_phantoms::Archive;
use healthimaging_workflows::change::Part;
use healthimaging_workflows::change::Values;
use healthimaging_workflows::change::planning::{Holders, OlderVersions, Planner};
use healthimaging_workflows::document;
use healthimaging_workflows::export::{self, Export};
use healthimaging_workflows::find::{self, Criteria, is_primary};
use healthimaging_workflows::{
    BackEnd, ItemOutcome, ItemResult, Job, JobState, Ledger, LedgerConfig, NewJob, Plan, Tools,
    Work,
};
use serde_json::json;
use tempfile::TempDir;

use crate::line::{Fault, Script, bad_line};
use crate::wire;

/// Longer than any job takes.
const PATIENCE: Duration = Duration::from_mins(2);

/// Six studies of two series of two slices.
const ARCHIVE: Archive = Archive {
    patients: 1,
    studies: 6,
    series: 2,
    instances: 2,
    size: 16,
    seed: 3,
    noise: 10.0,
};
const SETS: usize = 12;

/// A store, and a ledger that reaches it over a bad line.
struct Scene {
    store: Arc<LocalStore>,
    datastore: DatastoreId,
    /// Over the bad line.
    aws: Arc<Aws>,
    ledger: Ledger,
    folder: TempDir,
}

impl Scene {
    async fn new(script: Script) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = LocalStore::open(LocalConfig::new(folder.path().join("data")))
            .await
            .unwrap();
        let datastore = crate::datastore(&*store).await;
        let bodies = ARCHIVE.files().map(|file| Ok(Body::from(file.bytes)));
        let request = StoreInstancesRequest {
            datastore_id: datastore.clone(),
            study_instance_uid: None,
            instances: stream::iter(bodies.collect::<Vec<_>>()).boxed(),
        };
        store.store_instances(request).await.unwrap();
        let server = wire::serve(Arc::clone(&store)).await;
        let aws = wire::open_at(bad_line(server, script).await).await;
        // The rates of AWS would make these tests minutes long.
        let pace = Arc::new(Pace::new(&aws.limits(), 10_000.0));
        let back_end = BackEnd {
            service: Arc::new(Paced::new(Arc::clone(&aws), Arc::clone(&pace))),
            dicomweb: Arc::new(Paced::new(Arc::clone(&aws), pace)),
        };
        let objects = Objects::new(ObjectsConfig {
            allowed_paths: vec![folder.path().to_owned()],
            ..ObjectsConfig::default()
        });
        let config = LedgerConfig {
            folder: folder.path().join("ledger"),
            back_end: "test".to_owned(),
            run_jobs: true,
        };
        let ledger = Ledger::open(config, Tools { back_end, objects }).unwrap();
        Self {
            store,
            datastore,
            aws,
            ledger,
            folder,
        }
    }

    /// Every image set, looked at over no line at all.
    async fn sets(&self) -> Vec<ImageSetsMetadataSummary> {
        let everything = Criteria::default();
        let all = find::all(&*self.store, &self.datastore, &everything, 100);
        all.await.unwrap().image_sets
    }

    fn planner(&self) -> Planner<'_> {
        Planner {
            service: &*self.store,
            datastore_id: &self.datastore,
        }
    }

    /// Runs a job to its end.
    async fn run(&self, work: Work) -> (Job, Vec<ItemOutcome>) {
        let new = NewJob {
            tool: "test",
            job_name: None,
            client_token: None,
            datastore_id: self.datastore.clone(),
            work,
        };
        let job = self.ledger.start(new).await.unwrap().job_id;
        let ended = self.ledger.wait(&job, PATIENCE, &mut |_| {}).await.unwrap();
        assert_eq!(ended.job_status, JobState::Completed, "{ended:?}");
        let outcomes = self.ledger.outcomes(&job, None, 100).await.unwrap().items;
        assert_eq!(ended.items_done, outcomes.len() as u64);
        (ended, outcomes)
    }

    async fn carry_out(&self, plan: Plan) -> (Job, Vec<ItemOutcome>) {
        self.run(Work::Change(plan.change.unwrap())).await
    }
}

/// Gives the requests whose paths end so these faults, one after the other; all others pass.
fn in_turn(faults: &'static [(&'static str, &'static [Fault])]) -> Script {
    let seen: Mutex<HashMap<&str, usize>> = Mutex::default();
    Arc::new(move |path| {
        let Some((end, faults)) = faults.iter().find(|(end, _)| path.contains(end)) else {
            return Fault::None;
        };
        let mut seen = seen.lock().unwrap();
        let number = seen.entry(end).or_insert(0);
        *number += 1;
        faults.get(*number - 1).copied().unwrap_or(Fault::None)
    })
}

const LATE: Fault = Fault::Delay(Duration::from_millis(20));

/// What every kind of reading meets.
const READS: &[Fault] = &[
    Fault::None,
    Fault::CutMidBody,
    LATE,
    Fault::Half,
    Fault::None,
    Fault::NoJson,
    Fault::CutBefore,
    Fault::Throttle,
];

fn all_are(outcomes: &[ItemOutcome], count: usize, result: ItemResult) {
    assert_eq!(outcomes.len(), count);
    for outcome in outcomes {
        assert_eq!(outcome.result, result, "{outcome:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_update_is_made_once_over_a_bad_line() {
    let scene = Scene::new(in_turn(&[
        ("getImageSetMetadata", READS),
        (
            "updateImageSetMetadata",
            &[
                Fault::CutAfter,
                Fault::Throttle,
                Fault::CutBefore,
                Fault::Status(500),
                Fault::Status(503),
                Fault::CutMidBody,
                Fault::OtherJson,
            ],
        ),
    ]))
    .await;
    let Ok(values) = serde_json::from_value(json!({ "PatientName": "NEW^NAME" })) else {
        panic!("an object");
    };
    let values = Values::of_keywords(values).unwrap();
    let all = Criteria::default();
    let plan = scene.planner().update("update", all, values, "none").await;
    let (_, outcomes) = scene.carry_out(plan.unwrap()).await;
    all_are(&outcomes, SETS, ItemResult::Updated);
    for set in scene.sets().await {
        assert_eq!(set.version, Some(2), "one version was made");
        let tags = set.dicom_tags.unwrap();
        assert_eq!(tags.patient_name.as_deref(), Some("NEW^NAME"));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deletion_comes_to_its_end_over_a_bad_line() {
    let scene = Scene::new(in_turn(&[
        (
            "/getImageSet",
            &[
                Fault::Status(500),
                Fault::CutBefore,
                Fault::None,
                Fault::NoJson,
            ],
        ),
        (
            "deleteImageSet",
            &[
                Fault::CutAfter,
                Fault::Status(500),
                Fault::CutBefore,
                Fault::Throttle,
                Fault::CutMidBody,
            ],
        ),
    ]))
    .await;
    let all = Criteria::default();
    let plan = scene.planner().deletion("delete", all, 100, "none").await;
    let (job, outcomes) = scene.carry_out(plan.unwrap()).await;
    all_are(&outcomes, SETS, ItemResult::Deleted);
    assert_eq!(job.report.unwrap()["remaining"]["image_sets"], 0);
    assert!(scene.sets().await.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_instance_is_erased_with_one_copy_over_a_bad_line() {
    let scene = Scene::new(in_turn(&[
        ("getImageSetMetadata", READS),
        (
            "copyImageSet",
            &[Fault::CutAfter, Fault::Status(500), Fault::CutAfter],
        ),
        ("deleteImageSet", &[Fault::CutAfter, Fault::CutBefore]),
    ]))
    .await;
    let sets = scene.sets().await;
    let target = sets[0].image_set_id.clone();
    let instance = instances(&scene, &target).await[0].parse().unwrap();
    let part = Part::Instance {
        series_instance_uid: None,
        sop_instance_uid: instance,
    };
    let holders = Holders::ImageSet(target.clone());
    let plan = scene
        .planner()
        .removal("erase", part, holders, OlderVersions::Erase);
    let (_, outcomes) = scene.carry_out(plan.await.unwrap()).await;
    assert_eq!(outcomes.len(), 3, "{outcomes:?}");
    let after = scene.sets().await;
    assert_eq!(after.len(), SETS, "no copy is left over");
    assert!(after.iter().all(is_primary));
    assert!(after.iter().all(|set| set.image_set_id != target));
}

async fn instances(scene: &Scene, set: &ImageSetId) -> Vec<String> {
    let request = GetImageSetMetadataRequest {
        datastore_id: scene.datastore.clone(),
        image_set_id: set.clone(),
        version_id: None,
    };
    let contents = document::contents(&*scene.store, request).await.unwrap();
    let series = contents.series().values();
    series
        .flat_map(|series| series.instances.keys().cloned())
        .collect()
}

fn export(scene: &Scene, output: &str) -> (Work, PathBuf) {
    let folder = scene.folder.path().join(output);
    std::fs::create_dir(&folder).unwrap();
    let work = Work::Export(Export {
        datastore_id: scene.datastore.clone(),
        output_uri: file_uri(&folder).unwrap(),
        criteria: Criteria::default(),
        sop_instance_uid: None,
        include_non_primary: false,
        transfer_syntax_uid: None,
        data_access_role_arn: None,
        allowed_paths: Vec::new(),
    });
    assert_eq!(export::TOOL, "start_dicom_export_job");
    (work, folder)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_export_is_whole_over_a_bad_line() {
    let scene = Scene::new(in_turn(&[
        ("getImageSetMetadata", &[Fault::None, Fault::Status(500)]),
        (
            "/instances/",
            &[
                Fault::CutMidBody,
                Fault::Status(503),
                Fault::CutBefore,
                LATE,
                Fault::Throttle,
                Fault::CutAfter,
                Fault::Status(500),
                Fault::CutMidBody,
            ],
        ),
    ]))
    .await;
    let (work, folder) = export(&scene, "bad");
    let (_, outcomes) = scene.run(work).await;
    all_are(&outcomes, 2 * SETS, ItemResult::Written);
    for outcome in outcomes {
        let written = std::fs::read(folder.join(&outcome.item)).unwrap();
        let mut uids = outcome.item.trim_end_matches(".dcm").split('/');
        let mut uid = || uids.next().unwrap().parse().unwrap();
        let request = RetrieveInstanceRequest {
            datastore_id: scene.datastore.clone(),
            study_instance_uid: uid(),
            series_instance_uid: uid(),
            sop_instance_uid: uid(),
            image_set_id: None,
            transfer_syntax: TransferSyntaxChoice::Stored,
        };
        let stored = scene.store.retrieve_instance(request).await.unwrap();
        let stored = stored.instance.collect(1 << 20).await.unwrap();
        assert!(stored == written, "{}", outcome.item);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_never_comes_whole_is_told_and_the_rest_is_written() {
    let scene = Scene::new(Arc::new(|path| {
        // The last digit of a UID picks some of them.
        if path.contains("/instances/") && path.ends_with('1') {
            Fault::CutMidBody
        } else {
            Fault::None
        }
    }))
    .await;
    let (work, folder) = export(&scene, "some");
    let (job, outcomes) = scene.run(work).await;
    assert_eq!(outcomes.len(), 2 * SETS);
    let mut failed = 0;
    for outcome in outcomes {
        let exists = folder.join(&outcome.item).exists();
        if outcome.item.ends_with("1.dcm") {
            failed += 1;
            assert_eq!(outcome.result, ItemResult::Failed, "{outcome:?}");
            assert_eq!(outcome.error.unwrap().kind, "service_error");
            assert!(!exists, "half a file is left");
        } else {
            assert_eq!(outcome.result, ItemResult::Written, "{outcome:?}");
            assert!(exists);
        }
    }
    assert_eq!(job.items_failed, failed);
    assert!(failed > 0, "the choice of UIDs chose none");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_whose_answer_is_lost_is_not_made_twice() {
    let scene = Scene::new(in_turn(&[("copyImageSet", &[Fault::CutAfter])])).await;
    let source = scene.sets().await[0].clone();
    let request = CopyImageSetRequest {
        datastore_id: scene.datastore.clone(),
        source_image_set_id: source.image_set_id,
        copy_image_set_information: CopyImageSetInformation {
            source_image_set: CopySource {
                latest_version_id: 1.into(),
                dicom_copies: None,
            },
            destination_image_set: None,
        },
        force: false,
        promote_to_primary: false,
    };
    let error = scene.aws.copy_image_set(request).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Service);
    assert!(error.message().contains("not known"), "{error}");
    assert_eq!(scene.sets().await.len(), SETS + 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_clients_that_update_one_image_set_one_wins() {
    let scene = Scene::new(Arc::new(|_| Fault::None)).await;
    let set = scene.sets().await[0].image_set_id.clone();
    let other = wire::over_the_wire(Arc::clone(&scene.store)).await;
    for version in 1..6 {
        let update = |who: &str| {
            UpdateImageSetMetadataRequest {
            datastore_id: scene.datastore.clone(),
            image_set_id: set.clone(),
            latest_version_id: version.into(),
            force: false,
            include_study_image_sets: false,
            updates: MetadataUpdates::DicomUpdates {
                removable_attributes: None,
                updatable_attributes: Some(
                    json!({ "SchemaVersion": "1.1",
                            "Study": { "DICOM": { "StudyDescription": format!("{who} {version}") } } })
                    .to_string()
                    .into(),
                ),
            },
        }
        };
        let (one, two) = tokio::join!(
            scene.aws.update_image_set_metadata(update("ONE")),
            other.update_image_set_metadata(update("TWO")),
        );
        let winner = if one.is_ok() { "ONE" } else { "TWO" };
        let (won, lost) = if one.is_ok() { (one, two) } else { (two, one) };
        won.unwrap();
        assert_eq!(lost.unwrap_err().kind(), ErrorKind::Conflict);
        let request = GetImageSetRequest {
            datastore_id: scene.datastore.clone(),
            image_set_id: set.clone(),
            version_id: None,
        };
        let now = loop {
            let now = scene.aws.get_image_set(request.clone()).await.unwrap();
            if now.properties.image_set_state == ImageSetState::Active {
                break now.properties;
            }
        };
        assert_eq!(now.version_id.number(), u64::from(version) + 1);
        let found = scene.sets().await;
        let found = found
            .iter()
            .find(|found| found.image_set_id == set)
            .unwrap();
        let told = found.dicom_tags.as_ref().unwrap().study_description.clone();
        assert_eq!(told, Some(format!("{winner} {version}")));
    }
}

/// One call of each kind that reads.
fn reads(
    aws: &Arc<Aws>,
    datastore: &DatastoreId,
    set: &ImageSetsMetadataSummary,
) -> Vec<(&'static str, BoxFuture<'static, Result<(), Error>>)> {
    let (datastore_id, image_set_id) = (datastore.clone(), set.image_set_id.clone());
    let tags = set.dicom_tags.clone().unwrap();
    let study = tags.study_instance_uid.unwrap().parse().unwrap();
    let series = tags.series_instance_uid.unwrap().parse().unwrap();
    macro_rules! read {
        ($call:ident, $request:expr) => {{
            let (aws, request) = (Arc::clone(aws), $request);
            let call = async move { aws.$call(request).await.map(drop) };
            (stringify!($call), call.boxed())
        }};
    }
    let metadata = GetImageSetMetadataRequest {
        datastore_id: datastore_id.clone(),
        image_set_id: image_set_id.clone(),
        version_id: None,
    };
    let document = {
        let aws = Arc::clone(aws);
        async move { document::contents(&*aws, metadata).await.map(drop) }
    };
    vec![
        read!(list_datastores, ListDatastoresRequest::default()),
        read!(
            search_image_sets,
            SearchImageSetsRequest {
                datastore_id: datastore_id.clone(),
                search_criteria: SearchCriteria::default(),
                next_token: None,
                max_results: None,
            }
        ),
        read!(
            get_image_set,
            GetImageSetRequest {
                datastore_id: datastore_id.clone(),
                image_set_id: image_set_id.clone(),
                version_id: None,
            }
        ),
        read!(
            list_image_set_versions,
            ListImageSetVersionsRequest {
                datastore_id: datastore_id.clone(),
                image_set_id: image_set_id.clone(),
                next_token: None,
                max_results: None,
            }
        ),
        ("metadata document", document.boxed()),
        read!(
            series_metadata,
            SeriesMetadataRequest {
                datastore_id: datastore_id.clone(),
                study_instance_uid: study,
                series_instance_uid: series,
                image_set_id: None,
                host: String::new(),
            }
        ),
        read!(
            search,
            SearchDicomRequest {
                datastore_id,
                level: SearchLevel::Studies,
                filters: Vec::new(),
                include_fields: Vec::new(),
                fuzzy_matching: false,
                limit: None,
                offset: 0,
                host: String::new(),
            }
        ),
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_line_that_stays_bad_is_an_error_of_the_service_and_never_a_hang() {
    for fault in [
        Fault::CutBefore,
        Fault::CutMidBody,
        Fault::Half,
        Fault::OtherJson,
        Fault::NoJson,
        Fault::Status(500),
        Fault::Status(503),
    ] {
        let scene = Scene::new(Arc::new(move |_| fault)).await;
        let set = scene.sets().await[0].clone();
        let calls = reads(&scene.aws, &scene.datastore, &set).into_iter();
        let answers = calls.map(async |(name, call)| {
            let answer = tokio::time::timeout(PATIENCE, call).await;
            let Ok(Err(error)) = answer else {
                panic!("{fault:?}: {name} answers {answer:?}");
            };
            let throttled = fault == Fault::Status(503) && error.kind() == ErrorKind::Throttled;
            assert!(
                error.kind() == ErrorKind::Service || throttled,
                "{fault:?}: {name}: {error:?}"
            );
            assert!(!error.message().is_empty());
        });
        join_all(answers).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_throttled_call_is_sent_once_by_the_sdk() {
    let asked = Arc::new(Mutex::new(0));
    let counted = Arc::clone(&asked);
    let scene = Scene::new(Arc::new(move |_| {
        *counted.lock().unwrap() += 1;
        Fault::Throttle
    }))
    .await;
    let error = scene
        .aws
        .list_datastores(ListDatastoresRequest::default())
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Throttled);
    assert_eq!(
        *asked.lock().unwrap(),
        1,
        "whoever paces the calls tries again"
    );
}
