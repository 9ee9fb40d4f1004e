//! What an export writes at its end: a manifest, and one line a file, shaped as those of an import.

use bytes::Bytes;
use futures::TryStreamExt as _;
use serde::Serialize;
use serde_json::{Map, Value, json};

use healthimaging::{ImageSetId, JobId, ObjectUri, PublicType, Result};
use healthimaging_objects::{Location, ObjectWriter, Objects};

use super::items::ENDING;
use super::{Counts, Export, count};
use crate::work::{ItemError, ItemOutcome, Journal};

const MANIFEST: &str = "job-output-manifest.json";
const SUCCESS: &str = "SUCCESS/success.ndjson";
const FAILURE: &str = "FAILURE/failure.ndjson";

/// Bytes of lines that are written together.
const TOGETHER: usize = 256 << 10;

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
        let mut outcomes = journal.outcomes();
        while let Some(outcome) = outcomes.try_next().await? {
            let file = if outcome.item.ends_with(ENDING) {
                Some(output.key(&outcome.item)?)
            } else {
                None
            };
            if totals.add(&outcome) {
                success.add(&SuccessLine::of(file, &outcome)).await?;
            } else {
                failure.add(&FailureLine::of(file, &outcome)).await?;
            }
        }
        success.finish().await?;
        failure.finish().await?;
        let manifest = self.manifest(journal.job_id(), &totals, counts);
        let text = Bytes::from(manifest.to_string() + "\n");
        self.place.write(MANIFEST, text).await?;
        Ok(self.report(&totals, counts))
    }

    fn manifest(&self, job_id: &JobId, totals: &Totals, counts: &Counts) -> Value {
        let below = |file: &str| {
            let folder = file.split('/').next().unwrap_or_default();
            format!("{}{folder}/", self.uri)
        };
        json!({ "jobSummary": {
            "jobId": job_id,
            "datastoreId": self.export.datastore_id,
            "outputS3Uri": self.uri,
            "filesS3Uri": self.export.output_uri,
            "successOutputS3Uri": below(SUCCESS),
            "failureOutputS3Uri": below(FAILURE),
            "numberOfImageSets": count(&counts.image_sets),
            "numberOfNonPrimaryImageSetsLeftOut": count(&counts.left_out),
            "numberOfExportedFiles": totals.written,
            "sizeInBytes": totals.bytes,
            "numberOfFilesWithCustomerError": totals.customer_errors,
            "numberOfFilesWithServerError": totals.server_errors,
        }})
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
        match report {
            Value::Object(report) => report,
            _ => Map::new(),
        }
    }
}

impl Totals {
    /// Counts an outcome; whether there is a file.
    fn add(&mut self, outcome: &ItemOutcome) -> bool {
        match &outcome.error {
            None => {
                self.written += 1;
                let bytes = outcome.details.get("size_in_bytes");
                self.bytes += bytes.and_then(Value::as_u64).unwrap_or_default();
            }
            Some(ItemError {
                kind: PublicType::ServerError | PublicType::ServiceError, ..
            }) => {
                self.server_errors += 1;
            }
            Some(_) => self.customer_errors += 1,
        }
        outcome.error.is_none()
    }
}

/// A file of lines of JSON.
struct Lines {
    writing: ObjectWriter,
    waiting: Vec<u8>,
}

impl Lines {
    fn of(writing: ObjectWriter) -> Self {
        Self { writing, waiting: Vec::new() }
    }

    async fn add<T: Serialize>(&mut self, line: &T) -> Result<()> {
        // These shapes have no map keys or numbers that JSON cannot hold.
        self.waiting.extend(serde_json::to_vec(line).unwrap_or_default());
        self.waiting.push(b'\n');
        if self.waiting.len() < TOGETHER {
            return Ok(());
        }
        let waiting = std::mem::take(&mut self.waiting);
        self.writing.write(waiting.into()).await
    }

    async fn finish(mut self) -> Result<()> {
        self.writing.write(self.waiting.into()).await?;
        self.writing.finish().await
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
