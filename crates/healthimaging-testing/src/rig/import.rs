//! Importing files, and how that ended.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;

use healthimaging::model::{
    DicomImportJobProperties, GetDicomImportJobRequest, JobStatus, StartDicomImportJobRequest,
};
use healthimaging::{DatastoreId, ImageSetId, JobId, ObjectUri};
use healthimaging_phantoms::Phantom;
use serde_json::Value;

use super::{Rig, until};

/// How an import ended, with its output files parsed.
#[derive(Debug)]
#[expect(missing_docs, reason = "each is the output file of that name")]
pub struct Outcome {
    pub job: DicomImportJobProperties,
    /// The `jobSummary` of the manifest.
    pub summary: Value,
    pub success: Vec<Value>,
    pub failure: Vec<Value>,
    pub warning: Vec<Value>,
}

impl Rig {
    /// A new empty folder that may be imported.
    pub fn new_folder(&self) -> PathBuf {
        let number = self.imports.fetch_add(1, Ordering::Relaxed);
        let path = self.objects().join(format!("input-{number}"));
        fs::create_dir(&path).unwrap();
        path
    }

    /// A request to import a folder, to be changed by the case.
    pub fn import_request(&self, store: &DatastoreId, input: &Path) -> StartDicomImportJobRequest {
        StartDicomImportJobRequest {
            job_name: None,
            datastore_id: store.clone(),
            data_access_role_arn: Some("arn:aws:iam::000000000000:role/import".parse().unwrap()),
            client_token: None,
            input_s3_uri: file_uri(input),
            output_s3_uri: Some(file_uri(&self.objects().join("output"))),
            input_owner_account_id: None,
            import_configuration: None,
        }
    }

    /// Imports files of these names; all of the outcome.
    pub async fn import<N: AsRef<Path>>(
        &self,
        store: &DatastoreId,
        files: impl IntoIterator<Item = (N, Vec<u8>)>,
    ) -> Outcome {
        let folder = self.new_folder();
        write_files(&folder, files);
        self.import_folder(store, &folder).await
    }

    /// Imports a folder; all of the outcome.
    pub async fn import_folder(&self, store: &DatastoreId, folder: &Path) -> Outcome {
        self.run(self.import_request(store, folder)).await
    }

    /// Runs an import to its COMPLETED end; all of the outcome.
    pub async fn run(&self, request: StartDicomImportJobRequest) -> Outcome {
        let store = request.datastore_id.clone();
        let started = self.service.start_dicom_import_job(request).await.unwrap();
        let job = self.wait_job(&store, &started.job_id).await;
        assert_eq!(job.job_status, JobStatus::Completed, "{:?}", job.message);
        Outcome::read(job)
    }

    /// Waits until a job has ended, well or not.
    pub async fn wait_job(&self, store: &DatastoreId, job: &JobId) -> DicomImportJobProperties {
        until(async || {
            let found = self.job(store, job).await;
            let ended = matches!(found.job_status, JobStatus::Completed | JobStatus::Failed);
            ended.then_some(found)
        })
        .await
    }

    /// Returns the status of a job.
    pub async fn job(&self, store: &DatastoreId, job: &JobId) -> DicomImportJobProperties {
        let request = GetDicomImportJobRequest { datastore_id: store.clone(), job_id: job.clone() };
        let found = self.service.get_dicom_import_job(request).await.unwrap();
        found.job_properties
    }

    /// A data store with one file in it, and the image set that it gave.
    pub async fn holding(&self, phantom: Phantom) -> (DatastoreId, ImageSetId) {
        let store = self.datastore().await;
        let set = self.put(&store, phantom).await;
        (store, set)
    }

    /// Imports one file, which must go in without remark; the image set it is in.
    pub async fn put(&self, store: &DatastoreId, phantom: Phantom) -> ImageSetId {
        let outcome = self.import(store, [("file.dcm", phantom.build())]).await;
        assert_eq!(outcome.warning, Vec::<Value>::new());
        outcome.only_set()
    }

    /// A data store in which a conflicting copy of the file is a set that is not primary.
    pub async fn holding_non_primary(&self, phantom: Phantom) -> (DatastoreId, ImageSetId) {
        let (store, _) = self.holding(phantom.clone().accession_number("PRIMARY")).await;
        let set = self.put(&store, phantom.accession_number("DEVIANT")).await;
        let found = self.image_set(&store, &set).await;
        assert_eq!(found.properties.is_primary, Some(false));
        (store, set)
    }
}

impl Outcome {
    fn read(job: DicomImportJobProperties) -> Self {
        let folder = local_path(&job.output_s3_uri);
        let lines = |name: &str| match fs::read_to_string(folder.join(name)) {
            Ok(text) => text.lines().map(|line| serde_json::from_str(line).unwrap()).collect(),
            Err(_) => Vec::new(),
        };
        let manifest = fs::read(folder.join("job-output-manifest.json")).unwrap();
        let manifest: Value = serde_json::from_slice(&manifest).unwrap();
        Self {
            summary: manifest["jobSummary"].clone(),
            success: lines("SUCCESS/success.ndjson"),
            failure: lines("FAILURE/failure.ndjson"),
            warning: lines("WARNING/warning.ndjson"),
            job,
        }
    }

    /// The one image set of an import in which every file went in.
    pub fn only_set(&self) -> ImageSetId {
        let sets = self.sets();
        assert_eq!(sets.len(), 1, "{:?}", self.summary);
        sets[0].clone()
    }

    /// The image sets of an import in which every file went in.
    pub fn sets(&self) -> Vec<ImageSetId> {
        assert_eq!(self.failure, Vec::<Value>::new());
        let sets = self.summary["imageSetsSummary"].as_array().unwrap();
        sets.iter().map(|set| id(&set["imageSetId"])).collect()
    }

    /// The image set that a file went into.
    pub fn set_of(&self, name: &str) -> ImageSetId {
        id(&line_of(&self.success, name)["importResponse"]["imageSetId"])
    }

    /// Why the only file was refused.
    pub fn only_refusal(&self) -> &str {
        assert_eq!(self.success, Vec::<Value>::new());
        assert_eq!(self.failure.len(), 1, "{:?}", self.failure);
        let exception = &self.failure[0]["exception"];
        assert_eq!(exception["exceptionType"], "ValidationException");
        exception["message"].as_str().unwrap()
    }
}

/// Returns the line of a file.
pub fn line_of<'a>(lines: &'a [Value], name: &str) -> &'a Value {
    let speaks = |line: &&Value| {
        let key = line["inputFile"].as_str().unwrap();
        key == name || key.ends_with(&format!("/{name}"))
    };
    let mut found = lines.iter().filter(speaks);
    let line = found.next().unwrap_or_else(|| panic!("no line for {name} in {lines:?}"));
    assert!(found.next().is_none(), "two lines for {name}");
    line
}

/// Writes files below a folder, making folders as needed.
pub fn write_files<N: AsRef<Path>>(folder: &Path, files: impl IntoIterator<Item = (N, Vec<u8>)>) {
    for (name, bytes) in files {
        let path = folder.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }
}

/// The `file://` URI of a folder.
pub fn file_uri(path: &Path) -> ObjectUri {
    let text = path.to_str().unwrap();
    ObjectUri::try_from(format!("file://{text}")).unwrap()
}

/// The folder that a `file://` URI names.
pub fn local_path(uri: &ObjectUri) -> PathBuf {
    PathBuf::from(uri.as_str().strip_prefix("file://").unwrap())
}

/// The image set id in a JSON value.
fn id(value: &Value) -> ImageSetId {
    ImageSetId::try_from(value.as_str().unwrap()).unwrap()
}
