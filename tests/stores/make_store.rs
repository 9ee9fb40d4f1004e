//! Makes a store as an earlier release wrote it: `make` compiles and runs this against that release.
//!
//! Each life of a process is one command, and each but the first ends as a crash does.

#![allow(
    missing_docs,
    unused_crate_dependencies,
    clippy::all,
    clippy::pedantic,
    reason = "a tool for tests"
)]
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a tool for tests")]

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use healthimaging::model::{
    CopyImageSetRequest, CreateDatastoreRequest, DatastoreStatus, DeleteDatastoreRequest,
    DeleteImageSetRequest, GetDatastoreRequest, GetImageSetRequest, ImageSetState,
    ListDatastoresRequest, MetadataUpdates, SearchCriteria, SearchImageSetsRequest,
    StartDicomImportJobRequest, TagResourceRequest, UpdateImageSetMetadataRequest,
};
use healthimaging::{DatastoreId, HealthImaging, ImageSetId, ResourceArn};
use healthimaging_local::{FileCall, Files, LocalConfig, LocalStore};
use healthimaging_objects::{Objects, ObjectsConfig};
use healthimaging_phantoms::{Phantom, VR, tags};
use healthimaging_workflows::change::Values;
use healthimaging_workflows::change::planning::Planner;
use healthimaging_workflows::export::Export;
use healthimaging_workflows::find::Criteria;
use healthimaging_workflows::{BackEnd, JobState, Ledger, LedgerConfig, NewJob, Tools, Work};
use serde_json::{Value, json};

/// Longer than this program lives.
const NEVER: Duration = Duration::from_secs(3600);

#[tokio::main]
async fn main() {
    let mut arguments = std::env::args().skip(1);
    let command = arguments.next().unwrap();
    let base = PathBuf::from(arguments.next().unwrap());
    match command.as_str() {
        "fill" => fill(&base).await,
        "acknowledge" => acknowledge(&base).await,
        "submit" => submit(&base).await,
        "import" => import(&base).await,
        other => panic!("{other}"),
    }
}

fn config(base: &Path) -> LocalConfig {
    let mut config = LocalConfig::new(base.join("data"));
    config.allowed_paths = vec![base.to_owned()];
    config
}

/// A slice of 8x8 of series `series` of study `study`.
fn slice(study: u32, series: u32, number: u32) -> Phantom {
    Phantom::ct()
        .size(8, 8)
        .patient(&format!("Synthetic^Patient{study}"), &format!("P-{study}"))
        .study_uid(&format!("2.25.{study}"))
        .series_uid(&format!("2.25.{study}.{series}"))
        .sop_uid(&format!("2.25.{study}.{series}.{number}"))
        .accession_number(&format!("A-{study}"))
        .study_date("20230105")
        .series_number(series)
        .instance_number(number)
}

struct Filled {
    store: Arc<LocalStore>,
    datastore: DatastoreId,
    base: PathBuf,
}

impl Filled {
    async fn open(base: &Path, config: LocalConfig) -> Self {
        let store = LocalStore::open(config).await.unwrap();
        let listed = store.list_datastores(ListDatastoresRequest::default()).await.unwrap();
        let named = |name: &str| {
            let found = listed.datastore_summaries.iter().find(|one| one.datastore_name == name);
            found.map(|one| one.datastore_id.clone())
        };
        let datastore = match named("main") {
            Some(id) => id,
            None => create(&store, "main").await,
        };
        Self { store, datastore, base: base.to_owned() }
    }

    async fn put(&self, name: &str, files: Vec<Phantom>) {
        let folder = self.base.join("made").join(name);
        fs::create_dir_all(&folder).unwrap();
        for (number, file) in files.into_iter().enumerate() {
            fs::write(folder.join(format!("{number}.dcm")), file.build()).unwrap();
        }
        let summary = self.store.import_paths(&self.datastore, &[folder], |_| ()).await.unwrap();
        assert!(summary.refused.failed.is_empty(), "{summary:?}");
    }

    /// The image sets of a study, in the order in which they were made.
    async fn sets(&self, study: u32) -> Vec<ImageSetId> {
        let request = SearchImageSetsRequest {
            datastore_id: self.datastore.clone(),
            search_criteria: serde_json::from_value::<SearchCriteria>(json!({
                "filters": [{"values": [{"DICOMStudyInstanceUID": format!("2.25.{study}")}],
                             "operator": "EQUAL"}],
                "sort": {"sortField": "createdAt", "sortOrder": "ASC"}}))
            .unwrap(),
            next_token: None,
            max_results: None,
        };
        let found = self.store.search_image_sets(request).await.unwrap();
        found.image_sets_metadata_summaries.into_iter().map(|set| set.image_set_id).collect()
    }

    async fn state(&self, set: &ImageSetId) -> (ImageSetState, u64) {
        let request = GetImageSetRequest {
            datastore_id: self.datastore.clone(),
            image_set_id: set.clone(),
            version_id: None,
        };
        let found = self.store.get_image_set(request).await.unwrap().properties;
        (found.image_set_state, found.version_id.number())
    }

    async fn settled(&self, set: &ImageSetId) {
        while self.state(set).await.0 == ImageSetState::Locked {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    async fn update(&self, set: &ImageSetId, updates: MetadataUpdates) {
        let (_, version) = self.state(set).await;
        let request = UpdateImageSetMetadataRequest {
            datastore_id: self.datastore.clone(),
            image_set_id: set.clone(),
            latest_version_id: u32::try_from(version).unwrap().into(),
            force: false,
            include_study_image_sets: false,
            updates,
        };
        self.store.update_image_set_metadata(request).await.unwrap();
    }

    async fn copy(&self, set: &ImageSetId, into: Option<&ImageSetId>) -> ImageSetId {
        let (_, version) = self.state(set).await;
        let mut information = json!({"sourceImageSet": {"latestVersionId": version.to_string()}});
        if let Some(into) = into {
            let (_, version) = self.state(into).await;
            information["destinationImageSet"] =
                json!({"imageSetId": into, "latestVersionId": version.to_string()});
        }
        let request = CopyImageSetRequest {
            datastore_id: self.datastore.clone(),
            source_image_set_id: set.clone(),
            copy_image_set_information: serde_json::from_value(information).unwrap(),
            force: into.is_some(),
            promote_to_primary: false,
        };
        let copied = self.store.copy_image_set(request).await.unwrap();
        copied.destination_image_set_properties.image_set_id
    }

    async fn delete(&self, set: &ImageSetId) {
        let request = DeleteImageSetRequest {
            datastore_id: self.datastore.clone(),
            image_set_id: set.clone(),
        };
        self.store.delete_image_set(request).await.unwrap();
    }

    fn ledger(&self) -> Ledger {
        let config = LedgerConfig::new(self.base.join("data/ledger"), "local");
        let back_end = BackEnd {
            service: Arc::clone(&self.store) as _,
            dicomweb: Arc::clone(&self.store) as _,
        };
        let objects = Objects::new(ObjectsConfig {
            allowed_paths: vec![self.base.clone()],
            ..ObjectsConfig::default()
        });
        Ledger::open(config, Tools { back_end, objects }).unwrap()
    }

    fn job(&self, tool: &'static str, token: Option<&str>, work: Work) -> NewJob {
        NewJob {
            tool,
            job_name: None,
            client_token: token.map(|token| token.parse().unwrap()),
            datastore_id: self.datastore.clone(),
            work,
        }
    }

    async fn deletion(&self, study: u32) -> Work {
        let planner = Planner { service: &*self.store, datastore_id: &self.datastore };
        let criteria = Criteria::study(format!("2.25.{study}").parse().unwrap());
        let plan = planner.deletion("delete a study", criteria, 100, "none").await.unwrap();
        Work::Change(plan.change.unwrap())
    }

    fn export(&self, study: u32, folder: &str) -> Work {
        let output = format!("file://{}/output/{folder}", self.base.display());
        Work::Export(Export {
            datastore_id: self.datastore.clone(),
            output_uri: output.parse().unwrap(),
            criteria: Criteria::study(format!("2.25.{study}").parse().unwrap()),
            sop_instance_uid: None,
            include_non_primary: false,
            overwrite: false,
            transfer_syntax_uid: None,
            data_access_role_arn: None,
            allowed_paths: vec![self.base.clone()],
        })
    }
}

async fn create(store: &LocalStore, name: &str) -> DatastoreId {
    let request = CreateDatastoreRequest {
        datastore_name: Some(name.parse().unwrap()),
        ..CreateDatastoreRequest::default()
    };
    let datastore_id = store.create_datastore(request).await.unwrap().datastore_id;
    loop {
        let request = GetDatastoreRequest { datastore_id: datastore_id.clone() };
        let found = store.get_datastore(request).await.unwrap().datastore_properties;
        if found.datastore_status == DatastoreStatus::Active {
            return datastore_id;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

fn updating(study: Value) -> MetadataUpdates {
    let document = json!({"SchemaVersion": 1.1, "Study": {"DICOM": study}});
    MetadataUpdates::DicomUpdates {
        removable_attributes: None,
        updatable_attributes: Some(document.to_string().into()),
    }
}

/// What is done, and ended.
async fn fill(base: &Path) {
    let filled = Filled::open(base, config(base)).await;
    // 1: three slices; five versions, the last one shows the content of the first.
    filled.put("1", (1..=3).map(|n| slice(1, 1, n)).collect()).await;
    let one = filled.sets(1).await.remove(0);
    for description in ["SECOND", "THIRD"] {
        filled.update(&one, updating(json!({"StudyDescription": description}))).await;
        filled.settled(&one).await;
    }
    filled.update(&one, updating(json!({"StudyDate": "20240229"}))).await;
    filled.settled(&one).await;
    filled.update(&one, MetadataUpdates::RevertToVersion(1.into())).await;
    filled.settled(&one).await;
    // 2: two series, of which one grew, and a copy that holds both.
    filled.put("2-1", vec![slice(2, 1, 1)]).await;
    filled.put("2-2", vec![slice(2, 2, 1)]).await;
    filled.put("2-1b", vec![slice(2, 1, 2)]).await;
    let two = filled.sets(2).await;
    let copy = filled.copy(&two[0], None).await;
    filled.settled(&copy).await;
    let copied = filled.copy(&two[1], Some(&copy)).await;
    filled.settled(&copied).await;
    assert_eq!(copied, copy);
    // 3: values that matching has to bring into one form.
    filled
        .put(
            "3",
            vec![
                slice(3, 1, 1)
                    .with(tags::SPECIFIC_CHARACTER_SET, VR::CS, "ISO_IR 192")
                    .with(tags::PATIENT_NAME, VR::PN, "Yamada^Tarou=山田^太郎=やまだ^たろう")
                    .with(tags::SERIES_NUMBER, VR::IS, "3.0")
                    .with(tags::STUDY_DATE, VR::DA, "2023.01.05")
                    .with(tags::STUDY_TIME, VR::TM, "10:15:30"),
            ],
        )
        .await;
    // 4: one that disagrees with the primary image set, and one whose pixel data is kept as received.
    filled.put("4", vec![slice(4, 1, 1)]).await;
    filled.put("4b", vec![slice(4, 1, 1).accession_number("OTHER")]).await;
    filled.put("4c", vec![slice(4, 2, 1).encapsulated("1.2.3.4.5", vec![vec![1; 64]])]).await;
    // 5: deleted. 6 to 12: for the work that is not done.
    filled.put("5", vec![slice(5, 1, 1)]).await;
    let five = filled.sets(5).await.remove(0);
    filled.delete(&five).await;
    filled.settled(&five).await;
    for study in 6..=12 {
        filled.put(&format!("{study}-1"), vec![slice(study, 1, 1)]).await;
        filled.put(&format!("{study}-2"), vec![slice(study, 2, 1)]).await;
    }
    let datastore = &filled.datastore;
    let arn = |rest: &str| {
        let arn =
            format!("arn:aws:medical-imaging:us-east-1:000000000000:datastore/{datastore}{rest}");
        ResourceArn::try_from(arn).unwrap()
    };
    for (arn, value) in [(arn(""), "store"), (arn(&format!("/imageset/{one}")), "set")] {
        let request = TagResourceRequest {
            resource_arn: arn,
            tags: serde_json::from_value(json!({"key": value})).unwrap(),
        };
        filled.store.tag_resource(request).await.unwrap();
    }
    let other = create(&filled.store, "other").await;
    let gone = create(&filled.store, "gone").await;
    let request = DeleteDatastoreRequest { datastore_id: gone.clone() };
    filled.store.delete_datastore(request).await.unwrap();
    create(&filled.store, "going").await;
    // Jobs that have ended: a deletion of which one item was gone, an export, one that was cancelled.
    let ledger = filled.ledger();
    let work = filled.deletion(6).await;
    let six = filled.sets(6).await;
    filled.delete(&six[0]).await;
    filled.settled(&six[0]).await;
    for (tool, token, work) in [
        ("delete_study", Some("ended-deletion"), work),
        ("start_dicom_export_job", None, filled.export(1, "ended")),
    ] {
        let job = ledger.start(filled.job(tool, token, work)).await.unwrap();
        let ended = ledger.wait(&job.job_id, NEVER, &mut |_| ()).await.unwrap();
        assert_eq!(ended.job_status, JobState::Completed, "{ended:?}");
    }
    // The plan of a job that finds one of its items gone, for the next life.
    fs::write(base.join("plan.json"), serde_json::to_vec(&filled.deletion(7).await).unwrap())
        .unwrap();
    let seven = filled.sets(7).await;
    filled.delete(&seven[0]).await;
    filled.settled(&seven[0]).await;
    println!("main {datastore} other {other}");
    ledger.close().await;
    filled.store.close().await;
}

/// What is acknowledged and not done.
async fn acknowledge(base: &Path) {
    let mut config = config(base);
    config.write_delay = NEVER;
    config.run_jobs = false;
    let filled = Filled::open(base, config).await;
    let listed = filled.store.list_datastores(ListDatastoresRequest::default()).await.unwrap();
    let going = listed.datastore_summaries.iter().find(|one| one.datastore_name == "going");
    let request = DeleteDatastoreRequest { datastore_id: going.unwrap().datastore_id.clone() };
    filled.store.delete_datastore(request).await.unwrap();
    let request = CreateDatastoreRequest {
        datastore_name: Some("coming".parse().unwrap()),
        ..CreateDatastoreRequest::default()
    };
    filled.store.create_datastore(request).await.unwrap();
    let eight = filled.sets(8).await;
    filled.update(&eight[0], updating(json!({"StudyDescription": "ACKNOWLEDGED"}))).await;
    filled.copy(&eight[1], None).await;
    let nine = filled.sets(9).await;
    filled.delete(&nine[0]).await;
    // Jobs: one that has recorded the first of its items and is at the second, one at its first item,
    // one that was cancelled while it is at its first, one that changes values, and an export.
    let ledger = filled.ledger();
    let half = serde_json::from_slice(&fs::read(base.join("plan.json")).unwrap()).unwrap();
    let half = ledger.start(filled.job("delete_study", Some("half-done"), half)).await.unwrap();
    let begun = filled.deletion(10).await;
    let begun = ledger.start(filled.job("delete_study", Some("begun"), begun)).await.unwrap();
    let cancelled = filled.deletion(11).await;
    let cancelled = ledger.start(filled.job("delete_study", None, cancelled)).await.unwrap();
    let planner = Planner { service: &*filled.store, datastore_id: &filled.datastore };
    let criteria = Criteria::study("2.25.12".parse().unwrap());
    let values: Values =
        serde_json::from_value(json!({"patient": {"PatientSex": "F"}, "study": {}})).unwrap();
    let plan = planner.update("change a study", criteria, values, "none").await.unwrap();
    let change = Work::Change(plan.change.unwrap());
    let change = ledger.start(filled.job("update_patient_study_metadata", None, change));
    let change = change.await.unwrap();
    for (job, done) in [(&half, 1), (&begun, 0), (&cancelled, 0), (&change, 0)] {
        loop {
            let now = ledger.get(&job.job_id).await.unwrap();
            if now.job_status == JobState::InProgress && now.items_done >= done {
                break;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
    ledger.cancel(&cancelled.job_id).await.unwrap();
    // Time for the deletions to be acknowledged.
    tokio::time::sleep(Duration::from_millis(500)).await;
    let export = filled.job("start_dicom_export_job", Some("export"), filled.export(3, "left"));
    ledger.start(export).await.unwrap();
    std::process::exit(0);
}

fn write(base: &Path, files: Vec<(&str, Phantom)>) -> PathBuf {
    let input = base.join("input");
    for (name, file) in files {
        let path = input.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, file.build()).unwrap();
    }
    input
}

/// An import of the command line that is acknowledged and not begun.
async fn submit(base: &Path) {
    let input = write(base, vec![("c/1.dcm", slice(22, 1, 1))]);
    let mut config = config(base);
    config.run_jobs = false;
    let armed = Arc::new(AtomicBool::new(false));
    let kill = Arc::clone(&armed);
    config.files = Files::watched(move |_| {
        if kill.load(Ordering::SeqCst) {
            std::process::exit(0);
        }
        Ok(usize::MAX)
    });
    let filled = Filled::open(base, config).await;
    armed.store(true, Ordering::SeqCst);
    let paths = [input.join("c")];
    filled.store.import_paths(&filled.datastore, &paths, |_| ()).await.unwrap();
}

/// An import that is killed behind its first image set.
async fn import(base: &Path) {
    let input = write(
        base,
        vec![
            ("ab/a/1.dcm", slice(20, 1, 1)),
            ("ab/a/2.dcm", slice(20, 1, 2)),
            ("ab/b/1.dcm", slice(21, 1, 1)),
        ],
    );
    fs::write(input.join("ab/a/notes.txt"), "no DICOM").unwrap();
    let mut config = config(base);
    config.run_jobs = false;
    let moves = AtomicUsize::new(0);
    config.files = Files::watched(move |call| {
        if call == FileCall::Move && moves.fetch_add(1, Ordering::SeqCst) == 1 {
            std::process::exit(0);
        }
        Ok(usize::MAX)
    });
    let filled = Filled::open(base, config).await;
    let request = StartDicomImportJobRequest {
        job_name: Some("half".parse().unwrap()),
        data_access_role_arn: None,
        client_token: Some("half-import".parse().unwrap()),
        datastore_id: filled.datastore.clone(),
        input_s3_uri: format!("file://{}/ab/", input.display()).parse().unwrap(),
        output_s3_uri: Some(format!("file://{}/output/", base.display()).parse().unwrap()),
        input_owner_account_id: None,
        import_configuration: None,
    };
    filled.store.start_dicom_import_job(request).await.unwrap();
    tokio::time::sleep(NEVER).await;
}
