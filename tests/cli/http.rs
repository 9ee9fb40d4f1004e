//! `serve --http`: authorization, and shutdown.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};

use base64::Engine as _;
use serde_json::{Value, json};

use crate::rig::{Rig, stderr};

#[test]
fn other_than_loopback_needs_a_token() {
    let rig = Rig::new();
    let open = rig.run(&["serve", "--http", "0.0.0.0:0"]);
    assert_eq!(open.status.code(), Some(1));
    assert!(stderr(&open).contains("HTTP_TOKEN"), "{}", stderr(&open));
    let short = rig.run(&["serve", "--http", "0.0.0.0:0", "--http-token", "short"]);
    assert_eq!(short.status.code(), Some(1));
}

#[test]
fn an_invalid_listen_address_is_an_invalid_option() {
    let refused = Rig::new().run(&["serve", "--http", "nope"]);
    assert_eq!(refused.status.code(), Some(2), "{}", stderr(&refused));
    assert!(stderr(&refused).contains("invalid listen address"), "{}", stderr(&refused));
}

/// A server that ends with the test.
pub(crate) struct Served {
    child: Child,
    pub(crate) address: String,
}

impl Drop for Served {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Served {
    /// Starts on a free port, which it prints on stderr.
    pub(crate) fn start(rig: &Rig, words: &[&str]) -> Self {
        let mut command = rig.command(&["serve", "--http", "127.0.0.1:0"]);
        command.args(words);
        Self::spawn(command)
    }

    /// Starts a command that serves on a free port.
    pub(crate) fn spawn(mut command: Command) -> Self {
        let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let said = lines.map(Result::unwrap).find_map(|line| {
            Some(line.split_once("MCP at http://")?.1.trim_end_matches("/mcp").to_owned())
        });
        Self { child, address: said.unwrap() }
    }

    /// Ends it by SIGTERM.
    #[cfg(unix)]
    pub(crate) fn terminate(&mut self) {
        self.end_by("-TERM");
    }

    /// Ends it by a signal.
    #[cfg(unix)]
    pub(crate) fn end_by(&mut self, signal: &str) {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args([signal, &id]).status().unwrap().success());
        assert_eq!(self.child.wait().unwrap().code(), Some(0));
    }

    /// The status line and body of a request with these header lines.
    pub(crate) fn ask(&self, request: &str, headers: &str) -> String {
        String::from_utf8(self.bytes(request, headers)).unwrap()
    }

    /// As [`Self::ask`]; what is behind the header lines may be a body.
    fn bytes(&self, request: &str, headers: &str) -> Vec<u8> {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        let address = &self.address;
        write!(
            stream,
            "{request} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n{headers}\r\n"
        )
        .unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        answer
    }

    /// The answer to a request of HTTP/1.0, whose body comes without chunks.
    pub(crate) fn answer(&self, request: &str, headers: &str, body: &[u8]) -> Answer {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        let (address, length) = (&self.address, body.len());
        write!(
            stream,
            "{request} HTTP/1.0\r\nHost: {address}\r\nContent-Length: {length}\r\n{headers}\r\n"
        )
        .unwrap();
        stream.write_all(body).unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        let end = answer.windows(4).position(|bytes| bytes == b"\r\n\r\n").unwrap();
        let head = String::from_utf8(answer[..end].to_vec()).unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        Answer { status, head, body: answer[end + 4..].to_vec() }
    }
}

/// An answer.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines.clone().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }
}

/// A request of a client without events: no `Accept`, and a slash at the end.
#[test]
fn mcp_answers_plain_clients_in_json() {
    let rig = Rig::new();
    let served = Served::start(&rig, &[]);
    let greeting = json!({ "jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {
        "protocolVersion": "2025-06-18", "capabilities": {},
        "clientInfo": { "name": "test", "version": "1" } } })
    .to_string();
    for path in ["POST /mcp", "POST /mcp/"] {
        for accept in ["", "Accept: */*\r\n"] {
            let headers = format!("Content-Type: application/json\r\n{accept}");
            let answer = served.answer(path, &headers, greeting.as_bytes());
            assert_eq!(answer.status, 200, "{path} {accept}");
            assert_eq!(answer.header("content-type"), Some("application/json"));
            assert_eq!(answer.json()["result"]["serverInfo"]["name"], "healthimaging-mcp-server");
            let garbage = served.answer(path, &headers, b"{");
            assert_eq!(garbage.status, 400);
            assert_eq!(garbage.json()["error"]["code"], -32700);
        }
    }
}

#[test]
fn http_is_healthy_guarded_and_ends_when_told() {
    let rig = Rig::new();
    let mut served = Served::start(&rig, &["--http-token", "0123456789abcdef"]);
    assert!(served.ask("GET /healthz", "").starts_with("HTTP/1.1 200 "));
    assert!(served.ask("POST /mcp", "Content-Length: 0\r\n").starts_with("HTTP/1.1 401 "));
    let body = json!({ "jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {
        "protocolVersion": "2025-11-25", "capabilities": {},
        "clientInfo": { "name": "test", "version": "1" } } })
    .to_string();
    let headers = format!(
        "Authorization: Bearer 0123456789abcdef\r\nContent-Type: application/json\r\n\
         Accept: application/json, text/event-stream\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let greeted = served.ask("POST /mcp", &headers);
    assert!(greeted.starts_with("HTTP/1.1 200 "), "{greeted}");
    assert!(greeted.contains("healthimaging-mcp-server"), "{greeted}");

    #[cfg(unix)]
    {
        served.terminate();
    }
}

#[test]
fn the_page_is_named_and_described_to_plain_clients() {
    let rig = Rig::new();
    let served = Served::start(&rig, &[]);
    for accept in ["", "Accept: */*\r\n"] {
        let answer = served.answer("GET /", accept, b"");
        assert_eq!(answer.status, 200);
        assert!(String::from_utf8(answer.body).unwrap().contains("in a browser"));
    }
    assert_eq!(served.answer("GET /", "Accept: application/json\r\n", b"").status, 404);
}

/// RFC 9112 §3.2: a request has one host, and its target counts.
#[test]
fn a_request_for_another_host_is_refused() {
    let rig = Rig::new();
    let served = Served::start(&rig, &[]);
    for path in ["/healthz", "/readyz", "/", "/datastore"] {
        let twice = served.ask(&format!("GET {path}"), "Host: other\r\n");
        assert!(twice.starts_with("HTTP/1.1 400 "), "{path}: {twice}");
    }
    for path in ["/datastore", "/metrics", "/"] {
        let elsewhere = served.ask(&format!("GET http://attacker.example{path}"), "");
        assert!(elsewhere.starts_with("HTTP/1.1 400 "), "{path}: {elsewhere}");
    }
    let same = served.ask(&format!("GET http://{}/datastore", served.address), "");
    assert!(same.starts_with("HTTP/1.1 200 "), "{same}");
}

#[test]
fn metrics_are_reachable_with_access_keys_alone() {
    let rig = Rig::new();
    let served = Served::start(&rig, &["--http-access-key", "AKIDEXAMPLE:a-secret-of-the-test"]);
    let refused = served.answer("GET /metrics", "", b"");
    assert_eq!(refused.status, 403);
    // Presigned for the year 2000: the key is known, so it is the time that is refused.
    let presigned = "/metrics?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIDEXAMPLE%2F20000101%2F\
                     us-east-1%2Fmedical-imaging%2Faws4_request&X-Amz-Date=20000101T000000Z&\
                     X-Amz-Expires=60&X-Amz-SignedHeaders=host&X-Amz-Signature=00";
    let late = served.answer(&format!("GET {presigned}"), "", b"");
    assert_eq!(late.status, 403);
    let message = late.json()["message"].as_str().unwrap().to_owned();
    assert_ne!(message, refused.json()["message"].as_str().unwrap());
}

/// Statuses of RFC 9110; the AWS API keeps those of the service.
#[test]
fn dicomweb_refuses_as_http_does() {
    let rig = Rig::new();
    assert!(rig.run(&["import", crate::rig::text(&rig.scans())]).status.success());
    let store = &rig.call("list_datastores", &json!({}))["datastore_summaries"][0]["datastore_id"];
    let store = format!("/datastore/{}", store.as_str().unwrap());
    let keys = ["--http-access-key", "AKIDEXAMPLE:a-secret-of-the-test"];
    let token = "Authorization: Bearer 0123456789abcdef\r\n";
    let guarded = Served::start(&rig, &[&keys[..], &["--http-token", "0123456789abcdef"]].concat());
    let unsigned = guarded.answer(&format!("GET {store}/studies"), "", b"");
    assert_eq!(unsigned.status, 401);
    let schemes = unsigned.head.lines().filter_map(|line| line.strip_prefix("www-authenticate: "));
    assert_eq!(schemes.collect::<Vec<_>>(), ["Bearer", "AWS4-HMAC-SHA256"]);
    assert_eq!(guarded.answer("GET /datastore", "", b"").status, 403);

    for unknown in ["no-such-name", "0123456789abcdef0123456789abcdef"] {
        let path = format!("GET /datastore/{unknown}/studies");
        assert_eq!(guarded.answer(&path, token, b"").status, 404, "{unknown}");
    }

    let studies = guarded.answer(&format!("GET {store}/studies"), token, b"").json();
    let study = studies[0]["0020000D"]["Value"][0].as_str().unwrap();
    for path in [format!("{store}/studies/{study}"), format!("{store}/studies/{study}/metadata")] {
        let misspelled = guarded.answer(&format!("GET {path}?image_set_id=0"), token, b"");
        assert_eq!(misspelled.status, 400, "{path}");
        let message = misspelled.json()["message"].as_str().unwrap().to_owned();
        assert!(message.contains("unknown query parameter"), "{message}");
    }
    let series = guarded.answer(&format!("GET {store}/series"), token, b"").json();
    let series = series[0]["0020000E"]["Value"][0].as_str().unwrap();
    let path = format!("{store}/studies/{study}/series/{series}/metadata");
    let misspelled = guarded.answer(&format!("GET {path}?image_set_id=0"), token, b"");
    assert_eq!(misspelled.status, 400);
    assert!(misspelled.json()["message"].as_str().unwrap().contains("imageSetId"));

    // Only the head is sent: a body of 2 GiB is refused by its length.
    let mut stream = TcpStream::connect(&guarded.address).unwrap();
    write!(
        stream,
        "POST {store}/studies HTTP/1.1\r\nHost: localhost\r\n{token}Content-Type: application/dicom\r\n\
         Content-Length: 2147483648\r\n\r\n"
    )
    .unwrap();
    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line).unwrap();
    assert!(line.starts_with("HTTP/1.1 413 "), "{line}");
}

/// The effects are those of `UpdateImageSetMetadata` in the developer guide of AWS HealthImaging.
#[test]
fn no_delete_holds_over_http() {
    let rig = Rig::new();
    assert!(rig.run(&["import", crate::rig::text(&rig.scans())]).status.success());
    let store = &rig.call("list_datastores", &json!({}))["datastore_summaries"][0]["datastore_id"];
    let store = format!("/datastore/{}", store.as_str().unwrap());
    let served = Served::start(&rig, &["--no-delete"]);
    let asked = |request: &str, body: &Value| {
        let body = if body.is_null() { Vec::new() } else { body.to_string().into_bytes() };
        served.answer(request, "", &body)
    };
    let sets = asked(&format!("POST {store}/searchImageSets"), &Value::Null).json();
    let set = &sets["imageSetsMetadataSummaries"][0];
    let series = set["DICOMTags"]["DICOMSeriesInstanceUID"].as_str().unwrap();
    let one = format!("{store}/imageSet/{}", set["imageSetId"].as_str().unwrap());
    let update = |member: &str, document: Value| {
        let text = base64::prelude::BASE64_STANDARD.encode(document.to_string());
        let body = json!({ "DICOMUpdates": { member: text } });
        asked(&format!("POST {one}/updateImageSetMetadata?latestVersion=1"), &body)
    };
    let removed = json!({ "SchemaVersion": 1.1, "Study": { "Series": { series: {} } } });
    for refused in [
        asked(&format!("DELETE {store}"), &Value::Null),
        asked(&format!("POST {one}/deleteImageSet"), &Value::Null),
        update("removableAttributes", removed),
        asked(
            &format!("POST {one}/updateImageSetMetadata?latestVersion=1"),
            &json!({ "revertToVersionId": "1" }),
        ),
    ] {
        assert_eq!(refused.status, 403, "{}", refused.head);
        assert!(refused.json()["message"].as_str().unwrap().contains("--no-delete"));
    }
    let changed =
        json!({ "SchemaVersion": 1.1, "Study": { "DICOM": { "StudyDescription": "A" } } });
    assert_eq!(update("updatableAttributes", changed).status, 200);
}
