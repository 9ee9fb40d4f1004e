//! DICOMweb: retrieving metadata.

use healthimaging::ErrorKind;
use healthimaging::model::SeriesMetadataRequest;
use healthimaging_phantoms::{Phantom, PrimitiveValue, VR, tags};
use serde_json::{Value, json};

use crate::dicomweb::{HTJ2K, SERIES, STUDY, data_sets, known, metadata, uid};
use crate::picture::GREY;
use healthimaging_testing::rig::{Rig, refused};

pub(crate) async fn metadata_are_dicom_json(rig: &Rig) {
    let store = rig.datastore().await;
    let phantom = known(GREY.phantom(), 7)
        .character_set("ISO_IR 192")
        .patient("Yamada^Tarou=山田^太郎", "P-1")
        .with(tags::PIXEL_SPACING, VR::DS, "0.5\\0.25")
        .with(tags::PATIENT_ORIENTATION, VR::CS, PrimitiveValue::Empty)
        .with(tags::ICC_PROFILE, VR::OB, PrimitiveValue::U8([0, 1, 2, 255].as_slice().into()))
        .private(0x0019, "ACME", 0x01, VR::SH, "in");
    rig.put(&store, phantom).await;
    let found = metadata(rig, &store, 7, None).await.unwrap();
    for (tag, wanted) in [
        (
            "00100010",
            json!({"vr": "PN", "Value": [{"Alphabetic": "Yamada^Tarou", "Ideographic": "山田^太郎"}]}),
        ),
        ("00100020", json!({"vr": "LO", "Value": ["P-1"]})),
        ("0020000D", json!({"vr": "UI", "Value": [STUDY]})),
        ("00080060", json!({"vr": "CS", "Value": ["CT"]})),
        ("00200013", json!({"vr": "IS", "Value": [7]})),
        ("00280010", json!({"vr": "US", "Value": [40]})),
        ("00280030", json!({"vr": "DS", "Value": [0.5, 0.25]})),
        ("00200020", json!({"vr": "CS"})),
        ("00282000", json!({"vr": "OB", "InlineBinary": "AAEC/w=="})),
        ("00190010", json!({"vr": "LO", "Value": ["ACME"]})),
        ("00191001", json!({"vr": "SH", "Value": ["in"]})),
    ] {
        assert_eq!(found.get(tag), Some(&wanted), "{tag}");
    }
    assert_eq!(found.get("7FE00010").and_then(|pixels| pixels.get("InlineBinary")), None);
}

pub(crate) async fn metadata_tell_the_stored_transfer_syntax(rig: &Rig) {
    let store = rig.datastore().await;
    rig.put(&store, known(GREY.phantom(), 1)).await;
    let found = metadata(rig, &store, 1, None).await.unwrap();
    assert_eq!(found["00020010"], json!({"vr": "UI", "Value": [HTJ2K]}));
}

pub(crate) async fn a_large_value_is_named_by_a_uri_in_the_metadata(rig: &Rig) {
    let store = rig.datastore().await;
    let value = PrimitiveValue::U8(vec![7; (1 << 20) + 2].into());
    let phantom = known(GREY.phantom(), 1).private(0x0019, "ACME", 0x01, VR::UN, value);
    rig.put(&store, phantom).await;
    let found = metadata(rig, &store, 1, None).await.unwrap();
    assert_eq!(found["00191001"]["vr"], "UN");
    let uri = found["00191001"]["BulkDataURI"].as_str().unwrap();
    assert!(uri.contains("/bulkdata/"), "{uri}");
    assert_eq!(found["00191001"].get("InlineBinary"), None);
}

pub(crate) async fn metadata_of_a_series_come_by_instance_number(rig: &Rig) {
    let store = rig.datastore().await;
    let slice = |number| known(Phantom::ct().size(16, 16), number).build();
    rig.import(&store, [("a", slice(10)), ("b", slice(2)), ("c", slice(1))]).await;
    let request = SeriesMetadataRequest {
        datastore_id: store.clone(),
        study_instance_uid: uid(STUDY),
        series_instance_uid: uid(SERIES),
        image_set_id: None,
    };
    let found = rig.web.series_metadata(request.clone()).await.unwrap();
    let found = data_sets(found).await;
    let numbers: Vec<&Value> = found.iter().map(|one| &one["00200013"]["Value"][0]).collect();
    assert_eq!(numbers, [1, 2, 10]);
    assert_eq!(found[1], metadata(rig, &store, 2, None).await.unwrap());
    let missing = SeriesMetadataRequest { series_instance_uid: uid("2.25.99"), ..request };
    refused(rig.web.series_metadata(missing).await, ErrorKind::NotFound);
    refused(metadata(rig, &store, 77, None).await, ErrorKind::NotFound);
}
