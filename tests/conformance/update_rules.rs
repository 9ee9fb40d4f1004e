//! Updates that are rejected, and updates of a whole study.

use bytes::Bytes;
use healthimaging::model::{
    ImageSetWorkflowStatus, MetadataUpdates, UpdateImageSetMetadataRequest,
};
use healthimaging::{DatastoreId, ErrorKind, ImageSetId};
use healthimaging_phantoms::Phantom;
use serde_json::{Value, json};

use crate::update::{instance, patient, removal, series, slice, study, updated};
use healthimaging_testing::rig::{Rig, refused};

/// The latest version, as a number.
async fn version(rig: &Rig, store: &DatastoreId, set: &ImageSetId) -> u32 {
    rig.image_set(store, set).await.properties.version_id.as_str().parse().unwrap()
}

/// Checks that an update is refused, at once or as a failed version, and changes nothing.
async fn check_refused(rig: &Rig, request: UpdateImageSetMetadataRequest) {
    let (store, set) = (request.datastore_id.clone(), request.image_set_id.clone());
    let before = rig.document(&store, &set).await;
    let shown = format!("{:?}", request.updates);
    if let Err(error) = rig.ask_update(request).await {
        assert_eq!(error.kind(), ErrorKind::Validation, "{error}");
    } else {
        let found = rig.wait_active(&store, &set).await.properties;
        let failed = Some(ImageSetWorkflowStatus::UpdateFailed);
        assert_eq!(found.image_set_workflow_status, failed, "{shown}");
        assert!(!found.message.unwrap().is_empty());
    }
    assert_eq!(rig.document(&store, &set).await, before, "{shown}");
}

async fn check_each_refused(
    rig: &Rig,
    store: &DatastoreId,
    set: &ImageSetId,
    force: bool,
    documents: impl IntoIterator<Item = Value>,
) {
    for document in documents {
        let latest = version(rig, store, set).await;
        let mut request = rig.update_request(store, set, latest, &document);
        request.force = force;
        check_refused(rig, request).await;
    }
}

pub(crate) async fn what_is_not_a_document_is_refused_at_once(rig: &Rig) {
    let (store, set) = rig.holding(slice(1)).await;
    for blob in [
        &b"not JSON"[..],
        b"[]",
        b"null",
        b"\"text\"",
        b"{\"SchemaVersion\": 1.1, \"Study\": {\"DICOM\": {\"StudyID\": ",
        b"{\"SchemaVersion\": 1.1, \"Study\": {\"DICOM\": {\"StudyDescription\": \"A\", \"StudyDescription\": \"B\"}}}",
        b"{\"SchemaVersion\": 1.1, \"Study\": {}, \"Study\": {\"DICOM\": {\"StudyDescription\": \"A\"}}}",
        b"{\"SchemaVersion\": 1.1, \"Study\": {\"DICOM\": {\"StudyDescription\": \"A\"}}} {}",
        b"\xff\xfe",
        b"\x1f\x8b\x08\x00",
    ] {
        let mut request = rig.update_request(&store, &set, 1, &Value::Null);
        request.updates = MetadataUpdates::DicomUpdates {
            removable_attributes: None,
            updatable_attributes: Some(Bytes::from_static(blob)),
        };
        refused(rig.ask_update(request).await, ErrorKind::Validation);
    }
    assert_eq!(version(rig, &store, &set).await, 1);
}

pub(crate) async fn an_update_without_documents_is_refused(rig: &Rig) {
    let (store, set) = rig.holding(slice(1)).await;
    let mut request = rig.update_request(&store, &set, 1, &Value::Null);
    request.updates =
        MetadataUpdates::DicomUpdates { removable_attributes: None, updatable_attributes: None };
    refused(rig.ask_update(request).await, ErrorKind::Validation);
}

pub(crate) async fn a_document_of_another_shape_is_refused_at_once(rig: &Rig) {
    let (store, set) = rig.holding(slice(1)).await;
    let found = rig.document(&store, &set).await;
    let uid = found["Study"]["DICOM"]["StudyInstanceUID"].as_str().unwrap();
    for document in [
        json!({"Study": {"DICOM": {"StudyDescription": "no schema version"}}}),
        json!({"SchemaVersion": "9.9", "Study": {"DICOM": {"StudyDescription": "X"}}}),
        json!({"SchemaVersion": 1.1, "Series": {"2.25.11": {"DICOM": {"Modality": "MR"}}}}),
        json!({"SchemaVersion": 1.1, "Study": {uid: {"DICOM": {"StudyDescription": "X"}}}}),
        json!({"SchemaVersion": 1.1, "Study": []}),
        json!({"SchemaVersion": 1.1, "Study": {"DICOM": "X"}}),
        json!({"SchemaVersion": 1.1, "Study": {"Series": ["2.25.11"]}}),
        json!({"SchemaVersion": 1.1, "ImageSetID": set.as_str()}),
        json!({"SchemaVersion": 1.1, "DatastoreID": store.as_str()}),
    ] {
        let request = rig.update_request(&store, &set, 1, &document);
        assert!(rig.ask_update(request.clone()).await.is_err(), "{document}");
        refused(rig.ask_update(request).await, ErrorKind::Validation);
    }
    assert_eq!(version(rig, &store, &set).await, 1);
}

pub(crate) async fn a_deep_document_is_refused_at_once(rig: &Rig) {
    let (store, set) = rig.holding_non_primary(slice(1)).await;
    let open = r#"{"SourceImageSequence":["#.repeat(1_000);
    let close = "]}".repeat(1_000);
    let start =
        r#"{"SchemaVersion":1.1,"Study":{"Series":{"2.25.11":{"Instances":{"2.25.11.1":{"DICOM":"#;
    let mut request = rig.update_request(&store, &set, 1, &Value::Null);
    request.force = true;
    request.updates = MetadataUpdates::DicomUpdates {
        removable_attributes: None,
        updatable_attributes: Some([start, &open, &close, "}}}}}}"].concat().into()),
    };
    refused(rig.ask_update(request).await, ErrorKind::Validation);
}

pub(crate) async fn an_attribute_at_the_wrong_level_is_refused_at_once(rig: &Rig) {
    let (store, set) = rig.holding_non_primary(slice(1)).await;
    for document in [
        study(json!({"PatientName": "X"})),
        patient(json!({"StudyDescription": "X"})),
        study(json!({"Modality": "MR"})),
        series(json!({"DICOM": {"InstanceNumber": "3"}})),
        instance(1, json!({"DICOM": {"StudyDate": "20240101"}})),
        instance(1, json!({"DICOM": {"PatientID": "X"}})),
    ] {
        let mut request = rig.update_request(&store, &set, 1, &document);
        request.force = true;
        assert!(rig.ask_update(request.clone()).await.is_err(), "{document}");
        refused(rig.ask_update(request).await, ErrorKind::Validation);
    }
}

pub(crate) async fn pixels_and_frame_facts_are_never_changed(rig: &Rig) {
    let (store, set) = rig.holding_non_primary(slice(1)).await;
    let documents = [
        instance(1, json!({"DICOM": {"PixelData": "AAAA"}})),
        instance(1, json!({"ImageFrames": []})),
        instance(1, json!({"ImageFrames": [{"MinPixelValue": 3}]})),
        instance(1, json!({"StoredTransferSyntaxUID": "1.2"})),
        instance(1, json!({"DICOM": {"MinPixelValue": 3}})),
        instance(1, json!({"DICOM": {"Checksum": 3}})),
        instance(1, json!({"DICOM": {"FrameSizeInBytes": 3}})),
    ];
    check_each_refused(rig, &store, &set, true, documents).await;
}

pub(crate) async fn without_force_these_attributes_are_refused(rig: &Rig) {
    let (store, set) = rig.holding_non_primary(slice(1)).await;
    let documents = [
        study(json!({"StudyInstanceUID": "2.25.1"})),
        study(json!({"StudyID": "X"})),
        series(json!({"DICOM": {"SeriesInstanceUID": "2.25.1"}})),
        instance(1, json!({"DICOM": {"SOPInstanceUID": "2.25.1"}})),
        instance(1, json!({"DICOM": {"WindowCenter": ["50", "60"]}})),
        instance(1, json!({"DICOM": {"SourceImageSequence": []}})),
        instance(1, json!({"DICOM": {"00190010": "X"}, "DICOMVRs": {"00190010": "LO"}})),
        study(json!({"NoSuchKeyword": "X"})),
    ];
    check_each_refused(rig, &store, &set, false, documents).await;
}

pub(crate) async fn values_that_do_not_fit_are_refused(rig: &Rig) {
    let (store, set) = rig.holding_non_primary(slice(1)).await;
    let documents = [
        study(json!({"StudyDate": "yesterday"})),
        study(json!({"StudyTime": "half past two"})),
        study(json!({"PatientWeight": "heavy"})),
        study(json!({"StudyDescription": 7})),
        study(json!({"StudyDescription": true})),
        study(json!({"StudyDescription": {"a": 1}})),
        instance(1, json!({"DICOM": {"InstanceNumber": "one"}})),
        instance(1, json!({"DICOM": {"Rows": "sixteen"}})),
        patient(json!({"PatientName": "X".repeat(257)})),
        patient(json!({"PatientID": "X".repeat(257)})),
        study(json!({"AccessionNumber": "X".repeat(257)})),
        study(json!({"StudyDescription": "X".repeat(257)})),
    ];
    check_each_refused(rig, &store, &set, false, documents).await;
}

pub(crate) async fn what_is_not_in_the_image_set_cannot_be_changed(rig: &Rig) {
    let (store, set) = rig.holding_non_primary(slice(1)).await;
    let elsewhere = json!({"SchemaVersion": 1.1, "Study": {"Series": {"2.25.999": {}}}});
    let mut there = elsewhere.clone();
    there["Study"]["Series"]["2.25.999"] = json!({"DICOM": {"SeriesDescription": "X"}});
    let absent = instance(9, json!({"DICOM": {"InstanceNumber": "3"}}));
    check_each_refused(rig, &store, &set, true, [there, absent]).await;
    for document in [elsewhere, instance(9, json!({}))] {
        let latest = version(rig, &store, &set).await;
        check_refused(rig, removal(rig, &store, &set, latest, &document)).await;
    }
}

pub(crate) async fn patient_and_series_of_a_primary_image_set_stay(rig: &Rig) {
    let (store, set) = rig.holding(slice(1)).await;
    let documents = || {
        [patient(json!({"PatientName": "X"})), series(json!({"DICOM": {"SeriesDescription": "X"}}))]
    };
    check_each_refused(rig, &store, &set, false, documents()).await;
    check_each_refused(rig, &store, &set, true, documents()).await;
}

pub(crate) async fn force_changes_no_uid_of_a_primary_image_set(rig: &Rig) {
    let (store, set) = rig.holding(slice(1)).await;
    let documents = [
        study(json!({"StudyInstanceUID": "2.25.1"})),
        series(json!({"DICOM": {"SeriesInstanceUID": "2.25.1"}})),
        instance(1, json!({"DICOM": {"SOPInstanceUID": "2.25.1"}})),
    ];
    check_each_refused(rig, &store, &set, true, documents).await;
}

/// A data store with two primary image sets of one study, one that is not primary, and a stranger.
async fn study_of_two(rig: &Rig) -> (DatastoreId, [ImageSetId; 4]) {
    let store = rig.datastore().await;
    let ct = rig.put(&store, slice(1)).await;
    let mr = Phantom::mr().size(16, 16);
    let mr = rig.put(&store, mr).await;
    let deviant = rig.put(&store, slice(1).accession_number("DEVIANT")).await;
    let stranger = slice(1).seed(2).patient("STRANGER", "S");
    let stranger = rig.put(&store, stranger).await;
    (store, [ct, mr, deviant, stranger])
}

fn of_study(mut request: UpdateImageSetMetadataRequest) -> UpdateImageSetMetadataRequest {
    request.include_study_image_sets = true;
    request
}

pub(crate) async fn an_update_of_the_study_reaches_all_its_primary_image_sets(rig: &Rig) {
    let (store, [ct, mr, deviant, stranger]) = study_of_two(rig).await;
    let change = json!({
        "SchemaVersion": 1.1,
        "Patient": {"DICOM": {"PatientName": "NEW^NAME"}},
        "Study": {"DICOM": {"StudyDescription": "NEW"}},
    });
    let found = rig.update(of_study(rig.update_request(&store, &ct, 1, &change))).await;
    updated(&found, 2);
    updated(&rig.wait_active(&store, &mr).await, 2);
    for set in [&ct, &mr] {
        let document = rig.document(&store, set).await;
        assert_eq!(document["Patient"]["DICOM"]["PatientName"], "NEW^NAME");
        assert_eq!(document["Study"]["DICOM"]["StudyDescription"], "NEW");
    }
    for set in [&deviant, &stranger] {
        assert_eq!(version(rig, &store, set).await, 1);
    }
}

pub(crate) async fn the_other_image_sets_of_a_study_show_that_they_are_updated(rig: &Rig) {
    let (store, [ct, mr, ..]) = study_of_two(rig).await;
    let held = rig.held().await;
    let change = study(json!({"StudyDescription": "NEW"}));
    held.ask_update(of_study(held.update_request(&store, &ct, 1, &change))).await.unwrap();
    for (set, status) in [
        (&ct, ImageSetWorkflowStatus::Updating),
        (&mr, ImageSetWorkflowStatus::UpdatingForStudyConsistency),
    ] {
        let found = held.image_set(&store, set).await.properties;
        assert_eq!(found.image_set_state.as_str(), "LOCKED");
        assert_eq!(found.image_set_workflow_status, Some(status));
    }
}

pub(crate) async fn an_update_of_the_study_takes_no_revert_and_no_series(rig: &Rig) {
    let (store, [ct, ..]) = study_of_two(rig).await;
    let mut revert = of_study(rig.update_request(&store, &ct, 1, &Value::Null));
    revert.updates = MetadataUpdates::RevertToVersion(1.into());
    refused(rig.ask_update(revert).await, ErrorKind::Validation);
    for document in [
        series(json!({"DICOM": {"SeriesDescription": "X"}})),
        instance(1, json!({"DICOM": {"InstanceNumber": "3"}})),
    ] {
        let request = of_study(rig.update_request(&store, &ct, 1, &document));
        refused(rig.ask_update(request).await, ErrorKind::Validation);
    }
}

pub(crate) async fn a_failed_update_of_the_study_changes_none_of_it(rig: &Rig) {
    let (store, [ct, mr, ..]) = study_of_two(rig).await;
    let before = rig.document(&store, &mr).await;
    let change = study(json!({"StudyDescription": "NEW", "StudyDate": "yesterday"}));
    check_refused(rig, of_study(rig.update_request(&store, &ct, 1, &change))).await;
    rig.wait_active(&store, &mr).await;
    assert_eq!(rig.document(&store, &mr).await, before);
}
