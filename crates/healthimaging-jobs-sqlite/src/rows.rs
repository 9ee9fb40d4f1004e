//! Statements about jobs, within a transaction that the caller owns. Those that write take a transaction.

use std::fmt;

use healthimaging::{ClientToken, DatastoreId, JobId, Timestamp};
use healthimaging_jobs::{Counts, End, Item, Job, JobQuery, JobState, Needs, Unfinished};
use rusqlite::types::Type;
use rusqlite::{Connection, OptionalExtension as _, Result, Row, ToSql, Transaction, params};

/// Adds a job in any state; returns its row, or `None` if its id or its client token exists.
pub fn insert(transaction: &Transaction<'_>, job: &Job) -> Result<Option<i64>> {
    let inserted = transaction
        .prepare_cached(
            "INSERT OR IGNORE INTO job (id, scope, kind, datastore_id, name, state, lease, needs, request,
                 token, fingerprint, cancelled, submitted_at, ended_at, items_total, items_done,
                 items_failed, progress, message, report)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19,
                 ?20)",
        )?
        .execute(params![
            job.id.as_str(),
            job.scope,
            job.kind,
            job.datastore_id.as_ref().map(DatastoreId::as_str),
            job.name,
            job.state.as_str(),
            job.lease,
            json(&job.needs)?,
            job.request,
            job.token.as_ref().map(ClientToken::as_str),
            job.fingerprint,
            job.is_cancelled,
            job.submitted_at.timestamp_millis(),
            job.ended_at.map(|at| at.timestamp_millis()),
            job.counts.total.map(signed),
            signed(job.counts.done),
            signed(job.counts.failed),
            job.progress,
            job.message,
            job.report,
        ])?;
    Ok((inserted == 1).then(|| transaction.last_insert_rowid()))
}

/// The job of an id.
pub fn find(connection: &Connection, id: &JobId) -> Result<Option<Job>> {
    let mut statement = connection.prepare_cached("SELECT * FROM job WHERE id = ?1")?;
    statement.query_row([id.as_str()], job).optional()
}

/// The job of a scope that a client token made.
pub fn with_token(connection: &Connection, scope: &str, token: &str) -> Result<Option<Job>> {
    let mut statement =
        connection.prepare_cached("SELECT * FROM job WHERE scope = ?1 AND token = ?2")?;
    statement.query_row([scope, token], job).optional()
}

/// Jobs, newest first.
pub fn page(connection: &Connection, query: &JobQuery) -> Result<Vec<Job>> {
    let (submitted_at, row) = query.after.unwrap_or((i64::MAX, i64::MAX));
    let datastore = query.datastore_id.as_ref().map(DatastoreId::as_str);
    let state = query.state.map(JobState::as_str);
    let of_datastore = if datastore.is_some() { "AND datastore_id = ?2" } else { "" };
    let in_state = if state.is_some() { "AND state = ?3" } else { "" };
    connection
        .prepare_cached(&format!(
            "SELECT * FROM job
             WHERE scope = ?1 {of_datastore} {in_state} AND (?4 IS NULL OR kind = ?4)
                 AND (submitted_at, row) < (?5, ?6)
             ORDER BY submitted_at DESC, row DESC LIMIT ?7"
        ))?
        .query_map(
            (&query.scope, datastore, state, &query.kind, submitted_at, row, query.limit),
            job,
        )?
        .collect()
}

/// Jobs that have not ended, oldest first: of a scope, or of all.
pub fn unfinished(connection: &Connection, scope: Option<&str>) -> Result<Vec<Unfinished>> {
    connection
        .prepare_cached(
            "SELECT id, lease FROM job
             WHERE ended_at IS NULL AND (?1 IS NULL OR scope = ?1) ORDER BY submitted_at, row",
        )?
        .query_map([scope], |row| {
            Ok(Unfinished { id: checked(row, "id")?, lease: row.get("lease")? })
        })?
        .collect()
}

/// Whether a data store has a job of this scope that has not ended.
pub fn is_busy(connection: &Connection, scope: &str, datastore_id: &DatastoreId) -> Result<bool> {
    connection
        .prepare_cached(
            "SELECT 1 FROM job WHERE scope = ?1 AND datastore_id = ?2 AND ended_at IS NULL",
        )?
        .exists([scope, datastore_id.as_str()])
}

/// Marks a job as running.
pub fn begin(transaction: &Transaction<'_>, row: i64) -> Result<()> {
    let sql = "UPDATE job SET state = 'IN_PROGRESS', message = NULL WHERE row = ?1";
    set(transaction, sql, &[&row])
}

/// Records why a job waits for another process.
pub fn hold(transaction: &Transaction<'_>, row: i64, reason: &str) -> Result<()> {
    set(transaction, "UPDATE job SET message = ?2 WHERE row = ?1", &[&row, &reason])
}

/// Replaces what is to be done.
pub fn set_request(transaction: &Transaction<'_>, row: i64, request: &str) -> Result<()> {
    set(transaction, "UPDATE job SET request = ?2 WHERE row = ?1", &[&row, &request])
}

/// Makes a job of kind `from` one of kind `to`; returns whether it was one.
pub fn turn(
    transaction: &Transaction<'_>,
    row: i64,
    from: &str,
    to: &str,
    needs: &Needs,
    request: &str,
) -> Result<bool> {
    let turned = transaction.execute(
        "UPDATE job SET kind = ?3, needs = ?4, request = ?5 WHERE row = ?1 AND kind = ?2",
        (row, from, to, json(needs)?, request),
    )?;
    Ok(turned == 1)
}

/// Marks a job as cancelled; returns whether it was not cancelled before and has not ended.
pub fn cancel(transaction: &Transaction<'_>, row: i64) -> Result<bool> {
    let sql = "UPDATE job SET cancelled = 1
               WHERE row = ?1 AND cancelled = 0 AND ended_at IS NULL";
    Ok(transaction.execute(sql, [row])? == 1)
}

/// Records how many items a job has.
pub fn expect(transaction: &Transaction<'_>, row: i64, total: u64) -> Result<()> {
    let total = signed(total);
    set(transaction, "UPDATE job SET items_total = ?2 WHERE row = ?1", &[&row, &total])
}

/// Records the progress of a job.
pub fn set_progress(
    transaction: &Transaction<'_>,
    row: i64,
    counts: &Counts,
    progress: &str,
) -> Result<()> {
    let (total, done, failed) =
        (counts.total.map(signed), signed(counts.done), signed(counts.failed));
    let sql = "UPDATE job SET items_total = ?2, items_done = ?3, items_failed = ?4, progress = ?5
               WHERE row = ?1";
    set(transaction, sql, &[&row, &total, &done, &failed, &progress])
}

/// Records outcomes of items, in their order; the last outcome of an item counts. The counts of the job stay
/// as they are.
pub fn record(
    transaction: &Transaction<'_>,
    row: i64,
    items: impl IntoIterator<Item = Item>,
) -> Result<()> {
    let mut last = transaction.prepare_cached("SELECT max(number) FROM job_item WHERE job = ?1")?;
    let last: Option<i64> = last.query_row([row], |row| row.get(0))?;
    let mut insert =
        transaction.prepare_cached("INSERT OR REPLACE INTO job_item VALUES (?1, ?2, ?3, ?4)")?;
    for (number, item) in (last.unwrap_or(0) + 1..).zip(items) {
        insert.execute((row, number, item.key, item.outcome))?;
    }
    Ok(())
}

/// Adds outcomes to the counts of a job.
pub fn count(transaction: &Transaction<'_>, row: i64, done: u64, failed: u64) -> Result<()> {
    let (done, failed) = (signed(done), signed(failed));
    let sql = "UPDATE job SET items_done = items_done + ?2, items_failed = items_failed + ?3
               WHERE row = ?1";
    set(transaction, sql, &[&row, &done, &failed])
}

/// The outcome of an item.
pub fn item(connection: &Connection, row: i64, key: &str) -> Result<Option<Item>> {
    connection
        .prepare_cached("SELECT * FROM job_item WHERE job = ?1 AND key = ?2")?
        .query_row((row, key), |row| numbered(row).map(|(_, item)| item))
        .optional()
}

/// Items and their numbers, in the order of recording, behind the number `after`.
pub fn items(
    connection: &Connection,
    row: i64,
    after: u64,
    limit: u32,
) -> Result<Vec<(u64, Item)>> {
    connection
        .prepare_cached(
            "SELECT * FROM job_item WHERE job = ?1 AND number > ?2 ORDER BY number LIMIT ?3",
        )?
        .query_map((row, signed(after), limit), numbered)?
        .collect()
}

/// Items in the order of their keys, behind the key `after`.
pub fn items_by_key(
    connection: &Connection,
    row: i64,
    after: &str,
    limit: u32,
) -> Result<Vec<Item>> {
    connection
        .prepare_cached("SELECT * FROM job_item WHERE job = ?1 AND key > ?2 ORDER BY key LIMIT ?3")?
        .query_map((row, after, limit), |row| numbered(row).map(|(_, item)| item))?
        .collect()
}

/// Removes the items of a job.
pub fn remove_items(transaction: &Transaction<'_>, row: i64) -> Result<()> {
    set(transaction, "DELETE FROM job_item WHERE job = ?1", &[&row])
}

/// Ends a job.
pub fn end(transaction: &Transaction<'_>, row: i64, end: &End) -> Result<()> {
    let sql = "UPDATE job SET state = ?2, ended_at = ?3, message = ?4, report = ?5,
                   request = coalesce(?6, request)
               WHERE row = ?1";
    let (state, at) = (end.state.as_str(), end.at.timestamp_millis());
    set(transaction, sql, &[&row, &state, &at, &end.message, &end.report, &end.request])
}

/// Removes a job; returns whether it existed.
pub fn remove(transaction: &Transaction<'_>, row: i64) -> Result<bool> {
    Ok(transaction.execute("DELETE FROM job WHERE row = ?1", [row])? == 1)
}

/// Removes the jobs of a data store.
pub fn remove_all(
    transaction: &Transaction<'_>,
    scope: &str,
    datastore_id: &DatastoreId,
) -> Result<()> {
    let sql = "DELETE FROM job WHERE scope = ?1 AND datastore_id = ?2";
    set(transaction, sql, &[&scope, &datastore_id.as_str()])
}

/// Whether jobs of a scope ended before a moment.
pub fn has_expired(connection: &Connection, scope: &str, before: Timestamp) -> Result<bool> {
    let sql = "SELECT 1 FROM job WHERE ended_at < ?1 AND scope = ?2";
    connection.prepare_cached(sql)?.exists((before.timestamp_millis(), scope))
}

/// Removes the jobs of a scope that ended before a moment.
pub fn expire(transaction: &Transaction<'_>, scope: &str, before: Timestamp) -> Result<()> {
    let before = before.timestamp_millis();
    set(transaction, "DELETE FROM job WHERE ended_at < ?1 AND scope = ?2", &[&before, &scope])
}

fn set(transaction: &Transaction<'_>, sql: &str, values: &[&dyn ToSql]) -> Result<()> {
    transaction.prepare_cached(sql)?.execute(values).map(drop)
}

fn job(row: &Row<'_>) -> Result<Job> {
    let total: Option<i64> = row.get("items_total")?;
    Ok(Job {
        row: row.get("row")?,
        id: checked(row, "id")?,
        scope: row.get("scope")?,
        kind: row.get("kind")?,
        datastore_id: optional(row, "datastore_id")?,
        name: row.get("name")?,
        state: row.get::<_, String>("state")?.parse().map_err(|_| malformed("state"))?,
        lease: row.get("lease")?,
        needs: needs_of(&row.get::<_, String>("needs")?)?,
        request: row.get("request")?,
        token: optional(row, "token")?,
        fingerprint: row.get("fingerprint")?,
        is_cancelled: row.get("cancelled")?,
        submitted_at: time(row.get("submitted_at")?)?,
        ended_at: row.get::<_, Option<i64>>("ended_at")?.map(time).transpose()?,
        counts: Counts {
            total: total.map(unsigned),
            done: unsigned(row.get("items_done")?),
            failed: unsigned(row.get("items_failed")?),
        },
        progress: row.get("progress")?,
        message: row.get("message")?,
        report: row.get("report")?,
    })
}

fn numbered(row: &Row<'_>) -> Result<(u64, Item)> {
    let item = Item { key: row.get("key")?, outcome: row.get("outcome")? };
    Ok((unsigned(row.get("number")?), item))
}

fn checked<T: TryFrom<String>>(row: &Row<'_>, column: &'static str) -> Result<T> {
    T::try_from(row.get(column)?).map_err(|_| malformed(column))
}

fn optional<T: TryFrom<String>>(row: &Row<'_>, column: &'static str) -> Result<Option<T>> {
    let text: Option<String> = row.get(column)?;
    text.map(T::try_from).transpose().map_err(|_| malformed(column))
}

fn json(needs: &Needs) -> Result<String> {
    serde_json::to_string(needs)
        .map_err(|error| rusqlite::Error::ToSqlConversionFailure(Box::new(error)))
}

fn needs_of(json: &str) -> Result<Needs> {
    serde_json::from_str(json).map_err(|_| malformed("needs"))
}

fn time(millis: i64) -> Result<Timestamp> {
    Timestamp::from_timestamp_millis(millis).ok_or_else(|| malformed("time"))
}

fn signed(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

fn unsigned(count: i64) -> u64 {
    u64::try_from(count).unwrap_or(0)
}

/// A malformed column; its value is not repeated.
#[derive(Debug)]
struct Malformed(&'static str);

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "malformed {} of a job", self.0)
    }
}

impl std::error::Error for Malformed {}

fn malformed(column: &'static str) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(0, Type::Text, Box::new(Malformed(column)))
}
