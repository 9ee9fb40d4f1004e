//! Import jobs.

use aws_sdk_medicalimaging::operation::get_dicom_import_job::GetDicomImportJobOutput;
use aws_sdk_medicalimaging::operation::list_dicom_import_jobs::ListDicomImportJobsOutput;
use aws_sdk_medicalimaging::operation::start_dicom_import_job::StartDicomImportJobOutput;
use aws_sdk_medicalimaging::types as sdk;
use healthimaging::Result;
use healthimaging::model::{
    DicomImportJobProperties, DicomImportJobSummary, DicomJsonMetadataImportConfiguration,
    DicomMetadataMapping, GetDicomImportJobResponse, ImportConfiguration,
    ListDicomImportJobsResponse, StartDicomImportJobResponse,
};

use super::{moment, moment_maybe, part, told, told_maybe, unbuilt, word};

pub(crate) fn configuration(asked: ImportConfiguration) -> Result<sdk::ImportConfiguration> {
    let mappings = asked
        .dicom_json_metadata_import_configuration
        .dicom_metadata_mappings
        .into_iter()
        .map(|mapping| {
            sdk::DicomMetadataMapping::builder()
                .study_instance_uid(mapping.study_instance_uid)
                .set_series_instance_uid(mapping.series_instance_uid.map(Into::into))
                .metadata_file_path(mapping.metadata_file_path)
                .build()
                .map_err(unbuilt)
        })
        .collect::<Result<_>>()?;
    sdk::DicomJsonMetadataImportConfiguration::builder()
        .set_dicom_metadata_mappings(Some(mappings))
        .build()
        .map(sdk::ImportConfiguration::DicomJsonMetadataImportConfiguration)
        .map_err(unbuilt)
}

pub(crate) fn started(output: StartDicomImportJobOutput) -> Result<StartDicomImportJobResponse> {
    Ok(StartDicomImportJobResponse {
        datastore_id: told(output.datastore_id)?,
        job_id: told(output.job_id)?,
        job_status: word(output.job_status.as_str())?,
        submitted_at: moment(output.submitted_at)?,
    })
}

pub(crate) fn got(output: GetDicomImportJobOutput) -> Result<GetDicomImportJobResponse> {
    let found = part(output.job_properties, "jobProperties")?;
    Ok(GetDicomImportJobResponse {
        job_properties: DicomImportJobProperties {
            job_id: told(found.job_id)?,
            job_name: found.job_name,
            job_status: word(found.job_status.as_str())?,
            datastore_id: told(found.datastore_id)?,
            data_access_role_arn: told_maybe(
                Some(found.data_access_role_arn).filter(|arn| !arn.is_empty()),
            )?,
            ended_at: moment_maybe(found.ended_at)?,
            submitted_at: moment_maybe(found.submitted_at)?,
            input_s3_uri: told(found.input_s3_uri)?,
            output_s3_uri: told(found.output_s3_uri)?,
            message: found.message,
            import_configuration: found
                .import_configuration
                .map(used_configuration)
                .transpose()?
                .flatten(),
        },
    })
}

fn used_configuration(found: sdk::ImportConfiguration) -> Result<Option<ImportConfiguration>> {
    let sdk::ImportConfiguration::DicomJsonMetadataImportConfiguration(found) = found else {
        return Ok(None);
    };
    let mappings = found.dicom_metadata_mappings.into_iter().map(|mapping| {
        Ok(DicomMetadataMapping {
            study_instance_uid: told(mapping.study_instance_uid)?,
            series_instance_uid: told_maybe(mapping.series_instance_uid)?,
            metadata_file_path: mapping.metadata_file_path,
        })
    });
    Ok(Some(ImportConfiguration {
        dicom_json_metadata_import_configuration: DicomJsonMetadataImportConfiguration {
            dicom_metadata_mappings: mappings.collect::<Result<_>>()?,
        },
    }))
}

pub(crate) fn listed(output: ListDicomImportJobsOutput) -> Result<ListDicomImportJobsResponse> {
    let found = output.job_summaries;
    Ok(ListDicomImportJobsResponse {
        job_summaries: found.into_iter().map(summary).collect::<Result<_>>()?,
        next_token: told_maybe(output.next_token)?,
    })
}

fn summary(found: sdk::DicomImportJobSummary) -> Result<DicomImportJobSummary> {
    Ok(DicomImportJobSummary {
        job_id: told(found.job_id)?,
        job_name: found.job_name,
        job_status: word(found.job_status.as_str())?,
        datastore_id: told(found.datastore_id)?,
        data_access_role_arn: told_maybe(found.data_access_role_arn)?,
        ended_at: moment_maybe(found.ended_at)?,
        submitted_at: moment_maybe(found.submitted_at)?,
        message: found.message,
    })
}
