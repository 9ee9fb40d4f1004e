//! `redact-token`, `serve --redact-phi`, which serves MCP alone, and credentials with `redact`, which reach MCP alone.

use serde_json::json;

use crate::access::{ADMIN, Stage, asked, call, mcp};
use crate::http::Served;
use crate::rig::{Rig, stdout};

const ASSISTANT: &str = "assistant-token-of-the-test";

#[test]
fn a_person_gets_the_token_of_a_value() {
    let rig = Rig::new();
    let token = stdout(&rig.run(&["redact-token", "PatientID", "MRN-1"]));
    assert!(token.starts_with("phi-00100020-") && token.lines().count() == 1, "{token}");
    // The same in every process, by keyword and by tag, and with padding.
    for words in [["PatientID", "MRN-1 "], ["00100020", "MRN-1"]] {
        assert_eq!(stdout(&rig.run(&["redact-token", words[0], words[1]])), token);
    }
    let other = Rig::new();
    assert_ne!(stdout(&other.run(&["redact-token", "PatientID", "MRN-1"])), token);
    let json = stdout(&rig.run(&["redact-token", "PatientID", "MRN-1", "--json"]));
    assert_eq!(json, format!("{{\"token\":\"{}\"}}\n", token.trim()));
    for wrong in [["NoSuchKeyword", "1"], ["Modality", "CT"], ["PatientID", " "]] {
        let failed = rig.run(&["redact-token", wrong[0], wrong[1]]);
        assert!(!failed.status.success() && failed.stdout.is_empty(), "{wrong:?}");
    }
}

#[test]
fn serve_offers_mcp_alone() {
    let rig = Rig::new();
    let served = Served::start(&rig, &["--redact-phi"]);
    for path in ["/", "/datastore", "/datastore/ward/studies", "/imageSet"] {
        let answer = served.ask(&format!("GET {path}"), "");
        assert!(answer.starts_with("HTTP/1.1 404"), "{path}: {answer}");
    }
    let healthy = served.ask("GET /healthz", "");
    assert!(healthy.starts_with("HTTP/1.1 200"), "{healthy}");
    let mcp = served.ask("GET /mcp", "");
    assert!(!mcp.starts_with("HTTP/1.1 404"), "{mcp}");
}

#[test]
fn a_credential_with_redact_sees_tokens_and_reaches_mcp_alone() {
    let stage = Stage::new();
    stage.write(&json!([
        { "name": "assistant", "token": ASSISTANT, "scope": "destroy", "redact": true },
        { "name": "admin", "token": ADMIN, "scope": "destroy" },
    ]));
    let served = stage.serve();
    let search = json!({ "datastore_id": stage.main });
    let tags = |token: &str| {
        let found = call(&served, token, "search_image_sets", &search);
        found["structuredContent"]["image_sets_metadata_summaries"][0]["dicom_tags"].clone()
    };
    let (shown, real) = (tags(ASSISTANT), tags(ADMIN));
    let text = |tags: &serde_json::Value, name: &str| tags[name].as_str().unwrap().to_owned();
    for name in ["DICOMPatientId", "DICOMPatientName", "DICOMStudyInstanceUID"] {
        assert!(text(&shown, name).starts_with("phi-"), "{name}: {shown}");
        assert!(!text(&real, name).starts_with("phi-"), "{name}: {real}");
    }
    let (patient, token) = (text(&real, "DICOMPatientId"), text(&shown, "DICOMPatientId"));
    let made = stage.rig.run(&["redact-token", "PatientID", &patient]);
    assert_eq!(stdout(&made).trim(), token);

    // Each takes what it is shown.
    let studies = |by: &str, id: &str| {
        let asked = json!({ "datastore_id": stage.main, "patient_id": id });
        call(&served, by, "get_patient_studies", &asked)["isError"] == true
    };
    assert!(!studies(ASSISTANT, &token) && studies(ASSISTANT, &patient));
    assert!(!studies(ADMIN, &patient));
    for (by, is_described) in [(ASSISTANT, true), (ADMIN, false)] {
        let about = mcp(&served, by, "server/discover", json!({}))["result"].clone();
        let instructions = about["instructions"].as_str().unwrap().to_owned();
        assert_eq!(instructions.contains("redact-token"), is_described, "{instructions}");
        assert_eq!(about["cacheScope"], if is_described { "private" } else { "public" });
    }
    let listed = mcp(&served, ASSISTANT, "resources/list", json!({})).to_string();
    let set = call(&served, ADMIN, "search_image_sets", &search);
    let set = &set["structuredContent"]["image_sets_metadata_summaries"][0]["image_set_id"];
    let set = set.as_str().unwrap();
    let uri = format!("healthimaging://datastores/{}/image-sets/{set}/metadata", stage.main);
    let metadata = mcp(&served, ASSISTANT, "resources/read", json!({ "uri": uri }));
    let texts = format!("{listed}{metadata}");
    assert!(texts.contains(&token) && !texts.contains(&patient), "{texts}");

    // Every other face refuses it, and says why.
    let main = &stage.main;
    let mut paths = vec![
        "GET /datastore".to_owned(),
        "GET /metrics".to_owned(),
        format!("GET /datastore/{main}/studies"),
        format!("GET /datastore/main/studies/{}/metadata", text(&real, "DICOMStudyInstanceUID")),
        format!("POST /datastore/{main}/imageSet/{set}/getImageSetMetadata"),
        format!("DELETE /datastore/{main}"),
    ];
    for path in &paths {
        let refused = asked(&served, ASSISTANT, path, b"");
        let said = String::from_utf8(refused.body).unwrap();
        assert!(refused.status == 403 && said.contains("redact"), "{path}: {said}");
        assert!(!said.contains(&patient), "{path}: {said}");
    }
    paths.pop();
    for path in &paths {
        assert_eq!(asked(&served, ADMIN, path, b"").status, 200, "{path}");
    }

    // A plan is confirmed by another request of the same credential, and carried out with the values.
    let mut erase = json!({ "datastore_id": main, "patient_id": token, "wait_seconds": 60 });
    let planned = call(&served, ASSISTANT, "delete_patient_studies", &erase);
    assert!(!planned.to_string().contains(&patient), "{planned}");
    erase["confirmation_token"] = planned["structuredContent"]["confirmation_token"].clone();
    let done = call(&served, ASSISTANT, "delete_patient_studies", &erase);
    assert!(!done.to_string().contains(&patient), "{done}");
    let left = call(&served, ADMIN, "search_image_sets", &search);
    assert_eq!(left["structuredContent"]["image_sets_metadata_summaries"], json!([]), "{done}");
}
