//! Setting values of a series: by updates, or in copies that take the place of image sets.

use dicom_dictionary_std::tags;
use healthimaging_phantoms::{Phantom, PhantomFile, VR};
use serde_json::{Value, json};

use crate::erase::{all, tag};
use crate::rig::Rig;

/// An image as an instance of the series.
fn in_series(image: Phantom, number: u32, laterality: &str) -> Phantom {
    image
        .patient("DOE^JANE", "MRN-1")
        .study_uid("2.25.81")
        .series_uid("2.25.82")
        .sop_uid(&format!("2.25.83.{number}"))
        .instance_number(number)
        .with(tags::LATERALITY, VR::CS, laterality)
}

/// A slice of a series.
fn of_series(number: u32, laterality: &str) -> PhantomFile {
    let phantom = in_series(Phantom::ct().size(16, 16), number, laterality);
    PhantomFile { relative_path: format!("{number}.dcm").into(), bytes: phantom.build() }
}

async fn document(rig: &Rig, datastore: &str, set: &Value) -> Value {
    let asked = json!({
        "datastore_id": datastore, "image_set_id": set["image_set_id"], "max_bytes": 1_000_000
    });
    rig.call("get_image_set_metadata", asked).await["metadata"].take()
}

/// What documents of one series differ in, beside their IDs.
fn without_ids(mut document: Value) -> Value {
    document["ImageSetID"].take();
    let instances = document["Study"]["Series"]["2.25.82"]["Instances"].as_object_mut().unwrap();
    for instance in instances.values_mut() {
        for frame in instance["ImageFrames"].as_array_mut().unwrap() {
            frame["ID"].take();
        }
    }
    document
}

/// A series with a primary image set, and with a copy of it that is not.
async fn twice(rig: &Rig) -> (String, Value) {
    let datastore = rig.datastore().await;
    rig.import(&datastore, (1..=3).map(|number| of_series(number, "R"))).await;
    let set = all(rig, &datastore).await[0].clone();
    let copy = json!({
        "datastore_id": datastore, "source_image_set_id": set["image_set_id"], "wait_seconds": 60,
        "copy_image_set_information": { "sourceImageSet": { "latestVersionId": "1" } }
    });
    rig.call("copy_image_set", copy).await;
    (datastore, set)
}

fn series(datastore: &str, values: &Value) -> Value {
    json!({
        "datastore_id": datastore, "series_instance_uid": "2.25.82", "metadata_updates": values,
        "wait_seconds": 60
    })
}

pub(crate) async fn a_series_gets_values_in_an_update_or_in_a_copy(rig: Rig) {
    let rig = rig.confirming();
    let (datastore, old) = twice(&rig).await;
    let before = document(&rig, &datastore, &old).await;
    // Attributes of instances need no consent: there is a new version, and the older one keeps what there was.
    let mut asked = series(&datastore, &json!({ "ImageComments": "LEFT" }));
    asked["sop_instance_uid"] = json!("2.25.83.2");
    let done = rig.call("update_series_metadata", asked.clone()).await;
    assert_eq!((&done["items_done"], &done["items_failed"]), (&json!(2), &json!(0)), "{done}");
    let sets = all(&rig, &datastore).await;
    assert!(sets.iter().all(|set| set["version"] == 2), "{sets:?}");
    let mut wanted = without_ids(before.clone());
    let of = "/Study/Series/2.25.82/Instances/2.25.83.2/DICOM";
    wanted.pointer_mut(of).unwrap()["ImageComments"] = json!("LEFT");
    assert_eq!(without_ids(document(&rig, &datastore, &old).await), wanted);
    // Nothing is done twice.
    let done = rig.call("update_series_metadata", asked).await;
    assert_eq!(done["outcomes"][0]["result"], "unchanged", "{done}");
    // The Series level of the primary image set is set in a copy.
    let asked = series(&datastore, &json!({ "Laterality": "L", "SeriesDescription": "LEFT KNEE" }));
    let planned = rig.call("update_series_metadata", asked.clone()).await;
    let plan = &planned["plan"];
    assert_eq!(plan["cannot_be_undone"], true, "{plan}");
    let notes = plan["notes"].to_string();
    assert!(notes.contains("older versions") && notes.contains("new id"), "{plan}");
    let change = |name: &str| {
        let changes = plan["changes"].as_array().unwrap();
        changes.iter().find(|one| one["attribute"] == name).unwrap().clone()
    };
    assert_eq!(
        (&change("Laterality")["from"], &change("Laterality")["to"]),
        (&json!(["R"]), &json!("L"))
    );
    let actions: Vec<&str> = plan["image_sets"]
        .as_array()
        .unwrap()
        .iter()
        .map(|set| set["action"].as_str().unwrap())
        .collect();
    assert!(actions.contains(&"copy_change_and_delete") && actions.contains(&"update"), "{plan}");
    assert!(all(&rig, &datastore).await.iter().all(|set| set["version"] == 2));
    let mut confirmed = asked.clone();
    confirmed["confirmation_token"] = planned["confirmation_token"].clone();
    let done = rig.call("update_series_metadata", confirmed).await;
    assert_eq!(
        (&done["job_status"], &done["items_failed"]),
        (&json!("COMPLETED"), &json!(0)),
        "{done}"
    );
    assert_eq!(done["report"]["without_the_values"]["image_sets"], 0, "{done}");
    assert_eq!(done["report"]["replaced_by_changed_copy"]["versions_erased"], 2, "{done}");
    let sets = all(&rig, &datastore).await;
    assert_eq!(sets.len(), 2, "{sets:?}");
    assert!(sets.iter().all(|set| set["image_set_id"] != old["image_set_id"]));
    let levels = wanted.pointer_mut("/Study/Series/2.25.82/DICOM").unwrap();
    levels["Laterality"] = json!("L");
    levels["SeriesDescription"] = json!("LEFT KNEE");
    let primary = sets.iter().find(|set| set["is_primary"] == true).unwrap();
    let found = document(&rig, &datastore, primary).await;
    assert_eq!(without_ids(found.clone()), wanted);
    for number in 1..=3 {
        let instance =
            &found["Study"]["Series"]["2.25.82"]["Instances"][format!("2.25.83.{number}")];
        let asked = json!({
            "datastore_id": datastore, "image_set_id": primary["image_set_id"],
            "image_frame_information": { "imageFrameId": instance["ImageFrames"][0]["ID"] }
        });
        assert_eq!(rig.answer("get_image_frame", asked).await.unwrap().images.len(), 1);
    }
    // What is there already needs no consent.
    let done = rig.call("update_series_metadata", asked).await;
    assert!(
        done["outcomes"].as_array().unwrap().iter().all(|one| one["result"] == "unchanged"),
        "{done}"
    );
}

pub(crate) async fn what_a_series_cannot_get_is_refused(rig: Rig) {
    let (datastore, _) = twice(&rig).await;
    for (values, words) in [
        (json!({}), "nothing to set"),
        (json!({ "PatientName": "X" }), "update_patient_study_metadata"),
        (json!({ "StudyDate": "20200101" }), "update_patient_study_metadata"),
        (json!({ "SOPInstanceUID": "1.2" }), "stays as it is"),
        (json!({ "TransferSyntaxUID": "1.2.840.10008.1.2" }), "as it was received"),
        (json!({ "BitsStored": 8 }), "how pixels"),
        (json!({ "Laterality": "left" }), "VR CS"),
        (json!({ "SeriesNumber": "x" }), "integer"),
        (json!({ "Laterality": ["L", "R"] }), "one value"),
        (json!({ "PixelPaddingValue": "x" }), "VR"),
        (json!({ "00091001": "x" }), "no keyword"),
        (json!({ "InstanceNumber": "1" }), "3 instances"),
        (json!({ "ImagePositionPatient": ["0", "0", "0"] }), "sop_instance_uid"),
    ] {
        let asked = series(&datastore, &values);
        let message = rig.refusal("update_series_metadata", asked, "validation_error").await;
        assert!(message.contains(words), "{values}: {message}");
    }
    let mut other = series(&datastore, &json!({ "Laterality": "L" }));
    other["series_instance_uid"] = json!("2.25.9");
    rig.refusal("update_series_metadata", other, "not_found").await;
    let mut other = series(&datastore, &json!({ "ImageComments": "L" }));
    other["sop_instance_uid"] = json!("2.25.9");
    rig.refusal("update_series_metadata", other, "not_found").await;
    assert!(all(&rig, &datastore).await.iter().all(|set| set["version"] == 1));
    // Where nothing may be deleted, a copy takes no image set's place, and instances are updated.
    let rig = rig.without_deletions();
    let laterality = series(&datastore, &json!({ "Laterality": "L" }));
    let message = rig.refusal("update_series_metadata", laterality, "auth_error").await;
    assert!(message.contains("--no-delete"), "{message}");
    let comments = series(&datastore, &json!({ "ImageComments": "LEFT" }));
    assert_eq!(rig.call("update_series_metadata", comments).await["items_failed"], 0);
    let sets = all(&rig, &datastore).await;
    assert!(sets.iter().all(|set| set["version"] == 2), "{sets:?}");
}

pub(crate) async fn instances_with_values_of_their_own_get_the_value_of_the_series(rig: Rig) {
    let datastore = rig.datastore().await;
    rig.import(&datastore, [of_series(1, "R"), of_series(2, "L"), of_series(3, "R")]).await;
    let done =
        rig.call("update_series_metadata", series(&datastore, &json!({ "Laterality": "R" }))).await;
    assert_eq!(done["items_failed"], 0, "{done}");
    let sets = all(&rig, &datastore).await;
    let found = document(&rig, &datastore, &sets[0]).await;
    let series = &found["Study"]["Series"]["2.25.82"];
    assert_eq!((sets.len(), &series["DICOM"]["Laterality"]), (1, &json!("R")));
    for instance in series["Instances"].as_object().unwrap().values() {
        assert!(instance["DICOM"].get("Laterality").is_none(), "{instance}");
    }
}

pub(crate) async fn a_series_whose_copy_could_not_be_primary_stays(rig: Rig) {
    let datastore = rig.datastore().await;
    rig.import(&datastore, (1..=2).map(|number| of_series(number, "R"))).await;
    let other = Phantom::ct().size(16, 16).patient("DOE^JANE", "MRN-1").study_uid("2.25.81");
    let bytes = other.series_uid("2.25.84").sop_uid("2.25.84.1").build();
    // An update of one image set makes two primary ones of a study disagree.
    rig.import(&datastore, [PhantomFile { relative_path: "4.dcm".into(), bytes }]).await;
    let sets = all(&rig, &datastore).await;
    let set = sets.iter().find(|set| tag(set, "DICOMSeriesInstanceUID") == "2.25.84").unwrap();
    let document =
        json!({ "SchemaVersion": "1.1", "Study": { "DICOM": { "AccessionNumber": "OTHER" } } });
    let change = json!({
        "datastore_id": datastore, "image_set_id": set["image_set_id"], "latest_version_id": "1",
        "update_image_set_metadata_updates": { "DICOMUpdates": { "updatableAttributes": document } },
        "wait_seconds": 60
    });
    rig.call("update_image_set_metadata", change).await;
    let asked = series(&datastore, &json!({ "Laterality": "L" }));
    let message = rig.refusal("update_series_metadata", asked, "service_error").await;
    assert!(message.contains("AccessionNumber"), "{message}");
    assert_eq!(all(&rig, &datastore).await.len(), 2);
}

/// An image of many frames: four of them have more than one copy takes.
fn long(number: u32, frames: u32, laterality: &str) -> PhantomFile {
    let phantom = in_series(Phantom::mr().size(2, 2).frames(frames), number, laterality);
    PhantomFile { relative_path: format!("{}.dcm", 10 - number).into(), bytes: phantom.build() }
}

/// A series of 1,500 frames; its level has the value of the last instance, and the first ones have another.
async fn long_series(rig: &Rig) -> (String, Value) {
    let datastore = rig.datastore().await;
    let files = [(5, "R"), (4, "R"), (3, "L"), (2, "L"), (1, "L")];
    let files = files.map(|(number, laterality)| long(number, 300, laterality));
    rig.import(&datastore, files).await;
    let sets = all(rig, &datastore).await;
    assert_eq!(sets.len(), 1, "{sets:?}");
    let held = document(rig, &datastore, &sets[0]).await;
    let series = &held["Study"]["Series"]["2.25.82"];
    assert_eq!(series["DICOM"]["Laterality"], "R");
    assert_eq!(series["Instances"]["2.25.83.1"]["DICOM"]["Laterality"], "L");
    (datastore, held)
}

/// The names of the items of a job.
fn items(job: &Value) -> Vec<&str> {
    let outcomes = job["outcomes"].as_array().unwrap();
    let names = outcomes.iter().map(|one| one["item"].as_str().unwrap());
    names.map(|item| item.split_once('/').map_or("", |(_, name)| name)).collect()
}

pub(crate) async fn more_frames_than_a_copy_takes_are_replaced_in_parts(rig: Rig) {
    let (datastore, before) = long_series(&rig).await;
    let asked = series(&datastore, &json!({ "SeriesDescription": "LEFT KNEE" }));
    let done = rig.call("update_series_metadata", asked).await;
    assert_eq!((&done["items_done"], &done["items_failed"]), (&json!(4), &json!(0)), "{done}");
    assert_eq!(items(&done), ["part", "copy", "primary", ""], "{done}");
    assert!(done["notes"].to_string().contains("2 parts"), "{done}");
    let sets = all(&rig, &datastore).await;
    assert_eq!((sets.len(), &sets[0]["is_primary"]), (1, &json!(true)), "{sets:?}");
    // Among what is compared are the checksums of all frames.
    let mut wanted = without_ids(before);
    wanted["Study"]["Series"]["2.25.82"]["DICOM"]["SeriesDescription"] = json!("LEFT KNEE");
    assert_eq!(without_ids(document(&rig, &datastore, &sets[0]).await), wanted);
}

pub(crate) async fn more_frames_than_a_copy_takes_stay_when_an_instance_is_erased(rig: Rig) {
    let (datastore, before) = long_series(&rig).await;
    let asked = json!({
        "datastore_id": datastore, "series_instance_uid": "2.25.82", "sop_instance_uid": "2.25.83.2",
        "erase": true, "wait_seconds": 120
    });
    let done = rig.call("delete_instance_in_series", asked).await;
    assert_eq!(items(&done), ["part", "copy", "primary", ""], "{done}");
    let sets = all(&rig, &datastore).await;
    assert_eq!((sets.len(), &sets[0]["is_primary"]), (1, &json!(true)), "{sets:?}");
    let mut wanted = without_ids(before);
    let instances = wanted.pointer_mut("/Study/Series/2.25.82/Instances").unwrap();
    instances.as_object_mut().unwrap().remove("2.25.83.2").unwrap();
    assert_eq!(without_ids(document(&rig, &datastore, &sets[0]).await), wanted);
}

pub(crate) async fn an_instance_of_more_frames_than_a_copy_takes_stays(rig: Rig) {
    let datastore = rig.datastore().await;
    rig.import(&datastore, [long(1, 1, "R"), long(2, 1001, "R"), long(3, 1, "R")]).await;
    let before = all(&rig, &datastore).await;
    let asked = series(&datastore, &json!({ "Laterality": "L" }));
    let done = rig.call("update_series_metadata", asked).await;
    assert_eq!(done["items_failed"], 1, "{done}");
    let message = done["outcomes"][1]["error"]["message"].as_str().unwrap();
    assert!(message.contains("nothing was changed. Request a higher quota"), "{message}");
    assert!(done["notes"].to_string().contains("1001 frames"), "{done}");
    let after = all(&rig, &datastore).await;
    assert_eq!((after.len(), &after[0]["image_set_id"]), (1, &before[0]["image_set_id"]));
    assert_eq!(after[0]["version"], 1);
}

/// Copies instances of a series, or all; the new image set, or the one that they join.
async fn copy(rig: &Rig, datastore: &str, source: &Value, how: Value) -> Value {
    let mut information =
        json!({ "sourceImageSet": { "latestVersionId": source["version"].to_string() } });
    if let Some(sop) = how["instance"].as_str() {
        let named = json!({ "2.25.82": { "Instances": { sop: {} } } });
        let named = json!({ "SchemaVersion": "1.1", "Study": { "Series": named } });
        information["sourceImageSet"]["DICOMCopies"] =
            json!({ "copiableAttributes": named.to_string() });
    }
    if let Some(set) = how.get("into") {
        information["destinationImageSet"] = json!({
            "imageSetId": set["image_set_id"], "latestVersionId": set["version"].to_string()
        });
    }
    let asked = json!({
        "datastore_id": datastore, "source_image_set_id": source["image_set_id"],
        "copy_image_set_information": information, "wait_seconds": 60,
        "force": how["force"] == true
    });
    let done = rig.call("copy_image_set", asked).await;
    let id = &done["destination_image_set_properties"]["image_set_id"];
    let sets = all(rig, datastore).await;
    sets.into_iter().find(|set| set["image_set_id"] == *id).unwrap()
}

/// Removes instances of an image set.
async fn remove(rig: &Rig, datastore: &str, set: &Value, tool: &str, mut named: Value) {
    named["datastore_id"] = json!(datastore);
    named["image_set_id"] = set["image_set_id"].clone();
    named["wait_seconds"] = json!(60);
    let done = rig.call(tool, named).await;
    assert_eq!(done["items_failed"], 0, "{done}");
}

/// A series with two primary image sets, of two instances and of one.
async fn two_primaries(rig: &Rig) -> (String, [Value; 2]) {
    let datastore = rig.datastore().await;
    rig.import(&datastore, (1..=3).map(|number| of_series(number, "R"))).await;
    let first = all(rig, &datastore).await[0].clone();
    let other = Phantom::ct().size(16, 16).patient("DOE^JANE", "MRN-1").study_uid("2.25.81");
    let bytes = other.series_uid("2.25.84").sop_uid("2.25.84.1").build();
    rig.import(&datastore, [PhantomFile { relative_path: "4.dcm".into(), bytes }]).await;
    let sets = all(rig, &datastore).await;
    let other = sets.iter().find(|set| tag(set, "DICOMSeriesInstanceUID") == "2.25.84").unwrap();
    // The third instance moves to the primary image set of another series, whose own instance goes.
    let part = copy(rig, &datastore, &first, json!({ "instance": "2.25.83.3" })).await;
    let joined = copy(rig, &datastore, &part, json!({ "into": other, "force": true })).await;
    let third = json!({ "series_instance_uid": "2.25.82", "sop_instance_uid": "2.25.83.3" });
    remove(rig, &datastore, &first, "remove_instance_from_image_set", third).await;
    let series = json!({ "series_instance_uid": "2.25.84" });
    remove(rig, &datastore, &joined, "remove_series_from_image_set", series).await;
    let asked = json!({
        "datastore_id": datastore, "image_set_id": part["image_set_id"], "wait_seconds": 60
    });
    rig.call("delete_image_set", asked).await;
    let sets = all(rig, &datastore).await;
    assert!(sets.len() == 2 && sets.iter().all(|set| set["is_primary"] == true), "{sets:?}");
    let of = |old: &Value| {
        sets.iter().find(|set| set["image_set_id"] == old["image_set_id"]).unwrap().clone()
    };
    (datastore, [of(&first), of(&joined)])
}

pub(crate) async fn a_series_of_several_primary_image_sets_is_updated_when_they_are_joined(
    rig: Rig,
) {
    let (datastore, [first, other]) = two_primaries(&rig).await;
    let asked = series(&datastore, &json!({ "Laterality": "L" }));
    let message = rig.refusal("update_series_metadata", asked.clone(), "service_error").await;
    for words in [
        first["image_set_id"].as_str().unwrap(),
        other["image_set_id"].as_str().unwrap(),
        "copy_image_set with destinationImageSet",
    ] {
        assert!(message.contains(words), "{message}");
    }
    // The steps of the message.
    copy(&rig, &datastore, &other, json!({ "into": first })).await;
    let delete = json!({
        "datastore_id": datastore, "image_set_id": other["image_set_id"], "wait_seconds": 60
    });
    rig.call("delete_image_set", delete).await;
    let done = rig.call("update_series_metadata", asked).await;
    assert_eq!(done["items_failed"], 0, "{done}");
    let sets = all(&rig, &datastore).await;
    assert_eq!((sets.len(), &sets[0]["is_primary"]), (1, &json!(true)), "{sets:?}");
    let found = document(&rig, &datastore, &sets[0]).await;
    let series = &found["Study"]["Series"]["2.25.82"];
    assert_eq!(series["DICOM"]["Laterality"], "L");
    assert_eq!(series["Instances"].as_object().unwrap().len(), 3);
}
