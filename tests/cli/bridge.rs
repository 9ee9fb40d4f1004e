//! `serve` with the AWS back end: DICOMweb of HealthImaging for viewers. A server of the embedded store stands in for AWS: it
//! checks each signature.

use std::process::Command;

use serde_json::{Value, json};

use crate::dicomweb::parts;
use crate::http::{Answer, Served};
use crate::rig::{Rig, stderr, text};

const KEY: &str = "AKIDEXAMPLE";
const SECRET: &str = "a-secret-of-the-test";
const TOKEN: &str = "0123456789abcdef";

/// A server that stands in for AWS, and one that bridges to it.
struct Bridge {
    aws: Served,
    bridge: Served,
    base: String,
    rig: Rig,
}

impl Bridge {
    fn new(words: &[&str]) -> Self {
        let rig = Rig::new();
        assert!(rig.run(&["import", text(&rig.scans())]).status.success());
        let stores = rig.call("list_datastores", &json!({}));
        let store = stores["datastore_summaries"][0]["datastore_id"].as_str().unwrap().to_owned();
        // Clients of the bridge send the token; those of the stand-in, too, or a signature.
        let key = format!("{KEY}:{SECRET}");
        let aws = Served::start(&rig, &["--http-access-key", &key, "--http-token", TOKEN]);
        let mut command = on_aws(&rig, &aws.address, &[&["serve"], words].concat());
        command.args(["--http", "127.0.0.1:0", "--http-token", TOKEN]);
        let bridge = Served::spawn(command);
        Self { aws, bridge, base: format!("/datastore/{store}"), rig }
    }

    fn ask(&self, served: &Served, path: &str, accept: &str) -> Answer {
        let headers = format!("Authorization: Bearer {TOKEN}\r\nAccept: {accept}\r\n");
        served.answer(&format!("GET {}{path}", self.base), &headers, b"")
    }

    /// The answers of both, with one address in them.
    fn both(&self, path: &str, accept: &str) -> [Answer; 2] {
        let mut bridged = self.ask(&self.bridge, path, accept);
        if bridged.header("content-type").is_some_and(|media| media.contains("json")) {
            let own = String::from_utf8(bridged.body).unwrap();
            bridged.body = own.replace(&self.bridge.address, &self.aws.address).into_bytes();
        }
        [self.ask(&self.aws, path, accept), bridged]
    }

    fn store(&self, body: &[u8]) -> Answer {
        let headers =
            format!("Authorization: Bearer {TOKEN}\r\nContent-Type: application/dicom\r\n");
        self.bridge.answer(&format!("POST {}/studies", self.base), &headers, body)
    }
}

fn on_aws(rig: &Rig, address: &str, words: &[&str]) -> Command {
    let url = format!("http://{address}");
    let mut command = rig.command(&["--backend", "aws", "--endpoint-url", &url]);
    command.args(["--region", "us-east-1"]).args(words);
    command.env("AWS_ACCESS_KEY_ID", KEY).env("AWS_SECRET_ACCESS_KEY", SECRET);
    command
}

fn first(data_set: &Value, tag: &str) -> String {
    data_set[tag]["Value"][0].as_str().unwrap().to_owned()
}

#[test]
fn clients_of_the_bridge_must_authenticate() {
    let rig = Rig::new();
    let refused = on_aws(&rig, "127.0.0.1:1", &["serve", "--http", "127.0.0.1:0"]).output();
    let refused = refused.unwrap();
    assert_eq!(refused.status.code(), Some(1));
    let message = stderr(&refused);
    assert!(message.contains("HTTP_TOKEN") && message.contains("HTTP_ACCESS_KEYS"), "{message}");

    let bridge = Bridge::new(&[]);
    let path = format!("GET {}/studies", bridge.base);
    let missing = bridge.bridge.answer(&path, "", b"");
    assert_eq!((missing.status, missing.header("www-authenticate")), (401, Some("Bearer")));
    let wrong = "Authorization: Bearer 0123456789abcdeX\r\n";
    assert_eq!(bridge.bridge.answer(&path, wrong, b"").status, 403);
    // The AWS API is not bridged.
    let token = format!("Authorization: Bearer {TOKEN}\r\n");
    assert_eq!(bridge.bridge.answer("GET /datastore", &token, b"").status, 404);
    assert_eq!(bridge.aws.answer("GET /datastore", &token, b"").status, 200);
}

#[test]
fn the_bridge_answers_as_the_service_does() {
    let bridge = Bridge::new(&[]);
    let json = "application/dicom+json";
    let of_study = bridge.both("/studies", json)[0].json()[0].clone();
    let study = format!("/studies/{}", first(&of_study, "0020000D"));
    let of_series = bridge.both(&format!("{study}/series"), json)[0].json()[0].clone();
    let series = format!("{study}/series/{}", first(&of_series, "0020000E"));
    let of_instance = bridge.both(&format!("{series}/instances"), json)[0].json()[0].clone();
    let instance = format!("{series}/instances/{}", first(&of_instance, "00080018"));
    for (path, accept) in [
        ("/studies".to_owned(), json),
        ("/studies?limit=1&includefield=all".to_owned(), json),
        ("/studies?PatientID=ABSENT".to_owned(), json),
        ("/series".to_owned(), json),
        ("/instances?limit=2".to_owned(), json),
        (format!("{study}/series"), json),
        (format!("{study}/instances"), json),
        (format!("{study}/metadata"), json),
        (format!("{series}/instances"), json),
        (format!("{series}/metadata"), json),
        (format!("{instance}/metadata"), json),
        (instance.clone(), "application/dicom; transfer-syntax=*"),
        (instance.clone(), "application/dicom"),
        (format!("{instance}/rendered"), "image/png"),
        (format!("{instance}/frames/1/rendered?window=40,400,linear"), "image/png"),
        (format!("{instance}/thumbnail"), "image/jpeg"),
        (format!("{series}/thumbnail"), "image/png"),
        (format!("{study}/thumbnail"), "image/png"),
        // Errors too.
        ("/studies?NoSuchKey=1".to_owned(), json),
        ("/studies/1.2.3/series/1.2.4/metadata".to_owned(), json),
        (format!("{instance}/frames/9"), "*/*"),
        (format!("{instance}/frames/9/rendered"), "*/*"),
        (format!("{instance}/rendered"), "image/gif"),
        (instance.clone(), "application/dicom; transfer-syntax=1.2.3"),
    ] {
        let [aws, bridged] = bridge.both(&path, accept);
        assert_eq!(bridged.status, aws.status, "{path} {accept}");
        let media = |answer: &Answer| answer.header("content-type").map(str::to_owned);
        assert_eq!(media(&bridged), media(&aws), "{path} {accept}");
        if aws.status == 200 {
            assert!(bridged.body == aws.body, "{path} {accept}");
        }
    }
    for (path, accept) in [
        (study.clone(), "multipart/related; type=\"application/dicom\"; transfer-syntax=*"),
        (series.clone(), "multipart/related; type=\"application/dicom\""),
        (format!("{instance}/frames/1"), "multipart/related; type=\"application/octet-stream\""),
        (format!("{series}/rendered"), "multipart/related; type=\"image/png\""),
        (format!("{study}/rendered"), "multipart/related; type=\"image/jpeg\""),
    ] {
        let [aws, bridged] = bridge.both(&path, accept).map(|answer| parts(&answer));
        assert!(!aws.is_empty() && bridged == aws, "{path} {accept}");
    }
    // A picture that the client has is not sent again, although the service names no content.
    let path = format!("{instance}/rendered");
    let tag = bridge.ask(&bridge.bridge, &path, "image/png").header("etag").unwrap().to_owned();
    let known = format!("image/png\r\nIf-None-Match: {tag}");
    assert_eq!(bridge.ask(&bridge.bridge, &path, &known).status, 304);
}

#[test]
fn the_bridge_stores_only_when_it_may() {
    let phantom = healthimaging_phantoms::Phantom::mr().seed(77).size(8, 8).build();
    let bridge = Bridge::new(&[]);
    let refused = bridge.store(&phantom);
    assert_eq!(refused.status, 403);
    let message = refused.json()["message"].as_str().unwrap().to_owned();
    assert!(message.contains("--bridge-write"), "{message}");

    let writing = Bridge::new(&["--bridge-write"]);
    let stored = writing.store(&phantom);
    assert_eq!(stored.status, 200, "{}", String::from_utf8_lossy(&stored.body));
    let url = first(&stored.json()["00081199"]["Value"][0], "00081190");
    assert!(url.contains(&writing.bridge.address), "{url}");
    let path = url.split_once(&writing.base).unwrap().1.to_owned();
    assert_eq!(writing.ask(&writing.aws, &format!("{path}/rendered"), "image/png").status, 200);

    let mut command = on_aws(&writing.rig, &writing.aws.address, &["--read-only", "serve"]);
    command.args(["--bridge-write", "--http", "127.0.0.1:0", "--http-token", TOKEN]);
    let reading = Served::spawn(command);
    let headers = format!("Authorization: Bearer {TOKEN}\r\nContent-Type: application/dicom\r\n");
    let path = format!("POST {}/studies", writing.base);
    assert_eq!(reading.answer(&path, &headers, &phantom).status, 403);
}

/// RFC 9110 §15.6.3: the failure is that of a server behind this one.
#[test]
fn a_service_that_is_down_is_a_bad_gateway() {
    let Bridge { aws, bridge, base, rig: _rig } = Bridge::new(&[]);
    drop(aws);
    let token = format!("Authorization: Bearer {TOKEN}\r\n");
    let failed = bridge.answer(&format!("GET {base}/studies"), &token, b"");
    assert_eq!(failed.status, 502, "{}", failed.head);
    let message = failed.json()["message"].as_str().unwrap().to_owned();
    assert!(message.contains("AWS HealthImaging"), "{message}");
    assert_eq!(bridge.answer("GET /healthz", "", b"").status, 200);
    assert_eq!(bridge.answer("GET /readyz", "", b"").status, 503);
}

#[test]
fn a_store_that_is_cut_off_stores_nothing_on_either() {
    let bridge = Bridge::new(&["--bridge-write"]);
    let phantom = healthimaging_phantoms::Phantom::mr().seed(78).size(8, 8).build();
    let mut body = Vec::new();
    for end in [phantom.len(), phantom.len() - 100] {
        body.extend_from_slice(b"--b\r\nContent-Type: application/dicom\r\n\r\n");
        body.extend_from_slice(&phantom[..end]);
        body.extend_from_slice(b"\r\n");
    }
    let studies = || bridge.ask(&bridge.aws, "/studies", "application/dicom+json").body;
    let before = studies();
    let headers = format!(
        "Authorization: Bearer {TOKEN}\r\nContent-Type: multipart/related; boundary=b; type=\"application/dicom\"\r\n"
    );
    for served in [&bridge.aws, &bridge.bridge] {
        let refused = served.answer(&format!("POST {}/studies", bridge.base), &headers, &body);
        assert_eq!(refused.status, 400, "{}", refused.head);
        let message = refused.json()["message"].as_str().unwrap().to_owned();
        assert!(message.contains("ends before its last boundary"), "{message}");
        assert!(studies() == before);
    }
}
