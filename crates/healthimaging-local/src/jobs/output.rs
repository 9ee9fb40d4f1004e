//! The output of a job: a manifest, and one line per file, as the service writes them.

use std::collections::BTreeMap;

use bytes::Bytes;
use futures::TryStreamExt;
use futures::stream::BoxStream;
use healthimaging::{DatastoreId, ImageSetId, JobId, ObjectUri, Result};
use healthimaging_objects::{Location, ObjectWriter};
use serde::Serialize;

use crate::error::StoreError;
use crate::ingest::{Imported, Outcome, Reason};

/// The job, for the manifest.
#[derive(Debug)]
pub(super) struct About<'a> {
    pub(super) job: &'a JobId,
    pub(super) datastore: &'a DatastoreId,
    pub(super) input_uri: &'a ObjectUri,
    /// With the job's own folder and a `/` at its end.
    pub(super) output_uri: &'a ObjectUri,
    pub(super) scanned: usize,
}

const MANIFEST: &str = "job-output-manifest.json";
const SUCCESS: &str = "SUCCESS/success.ndjson";
const FAILURE: &str = "FAILURE/failure.ndjson";
const WARNING: &str = "WARNING/warning.ndjson";

/// The folder of a job's output beneath the requested one.
pub(super) fn folder(uri: &ObjectUri, datastore: &DatastoreId, job: &JobId) -> Result<ObjectUri> {
    let uri = uri.as_str().trim_end_matches('/');
    ObjectUri::try_from(format!("{uri}/{datastore}-DicomImport-{job}/"))
}

/// Checks that the output can be written, before the work begins. Partial files of an earlier run of the job are
/// removed.
pub(super) async fn probe(to: &Location) -> Result<()> {
    to.discard_drafts().await?;
    to.write(SUCCESS, Bytes::new()).await
}

/// Writes the output, page by page; the manifest last, since its presence means that the output is complete.
pub(super) async fn write(
    to: &Location,
    about: &About<'_>,
    mut pages: BoxStream<'_, Result<Outcomes, StoreError>>,
) -> Result<(), StoreError> {
    let mut lists = Lists::create(to).await?;
    let mut summary = Summary::of(about);
    while let Some(outcomes) = pages.try_next().await? {
        let mut lines = Lines::default();
        for (key, outcome) in &outcomes {
            summary.add(outcome);
            lines.add(key, outcome);
        }
        lists.add(lines).await?;
    }
    lists.finish().await?;
    let manifest = Manifest { job_summary: summary.finish() };
    Ok(to.write(MANIFEST, line(&manifest).into()).await?)
}

/// Files and their outcomes.
pub(super) type Outcomes = Vec<(String, Outcome)>;

/// The three lists while they are written.
struct Lists {
    success: ObjectWriter,
    failure: ObjectWriter,
    warning: ObjectWriter,
}

impl Lists {
    async fn create(to: &Location) -> Result<Self> {
        Ok(Self {
            success: to.create(SUCCESS).await?,
            failure: to.create(FAILURE).await?,
            warning: to.create(WARNING).await?,
        })
    }

    async fn add(&mut self, lines: Lines) -> Result<()> {
        self.success.write(lines.success.into()).await?;
        self.failure.write(lines.failure.into()).await?;
        self.warning.write(lines.warning.into()).await
    }

    async fn finish(self) -> Result<()> {
        self.success.finish().await?;
        self.failure.finish().await?;
        self.warning.finish().await
    }
}

/// Lines of one page of outcomes.
#[derive(Default)]
struct Lines {
    success: Vec<u8>,
    failure: Vec<u8>,
    warning: Vec<u8>,
}

impl Lines {
    /// A file with warnings is in an image set, so it has a success line too.
    fn add(&mut self, key: &str, outcome: &Outcome) {
        match outcome {
            Outcome::Refused(refusal) => self.failure.extend(line(&FailureLine {
                input_file: key,
                exception: Exception {
                    exception_type: &refusal.exception,
                    message: &refusal.message,
                },
            })),
            Outcome::Imported(imported) => {
                self.success.extend(line(&SuccessLine::of(key, imported, None)));
                if !imported.warnings.is_empty() {
                    let warnings = imported.warnings.iter();
                    let warnings = warnings.map(|warning| WarningOut {
                        warning_reason_code: warning.reason.code(),
                        kind: warning.reason,
                        message: &warning.message,
                    });
                    let with_warnings = Some(warnings.collect());
                    let warned = SuccessLine::of(key, imported, with_warnings);
                    self.warning.extend(line(&warned));
                }
            }
        }
    }
}

/// One line of JSON. These shapes have no map keys or numbers that JSON cannot hold.
fn line<T: Serialize>(value: &T) -> Vec<u8> {
    let mut line = serde_json::to_vec(value).unwrap_or_default();
    line.push(b'\n');
    line
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct SuccessLine<'a> {
    input_file: &'a str,
    import_response: ImportResponse<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ImportResponse<'a> {
    image_set_id: &'a ImageSetId,
    image_set_version: u32,
    is_primary: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    warnings: Option<Vec<WarningOut<'a>>>,
}

/// The service mixes snake case and others here.
#[derive(Serialize)]
struct WarningOut<'a> {
    warning_reason_code: u16,
    #[serde(rename = "type")]
    kind: Reason,
    message: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct FailureLine<'a> {
    input_file: &'a str,
    exception: Exception<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Exception<'a> {
    exception_type: &'a str,
    message: &'a str,
}

impl<'a> SuccessLine<'a> {
    fn of(key: &'a str, imported: &'a Imported, warnings: Option<Vec<WarningOut<'a>>>) -> Self {
        Self {
            input_file: key,
            import_response: ImportResponse {
                image_set_id: &imported.image_set,
                image_set_version: imported.version,
                is_primary: imported.is_primary,
                warnings,
            },
        }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Manifest<'a> {
    job_summary: SummaryOut<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct SummaryOut<'a> {
    job_id: &'a JobId,
    datastore_id: &'a DatastoreId,
    #[serde(rename = "inputS3Uri")]
    input_uri: &'a ObjectUri,
    #[serde(rename = "outputS3Uri")]
    output_uri: &'a ObjectUri,
    #[serde(rename = "successOutputS3Uri")]
    success_output_uri: String,
    #[serde(rename = "failureOutputS3Uri")]
    failure_output_uri: String,
    #[serde(rename = "warningsOutputS3Uri")]
    warnings_output_uri: String,
    number_of_scanned_files: usize,
    number_of_imported_files: usize,
    number_of_files_with_customer_error: usize,
    number_of_files_with_server_error: usize,
    number_of_generated_image_sets: usize,
    image_sets_summary: Vec<ImageSetOut>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ImageSetOut {
    image_set_id: ImageSetId,
    image_set_version: u32,
    is_primary: bool,
    #[serde(rename = "numberOfMatchedSOPInstances")]
    instances: usize,
}

struct Summary<'a> {
    about: &'a About<'a>,
    imported: usize,
    customer_errors: usize,
    server_errors: usize,
    /// By id; the latest version that the job made, and files.
    image_sets: BTreeMap<ImageSetId, ImageSetOut>,
}

impl<'a> Summary<'a> {
    fn of(about: &'a About<'a>) -> Self {
        Self {
            about,
            imported: 0,
            customer_errors: 0,
            server_errors: 0,
            image_sets: BTreeMap::new(),
        }
    }

    fn add(&mut self, outcome: &Outcome) {
        match outcome {
            Outcome::Refused(refusal) if refusal.is_fault() => self.server_errors += 1,
            Outcome::Refused(_) => self.customer_errors += 1,
            Outcome::Imported(imported) => {
                self.imported += 1;
                let id = imported.image_set.clone();
                let set = self.image_sets.entry(id.clone()).or_insert(ImageSetOut {
                    image_set_id: id,
                    image_set_version: imported.version,
                    is_primary: imported.is_primary,
                    instances: 0,
                });
                set.image_set_version = set.image_set_version.max(imported.version);
                set.instances += 1;
            }
        }
    }

    fn finish(self) -> SummaryOut<'a> {
        let below = |name: &str| {
            let folder = name.split('/').next().unwrap_or_default();
            format!("{}{folder}/", self.about.output_uri)
        };
        SummaryOut {
            job_id: self.about.job,
            datastore_id: self.about.datastore,
            input_uri: self.about.input_uri,
            output_uri: self.about.output_uri,
            success_output_uri: below(SUCCESS),
            failure_output_uri: below(FAILURE),
            warnings_output_uri: below(WARNING),
            number_of_scanned_files: self.about.scanned,
            number_of_imported_files: self.imported,
            number_of_files_with_customer_error: self.customer_errors,
            number_of_files_with_server_error: self.server_errors,
            number_of_generated_image_sets: self.image_sets.len(),
            image_sets_summary: self.image_sets.into_values().collect(),
        }
    }
}
