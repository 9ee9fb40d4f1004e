//! Export jobs: start, get, list. They are jobs of this server: the AWS API has none.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use healthimaging::model::GetDatastoreRequest;
use healthimaging::{
    ClientToken, DatastoreId, Error, JobId, JobName, NextToken, ObjectUri, Result, RoleArn,
    Timestamp, Uid,
};
use healthimaging_workflows::deidentify::{self, Deidentify, Review};
use healthimaging_workflows::export::{self, Export};
use healthimaging_workflows::find::{Criteria, Moment, Span};
use healthimaging_workflows::{Job, JobFilter, JobState, NewJob, Work};

use crate::answer::Reply;
use crate::arguments::{MaxResults, WaitSeconds};
use crate::context::Context;
use crate::listing;
use crate::tool::{Effect, Tool};

/// Jobs in one page of the ledger.
const PAGE_SIZE: u32 = 50;

/// Export instances as DICOM files, `study/series/instance.dcm` below an s3:// or file:/// folder, with a
/// manifest, as a job. Without filters it exports the whole data store.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct StartDicomExportJob {
    /// ID or name
    datastore_id: Option<DatastoreId>,
    /// s3://bucket/prefix/ or file:///folder/
    output_s3_uri: ObjectUri,
    /// Ignored
    data_access_role_arn: Option<RoleArn>,
    /// Letters, digits, ._/#-
    job_name: Option<JobName>,
    /// Idempotency token
    client_token: Option<ClientToken>,
    /// (0020,000D)
    study_instance_uid: Option<Uid>,
    /// (0020,000E)
    series_instance_uid: Option<Uid>,
    /// (0008,0018)
    sop_instance_uid: Option<Uid>,
    /// Created until, ISO 8601
    submitted_before: Option<Moment>,
    /// Created since, ISO 8601
    submitted_after: Option<Moment>,
    /// Of the files; default: as stored
    transfer_syntax_uid: Option<Uid>,
    /// Also non-primary image sets
    include_non_primary: Option<bool>,
    /// Replace files with other content
    overwrite: Option<bool>,
    /// By PS3.15; images at risk are held back
    deidentify: Option<DeidentifyInput>,
    wait_seconds: Option<WaitSeconds>,
}

// How to de-identify. An unknown option is an error that lists all.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(inline)]
pub(crate) struct DeidentifyInput {
    /// basic
    profile: String,
    /// clean-pixel-data, retain-modified-dates, …
    #[serde(default)]
    options: Vec<String>,
}

impl DeidentifyInput {
    /// Checks the names; the key is that of the data folder. What a person has to see is no argument of a tool.
    pub(super) fn chosen(self, context: &Context) -> Result<Deidentify> {
        let request = deidentify::Request {
            profile: self.profile,
            options: self.options,
            key_file: None,
            review: Review::default(),
        };
        Deidentify::new(request, context.ledger().tools())
    }
}

impl Tool for StartDicomExportJob {
    const NAME: &'static str = export::TOOL;
    const TITLE: &'static str = "Start DICOM export job";
    const EXAMPLE: &'static str = r#"{"datastore_id": "0f1e2d3c4b5a69788796a5b4c3d2e1f0", "output_s3_uri": "s3://bucket/export/", "study_instance_uid": "1.2.840.113619.2.1", "wait_seconds": 60}"#;
    const EFFECT: Effect = Effect::Writes;
    type Output = ExportJobProperties;

    async fn call(self, context: &Context) -> Result<Reply<Self::Output>> {
        let datastore_id = context.datastore(self.datastore_id).await?;
        let submitted = Span { from: self.submitted_after, to: self.submitted_before };
        let is_open = submitted.from.is_none() && submitted.to.is_none();
        let role_is_unused = self.data_access_role_arn.is_some();
        let deidentify = self.deidentify.map(|input| input.chosen(context)).transpose()?;
        let export = Export {
            datastore_id: datastore_id.clone(),
            output_uri: self.output_s3_uri,
            criteria: Criteria {
                study_instance_uid: self.study_instance_uid,
                series_instance_uid: self.series_instance_uid,
                created_at: (!is_open).then_some(submitted),
                ..Criteria::default()
            },
            sop_instance_uid: self.sop_instance_uid,
            include_non_primary: self.include_non_primary == Some(true),
            overwrite: self.overwrite == Some(true),
            transfer_syntax_uid: self.transfer_syntax_uid,
            deidentify,
            linkage: None,
            data_access_role_arn: self.data_access_role_arn,
            allowed_paths: Vec::new(),
        };
        let real: Export = match context.redaction() {
            Some(redaction) => redaction.with_values(&export)?,
            None => export.clone(),
        };
        real.check(context.ledger().tools()).await?;
        let new = NewJob {
            tool: Self::NAME,
            job_name: self.job_name,
            client_token: self.client_token,
            datastore_id,
            work: Work::Export(real),
        };
        let job = context.run_job(new, self.wait_seconds).await?;
        let job = ExportJobProperties::of(job, export)?;
        let mut text = job.summary();
        if role_is_unused {
            text.push_str(
                " data_access_role_arn is not used: this server writes with its own credentials.",
            );
        }
        Ok(Reply::new(job, text))
    }
}

/// Get the status of a DICOM export job.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct GetDicomExportJob {
    /// ID or name
    datastore_id: Option<DatastoreId>,
    /// Job ID
    job_id: JobId,
}

/// An export job.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct FoundExportJob {
    job_properties: ExportJobProperties,
}

impl Tool for GetDicomExportJob {
    const NAME: &'static str = "get_dicom_export_job";
    const TITLE: &'static str = "Get DICOM export job";
    const EXAMPLE: &'static str = r#"{"datastore_id": "0f1e2d3c4b5a69788796a5b4c3d2e1f0", "job_id": "5c0ffee05c0ffee05c0ffee05c0ffee0"}"#;
    const EFFECT: Effect = Effect::Reads;
    type Output = FoundExportJob;

    async fn call(self, context: &Context) -> Result<Reply<Self::Output>> {
        let datastore_id = context.datastore(self.datastore_id).await?;
        let job = context.ledger().get(&self.job_id).await?;
        match context.ledger().work(&self.job_id).await? {
            Work::Export(export) if export.datastore_id == datastore_id => {
                let job_properties = ExportJobProperties::of(job, export)?;
                let text = job_properties.summary();
                Ok(Reply::new(FoundExportJob { job_properties }, text))
            }
            _ => Err(Error::not_found(
                "the data store has no export job of this id; list_dicom_export_jobs lists them",
            )),
        }
    }
}

/// List the export jobs of a data store, newest first.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ListDicomExportJobs {
    /// ID or name
    datastore_id: Option<DatastoreId>,
    /// Only jobs with this status
    #[serde(alias = "status")]
    job_status: Option<JobState>,
    /// 1 to 100; default 50
    max_results: Option<MaxResults>,
    next_token: Option<NextToken>,
}

/// Summaries of export jobs.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct ExportJobs {
    job_summaries: Vec<ExportJobSummary>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_token: Option<NextToken>,
}

impl Tool for ListDicomExportJobs {
    const NAME: &'static str = "list_dicom_export_jobs";
    const TITLE: &'static str = "List DICOM export jobs";
    const EXAMPLE: &'static str =
        r#"{"datastore_id": "0f1e2d3c4b5a69788796a5b4c3d2e1f0", "job_status": "COMPLETED"}"#;
    const EFFECT: Effect = Effect::Reads;
    type Output = ExportJobs;

    async fn call(self, context: &Context) -> Result<Reply<Self::Output>> {
        let datastore_id = context.datastore(self.datastore_id).await?;
        let request = GetDatastoreRequest { datastore_id: datastore_id.clone() };
        // A data store that does not exist is an error, not an empty list.
        context.service().get_datastore(request).await?;
        let filter = JobFilter {
            datastore_id: Some(datastore_id),
            job_status: self.job_status,
            tool: Some(export::TOOL.to_owned()),
        };
        let ledger = context.ledger();
        let fetch = async |next_token, page_size| ledger.list(&filter, next_token, page_size).await;
        let page =
            listing::join(self.max_results, self.next_token, PAGE_SIZE, |_| true, fetch).await?;
        let next = page.next_token.as_ref();
        let text = listing::summary(page.items.len(), "export job", next);
        let output = ExportJobs {
            job_summaries: page.items.into_iter().map(ExportJobSummary::of).collect(),
            next_token: page.next_token,
        };
        Ok(Reply::new(output, text))
    }
}

/// Summary of an export job.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(inline)]
pub(crate) struct ExportJobSummary {
    job_id: JobId,
    #[serde(skip_serializing_if = "Option::is_none")]
    job_name: Option<JobName>,
    job_status: JobState,
    datastore_id: DatastoreId,
    submitted_at: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    ended_at: Option<Timestamp>,
    files_done: u64,
    files_failed: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<String>,
}

impl ExportJobSummary {
    fn of(job: Job) -> Self {
        Self {
            job_id: job.job_id,
            job_name: job.job_name,
            job_status: job.job_status,
            datastore_id: job.datastore_id,
            submitted_at: job.submitted_at,
            ended_at: job.ended_at,
            files_done: job.items_done,
            files_failed: job.items_failed,
            message: job.message,
        }
    }
}

/// Properties of an export job.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(inline)]
pub(crate) struct ExportJobProperties {
    #[serde(flatten)]
    job: ExportJobSummary,
    /// Folder of the manifest.
    output_s3_uri: ObjectUri,
    /// Folder of the files.
    files_s3_uri: ObjectUri,
    #[serde(skip_serializing_if = "Option::is_none")]
    files_total: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    bytes_written: Option<u64>,
    /// Image sets that were not selected.
    #[serde(skip_serializing_if = "Option::is_none")]
    non_primary_image_sets_left_out: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    data_access_role_arn: Option<RoleArn>,
    #[serde(skip_serializing_if = "Option::is_none")]
    study_instance_uid: Option<Uid>,
    #[serde(skip_serializing_if = "Option::is_none")]
    series_instance_uid: Option<Uid>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sop_instance_uid: Option<Uid>,
    #[serde(skip_serializing_if = "Option::is_none")]
    submitted_before: Option<Moment>,
    #[serde(skip_serializing_if = "Option::is_none")]
    submitted_after: Option<Moment>,
    #[serde(skip_serializing_if = "Option::is_none")]
    transfer_syntax_uid: Option<Uid>,
    include_non_primary: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    deidentify: Option<DeidentifiedBy>,
    /// Files that a person has to look at first.
    #[serde(skip_serializing_if = "Option::is_none")]
    files_held_back: Option<u64>,
    /// Their number by reason.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    held_back_reasons: BTreeMap<String, u64>,
}

/// How an export is de-identified.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(inline)]
struct DeidentifiedBy {
    profile: String,
    options: Vec<String>,
    /// Digest of the key.
    key_id: String,
}

impl DeidentifiedBy {
    fn of(deidentify: Deidentify) -> Self {
        let Deidentify { profile, options, key_id, .. } = deidentify;
        Self { profile, options, key_id }
    }
}

impl ExportJobProperties {
    fn of(job: Job, export: Export) -> Result<Self> {
        let output_s3_uri = export.outcome_uri(&job.job_id)?;
        let report = job.report.as_ref();
        let reported = |name: &str| report?.get(name).and_then(Value::as_u64);
        let submitted = export.criteria.created_at;
        Ok(Self {
            output_s3_uri,
            files_s3_uri: export.output_uri,
            files_total: job.items_total,
            bytes_written: reported("bytes_written"),
            non_primary_image_sets_left_out: reported("non_primary_image_sets_left_out"),
            data_access_role_arn: export.data_access_role_arn,
            study_instance_uid: export.criteria.study_instance_uid,
            series_instance_uid: export.criteria.series_instance_uid,
            sop_instance_uid: export.sop_instance_uid,
            submitted_before: submitted.as_ref().and_then(|span| span.to),
            submitted_after: submitted.as_ref().and_then(|span| span.from),
            transfer_syntax_uid: export.transfer_syntax_uid,
            include_non_primary: export.include_non_primary,
            deidentify: export.deidentify.map(DeidentifiedBy::of),
            files_held_back: reported("files_held_back"),
            held_back_reasons: held_back_reasons(report),
            job: ExportJobSummary::of(job),
        })
    }

    fn summary(&self) -> String {
        let ExportJobSummary { job_id, job_status, files_done, files_failed, message, .. } =
            &self.job;
        let held_back = self.files_held_back.unwrap_or_default();
        let written = files_done.saturating_sub(*files_failed).saturating_sub(held_back);
        let why = message.as_deref().map(|why| format!(" ({why})"));
        let counted = self.files_held_back.map(|files| format!("; held back: {files}"));
        let reasons: Vec<String> = self
            .held_back_reasons
            .iter()
            .map(|(reason, files)| format!("{files} because {reason}"))
            .collect();
        let directions = match held_back {
            0 => String::new(),
            _ => format!(
                " Held back: {}. DEIDENTIFICATION/report.ndjson below output_s3_uri lists them: look at their pixels, \
                 then export each series with review.",
                reasons.join("; ")
            ),
        };
        format!(
            "Export job {job_id} is {job_status}{}. Files written: {written}; failed: {files_failed}{}.{directions}",
            why.unwrap_or_default(),
            counted.unwrap_or_default()
        )
    }
}

fn held_back_reasons(report: Option<&Map<String, Value>>) -> BTreeMap<String, u64> {
    let reasons = report.and_then(|report| report.get("held_back_reasons")?.as_object());
    let reason = |(reason, files): (&String, &Value)| Some((reason.clone(), files.as_u64()?));
    reasons.into_iter().flatten().filter_map(reason).collect()
}
