//! Long operations report progress, and stop when they are cancelled.

use healthimaging_phantoms::{Archive, write_to};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::held::HeldS3;
use crate::program;
use crate::wire::{Wire, request};

/// Long enough to be reported.
const ARCHIVE: Archive =
    Archive { patients: 1, studies: 1, series: 2, instances: 12, size: 64, seed: 7, noise: 18.0 };

/// A client that counts its requests.
struct Talk {
    wire: Wire,
    last: u32,
}

impl Talk {
    /// A server over an empty store, which finds S3 at `s3`.
    async fn start(s3: Option<&HeldS3>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut command = program(folder.path());
        if let Some(s3) = s3 {
            command
                .env("AWS_ENDPOINT_URL_S3", &s3.address)
                .env("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
                .env("AWS_SECRET_ACCESS_KEY", "secret");
        }
        let mut wire = Wire::over(folder, command);
        wire.initialize().await;
        Self { wire, last: 0 }
    }

    fn folder(&self) -> &TempDir {
        &self.wire.folder
    }

    fn next_call(&mut self, tool: &str, arguments: &Value) -> Value {
        self.last += 1;
        let params = json!({
            "name": tool, "arguments": arguments, "_meta": { "progressToken": self.last }
        });
        request(self.last, "tools/call", &params)
    }

    /// Sends a call and does not wait for its answer; its request id.
    async fn send(&mut self, tool: &str, arguments: &Value) -> u32 {
        let call = self.next_call(tool, arguments);
        self.wire.send(&call.to_string()).await;
        self.last
    }

    /// The next progress of a call.
    async fn progress(&mut self, id: u32) -> Value {
        loop {
            let mut message = self.wire.next().await;
            if message["method"] == "notifications/progress"
                && message["params"]["progressToken"] == id
            {
                return message["params"].take();
            }
        }
    }

    /// Calls a tool; returns its answer and its progress until then. An earlier call that still runs may
    /// report its own in between.
    async fn call(&mut self, tool: &str, arguments: Value) -> (Value, Vec<f64>) {
        let id = self.send(tool, &arguments).await;
        let mut progress = Vec::new();
        loop {
            let mut message = self.wire.next().await;
            if message["method"] == "notifications/progress" {
                assert!(message["params"]["message"].is_string(), "{message}");
                let of = message["params"]["progressToken"].as_u64().unwrap();
                assert!(of <= u64::from(id), "{message}");
                if of == u64::from(id) {
                    progress.push(message["params"]["progress"].as_f64().unwrap());
                }
            } else if message["id"] == id {
                return (message["result"].take(), progress);
            }
        }
    }

    /// The same for a call that has to do what is asked.
    async fn done(&mut self, tool: &str, arguments: Value) -> (Value, Vec<f64>) {
        let (mut result, progress) = self.call(tool, arguments).await;
        assert_eq!(result["isError"], false, "{tool}: {result}");
        (result["structuredContent"].take(), progress)
    }

    /// A job, as soon as it has this status.
    async fn job_with(&mut self, fact: &str, asked: &Value) -> Value {
        loop {
            let (mut found, _) = self.done("get_job", asked.clone()).await;
            if found["job"].get(fact).is_some() {
                return found["job"].take();
            }
        }
    }

    /// A data store that holds the archive.
    async fn fill(&mut self) -> Value {
        let asked = json!({ "datastore_name": "ward", "wait_seconds": 60 });
        let (made, _) = self.done("create_datastore", asked).await;
        let scans = self.folder().path().join("scans");
        write_to(&scans, ARCHIVE.files()).unwrap();
        let asked = json!({ "datastore_id": made["datastore_id"], "paths": [scans] });
        let (stored, progress) = self.done("store_dicom_instances", asked).await;
        assert_eq!(stored["stored"], 24);
        grows("store_dicom_instances", &progress);
        made["datastore_id"].clone()
    }
}

/// The protocol wants each progress to be more than the one before.
fn grows(tool: &str, progress: &[f64]) {
    assert!(!progress.is_empty(), "{tool} reports no progress");
    assert!(progress.is_sorted_by(|a, b| a < b), "{tool}: {progress:?}");
}

#[tokio::test]
async fn long_operations_report_progress() {
    let mut talk = Talk::start(None).await;
    let store = talk.fill().await;
    let folder = talk.folder().path().display().to_string();
    let import = json!({
        "datastore_id": store, "input_s3_uri": format!("file://{folder}/scans/"),
        "wait_seconds": 120
    });
    let (job, progress) = talk.done("start_dicom_import_job", import).await;
    assert_eq!(job["job_status"], "COMPLETED", "{job}");
    grows("start_dicom_import_job", &progress);
    let export = json!({ "datastore_id": store, "output_s3_uri": format!("file://{folder}/out/") });
    let (job, progress) = talk.done("start_dicom_export_job", export).await;
    assert_eq!(job["job_status"], "COMPLETED", "{job}");
    grows("start_dicom_export_job", &progress);
    let (found, _) = talk.done("search_image_sets", json!({ "datastore_id": store })).await;
    let set = &found["image_sets_metadata_summaries"][0];
    let patient = &set["dicom_tags"]["DICOMPatientId"];
    let (made, _) = talk
        .done("create_datastore", json!({ "datastore_name": "other", "wait_seconds": 60 }))
        .await;
    let copy = json!({
        "datastore_id": made["datastore_id"], "source_datastore_id": store,
        "source_image_set_id": set["image_set_id"],
        "copy_image_set_information": { "sourceImageSet": { "latestVersionId": set["version"].to_string() } }
    });
    let (copied, progress) = talk.done("copy_image_set", copy).await;
    assert_eq!(copied["across_data_stores"]["stored"], 12, "{copied}");
    grows("copy_image_set", &progress);
    let update = json!({
        "datastore_id": store, "patient_id": patient, "metadata_updates": { "PatientName": "DOE^JANE" }
    });
    let delete = json!({ "datastore_id": store, "patient_id": patient });
    for (tool, mut asked) in
        [("bulk_update_patient_metadata", update), ("delete_patient_studies", delete)]
    {
        let (plan, _) = talk.done(tool, asked.clone()).await;
        asked["confirmation_token"] = plan["confirmation_token"].clone();
        let (job, progress) = talk.done(tool, asked).await;
        assert_eq!(job["job_status"], "COMPLETED", "{job}");
        grows(tool, &progress);
    }
    talk.wire.hang_up().await;
}

/// The error of a call, which is JSON in its text.
fn refusal(result: &Value) -> Value {
    serde_json::from_str(result["content"][0]["text"].as_str().unwrap()).unwrap()
}

/// An export into a bucket that does not answer.
fn into_nowhere(store: &Value) -> Value {
    json!({ "datastore_id": store, "output_s3_uri": "s3://bucket/out/", "wait_seconds": 600 })
}

/// The job in a progress message.
fn job_of(progress: &Value) -> String {
    let message = progress["message"].as_str().unwrap();
    let rest = message.strip_prefix("job ").unwrap();
    rest.split(':').next().unwrap().to_owned()
}

#[tokio::test]
async fn a_call_that_is_cancelled_cancels_its_job() {
    let s3 = HeldS3::start().await;
    let mut talk = Talk::start(Some(&s3)).await;
    let store = talk.fill().await;
    let id = talk.send("start_dicom_export_job", &into_nowhere(&store)).await;
    let job = job_of(&talk.progress(id).await);
    s3.is_asked().await;
    let cancelled = json!({
        "jsonrpc": "2.0", "method": "notifications/cancelled", "params": { "requestId": id }
    });
    talk.wire.send(&cancelled.to_string()).await;
    let asked = json!({ "job_id": job });
    // It waits for the files that it is at.
    talk.job_with("message", &asked).await;
    s3.let_go();
    let ended = talk.job_with("ended_at", &asked).await;
    assert_eq!(ended["job_status"], "CANCELLED", "{ended}");
    talk.wire.hang_up().await;
}

#[tokio::test]
async fn a_job_is_cancelled_once() {
    let s3 = HeldS3::start().await;
    let mut talk = Talk::start(Some(&s3)).await;
    let store = talk.fill().await;
    let id = talk.send("start_dicom_export_job", &into_nowhere(&store)).await;
    let job = json!({ "job_id": job_of(&talk.progress(id).await) });
    s3.is_asked().await;
    talk.done("cancel_job", job.clone()).await;
    let (again, _) = talk.call("cancel_job", job.clone()).await;
    assert_eq!(again["isError"], true, "{again}");
    let error = refusal(&again);
    assert_eq!(error["type"], "service_error", "{error}");
    let message = error["message"].as_str().unwrap();
    assert!(message.contains("was cancelled before"), "{message}");
    s3.let_go();
    // The call that started it answers when the job has ended.
    let answer = loop {
        let message = talk.wire.next().await;
        if message["id"] == id {
            break message;
        }
    };
    let ended = &answer["result"]["structuredContent"];
    assert_eq!(ended["job_status"], "CANCELLED", "{answer}");
    let (late, _) = talk.call("cancel_job", job).await;
    let late = refusal(&late);
    let message = late["message"].as_str().unwrap();
    assert!(message.contains("has ended (CANCELLED)"), "{message}");
    talk.wire.hang_up().await;
}
