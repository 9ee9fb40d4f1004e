//! Instances of one series that differ in attributes of the patient, the study or the series: nothing
//! that was sent is lost.

use futures::StreamExt;
use futures::stream;
use healthimaging::model::{
    CopyImageSetRequest, MetadataUpdates, SearchDicomRequest, SearchLevel, StoreInstancesRequest,
};
use healthimaging::{Body, DatastoreId, ErrorKind, ImageSetId};
use healthimaging_phantoms::{InMemDicomObject, Phantom, PrimitiveValue, Tag, VR, tags};
use serde_json::{Value, json};

use crate::copy::whole;
use crate::dicomweb::{EXPLICIT, SERIES, known, metadata, request, retrieve};
use crate::picture::GREY;
use crate::update::study;
use healthimaging_testing::rig::image_sets::{frame_id, instances, only_series};
use healthimaging_testing::rig::import::line_of;
use healthimaging_testing::rig::{Rig, refused};

/// What a file has of each attribute.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Missing,
    Empty,
    One,
    Other,
}

const STATES: [State; 4] = [State::Missing, State::Empty, State::One, State::Other];

/// Attributes of each level, text and numbers: tag, VR, two values, keyword.
const ATTRIBUTES: [(Tag, VR, [&str; 2], &str); 5] = [
    (tags::PATIENT_SEX, VR::CS, ["F", "M"], "PatientSex"),
    (tags::PATIENT_WEIGHT, VR::DS, ["61.5", "70"], "PatientWeight"),
    (tags::STUDY_DESCRIPTION, VR::LO, ["ONE", "THE OTHER"], "StudyDescription"),
    (tags::LATERALITY, VR::CS, ["L", "R"], "Laterality"),
    (tags::FRAME_OF_REFERENCE_UID, VR::UI, ["2.25.5", "2.25.66"], "FrameOfReferenceUID"),
];

fn file(number: u32, state: State) -> Phantom {
    let mut phantom = known(GREY.phantom(), number);
    let offset = tags::LONGITUDINAL_TEMPORAL_OFFSET_FROM_EVENT;
    let codes = tags::PROCEDURE_CODE_SEQUENCE;
    for (tag, vr, values, _) in ATTRIBUTES {
        phantom = match state {
            State::Missing => phantom.without(tag),
            State::Empty => phantom.with(tag, vr, PrimitiveValue::Empty),
            State::One => phantom.with(tag, vr, values[0]),
            State::Other => phantom.with(tag, vr, values[1]),
        };
    }
    match state {
        State::Missing => phantom.without(offset).without(codes),
        State::Empty => {
            phantom.with(offset, VR::FD, PrimitiveValue::Empty).with_sequence(codes, Vec::new())
        }
        State::One => phantom
            .with(offset, VR::FD, PrimitiveValue::from(1.5_f64))
            .with_sequence(codes, vec![code("A")]),
        State::Other => phantom
            .with(offset, VR::FD, PrimitiveValue::from(-3.0_f64))
            .with_sequence(codes, vec![code("B")]),
    }
}

/// An item with a private element.
fn code(value: &str) -> InMemDicomObject {
    let mut item = InMemDicomObject::new_empty();
    for (tag, vr, value) in [
        (tags::CODE_VALUE, VR::SH, value),
        (Tag(0x0009, 0x0010), VR::LO, "ACME"),
        (Tag(0x0009, 0x1001), VR::LO, value),
    ] {
        item.put(dicom_core::DataElement::new(tag, vr, PrimitiveValue::from(value)));
    }
    item
}

fn sent(number: u32, state: State) -> Vec<u8> {
    file(number, state).build()
}

async fn store_instances(rig: &Rig, store: &DatastoreId, files: &[Vec<u8>]) -> Vec<Option<u16>> {
    let bodies: Vec<_> = files.iter().map(|file| Ok(Body::from(file.clone()))).collect();
    let request = StoreInstancesRequest {
        datastore_id: store.clone(),
        study_instance_uid: None,
        instances: stream::iter(bodies).boxed(),
    };
    let answer = rig.web.store_instances(request).await.unwrap();
    assert_eq!(answer.failed, []);
    answer.stored.iter().map(|stored| stored.warning_reason).collect()
}

/// How files arrive.
#[derive(Debug, Clone, Copy)]
enum Way {
    OneJob,
    JobEach,
    Stow,
    StowEach,
}

async fn send(rig: &Rig, store: &DatastoreId, way: Way, files: &[Vec<u8>]) {
    match way {
        Way::OneJob => {
            let named = files.iter().enumerate();
            let named = named.map(|(number, file)| (format!("{number:02}.dcm"), file.clone()));
            rig.import(store, named).await;
        }
        Way::JobEach => {
            for file in files {
                rig.import(store, [("file.dcm", file.clone())]).await;
            }
        }
        Way::Stow => _ = store_instances(rig, store, files).await,
        Way::StowEach => {
            for file in files {
                store_instances(rig, store, std::slice::from_ref(file)).await;
            }
        }
    }
}

async fn set_of(rig: &Rig, store: &DatastoreId) -> ImageSetId {
    let found = rig.found(store, json!({})).await;
    assert_eq!(found.len(), 1);
    found[0].clone()
}

/// The elements of a file, but for pixel data and the character set, which a retrieved file may have
/// otherwise; texts without padding.
fn elements(object: &InMemDicomObject) -> Vec<(Tag, VR, String)> {
    let is_compared =
        |tag: &Tag| *tag != tags::PIXEL_DATA && *tag != tags::SPECIFIC_CHARACTER_SET && tag.0 > 2;
    let elements = object.iter().filter(|element| is_compared(&element.header().tag));
    elements
        .map(|element| {
            let value = match element.items() {
                Some(items) => format!("{:?}", items.iter().map(elements_of).collect::<Vec<_>>()),
                None => element.to_str().unwrap().trim_end_matches([' ', '\0']).to_owned(),
            };
            (element.header().tag, element.header().vr(), value)
        })
        .collect()
}

fn elements_of(item: &InMemDicomObject) -> Vec<(Tag, VR, String)> {
    elements(item)
}

/// Whether an instance comes back as it was sent, in both forms, and is shown so in DICOM JSON.
async fn comes_back(rig: &Rig, store: &DatastoreId, number: u32, state: State) {
    comes_back_as(rig, store, number, sent(number, state)).await;
    let shown = metadata(rig, store, number, None).await.unwrap();
    let laterality = shown.get("00200060");
    match state {
        State::Missing => assert_eq!(laterality, None),
        State::Empty => assert_eq!(laterality, Some(&json!({"vr": "CS"}))),
        State::One => assert_eq!(laterality, Some(&json!({"vr": "CS", "Value": ["L"]}))),
        State::Other => assert_eq!(laterality, Some(&json!({"vr": "CS", "Value": ["R"]}))),
    }
}

async fn comes_back_as(rig: &Rig, store: &DatastoreId, number: u32, file: Vec<u8>) {
    let original = dicom_object::from_reader(&file[128..]).unwrap();
    for syntax in [Some(EXPLICIT), None] {
        let found = retrieve(rig, request(store, number, syntax)).await.unwrap();
        assert_eq!(elements(&found.object), elements(&original), "{number} {syntax:?}");
    }
}

pub(crate) async fn instances_that_differ_come_back_as_they_were_sent(rig: &Rig) {
    for (turn, way) in [Way::OneJob, Way::JobEach, Way::Stow, Way::StowEach].into_iter().enumerate()
    {
        let store = rig.datastore().await;
        // Each way begins with another state.
        let mut states = STATES.to_vec();
        states.rotate_left(turn);
        let numbered: Vec<_> = (1..).zip(states).collect();
        let files: Vec<_> = numbered.iter().map(|(number, state)| sent(*number, *state)).collect();
        send(rig, &store, way, &files).await;
        set_of(rig, &store).await;
        for (number, state) in numbered {
            comes_back(rig, &store, number, state).await;
        }
    }
}

pub(crate) async fn the_set_keeps_its_values_and_the_instance_its_own(rig: &Rig) {
    let store = rig.datastore().await;
    let set = rig.put(&store, file(1, State::One)).await;
    rig.import(&store, [("b", sent(2, State::Other)), ("c", sent(3, State::Missing))]).await;
    assert_eq!(set_of(rig, &store).await, set);
    let document = rig.document(&store, &set).await;
    let levels = [
        &document["Patient"]["DICOM"],
        &document["Study"]["DICOM"],
        &only_series(&document)["DICOM"],
    ];
    let instances = instances(&document);
    for (_, _, values, keyword) in ATTRIBUTES {
        let shown: Vec<_> = levels.iter().filter_map(|level| level[keyword].as_str()).collect();
        assert_eq!(shown.iter().map(|text| text.trim_end()).collect::<Vec<_>>(), [values[0]]);
        let own = |number: u32| &instances[&format!("{SERIES}.{number}")]["DICOM"][keyword];
        assert_eq!(own(1), &Value::Null);
        assert_eq!(own(2).as_str().unwrap().trim_end(), values[1]);
        assert!(instances[&format!("{SERIES}.3")]["DICOM"].get(keyword).is_none());
    }
}

pub(crate) async fn an_instance_that_differs_is_warned_about_by_keyword(rig: &Rig) {
    let store = rig.datastore().await;
    let files =
        [("a", sent(1, State::One)), ("b", sent(2, State::Other)), ("c", sent(3, State::One))];
    let outcome = rig.import(&store, files).await;
    assert_eq!((outcome.success.len(), outcome.warning.len()), (3, 1));
    let warning = &line_of(&outcome.warning, "b")["importResponse"]["warnings"];
    assert_eq!(warning.as_array().unwrap().len(), 1);
    assert_eq!(warning[0]["warning_reason_code"], 45056);
    let message = warning[0]["message"].as_str().unwrap();
    for (_, _, values, keyword) in ATTRIBUTES {
        assert!(message.contains(keyword), "{message}");
        assert!(!message.contains(&format!(" {} ", values[1])), "{message}");
    }
    assert!(!message.contains("THE OTHER"), "{message}");
    let shown = metadata(rig, &store, 2, None).await.unwrap();
    assert_eq!(shown["00081196"], json!({"vr": "US", "Value": [45056]}));
    assert_eq!(metadata(rig, &store, 1, None).await.unwrap().get("00081196"), None);
    let reasons =
        store_instances(rig, &store, &[sent(4, State::Missing), sent(5, State::One)]).await;
    assert_eq!(reasons, [Some(45056), None]);
}

pub(crate) async fn an_instance_is_found_with_its_own_values(rig: &Rig) {
    let store = rig.datastore().await;
    let files =
        [("1", sent(1, State::One)), ("2", sent(2, State::Other)), ("3", sent(3, State::Missing))];
    rig.import(&store, files).await;
    let request = SearchDicomRequest {
        include_fields: vec!["Laterality".to_owned()],
        ..SearchDicomRequest::all(store.clone(), SearchLevel::Instances(None, None))
    };
    let mut found = rig.web.search(request).await.unwrap();
    found.sort_by_key(|one| one["00080018"].to_string());
    let shown = |tag: &str| -> Vec<Value> {
        found
            .iter()
            .map(|one| one.get(tag).map_or(json!("-"), |found| found["Value"].clone()))
            .collect()
    };
    assert_eq!(shown("00081030"), [json!(["ONE"]), json!(["THE OTHER"]), Value::Null]);
    assert_eq!(shown("00200060"), [json!(["L"]), json!(["R"]), json!("-")]);
}

/// Study Time is at the study level, and not one of the attributes that instances of an image set share.
pub(crate) async fn an_image_set_is_found_at_the_own_study_time_of_an_instance(rig: &Rig) {
    let store = rig.datastore().await;
    let at = |number, time: &str| {
        let phantom = known(GREY.phantom(), number).study_date("20240115");
        phantom.with(tags::STUDY_TIME, VR::TM, time).build()
    };
    let files = [("1", at(1, "093000")), ("2", at(2, "181500.25")), ("3", at(3, "093000"))];
    let set = rig.import(&store, files).await.only_set();
    let day = |date: &str, time: &str| json!({"DICOMStudyDateAndTime": {"DICOMStudyDate": date, "DICOMStudyTime": time}});
    for (date, low, high, is_found) in [
        ("20240115", "090000", "100000", true),
        ("20240115", "180000", "190000", true),
        ("20240115", "181500.25", "181500.25", true),
        ("20240115", "181500.26", "190000", false),
        ("20240115", "120000", "130000", false),
        ("20240115", "190000", "235959", false),
        ("20240114", "180000", "190000", false),
        ("20240116", "000000", "235959", false),
    ] {
        let values = json!([day(date, low), day(date, high)]);
        let criteria = json!({"filters": [{"operator": "BETWEEN", "values": values}]});
        let expected = if is_found { vec![set.clone()] } else { Vec::new() };
        assert_eq!(rig.found(&store, criteria).await, expected, "{date} {low} {high}");
    }
    for (time, is_found) in [("093000", true), ("181500.25", true), ("181500", false)] {
        let values = json!([day("20240115", time)]);
        let criteria = json!({"filters": [{"operator": "EQUAL", "values": values}]});
        assert_eq!(rig.found(&store, criteria).await.len(), usize::from(is_found), "{time}");
    }
}

pub(crate) async fn a_corrected_file_brings_its_values(rig: &Rig) {
    for (before, after) in [(State::One, State::Other), (State::Other, State::Missing)] {
        for way in [Way::OneJob, Way::JobEach, Way::StowEach] {
            let store = rig.datastore().await;
            send(rig, &store, way, &[sent(1, before), sent(1, after)]).await;
            comes_back(rig, &store, 1, after).await;
            let set = set_of(rig, &store).await;
            let document = rig.document(&store, &set).await;
            let shown = only_series(&document)["DICOM"].get("Laterality").and_then(Value::as_str);
            let wanted = (after == State::Other).then_some("R");
            assert_eq!(shown.map(str::trim_end), wanted);
            let instance = &instances(&document)[&format!("{SERIES}.1")]["DICOM"];
            assert!(instance.get("Laterality").is_none());
            assert_eq!(metadata(rig, &store, 1, None).await.unwrap().get("00081196"), None);
        }
    }
}

pub(crate) async fn every_file_of_an_instance_is_in_a_version(rig: &Rig) {
    for way in [Way::OneJob, Way::JobEach, Way::Stow, Way::StowEach] {
        let store = rig.datastore().await;
        let states = [State::One, State::Other, State::Missing, State::One];
        send(rig, &store, way, &states.map(|state| sent(1, state))).await;
        let set = set_of(rig, &store).await;
        for (number, state) in (1_u32..).zip(states) {
            let document = rig.try_document(&store, &set, Some(number.into())).await.unwrap();
            let shown = only_series(&document)["DICOM"].get("Laterality").and_then(Value::as_str);
            let wanted = match state {
                State::One => Some("L"),
                State::Other => Some("R"),
                State::Missing | State::Empty => None,
            };
            assert_eq!(shown.map(str::trim_end), wanted, "{way:?} {number}");
            let frame = frame_id(&instances(&document)[&format!("{SERIES}.1")], 0).to_owned();
            rig.frame(&store, &set, &frame).await;
        }
        refused(rig.try_document(&store, &set, Some(5.into())).await, ErrorKind::NotFound);
    }
}

pub(crate) async fn corrected_files_of_a_whole_set_bring_their_values(rig: &Rig) {
    let store = rig.datastore().await;
    let all = |state| [("a", sent(1, state)), ("b", sent(2, state))];
    let set = rig.import(&store, all(State::One)).await.only_set();
    let outcome = rig.import(&store, all(State::Other)).await;
    assert_eq!(outcome.only_set(), set);
    assert_eq!(outcome.warning, Vec::<Value>::new());
    let document = rig.document(&store, &set).await;
    assert_eq!(only_series(&document)["DICOM"]["Laterality"].as_str().unwrap().trim_end(), "R");
    for number in [1, 2] {
        comes_back(rig, &store, number, State::Other).await;
    }
    // Of two files of one instance in a job the later one stays.
    let twice = [("a", sent(1, State::One)), ("b", sent(1, State::Missing))];
    rig.import(&store, twice).await;
    comes_back(rig, &store, 1, State::Missing).await;
    comes_back(rig, &store, 2, State::Other).await;
}

pub(crate) async fn an_update_of_a_level_reaches_every_instance(rig: &Rig) {
    let store = rig.datastore().await;
    let files = [State::One, State::Other, State::Missing, State::Empty];
    let numbered: Vec<_> = (1_u32..).zip(files).collect();
    let set = {
        let files = numbered.iter().map(|(n, state)| (n.to_string(), sent(*n, *state)));
        rig.import(&store, files).await.only_set()
    };
    let before = rig.document(&store, &set).await;
    let change = study(json!({"StudyDescription": "NEW"}));
    rig.update(rig.update_request(&store, &set, 1, &change)).await;
    for (number, state) in &numbered {
        let file = file(*number, *state).with(tags::STUDY_DESCRIPTION, VR::LO, "NEW").build();
        comes_back_as(rig, &store, *number, file).await;
    }
    assert!(!rig.document(&store, &set).await.to_string().contains("THE OTHER"));

    let mut removal = rig.update_request(&store, &set, 2, &Value::Null);
    removal.updates = MetadataUpdates::DicomUpdates {
        removable_attributes: Some(study(json!({"StudyDescription": null})).to_string().into()),
        updatable_attributes: None,
    };
    rig.update(removal).await;
    for (number, state) in &numbered {
        let file = file(*number, *state).without(tags::STUDY_DESCRIPTION).build();
        comes_back_as(rig, &store, *number, file).await;
    }

    let mut revert = rig.update_request(&store, &set, 3, &Value::Null);
    revert.updates = MetadataUpdates::RevertToVersion(1.into());
    rig.update(revert).await;
    assert_eq!(rig.document(&store, &set).await, before);
    for (number, state) in numbered {
        comes_back(rig, &store, number, state).await;
    }
}

pub(crate) async fn removing_the_first_instance_changes_no_other(rig: &Rig) {
    let store = rig.datastore().await;
    let numbered = [(1_u32, State::One), (2, State::Other), (3, State::Missing), (4, State::Empty)];
    let files = numbered.map(|(number, state)| (number.to_string(), sent(number, state)));
    let set = rig.import(&store, files).await.only_set();
    let gone = json!({"SchemaVersion": 1.1,
        "Study": {"Series": {SERIES: {"Instances": {format!("{SERIES}.1"): {}}}}}});
    let mut removal = rig.update_request(&store, &set, 1, &Value::Null);
    removal.updates = MetadataUpdates::DicomUpdates {
        removable_attributes: Some(gone.to_string().into()),
        updatable_attributes: None,
    };
    rig.update(removal).await;
    for (number, state) in &numbered[1..] {
        comes_back(rig, &store, *number, *state).await;
    }
    // What only the removed one had is shown nowhere.
    let document = rig.document(&store, &set).await.to_string();
    assert!(!document.contains("\"ONE\"") && !document.contains("\"2.25.5\""), "{document}");
}

async fn copied(rig: &Rig, request: CopyImageSetRequest) -> ImageSetId {
    let (store, source) = (request.datastore_id.clone(), request.source_image_set_id.clone());
    let answer = rig.service.copy_image_set(request).await.unwrap();
    let destination = answer.destination_image_set_properties.image_set_id;
    rig.wait_active(&store, &source).await;
    rig.wait_active(&store, &destination).await;
    destination
}

pub(crate) async fn copies_and_promotions_keep_what_is_an_instance_s_own(rig: &Rig) {
    let store = rig.datastore().await;
    let files = [("1", sent(1, State::One)), ("2", sent(2, State::Other))];
    let set = rig.import(&store, files).await.only_set();
    let copy = copied(rig, whole(&store, &set, 1)).await;
    for (number, state) in [(1, State::One), (2, State::Other)] {
        let original = sent(number, state);
        let original = dicom_object::from_reader(&original[128..]).unwrap();
        let mut asked = request(&store, number, Some(EXPLICIT));
        asked.image_set_id = Some(copy.clone());
        let found = retrieve(rig, asked).await.unwrap();
        assert_eq!(elements(&found.object), elements(&original));
    }
    // Promoted into the primary set, from which the instances had been removed.
    let gone = json!({"SchemaVersion": 1.1,
        "Study": {"Series": {SERIES: {"Instances": {format!("{SERIES}.2"): {}}}}}});
    let mut removal = rig.update_request(&store, &set, 1, &Value::Null);
    removal.updates = MetadataUpdates::DicomUpdates {
        removable_attributes: Some(gone.to_string().into()),
        updatable_attributes: None,
    };
    rig.update(removal).await;
    let selection = json!({"SchemaVersion": "1.1",
        "Study": {"Series": {SERIES: {"Instances": {format!("{SERIES}.2"): {}}}}}});
    let mut promotion = whole(&store, &copy, 1);
    promotion.promote_to_primary = true;
    promotion.copy_image_set_information.source_image_set.dicom_copies =
        Some(healthimaging::model::DicomCopies { copiable_attributes: selection.to_string() });
    assert_eq!(copied(rig, promotion).await, set);
    comes_back(rig, &store, 1, State::One).await;
    comes_back(rig, &store, 2, State::Other).await;
}
