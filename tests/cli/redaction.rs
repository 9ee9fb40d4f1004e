//! `redact-token`, `serve --redact-phi`, which serves MCP alone, and credentials with `redact`, which reach MCP alone.

use std::fs;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use healthimaging_audit::Keys;
use serde_json::{Value, json};

use crate::access::{ADMIN, Stage, asked, call, mcp};
use crate::http::Served;
use crate::rig::{Rig, stderr, stdout, text};

const ASSISTANT: &str = "assistant-token-of-the-test";
const STRICT: &str = "strict-token-of-the-test";
const ISSUER: &str = "https://login.example";
const AUDIENCE: &str = "https://images.example/mcp";

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
    let text = |tags: &Value, name: &str| tags[name].as_str().unwrap().to_owned();
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

/// What a caller is shown of a study: its Patient ID, and its description.
fn shown(served: &Served, stage: &Stage, token: &str) -> (String, Option<String>) {
    let search = json!({ "datastore_id": stage.main });
    let found = call(served, token, "search_image_sets", &search);
    let set = &found["structuredContent"]["image_sets_metadata_summaries"][0];
    let asked = json!({ "datastore_id": stage.main, "image_set_id": set["image_set_id"] });
    let metadata = call(served, token, "get_image_set_metadata", &asked);
    let metadata = &metadata["structuredContent"]["metadata"];
    let patient = metadata["Patient"]["DICOM"]["PatientID"].as_str();
    let description = metadata["Study"]["DICOM"]["StudyDescription"].as_str();
    (patient.unwrap_or_else(|| panic!("{metadata}")).to_owned(), description.map(str::to_owned))
}

/// How much a caller is shown: values, tokens with descriptions, or tokens alone.
fn level(served: &Served, stage: &Stage, token: &str) -> &'static str {
    match shown(served, stage, token) {
        (patient, description) if !patient.starts_with("phi-") => {
            assert!(description.is_some());
            "values"
        }
        (_, Some(_)) => "on",
        (_, None) => "strict",
    }
}

#[test]
fn of_the_server_and_a_credential_the_stricter_redaction_counts() {
    let stage = Stage::new();
    stage.write(&json!([
        { "name": "assistant", "token": ASSISTANT, "scope": "read", "redact": true },
        { "name": "strict", "token": STRICT, "scope": "read", "redact": "strict" },
        { "name": "admin", "token": ADMIN, "scope": "destroy" },
    ]));
    let file = stage.rig.path("access.json");
    for (flag, levels) in [
        ("--redact-phi=off", ["on", "strict", "values"]),
        ("--redact-phi", ["on", "strict", "on"]),
        ("--redact-phi=strict", ["strict", "strict", "strict"]),
    ] {
        let served = Served::start(&stage.rig, &[flag, "--access-file", text(&file)]);
        let found = [ASSISTANT, STRICT, ADMIN].map(|token| level(&served, &stage, token));
        assert_eq!(found, levels, "{flag}");
        if flag == "--redact-phi=off" {
            let refused =
                asked(&served, STRICT, &format!("GET /datastore/{}/studies", stage.main), b"");
            assert_eq!(refused.status, 403);
            // Both levels have the same tokens.
            let patient = |token: &str| shown(&served, &stage, token).0;
            assert_eq!(patient(STRICT), patient(ASSISTANT));
        }
    }
}

fn bytes(hexadecimal: &str) -> Vec<u8> {
    let digits = hexadecimal.as_bytes().chunks(2).map(|two| std::str::from_utf8(two).unwrap());
    digits.map(|two| u8::from_str_radix(two, 16).unwrap()).collect()
}

/// An access token of the issuer, signed with Ed25519 (RFC 8037).
fn access_token(keys: &Keys, scope: &str) -> String {
    let end = SystemTime::now() + Duration::from_mins(5);
    let claims = json!({ "iss": ISSUER, "aud": AUDIENCE, "sub": "a.person", "scope": scope,
        "exp": end.duration_since(UNIX_EPOCH).unwrap().as_secs() });
    let part = |part: Value| BASE64_URL_SAFE_NO_PAD.encode(part.to_string());
    let signed = format!("{}.{}", part(json!({ "alg": "EdDSA", "kid": "1" })), part(claims));
    let signature = bytes(&keys.sign(&signed));
    format!("{signed}.{}", BASE64_URL_SAFE_NO_PAD.encode(signature))
}

#[test]
fn all_access_tokens_of_oauth_are_redacted_by_a_flag_and_no_scope_ends_that() {
    let stage = Stage::new();
    let keys = Keys::of_data_folder(&stage.rig.path("issuer")).unwrap();
    let public = BASE64_URL_SAFE_NO_PAD.encode(bytes(&keys.public_key()));
    let set = json!({ "keys": [{ "kty": "OKP", "crv": "Ed25519", "x": public, "kid": "1" }] });
    fs::write(stage.rig.path("jwks.json"), set.to_string()).unwrap();
    let (jwks, file) = (stage.rig.path("jwks.json"), stage.rig.path("access.json"));
    let oauth =
        ["--oauth-issuer", ISSUER, "--oauth-audience", AUDIENCE, "--oauth-jwks", text(&jwks)];
    let read = access_token(&keys, "healthimaging:read");
    let all = access_token(&keys, "healthimaging:read healthimaging:write healthimaging:destroy");
    for (flags, found) in [
        (&["--oauth-redact-phi=off"][..], "values"),
        (&["--oauth-redact-phi"], "on"),
        (&["--oauth-redact-phi=strict"], "strict"),
        (&["--oauth-redact-phi=strict", "--redact-phi"], "strict"),
        (&["--oauth-redact-phi", "--redact-phi=strict"], "strict"),
    ] {
        let words = [&oauth[..], flags, &["--access-file", text(&file)]].concat();
        let served = Served::start(&stage.rig, &words);
        for token in [&read, &all] {
            assert_eq!(level(&served, &stage, token), found, "{flags:?}");
        }
        if !flags.iter().any(|flag| flag.starts_with("--redact-phi")) {
            // Tokens of the access file have their own.
            assert_eq!(level(&served, &stage, ADMIN), "values", "{flags:?}");
            for path in ["GET /datastore", "GET /metrics"] {
                assert_eq!(asked(&served, &all, path, b"").status, 403, "{path}: OAuth is for MCP");
            }
        }
    }
    let alone = stage.rig.run(&["serve", "--oauth-redact-phi"]);
    assert_eq!(alone.status.code(), Some(2), "{}", stderr(&alone));
}
