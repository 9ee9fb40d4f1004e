use std::cell::RefCell;
use std::collections::BTreeMap;

use super::*;

thread_local! {
    /// Calls of [`batch`] until the one that dies.
    static LEFT: RefCell<usize> = const { RefCell::new(usize::MAX) };
}

/// Doubles three rows, and then dies when it is time.
fn batch(transaction: &Transaction<'_>, after: i64) -> Result<Option<i64>> {
    let rows = "SELECT row FROM t WHERE row > ?1 ORDER BY row LIMIT 3";
    let mut statement = transaction.prepare(rows)?;
    let rows: Vec<i64> =
        statement.query_map([after], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?;
    for row in &rows {
        transaction.execute("UPDATE t SET value = value * 2 WHERE row = ?1", [row])?;
    }
    LEFT.with_borrow_mut(|left| {
        *left -= 1;
        if *left == 0 { Err(StoreError::Damaged("killed".to_owned())) } else { Ok(()) }
    })?;
    Ok(rows.last().copied())
}

fn killed_or_not(_: &Transaction<'_>) -> Result<()> {
    LEFT.with_borrow_mut(|left| {
        *left -= 1;
        if *left == 0 { Err(StoreError::Damaged("killed".to_owned())) } else { Ok(()) }
    })
}

const FROM_1_AND_2: &[Step] = &[
    Step {
        from: 1,
        needs: |_| Ok(0),
        parts: &[
            Part::Sql("ALTER TABLE t ADD COLUMN value INTEGER; UPDATE t SET value = row"),
            Part::Rows { table: "t", batch },
        ],
    },
    Step {
        from: 2,
        needs: |_| Ok(0),
        parts: &[
            Part::Run(killed_or_not),
            Part::Rows { table: "t", batch },
            Part::Sql("CREATE TABLE u (row INTEGER PRIMARY KEY)"),
        ],
    },
];

fn catalog(path: &Path) -> Connection {
    let catalog = Connection::open(path).unwrap();
    catalog.execute_batch(schema::SETTINGS).unwrap();
    catalog
}

/// One life of a process: it dies at its call of this number.
fn live(path: &Path, calls: usize) -> (Result<()>, Vec<MigrationProgress>) {
    LEFT.set(calls);
    let shown = Arc::new(std::sync::Mutex::new(Vec::new()));
    let seen = Arc::clone(&shown);
    let watch = MigrationWatch::new(move |progress| seen.lock().unwrap().push(progress));
    let mut catalog = catalog(path);
    let mark = begin(&mut catalog, |_, _| Ok(())).unwrap();
    let done = run(&mut catalog, FROM_1_AND_2, mark, &Shown { watch: &watch, first: 1, total: 20 });
    (done, std::mem::take(&mut *shown.lock().unwrap()))
}

#[test]
fn a_migration_that_is_killed_anywhere_continues_where_it_was() {
    // Ten rows are five batches, the empty one at the end included; twice that, and the call between.
    for calls in 1..=11 {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("catalog");
        let fill = "CREATE TABLE t (row INTEGER PRIMARY KEY);
             INSERT INTO t WITH n(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 10)
             SELECT n FROM n;
             PRAGMA user_version = 1;";
        catalog(&path).execute_batch(fill).unwrap();
        let mut lives = 0;
        loop {
            lives += 1;
            let (done, _) = live(&path, calls);
            let found = found(&Connection::open(&path).unwrap()).unwrap();
            if done.is_ok() {
                assert_eq!(found, Found::Current);
                break;
            }
            assert_eq!(found, Found::Older, "{lives}");
            // An earlier release refuses it by that.
            assert_eq!(user_version(&catalog(&path)).unwrap(), schema::FORMAT);
            if calls == 1 && lives == 20 {
                // It dies at its first call each time, and never gets on.
                break;
            }
        }
        let catalog = catalog(&path);
        let mut values = catalog.prepare("SELECT row, value FROM t").unwrap();
        let values = values.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
        let values: BTreeMap<i64, i64> = values.collect::<rusqlite::Result<_>>().unwrap();
        let factor = if calls == 1 { 1 } else { 4 };
        assert_eq!(values, (1..=10).map(|row| (row, row * factor)).collect(), "{calls}");
        assert!(lives > 1, "{calls}: {lives}");
    }
}

#[test]
fn progress_grows_to_the_end() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("catalog");
    let fill = "CREATE TABLE t (row INTEGER PRIMARY KEY); INSERT INTO t VALUES (4), (10);
         PRAGMA user_version = 1;";
    catalog(&path).execute_batch(fill).unwrap();
    let (done, shown) = live(&path, usize::MAX);
    done.unwrap();
    let done: Vec<u64> = shown.iter().map(|progress| progress.rows_done).collect();
    assert!(done.is_sorted(), "{done:?}");
    assert_eq!((done.first(), done.last()), (Some(&0), Some(&20)));
    assert!(shown.iter().all(|shown| (shown.from, shown.to) == (1, schema::FORMAT)));
}

#[test]
fn space_is_compared_before_anything_is_written() {
    enough(20_000_000, 20_000_000).unwrap();
    let message = Error::from(enough(20_000_001, 19_999_999).unwrap_err());
    let message = message.message();
    assert!(message.contains("21 MB") && message.contains("19 MB"), "{message}");
}

#[test]
fn processes_are_named_in_one_way() {
    let holders = |pids: &[u32], unknown| Holders { pids: pids.to_vec(), unknown }.described();
    assert_eq!(holders(&[17], false), "process id 17");
    assert_eq!(holders(&[17, 23], false), "process ids 17, 23");
    assert_eq!(holders(&[17], true), "process ids 17, and others");
    assert_eq!(holders(&[], true), "their process ids are not known");
}
