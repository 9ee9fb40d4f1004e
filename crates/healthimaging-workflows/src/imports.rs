//! Outcome files of import jobs: counts, and the outcome of each file.
//!
//! The service writes `job-output-manifest.json` and the lists `SUCCESS`, `FAILURE` and `WARNING`, one JSON object a line,
//! into the output folder of the job, and no operation returns them.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use healthimaging::model::{JobStatus, ListDicomImportJobsRequest};
use healthimaging::{
    DatastoreId, Error, ErrorKind, HealthImaging, ImageSetId, JobId, ObjectUri, Result,
};
use healthimaging_objects::{Location, Objects, file_path};

const MANIFEST: &str = "job-output-manifest.json";

/// Maximum length of an outcome file that is read, in bytes.
pub(crate) const LONGEST: u64 = 64 << 20;

/// Reasons of failures that are listed, the most frequent first.
const REASONS: usize = 5;

/// Image sets that are listed; the rest is counted.
const IMAGE_SETS: usize = 10;

/// A list of files, by their outcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
#[schemars(inline)]
pub enum List {
    /// Files that were not imported.
    #[default]
    Failure,
    /// Files that were imported with a warning.
    Warning,
    /// Files that were imported.
    Success,
}

impl List {
    /// Its file below the output folder.
    pub(crate) const fn file(self) -> &'static str {
        match self {
            Self::Failure => "FAILURE/failure.ndjson",
            Self::Warning => "WARNING/warning.ndjson",
            Self::Success => "SUCCESS/success.ndjson",
        }
    }
}

/// Counts of an import job that has ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(inline)]
pub struct Counts {
    /// Files that the job found.
    pub files_total: u64,
    /// Files that it imported.
    pub files_imported: u64,
    /// Files that it did not import.
    pub files_failed: u64,
    /// How many of those failed by a fault of the service.
    pub files_failed_by_service: u64,
    /// Imported files with a warning.
    pub files_with_warnings: usize,
    /// The most frequent reasons of failures.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub failure_reasons: Vec<Reason>,
    /// Number of further reasons, which the list of failed files has.
    #[serde(skip_serializing_if = "is_zero")]
    pub more_failure_reasons: usize,
    /// Image sets that it created or extended.
    pub image_sets: usize,
    /// How many of those are not primary.
    pub non_primary_image_sets: usize,
    /// The first image sets, those that are not primary before others.
    pub first_image_sets: Vec<ImportedImageSet>,
}

/// A reason of failures.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(inline)]
pub struct Reason {
    /// Message of the service.
    pub message: String,
    /// Files that failed for it.
    pub files: usize,
}

/// An image set that an import created or extended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all(deserialize = "camelCase"))]
#[schemars(inline)]
pub struct ImportedImageSet {
    /// ID.
    pub image_set_id: ImageSetId,
    /// Latest version that the job made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image_set_version: Option<u32>,
    /// Whether it is primary.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub is_primary: Option<bool>,
    /// Number of its instances that the job imported.
    #[serde(rename(deserialize = "numberOfMatchedSOPInstances"))]
    pub instances: u64,
}

/// Outcome of one file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(inline)]
pub struct FileOutcome {
    /// Its key.
    pub file: String,
    /// The image set that it is in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image_set_id: Option<ImageSetId>,
    /// Why it was not imported, or the warnings.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub messages: Vec<String>,
}

/// A line of a list, as the service writes it.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Line {
    input_file: String,
    #[serde(default)]
    import_response: Option<Response>,
    #[serde(default)]
    exception: Option<Message>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Response {
    #[serde(default)]
    image_set_id: Option<ImageSetId>,
    #[serde(default)]
    warnings: Vec<Message>,
}

#[derive(Deserialize)]
struct Message {
    #[serde(default)]
    message: String,
}

impl From<Line> for FileOutcome {
    fn from(line: Line) -> Self {
        let response = line.import_response;
        let (image_set_id, warnings) =
            response.map_or((None, Vec::new()), |found| (found.image_set_id, found.warnings));
        let messages = line.exception.into_iter().chain(warnings);
        Self {
            file: line.input_file,
            image_set_id,
            messages: messages.map(|one| one.message).collect(),
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Manifest {
    job_summary: Summary,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Summary {
    #[serde(default)]
    number_of_scanned_files: u64,
    #[serde(default)]
    number_of_imported_files: u64,
    #[serde(default)]
    number_of_files_with_customer_error: u64,
    #[serde(default)]
    number_of_files_with_server_error: u64,
    #[serde(default)]
    image_sets_summary: Vec<ImportedImageSet>,
}

/// Returns the import jobs of a data store that have not ended, up to a page of submitted and of running ones: not all of
/// their files are in the data store.
///
/// # Errors
/// Those of listing.
pub async fn not_ended(
    service: &dyn HealthImaging,
    datastore_id: &DatastoreId,
) -> Result<Vec<JobId>> {
    let mut jobs = Vec::new();
    for status in [JobStatus::Submitted, JobStatus::InProgress] {
        let request = ListDicomImportJobsRequest {
            datastore_id: datastore_id.clone(),
            job_status: Some(status),
            next_token: None,
            max_results: None,
        };
        let found = service.list_dicom_import_jobs(request).await?.job_summaries;
        jobs.extend(found.into_iter().map(|job| job.job_id));
    }
    Ok(jobs)
}

/// Returns how many imports into a data store have not ended, for the report of a job that begins to read it: `None` if
/// all have. It is no error if the caller may not list them.
pub(crate) async fn count_not_ended(
    service: &dyn HealthImaging,
    datastore_id: &DatastoreId,
) -> Option<usize> {
    match not_ended(service, datastore_id).await {
        Ok(jobs) => Some(jobs.len()).filter(|count| *count > 0),
        Err(error) => {
            tracing::debug!(?error, "the import jobs of the data store cannot be listed");
            None
        }
    }
}

/// The name of that number in reports.
pub const NOT_ENDED: &str = "import_jobs_not_ended";

/// Returns the output folder of an import job: it was named to the job, or is the store's own, so that it is read without
/// being among the allowed folders.
///
/// # Errors
/// `Credentials` for S3 without credentials.
pub(crate) fn folder(objects: &Objects, output: &ObjectUri) -> Result<Location> {
    let folders: Vec<PathBuf> = file_path(output).into_iter().collect();
    objects.allowing(&folders).location(output)
}

/// Returns the counts of an import job that has ended, from the folder that it returns as its output.
///
/// # Errors
/// `NotFound` if there is no manifest: the service may write it a moment after the job has ended. An error of reading.
pub async fn counts(objects: &Objects, output: &ObjectUri) -> Result<Counts> {
    let folder = folder(objects, output)?;
    let Manifest { job_summary: summary } = parse(&folder.read(MANIFEST, LONGEST).await?)?;
    let failures = lines(&folder, List::Failure).await?;
    let mut sets = summary.image_sets_summary;
    let image_sets = sets.len();
    let is_other = |set: &&ImportedImageSet| set.is_primary == Some(false);
    let non_primary_image_sets = sets.iter().filter(is_other).count();
    sets.sort_by_key(|set| set.is_primary != Some(false));
    sets.truncate(IMAGE_SETS);
    let by_service = summary.number_of_files_with_server_error;
    let (failure_reasons, more_failure_reasons) = reasons(&failures);
    Ok(Counts {
        files_total: summary.number_of_scanned_files,
        files_imported: summary.number_of_imported_files,
        files_failed: summary.number_of_files_with_customer_error + by_service,
        files_failed_by_service: by_service,
        files_with_warnings: lines(&folder, List::Warning).await?.len(),
        failure_reasons,
        more_failure_reasons,
        image_sets,
        non_primary_image_sets,
        first_image_sets: sets,
    })
}

/// Returns how many files an import job did not import, from the folder that it returns as its output.
///
/// # Errors
/// As [`counts`].
pub async fn files_failed(objects: &Objects, output: &ObjectUri) -> Result<u64> {
    let manifest = folder(objects, output)?.read(MANIFEST, LONGEST).await?;
    let Manifest { job_summary: summary } = parse(&manifest)?;
    Ok(summary.number_of_files_with_customer_error + summary.number_of_files_with_server_error)
}

/// Returns the files of a list; none if the job wrote no such list.
///
/// # Errors
/// An error of reading.
pub async fn files(objects: &Objects, output: &ObjectUri, list: List) -> Result<Vec<FileOutcome>> {
    lines(&folder(objects, output)?, list).await
}

async fn lines(folder: &Location, list: List) -> Result<Vec<FileOutcome>> {
    let text = match folder.read(list.file(), LONGEST).await {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        other => other?,
    };
    let lines = text.split(|byte| *byte == b'\n').filter(|line| !line.trim_ascii().is_empty());
    lines.map(|line| parse::<Line>(line).map(FileOutcome::from)).collect()
}

fn parse<T: DeserializeOwned>(text: &[u8]) -> Result<T> {
    serde_json::from_slice(text).map_err(|error| {
        let message = "an outcome file of the import does not have the documented form";
        Error::new(ErrorKind::Service, message).with_source(error)
    })
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature that serde requires")]
const fn is_zero(count: &usize) -> bool {
    *count == 0
}

/// The most frequent messages first, equal counts in the order of the text; and how many more there are.
fn reasons(failures: &[FileOutcome]) -> (Vec<Reason>, usize) {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for message in failures.iter().flat_map(|file| &file.messages) {
        *counts.entry(message).or_default() += 1;
    }
    let reason = |(message, files): (&str, usize)| Reason { message: message.to_owned(), files };
    let mut reasons: Vec<Reason> = counts.into_iter().map(reason).collect();
    reasons.sort_by_key(|reason| Reverse(reason.files));
    let more = reasons.len().saturating_sub(REASONS);
    reasons.truncate(REASONS);
    (reasons, more)
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use healthimaging_objects::{ObjectsConfig, file_uri};

    use super::*;

    /// The forms of the developer guide: keys without a bucket, warnings in the response, no list of warnings in older jobs.
    #[tokio::test]
    async fn the_files_of_the_service_are_read() {
        let folder = tempfile::tempdir().unwrap();
        let config = ObjectsConfig {
            allowed_paths: vec![folder.path().to_owned()],
            ..ObjectsConfig::default()
        };
        let objects = Objects::new(config);
        let output = file_uri(folder.path()).unwrap();
        assert_eq!(counts(&objects, &output).await.unwrap_err().kind(), ErrorKind::NotFound);
        let place = objects.location(&output).unwrap();
        let set = |id: &str, more: &str| {
            format!(r#"{{"imageSetId":"{id}","numberOfMatchedSOPInstances":2{more}}}"#)
        };
        let (first, other) = ("a".repeat(32), "b".repeat(32));
        let manifest = format!(
            r#"{{"jobSummary":{{"jobId":"x","numberOfScannedFiles":7,"numberOfImportedFiles":4,
            "numberOfFilesWithCustomerError":2,"numberOfFilesWithServerError":1,
            "numberOfGeneratedImageSets":2,"imageSetsSummary":[{},{}]}}}}"#,
            set(&first, ""),
            set(&other, r#","imageSetVersion":3,"isPrimary":false"#),
        );
        let failure = |file: &str, message: &str| {
            format!(
                "{{\"inputFile\":\"{file}\",\"exception\":{{\"exceptionType\":\"ValidationException\",\"message\":\"{message}\"}}}}\n"
            )
        };
        let failures =
            [failure("scans/1", "one"), failure("scans/2", "two"), failure("scans/3", "two")];
        let warning = format!(
            "{{\"inputFile\":\"scans/4\",\"importResponse\":{{\"imageSetId\":\"{first}\",\"imageSetVersion\":1,\"isPrimary\":true,\
             \"warnings\":[{{\"warning_reason_code\":45330,\"type\":\"InvalidOffsetTable\",\"message\":\"odd\"}}]}}}}\n"
        );
        for (name, text) in [(MANIFEST, manifest), ("FAILURE/failure.ndjson", failures.concat())] {
            place.write(name, Bytes::from(text)).await.unwrap();
        }
        let before = counts(&objects, &output).await.unwrap();
        assert_eq!((before.files_total, before.files_imported, before.files_failed), (7, 4, 3));
        assert_eq!((before.files_failed_by_service, before.files_with_warnings), (1, 0));
        assert_eq!((before.image_sets, before.non_primary_image_sets), (2, 1));
        assert_eq!(before.first_image_sets[0].image_set_id.as_str(), other);
        let reasons: Vec<_> =
            before.failure_reasons.iter().map(|one| (one.message.as_str(), one.files)).collect();
        assert_eq!(reasons, [("two", 2), ("one", 1)]);
        assert_eq!(before.more_failure_reasons, 0);
        place.write("WARNING/warning.ndjson", Bytes::from(warning)).await.unwrap();
        assert_eq!(counts(&objects, &output).await.unwrap().files_with_warnings, 1);
        let warned = files(&objects, &output, List::Warning).await.unwrap();
        assert_eq!(
            (warned[0].file.as_str(), &warned[0].messages[..]),
            ("scans/4", &["odd".to_owned()][..])
        );
        assert!(files(&objects, &output, List::Success).await.unwrap().is_empty());
        let many: String = (0..7).map(|at| failure(&at.to_string(), &at.to_string())).collect();
        place.write("FAILURE/failure.ndjson", Bytes::from(many)).await.unwrap();
        let many = counts(&objects, &output).await.unwrap();
        assert_eq!((many.failure_reasons.len(), many.more_failure_reasons), (5, 2));
        place.write("FAILURE/failure.ndjson", Bytes::from_static(b"{\"a\":")).await.unwrap();
        let error = files(&objects, &output, List::Failure).await.unwrap_err();
        assert!(error.message().contains("documented form"), "{error:?}");
    }
}
