//! The tables of jobs.

/// Makes the tables of jobs in a database that has none of them.
///
/// * Times are milliseconds since 1970. `state` is a word of the API of AWS.
/// * Jobs of one `scope` belong together; `lease` names the lock of the process that runs a job.
/// * `needs`, `request`, `progress` and `report` are JSON. The request of an ended job holds nothing that may
///   be patient data.
/// * `job_item` holds the outcome of each item, JSON, numbered in the order of recording.
pub const CREATE: &str = "
CREATE TABLE job (
    row INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    scope TEXT NOT NULL,
    kind TEXT NOT NULL,
    datastore_id TEXT,
    name TEXT,
    state TEXT NOT NULL,
    lease TEXT NOT NULL,
    needs TEXT NOT NULL,
    request TEXT NOT NULL,
    token TEXT,
    fingerprint TEXT,
    cancelled INTEGER NOT NULL DEFAULT 0,
    submitted_at INTEGER NOT NULL,
    ended_at INTEGER,
    items_total INTEGER,
    items_done INTEGER NOT NULL DEFAULT 0,
    items_failed INTEGER NOT NULL DEFAULT 0,
    progress TEXT,
    message TEXT,
    report TEXT
);
CREATE UNIQUE INDEX job_token ON job (scope, token) WHERE token IS NOT NULL;
CREATE INDEX job_newest ON job (scope, submitted_at, row);
CREATE INDEX job_of_datastore ON job (scope, datastore_id, submitted_at, row);
CREATE INDEX job_in_state ON job (scope, state, submitted_at, row);
CREATE INDEX job_unfinished ON job (submitted_at, row) WHERE ended_at IS NULL;
CREATE INDEX job_ended ON job (ended_at) WHERE ended_at IS NOT NULL;

CREATE TABLE job_item (
    job INTEGER NOT NULL REFERENCES job (row) ON DELETE CASCADE,
    number INTEGER NOT NULL,
    key TEXT NOT NULL,
    outcome TEXT NOT NULL,
    PRIMARY KEY (job, number)
) WITHOUT ROWID;
CREATE UNIQUE INDEX job_item_key ON job_item (job, key);
";
