//! Migrations of stores that earlier releases wrote, and what prevents them.

use std::fs::File;
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};

use healthimaging::model::{GetImageSetRequest, ImageSetState};
use healthimaging::{ErrorKind, HealthImaging};
use healthimaging_local::{LocalConfig, LocalStore, MigrationProgress, MigrationWatch};
use rusqlite::Connection;

use super::Old;

/// The statements of a catalog, without differences that SQLite makes.
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
    for old in [
        Old::unpacked("format-4.tar.gz"),
        Old::of_format_3(),
        Old::of_format_2(),
        Old::of_format_1(),
    ] {
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
    // It is found by its columns.
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
    old.sql("PRAGMA user_version = 6");
    let request = healthimaging::model::DeleteImageSetRequest {
        datastore_id: store.main.clone(),
        image_set_id: set.clone(),
    };
    let error = store.store.delete_image_set(request).await.unwrap_err();
    assert!(error.message().contains("format 6"), "{}", error.message());
    old.sql("PRAGMA user_version = 5");
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
        let name = "formats::migration::a_migration_that_is_killed_continues_where_it_was";
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
