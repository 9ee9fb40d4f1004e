//! Kills the program that runs a job again and again, at moments that its journal shows.

use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};

use crate::assistant::Assistant;
use crate::until;

/// How many items of a job have an outcome on disk, and whether the job has ended.
pub(crate) fn recorded(folder: &Path, id: &str) -> (usize, bool) {
    let file = folder.join("data/ledger/jobs.sqlite");
    let jobs = Connection::open_with_flags(file, OpenFlags::SQLITE_OPEN_READ_WRITE).unwrap();
    jobs.busy_timeout(Duration::from_secs(30)).unwrap();
    let sql = "SELECT (SELECT count(*) FROM job_item WHERE job = job.row), ended_at IS NOT NULL
               FROM job WHERE id = ?1";
    let found = jobs.query_row(sql, [id], |row| Ok((row.get::<_, i64>(0)?, row.get(1)?)));
    let (items, has_ended) = found.unwrap();
    (items.try_into().unwrap(), has_ended)
}

/// Kills the program that runs a job, and the next ones, until the job has ended. The first is killed at once; each other one
/// when it has written as many more outcomes as `more` says, by the number of those that died. Returns the last program, and
/// that number.
pub(crate) async fn kill_until_it_has_ended(
    (folder, id): (&Path, &str),
    mut assistant: Assistant,
    start: impl AsyncFn() -> Assistant,
    more: impl Fn(usize) -> usize,
) -> (Assistant, usize) {
    let (mut deaths, mut next) = (0, 0);
    loop {
        let has_ended = until(async || {
            let (done, has_ended) = recorded(folder, id);
            (has_ended || done >= next).then_some(has_ended)
        })
        .await;
        if has_ended {
            return (assistant, deaths);
        }
        assistant.kill().await;
        deaths += 1;
        next = recorded(folder, id).0 + more(deaths);
        assistant = start().await;
    }
}
