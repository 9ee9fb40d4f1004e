//! Stores that earlier releases wrote: `tests/stores/make_store.rs` says what is in them.

mod migration;
mod series;
mod unfinished;

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use flate2::read::GzDecoder;
use healthimaging::model::{
    GetImageFrameRequest, GetImageSetMetadataRequest, ImageSetsMetadataSummary,
    ListDatastoresRequest, ListImageSetVersionsRequest, SearchDicomRequest, SearchImageSetsRequest,
    SearchLevel,
};
use healthimaging::{DatastoreId, DicomWeb, HealthImaging, ImageFrameId, VersionId};
use healthimaging_local::{LocalConfig, LocalStore, MigrationWatch};
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
            filters: vec![(key.to_owned(), value.to_owned())],
            ..SearchDicomRequest::all(self.main.clone(), SearchLevel::Instances(None, None))
        };
        let found = self.store.search(request).await.unwrap();
        let uid = |one: &healthimaging::model::DicomJson| {
            one["00080018"]["Value"][0].as_str().unwrap().to_owned()
        };
        let mut uids: Vec<String> = found.iter().map(uid).collect();
        uids.sort();
        uids
    }

    /// Checks the finished studies, which are the same in every format.
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
        let found: Vec<_> = two.iter().map(|set| (set.is_primary, set.version)).collect();
        assert_eq!(found, [(Some(true), Some(2)), (Some(true), Some(1)), (Some(false), Some(2))]);
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
