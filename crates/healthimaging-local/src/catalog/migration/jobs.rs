//! Makes jobs of the import jobs and of the acknowledged writes that formats 1 to 3 kept in tables of their own
//! (format 3 to 4).

use crate::catalog::db::Tx;
use crate::catalog::writes::{self, Work};
use crate::error::Result;

/// Copies import jobs with what became of their files.
pub(super) const IMPORT_JOBS: &str = "
INSERT INTO job (id, scope, kind, datastore_id, name, state, lease, needs, request, submitted_at, ended_at,
    items_total, items_done, items_failed, progress, message)
SELECT old.id, 'import', 'import', datastore.id, old.name, old.status, 'job-' || old.id,
    coalesce(old.needs, '{}'),
    json_object('role', old.data_access_role_arn, 'input', old.input_uri, 'output', old.output_uri,
        'configuration', json(old.configuration),
        'local_paths', json(coalesce(old.local_paths, '[]'))),
    old.submitted_at, old.ended_at, old.files_total, old.files_done, old.refused,
    json_object('bytes_done', old.bytes_done, 'image_sets', old.image_sets, 'warned', old.warned),
    old.message
FROM import_job AS old JOIN datastore ON datastore.row = old.datastore
ORDER BY old.row;
INSERT INTO job_item (job, number, key, outcome)
SELECT job.row, row_number() OVER (PARTITION BY file.job ORDER BY file.key), file.key, file.outcome
FROM import_file AS file JOIN import_job AS old ON old.row = file.job JOIN job ON job.id = old.id;
";

/// Copies writes that are acknowledged and not carried out.
pub(super) fn writes(tx: &Tx<'_>) -> Result<()> {
    let mut old = tx.prepare("SELECT owner, work, created_at FROM pending ORDER BY row")?;
    let mut rows = old.query([])?;
    while let Some(row) = rows.next()? {
        let (owner, work): (String, String) = (row.get(0)?, row.get(1)?);
        match serde_json::from_str::<Work>(&work) {
            Ok(work) => drop(writes::insert(tx, &owner, &work, row.get(2)?)?),
            // No release could carry it out.
            Err(error) => tracing::error!(%error, "an acknowledged write cannot be read"),
        }
    }
    Ok(())
}
