//! Stores that earlier releases wrote: `tests/stores/make_store.rs` says what is in them.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use flate2::read::GzDecoder;
use healthimaging::model::{
    DatastoreStatus, GetImageFrameRequest, GetImageSetMetadataRequest, GetImageSetRequest,
    ImageSetState, ImageSetsMetadataSummary, JobStatus, ListDatastoresRequest,
    ListDicomImportJobsRequest, ListImageSetVersionsRequest, SearchDicomRequest,
    SearchImageSetsRequest, SearchLevel,
};
use healthimaging::{DatastoreId, DicomWeb, ErrorKind, HealthImaging, ImageFrameId, VersionId};
use healthimaging_local::{LocalConfig, LocalStore, MigrationProgress, MigrationWatch};
use rusqlite::Connection;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::fixture::frame_ids;

/// A store as the last release of its format left it, in a folder of its own.
struct Old(TempDir);

impl Old {
    fn unpacked(name: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let packed = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/stores").join(name);
        tar::Archive::new(GzDecoder::new(File::open(packed).unwrap())).unpack(&folder).unwrap();
        Self(folder)
    }

    fn of_format_2() -> Self {
        Self::unpacked("format-2.tar.gz")
    }

    /// Its jobs name files in this folder.
    fn of_format_3() -> Self {
        let old = Self::unpacked("format-3.tar.gz");
        let base = old.0.path().canonicalize().unwrap();
        let here = |column| {
            format!(
                "{column} = replace({column}, '/tmp/healthimaging-store', '{}')",
                base.display()
            )
        };
        old.sql(&format!(
            "UPDATE import_job SET {}, {}, {}, {}; UPDATE import_file SET {}",
            here("input_uri"),
            here("output_uri"),
            here("local_paths"),
            here("needs"),
            here("key")
        ));
        old
    }

    /// Without what format 2 brought.
    fn of_format_1() -> Self {
        let old = Self::of_format_2();
        old.sql(
            "DROP INDEX image_set_counted;
             ALTER TABLE image_set_version DROP COLUMN document_crc32;
             ALTER TABLE image_set_version DROP COLUMN details_crc32;
             PRAGMA user_version = 1;",
        );
        old
    }

    fn data(&self) -> PathBuf {
        self.0.path().join("data")
    }

    fn catalog(&self) -> Connection {
        Connection::open(self.data().join("catalogue.sqlite")).unwrap()
    }

    fn sql(&self, sql: &str) {
        self.catalog().execute_batch(sql).unwrap();
    }

    /// Opens it without taking over the work that is left.
    async fn open(&self) -> Store {
        let config = LocalConfig { run_jobs: false, ..LocalConfig::new(self.data()) };
        Store::open(config).await
    }
}

/// The data store `main` of an open store.
struct Store {
    store: Arc<LocalStore>,
    main: DatastoreId,
}

impl Store {
    async fn open(config: LocalConfig) -> Self {
        let store = LocalStore::open(config).await.unwrap();
        let listed = store.list_datastores(ListDatastoresRequest::default()).await.unwrap();
        let main = listed.datastore_summaries.into_iter().find(|one| one.datastore_name == "main");
        Self { store, main: main.unwrap().datastore_id }
    }

    /// The image sets that match, oldest first.
    async fn found(&self, filter: Value) -> Vec<ImageSetsMetadataSummary> {
        let criteria = json!({"filters": [{"values": [filter], "operator": "EQUAL"}],
            "sort": {"sortField": "createdAt", "sortOrder": "ASC"}});
        let request = SearchImageSetsRequest {
            datastore_id: self.main.clone(),
            search_criteria: serde_json::from_value(criteria).unwrap(),
            next_token: None,
            max_results: None,
        };
        self.store.search_image_sets(request).await.unwrap().image_sets_metadata_summaries
    }

    async fn of_study(&self, study: u32) -> Vec<ImageSetsMetadataSummary> {
        self.found(json!({"DICOMStudyInstanceUID": format!("2.25.{study}")})).await
    }

    async fn metadata(&self, set: &ImageSetsMetadataSummary, version: Option<u32>) -> Value {
        let request = GetImageSetMetadataRequest {
            datastore_id: self.main.clone(),
            image_set_id: set.image_set_id.clone(),
            version_id: version.map(VersionId::from),
        };
        let found = self.store.get_image_set_metadata(request).await.unwrap();
        let packed = found.image_set_metadata.collect(1 << 24).await.unwrap();
        serde_json::from_reader(GzDecoder::new(&packed[..])).unwrap()
    }

    /// Reads every frame of an image set, and returns how many there are.
    async fn frames(&self, set: &ImageSetsMetadataSummary) -> usize {
        let ids = frame_ids(&self.metadata(set, None).await);
        for id in &ids {
            let request = GetImageFrameRequest {
                datastore_id: self.main.clone(),
                image_set_id: set.image_set_id.clone(),
                image_frame_id: ImageFrameId::try_from(id.as_str()).unwrap(),
            };
            self.store.get_image_frame(request).await.unwrap();
        }
        ids.len()
    }

    /// SOP Instance UIDs that QIDO-RS finds.
    async fn instances(&self, key: &str, value: &str) -> Vec<String> {
        let request = SearchDicomRequest {
            datastore_id: self.main.clone(),
            level: SearchLevel::Instances(None, None),
            filters: vec![(key.to_owned(), value.to_owned())],
            include_fields: Vec::new(),
            fuzzy_matching: false,
            limit: None,
            offset: 0,
        };
        let found = self.store.search(request).await.unwrap();
        let uid = |one: &healthimaging::model::DicomJson| {
            one["00080018"]["Value"][0].as_str().unwrap().to_owned()
        };
        let mut uids: Vec<String> = found.iter().map(uid).collect();
        uids.sort();
        uids
    }

    /// What all the studies that are done hold, whichever format they were in.
    async fn check(&self) {
        let one = self.of_study(1).await.remove(0);
        assert_eq!((one.version, one.is_primary), (Some(5), Some(true)));
        let tags = one.dicom_tags.clone().unwrap();
        assert_eq!(tags.patient_name.as_deref(), Some("Synthetic^Patient1"));
        assert_eq!(tags.patient_id.as_deref(), Some("P-1"));
        assert_eq!(tags.study_date.as_deref(), Some("20230105"));
        assert_eq!(tags.series_number, Some(1));
        assert_eq!(tags.number_of_study_related_instances, Some(3));
        for (version, description) in [(2, "SECOND"), (3, "THIRD"), (4, "THIRD")] {
            let document = self.metadata(&one, Some(version)).await;
            assert_eq!(document["Study"]["DICOM"]["StudyDescription"], description);
        }
        let first = self.metadata(&one, Some(1)).await;
        assert_eq!(self.metadata(&one, Some(5)).await, first);
        assert_eq!(self.frames(&one).await, 3);
        let request = ListImageSetVersionsRequest {
            datastore_id: self.main.clone(),
            image_set_id: one.image_set_id.clone(),
            next_token: None,
            max_results: None,
        };
        let versions = self.store.list_image_set_versions(request).await.unwrap();
        assert_eq!(versions.image_set_properties_list.len(), 5);

        let two = self.of_study(2).await;
        let told = |set: &ImageSetsMetadataSummary| (set.is_primary, set.version);
        let told: Vec<_> = two.iter().map(told).collect();
        assert_eq!(told, [(Some(true), Some(2)), (Some(true), Some(1)), (Some(false), Some(2))]);
        // The copy holds both series, and is found by each.
        for series in ["2.25.2.1", "2.25.2.2"] {
            let found = self.found(json!({"DICOMSeriesInstanceUID": series})).await;
            assert_eq!(found.len(), 2, "{series}");
            assert_eq!(found[1].image_set_id, two[2].image_set_id);
        }
        assert_eq!(self.frames(&two[2]).await, 3);

        let three = self.of_study(3).await.remove(0);
        assert_eq!(three.dicom_tags.unwrap().series_number, Some(3));
        for (key, value) in [
            ("SeriesNumber", "3"),
            ("StudyDate", "20230105"),
            ("StudyTime", "1015"),
            ("PatientName", "yamada^tarou"),
            ("PatientName", "山田^太郎"),
        ] {
            let found = self.instances(key, value).await;
            assert!(found.contains(&"2.25.3.1.1".to_owned()), "{key} {value}: {found:?}");
        }

        let four = self.of_study(4).await;
        assert_eq!(four.len(), 3);
        assert_eq!(self.found(json!({"DICOMAccessionNumber": "OTHER"})).await.len(), 1);
        assert_eq!(self.instances("WarningReason", "*").await, ["2.25.4.2.1"]);
        assert_eq!(self.of_study(5).await.len(), 0);
        // Locked by work that is not done, and found all the same.
        assert_eq!(self.of_study(9).await.len(), 2);

        let report = self.store.verify(|_| ()).await.unwrap();
        assert_eq!(report.damaged, []);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_of_format_2_keeps_all_it_holds() {
    let old = Old::of_format_2();
    old.open().await.check().await;
    // It is migrated once.
    let shown = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&shown);
    let config = LocalConfig {
        run_jobs: false,
        migration: MigrationWatch::new(move |_| _ = count.fetch_add(1, Ordering::SeqCst)),
        ..LocalConfig::new(old.data())
    };
    Store::open(config).await.check().await;
    assert_eq!(shown.load(Ordering::SeqCst), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_of_format_3_keeps_all_it_holds() {
    let old = Old::of_format_3();
    old.open().await.check().await;
    old.open().await.check().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_of_format_1_keeps_all_it_holds() {
    Old::of_format_1().open().await.check().await;
}

/// What a catalog is made of, without what SQLite writes differently.
fn schema(catalog: &Connection) -> Vec<String> {
    let mut statements = catalog
        .prepare("SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY type, name")
        .unwrap();
    let found = statements.query_map([], |row| row.get::<_, String>(0)).unwrap();
    let found: Vec<String> = found.collect::<rusqlite::Result<_>>().unwrap();
    let plain = |sql: &String| {
        // Columns that were added are on the last line.
        let words: Vec<&str> = sql.split_whitespace().collect();
        words.join(" ").replace('"', "").replace(" )", ")").replace("( ", "(").replace(" ,", ",")
    };
    found.iter().map(plain).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_migrated_catalog_has_the_tables_of_a_new_one() {
    let folder = tempfile::tempdir().unwrap();
    drop(LocalStore::open(LocalConfig::new(folder.path())).await.unwrap());
    let new = schema(&Connection::open(folder.path().join("catalogue.sqlite")).unwrap());
    for old in [Old::of_format_3(), Old::of_format_2(), Old::of_format_1()] {
        drop(old.open().await);
        let migrated = schema(&old.catalog());
        let by_name = |statements: &[String]| {
            let mut sorted: Vec<String> =
                statements.iter().map(|sql| columns_sorted(sql)).collect();
            sorted.sort();
            sorted
        };
        assert_eq!(by_name(&migrated), by_name(&new));
    }
}

/// A column that was added stands behind the key of its table.
fn columns_sorted(sql: &str) -> String {
    let mut parts: Vec<&str> = sql.split(", ").map(|part| part.trim_end_matches(')')).collect();
    parts.sort_unstable();
    parts.join(", ")
}

#[tokio::test(flavor = "multi_thread")]
async fn documents_stay_as_they_are_stored() {
    type Stored = (i64, i64, Option<Vec<u8>>, Option<Vec<u8>>);
    let old = Old::of_format_2();
    let documents = |catalog: &Connection| -> Vec<Stored> {
        let mut rows = catalog
            .prepare(
                "SELECT image_set, version, document, details FROM image_set_version ORDER BY 1, 2",
            )
            .unwrap();
        let found =
            rows.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)));
        found.unwrap().collect::<rusqlite::Result<_>>().unwrap()
    };
    let before = documents(&old.catalog());
    assert!(before.iter().filter(|(_, _, document, _)| document.is_some()).count() > 10);
    drop(old.open().await);
    assert_eq!(documents(&old.catalog()), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_document_does_not_keep_a_store_from_its_migration() {
    let old = Old::of_format_2();
    old.sql("UPDATE image_set_version SET document = zeroblob(40) WHERE image_set = 1");
    let store = old.open().await;
    // Its columns tell what it is found by.
    let one = store.of_study(1).await.remove(0);
    assert_eq!(one.dicom_tags.unwrap().patient_id.as_deref(), Some("P-1"));
    let report = store.store.verify(|_| ()).await.unwrap();
    assert!(!report.damaged.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_is_not_migrated_while_another_process_has_it_open() {
    let old = Old::of_format_2();
    // As an earlier release: a connection, and a lock on a file that is empty.
    let other = old.catalog();
    other.query_row("SELECT count(*) FROM datastore", [], |_| Ok(())).unwrap();
    let lock = File::create(old.data().join("locks/process-0123.lock")).unwrap();
    lock.lock().unwrap();
    let config = LocalConfig::new(old.data());
    let error = LocalStore::open(config.clone()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
    if cfg!(target_os = "linux") {
        let own = format!("process id {}", std::process::id());
        assert!(error.message().contains(&own), "{}", error.message());
    }
    // Without the lock the open catalog is enough.
    drop(lock);
    let error = LocalStore::open(config.clone()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict, "{}", error.message());
    let format: i64 = other.query_row("PRAGMA user_version", [], |row| row.get(0)).unwrap();
    assert_eq!(format, 2);
    drop(other);
    LocalStore::open(config).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_may_only_be_read_is_not_migrated() {
    let old = Old::of_format_2();
    let config = LocalConfig { migrate: false, ..LocalConfig::new(old.data()) };
    let error = LocalStore::open(config).await.unwrap_err();
    assert!(error.message().contains("earlier format"), "{}", error.message());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_stops_writing_once_its_store_has_another_format() {
    let old = Old::of_format_2();
    let store = old.open().await;
    let set = store.of_study(1).await.remove(0).image_set_id;
    old.sql("PRAGMA user_version = 5");
    let request = healthimaging::model::DeleteImageSetRequest {
        datastore_id: store.main.clone(),
        image_set_id: set.clone(),
    };
    let error = store.store.delete_image_set(request).await.unwrap_err();
    assert!(error.message().contains("format 5"), "{}", error.message());
    old.sql("PRAGMA user_version = 4");
    let request = GetImageSetRequest {
        datastore_id: store.main.clone(),
        image_set_id: set,
        version_id: None,
    };
    let found = store.store.get_image_set(request).await.unwrap();
    assert_eq!(found.properties.image_set_state, ImageSetState::Active);
}

/// Set for the child that migrates a store and dies: how often it shows its progress first.
const DIES: &str = "HEALTHIMAGING_TEST_DIES_AFTER";
/// Set with it: the folder.
const IN: &str = "HEALTHIMAGING_TEST_DIES_IN";

/// So many copies of an image set that their rows are several batches.
const COPIES: u32 = 300;

#[tokio::test(flavor = "multi_thread")]
async fn a_migration_that_is_killed_continues_where_it_was() {
    if let (Ok(after), Ok(folder)) = (std::env::var(DIES), std::env::var(IN)) {
        return die_while_migrating(&after, &folder).await;
    }
    let old = Old::of_format_2();
    old.sql(&format!(
        "WITH RECURSIVE n(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < {COPIES})
         INSERT INTO image_set (id, datastore, latest_version, state, workflow, is_primary,
             created_at, updated_at, patient_id, study_instance_uid, series_instance_uid)
         SELECT printf('%032x', n), datastore, 1, 'ACTIVE', 'CREATED', 0, n, n, 'COPY',
             '2.25.77', '2.25.77.' || n
         FROM n, image_set WHERE image_set.row = 1;
         INSERT INTO image_set_version (image_set, version, state, workflow, updated_at)
         SELECT row, 1, 'ACTIVE', 'CREATED', updated_at FROM image_set WHERE patient_id = 'COPY';"
    ));
    let mut lives = 0;
    loop {
        lives += 1;
        let name = "formats::a_migration_that_is_killed_continues_where_it_was";
        let child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", name])
            .env(DIES, "3")
            .env(IN, old.data())
            .output()
            .unwrap();
        match child.status.code() {
            Some(77) => {}
            Some(0) => break,
            _ => panic!("{child:?}"),
        }
    }
    assert!(lives > 3, "{lives}");
    let store = old.open().await;
    store.check().await;
    let copies: u32 = old
        .catalog()
        .query_row(
            "SELECT count(*) FROM image_set_attributes WHERE attribute = 0x0020000E
                 AND value GLOB '2.25.77.*'",
            [],
            |row| row.get(0),
        )
        .unwrap();
    assert_eq!(copies, COPIES);
}

async fn die_while_migrating(after: &str, folder: &str) {
    let left = AtomicUsize::new(after.parse().unwrap());
    let watch = MigrationWatch::new(move |progress: MigrationProgress| {
        assert!(progress.rows_done <= progress.rows_total);
        if left.fetch_sub(1, Ordering::SeqCst) == 0 {
            // As a crash would: no destructor runs.
            std::process::exit(77);
        }
    });
    let config = LocalConfig { run_jobs: false, migration: watch, ..LocalConfig::new(folder) };
    LocalStore::open(config).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn work_that_format_2_acknowledged_is_carried_out() {
    acknowledged_work_is_carried_out(&Old::of_format_2()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn work_that_format_3_acknowledged_is_carried_out() {
    acknowledged_work_is_carried_out(&Old::of_format_3()).await;
}

async fn acknowledged_work_is_carried_out(old: &Old) {
    let store = Store::open(LocalConfig::new(old.data())).await;
    loop {
        let listed = store.store.list_datastores(ListDatastoresRequest::default()).await.unwrap();
        let status = |name: &str| {
            let found = listed.datastore_summaries.iter().find(|one| one.datastore_name == name);
            found.map(|one| one.datastore_status)
        };
        let eight = store.of_study(8).await;
        let idle = eight.iter().all(|set| set.version != Some(1)) || eight.len() == 3;
        let updated = store.metadata(&eight[0], None).await;
        if status("coming") == Some(DatastoreStatus::Active)
            && status("going") == Some(DatastoreStatus::Deleted)
            && updated["Study"]["DICOM"]["StudyDescription"] == "ACKNOWLEDGED"
            && idle
            && store.of_study(9).await.len() == 1
        {
            break;
        }
        tokio::task::yield_now().await;
    }
    assert_eq!(store.of_study(8).await.len(), 3);
}

/// Import jobs of `main`: name and status, oldest first.
async fn imports(store: &Store) -> Vec<(String, JobStatus)> {
    let request = ListDicomImportJobsRequest {
        datastore_id: store.main.clone(),
        job_status: None,
        next_token: None,
        max_results: Some(50),
    };
    let listed = store.store.list_dicom_import_jobs(request).await.unwrap();
    let jobs = listed.job_summaries.into_iter().rev();
    jobs.map(|job| (job.job_name, job.job_status)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn imports_that_format_3_did_not_finish_are_finished() {
    let old = Old::of_format_3();
    let before = imports(&old.open().await).await;
    let ended = before.iter().take_while(|(_, status)| *status == JobStatus::Completed).count();
    // One of the command line that is not begun, and one that has stored the first of its image sets.
    let left = [("import", JobStatus::Submitted), ("half", JobStatus::InProgress)];
    let left = left.map(|(name, status)| (name.to_owned(), status));
    assert_eq!((ended > 15, &before[ended..]), (true, &left[..]));
    let done: u32 =
        old.catalog().query_row("SELECT count(*) FROM job_item", [], |row| row.get(0)).unwrap();
    assert!(done > 0, "the second has outcomes of files");

    let store = Store::open(LocalConfig::new(old.data())).await;
    let completed = before.iter().map(|(name, _)| (name.clone(), JobStatus::Completed));
    let completed: Vec<_> = completed.collect();
    while imports(&store).await != completed {
        tokio::task::yield_now().await;
    }
    // What was stored before was not stored again.
    for (study, instances) in [(20, 2), (21, 1), (22, 1)] {
        let sets = store.of_study(study).await;
        assert_eq!((sets.len(), sets[0].version), (1, Some(1)), "{study}");
        assert_eq!(store.frames(&sets[0]).await, instances);
    }
    let output = old.0.path().join("output");
    let half = |entry: std::fs::DirEntry| {
        let failed = entry.path().join("FAILURE/failure.ndjson");
        std::fs::read_to_string(failed).is_ok_and(|text| text.contains("ab/a/notes.txt"))
    };
    assert!(std::fs::read_dir(output).unwrap().any(|entry| half(entry.unwrap())));
}
