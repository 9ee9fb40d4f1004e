//! DICOMweb: retrieving instances.

use healthimaging::ErrorKind;
use healthimaging::model::{CreateDatastoreRequest, DeleteImageSetRequest, LosslessStorageFormat};
use healthimaging_phantoms::{Phantom, PrimitiveValue, Tag, VR, tags};
use healthimaging_pixels::codestream_of;
use serde_json::json;

use crate::dicomweb::{EXPLICIT, HTJ2K, known, metadata, request, retrieve, uid};
use crate::picture::{GREY, JPEG, Picture, Sign, jpeg_phantom};
use healthimaging_testing::rig::image_sets::frame_id;
use healthimaging_testing::rig::{Rig, all_bytes, refused};

pub(crate) async fn pixels_come_back_as_they_were(rig: &Rig) {
    let shapes = [
        GREY,
        Picture { signed: Sign::Signed, stored: 16, ..GREY },
        Picture { allocated: 8, stored: 8, rows: 7, columns: 9, ..GREY },
        Picture { allocated: 8, stored: 8, samples: 3, ..GREY },
        Picture { frames: 3, ..GREY },
    ];
    let store = rig.datastore().await;
    for (number, picture) in (1..).zip(shapes) {
        rig.put(&store, known(picture.phantom(), number)).await;
        let found = retrieve(rig, request(&store, number, Some(EXPLICIT))).await.unwrap();
        let mut wanted = picture.all_bytes();
        wanted.resize(wanted.len().next_multiple_of(2), 0);
        assert!(found.pixels() == wanted, "{picture:?}");
        let columns: u16 = found.object.element(tags::COLUMNS).unwrap().to_int().unwrap();
        assert_eq!(columns, picture.columns);
    }
}

pub(crate) async fn the_stored_form_holds_the_stored_frames(rig: &Rig) {
    let store = rig.datastore().await;
    let picture = Picture { frames: 2, ..GREY };
    let set = rig.put(&store, known(picture.phantom(), 1)).await;
    let instance = rig.only_instance(&store, &set).await;
    for syntax in [None, Some(HTJ2K)] {
        let found = retrieve(rig, request(&store, 1, syntax)).await.unwrap();
        assert_eq!(found.object.meta().transfer_syntax.trim_end_matches('\0'), HTJ2K);
        let fragments = found.fragments();
        assert_eq!(fragments.len(), 2);
        for (index, fragment) in fragments.iter().enumerate() {
            let (bytes, _) = rig.frame(&store, &set, frame_id(&instance, index)).await;
            // A file has the bare codestream (PS3.5 §A.4.4).
            let bytes = codestream_of(&bytes).unwrap();
            assert_eq!(fragment[..bytes.len()], *bytes);
            assert!(fragment.len() - bytes.len() <= 1 && fragment.len() % 2 == 0);
        }
    }
}

pub(crate) async fn a_syntax_that_cannot_be_made_is_not_acceptable(rig: &Rig) {
    let store = rig.datastore().await;
    rig.put(&store, known(GREY.phantom(), 1)).await;
    for syntax in ["1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.90", "1.2.3"] {
        let answer = retrieve(rig, request(&store, 1, Some(syntax))).await.map(drop);
        refused(answer, ErrorKind::NotAcceptable);
    }
}

pub(crate) async fn a_jpeg_2000_data_store_gives_jpeg_2000(rig: &Rig) {
    let store = rig
        .datastore_as(CreateDatastoreRequest {
            lossless_storage_format: Some(LosslessStorageFormat::Jpeg2000Lossless),
            ..CreateDatastoreRequest::default()
        })
        .await;
    rig.put(&store, known(GREY.phantom(), 1)).await;
    let stored = retrieve(rig, request(&store, 1, Some("1.2.840.10008.1.2.4.90"))).await.unwrap();
    assert_eq!(stored.fragments()[0][..4], [0xff, 0x4f, 0xff, 0x51]);
    let plain = retrieve(rig, request(&store, 1, Some(EXPLICIT))).await.unwrap();
    assert!(plain.pixels() == GREY.all_bytes());
    let other = retrieve(rig, request(&store, 1, Some(HTJ2K))).await.map(drop);
    refused(other, ErrorKind::NotAcceptable);
}

pub(crate) async fn what_was_kept_as_received_comes_back_so(rig: &Rig) {
    let store = rig.datastore().await;
    rig.put(&store, known(jpeg_phantom(), 1)).await;
    for syntax in [None, Some("1.2.840.10008.1.2.4.50")] {
        let found = retrieve(rig, request(&store, 1, syntax)).await.unwrap();
        assert_eq!(found.fragments(), [JPEG]);
    }
}

pub(crate) async fn a_blob_with_an_unknown_syntax_comes_back_whole(rig: &Rig) {
    let store = rig.datastore().await;
    let phantom = GREY.describe(Phantom::ct()).encapsulated("1.2.3.4", vec![vec![9; 64]]);
    rig.import(&store, [("a", known(phantom, 1).build())]).await;
    let answer = rig.web.retrieve_instance(request(&store, 1, None)).await.unwrap();
    assert_eq!(answer.transfer_syntax_uid, "1.2.3.4");
    let bytes = all_bytes(answer.instance).await;
    assert!(bytes.windows(64).any(|window| window == [9; 64]));
    let explicit = rig.web.retrieve_instance(request(&store, 1, Some(EXPLICIT))).await;
    refused(explicit, ErrorKind::NotAcceptable);
}

pub(crate) async fn every_attribute_comes_back(rig: &Rig) {
    let store = rig.datastore().await;
    let phantom = known(Phantom::ct(), 1)
        .size(16, 16)
        .character_set("ISO_IR 100")
        .patient("Müller^Jürgen", "P-1")
        .private(0x0019, "ACME", 0x01, VR::DS, "97")
        .private(0x0019, "ACME", 0x02, VR::OB, PrimitiveValue::U8([1, 2, 3, 4].as_slice().into()))
        .with(tags::PATIENT_ORIENTATION, VR::CS, PrimitiveValue::Empty);
    let file = phantom.clone().build();
    rig.put(&store, phantom).await;
    let found = retrieve(rig, request(&store, 1, Some(EXPLICIT))).await.unwrap();
    let original = dicom_object::from_reader(&file[128..]).unwrap();
    let charset = tags::SPECIFIC_CHARACTER_SET;
    let wanted: Vec<_> = original.iter().filter(|e| e.header().tag != charset).collect();
    let got: Vec<_> = found.object.iter().filter(|e| e.header().tag != charset).collect();
    assert_eq!(got.len(), wanted.len());
    for (got, wanted) in got.iter().zip(&wanted) {
        assert_eq!(got.header().tag, wanted.header().tag);
        assert_eq!(got.header().vr(), wanted.header().vr(), "{}", wanted.header().tag);
        let text = |element: &dicom_object::mem::InMemElement| {
            element.to_str().map(|text| text.trim_end_matches([' ', '\0']).to_owned()).ok()
        };
        if wanted.header().tag != tags::PIXEL_DATA {
            assert_eq!(text(got), text(wanted), "{}", wanted.header().tag);
        }
    }
}

pub(crate) async fn a_value_over_1_megabyte_comes_back(rig: &Rig) {
    let store = rig.datastore().await;
    let large: Vec<u8> = (0..(1 << 20) + 4).map(|n: u32| n.to_le_bytes()[0]).collect();
    let value = PrimitiveValue::U8(large.clone().into());
    let phantom = known(GREY.phantom(), 1).private(0x0019, "ACME", 0x01, VR::OB, value);
    rig.put(&store, phantom).await;
    let found = retrieve(rig, request(&store, 1, Some(EXPLICIT))).await.unwrap();
    let got = found.object.element(Tag(0x0019, 0x1001)).unwrap().to_bytes().unwrap().into_owned();
    assert!(got == large);
}

pub(crate) async fn what_was_changed_since_comes_back_changed(rig: &Rig) {
    let store = rig.datastore().await;
    let set = rig.put(&store, known(GREY.phantom(), 1)).await;
    let change =
        crate::update::study(json!({"StudyDescription": "CHANGED", "StudyTime": "010203"}));
    rig.update(rig.update_request(&store, &set, 1, &change)).await;
    let found = retrieve(rig, request(&store, 1, Some(EXPLICIT))).await.unwrap();
    assert_eq!(found.text(tags::STUDY_DESCRIPTION).trim_end(), "CHANGED");
    assert_eq!(found.text(tags::STUDY_TIME).trim_end(), "010203");
    assert!(found.pixels() == GREY.all_bytes());
    assert!(found.bytes.len() > GREY.all_bytes().len());
}

pub(crate) async fn an_object_without_pixels_comes_back(rig: &Rig) {
    let store = rig.datastore().await;
    rig.put(&store, known(Phantom::report(), 1)).await;
    let found = retrieve(rig, request(&store, 1, Some(EXPLICIT))).await.unwrap();
    assert!(found.object.element(tags::PIXEL_DATA).is_err());
    assert!(found.object.element(tags::CONTENT_SEQUENCE).is_ok());
}

pub(crate) async fn an_unknown_instance_is_not_found(rig: &Rig) {
    let store = rig.datastore().await;
    let set = rig.put(&store, known(GREY.phantom(), 1)).await;
    let other = rig.datastore().await;
    let mut elsewhere = request(&store, 1, None);
    elsewhere.study_instance_uid = uid("2.25.99");
    let mut another = request(&store, 1, None);
    another.series_instance_uid = uid("2.25.99");
    let mut no_such_set = request(&store, 1, None);
    no_such_set.image_set_id = Some("0123456789abcdef0123456789abcdef".parse().unwrap());
    let requests =
        [request(&store, 2, None), request(&other, 1, None), elsewhere, another, no_such_set];
    for request in requests {
        refused(retrieve(rig, request).await.map(drop), ErrorKind::NotFound);
    }
    let gone = DeleteImageSetRequest { datastore_id: store.clone(), image_set_id: set.clone() };
    rig.service.delete_image_set(gone).await.unwrap();
    rig.wait_active(&store, &set).await;
    refused(retrieve(rig, request(&store, 1, None)).await.map(drop), ErrorKind::NotFound);
}

pub(crate) async fn a_set_that_is_not_primary_is_seen_by_its_id_alone(rig: &Rig) {
    let (store, set) = rig.holding_non_primary(known(GREY.phantom(), 1)).await;
    let seen = retrieve(rig, request(&store, 1, Some(EXPLICIT))).await.unwrap();
    assert_eq!(seen.text(tags::ACCESSION_NUMBER).trim_end(), "PRIMARY");
    let mut named = request(&store, 1, Some(EXPLICIT));
    named.image_set_id = Some(set.clone());
    let seen = retrieve(rig, named).await.unwrap();
    assert_eq!(seen.text(tags::ACCESSION_NUMBER).trim_end(), "DEVIANT");
    let metadata = metadata(rig, &store, 1, Some(set)).await.unwrap();
    assert_eq!(metadata["00080050"], json!({"vr": "SH", "Value": ["DEVIANT"]}));
}
