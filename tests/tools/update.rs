//! Updates of one image set: what takes something away is planned, and what fails is an error.

use healthimaging_phantoms::{Phantom, PhantomFile};
use serde_json::{Value, json};

use crate::erase::{all, tag};
use crate::rig::Rig;

fn updating(datastore: &str, set: &Value, version: u32, updates: &Value) -> Value {
    json!({
        "datastore_id": datastore, "image_set_id": set["image_set_id"],
        "latest_version_id": version, "update_image_set_metadata_updates": updates,
        "wait_seconds": 120
    })
}

/// The UIDs of the instances that the latest version holds.
async fn instances(rig: &Rig, datastore: &str, set: &Value) -> Vec<String> {
    let asked = json!({ "datastore_id": datastore, "image_set_id": set["image_set_id"] });
    let read = rig.call("get_image_set_metadata", asked).await;
    let series = read["metadata"]["Study"]["Series"].as_object().unwrap();
    let each = series.values().flat_map(|one| one["Instances"].as_object().unwrap().keys());
    each.cloned().collect()
}

/// Calls with the token of the plan; the plan.
async fn confirmed(rig: &Rig, mut asked: Value) -> Value {
    let planned = rig.call("update_image_set_metadata", asked.clone()).await;
    asked["confirmation_token"] = planned["confirmation_token"].clone();
    let done = rig.call("update_image_set_metadata", asked).await;
    assert_eq!(done["image_set_workflow_status"], "UPDATED", "{done}");
    planned["plan"].clone()
}

pub(crate) async fn what_an_update_takes_away_is_planned_first(rig: Rig) {
    let rig = rig.confirming();
    let datastore = rig.filled().await;
    let set = all(&rig, &datastore).await[0].clone();
    let series = tag(&set, "DICOMSeriesInstanceUID");
    let before = instances(&rig, &datastore, &set).await;
    assert_eq!(before.len(), 3);
    let mut named = json!({});
    named[series] = json!({ "Instances": { before[0].as_str(): {} } });
    let document = json!({ "SchemaVersion": "1.1", "Study": { "Series": named } });
    let removal = json!({ "DICOMUpdates": { "removableAttributes": document } });
    let removing = updating(&datastore, &set, 1, &removal);
    let reverting = updating(&datastore, &set, 2, &json!({ "revertToVersionId": "1" }));

    let careful = rig.without_deletions();
    let message =
        careful.refusal("update_image_set_metadata", removing.clone(), "auth_error").await;
    assert!(message.contains("--no-delete"), "{message}");
    assert_eq!(instances(&careful, &datastore, &set).await, before);
    let rig = careful.confirming();

    let plan = confirmed(&rig, removing).await;
    assert_eq!(instances(&rig, &datastore, &set).await, before[1..]);
    assert!(plan["action"].as_str().unwrap().contains("remove 1 instance of 1 series"), "{plan}");
    assert_eq!(plan["studies"][0]["patient_id"], tag(&set, "DICOMPatientId"));
    assert_eq!(plan["studies"][0]["patient_name"], tag(&set, "DICOMPatientName"));
    assert_eq!(plan["studies"][0]["study_date"], tag(&set, "DICOMStudyDate"));
    assert_eq!(plan["cannot_be_undone"], false);

    let careful = rig.without_deletions();
    careful.refusal("update_image_set_metadata", reverting.clone(), "auth_error").await;
    let rig = careful.confirming();
    let plan = confirmed(&rig, reverting).await;
    assert_eq!(
        instances(&rig, &datastore, &set).await,
        before,
        "as the plan says it can be undone"
    );
    assert!(plan["notes"].to_string().contains("1 of version 1 restored"), "{plan}");

    // Of a version that there is not, or no longer is.
    for updates in [json!({ "revertToVersionId": "9" })] {
        let asked = updating(&datastore, &set, 3, &updates);
        rig.refusal("update_image_set_metadata", asked, "validation_error").await;
    }
    let stale = updating(&datastore, &set, 1, &json!({ "revertToVersionId": "1" }));
    rig.refusal("update_image_set_metadata", stale, "service_error").await;
}

pub(crate) async fn another_patient_is_asked_about_where_nothing_may_be_deleted_too(rig: Rig) {
    let rig = rig.without_deletions();
    let datastore = rig.filled().await;
    let set = all(&rig, &datastore).await[0].clone();
    let document = json!({
        "SchemaVersion": "1.1", "Patient": { "DICOM": { "PatientID": "OTHER-1" } }
    });
    let updates = json!({ "DICOMUpdates": { "updatableAttributes": document } });
    let mut asked = updating(&datastore, &set, 1, &updates);
    asked["include_study_image_sets"] = json!(true);
    let planned = rig.call("update_image_set_metadata", asked.clone()).await;
    let plan = &planned["plan"];
    let old = tag(&set, "DICOMPatientId");
    assert_eq!(
        plan["changes"],
        json!([{ "attribute": "PatientID", "from": [old], "to": "OTHER-1" }])
    );
    // The study has two image sets.
    assert_eq!(plan["image_sets_total"], 2, "{plan}");
    let studies = plan["studies"].as_array().unwrap();
    assert_eq!((studies.len(), &studies[0]["image_sets"]), (1, &json!(2)), "{plan}");
    asked["confirmation_token"] = planned["confirmation_token"].clone();
    rig.call("update_image_set_metadata", asked).await;
    let sets = all(&rig, &datastore).await;
    assert_eq!(sets.iter().filter(|set| tag(set, "DICOMPatientId") == "OTHER-1").count(), 2);

    // The tools for a study and a patient ask for the same.
    let study = tag(&set, "DICOMStudyInstanceUID");
    for (tool, asked) in [
        (
            "update_patient_study_metadata",
            json!({ "study_instance_uid": study, "patient_updates": { "PatientID": "OTHER-2" } }),
        ),
        (
            "bulk_update_patient_metadata",
            json!({ "patient_id": "OTHER-1", "metadata_updates": { "PatientID": "OTHER-2" } }),
        ),
    ] {
        let mut asked = asked;
        asked["datastore_id"] = json!(datastore);
        let planned = rig.call(tool, asked).await;
        let expected = json!([{ "attribute": "PatientID", "from": ["OTHER-1"], "to": "OTHER-2" }]);
        assert_eq!(planned["plan"]["changes"], expected, "{tool}: {planned}");
        assert_eq!(planned["plan"]["cannot_be_undone"], false);
    }
    let sets = all(&rig, &datastore).await;
    assert!(sets.iter().all(|set| tag(set, "DICOMPatientId") != "OTHER-2"));
}

pub(crate) async fn a_write_that_fails_is_an_error_with_the_reason(rig: Rig) {
    let datastore = rig.filled().await;
    let sets = all(&rig, &datastore).await;
    let set = &sets[0];
    // The Study ID needs force.
    let document = json!({ "SchemaVersion": "1.1", "Study": { "DICOM": { "StudyID": "7" } } });
    let updates = json!({ "DICOMUpdates": { "updatableAttributes": document } });
    let asked = updating(&datastore, set, 1, &updates);
    let message = rig.refusal("update_image_set_metadata", asked, "validation_error").await;
    // It is not sent, so that it makes no version.
    assert!(message.contains("cannot succeed") && message.contains("StudyID"), "{message}");

    // Into an image set of another patient.
    let patient = tag(set, "DICOMPatientId");
    let other = sets.iter().find(|other| tag(other, "DICOMPatientId") != patient).unwrap();
    let asked = json!({
        "datastore_id": datastore, "source_image_set_id": set["image_set_id"],
        "copy_image_set_information": {
            "sourceImageSet": { "latestVersionId": "1" },
            "destinationImageSet": { "imageSetId": other["image_set_id"], "latestVersionId": "1" }
        },
        "wait_seconds": 120
    });
    let message = rig.refusal("copy_image_set", asked, "validation_error").await;
    assert!(message.contains("COPY_FAILED"), "{message}");
    assert!(
        message.len() > "the service did not make the copy (COPY_FAILED) of image set ".len() + 40
    );
}

/// An image set of the same UIDs is primary already.
pub(crate) async fn a_copy_that_cannot_be_primary_is_an_error(rig: Rig) {
    let datastore = rig.datastore().await;
    for date in ["20200228", "20200229"] {
        let phantom = Phantom::mr().size(16, 16).sop_uid("2.25.1").study_uid("2.25.2");
        let bytes = phantom.study_date(date).build();
        rig.import(&datastore, [PhantomFile { relative_path: "mr.dcm".into(), bytes }]).await;
    }
    let sets = all(&rig, &datastore).await;
    let set = sets.iter().find(|set| set["is_primary"] == false).unwrap();
    let asked = json!({
        "datastore_id": datastore, "source_image_set_id": set["image_set_id"],
        "copy_image_set_information": { "sourceImageSet": { "latestVersionId": "1" } },
        "promote_to_primary": true, "wait_seconds": 120
    });
    rig.refusal("copy_image_set", asked.clone(), "service_error").await;
    assert_eq!(all(&rig, &datastore).await.len(), 2, "no copy is left over");
    // Once the place is free.
    let rival = sets.iter().find(|set| set["is_primary"] == true).unwrap();
    let gone = json!({
        "datastore_id": datastore, "image_set_id": rival["image_set_id"], "wait_seconds": 120
    });
    rig.call("delete_image_set", gone).await;
    let copied = rig.call("copy_image_set", asked).await;
    let copy = &copied["destination_image_set_properties"]["image_set_id"];
    let now = all(&rig, &datastore).await;
    let copy = now.iter().find(|set| set["image_set_id"] == *copy).unwrap();
    assert_eq!(copy["is_primary"], true);
}

pub(crate) async fn values_longer_than_their_representation_are_refused_at_once(rig: Rig) {
    let datastore = rig.filled().await;
    let set = all(&rig, &datastore).await[0].clone();
    let long = "x".repeat(65);
    let document =
        json!({ "SchemaVersion": "1.1", "Study": { "DICOM": { "StudyDescription": long } } });
    let updates = json!({ "DICOMUpdates": { "updatableAttributes": document } });
    let one = updating(&datastore, &set, 1, &updates);
    let study = json!({
        "datastore_id": datastore, "study_instance_uid": tag(&set, "DICOMStudyInstanceUID"),
        "study_updates": { "StudyDescription": long }
    });
    let patient = json!({
        "datastore_id": datastore, "patient_id": tag(&set, "DICOMPatientId"),
        "metadata_updates": { "PatientName": format!("A={long}") }
    });
    for (tool, asked) in [
        ("update_image_set_metadata", one),
        ("update_patient_study_metadata", study),
        ("bulk_update_patient_metadata", patient),
    ] {
        let message = rig.refusal(tool, asked, "validation_error").await;
        assert!(message.contains("64") && !message.contains("xxx"), "{tool}: {message}");
    }
    let now = all(&rig, &datastore).await[0].clone();
    assert_eq!(now["version"], set["version"]);
}

/// `PS3.5` Table 6.2-1; nothing is planned, and nothing is sent.
pub(crate) async fn values_without_the_form_of_their_representation_are_refused_at_once(rig: Rig) {
    let rig = rig.confirming();
    let datastore = rig.filled().await;
    let set = all(&rig, &datastore).await[0].clone();
    for (level, keyword, value) in [
        ("Study", "StudyDate", "20250230"),
        ("Patient", "PatientBirthDate", "1970-1-1"),
        ("Study", "StudyTime", "2561"),
        ("Patient", "PatientSex", "female"),
        ("Study", "PatientAge", "42"),
        ("Study", "PatientWeight", "70 kg"),
    ] {
        let document = json!({ "SchemaVersion": "1.1", level: { "DICOM": { keyword: value } } });
        let updates = json!({ "DICOMUpdates": { "updatableAttributes": document } });
        let one = updating(&datastore, &set, 1, &updates);
        let member = if level == "Study" { "study_updates" } else { "patient_updates" };
        let study = json!({
            "datastore_id": datastore, "study_instance_uid": tag(&set, "DICOMStudyInstanceUID"),
            member: { keyword: value }
        });
        let patient = json!({
            "datastore_id": datastore, "patient_id": tag(&set, "DICOMPatientId"),
            "metadata_updates": { keyword: value }
        });
        for (tool, asked) in [
            ("update_image_set_metadata", one),
            ("update_patient_study_metadata", study),
            ("bulk_update_patient_metadata", patient),
        ] {
            let message = rig.refusal(tool, asked, "validation_error").await;
            assert!(message.contains(keyword) && !message.contains(value), "{tool}: {message}");
        }
    }
    let now = all(&rig, &datastore).await[0].clone();
    assert_eq!(now["version"], set["version"]);
}

pub(crate) async fn several_modalities_are_any_of_them(rig: Rig) {
    let datastore = rig.filled().await;
    let file = |name: &str, phantom: Phantom| PhantomFile {
        relative_path: name.into(),
        bytes: phantom.build(),
    };
    let files = [
        file("mr.dcm", Phantom::mr().size(16, 16).sop_uid("2.25.1").study_uid("2.25.2")),
        file("us.dcm", Phantom::ultrasound().size(16, 16).sop_uid("2.25.3").study_uid("2.25.4")),
    ];
    rig.import(&datastore, files).await;
    let count = async |modality: &str| {
        let asked = json!({ "datastore_id": datastore, "modality": modality });
        let found = rig.call("search_image_sets", asked).await;
        found["image_sets_metadata_summaries"].as_array().unwrap().len()
    };
    assert_eq!(count("CT").await, 8);
    for both in ["CT,MR", "CT\\MR", "ct, mr", "MR,CT"] {
        assert_eq!(count(both).await, 9, "{both}");
    }
    assert_eq!(count("MR,US").await, 2);
    for wrong in ["CT,", ",", "CT\\\\MR"] {
        let asked = json!({ "datastore_id": datastore, "modality": wrong });
        rig.refusal("search_image_sets", asked, "validation_error").await;
    }
}
