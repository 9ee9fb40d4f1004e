//! Dates that are shifted by patient.

use std::collections::BTreeSet;

use base64::Engine as _;
use chrono::NaiveDate;
use serde_json::{Value, json};

use super::{Veil, of_conversations};
use crate::conversations::{filled, patient};
use crate::erase::tag;
use crate::rig::Rig;

pub(crate) async fn dates_keep_their_intervals(rig: Rig) {
    filled(&rig).await;
    let veil = Veil::new(&rig, false, of_conversations());
    let asked =
        json!({ "search_criteria": patient(&veil.token("PatientID", "MRN-1")), "modality": "CT" });
    let found = veil.call("search_image_sets", asked).await;
    let sets = found["image_sets_metadata_summaries"].as_array().unwrap();
    let day = |study: &str| {
        let of_study = |set: &&Value| tag(set, "DICOMStudyInstanceUID") == veil.uid(study);
        let set = sets.iter().find(of_study).unwrap();
        NaiveDate::parse_from_str(tag(set, "DICOMStudyDate"), "%Y%m%d").unwrap()
    };
    // From 2022-03-01 to 2024-03-01, with a leap day.
    assert_eq!((day("2.25.100") - day("2.25.101")).num_days(), 731);
    let real = NaiveDate::from_ymd_opt(2024, 3, 1).unwrap();
    assert_ne!(day("2.25.100"), real);
    // The token of a page holds what the results are sorted by: encrypted.
    let asked = json!({
        "search_criteria": {
            "filters": patient(&veil.token("PatientID", "MRN-1"))["filters"],
            "sort": { "sortField": "DICOMStudyDateAndTime", "sortOrder": "ASC" }
        },
        "max_results": 1
    });
    let first = veil.call("search_image_sets", asked.clone()).await;
    let token = first["next_token"].as_str().unwrap();
    let token = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(token).unwrap();
    let token: Value = serde_json::from_slice(&token).unwrap();
    assert!(token["after"].as_str().unwrap().starts_with("phi-page-"), "{token}");
    let mut next = asked;
    next["next_token"] = first["next_token"].clone();
    let second = veil.call("search_image_sets", next).await;
    let id = |found: &Value| found["image_sets_metadata_summaries"][0]["image_set_id"].clone();
    assert_ne!(id(&first), id(&second));
    // Beside the token of a patient, a date is compared with what is shown.
    let later = day("2.25.101") + chrono::Days::new(1);
    let values = |date: NaiveDate| json!({ "DICOMStudyDateAndTime": { "DICOMStudyDate": date.format("%Y%m%d").to_string() } });
    let mut criteria = patient(&veil.token("PatientID", "MRN-1"));
    // A day without a time is its midnight.
    let end = day("2.25.100") + chrono::Days::new(1);
    let span = json!({ "values": [values(later), values(end)], "operator": "BETWEEN" });
    criteria["filters"].as_array_mut().unwrap().push(span);
    let found = veil
        .call("search_image_sets", json!({ "search_criteria": criteria, "modality": "CT" }))
        .await;
    let sets = found["image_sets_metadata_summaries"].as_array().unwrap();
    let studies: BTreeSet<_> =
        sets.iter().map(|set| tag(set, "DICOMStudyInstanceUID").to_owned()).collect();
    assert_eq!(studies, BTreeSet::from([veil.uid("2.25.100")]), "{found}");
}
