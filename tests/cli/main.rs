//! The command line, as the shell sees it: exit codes, stdout and stderr.
#![expect(clippy::unwrap_used, reason = "a test may")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use healthimaging_phantoms::{Archive, Phantom, write_to};
use serde_json::{Value, json};
use tempfile::TempDir;

/// A store and a folder of scans of its own.
struct Rig {
    folder: TempDir,
}

impl Rig {
    fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The program on the store, with nothing of this machine's environment.
    fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_healthimaging-mcp-server"));
        command
            .env_clear()
            .env("TMPDIR", self.folder.path())
            .stdin(Stdio::null());
        command
            .arg("--data-dir")
            .arg(self.path("store"))
            .args(words);
        command
    }

    fn run(&self, words: &[&str]) -> Output {
        self.command(words).output().unwrap()
    }

    fn call(&self, tool: &str, arguments: &Value) -> Value {
        let output = self.run(&["call", tool, &arguments.to_string()]);
        assert_eq!(output.status.code(), Some(0), "{tool}: {}", stdout(&output));
        serde_json::from_slice(&output.stdout).unwrap()
    }

    /// Two series of three slices.
    fn scans(&self) -> PathBuf {
        let archive = Archive {
            patients: 1,
            studies: 1,
            series: 2,
            instances: 3,
            size: 32,
            ..Archive::default()
        };
        write_to(&self.path("scans"), archive.files()).unwrap();
        self.path("scans")
    }
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn a_picture_goes_to_a_file() {
    let rig = Rig::new();
    let imported = rig.run(&["import", text(&rig.scans())]);
    assert_eq!(imported.status.code(), Some(0), "{}", stderr(&imported));
    let found = rig.call("search_image_sets", &json!({}));
    let set = &found["image_sets_metadata_summaries"][0]["image_set_id"];
    let read = rig.call("get_image_set_metadata", &json!({ "image_set_id": set }));
    let series = read["metadata"]["Study"]["Series"].as_object().unwrap();
    let instances = series.values().next().unwrap()["Instances"]
        .as_object()
        .unwrap();
    let uid = instances.keys().next().unwrap();

    let (picture, stored) = (rig.path("one.png"), rig.path("one.j2c"));
    let asked =
        json!({ "image_set_id": set, "sop_instance_uid": uid, "format": "png" }).to_string();
    let output = rig.run(&[
        "call",
        "get_image_frame",
        &asked,
        "--output",
        text(&picture),
    ]);
    assert_eq!(output.status.code(), Some(0), "{}", stdout(&output));
    assert_eq!(std::fs::read(&picture).unwrap()[..8], *b"\x89PNG\r\n\x1a\n");
    let output = rig.run(&["call", "get_image_frame", &asked]);
    assert!(stderr(&output).contains("--output"), "{}", stderr(&output));

    let asked = json!({ "image_set_id": set, "sop_instance_uid": uid }).to_string();
    let output = rig.run(&["call", "get_image_frame", &asked, "--output", text(&stored)]);
    let told: Value = serde_json::from_slice(&output.stdout).unwrap();
    let bytes = std::fs::read(&stored).unwrap();
    assert_eq!(told["size_bytes"], bytes.len());
    assert!(told.get("image_frame_blob").is_none());
    // SOC, then SIZ: ISO/IEC 15444-1 A.4.
    assert_eq!(bytes[..4], [0xff, 0x4f, 0xff, 0x51]);
}

#[test]
fn import_makes_the_data_store_and_says_what_it_did() {
    let rig = Rig::new();
    let output = rig.run(&["import", text(&rig.scans()), "--datastore", "research"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert!(output.stdout.is_empty(), "stdout is for results");
    let said = stderr(&output);
    assert!(
        said.contains("6 files seen, 6 imported, 0 refused"),
        "{said}"
    );
    assert!(
        said.contains("2 image sets in data store research"),
        "{said}"
    );

    let stores = rig.call("list_datastores", &json!({}));
    assert_eq!(
        stores["datastore_summaries"][0]["datastore_name"],
        "research"
    );
    let found = rig.call("search_image_sets", &json!({}));
    assert_eq!(
        found["image_sets_metadata_summaries"]
            .as_array()
            .unwrap()
            .len(),
        2
    );
    assert_eq!(rig.run(&["verify"]).status.code(), Some(0));
}

#[test]
fn several_paths_and_the_only_data_store_will_do() {
    let rig = Rig::new();
    let one = rig.path("one.dcm");
    std::fs::write(&one, Phantom::mr().size(16, 16).build()).unwrap();
    let output = rig.run(&["import", text(&one), text(&rig.scans())]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert!(stderr(&output).contains("7 imported"));
    assert!(stderr(&output).contains("data store default"));
    let again = rig.run(&["import", text(&one)]);
    assert_eq!(again.status.code(), Some(0));
    let stores = rig.call("list_datastores", &json!({}));
    assert_eq!(stores["datastore_summaries"].as_array().unwrap().len(), 1);
}

#[test]
fn import_exit_codes_tell_refusals_from_errors() {
    let rig = Rig::new();
    let scans = rig.scans();
    std::fs::write(scans.join("notes.txt"), "no DICOM").unwrap();
    let partly = rig.run(&["import", text(&scans)]);
    assert_eq!(partly.status.code(), Some(3), "{}", stderr(&partly));
    assert!(stderr(&partly).contains("notes.txt: not a DICOM Part 10 file"));
    assert!(stderr(&partly).contains("6 imported, 1 refused"));

    let missing = rig.run(&["import", text(&rig.path("nowhere"))]);
    assert_eq!(missing.status.code(), Some(1));
    assert!(stderr(&missing).contains("nowhere cannot be read"));
    let forbidden = rig.run(&["--read-only", "import", text(&scans)]);
    assert_eq!(forbidden.status.code(), Some(1));
}

#[test]
fn call_prints_json_and_takes_it_from_stdin() {
    let rig = Rig::new();
    let mut child = rig.command(&["call", "create_datastore", "-"]);
    let mut child = child
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(br#"{"datastore_name": "piped"}"#)
        .unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    let made: Value = serde_json::from_slice(&output.stdout).unwrap();
    let got = rig.call(
        "get_datastore",
        &json!({ "datastore_id": made["datastore_id"] }),
    );
    assert_eq!(got["datastore_properties"]["datastore_name"], "piped");

    let refused = rig.run(&["call", "get_datastore", r#"{"datastore_id": "short"}"#]);
    assert_eq!(refused.status.code(), Some(1));
    let error: Value = serde_json::from_slice(&refused.stdout).unwrap();
    assert_eq!(
        (&error["error"], &error["type"]),
        (&json!(true), &json!("validation_error"))
    );
    let garbage = rig.run(&["call", "get_datastore", "{"]);
    assert_eq!(garbage.status.code(), Some(1));
    assert!(garbage.stdout.is_empty() && stderr(&garbage).contains("not JSON"));
}

#[test]
fn call_waits_for_the_job_that_a_tool_starts() {
    let rig = Rig::new();
    let imported = rig.run(&["import", text(&rig.scans())]);
    assert_eq!(imported.status.code(), Some(0), "{}", stderr(&imported));
    let found = rig.call("search_image_sets", &json!({}));
    let patient = &found["image_sets_metadata_summaries"][0]["dicom_tags"]["DICOMPatientId"];
    let asked = json!({ "patient_id": patient, "metadata_updates": { "PatientName": "DOE^JANE" } });
    let output = rig.run(&[
        "call",
        "bulk_update_patient_metadata",
        &asked.to_string(),
        "--yes",
    ]);
    assert_eq!(output.status.code(), Some(0), "{}", stdout(&output));
    let job: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(job["job_status"], "COMPLETED", "{job}");
    assert_eq!(
        (&job["items_done"], &job["items_failed"]),
        (&json!(2), &json!(0))
    );
    assert!(output.stderr.is_empty(), "progress is for terminals");
    // Unless it is told not to.
    let (out, uri) = (rig.path("out"), rig.path("out").display().to_string());
    let asked = json!({ "output_s3_uri": format!("file://{uri}/"), "wait_seconds": 0 }).to_string();
    std::fs::create_dir(&out).unwrap();
    let output = rig.run(&[
        "--allow-path",
        &uri,
        "call",
        "start_dicom_export_job",
        &asked,
    ]);
    let job: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(job.get("ended_at").is_none(), "{job}");
}

#[test]
fn call_erases_only_when_told_to() {
    let rig = Rig::new();
    let made = rig.call(
        "create_datastore",
        &json!({ "datastore_name": "short-lived" }),
    );
    let arguments = json!({ "datastore_id": made["datastore_id"] }).to_string();
    let unasked = rig.run(&["call", "delete_datastore", &arguments]);
    assert_eq!(unasked.status.code(), Some(1));
    assert!(stdout(&unasked).contains("--yes"), "{}", stdout(&unasked));
    let guarded = rig.run(&[
        "--no-delete",
        "call",
        "delete_datastore",
        &arguments,
        "--yes",
    ]);
    assert_eq!(guarded.status.code(), Some(1));
    let still = rig.call(
        "get_datastore",
        &json!({ "datastore_id": made["datastore_id"] }),
    );
    assert_eq!(still["datastore_properties"]["datastore_status"], "ACTIVE");
    let told = rig.run(&["call", "delete_datastore", &arguments, "--yes"]);
    assert_eq!(told.status.code(), Some(0), "{}", stdout(&told));
}

#[test]
fn tools_follow_the_gates_of_flags_and_environment() {
    let rig = Rig::new();
    let listed = |words: &[&str], variable: &str, value: &str| {
        stdout(&rig.command(words).env(variable, value).output().unwrap())
    };
    let all = listed(&["tools"], "UNUSED", "");
    assert!(all.contains("delete_image_set") && all.contains("create_datastore"));
    let kept = listed(&["tools"], "HEALTHIMAGING_NO_DELETE", "true");
    assert!(!kept.contains("delete_image_set") && kept.contains("create_datastore"));
    let reading = listed(&["tools"], "HEALTHIMAGING_READ_ONLY", "1");
    assert!(!reading.contains("create_datastore") && reading.contains("search_image_sets"));
    let overruled = listed(
        &["tools", "--read-only=false"],
        "HEALTHIMAGING_READ_ONLY",
        "1",
    );
    assert_eq!(overruled, all);
    let documents = rig.run(&["tools", "--json"]);
    let documents: Value = serde_json::from_slice(&documents.stdout).unwrap();
    assert!(documents[0]["input_schema"]["type"] == "object");
    assert!(!rig.path("store").exists(), "listing tools opens no store");
}

/// The program on AWS, whose place nobody has taken: nothing listens at the endpoint.
fn on_aws(rig: &Rig, words: &[&str]) -> Command {
    let mut command = rig.command(&["--backend", "aws", "--endpoint-url", "http://127.0.0.1:1"]);
    command.args(words).env("AWS_EC2_METADATA_DISABLED", "true");
    command
}

#[test]
fn aws_without_a_region_or_credentials_says_what_to_set() {
    let rig = Rig::new();
    let output = on_aws(&rig, &["call", "list_datastores"]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(
        stderr(&output).contains("set AWS_REGION"),
        "{}",
        stderr(&output)
    );
    let mut command = on_aws(&rig, &["call", "list_datastores"]);
    let output = command.env("AWS_REGION", "us-east-1").output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let error: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(error["type"], "auth_error");
    assert!(
        error["message"]
            .as_str()
            .unwrap()
            .contains("`aws configure`"),
        "{error}"
    );
}

#[test]
fn aws_out_of_reach_is_told_by_call_and_doctor() {
    let rig = Rig::new();
    let output = |words: &[&str]| {
        let mut command = on_aws(&rig, words);
        command
            .env("AWS_REGION", "eu-west-1")
            .env("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
            .env("AWS_SECRET_ACCESS_KEY", "secret");
        command.output().unwrap()
    };
    let called = output(&["call", "list_datastores"]);
    let error: Value = serde_json::from_slice(&called.stdout).unwrap();
    assert_eq!(error["type"], "service_error");
    assert!(
        error["message"]
            .as_str()
            .unwrap()
            .contains("cannot be reached"),
        "{error}"
    );
    let told = output(&["doctor"]);
    assert_eq!(told.status.code(), Some(1));
    let text = stdout(&told);
    for part in [
        "AWS HealthImaging, as asked for",
        "eu-west-1",
        "http://127.0.0.1:1",
        "FAILED",
    ] {
        assert!(text.contains(part), "{part} in {text}");
    }
    assert!(!text.contains("AKIDEXAMPLE") && !text.contains("secret"));
}

#[test]
fn commands_of_the_embedded_store_say_so_on_aws() {
    let rig = Rig::new();
    for (command, way) in [
        ("import", "store_dicom_instances"),
        ("verify", "embedded store"),
    ] {
        let mut words = vec![command];
        words.extend((command == "import").then_some("/"));
        let output = on_aws(&rig, &words).output().unwrap();
        assert_eq!(output.status.code(), Some(1));
        assert!(stderr(&output).contains(way), "{}", stderr(&output));
    }
}

#[test]
fn a_reader_that_hangs_up_is_not_told_of() {
    let rig = Rig::new();
    let mut command = rig.command(&["tools"]);
    let mut child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let mut told = String::new();
    let mut stderr = child.stderr.take().unwrap();
    stderr.read_to_string(&mut told).unwrap();
    assert_eq!(told, "");
    assert_eq!(child.wait().unwrap().code(), Some(1));
}

#[test]
fn a_doctor_changes_nothing() {
    let rig = Rig::new();
    let before = rig.run(&["doctor"]);
    assert_eq!(before.status.code(), Some(0));
    assert!(stdout(&before).contains("embedded store, the default"));
    assert!(!rig.path("store").exists(), "looking makes no store");
    std::fs::create_dir(rig.path("store")).unwrap();
    assert!(stdout(&rig.run(&["doctor"])).contains("not made yet"));
    let inside = std::fs::read_dir(rig.path("store")).unwrap().count();
    assert_eq!(inside, 0, "nor in a folder that was made for it");
    // As an MCP client would start it: a region chooses AWS, and a flag overrules it.
    let aws = |words: &[&str]| {
        let mut command = rig.command(words);
        command
            .env("AWS_REGION", "eu-west-1")
            .env("AWS_ENDPOINT_URL_MEDICAL_IMAGING", "http://127.0.0.1:1")
            .env("AWS_EC2_METADATA_DISABLED", "true");
        stdout(&command.output().unwrap())
    };
    assert!(aws(&["doctor"]).contains("AWS HealthImaging, since AWS_REGION is set"));
    assert!(aws(&["doctor"]).contains("http://127.0.0.1:1"));
    assert!(aws(&["--backend", "local", "doctor"]).contains("embedded store, as asked for"));
}

#[test]
fn a_doctor_says_what_is_missing_for_aws() {
    let rig = Rig::new();
    let told = |variables: &[(&str, &str)]| {
        let mut command = rig.command(&["--backend", "aws", "doctor"]);
        command
            .env("AWS_EC2_METADATA_DISABLED", "true")
            .env("AWS_CONFIG_FILE", rig.path("config"))
            .env("AWS_SHARED_CREDENTIALS_FILE", rig.path("credentials"))
            .envs(variables.iter().copied());
        let output = command.output().unwrap();
        assert_eq!(output.status.code(), Some(1));
        stdout(&output)
    };
    std::fs::write(rig.path("config"), "[profile one]\nregion = eu-west-2\n").unwrap();
    std::fs::write(rig.path("credentials"), "").unwrap();
    assert!(told(&[]).contains("no AWS region is known"));
    let nobody = told(&[("AWS_PROFILE", "one")]);
    assert!(nobody.contains("eu-west-2"), "{nobody}");
    assert_eq!(
        nobody.matches("no credentials found").count(),
        1,
        "{nobody}"
    );
    assert!(nobody.contains("for want of credentials"), "{nobody}");
    let other = told(&[("AWS_PROFILE", "two"), ("AWS_REGION", "eu-west-2")]);
    assert!(other.contains("there is no profile `two`"), "{other}");
}

#[test]
fn the_demonstration_ends_well_and_leaves_nothing() {
    let rig = Rig::new();
    let output = rig
        .command(&["demo"])
        .env("HEALTHIMAGING_READ_ONLY", "true")
        .output()
        .unwrap();
    assert_eq!(
        output.status.code(),
        Some(0),
        "{}{}",
        stdout(&output),
        stderr(&output)
    );
    assert!(stdout(&output).contains("Everything was as expected"));
    assert!(
        !stdout(&output).contains('\x1b'),
        "no colours but on a terminal"
    );
    assert_eq!(
        std::fs::read_dir(rig.folder.path()).unwrap().count(),
        0,
        "nothing is left"
    );
}

#[test]
fn other_than_loopback_needs_a_token() {
    let rig = Rig::new();
    let open = rig.run(&["serve", "--http", "0.0.0.0:0"]);
    assert_eq!(open.status.code(), Some(1));
    assert!(stderr(&open).contains("HTTP_TOKEN"), "{}", stderr(&open));
    let short = rig.run(&["serve", "--http", "0.0.0.0:0", "--http-token", "short"]);
    assert_eq!(short.status.code(), Some(1));
}

/// A server that ends with the test.
struct Served {
    child: Child,
    address: String,
}

impl Drop for Served {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Served {
    /// Starts on a free port, which it tells on stderr.
    fn start(rig: &Rig, words: &[&str]) -> Self {
        let mut command = rig.command(&["serve", "--http", "127.0.0.1:0"]);
        let mut child = command.args(words).stderr(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let said = lines.map(Result::unwrap).find_map(|line| {
            Some(
                line.split_once("MCP at http://")?
                    .1
                    .trim_end_matches("/mcp")
                    .to_owned(),
            )
        });
        Self {
            child,
            address: said.unwrap(),
        }
    }

    /// The status line and body of a request with these header lines.
    fn ask(&self, request: &str, headers: &str) -> String {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        let address = &self.address;
        write!(
            stream,
            "{request} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n{headers}\r\n"
        )
        .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }
}

#[test]
fn http_is_healthy_guarded_and_ends_when_told() {
    let rig = Rig::new();
    let mut served = Served::start(&rig, &["--http-token", "0123456789abcdef"]);
    assert!(served.ask("GET /healthz", "").starts_with("HTTP/1.1 200 "));
    assert!(
        served
            .ask("POST /mcp", "Content-Length: 0\r\n")
            .starts_with("HTTP/1.1 401 ")
    );
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
        let id = served.child.id().to_string();
        assert!(
            Command::new("kill")
                .args(["-TERM", &id])
                .status()
                .unwrap()
                .success()
        );
        assert_eq!(served.child.wait().unwrap().code(), Some(0));
    }
}
