//! `--redact-phi` of the real program: nothing that identifies a patient is on its wire or in its log.

use std::fs::File;

use healthimaging_phantoms::{Phantom, PhantomFile, write_to};
use serde_json::{Value, json};

use crate::program;
use crate::wire::{Wire, initialize, modern, request};

/// What identifies the patient of [`files`], in parts.
const SECRETS: [&str; 9] = [
    "quillfeather",
    "zebedee",
    "xqz-77031",
    "acc-90417",
    "2.25.4711",
    "19570317",
    "20240229",
    "1957-03-17",
    "2024-02-29",
];

fn files() -> Vec<PhantomFile> {
    let file = |number: u32| {
        let phantom = Phantom::ct()
            .size(32, 32)
            .patient("QUILLFEATHER^ZEBEDEE", "XQZ-77031")
            .born("19570317", "M")
            .study_uid("2.25.4711")
            .series_uid("2.25.4711.1")
            .sop_uid(&format!("2.25.4711.1.{number}"))
            .study_date("20240229")
            .study_description("CHEST Quillfeather")
            .series_description("LUNG XQZ-77031 of 2024-02-29")
            .accession_number("ACC-90417")
            .instance_number(number)
            .slice_position(f64::from(number));
        PhantomFile {
            relative_path: format!("QUILLFEATHER/{number}.dcm").into(),
            bytes: phantom.build(),
        }
    };
    (1..4).map(file).collect()
}

/// A conversation of which every line is looked through.
struct Watched {
    wire: Wire,
    asked: u32,
}

impl Watched {
    async fn ask(&mut self, method: &str, params: &Value) -> Value {
        self.asked += 1;
        self.wire.send(&request(self.asked, method, params).to_string()).await;
        loop {
            let message = self.wire.next().await;
            check(method, &message.to_string());
            if message["id"] == self.asked {
                return message;
            }
        }
    }

    async fn call(&mut self, tool: &str, arguments: Value) -> Value {
        let params = json!({
            "name": tool, "arguments": arguments, "_meta": { "progressToken": self.asked }
        });
        let answer = self.ask("tools/call", &params).await;
        assert_eq!(answer["result"]["isError"], false, "{tool}: {answer}");
        answer["result"]["structuredContent"].clone()
    }
}

fn check(about: &str, text: &str) {
    let text = text.to_lowercase();
    for secret in SECRETS {
        assert!(!text.contains(secret), "{about} shows {secret}: {text}");
    }
}

#[tokio::test]
async fn nothing_on_the_wire_or_in_the_log_identifies_a_patient() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("log");
    write_to(&folder.path().join("scans"), files()).unwrap();
    let mut command = program(folder.path());
    command.args(["--redact-phi", "--log-level", "debug"]).stderr(File::create(&log).unwrap());
    let scans = format!("file://{}/", folder.path().join("scans").display());
    let mut watched = Watched { wire: Wire::over(folder, command), asked: 100 };
    let hello = watched.wire.initialize().await;
    assert!(hello.to_string().contains("redact-token"), "{hello}");

    let made = json!({ "datastore_name": "ward", "wait_seconds": 60 });
    let made = watched.call("create_datastore", made).await;
    let store = made["datastore_id"].as_str().unwrap().to_owned();
    let import = json!({ "datastore_id": store, "input_s3_uri": scans, "wait_seconds": 120 });
    let job = watched.call("start_dicom_import_job", import).await;
    let asked = json!({ "datastore_id": store, "job_id": job["job_id"], "list": "SUCCESS" });
    let files = watched.call("get_dicom_import_job", asked).await;
    assert_eq!(files["files"].as_array().unwrap().len(), 3, "{files}");

    let found = watched.call("search_image_sets", json!({})).await;
    let set = &found["image_sets_metadata_summaries"][0];
    let (id, tags) = (set["image_set_id"].as_str().unwrap(), &set["dicom_tags"]);
    assert_eq!(tags["DICOMStudyDescription"], "CHEST ***", "{tags}");
    let read = watched.call("get_image_set_metadata", json!({ "image_set_id": id })).await;
    assert_eq!(read["metadata"]["Patient"]["DICOM"]["PatientID"], tags["DICOMPatientId"]);
    let series = tags["DICOMSeriesInstanceUID"].clone();
    let asked = json!({ "series_instance_uid": series });
    watched.call("get_series_contact_sheet", asked.clone()).await;
    watched.call("view_series", asked).await;

    watched.ask("resources/list", &json!({})).await;
    let uri = format!("healthimaging://datastores/{store}/image-sets/{id}/metadata");
    let templates = watched.ask("resources/templates/list", &json!({})).await;
    assert!(templates["result"]["resourceTemplates"].is_array(), "{templates}");
    watched.ask("resources/read", &json!({ "uri": uri })).await;

    // Completion offers tokens, and nothing by the start of a value.
    let complete = |value: &str| {
        json!({
            "ref": { "type": "ref/prompt", "name": "summarize_patient" },
            "argument": { "name": "patient_id", "value": value }
        })
    };
    let offered = watched.ask("completion/complete", &complete("")).await;
    assert_eq!(offered["result"]["completion"]["values"], json!([tags["DICOMPatientId"]]));
    for guess in ["X", "XQZ", "xqz"] {
        watched.asked += 1;
        let line = request(watched.asked, "completion/complete", &complete(guess)).to_string();
        watched.wire.send(&line).await;
        let offered = watched.wire.next().await;
        assert_eq!(offered["result"]["completion"]["values"], json!([]), "{offered}");
    }

    let patient = tags["DICOMPatientId"].clone();
    let mut erase = json!({ "datastore_id": store, "patient_id": patient, "wait_seconds": 60 });
    let planned = watched.call("delete_patient_studies", erase.clone()).await;
    erase["confirmation_token"] = planned["confirmation_token"].clone();
    let done = watched.call("delete_patient_studies", erase).await;
    assert_eq!(done["report"]["remaining"]["image_sets"], 0, "{done}");
    watched.call("get_job", json!({ "job_id": done["job_id"] })).await;

    check("the log", &std::fs::read_to_string(&log).unwrap());
    watched.wire.hang_up().await;
}

/// Asks for an erasure by a client with elicitation, and returns the question to its user and the answer after a refusal,
/// in both eras of the protocol.
async fn questions(flags: &[&str]) -> Vec<(String, String)> {
    let folder = tempfile::tempdir().unwrap();
    write_to(&folder.path().join("scans"), files()).unwrap();
    let scans = format!("file://{}/", folder.path().join("scans").display());
    let mut command = program(folder.path());
    let log = folder.path().join("log");
    command.args(["--redact-phi", "--log-level", "debug"]).args(flags);
    command.stderr(File::create(&log).unwrap());
    let mut wire = Wire::over(folder, command);
    let mut greeting = initialize();
    greeting["params"]["capabilities"] = json!({ "elicitation": {} });
    wire.ask(greeting).await;
    let ready = json!({ "jsonrpc": "2.0", "method": "notifications/initialized" });
    wire.send(&ready.to_string()).await;
    let call = |id: u32, tool: &str, arguments: Value| {
        request(id, "tools/call", &json!({ "name": tool, "arguments": arguments }))
    };
    let made = json!({ "datastore_name": "ward", "wait_seconds": 60 });
    let made = wire.ask(call(1, "create_datastore", made)).await;
    let store = made["result"]["structuredContent"]["datastore_id"].clone();
    let import = json!({ "datastore_id": store, "input_s3_uri": scans, "wait_seconds": 120 });
    wire.ask(call(2, "start_dicom_import_job", import)).await;
    let found = wire.ask(call(3, "search_image_sets", json!({}))).await;
    let set = &found["result"]["structuredContent"]["image_sets_metadata_summaries"][0];
    let patient = set["dicom_tags"]["DICOMPatientId"].clone();
    let erase =
        call(4, "delete_patient_studies", json!({ "datastore_id": store, "patient_id": patient }));

    wire.send(&erase.to_string()).await;
    let asked = wire.next().await;
    assert_eq!(asked["method"], "elicitation/create", "{asked}");
    let question = asked["params"]["message"].as_str().unwrap().to_owned();
    let reply = json!({ "jsonrpc": "2.0", "id": asked["id"], "result": { "action": "decline" } });
    wire.send(&reply.to_string()).await;
    let answer = wire.next().await;
    let mut all = vec![(question, answer.to_string())];

    let mut params = modern(erase["params"].clone());
    params["_meta"]["io.modelcontextprotocol/clientCapabilities"] = json!({ "elicitation": {} });
    let round = wire.ask(request(5, "tools/call", &params)).await;
    let asked = &round["result"]["inputRequests"]["agreement"]["params"]["message"];
    let question = asked.as_str().unwrap_or_else(|| panic!("{round}")).to_owned();
    params["requestState"] = round["result"]["requestState"].clone();
    params["inputResponses"] = json!({ "agreement": { "action": "decline" } });
    let answer = wire.ask(request(6, "tools/call", &params)).await;
    all.push((question, answer.to_string()));
    check("the log", &std::fs::read_to_string(&log).unwrap());
    wire.hang_up().await;
    all
}

#[tokio::test]
async fn only_the_person_asked_for_consent_may_see_values_and_only_by_a_flag() {
    for (question, answer) in questions(&[]).await {
        assert!(question.contains("phi-"), "{question}");
        check("the question", &question);
        check("the answer", &answer);
    }
    for (question, answer) in questions(&["--redact-phi-show-in-consent"]).await {
        for value in ["QUILLFEATHER", "XQZ-77031", "2024-02-29"] {
            assert!(question.contains(value), "{question}");
        }
        assert!(!question.contains("phi-"), "{question}");
        assert!(answer.contains("phi-"), "{answer}");
        check("the answer", &answer);
    }
}
