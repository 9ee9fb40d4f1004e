//! Transfers: between data stores of one back end, and between the embedded store and AWS.

use healthimaging_phantoms::{Phantom, PhantomFile};
use healthimaging_tools::{Consent, Server};
use healthimaging_workflows::Side;
use serde_json::{Value, json};

use crate::deidentified::echo;
use crate::erase::{all, tag};
use crate::export::file;
use crate::rig::Rig;

/// Image sets and instances of the archive.
const SETS: usize = 8;
const INSTANCES: u64 = 24;

async fn other(rig: &Rig) -> String {
    let made = json!({ "datastore_name": "other", "wait_seconds": 60 });
    rig.call("create_datastore", made).await["datastore_id"].as_str().unwrap().to_owned()
}

fn of(from: &str, to: &str, criteria: &Value) -> Value {
    json!({ "from_datastore": from, "to_datastore": to, "criteria": criteria, "wait_seconds": 300 })
}

/// The report of a transfer that was completed.
async fn transferred(rig: &Rig, asked: Value) -> Value {
    let done = rig.call("transfer_studies", asked).await;
    assert_eq!(done["job_status"], "COMPLETED", "{done}");
    done["report"].clone()
}

/// File meta information is that of the program that wrote the file that was stored.
/// Pixels in color have the color transform of the stored frames.
const WRITTEN: [&str; 5] = [
    "FileMetaInformationGroupLength",
    "ImplementationClassUID",
    "ImplementationVersionName",
    "PhotometricInterpretation",
    "TransferSyntaxUID",
];

fn counts(report: &Value) -> [u64; 4] {
    ["transferred", "there_before", "held_back", "failed"]
        .map(|name| report[format!("instances_{name}")].as_u64().unwrap())
}

/// SOP Instance UIDs that are in two image sets, or twice.
async fn instances(rig: &Rig, datastore: &str) -> Vec<String> {
    let mut found = Vec::new();
    for set in all(rig, datastore).await {
        let asked = json!({ "datastore_id": datastore, "image_set_id": set["image_set_id"] });
        let read = rig.call("get_image_set_metadata", asked).await;
        for series in read["metadata"]["Study"]["Series"].as_object().unwrap().values() {
            found.extend(series["Instances"].as_object().unwrap().keys().cloned());
        }
    }
    found.sort();
    found
}

pub(crate) async fn studies_are_transferred_once_and_compared(rig: Rig) {
    let (from, to) = (rig.filled().await, other(&rig).await);
    // A patient first, with an image set that has an older version.
    let set = all(&rig, &from).await[0].clone();
    let set0 = set.clone();
    let patient = tag(&set, "DICOMPatientId").to_owned();
    let change = json!({
        "datastore_id": from, "study_instance_uid": tag(&set, "DICOMStudyInstanceUID"),
        "study_updates": { "StudyDescription": "CORRECTED" }, "wait_seconds": 60
    });
    rig.call("update_patient_study_metadata", change).await;
    let mut asked = of(&from, "other", &json!({ "patient_id": patient }));
    asked["dry_run"] = json!(true);
    let planned = rig.call("transfer_studies", asked.clone()).await["estimate"].clone();
    assert_eq!((&planned["image_sets"], &planned["studies"]), (&json!(4), &json!(2)));
    assert_eq!((&planned["instances"], all(&rig, &to).await.len()), (&json!(12), 0));
    assert!(planned["bytes"].as_u64().unwrap() > 0);
    // Both image sets of the study have a version more.
    assert_eq!(planned["older_versions_left_out"]["versions"], 2);
    asked["dry_run"] = json!(false);
    let report = transferred(&rig, asked.clone()).await;
    assert_eq!(counts(&report), [12, 0, 0, 0], "{report}");
    assert_eq!(report["instances_that_differ_in"], json!({}), "{report}");
    assert_eq!(report["older_versions_left_out"]["versions"], 2);
    assert_eq!(report["older_versions_left_out"]["first_image_sets"].as_array().unwrap().len(), 2);
    // Then everything: what is there is not stored again.
    let report = transferred(&rig, of(&from, &to, &json!({}))).await;
    assert_eq!(counts(&report), [INSTANCES - 12, 12, 0, 0], "{report}");
    let report = transferred(&rig, of(&from, &to, &json!({}))).await;
    assert_eq!(counts(&report), [0, INSTANCES, 0, 0], "{report}");
    let sets = all(&rig, &to).await;
    assert_eq!(sets.len(), SETS);
    assert!(sets.iter().all(|set| set["version"] == 1 && set["is_primary"] == true), "{sets:?}");
    assert_eq!(instances(&rig, &to).await, instances(&rig, &from).await);
    // An independent comparison.
    let compared = json!({ "datastore_id": from, "other_datastore_id": to });
    let compared = rig.call("compare_image_sets", compared).await;
    assert!(compared.get("series").is_none(), "{compared}");
    assert!(compared["summary"].as_str().unwrap().contains("8 compared"), "{compared}");
    let pair = |sets: &[Value]| {
        let series = |set: &&Value| {
            tag(set, "DICOMSeriesInstanceUID") == tag(&set0, "DICOMSeriesInstanceUID")
        };
        sets.iter().find(series).unwrap()["image_set_id"].clone()
    };
    let compared = json!({
        "datastore_id": from, "image_set_id": pair(&all(&rig, &from).await),
        "other_datastore_id": to, "other_image_set_id": pair(&sets)
    });
    let compared = rig.call("compare_image_sets", compared).await;
    assert!(compared.get("attributes").is_none(), "{compared}");
    assert_eq!(compared["counts"]["frames_different"], 0, "{compared}");
    let stored = compared["counts"]["stored_differently_in"].as_array().unwrap().iter();
    let mut names = stored.map(|name| name.as_str().unwrap());
    assert!(names.all(|name| WRITTEN.contains(&name)), "{compared}");
}

pub(crate) async fn what_cannot_be_transferred_is_refused_with_the_reason(rig: Rig) {
    let (from, to) = (rig.filled().await, other(&rig).await);
    let refused = async |asked: Value, kind: &str, words: &str| {
        let message = rig.refusal("transfer_studies", asked, kind).await;
        assert!(message.contains(words), "{message}");
    };
    refused(of(&from, &from, &json!({})), "validation_error", "same data store").await;
    refused(of(&from, &"0".repeat(32), &json!({})), "not_found", "to_datastore").await;
    refused(of(&from, "nowhere", &json!({})), "validation_error", "to_datastore").await;
    refused(of("no where", &to, &json!({})), "validation_error", "from_datastore").await;
    refused(of(&from, "aws:other", &json!({})), "validation_error", "one back end").await;
    refused(of(&from, "foo:other", &json!({})), "validation_error", "only aws: and local:").await;
    let misspelled = of(&from, &to, &json!({ "patient_idd": "DOE" }));
    refused(misspelled, "validation_error", "perhaps `patient_id` is meant").await;
    refused(of(&from, &to, &json!({ "patient_id": 7 })), "validation_error", "must be text").await;
    let nothing = of(&from, &to, &json!({ "patient_id": "NOBODY" }));
    refused(nothing, "not_found", "nothing is transferred").await;
    // An empty data store has nothing to transfer either.
    refused(of(&to, &from, &json!({})), "not_found", "nothing is transferred").await;
    let mut nothing = of(&from, &to, &json!({ "patient_id": "NOBODY" }));
    nothing["dry_run"] = json!(true);
    refused(nothing, "not_found", "nothing is transferred").await;
    // A data store that is deleted.
    let gone = json!({ "datastore_id": to });
    rig.call("delete_datastore", gone).await;
    let message = rig.answer("transfer_studies", of(&from, &to, &json!({}))).await.unwrap_err();
    assert!(message["message"].as_str().unwrap().contains("to_datastore"), "{message}");
}

pub(crate) async fn an_instance_that_cannot_be_read_keeps_no_other_back(rig: Rig) {
    let (from, to) = (rig.filled().await, other(&rig).await);
    // The first bytes of a frame are lost on the disk of the source.
    let mut packs = crate::rig::files_below(&rig.packs());
    packs.retain(|path| path.metadata().unwrap().len() > 0);
    let pack = packs.iter().max_by_key(|path| path.metadata().unwrap().len()).unwrap();
    let mut bytes = std::fs::read(pack).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle..middle + 4].iter_mut().for_each(|byte| *byte ^= 0xFF);
    std::fs::write(pack, bytes).unwrap();
    let report = transferred(&rig, of(&from, &to, &json!({}))).await;
    let [transferred, there, held, failed] = counts(&report);
    assert_eq!((transferred + failed, there, held), (INSTANCES, 0, 0), "{report}");
    assert!((1..=3).contains(&failed), "{report}");
    assert_eq!(instances(&rig, &to).await.len() as u64, transferred);
}

pub(crate) async fn a_color_transform_is_no_difference_of_content(rig: Rig) {
    let (from, to) = (rig.datastore().await, other(&rig).await);
    let loop_ = Phantom::ultrasound().size(16, 12).frames(2).study_uid("2.25.74");
    let bytes = loop_.series_uid("2.25.75").sop_uid("2.25.76").build();
    rig.import(&from, [PhantomFile { relative_path: "1.dcm".into(), bytes }]).await;
    let report = transferred(&rig, of(&from, &to, &json!({}))).await;
    assert_eq!(counts(&report), [1, 0, 0, 0], "{report}");
    let compared = json!({ "datastore_id": from, "other_datastore_id": to });
    let compared = rig.call("compare_image_sets", compared).await;
    assert!(compared.get("series").is_none(), "{compared}");
    let set = async |datastore: &str| all(&rig, datastore).await[0]["image_set_id"].clone();
    let pair = json!({
        "datastore_id": from, "image_set_id": set(&from).await, "other_datastore_id": to,
        "other_image_set_id": set(&to).await
    });
    let compared = rig.call("compare_image_sets", pair).await;
    assert!(compared.get("attributes").is_none(), "{compared}");
    let stored = &compared["counts"]["stored_differently_in"];
    assert!(stored.to_string().contains("PhotometricInterpretation"), "{compared}");
}

pub(crate) async fn another_instance_of_the_same_uid_stays(rig: Rig) {
    let slice = |description: &str| {
        let phantom = Phantom::ct()
            .size(16, 16)
            .patient("DOE^JANE", "MRN-1")
            .study_uid("2.25.71")
            .series_uid("2.25.72")
            .sop_uid("2.25.73")
            .study_description(description);
        PhantomFile { relative_path: "1.dcm".into(), bytes: phantom.build() }
    };
    let (from, to) = (rig.datastore().await, other(&rig).await);
    rig.import(&from, [slice("ONE")]).await;
    rig.import(&to, [slice("OTHER")]).await;
    let done = rig.call("transfer_studies", of(&from, &to, &json!({}))).await;
    assert_eq!(counts(&done["report"]), [0, 0, 0, 1], "{done}");
    let found = rig.call("get_job", json!({ "job_id": done["job_id"] })).await;
    let message = found["outcomes"][0]["error"]["message"].as_str().unwrap();
    assert!(message.contains("differs in StudyDescription"), "{message}");
    assert_eq!(all(&rig, &to).await[0]["version"], 1);
}

pub(crate) async fn a_transfer_is_deidentified(rig: Rig) {
    let (from, to) = (rig.filled().await, other(&rig).await);
    let mut asked = of(&from, &to, &json!({}));
    asked["deidentify"] = json!({ "profile": "basic", "options": [] });
    let report = transferred(&rig, asked.clone()).await;
    let [transferred_first, _, held, failed] = counts(&report);
    assert_eq!((transferred_first + held, failed), (INSTANCES, 0), "{report}");
    assert!(transferred_first > 0, "{report}");
    let originals = instances(&rig, &from).await;
    let arrived = instances(&rig, &to).await;
    assert!(arrived.iter().all(|uid| !originals.contains(uid)));
    let patients: Vec<String> =
        all(&rig, &from).await.iter().map(|set| tag(set, "DICOMPatientId").to_owned()).collect();
    let text = json!(all(&rig, &to).await).to_string();
    assert!(patients.iter().all(|patient| !text.contains(patient.as_str())), "{text}");
    // The same key makes the same UIDs, so that nothing is stored twice.
    let report = transferred(&rig, asked).await;
    assert_eq!(counts(&report), [0, transferred_first, held, 0], "{report}");
}

pub(crate) async fn blanked_pixels_are_compared_decoded(rig: Rig) {
    let (from, to) = (rig.datastore().await, other(&rig).await);
    rig.import(&from, [file("1.dcm", echo())]).await;
    let mut asked = of(&from, &to, &json!({}));
    asked["deidentify"] = json!({ "profile": "basic", "options": ["clean-pixel-data"] });
    // They are sent without compression, and kept in HTJ2K.
    let report = transferred(&rig, asked).await;
    assert_eq!(counts(&report), [1, 0, 0, 0], "{report}");
}

/// Calls a tool of a server that has two back ends.
async fn done(server: &Server, asked: Value) -> Value {
    let Value::Object(arguments) = asked else { panic!("not an object") };
    let answer = server.call("transfer_studies", arguments, Consent::Unavailable).await.unwrap();
    assert_eq!(answer.structured["job_status"], "COMPLETED", "{:?}", answer.structured);
    answer.structured["report"].clone()
}

#[tokio::test]
async fn studies_go_from_the_embedded_store_to_aws_and_back() {
    let (local, aws) = (Rig::new(crate::open_local).await, Rig::new(crate::open_aws).await);
    let (here, there) = (local.filled().await, aws.datastore().await);
    let server = local.beside(Side::Local, &aws);
    let report = done(&server, of(&here, "aws:ward", &json!({}))).await;
    assert_eq!(counts(&report), [INSTANCES, 0, 0, 0], "{report}");
    assert_eq!(report["instances_that_differ_in"], json!({}), "{report}");
    assert_eq!(instances(&aws, &there).await, instances(&local, &here).await);
    // Back, from the server of the one and from that of the other.
    let back = other(&local).await;
    let report = done(&server, of("aws:ward", "other", &json!({}))).await;
    assert_eq!(counts(&report), [INSTANCES, 0, 0, 0], "{report}");
    assert_eq!(instances(&local, &back).await, instances(&local, &here).await);
    let server = aws.beside(Side::Aws, &local);
    let report = done(&server, of("aws:ward", &format!("local:{back}"), &json!({}))).await;
    assert_eq!(counts(&report), [0, INSTANCES, 0, 0], "{report}");
}
