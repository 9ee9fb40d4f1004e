//! Searches (QIDO-RS, `PS3.18 §10.6`): the page is found in the catalogue alone; documents are read
//! only for attributes that it does not hold.

mod condition;
mod include;
mod keys;
mod own;
mod results;

use std::cell::RefCell;
use std::sync::Arc;

use healthimaging::model::{DicomJson, SearchDicomRequest, SearchLevel};
use healthimaging::{Error, MemoryBudget, MemoryLease, QueryLevel, Uid};
use rusqlite::types::Value;
use rusqlite::{Connection, params_from_iter};

use crate::documents::{OpenDocument, size_of_attributes};
use crate::error::Result;
use crate::index::predicate::Predicate;
use crate::index::{datastores, image_sets};
use crate::shared::{Shared, SharedStore};

/// Results of one request at most, and without a limit.
const MOST_RESULTS: u32 = 1000;
/// The farthest start.
const FARTHEST: u32 = 1_000_000;

/// Studies, series or instances of the primary image sets.
pub(crate) async fn search(
    shared: &SharedStore,
    request: SearchDicomRequest,
) -> Result<Vec<DicomJson>> {
    let limit = request.limit.unwrap_or(MOST_RESULTS);
    if !(1..=MOST_RESULTS).contains(&limit) {
        return Err(Error::validation(format!("limit is 1 to {MOST_RESULTS}")).into());
    }
    if request.offset > FARTHEST {
        return Err(Error::validation(format!("offset is 0 to {FARTHEST}")).into());
    }
    let shared = Arc::clone(shared);
    tokio::task::spawn_blocking(move || {
        shared.catalogue.read_blocking(|connection| {
            let datastore = datastores::find_active(connection, &request.datastore_id)?;
            let page = Page {
                row: datastore.row,
                request: &request,
                limit,
                shared: &shared,
                last: RefCell::default(),
                included: RefCell::default(),
            };
            match &request.level {
                SearchLevel::Studies => page.studies(connection),
                SearchLevel::Series(study) => page.series(connection, study.as_ref()),
                SearchLevel::Instances(study, series) => {
                    page.instances(connection, study.as_ref(), series.as_ref())
                }
            }
        })
    })
    .await?
}

/// One page of results.
struct Page<'a> {
    /// Row of the data store.
    row: i64,
    request: &'a SearchDicomRequest,
    limit: u32,
    shared: &'a Shared,
    /// The image set whose document was read last, and the document: results of one set follow each other.
    last: RefCell<Option<(i64, Arc<OpenDocument>)>>,
    /// For the attributes out of documents that results hold.
    included: RefCell<Option<MemoryLease>>,
}

impl Page<'_> {
    /// Latest change first.
    fn studies(&self, connection: &Connection) -> Result<Vec<DicomJson>> {
        let found = self.matching(QueryLevel::Study, None, None)?;
        let (sql, values) = self.cut(grouped(&found.sql), found.values);
        let studies: Vec<String> = connection
            .prepare_cached(&sql)?
            .query_and_then(params_from_iter(values), |row| row.get(0))?
            .collect::<Result<_, _>>()?;
        studies.iter().map(|study| results::study(connection, self, study)).collect()
    }

    /// By series number.
    fn series(&self, connection: &Connection, study: Option<&Uid>) -> Result<Vec<DicomJson>> {
        let found = self.matching(QueryLevel::Series, study, None)?;
        let (sql, values) = self.cut(
            format!(
                "SELECT image_set.* FROM image_set WHERE {}
                 ORDER BY image_set.series_number NULLS LAST, image_set.row",
                found.sql
            ),
            found.values,
        );
        let parents = Parents::shown(study.is_none());
        connection
            .prepare_cached(&sql)?
            .query_and_then(params_from_iter(values), |row| {
                results::series(connection, self, row, parents)
            })?
            .collect()
    }

    /// By instance number; of a whole study by latest change.
    fn instances(
        &self,
        connection: &Connection,
        study: Option<&Uid>,
        series: Option<&Uid>,
    ) -> Result<Vec<DicomJson>> {
        let found = self.matching(QueryLevel::Instance, study, series)?;
        let order = if study.is_some() && series.is_none() {
            "image_set.updated_at DESC, image_set.row, instance.instance_number NULLS LAST"
        } else {
            "instance.instance_number NULLS LAST, instance.sop_instance_uid"
        };
        let (sql, values) = self.cut(joined(&found.sql, order), found.values);
        let parents = Parents::shown(study.is_none() || series.is_none());
        connection
            .prepare_cached(&sql)?
            .query_and_then(params_from_iter(values), |row| {
                results::instance(connection, self, row, parents)
            })?
            .collect()
    }

    /// The latest document of an image set.
    fn document(&self, connection: &Connection, set: i64) -> Result<Option<Arc<OpenDocument>>> {
        let mut last = self.last.borrow_mut();
        if let Some((of_set, document)) = &*last
            && *of_set == set
        {
            return Ok(Some(Arc::clone(document)));
        }
        // Nobody waits for memory for a document while holding that for another.
        *last = None;
        let row = image_sets::at(connection, set)?;
        let version = image_sets::version(connection, set, row.latest_version.into())?;
        let documents = &self.shared.documents;
        let found = documents.find(connection, &row, &version)?;
        let is_leased = self.included.borrow().is_some();
        let open = |found| match is_leased {
            true => documents.open_at_once(found),
            false => documents.open(found),
        };
        let document = found.map(open).transpose()?;
        *last = document.clone().map(|document| (set, document));
        Ok(document)
    }

    /// Leases memory for attributes that a result gets out of a document. It does not wait, since a document is
    /// open: what comes later waits.
    fn lease(&self, attributes: &DicomJson) {
        let bytes = size_of_attributes(attributes) as u64;
        match &mut *self.included.borrow_mut() {
            Some(lease) => lease.resize(lease.bytes().saturating_add(bytes)),
            none => *none = Some(MemoryBudget::process().document_at_once(bytes)),
        }
    }

    fn matching(
        &self,
        level: QueryLevel,
        study: Option<&Uid>,
        series: Option<&Uid>,
    ) -> Result<Predicate> {
        Ok(condition::wanted(self.row, self.request, level, study, series)?)
    }

    fn cut(&self, mut sql: String, mut values: Vec<Value>) -> (String, Vec<Value>) {
        sql.push_str(" LIMIT ? OFFSET ?");
        values.extend([
            Value::Integer(self.limit.into()),
            Value::Integer(self.request.offset.into()),
        ]);
        (sql, values)
    }
}

/// The studies of matching image sets. The `+` keeps the index of studies, which would save the sorting
/// and read all of the data store, from being taken for that of the match key.
fn grouped(matching: &str) -> String {
    format!(
        "SELECT image_set.study_instance_uid, max(image_set.updated_at) AS newest
         FROM image_set WHERE {matching} AND +image_set.study_instance_uid IS NOT NULL
         GROUP BY +image_set.study_instance_uid
         ORDER BY newest DESC, image_set.study_instance_uid"
    )
}

/// The instances of matching image sets.
fn joined(matching: &str, order: &str) -> String {
    format!(
        "SELECT image_set.*, instance.series_instance_uid AS own_series, instance.*
         FROM image_set JOIN instance ON instance.image_set = image_set.row
         WHERE {matching} ORDER BY {order}"
    )
}

/// Whether a result repeats the attributes of the levels above it, as it must where the path does not
/// name them (`PS3.18 §10.6.3.3`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Parents {
    Shown,
    Named,
}

impl Parents {
    fn shown(shown: bool) -> Self {
        if shown { Self::Shown } else { Self::Named }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::index::schema;

    fn request(level: SearchLevel, key: &str) -> SearchDicomRequest {
        SearchDicomRequest {
            datastore_id: "0".repeat(32).parse().unwrap(),
            level,
            filters: vec![(key.to_owned(), "1".to_owned())],
            include_fields: Vec::new(),
            fuzzy_matching: false,
            limit: None,
            offset: 0,
        }
    }

    /// The plan for a query.
    fn plan(sql: &str, values: Vec<Value>) -> String {
        let catalogue = Connection::open_in_memory().unwrap();
        catalogue.execute_batch(schema::CREATE).unwrap();
        let mut explained = catalogue.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
        let steps = explained.query_map(params_from_iter(values), |row| row.get("detail"));
        steps.unwrap().collect::<rusqlite::Result<Vec<String>>>().unwrap().join("; ")
    }

    #[test]
    fn instances_are_looked_up_by_their_uid() {
        let request = request(SearchLevel::Instances(None, None), "SOPInstanceUID");
        let found = condition::wanted(1, &request, QueryLevel::Instance, None, None).unwrap();
        let plan = plan(&joined(&found.sql, "instance.instance_number"), found.values);
        assert!(plan.contains("INDEX instance_sop (sop_instance_uid=?)"), "{plan}");
    }

    #[test]
    fn studies_of_an_instance_are_looked_up_by_its_uid() {
        let request = request(SearchLevel::Studies, "SOPInstanceUID");
        let found = condition::wanted(1, &request, QueryLevel::Study, None, None).unwrap();
        let plan = plan(&grouped(&found.sql), found.values);
        assert!(plan.contains("INDEX instance_sop (sop_instance_uid=?)"), "{plan}");
        assert!(plan.contains("SEARCH image_set USING INTEGER PRIMARY KEY"), "{plan}");
    }

    #[test]
    fn a_match_key_is_looked_up_in_its_index() {
        let index = "SEARCH found USING COVERING INDEX image_set_attributes_value \
                     (datastore=? AND attribute=? AND value";
        for key in ["PatientID", "PatientName", "StudyInstanceUID", "AccessionNumber", "StudyID"] {
            let request = request(SearchLevel::Studies, key);
            let found = condition::wanted(1, &request, QueryLevel::Study, None, None).unwrap();
            let plan = plan(&grouped(&found.sql), found.values);
            assert!(plan.contains("SEARCH image_set USING INTEGER PRIMARY KEY"), "{plan}");
            assert!(plan.contains(index), "{plan}");
        }
    }
}
