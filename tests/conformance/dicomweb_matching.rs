//! DICOMweb and `SearchImageSets`: how values and match keys are compared (`PS3.4 §C.2.2.2`).

use healthimaging::DatastoreId;
use healthimaging::model::{DicomJson, SearchDicomRequest, SearchLevel};
use healthimaging_phantoms::{InMemDicomObject, Phantom, VR, tags};
use serde_json::{Value, json};

use healthimaging_testing::rig::Rig;

async fn find(
    rig: &Rig,
    store: &DatastoreId,
    level: SearchLevel,
    filters: &[(&str, &str)],
) -> Vec<DicomJson> {
    let request = SearchDicomRequest {
        filters: filters.iter().map(|(key, value)| ((*key).into(), (*value).into())).collect(),
        ..SearchDicomRequest::all(store.clone(), level)
    };
    rig.web.search(request).await.unwrap()
}

/// Whether the one study of the data store is found.
async fn is_found(rig: &Rig, store: &DatastoreId, key: &str, value: &str) -> bool {
    match find(rig, store, SearchLevel::Studies, &[(key, value)]).await.len() {
        0 => false,
        1 => true,
        more => panic!("{more} studies"),
    }
}

fn slice() -> Phantom {
    Phantom::ct().size(8, 8).study_uid("2.25.1").series_uid("2.25.1.1").sop_uid("2.25.1.1.1")
}

/// A data store that holds this file alone.
async fn holding(rig: &Rig, file: Phantom) -> DatastoreId {
    let store = rig.datastore().await;
    rig.import(&store, [("1", file.build())]).await;
    store
}

pub(crate) async fn numbers_are_compared_as_numbers(rig: &Rig) {
    let file = slice().with(tags::SERIES_NUMBER, VR::IS, "3.0 ").with(
        tags::INSTANCE_NUMBER,
        VR::IS,
        " 07",
    );
    let store = holding(rig, file).await;
    for (value, wanted) in [("3", 1), ("3.0", 1), (" 3", 1), ("+3", 1), ("30", 0), ("0", 0)] {
        let series = find(rig, &store, SearchLevel::Series(None), &[("SeriesNumber", value)]).await;
        assert_eq!(series.len(), wanted, "{value}");
        for one in series {
            assert_eq!(one["00200011"], json!({"vr": "IS", "Value": [3]}));
        }
    }
    let everywhere = SearchLevel::Instances(None, None);
    let found = find(rig, &store, everywhere, &[("InstanceNumber", "7")]).await;
    assert_eq!(found[0]["00200013"], json!({"vr": "IS", "Value": [7]}));
    let found = rig.search(&store, json!({})).await;
    assert_eq!(found[0].dicom_tags.as_ref().unwrap().series_number, Some(3));
}

pub(crate) async fn dates_and_times_of_acr_nema_are_dates_and_times(rig: &Rig) {
    let file = slice()
        .with(tags::STUDY_DATE, VR::DA, "2023.01.05")
        .with(tags::STUDY_TIME, VR::TM, "10:15:30.5")
        .with(tags::PATIENT_BIRTH_DATE, VR::DA, "1970.12.31");
    let store = holding(rig, file).await;
    for (key, value, wanted) in [
        ("StudyDate", "20230105", true),
        ("StudyDate", "2023.01.05", true),
        ("StudyDate", "20230101-20230131", true),
        ("StudyDate", "20230105-", true),
        ("StudyDate", "-20230105", true),
        ("StudyDate", "2023.01.01-2023.01.31", true),
        ("StudyDate", "20230106-", false),
        ("StudyDate", "-20230104", false),
        ("StudyDate", "20230104", false),
        ("StudyTime", "101530.5", true),
        ("StudyTime", "101530.500000", true),
        ("StudyTime", "1015", true),
        ("StudyTime", "10:15", true),
        ("StudyTime", "10-11", true),
        ("StudyTime", "1016-", false),
        ("PatientBirthDate", "19701231", true),
        ("PatientBirthDate", "19710101-", false),
    ] {
        assert_eq!(is_found(rig, &store, key, value).await, wanted, "{key} {value}");
    }
    let day = |date: &str, time: &str| json!({"DICOMStudyDateAndTime": {"DICOMStudyDate": date, "DICOMStudyTime": time}});
    for (low, high, wanted) in [
        (day("20230105", "101530"), day("20230105", "101531"), 1),
        (day("20230105", "101531"), day("20230106", "000000"), 0),
    ] {
        let filter = json!({"values": [low, high], "operator": "BETWEEN"});
        assert_eq!(rig.found(&store, json!({"filters": [filter]})).await.len(), wanted);
    }
    // The value is shown as it was sent.
    let study = find(rig, &store, SearchLevel::Studies, &[]).await.remove(0);
    assert_eq!(study["00080020"], json!({"vr": "DA", "Value": ["2023.01.05"]}));
}

pub(crate) async fn names_are_compared_without_case_and_empty_components(rig: &Rig) {
    let file = slice().patient("Doe^John", "P-1").with(
        tags::REFERRING_PHYSICIAN_NAME,
        VR::PN,
        "MEYER^^^DR^",
    );
    let store = holding(rig, file).await;
    for (key, value, wanted) in [
        ("PatientName", "Doe^John", true),
        ("PatientName", "Doe^John^^^", true),
        ("PatientName", "DOE^JOHN", true),
        ("PatientName", " doe ^john", true),
        ("PatientName", "Doe*", true),
        ("PatientName", "Doe^*", true),
        ("PatientName", "Doe^J*^*", true),
        ("PatientName", "D?e^John", true),
        ("PatientName", "*john*", true),
        ("PatientName", "Doe", false),
        ("PatientName", "John^Doe", false),
        ("PatientName", "Doe^John^X", false),
        ("PatientName", "D_e^John", false),
        ("ReferringPhysicianName", "Meyer^^^Dr", true),
        ("ReferringPhysicianName", "Meyer^*^*^Dr", true),
        ("ReferringPhysicianName", "Meyer^Dr", false),
    ] {
        assert_eq!(is_found(rig, &store, key, value).await, wanted, "{key} {value}");
    }
}

pub(crate) async fn each_component_group_of_a_name_is_found(rig: &Rig) {
    let file = slice().with(tags::SPECIFIC_CHARACTER_SET, VR::CS, "ISO_IR 192").with(
        tags::PATIENT_NAME,
        VR::PN,
        "Yamada^Tarou=山田^太郎=やまだ^たろう",
    );
    let store = holding(rig, file).await;
    for (value, wanted) in [
        ("Yamada^Tarou", true),
        ("YAMADA^TAROU^^", true),
        ("yamada*", true),
        ("山田^太郎", true),
        ("山田*", true),
        ("=山田^太郎", true),
        ("Yamada^Tarou=山田^太郎", true),
        ("Yamada^Tarou=山田^太郎=やまだ^たろう", true),
        ("Yamada^Tarou=*=*", true),
        ("*=*", true),
        ("やまだ^たろう", true),
        ("Yamada^Tarou=山本^太郎", false),
        ("太郎", false),
    ] {
        assert_eq!(is_found(rig, &store, "PatientName", value).await, wanted, "{value}");
    }
}

pub(crate) async fn letters_beyond_ascii_have_no_case_in_names(rig: &Rig) {
    let file = slice().with(tags::SPECIFIC_CHARACTER_SET, VR::CS, "ISO_IR 192").with(
        tags::PATIENT_NAME,
        VR::PN,
        "MÜLLER^ÄNNE",
    );
    let store = holding(rig, file).await;
    for (value, wanted) in [("müller^änne", true), ("Müller*", true), ("muller*", false)] {
        assert_eq!(is_found(rig, &store, "PatientName", value).await, wanted, "{value}");
    }
}

pub(crate) async fn identifiers_are_compared_as_written_but_for_their_pad(rig: &Rig) {
    let file = slice().with(tags::PATIENT_ID, VR::LO, "A*B?C ").with(
        tags::ACCESSION_NUMBER,
        VR::SH,
        "x[1]_%",
    );
    let store = holding(rig, file).await;
    for (key, value, wanted) in [
        ("PatientID", "A*B?C", true),
        ("PatientID", " A*B?C ", true),
        ("PatientID", "a*b?c", false),
        ("PatientID", "A*", true),
        ("PatientID", "A?B", false),
        ("AccessionNumber", "x[1]_%", true),
        ("AccessionNumber", "x[1]*", true),
        ("AccessionNumber", "x[12]*", false),
        ("AccessionNumber", "", true),
    ] {
        assert_eq!(is_found(rig, &store, key, value).await, wanted, "{key} {value}");
    }
    // `SearchImageSets` has no wildcards.
    for (id, wanted) in [("A*B?C", 1), ("A*B?C ", 1), ("A*", 0), ("AXBXC", 0)] {
        let filter = json!({"values": [{"DICOMPatientId": id}], "operator": "EQUAL"});
        let found = rig.found(&store, json!({"filters": [filter]})).await;
        assert_eq!(found.len(), wanted, "{id}");
    }
}

pub(crate) async fn modalities_in_study_take_a_list(rig: &Rig) {
    let store = rig.datastore().await;
    for (study, modality) in [(1, "CT"), (2, "MR"), (3, "US")] {
        let file = slice()
            .study_uid(&format!("2.25.{study}"))
            .series_uid(&format!("2.25.{study}.1"))
            .sop_uid(&format!("2.25.{study}.1.1"))
            .with(tags::MODALITY, VR::CS, modality);
        rig.import(&store, [("1", file.build())]).await;
    }
    for (value, wanted) in [
        ("CT", vec!["2.25.1"]),
        ("CT,MR", vec!["2.25.1", "2.25.2"]),
        ("CT\\MR", vec!["2.25.1", "2.25.2"]),
        ("?R, US", vec!["2.25.2", "2.25.3"]),
        ("PT", vec![]),
        ("", vec!["2.25.1", "2.25.2", "2.25.3"]),
    ] {
        for key in ["ModalitiesInStudy", "00080061"] {
            let found = find(rig, &store, SearchLevel::Studies, &[(key, value)]).await;
            let uids = found.iter().map(|one| one["0020000D"]["Value"][0].clone());
            let mut uids: Vec<Value> = uids.collect();
            uids.sort_by_key(ToString::to_string);
            assert_eq!(uids, wanted, "{value}");
        }
    }
}

pub(crate) async fn every_attribute_of_the_level_and_above_is_a_match_key(rig: &Rig) {
    let file = slice()
        .series_description("AXIAL 3 mm")
        .body_part("CHEST")
        .with(tags::PATIENT_SEX, VR::CS, "F")
        .with(tags::ISSUER_OF_PATIENT_ID, VR::LO, "HOSPITAL")
        .with(tags::PERFORMED_PROCEDURE_STEP_START_DATE, VR::DA, "20230105");
    let store = holding(rig, file).await;
    for (key, value, other) in [
        ("PatientSex", "F", "M"),
        ("IssuerOfPatientID", "HOSPITAL", "CLINIC"),
        ("SeriesDescription", "AXIAL*", "axial*"),
        ("BodyPartExamined", "CHEST", "HEAD"),
        ("PerformedProcedureStepStartDate", "20230101-20230131", "20230106"),
        ("Rows", "8", "9"),
        ("SOPInstanceUID", "2.25.1.1.1", "2.25.1.1.2"),
    ] {
        let everywhere = || SearchLevel::Instances(None, None);
        assert_eq!(find(rig, &store, everywhere(), &[(key, value)]).await.len(), 1, "{key}");
        assert_eq!(find(rig, &store, everywhere(), &[(key, other)]).await.len(), 0, "{key}");
    }
}

/// An item of Request Attributes Sequence.
fn request(step: &str, procedure: &str) -> InMemDicomObject {
    let mut item = InMemDicomObject::new_empty();
    for (tag, value) in
        [(tags::SCHEDULED_PROCEDURE_STEP_ID, step), (tags::REQUESTED_PROCEDURE_ID, procedure)]
    {
        item.put_str(tag, VR::SH, value);
    }
    item
}

/// `PS3.18 §8.3.4.1` has the syntax of the keys, `PS3.4 §C.2.2.2.6` says that one item has to match all of them.
pub(crate) async fn items_of_the_request_attributes_are_match_keys(rig: &Rig) {
    let store = rig.datastore().await;
    let file = |number: u32, items| {
        let file = slice().series_uid(&format!("2.25.1.{number}"));
        let file = file.sop_uid(&format!("2.25.1.{number}.1"));
        let file = file.with_sequence(tags::REQUEST_ATTRIBUTES_SEQUENCE, items);
        (number.to_string(), file.build())
    };
    let [one, two] = [request("STEP1", "PROC1"), request("STEP2", "PROC2 ")];
    let files = [file(1, vec![one.clone(), two]), file(2, vec![one]), file(3, Vec::new())];
    rig.import(&store, files).await;
    let step = "RequestAttributesSequence.ScheduledProcedureStepID";
    let procedure = "00400275.00401001";
    for (filters, wanted) in [
        (vec![(step, "STEP1")], &["2.25.1.1", "2.25.1.2"][..]),
        (vec![(step, "step1")], &[]),
        (vec![(procedure, "PROC2")], &["2.25.1.1"]),
        (vec![(procedure, "*2")], &["2.25.1.1"]),
        (vec![(step, "STEP1"), (procedure, "PROC1")], &["2.25.1.1", "2.25.1.2"]),
        (vec![(step, "STEP1"), (procedure, "PROC2")], &[]),
        (vec![(step, "STEP1"), ("SeriesInstanceUID", "2.25.1.2")], &["2.25.1.2"]),
        (vec![(step, "")], &["2.25.1.1", "2.25.1.2", "2.25.1.3"]),
    ] {
        for level in [SearchLevel::Series(None), SearchLevel::Instances(None, None)] {
            let found = find(rig, &store, level, &filters).await;
            let uids = found.iter().map(|one| one["0020000E"]["Value"][0].clone());
            let mut uids: Vec<Value> = uids.collect();
            uids.sort_by_key(ToString::to_string);
            assert_eq!(uids, wanted, "{filters:?}");
            for one in found.iter().filter(|_| wanted.len() == 1) {
                let item = &one["00400275"]["Value"][0];
                assert_eq!(item["00400009"], json!({"vr": "SH", "Value": ["STEP1"]}));
            }
        }
        let studies = find(rig, &store, SearchLevel::Studies, &filters).await;
        assert_eq!(studies.len(), usize::from(!wanted.is_empty()), "{filters:?}");
    }
}

pub(crate) async fn attributes_below_the_level_find_what_holds_them(rig: &Rig) {
    let store = rig.datastore().await;
    let file = |study: u32, number: u32| {
        slice()
            .study_uid(&format!("2.25.{study}"))
            .series_uid(&format!("2.25.{study}.1"))
            .sop_uid(&format!("2.25.{study}.1.{number}"))
            .instance_number(number)
    };
    let one = file(1, 1).series_description("AXIAL");
    let two = [1, 2].map(|number| file(2, number).series_description("CORONAL").build());
    rig.import(&store, [("1", one.build())]).await;
    rig.import(&store, (0..).zip(two).map(|(number, file)| (format!("2-{number}"), file))).await;
    for (filters, wanted) in [
        (vec![("SeriesDescription", "CORONAL")], vec!["2.25.2"]),
        (vec![("Modality", "CT")], vec!["2.25.1", "2.25.2"]),
        (vec![("InstanceNumber", "2")], vec!["2.25.2"]),
        (vec![("SOPInstanceUID", "2.25.1.1.1")], vec!["2.25.1"]),
        (vec![("SOPInstanceUID", "2.25.2.1.1,2.25.1.1.1")], vec!["2.25.1", "2.25.2"]),
        (vec![("InstanceNumber", "1"), ("SeriesDescription", "A*")], vec!["2.25.1"]),
        // One instance has to have both.
        (vec![("SOPInstanceUID", "2.25.2.1.1"), ("InstanceNumber", "2")], vec![]),
        (vec![("InstanceNumber", "1"), ("Rows", "9")], vec![]),
    ] {
        for level in [SearchLevel::Studies, SearchLevel::Series(None)] {
            let found = find(rig, &store, level, &filters).await;
            let uids = found.iter().map(|one| one["0020000D"]["Value"][0].clone());
            let mut uids: Vec<Value> = uids.collect();
            uids.sort_by_key(ToString::to_string);
            assert_eq!(uids, wanted, "{filters:?}");
        }
    }
}
