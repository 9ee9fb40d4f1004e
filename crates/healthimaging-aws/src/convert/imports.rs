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

use super::{optional_timestamp, parse, parse_optional, parse_value, required, timestamp, unbuilt};

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
        datastore_id: parse(output.datastore_id)?,
        job_id: parse(output.job_id)?,
        job_status: parse_value(output.job_status.as_str())?,
        submitted_at: timestamp(output.submitted_at)?,
    })
}

pub(crate) fn got(output: GetDicomImportJobOutput) -> Result<GetDicomImportJobResponse> {
    let found = required(output.job_properties, "jobProperties")?;
    Ok(GetDicomImportJobResponse {
        job_properties: DicomImportJobProperties {
            job_id: parse(found.job_id)?,
            job_name: found.job_name,
            job_status: parse_value(found.job_status.as_str())?,
            datastore_id: parse(found.datastore_id)?,
            data_access_role_arn: parse_optional(
                Some(found.data_access_role_arn).filter(|arn| !arn.is_empty()),
            )?,
            ended_at: optional_timestamp(found.ended_at)?,
            submitted_at: optional_timestamp(found.submitted_at)?,
            input_s3_uri: parse(found.input_s3_uri)?,
            output_s3_uri: parse(found.output_s3_uri)?,
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
            study_instance_uid: parse(mapping.study_instance_uid)?,
            series_instance_uid: parse_optional(mapping.series_instance_uid)?,
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
        next_token: parse_optional(output.next_token)?,
    })
}

fn summary(found: sdk::DicomImportJobSummary) -> Result<DicomImportJobSummary> {
    Ok(DicomImportJobSummary {
        job_id: parse(found.job_id)?,
        job_name: found.job_name,
        job_status: parse_value(found.job_status.as_str())?,
        datastore_id: parse(found.datastore_id)?,
        data_access_role_arn: parse_optional(found.data_access_role_arn)?,
        ended_at: optional_timestamp(found.ended_at)?,
        submitted_at: optional_timestamp(found.submitted_at)?,
        message: found.message,
    })
}
