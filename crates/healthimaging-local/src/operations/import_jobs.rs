//! Import jobs: start, show, list.

use std::path::PathBuf;

use healthimaging::model::{
    DicomImportJobProperties, DicomImportJobSummary, GetDicomImportJobRequest,
    GetDicomImportJobResponse, ImportConfiguration, JobStatus, ListDicomImportJobsRequest,
    ListDicomImportJobsResponse, StartDicomImportJobRequest, StartDicomImportJobResponse,
};
use healthimaging::{Error, JobId, ObjectUri};
use healthimaging_jobs::Needs;
use healthimaging_jobs_sqlite as sql;
use healthimaging_objects::{Objects, ObjectsConfig};
use rusqlite::{Connection, Transaction};
use serde_json::json;

use super::client_token::{self, Repeat};
use super::paging::{self, Place};
use crate::clock::Millis;
use crate::config::LocalConfig;
use crate::error::Result;
use crate::index::datastores;
use crate::index::import_jobs::{self, ImportJob, ImportRequest};
use crate::jobs;
use crate::new_id;
use crate::shared::{Shared, SharedStore};

/// Mappings of an import configuration, at most.
const MOST_MAPPINGS: usize = 1000;
/// Characters of a path in a mapping, at most.
const LONGEST_PATH: usize = 1024;

/// Accepts an import job and begins to run it.
pub(crate) async fn start(
    shared: &SharedStore,
    request: StartDicomImportJobRequest,
) -> Result<StartDicomImportJobResponse> {
    check_configuration(request.import_configuration.as_ref())?;
    let output = match &request.output_s3_uri {
        Some(uri) => uri.clone(),
        None => default_output(shared)?,
    };
    let at = shared.now();
    let datastore_id = request.datastore_id.clone();
    let needs = needs(shared, &[], [&request.input_s3_uri, &output]);
    let started = shared
        .catalogue
        .write(move |transaction| start_in(transaction, &request, &output, &needs, at))
        .await?;
    let (job_id, submitted_at) = match started {
        Started::New(id) => {
            jobs::run(shared, id.clone());
            (id, at)
        }
        Started::Before(id, at) => (id, at),
    };
    Ok(StartDicomImportJobResponse {
        datastore_id,
        job_id,
        job_status: JobStatus::Submitted,
        submitted_at: submitted_at.into(),
    })
}

enum Started {
    New(JobId),
    /// By an earlier request with the same client token.
    Before(JobId, Millis),
}

fn start_in(
    transaction: &Transaction<'_>,
    request: &StartDicomImportJobRequest,
    output: &ObjectUri,
    needs: &Needs,
    at: Millis,
) -> Result<Started> {
    let datastore = datastores::find_active(transaction, &request.datastore_id)?;
    let repeat = Repeat::new(
        "StartDICOMImportJob",
        request.datastore_id.as_str(),
        request.client_token.as_ref(),
        &json!([
            request.job_name,
            request.data_access_role_arn,
            request.input_s3_uri,
            request.output_s3_uri,
            request.input_owner_account_id,
            request.import_configuration,
        ]),
    );
    if let Some(earlier) = client_token::earlier(transaction, &repeat, at)? {
        let id = JobId::try_from(earlier)?;
        let job = import_jobs::find_of(transaction, &datastore.id, &id)?;
        return Ok(Started::Before(id, job.submitted_at));
    }
    let id = new_id::job_id()?;
    let name = request.job_name.as_ref().map_or(id.as_str(), |name| name.as_str());
    let asked = ImportRequest {
        role: request.data_access_role_arn.clone(),
        input: request.input_s3_uri.clone(),
        output: output.clone(),
        configuration: request.import_configuration.clone(),
        local_paths: Vec::new(),
    };
    let job = import_jobs::new(id.clone(), datastore.id, name, &asked, needs.clone(), at)?;
    sql::insert(transaction, &job)?;
    client_token::remember(transaction, &repeat, id.as_str(), at)?;
    Ok(Started::New(id))
}

fn check_configuration(configuration: Option<&ImportConfiguration>) -> Result<()> {
    let Some(configuration) = configuration else {
        return Ok(());
    };
    let mappings = &configuration.dicom_json_metadata_import_configuration.dicom_metadata_mappings;
    if mappings.is_empty() || mappings.len() > MOST_MAPPINGS {
        return Err(Error::validation(format!(
            "dicomMetadataMappings must have 1 to {MOST_MAPPINGS} entries, not {}",
            mappings.len()
        ))
        .into());
    }
    for mapping in mappings {
        if !(1..=LONGEST_PATH).contains(&mapping.metadata_file_path.chars().count()) {
            return Err(Error::validation(format!(
                "metadataFilePath must have 1 to {LONGEST_PATH} characters"
            ))
            .into());
        }
    }
    Ok(())
}

/// What a job over these places needs, with `paths` allowed beside the folders of the store.
pub(crate) fn needs<'a>(
    shared: &Shared,
    paths: &[PathBuf],
    places: impl IntoIterator<Item = &'a ObjectUri>,
) -> Needs {
    let places: Vec<&ObjectUri> = places.into_iter().collect();
    let LocalConfig { allowed_paths, runner, .. } = &shared.config;
    let allowed_paths = allowed_paths.clone();
    let objects = Objects::new(ObjectsConfig { allowed_paths, ..ObjectsConfig::default() });
    let mut folders = objects.resolved_folders(places.iter().copied());
    folders.extend_from_slice(paths);
    let signs = places.iter().any(|place| place.as_str().starts_with("s3://"));
    Needs {
        folders: Some(folders),
        credentials: signs.then(|| runner.credentials.clone()),
        deletes: false,
    }
}

/// The folder of outcomes of jobs that name none.
pub(crate) fn default_output(shared: &Shared) -> Result<ObjectUri> {
    let folder = std::path::absolute(shared.config.data_dir.join("imports"))
        .map_err(crate::error::StoreError::file("find", &shared.config.data_dir))?;
    let uri = healthimaging_objects::file_uri(&folder)?;
    ObjectUri::try_from(format!("{uri}/")).map_err(|_| {
        Error::validation("the path of the data folder is too long; name an output_s3_uri").into()
    })
}

/// All about an import job.
pub(crate) async fn get(
    shared: &SharedStore,
    request: GetDicomImportJobRequest,
) -> Result<GetDicomImportJobResponse> {
    let datastore_id = request.datastore_id.clone();
    let job = shared
        .catalogue
        .read(move |connection| {
            let datastore = datastores::find_active(connection, &request.datastore_id)?;
            import_jobs::find_of(connection, &datastore.id, &request.job_id)
        })
        .await?;
    Ok(GetDicomImportJobResponse {
        job_properties: DicomImportJobProperties {
            job_id: job.id,
            job_name: job.name,
            job_status: job.status,
            datastore_id,
            data_access_role_arn: job.request.role,
            ended_at: job.ended_at.map(Into::into),
            submitted_at: Some(job.submitted_at.into()),
            input_s3_uri: job.request.input,
            output_s3_uri: job.request.output,
            message: job.message,
            import_configuration: job.request.configuration,
        },
    })
}

/// A page of import jobs, newest first.
pub(crate) async fn list(
    shared: &SharedStore,
    request: ListDicomImportJobsRequest,
) -> Result<ListDicomImportJobsResponse> {
    let size = paging::page_size(request.max_results)?;
    let datastore_id = request.datastore_id.clone();
    let status = request.job_status;
    let query = ("ListDICOMImportJobs", datastore_id.clone(), status);
    let after: Option<Place<i64>> = paging::after(request.next_token.as_ref(), &query)?;
    let mut rows = shared
        .catalogue
        .read(move |connection: &Connection| {
            let datastore = datastores::find_active(connection, &request.datastore_id)?;
            let after = after.map(|place| (place.key, place.row));
            import_jobs::page(connection, datastore.id, status, after, size + 1)
        })
        .await?;
    let next_token = paging::cut(&mut rows, size, &query, |row| Place {
        key: row.submitted_at.0,
        row: row.row,
    })?;
    let summary = |job: ImportJob| DicomImportJobSummary {
        job_id: job.id,
        job_name: job.name,
        job_status: job.status,
        datastore_id: datastore_id.clone(),
        data_access_role_arn: job.request.role,
        ended_at: job.ended_at.map(Into::into),
        submitted_at: Some(job.submitted_at.into()),
        message: job.message,
    };
    Ok(ListDicomImportJobsResponse {
        job_summaries: rows.into_iter().map(summary).collect(),
        next_token,
    })
}
