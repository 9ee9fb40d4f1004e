//! A transfer from one embedded store to another one over HTTP, whose program is killed again and again.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Stdio;
use std::time::Instant;

use healthimaging_phantoms::{Archive, write_to};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};

use crate::assistant::{Assistant, program};
use crate::kills::{kill_until_it_has_ended, recorded};
use crate::until;

/// Slices of a series; `TRANSFER_INSTANCES` instances in all, else a few.
const SLICES: u32 = 10;

fn instances() -> u32 {
    std::env::var("TRANSFER_INSTANCES").map_or(120, |text| text.parse().unwrap())
}

/// The destination: a server whose address is the endpoint of AWS for the other program.
async fn serve(folder: &Path) -> (Child, String) {
    let mut child = program(folder)
        .args(["serve", "--http", "127.0.0.1:0"])
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let address = loop {
        let line = lines.next_line().await.unwrap().unwrap();
        if let Some((_, rest)) = line.split_once("MCP at http://") {
            break rest.trim_end_matches("/mcp").to_owned();
        }
    };
    tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
    (child, address)
}

fn source(folder: &Path, address: &str) -> Command {
    let mut command = program(folder);
    command
        .args(["--endpoint-url", &format!("http://{address}"), "--region", "us-east-1"])
        .args(["--rate-factor", "1000"])
        .env("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
        .env("AWS_SECRET_ACCESS_KEY", "secret");
    command
}

async fn made(assistant: &mut Assistant, name: &str) -> String {
    let made = json!({ "datastore_name": name, "wait_seconds": 60 });
    let made = assistant.call("create_datastore", made).await;
    made["datastore_id"].as_str().unwrap().to_owned()
}

/// All image sets of a data store.
async fn sets(assistant: &mut Assistant, datastore: &str) -> Vec<Value> {
    let mut asked = json!({ "datastore_id": datastore, "max_results": 100 });
    let mut sets = Vec::new();
    loop {
        let found = assistant.call("search_image_sets", asked.clone()).await;
        sets.extend(found["image_sets_metadata_summaries"].as_array().unwrap().clone());
        match found.get("next_token") {
            Some(token) => asked["next_token"] = token.clone(),
            None => return sets,
        }
    }
}

#[tokio::test]
async fn a_transfer_is_complete_and_stores_nothing_twice_whatever_is_killed() {
    let (here, there) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let instances = instances();
    let archive = Archive {
        patients: 1,
        studies: instances / SLICES,
        series: 1,
        instances: SLICES,
        size: 16,
        seed: 5,
        noise: 10.0,
    };
    write_to(&here.path().join("scans"), archive.files()).unwrap();
    let mut assistant = Assistant::start(there.path()).await;
    let to = made(&mut assistant, "destination").await;
    assistant.stop().await;
    let (mut server, address) = serve(there.path()).await;
    let mut assistant = Assistant::of(&mut source(here.path(), &address)).await;
    let from = made(&mut assistant, "source").await;
    let import = json!({
        "datastore_id": from, "wait_seconds": 600,
        "input_s3_uri": format!("file://{}/", here.path().join("scans").display())
    });
    let job = assistant.call("start_dicom_import_job", import).await;
    assert_eq!(job["job_status"], "COMPLETED", "{job}");

    let asked = json!({
        "from_datastore": "source", "to_datastore": "aws:destination", "criteria": {},
        "wait_seconds": 0
    });
    let begun = assistant.call("transfer_studies", asked).await;
    let id = begun["job_id"].as_str().unwrap().to_owned();
    let start = || async { Assistant::of(&mut source(here.path(), &address)).await };
    // Odd numbers, so that kills fall before, between and after the requests.
    let more = |deaths: usize| (deaths * 7) % 23 + 1;
    let begun = Instant::now();
    let (mut assistant, deaths) =
        kill_until_it_has_ended((here.path(), &id), assistant, start, more).await;
    println!("{instances} instances, {deaths} kills, {:.1} s", begun.elapsed().as_secs_f64());
    assert!(deaths > 3, "{deaths}");
    let found = assistant.call("get_job", json!({ "job_id": id, "max_results": 1 })).await;
    let (job, report) = (&found["job"], &found["job"]["report"]);
    assert_eq!(job["job_status"], "COMPLETED", "{found}");
    assert_eq!((&job["items_total"], &job["items_done"]), (&json!(instances), &json!(instances)));
    let count = |name: &str| report[name].as_u64().unwrap();
    assert_eq!(count("instances_failed") + count("instances_held_back"), 0, "{report}");
    let of_both = count("instances_transferred") + count("instances_there_before");
    assert_eq!(of_both, u64::from(instances), "{report}");
    assert_eq!(report["instances_that_differ_in"], json!({}));

    let series = |sets: &[Value]| -> BTreeSet<String> {
        let uid =
            |set: &Value| set["dicom_tags"]["DICOMSeriesInstanceUID"].as_str().unwrap().to_owned();
        sets.iter().map(uid).collect()
    };
    let sent = sets(&mut assistant, &from).await;
    assistant.kill().await;
    server.kill().await.unwrap();
    let mut assistant = Assistant::start(there.path()).await;
    let arrived = sets(&mut assistant, &to).await;
    assert_eq!((arrived.len(), series(&arrived)), (sent.len(), series(&sent)));
    for set in &arrived {
        assert_eq!(set["dicom_tags"]["DICOMNumberOfStudyRelatedInstances"], SLICES, "{set}");
        assert_eq!(set["is_primary"], true);
        // A request stores the instances of a series that are missing. A version more than requests would be a replaced
        // instance, and a replaced instance keeps its number.
        assert!(set["version"].as_u64().unwrap() <= 2, "{set}");
    }
    assistant.kill().await;
}

#[tokio::test]
async fn a_destination_that_goes_away_is_named_and_the_next_transfer_continues() {
    let (here, there) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let archive = Archive {
        patients: 1,
        studies: 6,
        series: 1,
        instances: SLICES,
        size: 16,
        seed: 6,
        noise: 10.0,
    };
    write_to(&here.path().join("scans"), archive.files()).unwrap();
    let mut assistant = Assistant::start(there.path()).await;
    made(&mut assistant, "destination").await;
    assistant.stop().await;
    let (mut server, address) = serve(there.path()).await;
    let mut assistant = Assistant::of(&mut source(here.path(), &address)).await;
    let from = made(&mut assistant, "source").await;
    let import = json!({
        "datastore_id": from, "wait_seconds": 600,
        "input_s3_uri": format!("file://{}/", here.path().join("scans").display())
    });
    assistant.call("start_dicom_import_job", import).await;
    let mut asked = json!({
        "from_datastore": "source", "to_datastore": "aws:destination", "criteria": {},
        "wait_seconds": 0
    });
    let begun = assistant.call("transfer_studies", asked.clone()).await;
    let id = begun["job_id"].as_str().unwrap().to_owned();
    until(async || (recorded(here.path(), &id).0 >= 10).then_some(())).await;
    server.kill().await.unwrap();
    until(async || recorded(here.path(), &id).1.then_some(())).await;
    let found = assistant.call("get_job", json!({ "job_id": id })).await;
    let job = &found["job"];
    if job["job_status"] == "FAILED" {
        let message = job["message"].as_str().unwrap();
        assert!(message.contains("start the transfer again"), "{message}");
    }
    assistant.kill().await;
    let (mut server, address) = serve(there.path()).await;
    let mut assistant = Assistant::of(&mut source(here.path(), &address)).await;
    asked["wait_seconds"] = json!(600);
    let done = assistant.call("transfer_studies", asked).await;
    assert_eq!(done["job_status"], "COMPLETED", "{done}");
    let report = &done["report"];
    let count = |name: &str| report[name].as_u64().unwrap();
    assert!(count("instances_there_before") >= 10, "{report}");
    assert_eq!(count("instances_transferred") + count("instances_there_before"), 60, "{report}");
    assert_eq!(count("instances_failed"), 0, "{report}");
    assistant.kill().await;
    server.kill().await.unwrap();
}
