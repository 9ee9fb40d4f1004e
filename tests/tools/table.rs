//! Tables of attributes and of the content of reports.

use dicom_core::value::DataSetSequence;
use dicom_core::{DataElement, PrimitiveValue, Tag, VR};
use dicom_dictionary_std::tags;
use dicom_object::InMemDicomObject;
use healthimaging_phantoms::{Phantom, PhantomFile};
use serde_json::{Value, json};

use crate::rig::Rig;

fn text(tag: Tag, vr: VR, value: &str) -> DataElement<InMemDicomObject> {
    DataElement::new(tag, vr, PrimitiveValue::from(value))
}

fn sequence(tag: Tag, items: Vec<InMemDicomObject>) -> DataElement<InMemDicomObject> {
    DataElement::new(tag, VR::SQ, DataSetSequence::from(items))
}

fn code(value: &str, meaning: &str) -> InMemDicomObject {
    InMemDicomObject::from_element_iter([
        text(tags::CODE_VALUE, VR::SH, value),
        text(tags::CODING_SCHEME_DESIGNATOR, VR::SH, "DCM"),
        text(tags::CODE_MEANING, VR::LO, meaning),
    ])
}

/// The dose length product of an irradiation event (`PS3.16` TID 10013).
fn event(product: &str, unit: &str) -> InMemDicomObject {
    let measured = InMemDicomObject::from_element_iter([
        sequence(tags::MEASUREMENT_UNITS_CODE_SEQUENCE, vec![code(unit, unit)]),
        text(tags::NUMERIC_VALUE, VR::DS, product),
    ]);
    let number = InMemDicomObject::from_element_iter([
        text(tags::VALUE_TYPE, VR::CS, "NUM"),
        sequence(tags::CONCEPT_NAME_CODE_SEQUENCE, vec![code("113838", "DLP")]),
        sequence(tags::MEASURED_VALUE_SEQUENCE, vec![measured]),
    ]);
    InMemDicomObject::from_element_iter([
        text(tags::VALUE_TYPE, VR::CS, "CONTAINER"),
        sequence(tags::CONCEPT_NAME_CODE_SEQUENCE, vec![code("113819", "CT Acquisition")]),
        sequence(tags::CONTENT_SEQUENCE, vec![number]),
    ])
}

pub(crate) fn report(number: u32, patient: &str, products: &[&str]) -> PhantomFile {
    report_in("mGy.cm", number, patient, products)
}

fn report_in(unit: &str, number: u32, patient: &str, products: &[&str]) -> PhantomFile {
    let phantom = Phantom::report()
        .patient("DOE^JANE", patient)
        .study_uid(&format!("2.25.91.{number}"))
        .series_uid(&format!("2.25.92.{number}"))
        .sop_uid(&format!("2.25.93.{number}"))
        .with_sequence(
            tags::CONTENT_SEQUENCE,
            products.iter().map(|one| event(one, unit)).collect(),
        );
    PhantomFile { relative_path: format!("{number}.dcm").into(), bytes: phantom.build() }
}

/// The rows without the column of image sets.
fn rows(found: &Value) -> Vec<Value> {
    let rows = found["rows"].as_array().unwrap().iter();
    rows.map(|row| json!(row.as_array().unwrap()[1..])).collect()
}

pub(crate) async fn attributes_are_tabulated_and_totalled(rig: Rig) {
    let datastore = rig.filled().await;
    let ask = |more: Value| {
        let mut asked = json!({ "datastore_id": datastore });
        asked.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        asked
    };
    let table = async |more: Value| rig.call("tabulate_attributes", ask(more)).await;
    let found = table(json!({ "attributes": ["Modality", "(0028,0010)"] })).await;
    assert_eq!(found["columns"], json!(["image_set_id", "Modality", "Rows"]));
    assert_eq!(rows(&found), vec![json!(["CT", "32"]); 8]);
    // Each of 24 slices has 32 rows.
    let found = table(json!({
        "attributes": ["Rows"], "per_instance": true, "group_by": []
    }))
    .await;
    assert_eq!(
        found["columns"],
        json!([
            "rows",
            "count of Rows",
            "sum of Rows",
            "min of Rows",
            "max of Rows",
            "mean of Rows"
        ])
    );
    assert_eq!(found["rows"], json!([[24, 24, 768.0, 32.0, 32.0, 32.0]]));
    // Two patients, each with four series; an attribute without numbers has no totals.
    let found = table(json!({
        "attributes": ["PatientID", "Modality"], "group_by": ["PatientID"]
    }))
    .await;
    assert_eq!(found["columns"], json!(["PatientID", "rows"]));
    let counts: Vec<&Value> = found["rows"].as_array().unwrap().iter().map(|row| &row[1]).collect();
    assert_eq!(counts, [&json!(4), &json!(4)]);
    assert_eq!(table(json!({ "attributes": ["Rows"], "modality": "MR" })).await["rows"], json!([]));
    // Cut at a row that the answer names; the rest, and the whole as CSV.
    let mut asked = ask(json!({
        "attributes": ["InstanceNumber"], "per_instance": true, "max_rows": 10
    }));
    let mut read = Vec::new();
    loop {
        let answer = rig.answer("tabulate_attributes", asked.clone()).await.unwrap();
        let link = answer.links[0].clone();
        let csv = String::from_utf8(link.data.unwrap().to_vec()).unwrap();
        assert_eq!((csv.len() as u64, csv.lines().count()), (link.size, 25));
        assert_eq!(csv.lines().next(), Some("image_set_id,InstanceNumber"));
        let found = Value::Object(answer.structured);
        read.extend(rows(&found));
        assert_eq!(found["rows_left_out"], 24 - read.len());
        match found.get("next_token") {
            Some(token) => asked["next_token"] = token.clone(),
            None => break,
        }
        let cut = format!("Cut after row {}: {} more", read.len(), 24 - read.len());
        assert!(found["summary"].as_str().unwrap().contains(&cut), "{}", found["summary"]);
    }
    assert_eq!(read.len(), 24);
    for wrong in [
        json!({}),
        json!({ "attributes": ["Rows"], "group_by": ["Columns"] }),
        json!({ "attributes": ["NoSuchKeyword"] }),
        json!({ "attributes": ["Rows"], "study_date_from": "20250302", "study_date_to": "20250301" }),
        json!({ "attributes": (0..21).map(|at| format!("0009,10{at:02X}")).collect::<Vec<_>>() }),
    ] {
        rig.refusal("tabulate_attributes", ask(wrong), "validation_error").await;
    }
}

pub(crate) async fn totals_are_of_all_instances(rig: Rig) {
    let datastore = rig.datastore().await;
    // Times from 09:01 on, and one value that many instances have.
    let files = (1..=40_u32).map(|number| {
        let phantom = Phantom::ct()
            .size(16, 16)
            .study_uid("2.25.71")
            .series_uid("2.25.72")
            .sop_uid(&format!("2.25.73.{number}"))
            .study_date("20260102")
            .with(tags::EXPOSURE_TIME, VR::IS, PrimitiveValue::from(number.to_string()))
            .with(tags::CONTENT_TIME, VR::TM, PrimitiveValue::from(format!("09{number:02}00")))
            .with(
                tags::EXPOSURE,
                VR::IS,
                PrimitiveValue::from(if number == 40 { "10" } else { "2" }),
            );
        PhantomFile { relative_path: format!("{number}.dcm").into(), bytes: phantom.build() }
    });
    rig.import(&datastore, files).await;
    let table = async |more: Value| {
        let mut asked = json!({ "datastore_id": datastore });
        asked.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        rig.call("tabulate_attributes", asked).await
    };
    let found = table(json!({ "attributes": ["ExposureTime", "Exposure"] })).await;
    let twenty: Vec<String> = (1..=20).map(|number| number.to_string()).collect();
    let listed = format!("{}; … and 20 more", twenty.join("; "));
    assert_eq!(rows(&found), [json!([listed, "2; 10"])]);
    let found = table(json!({ "attributes": ["ContentTime"] })).await;
    assert!(rows(&found)[0][0].as_str().unwrap().ends_with("; 092000; … and 20 more"), "{found}");
    let attributes = ["ExposureTime", "Exposure", "StudyDate", "ContentTime"];
    let of = |what: &[&str], name: &str| -> Vec<String> {
        what.iter().map(|what| format!("{what} of {name}")).collect()
    };
    let (numbers, times) = (["count", "sum", "min", "max", "mean"], ["count", "min", "max"]);
    let columns = [
        vec!["rows".to_owned()],
        of(&numbers, attributes[0]),
        of(&numbers, attributes[1]),
        of(&times, attributes[2]),
        of(&times, attributes[3]),
    ]
    .concat();
    for (per_instance, count) in [(false, 1), (true, 40)] {
        let found = table(json!({
            "attributes": attributes, "group_by": [], "per_instance": per_instance
        }))
        .await;
        assert_eq!(found["columns"], json!(columns));
        // 1 to 40; 39 times 2, and 10.
        assert_eq!(
            found["rows"],
            json!([[
                count, 40, 820.0, 1.0, 40.0, 20.5, 40, 88.0, 2.0, 10.0, 2.2, 40, "20260102",
                "20260102", 40, "090100", "094000"
            ]]),
            "{per_instance}"
        );
    }
}

pub(crate) async fn doses_of_reports_are_summed(rig: Rig) {
    let datastore = rig.filled().await;
    let reports = [
        report(1, "MRN-1", &["120.5", "30.25"]),
        report(2, "MRN-1", &["100"]),
        report(3, "MRN-2", &["7.5", "7.5"]),
    ];
    rig.import(&datastore, reports).await;
    let asked = |more: Value| {
        let mut asked = json!({
            "datastore_id": datastore, "modality": "SR", "attributes": ["PatientID"],
            "content": ["113838"]
        });
        asked.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        asked
    };
    let found = rig.call("tabulate_attributes", asked(json!({}))).await;
    assert_eq!(found["columns"], json!(["image_set_id", "PatientID", "113838 (mGy.cm)"]));
    let mut listed = rows(&found);
    listed.sort_by_key(Value::to_string);
    assert_eq!(
        listed,
        [json!(["MRN-1", "100"]), json!(["MRN-1", "120.5; 30.25"]), json!(["MRN-2", "7.5; 7.5"])]
    );
    // By meaning, and grouped.
    let by_patient = json!({ "content": ["dlp"], "group_by": ["PatientID"] });
    let found = rig.call("tabulate_attributes", asked(by_patient)).await;
    assert_eq!(
        found["rows"],
        json!([
            ["MRN-1", 2, 3, 250.75, 30.25, 120.5, 83.583_333],
            ["MRN-2", 1, 2, 15.0, 7.5, 7.5, 7.5]
        ])
    );
    // Values of another unit have columns, and so totals, of their own.
    rig.import(&datastore, [report_in("Gy.m", 4, "MRN-2", &["0.5"])]).await;
    let asked_for = json!({ "content": ["113838", "113839"], "group_by": [] });
    let found = rig.call("tabulate_attributes", asked(asked_for)).await;
    let columns = found["columns"].as_array().unwrap();
    assert_eq!(
        (&columns[1], &columns[6]),
        (&json!("count of 113838 (Gy.m)"), &json!("count of 113838 (mGy.cm)"))
    );
    assert_eq!(found["rows"], json!([[4, 1, 0.5, 0.5, 0.5, 0.5, 5, 265.75, 7.5, 120.5, 53.15]]));
    // An item that no report has is named.
    assert_eq!(found["content_not_found"], json!(["113839"]));
    assert!(found["summary"].as_str().unwrap().contains("named 113839"), "{found}");
}

pub(crate) async fn private_dates_have_no_sum(rig: Rig) {
    let datastore = rig.datastore().await;
    let private = |at: u32| {
        Phantom::ct()
            .size(8, 8)
            .study_uid("2.25.81")
            .series_uid("2.25.82")
            .sop_uid(&format!("2.25.83.{at}"))
            .with(Tag(0x0009, 0x0010), VR::LO, "TEST")
            .with(Tag(0x0009, 0x1001), VR::DA, PrimitiveValue::from(format!("2026010{at}")))
    };
    let files = (1..=2).map(|at| PhantomFile {
        relative_path: format!("{at}.dcm").into(),
        bytes: private(at).build(),
    });
    rig.import(&datastore, files).await;
    let asked = json!({ "datastore_id": datastore, "attributes": ["00091001"], "group_by": [] });
    let found = rig.call("tabulate_attributes", asked).await;
    assert_eq!(found["rows"], json!([[1, 2, "20260101", "20260102"]]), "{found}");
}
