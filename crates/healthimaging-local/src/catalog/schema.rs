//! The tables of the catalog. How older formats become this one is in `migration`.

/// The format that this program writes, kept in `PRAGMA user_version`.
pub(crate) const FORMAT: i64 = 5;

/// Settings of every connection.
///
/// `secure_delete` overwrites what is deleted: erased patient data does not linger in free pages. What it
/// forgets, `scrub` does. A stored instance changes a row or two in each of some twenty trees, and each changed page
/// is written whole: smaller pages than usual halve that. A catalog keeps the size with which it was made. The log
/// goes into the catalog when it has 4 MB.
pub(crate) const SETTINGS: &str = "
    PRAGMA page_size = 2048;
    PRAGMA wal_autocheckpoint = 2000;
    PRAGMA journal_mode = WAL;
    PRAGMA synchronous = FULL;
    PRAGMA foreign_keys = ON;
    PRAGMA secure_delete = ON;
    PRAGMA temp_store = MEMORY;
    PRAGMA cache_size = -16000;
";

/// Settings of a connection that only reads.
pub(crate) const READ_SETTINGS: &str = "
    PRAGMA query_only = ON;
    PRAGMA temp_store = MEMORY;
    PRAGMA cache_size = -16000;
";

/// The columns of `image_set`.
macro_rules! image_set_columns {
    () => {
        " (
    row INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    datastore INTEGER NOT NULL REFERENCES datastore (row) ON DELETE CASCADE,
    latest_version INTEGER NOT NULL,
    state TEXT NOT NULL,
    workflow TEXT NOT NULL,
    is_primary INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    deleted_at INTEGER,
    last_accessed_at INTEGER,
    summary TEXT,
    study_instance_uid TEXT,
    study_datetime TEXT NOT NULL DEFAULT '',
    series_number INTEGER,
    series_count INTEGER,
    instance_count INTEGER,
    frame_count INTEGER
);
"
    };
}

/// The table of what image sets are found by.
macro_rules! image_set_attributes {
    () => {
        "
CREATE TABLE image_set_attributes (
    image_set INTEGER NOT NULL REFERENCES image_set (row) ON DELETE CASCADE,
    attribute INTEGER NOT NULL,
    value TEXT NOT NULL,
    datastore INTEGER,
    updated_at INTEGER,
    PRIMARY KEY (image_set, attribute, value)
) WITHOUT ROWID;
"
    };
}

/// The indexes of both, and what keeps them up to date.
macro_rules! image_set_indexes {
    () => {
        "
CREATE INDEX image_set_updated ON image_set (datastore, updated_at, row) WHERE state <> 'DELETED';
CREATE INDEX image_set_created ON image_set (datastore, created_at, row) WHERE state <> 'DELETED';
CREATE INDEX image_set_study_datetime ON image_set (datastore, study_datetime, row)
    WHERE state <> 'DELETED';
CREATE INDEX image_set_primary_updated ON image_set (datastore, is_primary, updated_at, row)
    WHERE state <> 'DELETED';
CREATE INDEX image_set_primary_created ON image_set (datastore, is_primary, created_at, row)
    WHERE state <> 'DELETED';
CREATE INDEX image_set_primary_study_datetime
    ON image_set (datastore, is_primary, study_datetime, row) WHERE state <> 'DELETED';
CREATE INDEX image_set_counted ON image_set (datastore, state, is_primary);
CREATE INDEX image_set_deleted ON image_set (deleted_at) WHERE state = 'DELETED';
"
    };
}

/// The indexes of the key attributes (1048608 is Patient ID), and what keeps the times in one of them up to date.
macro_rules! lookup_indexes {
    () => {
        "
CREATE INDEX image_set_attributes_value
    ON image_set_attributes (datastore, attribute, value, image_set) WHERE datastore IS NOT NULL;
CREATE INDEX image_set_attributes_updated
    ON image_set_attributes (datastore, value, updated_at, image_set) WHERE attribute = 1048608;
CREATE TRIGGER image_set_updated_at AFTER UPDATE OF updated_at ON image_set
WHEN new.updated_at <> old.updated_at
BEGIN
    UPDATE image_set_attributes SET updated_at = new.updated_at
    WHERE image_set = new.row AND attribute = 1048608;
END;
"
    };
}

/// What makes `image_set` of format 2 that of format 3: the tables before the rows are copied, and what
/// is done afterwards.
pub(crate) const IMAGE_SETS_2_TO_3: [&str; 2] = [
    concat!("CREATE TABLE image_set_3", image_set_columns!(), image_set_attributes!()),
    concat!(
        "DROP TABLE image_set; ALTER TABLE image_set_3 RENAME TO image_set;",
        image_set_indexes!(),
        lookup_indexes!()
    ),
];

/// Makes the indexes of key attributes of format 4 those of format 5: a version of an image set changes one entry
/// in them, and no longer one for each value.
pub(crate) const LOOKUPS_4_TO_5: &str = concat!(
    "DROP TRIGGER IF EXISTS image_set_updated_at;
     DROP INDEX IF EXISTS image_set_attributes_value;
     DROP INDEX IF EXISTS image_set_attributes_updated;",
    lookup_indexes!()
);

/// The tables of blocks, which format 5 brought.
macro_rules! document_blocks {
    () => {
        "
CREATE TABLE document_block (
    row INTEGER PRIMARY KEY,
    image_set INTEGER NOT NULL REFERENCES image_set (row) ON DELETE CASCADE,
    number INTEGER NOT NULL,
    first_version INTEGER NOT NULL,
    end_version INTEGER,
    series_instance_uid TEXT NOT NULL,
    first_number INTEGER,
    first_sop TEXT NOT NULL,
    instance_count INTEGER NOT NULL,
    frame_count INTEGER NOT NULL,
    length INTEGER NOT NULL,
    crc32 INTEGER NOT NULL,
    first_values TEXT NOT NULL
);
CREATE INDEX document_block_of ON document_block (image_set, end_version, number);
CREATE TABLE document_block_content (
    block INTEGER PRIMARY KEY REFERENCES document_block (row) ON DELETE CASCADE,
    document BLOB NOT NULL,
    details BLOB NOT NULL,
    document_crc32 INTEGER NOT NULL,
    details_crc32 INTEGER NOT NULL
);
"
    };
}

/// Adds to a catalog of format 4 what blocks of documents need.
pub(crate) const BLOCKS_4_TO_5: &str = concat!(
    "ALTER TABLE image_set_version ADD COLUMN blocks INTEGER;
     ALTER TABLE instance ADD COLUMN block INTEGER;",
    document_blocks!()
);

/// Makes all tables in an empty catalog, but for those of jobs ([`healthimaging_jobs_sqlite::CREATE`]).
///
/// * Times are milliseconds since 1970. Enumerations are the service's words.
/// * A tombstone (`state = 'DELETED'`) keeps no attribute of a patient, and no row of another table
///   but its versions without their documents.
/// * `image_set_version.content_version` is the version that holds the content: a failed write or a
///   revert repeats older content. NULL while a new set is being copied. The checksums are those of
///   the stored bytes; NULL in rows of format 1.
/// * `image_set_version.blocks` is the number of blocks of its document, NULL if it is stored whole; then
///   `document` and `details` are those without instances. A `document_block` is part of the versions from
///   `first_version` up to, not including, `end_version`, which is NULL while the latest content has it.
///   `length` and `crc32` are those of its text, and the other checksums those of the stored bytes.
///   `instance.block` is the number of the block in the latest content, NULL if that is not known.
/// * A `pack` without an owner is garbage.
/// * `summary`, what follows it, and `image_set_attributes` are those of the latest content of an image set:
///   what results show (JSON, keyword and value), what sets are grouped and sorted by, and what they are
///   found by: a row for each distinct value of an attribute (group and element side by side) at its
///   level or in any instance, in the form in which values are compared. The rows of key attributes are
///   in an index with the data store. Those of the Patient ID, which many image sets may share, are also in one with
///   the time of the image set, which a trigger keeps up to date; the others have none, or an old one from format 4.
pub(crate) const CREATE: &str = concat!(
    "
CREATE TABLE datastore (
    row INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    name TEXT NOT NULL,
    status TEXT NOT NULL,
    kms_key_arn TEXT,
    lambda_authorizer_arn TEXT,
    lossless_storage_format TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL
);
CREATE INDEX datastore_newest ON datastore (created_at, row);

CREATE TABLE client_token (
    operation TEXT NOT NULL,
    scope TEXT NOT NULL,
    token TEXT NOT NULL,
    fingerprint BLOB NOT NULL,
    result TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    PRIMARY KEY (operation, scope, token)
) WITHOUT ROWID;

CREATE TABLE tag (
    resource TEXT NOT NULL,
    key TEXT NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY (resource, key)
) WITHOUT ROWID;

CREATE TABLE image_set",
    image_set_columns!(),
    image_set_attributes!(),
    image_set_indexes!(),
    lookup_indexes!(),
    "
CREATE TABLE image_set_version (
    image_set INTEGER NOT NULL REFERENCES image_set (row) ON DELETE CASCADE,
    version INTEGER NOT NULL,
    state TEXT NOT NULL,
    workflow TEXT NOT NULL,
    updated_at INTEGER NOT NULL,
    message TEXT,
    forced INTEGER NOT NULL DEFAULT 0,
    content_version INTEGER,
    document BLOB,
    details BLOB,
    document_crc32 INTEGER,
    details_crc32 INTEGER,
    blocks INTEGER,
    PRIMARY KEY (image_set, version)
);
",
    document_blocks!(),
    "
CREATE TABLE instance (
    image_set INTEGER NOT NULL REFERENCES image_set (row) ON DELETE CASCADE,
    series_instance_uid TEXT NOT NULL,
    sop_instance_uid TEXT NOT NULL,
    sop_class_uid TEXT,
    instance_number INTEGER,
    rows INTEGER,
    columns INTEGER,
    bits_allocated INTEGER,
    number_of_frames INTEGER,
    warning_reason INTEGER,
    block INTEGER,
    PRIMARY KEY (image_set, sop_instance_uid)
) WITHOUT ROWID;
CREATE INDEX instance_sop ON instance (sop_instance_uid);

CREATE TABLE pack (
    row INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    image_set INTEGER REFERENCES image_set (row),
    created_at INTEGER NOT NULL
);
CREATE INDEX pack_owner ON pack (image_set);

CREATE TABLE blob (
    image_set INTEGER NOT NULL REFERENCES image_set (row),
    id TEXT NOT NULL,
    pack INTEGER NOT NULL REFERENCES pack (row),
    offset INTEGER NOT NULL,
    length INTEGER NOT NULL,
    crc32 INTEGER NOT NULL,
    kind TEXT NOT NULL,
    transfer_syntax TEXT,
    PRIMARY KEY (image_set, id)
) WITHOUT ROWID;
CREATE INDEX blob_pack ON blob (pack);
"
);
