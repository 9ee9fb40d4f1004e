//! DICOMweb: searching studies, series and instances.

use healthimaging::model::{DicomJson, SearchDicomRequest, SearchLevel};
use healthimaging::{DatastoreId, Error, ErrorKind};
use healthimaging_phantoms::{Phantom, VR, tags};
use serde_json::{Value, json};

use healthimaging_testing::rig::{Rig, refused};

fn find(store: &DatastoreId, level: SearchLevel, filters: &[(&str, &str)]) -> SearchDicomRequest {
    SearchDicomRequest {
        filters: filters.iter().map(|(key, value)| ((*key).into(), (*value).into())).collect(),
        ..SearchDicomRequest::all(store.clone(), level)
    }
}

async fn search(rig: &Rig, request: SearchDicomRequest) -> Result<Vec<DicomJson>, Error> {
    rig.web.search(request).await
}

/// The first values of an attribute, one a result.
fn values(found: &[DicomJson], tag: &str) -> Vec<Value> {
    found.iter().map(|one| one[tag]["Value"][0].clone()).collect()
}

async fn studies(rig: &Rig, store: &DatastoreId, filters: &[(&str, &str)]) -> Vec<Value> {
    let found = search(rig, find(store, SearchLevel::Studies, filters)).await.unwrap();
    let mut uids = values(&found, "0020000D");
    uids.sort_by_key(ToString::to_string);
    uids
}

fn slice(study: u32, series: u32, number: u32) -> Phantom {
    Phantom::ct()
        .size(16, 16)
        .study_uid(&format!("2.25.{study}"))
        .series_uid(&format!("2.25.{study}.{series}"))
        .sop_uid(&format!("2.25.{study}.{series}.{number}"))
        .series_number(series)
        .instance_number(number)
}

/// Three studies; the second has two series, of two instances and of one.
async fn archive(rig: &Rig) -> DatastoreId {
    let store = rig.datastore().await;
    let one = slice(1, 1, 1)
        .patient("SMITH^JOHN", "P-1")
        .study_date("20230501")
        .accession_number("A-1")
        .study_description("HEAD");
    let two = |series, number| {
        slice(2, series, number)
            .patient("Smithers^Waylon", "P-2")
            .study_date("20240115")
            .accession_number("A-2")
            .study_description("CHEST")
    };
    let three = slice(3, 1, 1)
        .patient("DOE^JANE^SMITH", "P-3")
        .study_date("20241231")
        .accession_number("B-3")
        .with(tags::MODALITY, VR::CS, "MR");
    for (name, files) in [
        ("1", vec![one]),
        ("2", vec![two(2, 1).with(tags::MODALITY, VR::CS, "PT"), two(1, 2), two(1, 1)]),
        ("3", vec![three]),
    ] {
        let files = (0..).zip(files).map(|(n, file)| (format!("{name}-{n}"), file.build()));
        rig.import(&store, files).await;
    }
    store
}

pub(crate) async fn studies_come_newest_change_first(rig: &Rig) {
    let store = archive(rig).await;
    let found = search(rig, find(&store, SearchLevel::Studies, &[])).await.unwrap();
    assert_eq!(values(&found, "0020000D"), ["2.25.3", "2.25.2", "2.25.1"]);
    let nothing = rig.datastore().await;
    assert!(search(rig, find(&nothing, SearchLevel::Studies, &[])).await.unwrap().is_empty());
}

pub(crate) async fn each_match_key_finds_its_study(rig: &Rig) {
    let store = archive(rig).await;
    for (key, value) in [
        ("StudyDate", "20240115"),
        ("00080020", "20240115"),
        ("AccessionNumber", "A-2"),
        ("ModalitiesInStudy", "PT"),
        ("StudyDescription", "CHEST"),
        ("PatientName", "Smithers^Waylon"),
        ("PatientID", "P-2"),
        ("00100020", "P-2"),
        ("StudyInstanceUID", "2.25.2"),
        ("0020000D", "2.25.2"),
    ] {
        assert_eq!(studies(rig, &store, &[(key, value)]).await, ["2.25.2"], "{key}");
    }
    assert_eq!(studies(rig, &store, &[("PatientID", "P-9")]).await, Vec::<Value>::new());
    assert_eq!(studies(rig, &store, &[("StudyID", "1")]).await.len(), 3);
    assert_eq!(
        studies(rig, &store, &[("ReferringPhysicianName", "REFERRER^SYNTHETIC")]).await.len(),
        3
    );
}

pub(crate) async fn several_match_keys_must_all_hold(rig: &Rig) {
    let store = archive(rig).await;
    let both = [("PatientID", "P-2"), ("StudyDate", "20240115")];
    assert_eq!(studies(rig, &store, &both).await, ["2.25.2"]);
    let contradictory = [("PatientID", "P-2"), ("StudyDate", "20230501")];
    assert_eq!(studies(rig, &store, &contradictory).await, Vec::<Value>::new());
}

pub(crate) async fn wildcards_match(rig: &Rig) {
    let store = archive(rig).await;
    for (key, value, wanted) in [
        ("PatientID", "P-*", vec!["2.25.1", "2.25.2", "2.25.3"]),
        ("PatientID", "P-?", vec!["2.25.1", "2.25.2", "2.25.3"]),
        ("PatientID", "P?", vec![]),
        ("AccessionNumber", "A*", vec!["2.25.1", "2.25.2"]),
        ("PatientName", "*JOHN", vec!["2.25.1"]),
        ("AccessionNumber", "A_1", vec![]),
        ("AccessionNumber", "%", vec![]),
        ("AccessionNumber", "[AB]*", vec![]),
    ] {
        assert_eq!(studies(rig, &store, &[(key, value)]).await, wanted, "{key}={value}");
    }
}

pub(crate) async fn date_ranges_include_both_ends(rig: &Rig) {
    let store = archive(rig).await;
    for (range, wanted) in [
        ("20230501-20240115", vec!["2.25.1", "2.25.2"]),
        ("20240115-", vec!["2.25.2", "2.25.3"]),
        ("-20230501", vec!["2.25.1"]),
        ("20240116-20241230", vec![]),
    ] {
        assert_eq!(studies(rig, &store, &[("StudyDate", range)]).await, wanted, "{range}");
    }
}

pub(crate) async fn several_uids_match_any_of_them(rig: &Rig) {
    let store = archive(rig).await;
    let found = studies(rig, &store, &[("StudyInstanceUID", "2.25.1,2.25.3")]).await;
    assert_eq!(found, ["2.25.1", "2.25.3"]);
}

pub(crate) async fn fuzzy_matching_takes_beginnings_of_words(rig: &Rig) {
    let store = archive(rig).await;
    for (name, wanted) in [
        ("smith", vec!["2.25.1", "2.25.2", "2.25.3"]),
        ("smith jo", vec!["2.25.1"]),
        ("way", vec!["2.25.2"]),
        ("mith", vec![]),
    ] {
        let request = SearchDicomRequest {
            fuzzy_matching: true,
            ..find(&store, SearchLevel::Studies, &[("PatientName", name)])
        };
        let mut found = values(&search(rig, request).await.unwrap(), "0020000D");
        found.sort_by_key(ToString::to_string);
        assert_eq!(found, wanted, "{name}");
    }
}

pub(crate) async fn a_study_tells_what_the_standard_asks(rig: &Rig) {
    let store = archive(rig).await;
    let request = find(&store, SearchLevel::Studies, &[("StudyInstanceUID", "2.25.2")]);
    let found = search(rig, request).await.unwrap();
    // PS3.18 Table 10.6.3-3.
    for (tag, wanted) in [
        ("00080020", json!({"vr": "DA", "Value": ["20240115"]})),
        ("00080050", json!({"vr": "SH", "Value": ["A-2"]})),
        ("00080056", json!({"vr": "CS", "Value": ["ONLINE"]})),
        ("00100010", json!({"vr": "PN", "Value": [{"Alphabetic": "Smithers^Waylon"}]})),
        ("00100020", json!({"vr": "LO", "Value": ["P-2"]})),
        ("0020000D", json!({"vr": "UI", "Value": ["2.25.2"]})),
        ("00200010", json!({"vr": "SH", "Value": ["1"]})),
        ("00201206", json!({"vr": "IS", "Value": [2]})),
        ("00201208", json!({"vr": "IS", "Value": [3]})),
    ] {
        assert_eq!(found[0].get(tag), Some(&wanted), "{tag}");
    }
    let mut modalities = found[0]["00080061"]["Value"].as_array().unwrap().clone();
    modalities.sort_by_key(ToString::to_string);
    assert_eq!(modalities, ["CT", "PT"]);
    for tag in ["00080030", "00080090", "00100030", "00100040", "00081190"] {
        assert!(found[0].contains_key(tag), "{tag}");
    }
}

pub(crate) async fn series_come_by_their_number(rig: &Rig) {
    let store = archive(rig).await;
    let of_study = SearchLevel::Series(Some("2.25.2".parse().unwrap()));
    let found = search(rig, find(&store, of_study.clone(), &[])).await.unwrap();
    assert_eq!(values(&found, "0020000E"), ["2.25.2.1", "2.25.2.2"]);
    // PS3.18 Table 10.6.3-4.
    assert_eq!(found[0]["00080060"], json!({"vr": "CS", "Value": ["CT"]}));
    assert_eq!(found[0]["00200011"], json!({"vr": "IS", "Value": [1]}));
    assert_eq!(found[0]["00201209"], json!({"vr": "IS", "Value": [2]}));
    let pet = search(rig, find(&store, of_study, &[("Modality", "PT")])).await.unwrap();
    assert_eq!(values(&pet, "0020000E"), ["2.25.2.2"]);
    let everywhere = search(rig, find(&store, SearchLevel::Series(None), &[])).await.unwrap();
    assert_eq!(everywhere.len(), 4);
    assert_eq!(values(&everywhere, "00200011"), [1, 1, 1, 2]);
    let relational = [("SeriesNumber", "2"), ("PatientID", "P-2")];
    let found = search(rig, find(&store, SearchLevel::Series(None), &relational)).await.unwrap();
    assert_eq!(values(&found, "0020000E"), ["2.25.2.2"]);
}

pub(crate) async fn instances_come_by_their_number(rig: &Rig) {
    let store = archive(rig).await;
    let (study, series) = ("2.25.2".parse().unwrap(), "2.25.2.1".parse().unwrap());
    let level = SearchLevel::Instances(Some(study), Some(series));
    let found = search(rig, find(&store, level.clone(), &[])).await.unwrap();
    assert_eq!(values(&found, "00080018"), ["2.25.2.1.1", "2.25.2.1.2"]);
    // PS3.18 Table 10.6.3-5.
    assert_eq!(found[0]["00080016"], json!({"vr": "UI", "Value": ["1.2.840.10008.5.1.4.1.1.2"]}));
    assert_eq!(found[0]["00200013"], json!({"vr": "IS", "Value": [1]}));
    assert_eq!(found[0]["00280010"], json!({"vr": "US", "Value": [16]}));
    assert_eq!(found[0]["00280011"], json!({"vr": "US", "Value": [16]}));
    assert_eq!(found[0]["00280100"], json!({"vr": "US", "Value": [16]}));
    let one = search(rig, find(&store, level, &[("SOPInstanceUID", "2.25.2.1.2")])).await.unwrap();
    assert_eq!(values(&one, "00080018"), ["2.25.2.1.2"]);
    let of_study = SearchLevel::Instances(Some("2.25.2".parse().unwrap()), None);
    assert_eq!(search(rig, find(&store, of_study, &[])).await.unwrap().len(), 3);
    let everywhere = SearchLevel::Instances(None, None);
    let found = search(rig, find(&store, everywhere, &[])).await.unwrap();
    assert_eq!(values(&found, "00200013"), [1, 1, 1, 1, 2]);
}

pub(crate) async fn limit_and_offset_walk_through_the_results(rig: &Rig) {
    let store = archive(rig).await;
    let whole = search(rig, find(&store, SearchLevel::Studies, &[])).await.unwrap();
    for offset in 0..4 {
        let request = SearchDicomRequest {
            limit: Some(1),
            offset,
            ..find(&store, SearchLevel::Studies, &[])
        };
        let found = search(rig, request).await.unwrap();
        let from = (offset as usize).min(whole.len());
        assert_eq!(found, whole[from..whole.len().min(from + 1)]);
    }
    let none = SearchDicomRequest { limit: Some(0), ..find(&store, SearchLevel::Studies, &[]) };
    refused(search(rig, none).await, ErrorKind::Validation);
}

pub(crate) async fn an_unknown_match_key_is_refused(rig: &Rig) {
    let store = archive(rig).await;
    for key in ["NoSuchKeyword", "PatientComments", "0010", "00100020x", ""] {
        let request = find(&store, SearchLevel::Studies, &[(key, "x")]);
        refused(search(rig, request).await, ErrorKind::Validation);
    }
}

pub(crate) async fn more_fields_are_included_on_request(rig: &Rig) {
    let store = archive(rig).await;
    let plain = find(&store, SearchLevel::Studies, &[("PatientID", "P-2")]);
    for field in ["StudyDescription", "00081030", "all"] {
        let request =
            SearchDicomRequest { include_fields: vec![field.to_owned()], ..plain.clone() };
        let found = search(rig, request).await.unwrap();
        assert_eq!(found[0]["00081030"], json!({"vr": "LO", "Value": ["CHEST"]}), "{field}");
    }
    let unknown =
        SearchDicomRequest { include_fields: vec!["NoSuchKeyword".to_owned()], ..plain.clone() };
    assert_eq!(search(rig, unknown).await.unwrap(), search(rig, plain).await.unwrap());
}

pub(crate) async fn sets_that_are_not_primary_are_not_found(rig: &Rig) {
    let (store, _) = rig.holding_non_primary(slice(1, 1, 1)).await;
    let found = search(rig, find(&store, SearchLevel::Studies, &[])).await.unwrap();
    assert_eq!(values(&found, "00080050"), ["PRIMARY"]);
    for level in [SearchLevel::Series(None), SearchLevel::Instances(None, None)] {
        assert_eq!(search(rig, find(&store, level, &[])).await.unwrap().len(), 1);
    }
}

pub(crate) async fn what_was_changed_is_found_by_its_new_value(rig: &Rig) {
    let (store, set) = rig.holding(slice(1, 1, 1)).await;
    let change = crate::update::study(json!({"AccessionNumber": "NEW"}));
    rig.update(rig.update_request(&store, &set, 1, &change)).await;
    assert_eq!(studies(rig, &store, &[("AccessionNumber", "NEW")]).await, ["2.25.1"]);
    assert_eq!(studies(rig, &store, &[("AccessionNumber", "ACC0001")]).await, Vec::<Value>::new());
}

pub(crate) async fn what_was_deleted_is_not_found(rig: &Rig) {
    let (store, set) = rig.holding(slice(1, 1, 1)).await;
    let request = healthimaging::model::DeleteImageSetRequest {
        datastore_id: store.clone(),
        image_set_id: set.clone(),
    };
    rig.service.delete_image_set(request).await.unwrap();
    rig.wait_active(&store, &set).await;
    for level in
        [SearchLevel::Studies, SearchLevel::Series(None), SearchLevel::Instances(None, None)]
    {
        assert!(search(rig, find(&store, level, &[])).await.unwrap().is_empty());
    }
}

pub(crate) async fn warnings_of_an_import_can_be_searched_for(rig: &Rig) {
    let store = archive(rig).await;
    let odd = slice(4, 1, 1).encapsulated("1.2.3.4.5", vec![vec![1; 64]]);
    rig.import(&store, [("odd", odd.build())]).await;
    for value in ["45344", "*"] {
        let everywhere = SearchLevel::Instances(None, None);
        let request = find(&store, everywhere, &[("00081196", value)]);
        let found = search(rig, request).await.unwrap();
        assert_eq!(values(&found, "00080018"), ["2.25.4.1.1"], "{value}");
    }
}

/// PS3.3 C.12.1.1.11.2 (0008,3002).
pub(crate) async fn an_instance_lists_the_transfer_syntaxes_that_it_can_be_retrieved_in(rig: &Rig) {
    let store = archive(rig).await;
    let kept = slice(4, 1, 1).encapsulated("1.2.3.4.5", vec![vec![1; 64]]);
    rig.import(&store, [("kept", kept.build())]).await;
    let htj2k = json!({"vr": "UI", "Value": ["1.2.840.10008.1.2.4.202", "1.2.840.10008.1.2.1"]});
    for (study, wanted) in [(1, htj2k), (4, json!({"vr": "UI", "Value": ["1.2.3.4.5"]}))] {
        let study = format!("2.25.{study}");
        let series = format!("{study}.1").parse().unwrap();
        let level = SearchLevel::Instances(Some(study.parse().unwrap()), Some(series));
        let found = search(rig, find(&store, level, &[])).await.unwrap();
        assert_eq!(found[0]["00083002"], wanted);
        let request = SearchDicomRequest {
            include_fields: vec!["AvailableTransferSyntaxUID".to_owned()],
            ..find(&store, SearchLevel::Instances(None, None), &[("StudyInstanceUID", &study)])
        };
        assert_eq!(search(rig, request).await.unwrap()[0]["00083002"], wanted);
    }
}

pub(crate) async fn a_study_without_modalities_has_no_attribute_of_them(rig: &Rig) {
    let store = rig.datastore().await;
    rig.import(&store, [("1", slice(1, 1, 1).without(tags::MODALITY).build())]).await;
    let found = search(rig, find(&store, SearchLevel::Studies, &[])).await.unwrap();
    assert_eq!(found.len(), 1);
    assert!(!found[0].contains_key("00080061"));
    let of_series = search(rig, find(&store, SearchLevel::Series(None), &[])).await.unwrap();
    assert!(!of_series[0].contains_key("00080061"));
}
