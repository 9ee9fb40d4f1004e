//! What a token stands for, and where.

use healthimaging_redact::Redactor;
use healthimaging_workflows::deidentify::data_folder_key;
use serde_json::json;

use super::Veil;
use crate::conversations::filled;
use crate::erase::tag;
use crate::rig::Rig;

pub(crate) async fn tokens_open_as_their_attribute_only(rig: Rig) {
    let datastore = filled(&rig).await;
    let veil = Veil::new(&rig, false, ["DOE", "JANE", "MRN-1"].map(str::to_owned));
    let name = veil.token("PatientName", "DOE^JANE");
    let asked = json!({ "datastore_id": datastore, "patient_id": name });
    veil.refusal("search_by_patient_id", asked).await;
    let other = data_folder_key(tempfile::tempdir().unwrap().path()).unwrap();
    let stranger = Redactor::new(&other, false).unwrap().token("PatientID", "MRN-1").unwrap();
    let asked = json!({ "datastore_id": datastore, "patient_id": stranger });
    veil.refusal("search_by_patient_id", asked).await;

    // The token of a name in an attribute that is shown stays the token.
    let study = veil.uid("2.25.100");
    let asked = json!({
        "datastore_id": datastore, "study_instance_uid": study, "wait_seconds": 60,
        "study_updates": { "StudyDescription": name }
    });
    veil.call("update_patient_study_metadata", asked).await;
    let found = rig.call("search_by_study_uid", json!({ "study_instance_uid": "2.25.100" })).await;
    let set = &found["image_sets_metadata_summaries"][0];
    assert_eq!(tag(set, "DICOMStudyDescription"), name, "{set}");
    veil.call("search_by_study_uid", json!({ "study_instance_uid": study })).await;

    // Values and masked texts are not written.
    for updates in [
        json!({ "AccessionNumber": "A7" }),
        json!({ "StudyDate": "20240101" }),
        json!({ "StudyDescription": "CT of ***" }),
    ] {
        let asked = json!({
            "datastore_id": datastore, "study_instance_uid": study, "study_updates": updates
        });
        veil.refusal("update_patient_study_metadata", asked).await;
    }
}
