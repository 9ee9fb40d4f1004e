use healthimaging::{DatastoreId, JobId, Timestamp};
use healthimaging_jobs::{Added, Counts, End, Item, Job, JobQuery, JobState, JobStore, Needs};
use rusqlite::Connection;
use tempfile::TempDir;

use crate::{self as sql, JobsFile};

fn at(millis: i64) -> Timestamp {
    Timestamp::from_timestamp_millis(millis).unwrap()
}

fn new(number: u32) -> Job {
    let id = JobId::try_from(format!("{number:032}")).unwrap();
    let mut job = Job::new(id, "test", "copy", at(i64::from(number)));
    job.request = format!("{{\"number\":{number}}}");
    job
}

fn added(store: &JobsFile, job: Job) -> Job {
    match store.add(job).unwrap() {
        Added::New(job) => job,
        Added::Earlier(job) => panic!("{job:?}"),
    }
}

fn store() -> (TempDir, JobsFile) {
    let folder = tempfile::tempdir().unwrap();
    let store = JobsFile::open(&folder.path().join("ledger")).unwrap();
    (folder, store)
}

fn item(key: &str) -> Item {
    Item { key: key.to_owned(), outcome: format!("{{\"item\":\"{key}\"}}") }
}

fn completed(at_millis: i64) -> End {
    let (state, at) = (JobState::Completed, at(at_millis));
    End { state, at, message: None, report: Some("{}".to_owned()), request: Some("0".to_owned()) }
}

#[test]
fn a_job_is_read_as_it_was_written() {
    let (_folder, store) = store();
    let mut job = new(7);
    job.datastore_id = Some(DatastoreId::try_from("a".repeat(32)).unwrap());
    job.name = Some("night".to_owned());
    job.needs = Needs { deletes: true, ..Needs::default() };
    job.token = Some("token".parse().unwrap());
    job.fingerprint = Some("f".to_owned());
    let job = added(&store, job);
    assert_eq!(store.find("test", &job.id).unwrap(), Some(job.clone()));
    assert_eq!(store.find("other", &job.id).unwrap(), None);
    store.begin(job.row).unwrap();
    store.expect(job.row, 3).unwrap();
    store.record(job.row, vec![item("b"), item("a")], 1).unwrap();
    store.hold(job.row, "waiting").unwrap();
    let now = store.find("test", &job.id).unwrap().unwrap();
    assert_eq!((now.state, now.message.as_deref()), (JobState::InProgress, Some("waiting")));
    assert_eq!(now.counts, Counts { total: Some(3), done: 2, failed: 1 });
    store.end(job.row, &completed(9)).unwrap();
    let now = store.find("test", &job.id).unwrap().unwrap();
    assert_eq!((now.state, now.ended_at, now.message), (JobState::Completed, Some(at(9)), None));
    assert_eq!((now.request, now.report), ("0".to_owned(), Some("{}".to_owned())));
}

#[test]
fn a_client_token_makes_one_job_of_a_scope() {
    let (_folder, store) = store();
    let with_token = |number, scope: &str| {
        let mut job = new(number);
        job.scope = scope.to_owned();
        job.token = Some("once".parse().unwrap());
        job
    };
    let first = added(&store, with_token(1, "test"));
    assert_eq!(store.add(with_token(2, "test")).unwrap(), Added::Earlier(first));
    added(&store, with_token(3, "other"));
    added(&store, new(4));
    added(&store, new(5));
}

#[test]
fn pages_are_newest_first_and_filtered() {
    let (_folder, store) = store();
    for number in 0..1000 {
        let mut job = new(number);
        job.submitted_at = at(i64::from(number / 3));
        if number % 2 == 0 {
            job.kind = "update".to_owned();
        }
        let job = added(&store, job);
        if number >= 990 {
            store.begin(job.row).unwrap();
        }
    }
    let listed = |query: JobQuery| {
        let mut numbers = Vec::new();
        let mut after = None;
        loop {
            let query = JobQuery { scope: "test".to_owned(), limit: 100, after, ..query.clone() };
            let page = store.page(&query).unwrap();
            let Some(last) = page.last() else { return numbers };
            after = Some((last.submitted_at.timestamp_millis(), last.row));
            numbers.extend(page.iter().map(|job| job.id.as_str().parse::<u32>().unwrap()));
        }
    };
    assert_eq!(listed(JobQuery::default()), (0..1000).rev().collect::<Vec<_>>());
    let updates = JobQuery { kind: Some("update".to_owned()), ..JobQuery::default() };
    assert_eq!(listed(updates), (0..500).rev().map(|n| 2 * n).collect::<Vec<_>>());
    let running = JobQuery { state: Some(JobState::InProgress), ..JobQuery::default() };
    assert_eq!(listed(running), (990..1000).rev().collect::<Vec<_>>());
    let other = Some(DatastoreId::try_from("b".repeat(32)).unwrap());
    assert_eq!(listed(JobQuery { datastore_id: other, ..JobQuery::default() }), [0; 0]);
}

/// A page is found in an index, whatever it is filtered by: nothing is sorted, no table is scanned.
#[test]
fn no_page_reads_all_jobs() {
    let (folder, _store) = store();
    let connection = Connection::open(folder.path().join("ledger/jobs.sqlite")).unwrap();
    for filter in ["", "AND datastore_id = ?2", "AND state = ?3"] {
        let sql = format!(
            "EXPLAIN QUERY PLAN SELECT * FROM job WHERE scope = ?1 {filter}
                 AND (submitted_at, row) < (?5, ?6) ORDER BY submitted_at DESC, row DESC LIMIT ?7"
        );
        let mut statement = connection.prepare(&sql).unwrap();
        let plan = statement.query_map([None::<i64>; 7], |row| row.get::<_, String>(3)).unwrap();
        let plan: Vec<String> = plan.collect::<Result<_, _>>().unwrap();
        assert!(plan.len() == 1 && plan[0].contains("USING INDEX"), "{plan:?}");
    }
}

#[test]
fn items_come_in_the_order_of_recording_or_of_keys() {
    let (_folder, store) = store();
    let row = added(&store, new(1)).row;
    let other = added(&store, new(2)).row;
    store.record(row, vec![item("b"), item("c")], 0).unwrap();
    store.record(other, vec![item("x")], 0).unwrap();
    store.record(row, vec![item("a")], 0).unwrap();
    let keys = |items: Vec<(u64, Item)>| -> Vec<(u64, String)> {
        items.into_iter().map(|(number, item)| (number, item.key)).collect()
    };
    let all = [(1, "b".to_owned()), (2, "c".to_owned()), (3, "a".to_owned())];
    assert_eq!(keys(store.items(row, 0, 10).unwrap()), all);
    assert_eq!(keys(store.items(row, 1, 1).unwrap()), all[1..2]);
    assert_eq!(store.item(row, "a").unwrap(), Some(item("a")));
    assert_eq!(store.item(other, "a").unwrap(), None);
}

#[test]
fn a_job_is_cancelled_once_and_only_before_its_end() {
    let (_folder, store) = store();
    let row = added(&store, new(1)).row;
    assert!(store.cancel(row).unwrap());
    assert!(!store.cancel(row).unwrap());
    let ended = added(&store, new(2)).row;
    store.end(ended, &completed(3)).unwrap();
    assert!(!store.cancel(ended).unwrap());
}

#[test]
fn what_has_ended_is_taken_over_by_nobody_and_expires() {
    let (_folder, store) = store();
    let (one, two) = (added(&store, new(1)), added(&store, new(2)));
    store.record(one.row, vec![item("a")], 0).unwrap();
    store.end(one.row, &completed(10)).unwrap();
    let left: Vec<JobId> =
        store.unfinished("test").unwrap().into_iter().map(|left| left.id).collect();
    assert_eq!(left, [two.id]);
    store.expire("other", at(11)).unwrap();
    store.expire("test", at(10)).unwrap();
    assert!(store.find("test", &one.id).unwrap().is_some());
    store.expire("test", at(11)).unwrap();
    assert_eq!(store.find("test", &one.id).unwrap(), None);
    assert_eq!(store.items(one.row, 0, 10).unwrap(), []);
}

#[test]
fn a_job_of_another_store_is_taken_over_once() {
    let (_folder, store) = store();
    let mut job = new(1);
    job.state = JobState::InProgress;
    job.counts = Counts { total: None, done: 2, failed: 1 };
    for _ in 0..2 {
        store.take_over(&job, vec![item("b"), item("a")]).unwrap();
    }
    let found = store.find("test", &job.id).unwrap().unwrap();
    assert_eq!(found, Job { row: found.row, ..job });
    assert_eq!(store.items(found.row, 0, 10).unwrap().len(), 2);
}

#[test]
fn nothing_of_a_request_is_left_once_the_job_has_ended() {
    let (folder, store) = store();
    // So many that pages are split, which leaves copies.
    let jobs: Vec<Job> = (0..200)
        .map(|number| {
            let mut job = new(number);
            job.request = format!("DOE^JOHN{}", "-DOE^JOHN".repeat(number as usize));
            added(&store, job)
        })
        .collect();
    for job in &jobs {
        store.end(job.row, &completed(500)).unwrap();
    }
    for entry in std::fs::read_dir(folder.path().join("ledger")).unwrap() {
        let path = entry.unwrap().path();
        let bytes = std::fs::read(&path).unwrap();
        let found = bytes.windows(8).any(|window| window == b"DOE^JOHN");
        assert!(!found, "{}", path.display());
    }
}

#[test]
fn processes_share_a_file() {
    let (folder, store) = store();
    let ledger = folder.path().join("ledger");
    let others: Vec<_> = (0..4)
        .map(|process| {
            let ledger = ledger.clone();
            std::thread::spawn(move || {
                let other = JobsFile::open(&ledger).unwrap();
                for number in 0..25 {
                    added(&other, new(100 * process + number));
                }
            })
        })
        .collect();
    for other in others {
        other.join().unwrap();
    }
    assert_eq!(store.unfinished("test").unwrap().len(), 100);
    let reader = JobsFile::open_to_read(&ledger);
    assert_eq!(reader.unfinished("test").unwrap().len(), 100);
    assert!(reader.add(new(999)).is_err());
}

#[test]
fn to_read_makes_no_file() {
    let folder = tempfile::tempdir().unwrap();
    let ledger = folder.path().join("ledger");
    let reader = JobsFile::open_to_read(&ledger);
    assert_eq!(reader.unfinished("test").unwrap(), []);
    assert!(!ledger.exists());
    let store = JobsFile::open(&ledger).unwrap();
    added(&store, new(1));
    assert_eq!(reader.unfinished("test").unwrap().len(), 1);
}

#[test]
fn what_a_killed_process_left_is_cleaned_by_the_next() {
    let (folder, store) = store();
    let mut job = new(1);
    job.request = "DOE^JOHN".to_owned();
    let job = added(&store, job);
    // A reader of another process keeps the log, and then this process is killed.
    let file = folder.path().join("ledger/jobs.sqlite");
    let other = Connection::open(&file).unwrap();
    other.execute_batch("BEGIN; SELECT * FROM job").unwrap();
    store.end(job.row, &completed(2)).unwrap();
    std::mem::forget(store);
    drop(other);
    let names = |file: &std::path::Path| {
        std::fs::read(file).is_ok_and(|bytes| bytes.windows(8).any(|part| part == b"DOE^JOHN"))
    };
    assert!(names(&file.with_extension("sqlite-wal")));
    let next = JobsFile::open(&folder.path().join("ledger")).unwrap();
    next.expire("test", at(0)).unwrap();
    assert!(!names(&file) && !names(&file.with_extension("sqlite-wal")));
}

/// As on a file system that cannot be written to, where SQLite can make no index of a log.
#[test]
fn a_file_that_nobody_can_write_beside_is_read() {
    let (folder, store) = store();
    added(&store, new(1));
    drop(store);
    let ledger = folder.path().join("ledger");
    // In the way of the index.
    std::fs::create_dir(ledger.join("jobs.sqlite-shm")).unwrap();
    let reader = JobsFile::open_to_read(&ledger);
    assert_eq!(reader.unfinished("test").unwrap().len(), 1);
}

#[test]
fn a_newer_format_is_refused() {
    let (folder, store) = store();
    drop(store);
    let ledger = folder.path().join("ledger");
    let connection = Connection::open(ledger.join("jobs.sqlite")).unwrap();
    connection.pragma_update(None, "user_version", 99).unwrap();
    let error = JobsFile::open(&ledger).unwrap_err();
    assert!(error.message().contains("newer release"), "{error}");
}

#[test]
fn statements_run_in_the_transaction_of_the_caller() {
    let mut connection = Connection::open_in_memory().unwrap();
    connection.execute_batch(sql::CREATE).unwrap();
    let transaction = connection.transaction().unwrap();
    let row = sql::insert(&transaction, &new(1)).unwrap().unwrap();
    sql::record(&transaction, row, [item("b"), item("a"), item("b")]).unwrap();
    let keys = sql::items_by_key(&transaction, row, "", 10).unwrap();
    let keys: Vec<&str> = keys.iter().map(|item| item.key.as_str()).collect();
    assert_eq!(keys, ["a", "b"]);
    let needs = Needs::default();
    assert!(!sql::turn(&transaction, row, "update", "clean_up", &needs, "2").unwrap());
    assert!(sql::turn(&transaction, row, "copy", "clean_up", &needs, "2").unwrap());
    assert!(sql::remove(&transaction, row).unwrap());
    assert!(!sql::remove(&transaction, row).unwrap());
    transaction.rollback().unwrap();
    assert_eq!(sql::find(&connection, &new(1).id).unwrap(), None);
}
