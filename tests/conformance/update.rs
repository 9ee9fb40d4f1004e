//! Changing metadata: the documents, what follows from them, and the answers on the way.

use bytes::Bytes;
use healthimaging::model::{
    GetImageSetResponse, ImageSetState, ImageSetWorkflowStatus, MetadataUpdates, Overrides,
    UpdateImageSetMetadataRequest,
};
use healthimaging::{DatastoreId, ErrorKind, ImageSetId};
use healthimaging_phantoms::{Phantom, VR, tags};
use serde_json::{Value, json};

use healthimaging_testing::rig::image_sets::{frame_id, instances};
use healthimaging_testing::rig::{Rig, refused};

const SERIES: &str = "2.25.11";

/// A slice of the series [`SERIES`]; its SOP Instance UID ends in the number.
pub(crate) fn slice(number: u32) -> Phantom {
    Phantom::ct()
        .size(16, 16)
        .series_uid(SERIES)
        .sop_uid(&format!("{SERIES}.{number}"))
        .instance_number(number)
}

/// A document that changes the study.
pub(crate) fn study(attributes: Value) -> Value {
    json!({"SchemaVersion": 1.1, "Study": {"DICOM": attributes}})
}

/// A document that changes the patient.
pub(crate) fn patient(attributes: Value) -> Value {
    json!({"SchemaVersion": 1.1, "Patient": {"DICOM": attributes}})
}

/// A document with this below the series.
pub(crate) fn series(node: Value) -> Value {
    json!({"SchemaVersion": 1.1, "Study": {"Series": {SERIES: node}}})
}

/// A document with this below an instance.
pub(crate) fn instance(number: u32, node: Value) -> Value {
    series(json!({"Instances": {format!("{SERIES}.{number}"): node}}))
}

/// A request to remove, to be changed by the case.
pub(crate) fn removal(
    rig: &Rig,
    store: &DatastoreId,
    set: &ImageSetId,
    version: u32,
    document: &Value,
) -> UpdateImageSetMetadataRequest {
    let mut request = rig.update_request(store, set, version, &Value::Null);
    request.updates = MetadataUpdates::DicomUpdates {
        removable_attributes: Some(document.to_string().into()),
        updatable_attributes: None,
    };
    request
}

fn forced(mut request: UpdateImageSetMetadataRequest) -> UpdateImageSetMetadataRequest {
    request.force = true;
    request
}

/// Checks that a write ended well, as this version.
#[track_caller]
pub(crate) fn updated(found: &GetImageSetResponse, version: u32) {
    let found = &found.properties;
    assert_eq!(
        found.image_set_workflow_status,
        Some(ImageSetWorkflowStatus::Updated),
        "{:?}",
        found.message
    );
    assert_eq!(found.image_set_state, ImageSetState::Active);
    assert_eq!(found.version_id, version.into());
    assert_eq!(found.message, None);
}

pub(crate) async fn an_update_answers_locked_and_ends_updated(rig: &Rig) {
    let (store, set) = rig.holding(slice(1)).await;
    let before = rig.image_set(&store, &set).await.properties;
    let request = rig.update_request(&store, &set, 1, &study(json!({"StudyDescription": "NEW"})));
    let answer = rig.ask_update(request).await.unwrap();
    assert_eq!(answer.datastore_id, store);
    assert_eq!(answer.image_set_id, set);
    assert_eq!(answer.latest_version_id.as_str(), "2");
    assert_eq!(answer.image_set_state, ImageSetState::Locked);
    assert_eq!(answer.image_set_workflow_status, Some(ImageSetWorkflowStatus::Updating));
    let found = rig.wait_active(&store, &set).await;
    updated(&found, 2);
    assert_eq!(found.properties.is_primary, Some(true));
    assert_eq!(found.properties.overrides, None);
    assert_eq!(found.properties.created_at, before.created_at);
    assert!(found.properties.updated_at >= before.updated_at);
}

pub(crate) async fn a_study_attribute_is_changed_and_one_is_added(rig: &Rig) {
    let (store, set) = rig.holding(slice(1)).await;
    let change = study(json!({"StudyDescription": "NEW", "PatientWeight": "61.5"}));
    updated(&rig.update(rig.update_request(&store, &set, 1, &change)).await, 2);
    let document = rig.document(&store, &set).await;
    assert_eq!(document["Study"]["DICOM"]["StudyDescription"], "NEW");
    assert_eq!(document["Study"]["DICOM"]["PatientWeight"], "61.5");
}

pub(crate) async fn an_update_changes_nothing_else(rig: &Rig) {
    let (store, set) = rig.holding(slice(1)).await;
    let mut before = rig.document(&store, &set).await;
    let change = study(json!({"StudyDescription": "NEW"}));
    rig.update(rig.update_request(&store, &set, 1, &change)).await;
    before["Study"]["DICOM"]["StudyDescription"] = json!("NEW");
    assert_eq!(rig.document(&store, &set).await, before);
}

pub(crate) async fn the_schema_version_is_a_number_or_text(rig: &Rig) {
    let (store, set) = rig.holding(slice(1)).await;
    for (version, schema) in [(1, json!(1.1)), (2, json!("1.1"))] {
        let mut change = study(json!({"StudyDescription": version.to_string()}));
        change["SchemaVersion"] = schema;
        let found = rig.update(rig.update_request(&store, &set, version, &change)).await;
        updated(&found, version + 1);
    }
}

pub(crate) async fn an_instance_attribute_is_changed(rig: &Rig) {
    let store = rig.datastore().await;
    let set = rig.import(&store, [("1", slice(1).build()), ("2", slice(2).build())]).await;
    let set = set.only_set();
    let change = instance(2, json!({"DICOM": {"InstanceNumber": "7"}}));
    updated(&rig.update(rig.update_request(&store, &set, 1, &change)).await, 2);
    let document = rig.document(&store, &set).await;
    let number =
        |n: u32| instances(&document)[&format!("{SERIES}.{n}")]["DICOM"]["InstanceNumber"].clone();
    assert_eq!(number(1), "1 ");
    assert_eq!(number(2), "7");
}

pub(crate) async fn patient_and_series_are_changed_where_not_primary(rig: &Rig) {
    let (store, set) = rig.holding_non_primary(slice(1)).await;
    let change = patient(json!({"PatientName": "MX^MX", "PatientID": "NEW"}));
    updated(&rig.update(rig.update_request(&store, &set, 1, &change)).await, 2);
    let change = series(json!({"DICOM": {"SeriesDescription": "x"}}));
    updated(&rig.update(rig.update_request(&store, &set, 2, &change)).await, 3);
    let document = rig.document(&store, &set).await;
    assert_eq!(document["Patient"]["DICOM"]["PatientName"], "MX^MX");
    assert_eq!(document["Patient"]["DICOM"]["PatientID"], "NEW");
    let series = &document["Study"]["Series"][SERIES]["DICOM"];
    assert_eq!(series["SeriesDescription"], "x");
}

pub(crate) async fn an_attribute_is_removed_whatever_value_is_given(rig: &Rig) {
    let (store, set) = rig.holding(slice(1)).await;
    let cases = [
        ("StudyDescription", json!("CHEST W/O CONTRAST")),
        ("ReferringPhysicianName", json!("not what is there")),
        ("StudyTime", Value::Null),
    ];
    for (version, (keyword, value)) in (1..).zip(cases) {
        let request = removal(rig, &store, &set, version, &study(json!({keyword: value})));
        updated(&rig.update(request).await, version + 1);
        let document = rig.document(&store, &set).await;
        assert_eq!(document["Study"]["DICOM"].get(keyword), None, "{keyword}");
    }
}

pub(crate) async fn one_call_sets_and_removes(rig: &Rig) {
    let (store, set) = rig.holding(slice(1)).await;
    let mut request = rig.update_request(&store, &set, 1, &Value::Null);
    request.updates = MetadataUpdates::DicomUpdates {
        removable_attributes: Some(study(json!({"StudyTime": null})).to_string().into()),
        updatable_attributes: Some(study(json!({"StudyDescription": "NEW"})).to_string().into()),
    };
    updated(&rig.update(request).await, 2);
    let document = rig.document(&store, &set).await;
    assert_eq!(document["Study"]["DICOM"]["StudyDescription"], "NEW");
    assert_eq!(document["Study"]["DICOM"].get("StudyTime"), None);
}

pub(crate) async fn a_removed_instance_is_gone_and_comes_back_with_a_revert(rig: &Rig) {
    let store = rig.datastore().await;
    let outcome = rig.import(&store, [("1", slice(1).build()), ("2", slice(2).build())]).await;
    let set = outcome.only_set();
    let before = rig.document(&store, &set).await;
    let gone = format!("{SERIES}.2");
    let frame = frame_id(&instances(&before)[&gone], 0).to_owned();
    updated(&rig.update(removal(rig, &store, &set, 1, &instance(2, json!({})))).await, 2);
    let without = rig.document(&store, &set).await;
    assert!(!instances(&without).contains_key(&gone));
    assert_eq!(instances(&without).len(), 1);
    let mut request = rig.update_request(&store, &set, 2, &Value::Null);
    request.updates = MetadataUpdates::RevertToVersion(1.into());
    updated(&rig.update(request).await, 3);
    assert_eq!(rig.document(&store, &set).await, before);
    rig.frame(&store, &set, &frame).await;
}

pub(crate) async fn the_last_instance_and_the_only_series_cannot_be_removed(rig: &Rig) {
    let (store, set) = rig.holding(slice(1)).await;
    let before = rig.document(&store, &set).await;
    for (version, document) in [(1, instance(1, json!({}))), (2, series(json!({})))] {
        let found = rig.update(removal(rig, &store, &set, version, &document)).await.properties;
        assert_eq!(found.image_set_workflow_status, Some(ImageSetWorkflowStatus::UpdateFailed));
        assert!(found.message.unwrap().contains("DeleteImageSet"));
        assert_eq!(rig.document(&store, &set).await, before);
    }
}

pub(crate) async fn a_failed_update_leaves_a_version_with_a_message(rig: &Rig) {
    let (store, set) = rig.holding(slice(1)).await;
    let before = rig.document(&store, &set).await;
    let request = rig.update_request(&store, &set, 1, &patient(json!({"PatientName": "X"})));
    let answer = rig.ask_update(request).await.unwrap();
    assert_eq!(answer.latest_version_id.as_str(), "2");
    let found = rig.wait_active(&store, &set).await.properties;
    assert_eq!(found.image_set_state, ImageSetState::Active);
    assert_eq!(found.image_set_workflow_status, Some(ImageSetWorkflowStatus::UpdateFailed));
    assert_eq!(found.version_id.as_str(), "2");
    assert!(!found.message.unwrap().is_empty());
    assert_eq!(rig.document(&store, &set).await, before);
    let request = rig.update_request(&store, &set, 2, &study(json!({"StudyDescription": "OK"})));
    updated(&rig.update(request).await, 3);
}

pub(crate) async fn a_revert_makes_the_content_of_a_version_a_new_one(rig: &Rig) {
    let (store, set) = rig.holding(slice(1)).await;
    let original = rig.document(&store, &set).await;
    for version in 1..=2 {
        let change = study(json!({"StudyDescription": version.to_string()}));
        rig.update(rig.update_request(&store, &set, version, &change)).await;
    }
    let mut request = rig.update_request(&store, &set, 3, &Value::Null);
    request.updates = MetadataUpdates::RevertToVersion(1.into());
    updated(&rig.update(request).await, 4);
    assert_eq!(rig.document(&store, &set).await, original);
    let second = rig.try_document(&store, &set, Some(2.into())).await.unwrap();
    assert_eq!(second["Study"]["DICOM"]["StudyDescription"], "1");
}

pub(crate) async fn a_revert_to_an_unknown_version_is_refused(rig: &Rig) {
    let (store, set) = rig.holding(slice(1)).await;
    for target in [0, 2, 99] {
        let mut request = rig.update_request(&store, &set, 1, &Value::Null);
        request.updates = MetadataUpdates::RevertToVersion(target.into());
        refused(rig.ask_update(request).await, ErrorKind::Validation);
    }
    assert_eq!(rig.image_set(&store, &set).await.properties.version_id.as_str(), "1");
}

pub(crate) async fn a_version_that_is_not_the_latest_is_a_conflict(rig: &Rig) {
    let (store, set) = rig.holding(slice(1)).await;
    let change = study(json!({"StudyDescription": "NEW"}));
    rig.update(rig.update_request(&store, &set, 1, &change)).await;
    for version in [0, 1, 3, 99] {
        let request = rig.update_request(&store, &set, version, &change);
        refused(rig.ask_update(request).await, ErrorKind::Conflict);
    }
    assert_eq!(rig.image_set(&store, &set).await.properties.version_id.as_str(), "2");
}

pub(crate) async fn an_unknown_image_set_cannot_be_updated(rig: &Rig) {
    let (store, set) = rig.holding(slice(1)).await;
    let other = rig.datastore().await;
    let unknown = "0123456789abcdef0123456789abcdef".parse().unwrap();
    for (store, set) in [(&store, &unknown), (&other, &set)] {
        let request = rig.update_request(store, set, 1, &study(json!({"StudyDescription": "X"})));
        refused(rig.ask_update(request).await, ErrorKind::NotFound);
    }
}

pub(crate) async fn a_locked_image_set_can_be_read_but_not_written(rig: &Rig) {
    let (store, set) = rig.holding(slice(1)).await;
    let before = rig.document(&store, &set).await;
    let held = rig.held().await;
    let change = study(json!({"StudyDescription": "NEW"}));
    held.ask_update(held.update_request(&store, &set, 1, &change)).await.unwrap();
    let found = held.image_set(&store, &set).await.properties;
    assert_eq!(found.image_set_state, ImageSetState::Locked);
    assert_eq!(found.image_set_workflow_status, Some(ImageSetWorkflowStatus::Updating));
    assert_eq!(found.version_id.as_str(), "2");
    assert_eq!(held.document(&store, &set).await, before);
    held.frame(
        &store,
        &set,
        frame_id(healthimaging_testing::rig::image_sets::only_instance(&before), 0),
    )
    .await;
    assert_eq!(held.found(&store, json!({})).await, [set.clone()]);
    for version in [1, 2] {
        let again = held.update_request(&store, &set, version, &change);
        refused(held.ask_update(again).await, ErrorKind::Conflict);
    }
    let delete = healthimaging::model::DeleteImageSetRequest {
        datastore_id: store.clone(),
        image_set_id: set.clone(),
    };
    refused(held.service.delete_image_set(delete).await, ErrorKind::Conflict);
    let copy = crate::copy::whole(&store, &set, 2);
    refused(held.service.copy_image_set(copy).await, ErrorKind::Conflict);
}

pub(crate) async fn a_forced_version_says_so_and_no_other_does(rig: &Rig) {
    let (store, set) = rig.holding_non_primary(slice(1)).await;
    let change = study(json!({"StudyID": "NEW"}));
    let found = rig.update(forced(rig.update_request(&store, &set, 1, &change))).await;
    updated(&found, 2);
    assert_eq!(found.properties.overrides, Some(Overrides { forced: true }));
    let change = study(json!({"StudyDescription": "NEW"}));
    let found = rig.update(rig.update_request(&store, &set, 2, &change)).await;
    assert_eq!(found.properties.overrides, None);
    let listed = crate::versions::versions(rig, &store, &set, None).await;
    let flags: Vec<bool> = listed.iter().map(|version| version.overrides.is_some()).collect();
    assert_eq!(flags, [false, true, false]);
}

pub(crate) async fn force_allows_what_is_refused_without_it(rig: &Rig) {
    let phantom = slice(1).private(0x0009, "ACME", 0x01, VR::LO, "old").with(
        tags::WINDOW_CENTER,
        VR::DS,
        "40",
    );
    let (store, set) = rig.holding_non_primary(phantom).await;
    let changes = [
        instance(
            1,
            json!({"DICOM": {"00190010": "NEW", "001910F9": "97"},
            "DICOMVRs": {"00190010": "LO", "001910F9": "DS"}}),
        ),
        instance(1, json!({"DICOM": {"00091001": "new"}})),
        instance(1, json!({"DICOM": {"WindowCenter": ["50", "60"]}})),
        instance(
            1,
            json!({"DICOM": {"SourceImageSequence": [
            {"ReferencedSOPInstanceUID": "2.25.77"}]}}),
        ),
        study(json!({"StudyID": "FORCED"})),
    ];
    for (version, change) in (1..).zip(&changes) {
        let found = rig.update(forced(rig.update_request(&store, &set, version, change))).await;
        updated(&found, version + 1);
    }
    let document = rig.document(&store, &set).await;
    let found = healthimaging_testing::rig::image_sets::only_instance(&document);
    assert_eq!(found["DICOM"]["001910F9"], "97");
    assert_eq!(found["DICOMVRs"]["001910F9"], "DS");
    assert_eq!(found["DICOM"]["00091001"], "new");
    assert_eq!(found["DICOM"]["WindowCenter"], json!(["50", "60"]));
    let items = &found["DICOM"]["SourceImageSequence"];
    assert_eq!(items[0]["ReferencedSOPInstanceUID"], "2.25.77");
    assert_eq!(document["Study"]["DICOM"]["StudyID"], "FORCED");
}

pub(crate) async fn uids_are_changed_by_force_under_their_old_names(rig: &Rig) {
    let (store, set) = rig.holding_non_primary(slice(1)).await;
    let changes = [
        instance(1, json!({"DICOM": {"SOPInstanceUID": "2.25.501"}})),
        series(json!({"DICOM": {"SeriesInstanceUID": "2.25.502"}})),
        study(json!({"StudyInstanceUID": "2.25.503"})),
    ];
    for (version, change) in (1..).zip(&changes) {
        let found = rig.update(forced(rig.update_request(&store, &set, version, change))).await;
        updated(&found, version + 1);
    }
    let document = rig.document(&store, &set).await;
    assert_eq!(document["Study"]["DICOM"]["StudyInstanceUID"], "2.25.503");
    let series = &document["Study"]["Series"]["2.25.502"];
    assert_eq!(series["DICOM"]["SeriesInstanceUID"], "2.25.502");
    assert_eq!(series["Instances"]["2.25.501"]["DICOM"]["SOPInstanceUID"], "2.25.501");
    let criteria = json!({"filters": [{"operator": "EQUAL",
        "values": [{"DICOMSeriesInstanceUID": "2.25.502"}]}]});
    assert_eq!(rig.found(&store, criteria).await, [set.clone()]);
    rig.frame(&store, &set, frame_id(&series["Instances"]["2.25.501"], 0)).await;
}

pub(crate) async fn documents_hold_1_to_30000_bytes(rig: &Rig) {
    let (store, set) = rig.holding(slice(1)).await;
    let large = study(json!({"StudyDescription": "x".repeat(30_000)}));
    let oversized = rig.update_request(&store, &set, 1, &large);
    refused(rig.ask_update(oversized).await, ErrorKind::Validation);
    let mut empty = rig.update_request(&store, &set, 1, &Value::Null);
    empty.updates = MetadataUpdates::DicomUpdates {
        removable_attributes: None,
        updatable_attributes: Some(Bytes::new()),
    };
    refused(rig.ask_update(empty).await, ErrorKind::Validation);
}
