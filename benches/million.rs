//! Searches over a million image sets, deletions from them, and what the store costs a server that starts on it.
//!
//! It stands for the archive of a hospital: 100,000 patients of two studies of five series, the ten sets
//! of a patient scattered over the catalog. The rows are written into the catalog directly.
//! `MILLION_SETS` sets another number of image sets, a multiple of ten.

#![expect(clippy::print_stdout, reason = "a bench prints")]

mod support;

use std::path::Path;
use std::time::{Duration, Instant};

use healthimaging::model::{
    DeleteImageSetRequest, Operator, SearchCriteria, SearchFilter, SearchImageSetsRequest,
    SearchValue, Sort, SortField, SortOrder, StudyDateAndTime,
};
use healthimaging::{ATTRIBUTES, DatastoreId, HealthImaging, NextToken};
use healthimaging_local::{LocalConfig, LocalStore};
use rusqlite::Connection;
use support::{Outcome, Server, percentile};

const SEARCHES: usize = 1000;
const PAGES: usize = 1000;
const STARTS: usize = 20;
const DELETIONS: usize = 9;

#[tokio::main]
async fn main() -> Outcome<()> {
    let data = tempfile::tempdir()?;
    let sets: usize = match std::env::var("MILLION_SETS") {
        Ok(text) => text.parse()?,
        Err(_) => 1_000_000,
    };
    let (store, datastore) = support::open(data.path()).await?;
    store.close().await;
    drop(store);
    start(data.path(), "an empty store")?;
    let began = Instant::now();
    fill(data.path(), sets)?;
    println!("{sets} image sets made in {:.0} s", began.elapsed().as_secs_f64());
    start(data.path(), "this store")?;
    let store = LocalStore::open(LocalConfig::new(data.path())).await?;
    searches(&store, &datastore, sets).await?;
    pages(&store, &datastore).await?;
    deletions(&store, &datastore, data.path()).await?;
    store.close().await;
    Ok(())
}

/// Fills the table as imports would; its indexes are made at the end, which is quicker.
fn fill(data: &Path, sets: usize) -> Outcome<()> {
    let mut connection = Connection::open(data.join("catalogue.sqlite"))?;
    connection.execute_batch("PRAGMA cache_size = -500000; PRAGMA synchronous = OFF;")?;
    let transaction = connection.transaction()?;
    let indexes: Vec<(String, String)> = transaction
        .prepare(
            "SELECT name, sql FROM sqlite_schema
             WHERE type = 'index' AND tbl_name LIKE 'image_set%' AND sql IS NOT NULL",
        )?
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<Result<_, _>>()?;
    for (name, _) in &indexes {
        transaction.execute_batch(&format!("DROP INDEX {name}"))?;
    }
    let patients = sets / 10;
    transaction.execute(
        "WITH RECURSIVE
             n (n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM n WHERE n + 1 < ?1),
             one AS (SELECT n, (n * 7919) % ?2 AS patient, n / ?2 AS series FROM n),
             dated AS (SELECT *, patient * 2 + series / 5 AS study,
                 strftime('%Y%m%d', 1420070400 + (patient * 48271 + series / 5 * 977) % 315360000, 'unixepoch') AS date,
                 strftime('%H%M%S', 1420070400 + (patient * 48271 + series / 5 * 977) % 315360000, 'unixepoch') AS time
                 FROM one)
         INSERT INTO image_set (id, datastore, latest_version, state, workflow, is_primary,
             created_at, updated_at, last_accessed_at, summary, study_instance_uid, study_datetime,
             series_number, series_count, instance_count, frame_count)
         SELECT lower(hex(randomblob(16))), 1, 1, 'ACTIVE', 'CREATED', 1,
             1700000000000 + n, 1700000000000 + n, 1700000000000 + n,
             json_object('AccessionNumber', printf('A%08d', study), 'BodyPartExamined', 'CHEST',
                 'Modality', 'CT', 'PatientBirthDate', '19700101', 'PatientID', printf('P%07d', patient),
                 'PatientName', printf('Family%d^Given', patient), 'PatientSex', 'O',
                 'SeriesDescription', 'AXIAL',
                 'SeriesInstanceUID', printf('1.2.826.0.1.3680043.2.1125.%d.%d', study, series),
                 'SeriesNumber', CAST(series AS TEXT), 'StudyDate', date, 'StudyDescription', 'CT CHEST',
                 'StudyID', printf('S%d', study),
                 'StudyInstanceUID', printf('1.2.826.0.1.3680043.2.1125.%d', study), 'StudyTime', time),
             printf('1.2.826.0.1.3680043.2.1125.%d', study), date || time || '.000000', series, 1, 100, 100
         FROM dated",
        [i64::try_from(sets)?, i64::try_from(patients)?],
    )?;
    // Every value of these is in the form in which values are compared, but for the case of names.
    for attribute in &ATTRIBUTES {
        transaction.execute(
            "INSERT INTO image_set_attributes (image_set, attribute, value, datastore, updated_at)
             SELECT row, ?1, iif(?2 = 'PN', lower(summary ->> ?3), summary ->> ?3),
                 iif(?4, datastore, NULL), iif(?4, updated_at, NULL)
             FROM image_set WHERE summary ->> ?3 IS NOT NULL",
            (attribute.tag, attribute.vr, attribute.keyword, attribute.is_key),
        )?;
    }
    for (_, sql) in &indexes {
        transaction.execute_batch(sql)?;
    }
    transaction.commit()?;
    Ok(connection.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)")?)
}

/// Spawn to the answer of `initialize`, and the memory after the list of tools.
fn start(data: &Path, store: &str) -> Outcome<()> {
    let mut times = Vec::new();
    let mut resident = 0.0;
    for _ in 0..STARTS {
        let began = Instant::now();
        let mut server = Server::start(data)?;
        server.initialize()?;
        times.push(began.elapsed());
        server.list_tools()?;
        resident = server.resident_mib()?;
    }
    println!(
        "start on {store}: {:.1} ms (median of {STARTS}); memory after tools/list {resident:.1} MiB",
        percentile(&mut times, 50)
    );
    Ok(())
}

/// Random searches of each kind, one page each.
async fn searches(store: &LocalStore, datastore: &DatastoreId, sets: usize) -> Outcome<()> {
    let by_date =
        Some(Sort { sort_field: SortField::StudyDateAndTime, sort_order: SortOrder::Desc });
    let equal = |value| SearchFilter { values: vec![value], operator: Operator::Equal };
    let study_uid = |study: usize| format!("1.2.826.0.1.3680043.2.1125.{study}");
    for kind in ["patient", "study", "series", "a month, sorted by date"] {
        let mut times = Vec::new();
        let mut found = 0;
        for number in 0..SEARCHES {
            // Knuth's multiplicative hash: patients in no order.
            let patient = number * 2_654_435_761 % (sets / 10);
            let (filter, sort) = match kind {
                "patient" => (equal(SearchValue::PatientId(format!("P{patient:07}"))), None),
                "study" => (equal(SearchValue::StudyInstanceUid(study_uid(patient * 2))), None),
                "series" => {
                    let series = format!("{}.{}", study_uid(patient * 2), 3);
                    (equal(SearchValue::SeriesInstanceUid(series)), None)
                }
                _ => (month(2016 + number % 8, 1 + number % 12), by_date),
            };
            let criteria = SearchCriteria { filters: vec![filter], sort };
            let began = Instant::now();
            let page = store.search_image_sets(request(datastore, criteria, None)).await?;
            times.push(began.elapsed());
            found += page.image_sets_metadata_summaries.len();
        }
        println!(
            "search by {kind}: p50 {:.2} ms, p99 {:.2} ms a page; {} sets a page",
            percentile(&mut times, 50),
            percentile(&mut times, 99),
            found / SEARCHES
        );
    }
    Ok(())
}

fn month(year: usize, month: usize) -> SearchFilter {
    let day = |day| {
        SearchValue::StudyDateAndTime(StudyDateAndTime {
            study_date: format!("{year}{month:02}{day}"),
            study_time: None,
        })
    };
    SearchFilter { values: vec![day("01"), day("31")], operator: Operator::Between }
}

/// The first pages of everything, newest study first, and the pages about the thousandth.
async fn pages(store: &LocalStore, datastore: &DatastoreId) -> Outcome<()> {
    let criteria = SearchCriteria {
        filters: Vec::new(),
        sort: Some(Sort { sort_field: SortField::StudyDateAndTime, sort_order: SortOrder::Desc }),
    };
    let mut next = None;
    let mut times = Vec::new();
    for _ in 0..PAGES {
        let began = Instant::now();
        let page = store.search_image_sets(request(datastore, criteria.clone(), next)).await?;
        times.push(began.elapsed());
        next = page.next_token;
    }
    let mut last = times.split_off(PAGES - 100);
    times.truncate(100);
    let mut first = times;
    println!(
        "a page of 50 by study date: pages 1 to 100 {:.2} ms, pages {} to {PAGES} {:.2} ms (medians)",
        percentile(&mut first, 50),
        PAGES - 99,
        percentile(&mut last, 50)
    );
    Ok(())
}

/// Deletions, one after the other: to the answer, and to the moment when the last trace is overwritten.
async fn deletions(store: &LocalStore, datastore: &DatastoreId, data: &Path) -> Outcome<()> {
    let catalog = Connection::open(data.join("catalogue.sqlite"))?;
    let page = store.search_image_sets(request(datastore, SearchCriteria::default(), None)).await?;
    let (mut answers, mut ends) = (Vec::new(), Vec::new());
    for set in page.image_sets_metadata_summaries.iter().take(DELETIONS) {
        let request = DeleteImageSetRequest {
            datastore_id: datastore.clone(),
            image_set_id: set.image_set_id.clone(),
        };
        let began = Instant::now();
        store.delete_image_set(request).await?;
        answers.push(began.elapsed());
        while catalog.query_row(
            "SELECT EXISTS (SELECT 1 FROM job WHERE scope = 'write')",
            [],
            |row| row.get(0),
        )? {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        ends.push(began.elapsed());
    }
    let size = std::fs::metadata(data.join("catalogue.sqlite"))?.len();
    println!(
        "deletion of an image set: answered after {:.1} ms, its last trace gone from the {} MB of the catalog after \
         {:.0} ms (medians of {DELETIONS})",
        percentile(&mut answers, 50),
        size / 1_000_000,
        percentile(&mut ends, 50)
    );
    Ok(())
}

fn request(
    datastore: &DatastoreId,
    search_criteria: SearchCriteria,
    next_token: Option<NextToken>,
) -> SearchImageSetsRequest {
    SearchImageSetsRequest {
        datastore_id: datastore.clone(),
        search_criteria,
        next_token,
        max_results: None,
    }
}
