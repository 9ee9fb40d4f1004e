//! The steps from each format to the next one.

use super::{image_sets, jobs};
use crate::catalog::db::{Reader, Tx};
use crate::catalog::schema;
use crate::error::Result;

/// Makes a catalog of format `from` one of format `from + 1`.
pub(super) struct Step {
    pub(super) from: i64,
    /// Bytes that the step adds to the folder at most, its write-ahead log included.
    pub(super) needs: fn(&Reader) -> Result<u64>,
    pub(super) parts: &'static [Part],
}

/// A part of a step. A part, or a batch of one, is one transaction with the mark of the progress: a
/// migration that is killed continues behind what was committed.
pub(super) enum Part {
    /// Statements.
    Sql(&'static str),
    /// Something that SQL cannot do, at once.
    Run(fn(&Tx<'_>) -> Result<()>),
    /// All rows of a table in batches: each call handles the first rows behind the row it is given, in
    /// the order of their numbers, and returns the last of them, `None` when there are no more.
    Rows { table: &'static str, batch: fn(&Tx<'_>, i64) -> Result<Option<i64>> },
}

/// The steps, in order; the last makes the format that this program writes.
pub(super) const STEPS: &[Step] = &[
    Step {
        from: 1,
        needs: |catalog| Ok(50 * rows(catalog, "image_set")?),
        parts: &[Part::Sql(
            "ALTER TABLE image_set_version ADD COLUMN document_crc32 INTEGER;
             ALTER TABLE image_set_version ADD COLUMN details_crc32 INTEGER;
             CREATE INDEX image_set_counted ON image_set (datastore, state, is_primary);",
        )],
    },
    Step {
        from: 2,
        // A copy of the table with its indexes, in the log first; measured with `cargo bench --bench million`.
        needs: |catalog| Ok(3000 * rows(catalog, "image_set")?),
        parts: &[
            Part::Sql(schema::IMAGE_SETS_2_TO_3[0]),
            Part::Rows { table: "image_set", batch: image_sets::batch },
            Part::Sql(schema::IMAGE_SETS_2_TO_3[1]),
            Part::Sql("ALTER TABLE import_job ADD COLUMN needs TEXT;"),
        ],
    },
    Step {
        from: 3,
        // A copy of the tables with their indexes, in the log first.
        needs: |catalog| {
            let files = "SELECT count(*) FROM import_file";
            let files: i64 = catalog.query_row(files, [], |row| row.get(0))?;
            let files = u64::try_from(files).unwrap_or(0);
            Ok(4000 * (files + rows(catalog, "import_job")? + rows(catalog, "pending")?))
        },
        parts: &[
            Part::Sql(healthimaging_jobs_sqlite::CREATE),
            Part::Sql(jobs::IMPORT_JOBS),
            Part::Run(jobs::writes),
            Part::Sql("DROP TABLE import_file; DROP TABLE import_job; DROP TABLE pending;"),
        ],
    },
    Step {
        from: 4,
        // Indexes of some 10 rows an image set, in the log first. Documents stay as they are: they are stored in
        // blocks when they are written next.
        needs: |catalog| Ok(3000 * rows(catalog, "image_set")?),
        parts: &[Part::Sql(schema::LOOKUPS_4_TO_5), Part::Sql(schema::BLOCKS_4_TO_5)],
    },
];

/// The highest row number of a table: how many rows it has at most, found at once.
pub(super) fn rows(catalog: &Reader, table: &str) -> Result<u64> {
    let last: Option<i64> =
        catalog.query_row(&format!("SELECT max(row) FROM {table}"), [], |row| row.get(0))?;
    Ok(last.unwrap_or(0).try_into().unwrap_or(0))
}
