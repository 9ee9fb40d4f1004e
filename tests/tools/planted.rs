//! `--redact-phi`: every tool, on files in which each attribute that identifies a patient has a known value.

use healthimaging_phantoms::{Phantom, PhantomFile, Tag, VR, tags};
use serde_json::{Value, json};

use crate::redaction::Veil;
use crate::report::{document, encapsulated, item, node, pdf, text};
use crate::rig::{Rig, uri};

/// Parts of what is planted. UIDs begin with the last one.
const PLANTED: [&str; 26] = [
    "QUILLFEATHER",
    "ZEBEDEE",
    "XQZ-77031",
    "MARROWBY",
    "GWENDOLEN",
    "KLM-80802",
    "ACC-90417",
    "SID-33871",
    "OLD-55512",
    "Wychwood",
    "0131-5550199",
    "Thornbury",
    "PENHALIGON",
    "ISOLDE",
    "BLATHERWICK",
    "SER-60606",
    "STN-717",
    "RPID-4141",
    "ACME-PRIVATE-1",
    "19570317",
    "1957-03-17",
    "20240229",
    "2024-02-29",
    "20240301",
    "2024-03-01",
    "2.25.4711.",
];

/// Texts of the Clean Descriptors Option without names: only `strict` withholds them.
const FREE_TEXT: [&str; 2] = ["scan of the lodger", "lamplighter"];

const PATIENT: [&str; 2] = ["QUILLFEATHER^ZEBEDEE", "XQZ-77031"];
const ANOTHER: [&str; 2] = ["MARROWBY^GWENDOLEN", "KLM-80802"];
const CHEST: &str = "2.25.4711.1";

/// The family name as a description has it.
fn family(name: &str) -> &str {
    name.split('^').next().unwrap_or_default()
}

fn planted(phantom: Phantom, [name, id]: [&str; 2], study: u32, series: u32) -> Phantom {
    let request = item(vec![
        text(tags::REQUESTED_PROCEDURE_ID, VR::SH, "RPID-4141"),
        text(tags::REQUESTED_PROCEDURE_DESCRIPTION, VR::LO, &format!("CT for {}", family(name))),
    ]);
    let value = healthimaging_phantoms::PrimitiveValue::from;
    phantom
        .patient(name, id)
        .born("19570317", "M")
        .study_uid(&format!("2.25.4711.{study}"))
        .series_uid(&format!("2.25.4711.{study}.{series}"))
        .study_date("20240229")
        .study_description(&format!("CHEST {} 2024-03-01", name.replace('^', " ")))
        .accession_number("ACC-90417")
        .with(tags::STUDY_ID, VR::SH, value("SID-33871"))
        .with(Tag(0x0010, 0x1000), VR::LO, value("OLD-55512"))
        .with(tags::PATIENT_ADDRESS, VR::LO, value("17 Wychwood Lane"))
        .with(tags::PATIENT_TELEPHONE_NUMBERS, VR::SH, value("0131-5550199"))
        .with(tags::PATIENT_COMMENTS, VR::LT, value(FREE_TEXT[0]))
        .with(tags::INSTITUTION_NAME, VR::LO, value("Thornbury Infirmary"))
        .with(tags::REFERRING_PHYSICIAN_NAME, VR::PN, value("PENHALIGON^ISOLDE"))
        .with(tags::OPERATORS_NAME, VR::PN, value("BLATHERWICK^ODO"))
        .with(tags::OCCUPATION, VR::SH, value(FREE_TEXT[1]))
        .with(tags::CONTENT_CREATOR_NAME, VR::PN, value("BLATHERWICK^ODO"))
        .with(tags::IMAGE_COMMENTS, VR::LT, value(&format!("{} moved", family(name))))
        .with(tags::ACQUISITION_DATE_TIME, VR::DT, value("20240229093000.5"))
        .with(tags::DEVICE_SERIAL_NUMBER, VR::LO, value("SER-60606"))
        .with(tags::STATION_NAME, VR::SH, value("STN-717"))
        .with_sequence(tags::REQUEST_ATTRIBUTES_SEQUENCE, vec![request])
        .private(0x0019, "ACME", 1, VR::LO, value("ACME-PRIVATE-1"))
}

fn file(phantom: Phantom, study: u32, series: u32, number: u32) -> PhantomFile {
    let phantom = phantom.sop_uid(&format!("2.25.4711.{study}.{series}.{number}"));
    let name = format!("QUILLFEATHER/{study}-{series}-{number}.dcm");
    PhantomFile { relative_path: name.into(), bytes: phantom.build() }
}

fn slices(patient: [&str; 2], study: u32, series: u32, count: u32) -> Vec<PhantomFile> {
    let slice = |number: u32| {
        let phantom = Phantom::ct().size(32, 32).instance_number(number);
        let phantom = planted(phantom.slice_position(f64::from(number)), patient, study, series);
        let described = format!("LUNG {}", family(patient[0]));
        file(phantom.series_description(&described), study, series, number)
    };
    (1..=count).map(slice).collect()
}

fn files() -> Vec<PhantomFile> {
    let finding = node(
        "TEXT",
        ["121071", "DCM", "Finding"],
        vec![text(tags::TEXT_VALUE, VR::UT, "Zebedee Quillfeather, XQZ-77031, seen 2024-02-29")],
    );
    let observer = node(
        "PNAME",
        ["121008", "DCM", "Person Observer Name"],
        vec![text(tags::PERSON_NAME, VR::PN, "PENHALIGON^ISOLDE")],
    );
    let contains = |kind: &str, element| node(kind, ["111526", "DCM", "Event"], vec![element]);
    let facts = [
        contains("DATE", text(tags::DATE, VR::DA, "20240229")),
        contains("DATETIME", text(tags::DATE_TIME, VR::DT, "20240229093000.5")),
        contains("UIDREF", text(tags::UID, VR::UI, "2.25.4711.1.1.1")),
    ];
    let report = document(
        "88.33",
        1,
        ["126000", "DCM", "Report"],
        [vec![finding, observer], facts.into()].concat(),
    );
    let page = "BT /F1 12 Tf 10 70 Td (Zebedee Quillfeather, 17 Wychwood Lane) Tj ET";
    let letter = encapsulated(2, "1", "application/pdf", pdf(&[page], ""));
    let sound = Phantom::ultrasound().size(64, 64);
    let mut all = slices(PATIENT, 1, 1, 3);
    all.extend(slices(PATIENT, 1, 2, 2));
    all.push(file(planted(sound, PATIENT, 1, 3), 1, 3, 1));
    all.push(file(planted(report, PATIENT, 1, 4), 1, 4, 1));
    all.push(file(planted(letter, PATIENT, 1, 5), 1, 5, 1));
    for study in [2, 3, 4, 5] {
        all.extend(slices(PATIENT, study, 1, 3));
        all.extend(slices(PATIENT, study, 2, 2));
    }
    all.extend(slices(ANOTHER, 6, 1, 2));
    all
}

/// The planted store as an assistant with redaction uses it.
struct Stage<'a> {
    veil: Veil<'a>,
    datastore: String,
}

impl Stage<'_> {
    fn series(&self, study: u32, series: u32) -> String {
        self.veil.uid(&format!("2.25.4711.{study}.{series}"))
    }

    fn instance(&self, study: u32, series: u32, number: u32) -> String {
        self.veil.uid(&format!("2.25.4711.{study}.{series}.{number}"))
    }

    fn patient(&self) -> String {
        self.veil.token("PatientID", PATIENT[1])
    }

    /// Calls a tool in the data store; a plan is confirmed.
    async fn call(&self, tool: &str, mut arguments: Value) -> Value {
        if arguments.get("from_datastore").is_none() && arguments.get("resource_arn").is_none() {
            arguments["datastore_id"] = json!(self.datastore);
        }
        self.elsewhere(tool, arguments).await
    }

    async fn elsewhere(&self, tool: &str, mut arguments: Value) -> Value {
        let answer = self.veil.call(tool, arguments.clone()).await;
        if answer["confirmation_token"].is_null() {
            return answer;
        }
        arguments["confirmation_token"] = answer["confirmation_token"].clone();
        self.veil.call(tool, arguments).await
    }

    /// The type of the error of a call that is refused.
    async fn refused(&self, tool: &str, mut arguments: Value) -> String {
        arguments["datastore_id"] = json!(self.datastore);
        let error = self.veil.try_call(tool, &arguments).await.unwrap_err();
        format!("{}: {}", error["type"].as_str().unwrap(), error["message"].as_str().unwrap())
    }

    /// The image set of a series, and its version.
    async fn image_set(&self, study: u32, series: u32) -> (String, String) {
        let asked = json!({ "series_instance_uid": self.series(study, series) });
        let found = self.call("search_by_series_uid", asked).await;
        let set = &found["image_sets_metadata_summaries"][0];
        (set["image_set_id"].as_str().unwrap().to_owned(), set["version"].to_string())
    }
}

pub(crate) async fn every_tool_keeps_planted_values_from_the_model(rig: Rig) {
    let rig = rig.confirming();
    let datastore = rig.datastore().await;
    rig.import(&datastore, files()).await;
    let mut called = std::collections::BTreeSet::new();
    for is_strict in [true, false] {
        let planted = PLANTED.iter().chain(FREE_TEXT.iter().filter(|_| is_strict));
        let veil = Veil::new(&rig, is_strict, planted.map(|text| (*text).to_owned()));
        let plain = rig.call("search_image_sets", json!({ "datastore_id": datastore })).await;
        assert!(veil.found(&plain.to_string()).is_some(), "what is looked for is there");
        let stage = Stage { veil, datastore: datastore.clone() };
        reading(&stage, is_strict).await;
        if !is_strict {
            working(&stage, &rig).await;
            correcting(&stage).await;
            erasing(&stage).await;
        }
        called.extend(stage.veil.called.lock().unwrap().clone());
    }
    let all: Vec<&str> = rig.server.tools().map(|tool| tool.name).collect();
    let left: Vec<_> = all.iter().filter(|name| !called.contains(**name)).collect();
    assert!(left.is_empty() && all.len() > 50, "not called: {left:?}");
}

async fn reading(stage: &Stage<'_>, is_strict: bool) {
    let (study, patient) = (stage.veil.uid(CHEST), stage.patient());
    for tool in ["get_datastore", "list_dicom_export_jobs", "list_jobs", "summarize_datastore"] {
        stage.call(tool, json!({})).await;
    }
    stage.elsewhere("list_datastores", json!({})).await;
    let imports = stage.call("list_dicom_import_jobs", json!({})).await;
    let job = &imports["job_summaries"][0]["job_id"];
    for list in ["SUCCESS", "WARNING", "FAILURE"] {
        stage.call("get_dicom_import_job", json!({ "job_id": job, "list": list })).await;
    }
    for tool in [
        "search_by_patient_id",
        "get_patient_studies",
        "get_patient_series",
        "get_patient_dicomweb_studies",
    ] {
        stage.call(tool, json!({ "patient_id": patient })).await;
    }
    for tool in ["search_by_study_uid", "get_study_series", "get_study_primary_image_sets"] {
        stage.call(tool, json!({ "study_instance_uid": study })).await;
    }
    let series = json!({ "series_instance_uid": stage.series(1, 1) });
    stage.call("get_series_primary_image_set", series.clone()).await;
    stage.call("search_image_sets", json!({ "by_study": true })).await;

    for number in 1..=5 {
        let (id, _) = stage.image_set(1, number).await;
        let one = json!({ "image_set_id": id });
        stage.call("get_image_set", one.clone()).await;
        stage.call("list_image_set_versions", one).await;
        let asked = json!({ "image_set_id": id, "max_bytes": 1_000_000 });
        let read = stage.call("get_image_set_metadata", asked).await.to_string();
        assert!(read.contains(&patient) && read.contains(&stage.series(1, number)), "{read}");
    }
    let found = stage.call("summarize_datastore", json!({ "top": 100 })).await.to_string();
    assert!(found.contains(&patient), "{found}");
    let attributes = json!([
        "PatientID",
        "PatientName",
        "PatientBirthDate",
        "OtherPatientIDs",
        "PatientAddress",
        "PatientComments",
        "InstitutionName",
        "ReferringPhysicianName",
        "OperatorsName",
        "DeviceSerialNumber",
        "StationName",
        "StudyID",
        "AccessionNumber",
        "StudyDate",
        "StudyDescription",
        "SeriesDescription",
        "StudyInstanceUID",
        "RequestAttributesSequence"
    ]);
    for more in [
        json!({ "attributes": attributes }),
        json!({ "attributes": attributes, "per_instance": true }),
        json!({ "attributes": ["PatientName"], "group_by": ["PatientName"], "content": ["121071"] }),
    ] {
        let found = stage.call("tabulate_attributes", more).await;
        assert!(!found["rows"].as_array().unwrap().is_empty(), "{found}");
    }
    let (first, second) = (stage.image_set(1, 1).await.0, stage.image_set(1, 2).await.0);
    let asked = json!({ "image_set_id": first, "other_image_set_id": second });
    stage.call("compare_image_sets", asked).await;

    // Pictures, and texts of reports.
    let asked = json!({ "image_set_id": first, "slice": "middle" });
    stage.call("get_image_frame", asked).await;
    for tool in ["get_series_contact_sheet", "view_series"] {
        stage.call(tool, series.clone()).await;
    }
    let (sound, _) = stage.image_set(1, 3).await;
    let frame = json!({ "image_set_id": sound, "sop_instance_uid": stage.instance(1, 3, 1) });
    let sheet = json!({ "series_instance_uid": stage.series(1, 3) });
    for (tool, asked) in [("get_image_frame", frame), ("get_series_contact_sheet", sheet)] {
        if is_strict {
            let why = stage.refused(tool, asked).await;
            assert!(why.contains("withheld") && why.contains("strict"), "{tool}: {why}");
        } else {
            stage.call(tool, asked).await;
        }
    }
    for format in ["text", "table", "json"] {
        let asked = json!({ "sop_instance_uid": stage.instance(1, 4, 1), "format": format });
        let read = stage.call("get_report", asked).await.to_string();
        assert!(!read.contains("seen") || !is_strict, "{read}");
    }
    for page in [json!(null), json!(1)] {
        let asked = json!({ "sop_instance_uid": stage.instance(1, 5, 1), "page": page });
        let why = stage.refused("get_report", asked).await;
        assert!(why.contains("withheld"), "{why}");
    }
}

/// Imports, exports, transfers, copies and tags.
async fn working(stage: &Stage<'_>, rig: &Rig) {
    // What callers without redaction did is shown redacted.
    let export = json!({
        "datastore_id": stage.datastore, "output_s3_uri": uri(&rig.allowed().join("QUILLFEATHER")),
        "study_instance_uid": "2.25.4711.5", "wait_seconds": 120
    });
    let job = rig.call("start_dicom_export_job", export).await;
    for tool in ["get_dicom_export_job", "get_job"] {
        stage.elsewhere(tool, json!({ "job_id": job["job_id"] })).await;
    }
    let described = json!({
        "datastore_id": stage.datastore, "study_instance_uid": "2.25.4711.6", "wait_seconds": 60,
        "study_updates": { "StudyDescription": "LUNG of Gwendolen, KLM-80802" }
    });
    let job = rig.call("update_patient_study_metadata", described).await;
    stage.elsewhere("get_job", json!({ "job_id": job["job_id"] })).await;
    stage.call("list_dicom_export_jobs", json!({})).await;
    let other = json!({ "datastore_name": "other", "wait_seconds": 60 });
    let other = stage.elsewhere("create_datastore", other).await["datastore_id"].clone();
    let folder = rig.allowed().join("incoming");
    healthimaging_phantoms::write_to(&folder, slices(PATIENT, 7, 1, 2)).unwrap();
    std::fs::write(folder.join("Zebedee.txt"), "not DICOM").unwrap();
    let stored = json!({ "datastore_id": other, "paths": [folder] });
    let stored = stage.elsewhere("store_dicom_instances", stored).await;
    assert_eq!(stored["stored"], 2, "{stored}");
    let outcome = rig.allowed().join("outcome");
    std::fs::create_dir(&outcome).unwrap();
    let import = json!({
        "input_s3_uri": uri(&folder), "output_s3_uri": uri(&outcome), "wait_seconds": 120,
        "data_access_role_arn": "arn:aws:iam::000000000000:role/import"
    });
    let job = stage.call("start_dicom_import_job", import).await;
    for list in ["SUCCESS", "FAILURE"] {
        let asked = json!({ "job_id": job["job_id"], "list": list });
        stage.call("get_dicom_import_job", asked).await;
    }
    let export = json!({
        "output_s3_uri": uri(&rig.allowed().join("exported")), "wait_seconds": 120,
        "study_instance_uid": stage.veil.uid(CHEST)
    });
    let job = stage.call("start_dicom_export_job", export).await;
    assert_eq!(job["job_status"], "COMPLETED", "{job}");
    let one = json!({ "job_id": job["job_id"] });
    stage.call("get_dicom_export_job", one.clone()).await;
    stage.elsewhere("get_job", one.clone()).await;
    // It has ended, so it is not cancelled.
    assert!(stage.veil.try_call("cancel_job", &one).await.is_err());

    let mut transfer = json!({
        "from_datastore": stage.datastore, "to_datastore": other, "wait_seconds": 120, "dry_run": true,
        "criteria": { "study_instance_uid": stage.veil.uid("2.25.4711.2") }
    });
    stage.call("transfer_studies", transfer.clone()).await;
    transfer["dry_run"] = json!(false);
    let job = stage.call("transfer_studies", transfer).await;
    assert_eq!(job["report"]["instances_transferred"], 5, "{job}");
    stage.elsewhere("get_job", json!({ "job_id": job["job_id"] })).await;
    stage.call("list_jobs", json!({})).await;
    let asked = json!({ "other_datastore_id": other });
    stage.call("compare_image_sets", asked).await;

    let (id, version) = stage.image_set(2, 2).await;
    let copy = json!({
        "source_image_set_id": id, "wait_seconds": 60,
        "copy_image_set_information": { "sourceImageSet": { "latestVersionId": version } }
    });
    stage.call("copy_image_set", copy).await;
    let arn = stage.call("get_datastore", json!({})).await;
    let arn = arn["datastore_properties"]["datastore_arn"].clone();
    stage.call("tag_resource", json!({ "resource_arn": arn, "tags": { "team": "x" } })).await;
    stage.call("list_tags_for_resource", json!({ "resource_arn": arn })).await;
    stage.call("untag_resource", json!({ "resource_arn": arn, "tag_keys": ["team"] })).await;
    let empty = json!({ "datastore_name": "empty", "wait_seconds": 60 });
    let empty = stage.elsewhere("create_datastore", empty).await["datastore_id"].clone();
    stage.elsewhere("delete_datastore", json!({ "datastore_id": empty })).await;
}

async fn correcting(stage: &Stage<'_>) {
    let name = stage.veil.token("PatientName", "QUILLFEATHER^ZEBEDEE^PETER");
    let asked = json!({
        "patient_id": stage.patient(), "metadata_updates": { "PatientName": name }, "wait_seconds": 60
    });
    stage.call("bulk_update_patient_metadata", asked).await;
    let asked = json!({
        "study_instance_uid": stage.veil.uid("2.25.4711.3"), "wait_seconds": 60,
        "study_updates": { "StudyDescription": "THORAX" }
    });
    stage.call("update_patient_study_metadata", asked).await;
    let asked = json!({
        "series_instance_uid": stage.series(3, 1), "wait_seconds": 60,
        "metadata_updates": { "SeriesDescription": "LUNG" }
    });
    let job = stage.call("update_series_metadata", asked).await;
    stage.elsewhere("get_job", json!({ "job_id": job["job_id"] })).await;
    let (id, version) = stage.image_set(3, 2).await;
    let asked = json!({
        "image_set_id": id, "latest_version_id": version, "wait_seconds": 60,
        "update_image_set_metadata_updates": { "DICOMUpdates": { "updatableAttributes": {
            "SchemaVersion": "1.1", "Study": { "DICOM": { "StudyDescription": "THORAX 2" } }
        } } }
    });
    stage.call("update_image_set_metadata", asked).await;
    let asked = json!({ "image_set_id": id, "version_id": "1" });
    stage.call("compare_image_sets", asked).await;
    let asked = json!({
        "study_instance_uid": stage.veil.uid("2.25.4711.3"), "wait_seconds": 60,
        "to_patient_id": stage.veil.token("PatientID", ANOTHER[1])
    });
    let job = stage.call("reassign_study", asked).await;
    stage.elsewhere("get_job", json!({ "job_id": job["job_id"] })).await;
}

async fn erasing(stage: &Stage<'_>) {
    let (id, _) = stage.image_set(4, 1).await;
    let mut part = json!({
        "image_set_id": id, "series_instance_uid": stage.series(4, 1), "wait_seconds": 60,
        "sop_instance_uid": stage.instance(4, 1, 1)
    });
    stage.call("remove_instance_from_image_set", part.clone()).await;
    part.as_object_mut().unwrap().remove("sop_instance_uid");
    stage.call("remove_series_from_image_set", part).await;
    let instance = |number: u32| {
        json!({
            "series_instance_uid": stage.series(5, 1), "sop_instance_uid": stage.instance(5, 1, number),
            "wait_seconds": 60
        })
    };
    stage.call("delete_instance_in_series", instance(1)).await;
    let asked = json!({
        "study_instance_uid": stage.veil.uid("2.25.4711.5"), "wait_seconds": 60,
        "sop_instance_uid": stage.instance(5, 1, 2)
    });
    stage.call("delete_instance_in_study", asked).await;
    let asked = json!({ "series_instance_uid": stage.series(5, 2), "wait_seconds": 60 });
    stage.call("delete_series_by_uid", asked).await;
    let (id, _) = stage.image_set(4, 2).await;
    stage.call("delete_image_set", json!({ "image_set_id": id, "wait_seconds": 60 })).await;
    let asked = json!({
        "criteria": { "patient_id": stage.veil.token("PatientID", ANOTHER[1]) }, "wait_seconds": 60
    });
    stage.call("bulk_delete_by_criteria", asked).await;
    let asked = json!({ "study_instance_uid": stage.veil.uid("2.25.4711.2"), "wait_seconds": 60 });
    stage.call("delete_study", asked).await;
    let asked = json!({ "patient_id": stage.patient(), "wait_seconds": 60 });
    let done = stage.call("delete_patient_studies", asked).await;
    assert_eq!(done["report"]["remaining"]["image_sets"], 0, "{done}");
    stage.elsewhere("get_job", json!({ "job_id": done["job_id"] })).await;
}
