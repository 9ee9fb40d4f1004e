//! Import jobs: start, show, list.

use healthimaging::model::{
    DicomImportJobProperties, DicomImportJobSummary, GetDicomImportJobRequest,
    GetDicomImportJobResponse, ImportConfiguration, JobStatus, ListDicomImportJobsRequest,
    ListDicomImportJobsResponse, StartDicomImportJobRequest, StartDicomImportJobResponse,
};
use healthimaging::{Error, JobId, ObjectUri};
use healthimaging_jobs::Needs;
use healthimaging_jobs_sqlite as sql;
use serde_json::json;

use super::paging::{self, Position};
use crate::catalog::client_tokens::{self, Repeat};
use crate::catalog::imports::{self, ImportJob, ImportRequest};
use crate::catalog::{Reader, Tx, datastores};
use crate::clock::Millis;
use crate::error::Result;
use crate::jobs;
use crate::shared::SharedStore;

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
        None => jobs::default_output(shared)?,
    };
    let at = shared.now();
    let datastore_id = request.datastore_id.clone();
    let needs = jobs::needs(shared, &[], [&request.input_s3_uri, &output]);
    let started =
        shared.catalog.write(move |tx| start_in(tx, &request, &output, &needs, at)).await?;
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
    tx: &Tx<'_>,
    request: &StartDicomImportJobRequest,
    output: &ObjectUri,
    needs: &Needs,
    at: Millis,
) -> Result<Started> {
    let datastore = datastores::find_active(tx, &request.datastore_id)?;
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
    if let Some(earlier) = client_tokens::earlier(tx, &repeat, at)? {
        let id = JobId::try_from(earlier)?;
        let job = imports::find_of(tx, &datastore.id, &id)?;
        return Ok(Started::Before(id, job.submitted_at));
    }
    let id = JobId::random()?;
    let name = request.job_name.as_ref().map_or(id.as_str(), |name| name.as_str());
    let asked = ImportRequest {
        role: request.data_access_role_arn.clone(),
        input: request.input_s3_uri.clone(),
        output: output.clone(),
        is_own_output: request.output_s3_uri.is_none(),
        configuration: request.import_configuration.clone(),
        local_paths: Vec::new(),
    };
    let job = imports::new(id.clone(), datastore.id, name, &asked, needs.clone(), at)?;
    sql::insert(tx, &job)?;
    client_tokens::record(tx, &repeat, id.as_str(), at)?;
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

/// All about an import job.
pub(crate) async fn get(
    shared: &SharedStore,
    request: GetDicomImportJobRequest,
) -> Result<GetDicomImportJobResponse> {
    let datastore_id = request.datastore_id.clone();
    let job = shared
        .catalog
        .read(move |reader| {
            let datastore = datastores::find_active(reader, &request.datastore_id)?;
            imports::find_of(reader, &datastore.id, &request.job_id)
        })
        .await?;
    let output_s3_uri = jobs::output_of(shared, &job);
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
            output_s3_uri,
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
    let after: Option<Position<i64>> = paging::after(request.next_token.as_ref(), &query)?;
    let mut rows = shared
        .catalog
        .read(move |reader: &Reader| {
            let datastore = datastores::find_active(reader, &request.datastore_id)?;
            let after = after.map(|place| (place.key, place.row));
            imports::page(reader, datastore.id, status, after, size + 1)
        })
        .await?;
    let next_token = paging::cut(&mut rows, size, &query, |row| Position {
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
