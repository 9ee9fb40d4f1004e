//! `serve --access-file`: named credentials, each with its own rights, on every face.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;

use serde_json::{Value, json};

use crate::http::{Answer, Served};
use crate::rig::{Rig, stderr, text};

const VIEWER: &str = "viewer-token-of-the-test";
const DEVELOPER: &str = "developer-token-of-the-test";
pub(crate) const ADMIN: &str = "admin-token-of-the-test";

/// A store with two data stores of the same scans, and an access file.
pub(crate) struct Stage {
    pub(crate) rig: Rig,
    pub(crate) main: String,
    other: String,
}

impl Stage {
    pub(crate) fn new() -> Self {
        let rig = Rig::new();
        let scans = rig.scans();
        for name in ["main", "other"] {
            let imported = rig.run(&["import", text(&scans), "--datastore", name]);
            assert!(imported.status.success(), "{}", stderr(&imported));
        }
        let listed = rig.call("list_datastores", &json!({}));
        let id = |name: &str| {
            let all = listed["datastore_summaries"].as_array().unwrap();
            let found = all.iter().find(|one| one["datastore_name"] == name).unwrap();
            found["datastore_id"].as_str().unwrap().to_owned()
        };
        let stage = Self { main: id("main"), other: id("other"), rig };
        stage.write(&json!([
            { "name": "viewer", "token": VIEWER, "scope": "read", "datastores": ["main"] },
            { "name": "developer", "token": DEVELOPER, "scope": "write", "datastores": [stage.main] },
            { "name": "admin", "token": ADMIN, "scope": "destroy" },
        ]));
        stage
    }

    pub(crate) fn write(&self, credentials: &Value) {
        let path = self.rig.path("access.json");
        fs::write(&path, json!({ "credentials": credentials }).to_string()).unwrap();
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        }
    }

    pub(crate) fn serve(&self) -> Served {
        Served::start(&self.rig, &["--access-file", text(&self.rig.path("access.json"))])
    }
}

pub(crate) fn asked(served: &Served, token: &str, request: &str, body: &[u8]) -> Answer {
    served.answer(request, &format!("Authorization: Bearer {token}\r\n"), body)
}

/// A request of MCP without a session.
pub(crate) fn mcp(served: &Served, token: &str, method: &str, mut params: Value) -> Value {
    params["_meta"] = json!({
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": {},
        "io.modelcontextprotocol/clientInfo": { "name": "test", "version": "1" } });
    let body = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
    let name = params["name"].as_str().or(params["uri"].as_str()).unwrap_or_default();
    let headers = format!(
        "Authorization: Bearer {token}\r\nContent-Type: application/json\r\nMcp-Method: {method}\r\n\
         Mcp-Name: {name}\r\nMCP-Protocol-Version: 2026-07-28\r\n"
    );
    served.answer("POST /mcp", &headers, body.to_string().as_bytes()).json()
}

pub(crate) fn call(served: &Served, token: &str, tool: &str, arguments: &Value) -> Value {
    let answer = mcp(served, token, "tools/call", json!({ "name": tool, "arguments": arguments }));
    answer.get("result").cloned().unwrap_or(answer)
}

#[test]
fn a_credential_reads_only_its_data_stores_on_every_face() {
    let stage = Stage::new();
    let (main, other) = (&stage.main, &stage.other);
    let served = stage.serve();
    let get = |path: &str| asked(&served, VIEWER, &format!("GET {path}"), b"");
    let nowhere = "0123456789abcdef0123456789abcdef";

    // The AWS API.
    let listed = get("/datastore").json();
    assert_eq!(listed["datastoreSummaries"].as_array().unwrap().len(), 1);
    assert_eq!(listed["datastoreSummaries"][0]["datastoreId"], **main);
    assert_eq!(get(&format!("/datastore/{main}")).status, 200);
    // Another's data store answers as one that does not exist.
    for path in ["/datastore/ID", "/listDICOMImportJobs/datastore/ID", "/datastore/ID/studies"] {
        let (hidden, missing) =
            (get(&path.replace("ID", other)), get(&path.replace("ID", nowhere)));
        assert_eq!((hidden.status, hidden.body), (404, missing.body), "{path}");
    }
    let search = format!("POST /datastore/{other}/searchImageSets");
    assert_eq!(asked(&served, VIEWER, &search, b"").status, 404);
    let arn = |id: &str| format!("arn:aws:medical-imaging:us-east-1:000000000000:datastore/{id}");
    assert_eq!(get(&format!("/tags/{}", arn(main))).status, 200);
    assert_eq!(get(&format!("/tags/{}", arn(other))).status, 404);

    // DICOMweb, by ID and by name.
    for (store, status) in [(&**main, 200), ("main", 200), (&**other, 404), ("other", 404)] {
        assert_eq!(get(&format!("/datastore/{store}/studies")).status, status, "{store}");
    }
    let studies = asked(&served, ADMIN, &format!("GET /datastore/{other}/studies"), b"").json();
    let study = studies[0]["0020000D"]["Value"][0].as_str().unwrap().to_owned();
    for resource in ["", "/metadata", "/rendered", "/thumbnail", "/series"] {
        let path = |store: &str| format!("/datastore/{store}/studies/{study}{resource}");
        assert_eq!(get(&path(other)).status, 404, "{resource}");
        assert_eq!(get(&path(main)).status, 200, "{resource}");
    }

    // MCP: tools, resources and jobs.
    let found = call(&served, VIEWER, "list_datastores", &json!({}));
    assert_eq!(found["structuredContent"]["datastore_summaries"].as_array().unwrap().len(), 1);
    let hidden = call(&served, VIEWER, "get_datastore", &json!({ "datastore_id": other }));
    assert_eq!(hidden["isError"], true, "{hidden}");
    let named = call(&served, VIEWER, "search_image_sets", &json!({ "datastore_id": "other" }));
    assert_eq!(named["isError"], true, "{named}");
    assert!(!named.to_string().contains("there are main, other"), "{named}");
    // The only data store that is visible need not be named.
    let sets = call(&served, VIEWER, "search_image_sets", &json!({}));
    assert_eq!(sets["isError"], json!(false), "{sets}");
    let listed = mcp(&served, VIEWER, "resources/list", json!({})).to_string();
    assert!(listed.contains(main.as_str()) && !listed.contains(other.as_str()), "{listed}");
    let uri = json!({ "uri": format!("healthimaging://datastores/{other}") });
    assert!(mcp(&served, VIEWER, "resources/read", uri).get("error").is_some());
}

#[test]
fn the_scope_of_a_credential_decides_on_every_face() {
    let stage = Stage::new();
    let main = &stage.main;
    let served = stage.serve();
    let tools = |token: &str| {
        let listed = mcp(&served, token, "tools/list", json!({}));
        let tools = listed["result"]["tools"].as_array().unwrap().clone();
        let names = tools.iter().map(|tool| tool["name"].as_str().unwrap().to_owned());
        names.collect::<Vec<_>>()
    };
    let has = |tools: &[String], name: &str| tools.iter().any(|one| one == name);
    let (viewer, developer, admin) = (tools(VIEWER), tools(DEVELOPER), tools(ADMIN));
    assert!(has(&viewer, "search_image_sets") && !has(&viewer, "tag_resource"));
    assert!(has(&developer, "tag_resource") && !has(&developer, "delete_study"));
    assert!(has(&admin, "delete_study"));
    let refused = call(&served, VIEWER, "delete_study", &json!({}));
    assert!(refused["error"]["message"].as_str().unwrap().contains("smaller scope"), "{refused}");

    let tag = format!("POST /tags/arn:aws:medical-imaging:us-east-1:000000000000:datastore/{main}");
    let body = br#"{"tags": {"a": "b"}}"#;
    let by_viewer = asked(&served, VIEWER, &tag, body);
    assert_eq!(by_viewer.status, 403);
    let message = by_viewer.json()["message"].as_str().unwrap().to_owned();
    assert!(message.contains("scope of the credential viewer is read"), "{message}");
    assert_eq!(asked(&served, DEVELOPER, &tag, body).status, 200);
    let store = format!("POST /datastore/{main}/studies");
    let stored = served.answer(
        &store,
        &format!("Authorization: Bearer {VIEWER}\r\nContent-Type: application/dicom\r\n"),
        b"DICM",
    );
    assert_eq!(stored.status, 403, "{}", stored.head);
    for token in [VIEWER, DEVELOPER] {
        let deleted = asked(&served, token, &format!("DELETE /datastore/{main}"), b"");
        assert_eq!(deleted.status, 403, "{}", deleted.head);
    }
    // Who may use some data stores makes no others.
    let create = br#"{"datastoreName": "new", "clientToken": "t"}"#;
    assert_eq!(asked(&served, DEVELOPER, "POST /datastore", create).status, 403);
    assert_eq!(asked(&served, ADMIN, "POST /datastore", create).status, 200);
    for token in ["", "nonsense-token-of-the-test"] {
        assert_eq!(asked(&served, token, "GET /datastore", b"").status, 403, "{token}");
        assert_eq!(asked(&served, token, "POST /mcp", b"").status, 401, "{token}");
    }
    // The audit log names the credential.
    drop(served);
    let shown = stage.rig.run(&["audit", "show"]);
    let log = String::from_utf8(shown.stdout).unwrap();
    assert!(log.contains(r#""credential":"developer""#), "{log}");
}

/// The head of the answer to a request that opens a session, and the session.
fn initialized(served: &Served, token: &str) -> String {
    let body = json!({ "jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {
        "protocolVersion": "2025-11-25", "capabilities": {},
        "clientInfo": { "name": "test", "version": "1" } } })
    .to_string();
    let headers = format!(
        "Authorization: Bearer {token}\r\nContent-Type: application/json\r\n\
         Accept: application/json, text/event-stream\r\n"
    );
    let answer = served.answer("POST /mcp", &headers, body.as_bytes());
    assert_eq!(answer.status, 200, "{}", answer.head);
    answer.header("mcp-session-id").unwrap().to_owned()
}

#[test]
fn a_session_serves_one_credential_and_ends_with_it() {
    let stage = Stage::new();
    let served = stage.serve();
    let session = initialized(&served, VIEWER);
    let list = |token: &str| {
        let headers = format!(
            "Authorization: Bearer {token}\r\nContent-Type: application/json\r\nMcp-Session-Id: {session}\r\n"
        );
        let body = json!({ "jsonrpc": "2.0", "id": 2, "method": "tools/list" }).to_string();
        served.answer("POST /mcp", &headers, body.as_bytes()).status
    };
    assert_eq!((list(VIEWER), list(ADMIN)), (200, 404));
    // A stream of events is open.
    let mut stream = TcpStream::connect(&served.address).unwrap();
    write!(
        stream,
        "GET /mcp HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {VIEWER}\r\nMcp-Session-Id: {session}\r\n\
         Accept: text/event-stream\r\n\r\n",
        served.address
    )
    .unwrap();
    let mut stream = BufReader::new(stream);
    let mut line = String::new();
    stream.read_line(&mut line).unwrap();
    assert!(line.starts_with("HTTP/1.1 200"), "{line}");
    // A file that cannot be read changes nothing, and is reported.
    fs::write(stage.rig.path("access.json"), "{").unwrap();
    assert_eq!(list(VIEWER), 200);
    let ready = served.answer("GET /readyz", "", b"");
    assert_eq!((ready.status, &ready.json()["access_file"]), (200, &json!("rejected")));
    stage.write(&json!([{ "name": "admin", "token": ADMIN, "scope": "destroy" }]));
    assert_eq!((list(VIEWER), list(ADMIN)), (401, 404));
    let mut rest = Vec::new();
    // The server ends the response; the connection would serve another request.
    while !rest.ends_with(b"0\r\n\r\n") {
        let mut byte = [0];
        assert_eq!(stream.read(&mut byte).unwrap(), 1, "the connection was closed");
        rest.push(byte[0]);
    }
}

#[test]
fn an_access_file_that_cannot_be_used_is_a_start_error() {
    let rig = Rig::new();
    let path = rig.path("access.json");
    let key = ["--http-access-key", "AKIDEXAMPLE:a-secret-of-the-test"];
    let same = r#"{"credentials":[{"name":"a","access_key_id":"AKIDEXAMPLE",
        "secret_access_key":"a-secret-of-the-test","scope":"read"}]}"#;
    for (content, mode, said) in [
        ("{}", 0o600, "credentials"),
        (r#"{"credentials":[{"name":"a","scope":"read"}]}"#, 0o600, "credential a"),
        (r#"{"credentials":[]}"#, 0o644, "chmod 600"),
        (same, 0o600, "remove one of them"),
    ] {
        fs::write(&path, content).unwrap();
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        }
        let words = [&["serve", "--http", "127.0.0.1:0", "--access-file", text(&path)], &key[..]];
        let refused = rig.run(&words.concat());
        assert_eq!(refused.status.code(), Some(2), "{content}: {}", stderr(&refused));
        assert!(stderr(&refused).contains(said), "{content}: {}", stderr(&refused));
    }
    let missing = rig.run(&["serve", "--access-file", text(&rig.path("none"))]);
    assert_eq!(missing.status.code(), Some(2), "{}", stderr(&missing));
}

#[test]
fn a_policy_forbids_what_flags_and_credentials_allow() {
    let stage = Stage::new();
    let (main, other) = (&stage.main, &stage.other);
    let policy = stage.rig.path("policy.json");
    let document = json!({ "forbidden_tools": ["delete_study", "get_image_set_metadata"], "forbidden_datastores": ["other"],
        "most_image_sets": { "delete": 1, "update": 1, "export": 1 } });
    fs::write(&policy, document.to_string()).unwrap();
    let access = stage.rig.path("access.json");
    let served =
        Served::start(&stage.rig, &["--access-file", text(&access), "--policy", text(&policy)]);
    // A forbidden tool is not listed, and a call of it is refused with the reason.
    let listed = mcp(&served, ADMIN, "tools/list", json!({})).to_string();
    assert!(listed.contains("\"delete_patient_studies\"") && !listed.contains("\"delete_study\""));
    let refused = call(&served, ADMIN, "delete_study", &json!({}));
    assert!(refused["error"]["message"].as_str().unwrap().contains("policy"), "{refused}");
    // What shows the same as a forbidden tool is refused too.
    let sets = call(&served, ADMIN, "search_image_sets", &json!({ "datastore_id": main }));
    let set = &sets["structuredContent"]["image_sets_metadata_summaries"][0]["image_set_id"];
    let uri = format!("healthimaging://datastores/{main}/image-sets/{}", set.as_str().unwrap());
    let read = |uri: String| mcp(&served, ADMIN, "resources/read", json!({ "uri": uri }));
    let refused = read(format!("{uri}/metadata"));
    let message = refused["error"]["message"].as_str().unwrap_or_default();
    assert!(message.contains("forbids the tool get_image_set_metadata"), "{refused}");
    assert!(read(uri)["result"].is_object());
    // A forbidden data store does not exist, also over the other faces.
    let found = call(&served, ADMIN, "list_datastores", &json!({}));
    assert!(!found.to_string().contains(other.as_str()), "{found}");
    for path in [format!("/datastore/{other}"), format!("/datastore/{other}/studies")] {
        assert_eq!(asked(&served, ADMIN, &format!("GET {path}"), b"").status, 404, "{path}");
    }
    // Two series are too many.
    let sets = call(&served, ADMIN, "search_image_sets", &json!({ "datastore_id": main }));
    let set = &sets["structuredContent"]["image_sets_metadata_summaries"][0];
    let patient = &set["dicom_tags"]["DICOMPatientId"];
    assert!(patient.is_string(), "{sets}");
    for (tool, arguments) in [
        ("delete_patient_studies", json!({ "datastore_id": main, "patient_id": patient })),
        (
            "start_dicom_export_job",
            json!({ "datastore_id": main, "output_s3_uri": "s3://bucket/out/" }),
        ),
        (
            "transfer_studies",
            json!({ "from_datastore": main, "to_datastore": "main", "criteria": {} }),
        ),
    ] {
        let refused = call(&served, ADMIN, tool, &arguments);
        assert_eq!(refused["isError"], true, "{tool}: {refused}");
        let is_same = tool == "transfer_studies";
        assert!(
            is_same || refused.to_string().contains("allows 1 image sets"),
            "{tool}: {refused}"
        );
    }
    drop(served);
    // It holds without a server of HTTP too.
    let called = stage.rig.run(&["call", "delete_study", "{}", "--policy", text(&policy)]);
    assert_ne!(called.status.code(), Some(0));
    fs::write(&policy, r#"{"forbidden": []}"#).unwrap();
    let refused = stage.rig.run(&["stdio", "--policy", text(&policy)]);
    assert_eq!(refused.status.code(), Some(2), "{}", stderr(&refused));
    assert!(stderr(&refused).contains("--policy"), "{}", stderr(&refused));
}
