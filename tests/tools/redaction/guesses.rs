//! Values, prefixes, wildcards and ranges in place of tokens.

use std::collections::BTreeSet;

use healthimaging_phantoms::{Phantom, PhantomFile};
use serde_json::{Value, json};

use super::Veil;
use crate::conversations::{filled, patient};
use crate::erase::tag;
use crate::rig::Rig;

pub(crate) async fn guesses_find_nothing(rig: Rig) {
    let datastore = filled(&rig).await;
    let described = Phantom::ct()
        .size(32, 32)
        .patient("DOE^JANE", "MRN-1")
        .study_uid("2.25.102")
        .study_description("CHEST OF JANE DOE, MRN-1, 20240301")
        .series_description("LUNG JANE 2.25.102.1")
        .build();
    let described = PhantomFile { relative_path: "102.dcm".into(), bytes: described };
    rig.import(&datastore, [described]).await;
    let veil = Veil::new(&rig, false, Vec::new());
    // IDs, one that exists and one that does not; prefixes and wildcards; names.
    for guess in [
        "MRN-1",
        "MRN-999",
        "MRN*",
        "MRN-?",
        "*",
        "phi-00100020-aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
    ] {
        let mut messages = BTreeSet::new();
        for tool in [
            "search_by_patient_id",
            "get_patient_studies",
            "get_patient_dicomweb_studies",
            "delete_patient_studies",
        ] {
            let asked = json!({ "datastore_id": datastore, "patient_id": guess });
            let message = veil.refusal(tool, asked).await;
            assert!(
                message.contains("redact-token PatientID") && !message.contains(guess),
                "{message}"
            );
            messages.insert(message);
        }
        assert_eq!(messages.len(), 1, "{messages:?}");
        veil.refusal("search_image_sets", json!({ "search_criteria": patient(guess) })).await;
        let criteria = json!({ "patient_id": guess });
        let asked = json!({ "datastore_id": datastore, "criteria": criteria });
        veil.refusal("bulk_delete_by_criteria", asked).await;
    }
    for uid in ["2.25.100", "2.25.999"] {
        for tool in ["search_by_study_uid", "get_study_series", "delete_study"] {
            veil.refusal(tool, json!({ "datastore_id": datastore, "study_instance_uid": uid }))
                .await;
        }
    }
    for criteria in [
        json!({ "patient_name": "DOE^JANE" }),
        json!({ "accession_number": "A1" }),
        json!({ "study_id": "1" }),
        json!({ "study_date_from": "20240101" }),
        json!({ "study_date_and_time": { "from": "20240101" } }),
    ] {
        let asked = json!({ "datastore_id": datastore, "criteria": criteria });
        veil.refusal("bulk_delete_by_criteria", asked).await;
        let asked = json!({ "from_datastore": datastore, "to_datastore": datastore, "criteria": criteria, "dry_run": true });
        veil.refusal("transfer_studies", asked).await;
    }
    // Dates of all patients, by bisection and by order.
    let span = json!([
        { "DICOMStudyDateAndTime": { "DICOMStudyDate": "20240101" } },
        { "DICOMStudyDateAndTime": { "DICOMStudyDate": "20241231" } }
    ]);
    let criteria = json!({ "filters": [{ "values": span, "operator": "BETWEEN" }] });
    veil.refusal("search_image_sets", json!({ "search_criteria": criteria })).await;
    let sort = json!({ "sort": { "sortField": "DICOMStudyDateAndTime", "sortOrder": "ASC" } });
    veil.refusal("search_image_sets", json!({ "search_criteria": sort })).await;
    // A filter of this server compares with what is shown, which the caller has already.
    let shown = |found: &Value| -> Vec<(String, String)> {
        let sets = found["image_sets_metadata_summaries"].as_array().unwrap();
        let facts =
            |set: &Value| (set["image_set_id"].to_string(), tag(set, "DICOMStudyDate").to_owned());
        sets.iter()
            .filter(|set| set["dicom_tags"]["DICOMStudyDate"].is_string())
            .map(facts)
            .collect()
    };
    let everything = shown(&veil.call("search_image_sets", json!({})).await);
    for from in ["20140101", "20180101", "20200101", "20220301", "20240301", "20240302"] {
        let asked = json!({ "study_date_from": from });
        let found: BTreeSet<_> = match veil.try_call("search_image_sets", &asked).await {
            Ok(found) => shown(&found).into_iter().collect(),
            Err(_) => continue,
        };
        let expected = everything.iter().filter(|(_, date)| date.as_str() >= from).cloned();
        assert_eq!(found, expected.collect(), "{from}");
    }
    // Descriptions are searched as they are shown.
    for text in ["DOE", "JANE", "MRN-1", "2.25", "20240301"] {
        let found = veil.call("search_image_sets", json!({ "text": text })).await;
        assert_eq!(found["image_sets_metadata_summaries"], json!([]), "{text}: {found}");
    }
}
