//! Patients, studies, series.

use healthimaging_phantoms::{Phantom, PhantomFile};
use serde_json::{Value, json};

use crate::erase::{all, tag};
use crate::rig::Rig;

fn with(datastore: &str, key: &str, value: &str) -> Value {
    let mut asked = json!({ "datastore_id": datastore });
    asked[key] = json!(value);
    asked
}

pub(crate) async fn two_people_of_one_patient_id_are_noticed(rig: Rig) {
    let datastore = rig.datastore().await;
    let study = |number: u32, name: &str, born: &str| {
        let phantom = Phantom::ct().size(8, 8).patient(name, "MRN-1").born(born, "F");
        let phantom = phantom.study_uid(&format!("2.25.{number}"));
        let phantom = phantom.series_uid(&format!("2.25.{number}.1"));
        let bytes = phantom.sop_uid(&format!("2.25.{number}.1.1")).build();
        PhantomFile { relative_path: format!("{number}.dcm").into(), bytes }
    };
    rig.import(&datastore, [study(1, "DOE^JANE", "19700101")]).await;
    let asked = with(&datastore, "patient_id", "MRN-1");
    let said = async |tool: &str| {
        let found = rig.call(tool, asked.clone()).await;
        found["summary"].as_str().unwrap().to_owned()
    };
    assert!(!said("get_patient_studies").await.contains("differ"));
    // Empty components of a name are none.
    rig.import(&datastore, [study(2, "DOE^JANE^", "19700101")]).await;
    assert!(!said("get_patient_studies").await.contains("differ"));
    rig.import(&datastore, [study(3, "ROE^JANE", "19800101")]).await;
    let warning = "Image sets of one Patient ID differ in PatientName, PatientBirthDate";
    assert!(said("get_patient_studies").await.contains(warning));
    assert!(said("get_patient_series").await.contains(warning));
    let mut asked = asked.clone();
    asked["dry_run"] = json!(true);
    let plan = rig.call("delete_patient_studies", asked.clone()).await["plan"].clone();
    assert!(plan["notes"].to_string().contains(warning), "{plan}");
    asked["metadata_updates"] = json!({ "PatientComments": "X" });
    let plan = rig.call("bulk_update_patient_metadata", asked).await["plan"].clone();
    assert!(plan["notes"].to_string().contains(warning), "{plan}");
}

pub(crate) async fn a_patient_has_studies_and_series(rig: Rig) {
    let datastore = rig.filled().await;
    let set = all(&rig, &datastore).await[0].clone();
    let patient = tag(&set, "DICOMPatientId");
    let asked = with(&datastore, "patient_id", patient);
    let studies = rig.call("get_patient_studies", asked.clone()).await;
    let studies = studies["studies"].as_array().unwrap();
    assert_eq!(studies.len(), 2);
    for study in studies {
        assert_eq!(study["series"], 2);
        assert_eq!(study["primary_instances"], 6);
        assert_eq!(study["other_image_sets"], 0);
        assert_eq!(study["modalities"], json!(["CT"]));
    }
    let series = rig.call("get_patient_series", asked).await;
    let series = series["series"].as_array().unwrap();
    assert_eq!(series.len(), 4);
    for one in series {
        assert_eq!(one["instances"], 3);
        assert_eq!(one["frames"], 3);
        assert!(one["series_description"].is_string());
        assert!(one["primary_image_set_id"].is_string());
    }
    for tool in ["get_patient_studies", "get_patient_series", "get_patient_dicomweb_studies"] {
        let unknown = with(&datastore, "patient_id", "UNKNOWN");
        rig.refusal(tool, unknown, "not_found").await;
        let empty = with(&datastore, "patient_id", "");
        rig.refusal(tool, empty, "validation_error").await;
    }
}

pub(crate) async fn primary_is_the_flag_of_the_service_and_not_a_version(rig: Rig) {
    let datastore = rig.filled().await;
    let set = all(&rig, &datastore).await[0].clone();
    let (study, series) = (tag(&set, "DICOMStudyInstanceUID"), tag(&set, "DICOMSeriesInstanceUID"));
    // Another version of a primary image set, and a copy, which is not primary.
    let update = json!({
        "datastore_id": datastore, "study_instance_uid": study, "wait_seconds": 60,
        "study_updates": { "StudyDescription": "ANOTHER VERSION" }
    });
    rig.call("update_patient_study_metadata", update).await;
    let copy = json!({
        "datastore_id": datastore, "source_image_set_id": set["image_set_id"],
        "copy_image_set_information": { "sourceImageSet": { "latestVersionId": "2" } },
        "wait_seconds": 60
    });
    rig.call("copy_image_set", copy).await;
    let asked = with(&datastore, "study_instance_uid", study);
    let found = rig.call("get_study_primary_image_sets", asked).await;
    assert_eq!(found["image_sets"].as_array().unwrap().len(), 2);
    assert_eq!(found["other_image_sets"], 1);
    let asked = with(&datastore, "series_instance_uid", series);
    let found = rig.call("get_series_primary_image_set", asked).await;
    assert_eq!(found["image_set"]["image_set_id"], set["image_set_id"]);
    assert_eq!(found["image_set"]["version"], 2);
    let unknown = with(&datastore, "series_instance_uid", "1.2.3");
    rig.refusal("get_series_primary_image_set", unknown, "not_found").await;
}

pub(crate) async fn dicomweb_studies_are_of_this_patient_alone(rig: Rig) {
    let datastore = rig.filled().await;
    let set = all(&rig, &datastore).await[0].clone();
    let asked = with(&datastore, "patient_id", tag(&set, "DICOMPatientId"));
    let found = rig.call("get_patient_dicomweb_studies", asked).await;
    let studies = found["studies"].as_array().unwrap();
    assert_eq!(studies.len(), 2);
    for study in studies {
        assert_eq!(study["0020000D"]["vr"], "UI");
        assert_eq!(study["00100020"]["Value"][0], tag(&set, "DICOMPatientId"));
    }
    let wild = with(&datastore, "patient_id", "*");
    rig.refusal("get_patient_dicomweb_studies", wild, "not_found").await;
}
