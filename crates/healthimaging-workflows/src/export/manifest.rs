//! What an export writes at its end: a manifest, and one line a file, shaped as those of an import.

use std::collections::BTreeMap;

use bytes::Bytes;
use futures::TryStreamExt as _;
use serde::Serialize;
use serde_json::{Map, Value, json};

use healthimaging::{ImageSetId, JobId, ObjectUri, PublicType, Result};
use healthimaging_objects::{Location, Objects};

use super::deidentified::Report;
use super::lines::Lines;
use super::naming::ENDING;
use super::{Counts, Export, count};
use crate::work::{ItemOutcome, ItemResult, Journal};

const MANIFEST: &str = "job-output-manifest.json";
const SUCCESS: &str = "SUCCESS/success.ndjson";
const FAILURE: &str = "FAILURE/failure.ndjson";

/// The folder of the manifest and the outcome files.
pub(super) struct Folder<'a> {
    export: &'a Export,
    uri: ObjectUri,
    place: Location,
}

/// What became of the files, all runs of the job together.
#[derive(Default)]
struct Totals {
    written: u64,
    bytes: u64,
    held_back: u64,
    /// Files held back, by reason.
    reasons: BTreeMap<String, u64>,
    customer_errors: u64,
    server_errors: u64,
}

impl<'a> Folder<'a> {
    /// Opens it, and shows that it can be written before the work begins.
    pub(super) async fn open(
        export: &'a Export,
        objects: &Objects,
        job_id: &JobId,
    ) -> Result<Self> {
        let uri = export.outcome_uri(job_id)?;
        let place = objects.location(&uri)?.resumable(job_id.as_str());
        place.write(SUCCESS, Bytes::new()).await?;
        Ok(Self { export, uri, place })
    }

    /// Writes it all, and returns the report; the manifest last, since its presence says that the rest
    /// is there.
    pub(super) async fn write(
        &self,
        output: &Location,
        journal: &dyn Journal,
        counts: &Counts,
    ) -> Result<Map<String, Value>> {
        let mut success = Lines::of(self.place.create(SUCCESS).await?);
        let mut failure = Lines::of(self.place.create(FAILURE).await?);
        let mut totals = Totals::default();
        let deidentify = self.export.deidentify.as_ref();
        let mut report = match deidentify {
            Some(deidentify) => Some(Report::create(deidentify, &self.place).await?),
            None => None,
        };
        let mut outcomes = journal.outcomes();
        while let Some(mut outcome) = outcomes.try_next().await? {
            let mut file = None;
            if outcome.item.ends_with(ENDING) {
                file = Some(match &report {
                    None => output.key(&outcome.item)?,
                    // Above the output, folders may be named after a patient.
                    Some(_) => outcome.item.clone(),
                });
            }
            if let Some(report) = &mut report {
                report.add(&outcome).await?;
                // It leads to the original.
                outcome.image_set_id = None;
            }
            match totals.add(&outcome) {
                ItemResult::HeldBack => {}
                ItemResult::Failed => failure.add(&FailureLine::of(file, &outcome)).await?,
                _ => success.add(&SuccessLine::of(file, &outcome)).await?,
            }
        }
        success.finish().await?;
        failure.finish().await?;
        if let Some(report) = report {
            report.finish(&self.place, journal.job_id()).await?;
        }
        let manifest = self.manifest(journal.job_id(), &totals, counts);
        let text = Bytes::from(manifest.to_string() + "\n");
        self.place.write(MANIFEST, text).await?;
        Ok(self.report(&totals, counts))
    }

    fn manifest(&self, job_id: &JobId, totals: &Totals, counts: &Counts) -> Value {
        let is_deidentified = self.export.deidentify.is_some();
        // Above the output, folders may be named after a patient.
        let uri = |uri: &ObjectUri| (!is_deidentified).then(|| uri.clone());
        let own = uri(&self.uri).map_or_else(String::new, |uri| uri.to_string());
        let below = |file: &str| {
            let folder = file.split('/').next().unwrap_or_default();
            format!("{own}{folder}/")
        };
        let mut manifest = json!({ "jobSummary": {
            "jobId": job_id,
            "datastoreId": self.export.datastore_id,
            "outputS3Uri": uri(&self.uri),
            "filesS3Uri": uri(&self.export.output_uri),
            "successOutputS3Uri": below(SUCCESS),
            "failureOutputS3Uri": below(FAILURE),
            "numberOfImageSets": count(&counts.image_sets),
            "numberOfNonPrimaryImageSetsLeftOut": count(&counts.left_out),
            "numberOfExportedFiles": totals.written,
            "sizeInBytes": totals.bytes,
            "numberOfFilesWithCustomerError": totals.customer_errors,
            "numberOfFilesWithServerError": totals.server_errors,
        }});
        if is_deidentified && let Some(summary) = manifest["jobSummary"].as_object_mut() {
            summary.retain(|_, value| !value.is_null());
            summary.insert("numberOfFilesHeldBack".to_owned(), totals.held_back.into());
        }
        manifest
    }

    fn report(&self, totals: &Totals, counts: &Counts) -> Map<String, Value> {
        let report = json!({
            "output_s3_uri": self.uri,
            "files_written": totals.written,
            "bytes_written": totals.bytes,
            "files_failed": totals.customer_errors + totals.server_errors,
            "image_sets": count(&counts.image_sets),
            "non_primary_image_sets_left_out": count(&counts.left_out),
        });
        let Value::Object(mut report) = report else { return Map::new() };
        if self.export.deidentify.is_some() {
            report.insert("files_held_back".to_owned(), totals.held_back.into());
            report.insert("held_back_reasons".to_owned(), json!(totals.reasons));
        }
        report
    }
}

impl Totals {
    /// Counts an outcome, and returns what became of the file.
    fn add(&mut self, outcome: &ItemOutcome) -> ItemResult {
        let kind = outcome.error.as_ref().map(|error| error.kind);
        match (outcome.result, kind) {
            (ItemResult::HeldBack, _) => {
                self.held_back += 1;
                let reason = outcome.details.get("message").and_then(Value::as_str);
                *self.reasons.entry(reason.unwrap_or("unknown").to_owned()).or_default() += 1;
            }
            (_, Some(PublicType::ServerError | PublicType::ServiceError)) => {
                self.server_errors += 1;
            }
            (_, Some(_)) => self.customer_errors += 1,
            (_, None) => {
                self.written += 1;
                let bytes = outcome.details.get("size_in_bytes");
                self.bytes += bytes.and_then(Value::as_u64).unwrap_or_default();
            }
        }
        outcome.result
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct SuccessLine<'a> {
    output_file: Option<String>,
    export_response: ExportResponse<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ExportResponse<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    image_set_id: Option<&'a ImageSetId>,
    is_primary: Option<&'a Value>,
    transfer_syntax_uid: Option<&'a Value>,
    size_in_bytes: Option<&'a Value>,
    sha256: Option<&'a Value>,
}

impl<'a> SuccessLine<'a> {
    fn of(output_file: Option<String>, outcome: &'a ItemOutcome) -> Self {
        let detail = |name: &str| outcome.details.get(name);
        Self {
            output_file,
            export_response: ExportResponse {
                image_set_id: outcome.image_set_id.as_ref(),
                is_primary: detail("is_primary"),
                transfer_syntax_uid: detail("transfer_syntax_uid"),
                size_in_bytes: detail("size_in_bytes"),
                sha256: detail("sha256"),
            },
        }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct FailureLine<'a> {
    /// None, where the fault is in the image set, or the instance cannot be a file.
    #[serde(skip_serializing_if = "Option::is_none")]
    output_file: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    image_set_id: Option<&'a ImageSetId>,
    exception: Exception<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Exception<'a> {
    exception_type: &'static str,
    message: &'a str,
}

impl<'a> FailureLine<'a> {
    fn of(output_file: Option<String>, outcome: &'a ItemOutcome) -> Self {
        let error = outcome.error.as_ref();
        let exception_type = match error.map(|error| error.kind) {
            Some(PublicType::ValidationError) => "ValidationException",
            Some(PublicType::NotFound) => "ResourceNotFoundException",
            Some(PublicType::AuthError) => "AccessDeniedException",
            _ => "InternalServerException",
        };
        Self {
            output_file,
            image_set_id: outcome.image_set_id.as_ref(),
            exception: Exception {
                exception_type,
                message: error.map_or("", |error| &error.message),
            },
        }
    }
}
