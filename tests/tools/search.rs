//! Searching.

use std::collections::BTreeSet;

use dicom_dictionary_std::tags;
use healthimaging_phantoms::{Archive, Phantom, PhantomFile};
use serde_json::{Value, json};

use crate::erase::{all, tag};
use crate::rig::{ARCHIVE, Rig, uri};

pub(crate) async fn everything_is_found_without_criteria(rig: Rig) {
    let datastore = rig.filled().await;
    let asked = json!({ "datastore_id": datastore });
    let found = rig.call("search_image_sets", asked).await;
    let sets = found["image_sets_metadata_summaries"].as_array().unwrap();
    assert_eq!(sets.len(), 8);
}

pub(crate) async fn ct_scans_of_a_patient_are_one_call(rig: Rig) {
    let datastore = rig.filled().await;
    let set = all(&rig, &datastore).await[0].clone();
    let patient = tag(&set, "DICOMPatientId");
    let asked = |extra: Value| {
        let mut asked = json!({ "datastore_id": datastore, "patient_id": patient });
        for (key, value) in extra.as_object().unwrap() {
            asked[key] = value.clone();
        }
        asked
    };
    // Dates go to the service, which returns nothing that does not fit.
    for (extra, count, examined) in [
        (json!({ "modality": "ct" }), 4, 4),
        (json!({ "modality": "MR" }), 0, 4),
        (json!({ "primary_only": true }), 4, 4),
        (json!({ "study_date_from": "19000101", "study_date_to": "19000102" }), 0, 0),
    ] {
        let found = rig.call("search_by_patient_id", asked(extra.clone())).await;
        let sets = found["image_sets_metadata_summaries"].as_array().unwrap();
        assert_eq!(sets.len(), count, "{extra}");
        assert_eq!(found["image_sets_examined"], examined, "{extra}");
    }
    for (tool, key, name, count) in [
        ("search_by_study_uid", "study_instance_uid", "DICOMStudyInstanceUID", 2),
        ("search_by_series_uid", "series_instance_uid", "DICOMSeriesInstanceUID", 1),
    ] {
        let mut asked = json!({ "datastore_id": datastore });
        asked[key] = json!(tag(&set, name));
        let found = rig.call(tool, asked).await;
        let sets = found["image_sets_metadata_summaries"].as_array().unwrap();
        assert_eq!(sets.len(), count, "{tool}");
    }
    let no_day = asked(json!({ "study_date_from": "20260231" }));
    rig.refusal("search_by_patient_id", no_day, "validation_error").await;
}

pub(crate) async fn more_than_a_hundred_are_paged_exactly(rig: Rig) {
    let datastore = rig.datastore().await;
    let archive = Archive { patients: 1, studies: 3, series: 40, instances: 1, size: 8, ..ARCHIVE };
    rig.import(&datastore, archive.files()).await;
    let first = json!({ "datastore_id": datastore, "max_results": 1 });
    let one = rig.call("search_image_sets", first).await;
    let patient = tag(&one["image_sets_metadata_summaries"][0], "DICOMPatientId").to_owned();
    let mut seen = BTreeSet::new();
    let mut token = Value::Null;
    let mut sizes = Vec::new();
    loop {
        let mut asked =
            json!({ "datastore_id": datastore, "patient_id": patient, "max_results": 55 });
        if !token.is_null() {
            asked["next_token"] = token;
        }
        let page = rig.call("search_by_patient_id", asked).await;
        let sets = page["image_sets_metadata_summaries"].as_array().unwrap();
        sizes.push(sets.len());
        seen.extend(sets.iter().map(|set| set["image_set_id"].to_string()));
        token = page["next_token"].clone();
        if token.is_null() {
            break;
        }
    }
    assert_eq!(sizes, [55, 55, 10]);
    assert_eq!(seen.len(), 120);
}

/// A file of a study of its own: modality by its phantom, series description, body part or none.
fn other(number: u32, phantom: Phantom, description: &str) -> PhantomFile {
    let phantom = phantom
        .patient("ROE^RICHARD", "MRN-8")
        .study_uid("2.25.81")
        .series_uid(&format!("2.25.82.{number}"))
        .sop_uid(&format!("2.25.83.{number}"))
        .study_description("KNEE")
        .series_description(description)
        .without(tags::BODY_PART_EXAMINED);
    PhantomFile { relative_path: format!("{number}.dcm").into(), bytes: phantom.build() }
}

/// The archive, and a study with an MR series, another one that mentions motion, and a report.
async fn with_report(rig: &Rig) -> String {
    let datastore = rig.filled().await;
    let mr = || Phantom::mr().size(16, 16);
    let files = [
        other(1, mr(), "T1"),
        other(2, mr(), "T2 Motion corrected"),
        other(3, Phantom::report(), "REPORT"),
    ];
    rig.import(&datastore, files).await;
    datastore
}

pub(crate) async fn studies_are_found_by_what_they_have_and_lack(rig: Rig) {
    let datastore = with_report(&rig).await;
    let studies = async |more: Value| {
        let mut asked = json!({ "datastore_id": datastore, "by_study": true });
        asked.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let found = rig.call("search_image_sets", asked).await;
        let studies = found.get("studies").and_then(Value::as_array).cloned().unwrap_or_default();
        (studies, found)
    };
    let (with, found) = studies(json!({ "has_modality": "SR" })).await;
    assert_eq!(with.len(), 1, "{found}");
    assert_eq!(
        (&with[0]["study_instance_uid"], &with[0]["patient_id"]),
        (&json!("2.25.81"), &json!("MRN-8"))
    );
    assert_eq!(with[0]["modalities"], json!(["MR", "SR"]));
    assert_eq!(found["image_sets_examined"], 11);
    let (without, found) = studies(json!({ "lacks_modality": "sr" })).await;
    assert_eq!(without.len(), 4, "{found}");
    assert!(without.iter().all(|one| one["modalities"] == json!(["CT"])));
    assert_eq!(studies(json!({ "lacks_modality": "SR,CT" })).await.0.len(), 0);
    assert_eq!(studies(json!({ "has_modality": "SR,CT" })).await.0.len(), 5);
    assert_eq!(studies(json!({})).await.0.len(), 5);
    // A row is of what matches, and the answer says so.
    let (with, found) = studies(json!({ "has_modality": "SR", "modality": "MR" })).await;
    assert_eq!((&with[0]["modalities"], &with[0]["series"]), (&json!(["MR"]), &json!(2)));
    let summary = found["summary"].as_str().unwrap();
    assert!(summary.contains("of its matching image sets only"), "{summary}");
    // Image sets of a study, by what the study has.
    for (more, count) in [
        (json!({ "has_modality": "SR", "modality": "MR" }), 2),
        (json!({ "lacks_modality": "SR", "modality": "MR" }), 0),
        // The report does not match these criteria, and counts.
        (
            json!({ "has_modality": "SR", "search_criteria": { "filters": [
            { "values": [{ "DICOMSeriesInstanceUID": "2.25.82.1" }], "operator": "EQUAL" }
        ] } }),
            1,
        ),
    ] {
        let mut asked = json!({ "datastore_id": datastore });
        asked.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let found = rig.call("search_image_sets", asked).await;
        let sets = found["image_sets_metadata_summaries"].as_array().unwrap();
        assert_eq!(sets.len(), count, "{more}");
    }
    let asked = json!({ "datastore_id": datastore, "patient_id": "MRN-8", "lacks_modality": "SR" });
    let found = rig.call("search_by_patient_id", asked).await;
    assert_eq!(found["image_sets_metadata_summaries"], json!([]));
    let asked = json!({ "datastore_id": datastore, "has_modality": "CT," });
    rig.refusal("search_image_sets", asked, "validation_error").await;
    // Page by page, the same.
    let mut asked = json!({ "datastore_id": datastore, "by_study": true, "max_results": 2 });
    let mut pages = Vec::new();
    loop {
        let found = rig.call("search_image_sets", asked.clone()).await;
        pages.push(found["studies"].as_array().unwrap().len());
        match found.get("next_token") {
            Some(token) => asked["next_token"] = token.clone(),
            None => break,
        }
    }
    assert_eq!(pages, [2, 2, 1]);
}

pub(crate) async fn texts_are_found_in_descriptions_and_absent_body_parts_are_counted(rig: Rig) {
    let datastore = with_report(&rig).await;
    let search = async |more: Value| {
        let mut asked = json!({ "datastore_id": datastore });
        asked.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        rig.call("search_image_sets", asked).await
    };
    let count = |found: &Value| found["image_sets_metadata_summaries"].as_array().unwrap().len();
    for (text, expected) in [("motion", 1), ("knee", 3), ("T2 MOTION", 1), ("no such text", 0)] {
        let found = search(json!({ "text": text })).await;
        assert_eq!(count(&found), expected, "{text}");
        assert_eq!(found["image_sets_examined"], 11);
    }
    let found = search(json!({ "body_part": "KNEE" })).await;
    assert_eq!((count(&found), &found["image_sets_without_body_part"]), (0, &json!(3)));
    assert!(
        found["summary"]
            .as_str()
            .unwrap()
            .contains("3 image sets otherwise match and lack BodyPartExamined")
    );
    // One that another condition excludes does not count.
    let found = search(json!({ "body_part": "KNEE", "modality": "SR" })).await;
    assert_eq!(found["image_sets_without_body_part"], 1);
    let found = search(json!({ "body_part": "CHEST", "modality": "CT" })).await;
    assert_eq!((count(&found), found.get("image_sets_without_body_part")), (8, None));

    let asked = json!({ "datastore_id": datastore, "study_instance_uid": "2.25.81" });
    let found = rig.call("get_study_series", asked.clone()).await;
    assert_eq!(found["series"].as_array().unwrap().len(), 3);
    let mut asked = asked;
    asked["text"] = json!("MOTION");
    let found = rig.call("get_study_series", asked.clone()).await;
    let series = found["series"].as_array().unwrap();
    assert_eq!((series.len(), &found["series_examined"]), (1, &json!(3)));
    assert_eq!(series[0]["series_instance_uid"], "2.25.82.2");
    assert_eq!(series[0]["mentioned_in"], json!(["SeriesDescription"]));
    asked["text"] = json!("");
    rig.refusal("get_study_series", asked, "validation_error").await;
}

pub(crate) async fn a_data_store_is_summarized(rig: Rig) {
    let datastore = with_report(&rig).await;
    let asked = json!({ "datastore_id": datastore });
    let found = rig.call("summarize_datastore", asked.clone()).await;
    for (name, count) in [
        ("image_sets", 11),
        ("image_sets_measured", 11),
        ("non_primary_image_sets", 0),
        ("patients", 3),
        ("studies", 5),
        // 24 slices, two MR images, and a report.
        ("instances", 27),
    ] {
        assert_eq!(found[name], count, "{name}: {found}");
    }
    let group = |name: &str, value: &str| {
        let groups = found[name].as_array().unwrap().clone();
        groups.into_iter().find(|one| one["value"] == value).unwrap()
    };
    for (modality, sets, instances) in [("CT", 8, 24), ("MR", 2, 2), ("SR", 1, 1)] {
        let group = group("by_modality", modality);
        assert_eq!((&group["image_sets"], &group["instances"]), (&json!(sets), &json!(instances)));
    }
    assert_eq!(group("by_patient", "MRN-8")["instances"], 3);
    // Frames as they are stored, instance by instance.
    let mut bytes = 0;
    for set in all(&rig, &datastore).await {
        let read = json!({
            "datastore_id": datastore, "image_set_id": set["image_set_id"],
            "attributes": ["ImageFrames"]
        });
        let read = rig.call("get_image_set_metadata", read).await;
        let series = read["metadata"]["Study"]["Series"].as_object().unwrap();
        for series in series.values() {
            for instance in series["Instances"].as_object().unwrap().values() {
                let frames = instance.get("ImageFrames").and_then(Value::as_array);
                let frames = frames.into_iter().flatten();
                bytes += frames.map(|one| one["FrameSizeInBytes"].as_u64().unwrap()).sum::<u64>();
            }
        }
    }
    assert_eq!(found["bytes"], bytes);
    let syntaxes = found["by_transfer_syntax"].as_array().unwrap();
    let of_all: u64 = syntaxes.iter().map(|one| one["bytes"].as_u64().unwrap()).sum();
    assert_eq!(of_all, bytes);
    assert_eq!(found["newest"].as_array().unwrap().len(), 5);
    assert_eq!(found["failed_import_jobs"], json!([]));
    // Bytes of few, counts of all.
    let mut few = asked.clone();
    (few["max_measured"], few["top"]) = (json!(2), json!(1));
    let few = rig.call("summarize_datastore", few).await;
    assert_eq!((&few["image_sets"], &few["image_sets_measured"]), (&json!(11), &json!(2)));
    assert_eq!(few["by_patient"].as_array().unwrap().len(), 1);
    assert_eq!(few["largest"].as_array().unwrap().len(), 2);
    // What was not measured has no bytes, and the rest says of how many image sets they are.
    for group in few["by_modality"].as_array().unwrap() {
        let measured = group["image_sets_measured"].as_u64().unwrap_or(u64::MAX);
        assert_eq!(group.get("bytes").is_none(), measured == 0, "{group}");
    }
    assert!(few["summary"].as_str().unwrap().contains("Only the newest 2 were measured"));
    let mut none = asked.clone();
    none["max_measured"] = json!(0);
    let none = rig.call("summarize_datastore", none).await;
    assert!(!none.to_string().contains("\"bytes\""), "{none}");
    // A job that completed without a file is among the failed ones.
    let (folder, outcome) = (rig.allowed().join("broken"), rig.allowed().join("outcome"));
    std::fs::create_dir(&folder).unwrap();
    std::fs::create_dir(&outcome).unwrap();
    std::fs::write(folder.join("notes.txt"), "not DICOM").unwrap();
    let broken = json!({
        "datastore_id": datastore, "input_s3_uri": uri(&folder), "output_s3_uri": uri(&outcome),
        "data_access_role_arn": "arn:aws:iam::000000000000:role/import", "wait_seconds": 120
    });
    rig.call("start_dicom_import_job", broken).await;
    let found = rig.call("summarize_datastore", asked.clone()).await;
    let failed = found["failed_import_jobs"].as_array().unwrap();
    assert_eq!((failed.len(), &failed[0]["job_status"]), (1, &json!("COMPLETED")), "{found}");
    assert_eq!(failed[0]["files_failed"], 1);
    // The outcome folders of the other imports are gone.
    assert_eq!(found["completed_import_jobs_examined"], 1);
    assert!(found["completed_import_jobs_unreadable"].as_u64().unwrap() >= 1, "{found}");
    let found = rig.call("get_datastore", asked).await;
    assert_eq!(
        found["counts"]["image_sets"].as_u64().or(found["counts"]["image_sets_at_least"].as_u64()),
        Some(11)
    );
}
