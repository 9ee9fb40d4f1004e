//! DICOMweb: retrieving instances and metadata, and storing instances.

use futures::StreamExt;
use futures::stream;
use healthimaging::model::{
    CreateDatastoreRequest, DeleteImageSetRequest, DicomJson, InstanceMetadataRequest,
    LosslessStorageFormat, RetrieveInstanceRequest, SeriesMetadataRequest, StoreInstancesRequest,
    StoreInstancesResponse, TransferSyntaxChoice,
};
use healthimaging::{Body, DatastoreId, Error, ErrorKind, ImageSetId, Uid};
use healthimaging_phantoms::{Phantom, PrimitiveValue, Tag, VR, tags};
use serde_json::{Value, json};

use crate::picture::{GREY, JPEG, Picture, Sign, jpeg_phantom};
use crate::rig::image_sets::frame_id;
use crate::rig::{Rig, all_bytes, refused};

const STUDY: &str = "2.25.21";
const SERIES: &str = "2.25.21.1";
const EXPLICIT: &str = "1.2.840.10008.1.2.1";
const HTJ2K: &str = "1.2.840.10008.1.2.4.202";

/// Puts a phantom under the study and series of this file, as the instance with this number.
fn known(phantom: Phantom, number: u32) -> Phantom {
    phantom
        .study_uid(STUDY)
        .series_uid(SERIES)
        .sop_uid(&format!("{SERIES}.{number}"))
        .instance_number(number)
}

fn uid(text: &str) -> Uid {
    text.parse().unwrap()
}

fn request(store: &DatastoreId, number: u32, syntax: Option<&str>) -> RetrieveInstanceRequest {
    RetrieveInstanceRequest {
        datastore_id: store.clone(),
        study_instance_uid: uid(STUDY),
        series_instance_uid: uid(SERIES),
        sop_instance_uid: uid(&format!("{SERIES}.{number}")),
        image_set_id: None,
        transfer_syntax: match syntax {
            Some(syntax) => TransferSyntaxChoice::Uid(uid(syntax)),
            None => TransferSyntaxChoice::Stored,
        },
    }
}

/// A retrieved file, read by dicom-rs.
struct Retrieved {
    bytes: Vec<u8>,
    object: dicom_object::DefaultDicomObject,
}

impl Retrieved {
    fn text(&self, tag: Tag) -> String {
        self.object
            .element(tag)
            .unwrap()
            .to_str()
            .unwrap()
            .into_owned()
    }

    fn pixels(&self) -> Vec<u8> {
        self.object
            .element(tags::PIXEL_DATA)
            .unwrap()
            .to_bytes()
            .unwrap()
            .into_owned()
    }

    fn fragments(&self) -> Vec<Vec<u8>> {
        let value = self
            .object
            .element(tags::PIXEL_DATA)
            .unwrap()
            .value()
            .clone();
        value.fragments().unwrap().to_vec()
    }
}

async fn retrieve(rig: &Rig, request: RetrieveInstanceRequest) -> Result<Retrieved, Error> {
    let asked = request.transfer_syntax.clone();
    let answer = rig.web.retrieve_instance(request).await?;
    let bytes = all_bytes(answer.instance).await;
    assert_eq!(&bytes[128..132], b"DICM");
    let object = dicom_object::from_reader(&bytes[128..]).unwrap();
    let meta = object.meta();
    let written = meta.transfer_syntax.trim_end_matches('\0').to_owned();
    assert_eq!(written, answer.transfer_syntax_uid);
    if let TransferSyntaxChoice::Uid(asked) = asked {
        assert_eq!(written, asked.as_str());
    }
    let sop = object
        .element(tags::SOP_INSTANCE_UID)
        .unwrap()
        .to_str()
        .unwrap();
    let meta_sop = meta.media_storage_sop_instance_uid.trim_end_matches('\0');
    assert_eq!(meta_sop, sop.trim_end_matches('\0'));
    Ok(Retrieved { bytes, object })
}

pub(crate) async fn pixels_come_back_as_they_were(rig: &Rig) {
    let shapes = [
        GREY,
        Picture {
            signed: Sign::Signed,
            stored: 16,
            ..GREY
        },
        Picture {
            allocated: 8,
            stored: 8,
            rows: 7,
            columns: 9,
            ..GREY
        },
        Picture {
            allocated: 8,
            stored: 8,
            samples: 3,
            ..GREY
        },
        Picture { frames: 3, ..GREY },
    ];
    let store = rig.datastore().await;
    for (number, picture) in (1..).zip(shapes) {
        rig.put(&store, known(picture.phantom(), number)).await;
        let found = retrieve(rig, request(&store, number, Some(EXPLICIT)))
            .await
            .unwrap();
        let mut wanted = picture.all_bytes();
        wanted.resize(wanted.len().next_multiple_of(2), 0);
        assert!(found.pixels() == wanted, "{picture:?}");
        let columns: u16 = found
            .object
            .element(tags::COLUMNS)
            .unwrap()
            .to_int()
            .unwrap();
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
        assert_eq!(
            found.object.meta().transfer_syntax.trim_end_matches('\0'),
            HTJ2K
        );
        let fragments = found.fragments();
        assert_eq!(fragments.len(), 2);
        for (index, fragment) in fragments.iter().enumerate() {
            let (bytes, _) = rig.frame(&store, &set, frame_id(&instance, index)).await;
            assert_eq!(fragment[..bytes.len()], bytes);
            assert!(fragment.len() - bytes.len() <= 1 && fragment.len() % 2 == 0);
        }
    }
}

pub(crate) async fn a_syntax_that_cannot_be_made_is_not_acceptable(rig: &Rig) {
    let store = rig.datastore().await;
    rig.put(&store, known(GREY.phantom(), 1)).await;
    for syntax in ["1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.90", "1.2.3"] {
        let answer = retrieve(rig, request(&store, 1, Some(syntax)))
            .await
            .map(drop);
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
    let stored = retrieve(rig, request(&store, 1, Some("1.2.840.10008.1.2.4.90")))
        .await
        .unwrap();
    assert_eq!(stored.fragments()[0][..4], [0xff, 0x4f, 0xff, 0x51]);
    let plain = retrieve(rig, request(&store, 1, Some(EXPLICIT)))
        .await
        .unwrap();
    assert!(plain.pixels() == GREY.all_bytes());
    let other = retrieve(rig, request(&store, 1, Some(HTJ2K)))
        .await
        .map(drop);
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
    let phantom = GREY
        .describe(Phantom::ct())
        .encapsulated("1.2.3.4", vec![vec![9; 64]]);
    rig.import(&store, [("a", known(phantom, 1).build())]).await;
    let answer = rig
        .web
        .retrieve_instance(request(&store, 1, None))
        .await
        .unwrap();
    assert_eq!(answer.transfer_syntax_uid, "1.2.3.4");
    let bytes = all_bytes(answer.instance).await;
    assert!(bytes.windows(64).any(|window| window == [9; 64]));
    let explicit = rig
        .web
        .retrieve_instance(request(&store, 1, Some(EXPLICIT)))
        .await;
    refused(explicit, ErrorKind::NotAcceptable);
}

pub(crate) async fn every_attribute_comes_back(rig: &Rig) {
    let store = rig.datastore().await;
    let phantom = known(Phantom::ct(), 1)
        .size(16, 16)
        .character_set("ISO_IR 100")
        .patient("Müller^Jürgen", "P-1")
        .private(0x0019, "ACME", 0x01, VR::DS, "97")
        .private(
            0x0019,
            "ACME",
            0x02,
            VR::OB,
            PrimitiveValue::U8([1, 2, 3, 4].as_slice().into()),
        )
        .with(tags::PATIENT_ORIENTATION, VR::CS, PrimitiveValue::Empty);
    let file = phantom.clone().build();
    rig.put(&store, phantom).await;
    let found = retrieve(rig, request(&store, 1, Some(EXPLICIT)))
        .await
        .unwrap();
    let original = dicom_object::from_reader(&file[128..]).unwrap();
    let charset = tags::SPECIFIC_CHARACTER_SET;
    let wanted: Vec<_> = original
        .iter()
        .filter(|e| e.header().tag != charset)
        .collect();
    let got: Vec<_> = found
        .object
        .iter()
        .filter(|e| e.header().tag != charset)
        .collect();
    assert_eq!(got.len(), wanted.len());
    for (got, wanted) in got.iter().zip(&wanted) {
        assert_eq!(got.header().tag, wanted.header().tag);
        assert_eq!(
            got.header().vr(),
            wanted.header().vr(),
            "{}",
            wanted.header().tag
        );
        let text = |element: &dicom_object::mem::InMemElement| {
            element
                .to_str()
                .map(|text| text.trim_end_matches([' ', '\0']).to_owned())
                .ok()
        };
        if wanted.header().tag != tags::PIXEL_DATA {
            assert_eq!(text(got), text(wanted), "{}", wanted.header().tag);
        }
    }
}

pub(crate) async fn a_value_over_1_megabyte_comes_back(rig: &Rig) {
    let store = rig.datastore().await;
    let large: Vec<u8> = (0..(1 << 20) + 4)
        .map(|n: u32| n.to_le_bytes()[0])
        .collect();
    let value = PrimitiveValue::U8(large.clone().into());
    let phantom = known(GREY.phantom(), 1).private(0x0019, "ACME", 0x01, VR::OB, value);
    rig.put(&store, phantom).await;
    let found = retrieve(rig, request(&store, 1, Some(EXPLICIT)))
        .await
        .unwrap();
    let got = found
        .object
        .element(Tag(0x0019, 0x1001))
        .unwrap()
        .to_bytes()
        .unwrap()
        .into_owned();
    assert!(got == large);
}

pub(crate) async fn what_was_changed_since_comes_back_changed(rig: &Rig) {
    let store = rig.datastore().await;
    let set = rig.put(&store, known(GREY.phantom(), 1)).await;
    let change =
        crate::update::study(json!({"StudyDescription": "CHANGED", "StudyTime": "010203"}));
    rig.update(rig.update_request(&store, &set, 1, &change))
        .await;
    let found = retrieve(rig, request(&store, 1, Some(EXPLICIT)))
        .await
        .unwrap();
    assert_eq!(found.text(tags::STUDY_DESCRIPTION).trim_end(), "CHANGED");
    assert_eq!(found.text(tags::STUDY_TIME).trim_end(), "010203");
    assert!(found.pixels() == GREY.all_bytes());
    assert!(found.bytes.len() > GREY.all_bytes().len());
}

pub(crate) async fn an_object_without_pixels_comes_back(rig: &Rig) {
    let store = rig.datastore().await;
    rig.put(&store, known(Phantom::report(), 1)).await;
    let found = retrieve(rig, request(&store, 1, Some(EXPLICIT)))
        .await
        .unwrap();
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
    let requests = [
        request(&store, 2, None),
        request(&other, 1, None),
        elsewhere,
        another,
        no_such_set,
    ];
    for request in requests {
        refused(retrieve(rig, request).await.map(drop), ErrorKind::NotFound);
    }
    let gone = DeleteImageSetRequest {
        datastore_id: store.clone(),
        image_set_id: set.clone(),
    };
    rig.service.delete_image_set(gone).await.unwrap();
    rig.wait_active(&store, &set).await;
    refused(
        retrieve(rig, request(&store, 1, None)).await.map(drop),
        ErrorKind::NotFound,
    );
}

pub(crate) async fn a_set_that_is_not_primary_is_seen_by_its_id_alone(rig: &Rig) {
    let (store, set) = rig.holding_non_primary(known(GREY.phantom(), 1)).await;
    let seen = retrieve(rig, request(&store, 1, Some(EXPLICIT)))
        .await
        .unwrap();
    assert_eq!(seen.text(tags::ACCESSION_NUMBER).trim_end(), "PRIMARY");
    let mut named = request(&store, 1, Some(EXPLICIT));
    named.image_set_id = Some(set.clone());
    let seen = retrieve(rig, named).await.unwrap();
    assert_eq!(seen.text(tags::ACCESSION_NUMBER).trim_end(), "DEVIANT");
    let metadata = metadata(rig, &store, 1, Some(set)).await.unwrap();
    assert_eq!(
        metadata["00080050"],
        json!({"vr": "SH", "Value": ["DEVIANT"]})
    );
}

async fn metadata(
    rig: &Rig,
    store: &DatastoreId,
    number: u32,
    image_set_id: Option<ImageSetId>,
) -> Result<DicomJson, Error> {
    let request = InstanceMetadataRequest {
        datastore_id: store.clone(),
        study_instance_uid: uid(STUDY),
        series_instance_uid: uid(SERIES),
        sop_instance_uid: uid(&format!("{SERIES}.{number}")),
        image_set_id,
        host: String::new(),
    };
    let found = rig.web.instance_metadata(request).await?;
    let [one] = data_sets(found).await.try_into().unwrap();
    Ok(one)
}

async fn data_sets(body: Body) -> Vec<DicomJson> {
    let text = body.collect(1 << 20).await.unwrap();
    serde_json::from_slice(&text).unwrap()
}

pub(crate) async fn metadata_are_dicom_json(rig: &Rig) {
    let store = rig.datastore().await;
    let phantom = known(GREY.phantom(), 7)
        .character_set("ISO_IR 192")
        .patient("Yamada^Tarou=山田^太郎", "P-1")
        .with(tags::PIXEL_SPACING, VR::DS, "0.5\\0.25")
        .with(tags::PATIENT_ORIENTATION, VR::CS, PrimitiveValue::Empty)
        .with(
            tags::ICC_PROFILE,
            VR::OB,
            PrimitiveValue::U8([0, 1, 2, 255].as_slice().into()),
        )
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
    assert_eq!(
        found
            .get("7FE00010")
            .and_then(|pixels| pixels.get("InlineBinary")),
        None
    );
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
    rig.import(&store, [("a", slice(10)), ("b", slice(2)), ("c", slice(1))])
        .await;
    let request = SeriesMetadataRequest {
        datastore_id: store.clone(),
        study_instance_uid: uid(STUDY),
        series_instance_uid: uid(SERIES),
        image_set_id: None,
        host: String::new(),
    };
    let found = rig.web.series_metadata(request.clone()).await.unwrap();
    let found = data_sets(found).await;
    let numbers: Vec<&Value> = found
        .iter()
        .map(|one| &one["00200013"]["Value"][0])
        .collect();
    assert_eq!(numbers, [1, 2, 10]);
    assert_eq!(found[1], metadata(rig, &store, 2, None).await.unwrap());
    let missing = SeriesMetadataRequest {
        series_instance_uid: uid("2.25.99"),
        ..request
    };
    refused(rig.web.series_metadata(missing).await, ErrorKind::NotFound);
    refused(metadata(rig, &store, 77, None).await, ErrorKind::NotFound);
}

async fn store_all(
    rig: &Rig,
    store: &DatastoreId,
    study: Option<&str>,
    files: Vec<Vec<u8>>,
) -> StoreInstancesResponse {
    let bodies: Vec<_> = files.into_iter().map(|file| Ok(Body::from(file))).collect();
    let request = StoreInstancesRequest {
        datastore_id: store.clone(),
        study_instance_uid: study.map(uid),
        instances: stream::iter(bodies).boxed(),
    };
    rig.web.store_instances(request).await.unwrap()
}

pub(crate) async fn stored_instances_are_there_at_once(rig: &Rig) {
    let store = rig.datastore().await;
    let files = (1..=2)
        .map(|number| known(GREY.phantom(), number).build())
        .collect();
    let answer = store_all(rig, &store, None, files).await;
    assert_eq!(answer.failed, []);
    assert_eq!(answer.stored.len(), 2);
    for (position, stored) in answer.stored.iter().enumerate() {
        assert_eq!(stored.position, position);
        assert_eq!(stored.sop_class_uid, "1.2.840.10008.5.1.4.1.1.2");
        assert_eq!(
            stored.sop_instance_uid,
            format!("{SERIES}.{}", position + 1)
        );
        assert_eq!(stored.study_instance_uid, STUDY);
        assert_eq!(stored.series_instance_uid, SERIES);
        assert!(stored.is_primary);
        assert_eq!(stored.warning_reason, None);
    }
    assert_eq!(
        rig.found(&store, json!({})).await,
        [answer.stored[0].image_set_id.clone()]
    );
    let found = retrieve(rig, request(&store, 2, Some(EXPLICIT)))
        .await
        .unwrap();
    assert!(found.pixels() == GREY.all_bytes());
}

pub(crate) async fn each_stored_instance_has_its_own_outcome(rig: &Rig) {
    let store = rig.datastore().await;
    let files = vec![
        known(GREY.phantom(), 1).build(),
        b"not DICOM".to_vec(),
        known(GREY.phantom(), 2)
            .without(tags::SERIES_INSTANCE_UID)
            .build(),
        known(GREY.phantom(), 3).study_uid("2.25.99").build(),
    ];
    let answer = store_all(rig, &store, Some(STUDY), files).await;
    let positions: Vec<usize> = answer.stored.iter().map(|stored| stored.position).collect();
    assert_eq!(positions, [0]);
    let mut failed: Vec<_> = answer
        .failed
        .iter()
        .map(|f| (f.position, f.failure_reason))
        .collect();
    failed.sort_unstable();
    assert_eq!(failed[..2].iter().map(|f| f.0).collect::<Vec<_>>(), [1, 2]);
    // PS3.18 Annex I.2.2: C000 and above, cannot understand.
    assert!(
        (0xc000..=0xcfff).contains(&failed[0].1),
        "{:x}",
        failed[0].1
    );
    assert_eq!(failed[2], (3, 0xa900));
    let foreign = answer
        .failed
        .iter()
        .find(|failed| failed.position == 3)
        .unwrap();
    assert_eq!(foreign.sop_instance_uid.as_deref(), Some("2.25.21.1.3"));
    assert!(
        answer
            .failed
            .iter()
            .all(|failed| !failed.message.is_empty())
    );
}
