//! Jobs that a program accepted, which was killed at once, and that a program with other flags takes over.

use std::collections::BTreeSet;

use healthimaging_phantoms::{Archive, write_to};
use serde_json::{Value, json};

use crate::assistant::{Assistant, bare_program};
use crate::until;

/// One study of one series of two slices; each import is of another seed.
const ARCHIVE: Archive =
    Archive { patients: 1, studies: 1, series: 1, instances: 2, size: 16, seed: 0, noise: 10.0 };

/// How many programs are killed: `KILLS`, else a few.
fn kills() -> u64 {
    std::env::var("KILLS").map_or(6, |text| text.parse().unwrap())
}

#[expect(clippy::print_stderr, reason = "the figures of a long run")]
fn report(text: &str) {
    eprintln!("{text}");
}

async fn begin(assistant: &mut Assistant, tool: &str, asked: Value) -> String {
    let begun = assistant.call(tool, asked).await;
    begun["job_id"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn no_acknowledged_job_is_lost_to_a_program_with_other_flags() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    let mut assistant = Assistant::start(root).await;
    let made = json!({ "datastore_name": "ward", "wait_seconds": 60 });
    let made = assistant.call("create_datastore", made).await;
    let datastore = made["datastore_id"].as_str().unwrap().to_owned();
    // An export of an empty data store is refused.
    let first = root.join("in/first");
    write_to(&first, Archive { seed: 1_000_000, ..ARCHIVE }.files()).unwrap();
    let import = json!({
        "datastore_id": datastore, "wait_seconds": 600,
        "input_s3_uri": format!("file://{}/", first.display()),
    });
    let job = assistant.call("start_dicom_import_job", import).await;
    assert_eq!(job["job_status"], "COMPLETED", "{job}");
    assistant.stop().await;

    let (mut imports, mut exports) = (Vec::new(), Vec::new());
    for kill in 0..kills() {
        let (input, output) = (root.join(format!("in/{kill}")), root.join(format!("out/{kill}")));
        write_to(&input, Archive { seed: kill, ..ARCHIVE }.files()).unwrap();
        let mut assistant = Assistant::start(root).await;
        let import = json!({
            "datastore_id": datastore, "wait_seconds": 0,
            "input_s3_uri": format!("file://{}/", input.display()),
            "output_s3_uri": format!("file://{}/", root.join("outcome").display()),
        });
        imports.push(begin(&mut assistant, "start_dicom_import_job", import).await);
        if kill % 2 == 0 {
            let export = json!({
                "datastore_id": datastore, "wait_seconds": 0,
                "output_s3_uri": format!("file://{}/", output.display()),
            });
            exports.push((begin(&mut assistant, "start_dicom_export_job", export).await, output));
        }
        assistant.kill().await;
    }

    // No folder is allowed, and it may not delete.
    let mut other = Assistant::of(bare_program(root).arg("--no-delete")).await;
    let mut lost = Vec::new();
    for id in &imports {
        let asked = json!({ "datastore_id": datastore, "job_id": id });
        let ended = until(async || {
            let found = other.call("get_dicom_import_job", asked.clone()).await;
            let job = found["job_properties"].clone();
            (job["job_status"] != "SUBMITTED" && job["job_status"] != "IN_PROGRESS").then_some(job)
        })
        .await;
        if ended["job_status"] != "COMPLETED" {
            lost.push(ended);
        }
    }
    for (id, output) in &exports {
        let ended = until(async || {
            let found = other.call("get_job", json!({ "job_id": id })).await;
            let job = found["job"].clone();
            (job["job_status"] != "SUBMITTED" && job["job_status"] != "IN_PROGRESS").then_some(job)
        })
        .await;
        if ended["job_status"] != "COMPLETED" {
            lost.push(ended);
        }
        assert_eq!(unfinished_below(output), BTreeSet::new());
    }
    let jobs = imports.len() + exports.len();
    report(&format!("{} kills, {jobs} jobs, {} lost", kills(), lost.len()));
    assert!(lost.is_empty(), "{lost:?}");

    let asked = json!({ "datastore_id": datastore, "max_results": 100 });
    let mut sets = BTreeSet::new();
    let mut next = Value::Null;
    loop {
        let mut asked = asked.clone();
        if !next.is_null() {
            asked["next_token"] = next;
        }
        let found = other.call("search_image_sets", asked).await;
        let page = found["image_sets_metadata_summaries"].as_array().unwrap();
        sets.extend(page.iter().map(|set| set["image_set_id"].as_str().unwrap().to_owned()));
        next = found["next_token"].clone();
        if next.is_null() {
            break;
        }
    }
    assert_eq!(sets.len(), imports.len() + 1, "each import made an image set of its own");
    other.stop().await;
}

/// Files of killed programs that are not whole.
fn unfinished_below(folder: &std::path::Path) -> BTreeSet<std::path::PathBuf> {
    let mut found = BTreeSet::new();
    let Ok(entries) = std::fs::read_dir(folder) else {
        return found;
    };
    for entry in entries {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_dir() {
            found.extend(unfinished_below(&path));
        } else if name.starts_with(".unfinished-") {
            found.insert(path);
        }
    }
    found
}

#[tokio::test]
async fn a_deletion_waits_for_a_program_that_may_delete() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    write_to(&root.join("in"), Archive { instances: 4, studies: 6, ..ARCHIVE }.files()).unwrap();
    let mut assistant = Assistant::start(root).await;
    let made = json!({ "datastore_name": "ward", "wait_seconds": 60 });
    let made = assistant.call("create_datastore", made).await;
    let datastore = made["datastore_id"].clone();
    let import = json!({
        "datastore_id": datastore, "wait_seconds": 600,
        "input_s3_uri": format!("file://{}/", root.join("in").display()),
    });
    assistant.call("start_dicom_import_job", import).await;
    let delete =
        json!({ "datastore_id": datastore, "criteria": { "is_primary": true }, "wait_seconds": 0 });
    let id = begin(&mut assistant, "bulk_delete_by_criteria", delete).await;
    assistant.kill().await;

    let job = async |assistant: &mut Assistant| {
        assistant.call("get_job", json!({ "job_id": id })).await["job"].clone()
    };
    let mut careful = Assistant::of(bare_program(root).arg("--no-delete")).await;
    let held = until(async || {
        let found = job(&mut careful).await;
        (found["message"].is_string() || found["ended_at"].is_string()).then_some(found)
    })
    .await;
    if held["ended_at"].is_null() {
        assert!(held["message"].as_str().unwrap().contains("--no-delete"), "{held}");
    }
    let mut other = Assistant::of(&mut bare_program(root)).await;
    let ended = until(async || {
        let found = job(&mut other).await;
        found["ended_at"].is_string().then_some(found)
    })
    .await;
    assert_eq!(ended["job_status"], "COMPLETED", "{ended}");
    careful.stop().await;
    other.stop().await;
}
