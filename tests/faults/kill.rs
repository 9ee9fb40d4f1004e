//! Jobs of the real program that is killed again and again, at moments that its own journal shows.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use healthimaging_phantoms::{Archive, write_to};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;

use crate::assistant::Assistant;
use crate::kills::{kill_until_it_has_ended, recorded};
use crate::until;

/// One patient, 24 studies of two series.
const ARCHIVE: Archive =
    Archive { patients: 1, studies: 24, series: 2, instances: 1, size: 16, seed: 11, noise: 10.0 };
const SETS: usize = 48;

/// A data folder that programs come to, and the job that they are to finish.
struct Scene {
    folder: TempDir,
    datastore: String,
    patient: String,
}

impl Scene {
    /// A data store that holds [`ARCHIVE`].
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let scans = folder.path().join("scans");
        write_to(&scans, ARCHIVE.files()).unwrap();
        let mut assistant = Assistant::start(folder.path()).await;
        let made = json!({ "datastore_name": "ward", "wait_seconds": 60 });
        let made = assistant.call("create_datastore", made).await;
        let import = json!({
            "datastore_id": made["datastore_id"], "wait_seconds": 600,
            "input_s3_uri": format!("file://{}/", scans.display())
        });
        let job = assistant.call("start_dicom_import_job", import).await;
        assert_eq!(job["job_status"], "COMPLETED", "{job}");
        let mut scene = Self {
            folder,
            datastore: made["datastore_id"].as_str().unwrap().to_owned(),
            patient: String::new(),
        };
        let sets = scene.sets(&mut assistant).await;
        assert_eq!(sets.len(), SETS);
        scene.patient = sets[0]["dicom_tags"]["DICOMPatientId"].as_str().unwrap().to_owned();
        assistant.kill().await;
        scene
    }

    async fn program(&self) -> Assistant {
        Assistant::start(self.folder.path()).await
    }

    /// All image sets.
    async fn sets(&self, assistant: &mut Assistant) -> Vec<Value> {
        let asked = json!({ "datastore_id": self.datastore, "max_results": 100 });
        let found = assistant.call("search_image_sets", asked).await;
        assert!(found.get("next_token").is_none());
        found["image_sets_metadata_summaries"].as_array().unwrap().clone()
    }

    /// How many items of a job have an outcome on disk, and whether the job has ended.
    fn recorded(&self, id: &str) -> (usize, bool) {
        recorded(self.folder.path(), id)
    }

    async fn has_recorded(&self, id: &str, outcomes: usize) {
        until(async || (self.recorded(id).0 >= outcomes).then_some(())).await;
    }

    async fn has_ended(&self, id: &str) {
        until(async || self.recorded(id).1.then_some(())).await;
    }

    /// Starts a job without waiting for it; returns its id.
    async fn begin(&self, assistant: &mut Assistant, tool: &str, mut asked: Value) -> String {
        asked["datastore_id"] = json!(self.datastore);
        asked["wait_seconds"] = json!(0);
        let begun = assistant.call(tool, asked).await;
        begun["job_id"].as_str().unwrap().to_owned()
    }

    /// Starts a job and kills the program whenever so many more outcomes are written; how the job ended, and
    /// how many programs died over it.
    async fn finish_killing(&self, tool: &str, asked: Value, every: usize) -> (Value, usize) {
        let mut assistant = self.program().await;
        let id = self.begin(&mut assistant, tool, asked).await;
        let job = (self.folder.path(), id.as_str());
        let killed = kill_until_it_has_ended(job, assistant, || self.program(), |_| every);
        let (mut assistant, deaths) = killed.await;
        let asked = json!({ "job_id": id, "max_results": 100 });
        let found = assistant.call("get_job", asked).await;
        assert_eq!(found["job"]["job_status"], "COMPLETED", "{found}");
        assistant.kill().await;
        (found, deaths)
    }
}

/// Each item has one outcome, and it is this one.
fn check_outcomes(found: &Value, count: usize, result: &str) {
    let outcomes = found["outcomes"].as_array().unwrap();
    let items: BTreeSet<&str> =
        outcomes.iter().map(|outcome| outcome["item"].as_str().unwrap()).collect();
    assert_eq!((outcomes.len(), items.len()), (count, count));
    for outcome in outcomes {
        assert_eq!(outcome["result"], result, "{outcome}");
    }
    assert_eq!(found["job"]["items_done"], count);
    assert_eq!(found["job"]["items_total"], count);
    assert_eq!(found["job"]["items_failed"], 0);
}

#[tokio::test]
async fn a_deletion_goes_on_after_every_kill() {
    let scene = Scene::new().await;
    let asked = json!({ "patient_id": scene.patient });
    let (found, deaths) = scene.finish_killing("delete_patient_studies", asked, 5).await;
    assert!(deaths > 3, "{deaths}");
    check_outcomes(&found, SETS, "deleted");
    assert_eq!(found["job"]["report"]["deleted"]["image_sets"], SETS);
    assert_eq!(found["job"]["report"]["deleted"]["versions"], SETS);
    assert_eq!(found["job"]["report"]["remaining"]["image_sets"], 0);
    let mut assistant = scene.program().await;
    assert_eq!(scene.sets(&mut assistant).await, Vec::<Value>::new());
    // One certificate, of what the first program saw before it deleted anything.
    let folder = scene.folder.path().join("data/certificates");
    let files: Vec<PathBuf> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert_eq!(files.len(), 1, "{files:?}");
    let certificate: Value = serde_json::from_slice(&std::fs::read(&files[0]).unwrap()).unwrap();
    // The import names the folder of the patient, and the server does not change what it reported.
    assert_eq!(certificate["verdict"], "erased_traces_remain", "{certificate}");
    assert_eq!(certificate["scan"]["found_places"], 1, "{}", certificate["scan"]);
    let place = certificate["scan"]["found"][0]["place"].as_str().unwrap();
    assert!(place.starts_with("imports/") && place.ends_with("success.ndjson"), "{place}");
    assert_eq!(certificate["search"]["image_sets_found"], 0);
    assert_eq!(certificate["certificate_id"], found["job"]["job_id"]);
    assert_eq!(certificate["counts"]["image_sets_erased"], SETS);
    assert_eq!(certificate["counts"]["packs"], SETS);
    // 24 studies, two series and two instances of each; the archive has a frame of reference for each series or study.
    assert!(certificate["scan"]["method"]["uids"].as_u64().unwrap() >= 24 + 2 * 48);
}

#[tokio::test]
async fn an_update_is_made_once_whatever_is_killed() {
    let scene = Scene::new().await;
    let asked =
        json!({ "patient_id": scene.patient, "metadata_updates": { "PatientName": "NEW^NAME" } });
    let (found, deaths) = scene.finish_killing("bulk_update_patient_metadata", asked, 4).await;
    assert!(deaths > 3, "{deaths}");
    check_outcomes(&found, SETS, "updated");
    let mut assistant = scene.program().await;
    let sets = scene.sets(&mut assistant).await;
    assert_eq!(sets.len(), SETS);
    for set in sets {
        assert_eq!(set["version"], 2, "{set}");
        assert_eq!(set["dicom_tags"]["DICOMPatientName"], "NEW^NAME");
    }
}

#[tokio::test]
async fn an_export_is_whole_whatever_is_killed() {
    let scene = Scene::new().await;
    let output = scene.folder.path().join("exported");
    let asked = json!({ "output_s3_uri": format!("file://{}/", output.display()) });
    let (found, deaths) = scene.finish_killing("start_dicom_export_job", asked, 6).await;
    assert!(deaths > 3, "{deaths}");
    check_outcomes(&found, SETS, "written");
    let reported: BTreeMap<String, String> = found["outcomes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|outcome| {
            let text = |value: &Value| value.as_str().unwrap().to_owned();
            (text(&outcome["item"]), text(&outcome["details"]["sha256"]))
        })
        .collect();
    let mut seen = BTreeMap::new();
    let mut others = Vec::new();
    for entry in files_below(&output) {
        let name = entry.strip_prefix(&output).unwrap().to_str().unwrap();
        if Path::new(name).extension().is_some_and(|end| end == "dcm") {
            let bytes = std::fs::read(&entry).unwrap();
            let digest = Sha256::digest(&bytes)
                .iter()
                .fold(String::new(), |text, byte| format!("{text}{byte:02x}"));
            seen.insert(name.to_owned(), digest);
        } else {
            others.push(name.to_owned());
        }
    }
    assert_eq!(seen, reported);
    // Of a killed program's half-written file nothing is left beside the outcome folder.
    let outcome = format!("{}-DicomExport-", scene.datastore);
    assert!(others.iter().all(|name| name.starts_with(&outcome)), "{others:?}");
}

fn files_below(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(files_below(&path));
        } else {
            files.push(path);
        }
    }
    files
}

#[tokio::test]
async fn of_two_programs_one_runs_a_job_and_the_other_goes_on_when_it_dies() {
    let scene = Scene::new().await;
    let (mut one, mut other) = (scene.program().await, scene.program().await);
    let asked =
        json!({ "patient_id": scene.patient, "metadata_updates": { "PatientName": "NEW^NAME" } });
    let id = scene.begin(&mut one, "bulk_update_patient_metadata", asked).await;
    scene.has_recorded(&id, 6).await;
    let seen = other.call("get_job", json!({ "job_id": id })).await;
    assert_eq!(seen["job"]["job_id"], id);
    one.kill().await;
    scene.has_ended(&id).await;
    let asked = json!({ "job_id": id, "max_results": 100 });
    let found = other.call("get_job", asked).await;
    assert_eq!(found["job"]["job_status"], "COMPLETED", "{found}");
    check_outcomes(&found, SETS, "updated");
    for set in scene.sets(&mut other).await {
        assert_eq!(set["version"], 2, "{set}");
    }
}

#[tokio::test]
async fn a_cancelled_job_tells_what_it_did_and_leaves_the_rest() {
    let scene = Scene::new().await;
    let (mut one, mut other) = (scene.program().await, scene.program().await);
    let asked = json!({ "patient_id": scene.patient });
    let id = scene.begin(&mut one, "delete_patient_studies", asked).await;
    scene.has_recorded(&id, 5).await;
    // Who cancels need not be the program that runs the job.
    other.call("cancel_job", json!({ "job_id": id })).await;
    scene.has_ended(&id).await;
    let asked = json!({ "job_id": id, "max_results": 100 });
    let found = other.call("get_job", asked).await;
    assert_eq!(found["job"]["job_status"], "CANCELLED", "{found}");
    let deleted: BTreeSet<&str> = found["outcomes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|outcome| {
            assert_eq!(outcome["result"], "deleted", "{outcome}");
            outcome["image_set_id"].as_str().unwrap()
        })
        .collect();
    assert!(deleted.len() >= 5, "{}", deleted.len());
    let left = scene.sets(&mut other).await;
    assert_eq!(left.len() + deleted.len(), SETS);
    for set in &left {
        assert!(!deleted.contains(set["image_set_id"].as_str().unwrap()));
        assert_eq!(set["version"], 1);
    }
    let report = &found["job"]["report"];
    assert_eq!(report["deleted"]["image_sets"], deleted.len());
    assert_eq!(report["remaining"]["image_sets"], left.len(), "{report}");
}

#[tokio::test]
async fn a_job_is_left_by_a_program_that_is_stopped_and_goes_on_in_the_next() {
    let scene = Scene::new().await;
    let mut assistant = scene.program().await;
    let asked = json!({ "patient_id": scene.patient });
    let id = scene.begin(&mut assistant, "delete_patient_studies", asked).await;
    scene.has_recorded(&id, 5).await;
    assistant.stop().await;
    assert!(!scene.recorded(&id).1);
    let mut assistant = scene.program().await;
    scene.has_ended(&id).await;
    let asked = json!({ "job_id": id, "max_results": 100 });
    let found = assistant.call("get_job", asked).await;
    assert_eq!(found["job"]["job_status"], "COMPLETED", "{found}");
    check_outcomes(&found, SETS, "deleted");
}
