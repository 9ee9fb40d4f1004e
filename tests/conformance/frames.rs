//! Stored frames: their facts in the document, their order, their encoding, what is kept as received.

use healthimaging::ErrorKind;
use healthimaging::model::{CreateDatastoreRequest, LosslessStorageFormat};
use healthimaging_phantoms::{Phantom, PrimitiveValue, TransferSyntax, VR, tags};
use serde_json::{Value, json};

use crate::codestream::Codestream;
use crate::picture::{GREY, JPEG, Picture, Sign, jpeg_phantom, run_length};
use healthimaging_testing::rig::image_sets::frame_id;
use healthimaging_testing::rig::import::line_of;
use healthimaging_testing::rig::{Rig, refused};

/// The shapes that lossless storage must hold exactly.
const SHAPES: [Picture; 7] = [
    GREY,
    Picture { allocated: 8, stored: 8, ..GREY },
    Picture { signed: Sign::Signed, stored: 16, ..GREY },
    Picture { signed: Sign::Signed, ..GREY },
    Picture { stored: 16, rows: 1, columns: 77, ..GREY },
    Picture { allocated: 8, stored: 8, samples: 3, rows: 33, columns: 31, ..GREY },
    Picture { stored: 10, rows: 129, columns: 200, ..GREY },
];

/// Checks what the document says of a frame against the picture it shows.
fn check_facts(instance: &Value, index: u32, picture: &Picture) {
    let frame = &instance["ImageFrames"][index as usize];
    let (low, high) = picture.range();
    assert_eq!(
        frame["PixelDataChecksumFromBaseToFullResolution"],
        json!([{
            "Width": picture.columns,
            "Height": picture.rows,
            "Checksum": picture.checksum(index),
        }]),
        "{picture:?}"
    );
    assert_eq!(frame["MinPixelValue"], low, "{picture:?}");
    assert_eq!(frame["MaxPixelValue"], high, "{picture:?}");
}

async fn check_stored(rig: &Rig, picture: &Picture, phantom: Phantom) -> Codestream {
    let (store, set) = rig.holding(phantom).await;
    let instance = rig.only_instance(&store, &set).await;
    assert_eq!(instance["ChecksumType"], "DECOMPRESSED");
    assert_eq!(instance["StoredTransferSyntaxUID"], "1.2.840.10008.1.2.4.202");
    assert_eq!(instance["ImageFrames"].as_array().unwrap().len(), picture.frames as usize);
    for index in 0..picture.frames {
        check_facts(&instance, index, picture);
    }
    let (bytes, content_type) = rig.frame(&store, &set, frame_id(&instance, 0)).await;
    assert_eq!(content_type, "image/jph");
    assert_eq!(instance["ImageFrames"][0]["FrameSizeInBytes"], bytes.len());
    Codestream::read(&bytes)
}

pub(crate) async fn every_shape_has_the_checksum_and_range_of_its_pixels(rig: &Rig) {
    for picture in SHAPES {
        let stream = check_stored(rig, &picture, picture.phantom()).await;
        assert_eq!(stream.width, u32::from(picture.columns));
        assert_eq!(stream.height, u32::from(picture.rows));
        assert_eq!(stream.components.len(), picture.samples);
        for (precision, signed) in stream.components {
            assert!((picture.stored..=picture.allocated).contains(&u16::from(precision)));
            assert_eq!(signed, picture.signed == Sign::Signed, "{picture:?}");
        }
    }
}

pub(crate) async fn frames_are_htj2k_lossless_by_resolution(rig: &Rig) {
    let picture = Picture { rows: 300, columns: 517, ..GREY };
    let stream = check_stored(rig, &picture, picture.phantom()).await;
    assert!(stream.high_throughput && stream.ht_blocks);
    assert!(stream.reversible);
    assert_eq!(stream.progression, 2);
    assert_eq!(stream.block, (64, 64));
    assert!(stream.tile_part_lengths);
    let (width, height) = stream.smallest();
    assert!(width <= 64 && height <= 64, "{width} x {height}");
}

pub(crate) async fn color_is_transformed_when_it_is_rgb(rig: &Rig) {
    let picture = Picture { allocated: 8, stored: 8, samples: 3, ..GREY };
    let stream = check_stored(rig, &picture, picture.phantom()).await;
    assert!(stream.multiple_component);
}

pub(crate) async fn a_jpeg_2000_data_store_keeps_jpeg_2000(rig: &Rig) {
    let store = rig
        .datastore_as(CreateDatastoreRequest {
            lossless_storage_format: Some(LosslessStorageFormat::Jpeg2000Lossless),
            ..CreateDatastoreRequest::default()
        })
        .await;
    for (seed, picture) in (1..).zip(SHAPES) {
        let phantom = picture.describe(Phantom::ct().seed(seed)).pixels(picture.all_bytes());
        let set = rig.put(&store, phantom).await;
        let instance = rig.only_instance(&store, &set).await;
        assert_eq!(instance["StoredTransferSyntaxUID"], "1.2.840.10008.1.2.4.90");
        assert_eq!(instance["ChecksumType"], "DECOMPRESSED");
        check_facts(&instance, 0, &picture);
        let (bytes, content_type) = rig.frame(&store, &set, frame_id(&instance, 0)).await;
        assert_eq!(content_type, "image/j2c");
        assert_eq!(instance["ImageFrames"][0]["FrameSizeInBytes"], bytes.len());
        let stream = Codestream::read(&bytes);
        assert!(stream.reversible && !stream.high_throughput && !stream.ht_blocks);
    }
}

pub(crate) async fn frames_stand_in_their_order_with_ids_of_their_own(rig: &Rig) {
    let picture = Picture { frames: 7, rows: 9, columns: 11, ..GREY };
    let (store, set) = rig.holding(picture.phantom()).await;
    let instance = rig.only_instance(&store, &set).await;
    let frames = instance["ImageFrames"].as_array().unwrap();
    assert_eq!(frames.len(), 7);
    let mut ids: Vec<&str> = (0..7).map(|index| frame_id(&instance, index)).collect();
    for index in 0..7 {
        check_facts(&instance, index, &picture);
    }
    for id in &ids {
        assert_eq!(id.len(), 32);
        rig.frame(&store, &set, id).await;
    }
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), 7);
}

pub(crate) async fn planes_are_put_together(rig: &Rig) {
    let picture = Picture { allocated: 8, stored: 8, samples: 3, frames: 2, ..GREY };
    let planes: Vec<u8> = (0..2).flat_map(|frame| picture.planes(frame)).collect();
    let phantom = picture.describe(Phantom::ct()).planes().pixels(planes);
    check_stored(rig, &picture, phantom).await;
}

pub(crate) async fn big_endian_pixels_are_turned(rig: &Rig) {
    let swapped: Vec<u8> = GREY.all_bytes().chunks(2).flat_map(|pair| [pair[1], pair[0]]).collect();
    let words = swapped.chunks(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]]));
    let phantom = GREY
        .describe(Phantom::ct())
        .transfer_syntax(TransferSyntax::ExplicitVrBigEndian)
        .with(tags::PIXEL_DATA, VR::OW, PrimitiveValue::U16(words.collect()));
    let file = phantom.clone().build();
    assert!(file.windows(swapped.len()).any(|window| window == swapped));
    check_stored(rig, &GREY, phantom).await;
}

pub(crate) async fn bytes_in_big_endian_words_are_put_back_in_order(rig: &Rig) {
    // With OW two samples of 8 bits share a word, which big endian turns: PS3.5 §8.1.1.
    let picture = Picture { allocated: 8, stored: 8, rows: 3, columns: 5, frames: 3, ..GREY };
    let mut bytes = picture.all_bytes();
    bytes.push(0);
    let words = bytes.chunks(2).map(|pair| u16::from_le_bytes([pair[0], pair[1]]));
    let phantom = picture
        .describe(Phantom::ct())
        .transfer_syntax(TransferSyntax::ExplicitVrBigEndian)
        .with(tags::PIXEL_DATA, VR::OW, PrimitiveValue::U16(words.collect()));
    check_stored(rig, &picture, phantom).await;
}

pub(crate) async fn implicit_and_deflated_pixels_are_the_same(rig: &Rig) {
    for syntax in
        [TransferSyntax::ImplicitVrLittleEndian, TransferSyntax::DeflatedExplicitVrLittleEndian]
    {
        check_stored(rig, &GREY, GREY.phantom().transfer_syntax(syntax)).await;
    }
}

pub(crate) async fn run_length_frames_are_transcoded(rig: &Rig) {
    for picture in
        [Picture { frames: 3, ..GREY }, Picture { allocated: 8, stored: 8, samples: 3, ..GREY }]
    {
        let frames = (0..picture.frames).map(|frame| run_length(&picture, frame)).collect();
        let phantom = picture.describe(Phantom::ct()).encapsulated("1.2.840.10008.1.2.5", frames);
        check_stored(rig, &picture, phantom).await;
    }
}

pub(crate) async fn a_frame_in_several_fragments_is_one_frame(rig: &Rig) {
    let frame = run_length(&GREY, 0);
    let (first, second) = frame.split_at(100);
    let fragments = vec![first.to_vec(), second.to_vec()];
    let phantom = GREY.describe(Phantom::ct()).fragments("1.2.840.10008.1.2.5", vec![], fragments);
    check_stored(rig, &GREY, phantom).await;
}

pub(crate) async fn an_offset_table_says_where_frames_begin(rig: &Rig) {
    let picture = Picture { frames: 2, ..GREY };
    let frames: Vec<Vec<u8>> = (0..2).map(|frame| run_length(&picture, frame)).collect();
    let (first, second) = frames[0].split_at(64);
    let fragments = vec![first.to_vec(), second.to_vec(), frames[1].clone()];
    // Offsets count the 8 bytes of each item's tag and length: PS3.5 §A.4.
    let offset = u32::try_from(frames[0].len() + 16).unwrap();
    let phantom = picture.describe(Phantom::ct()).fragments(
        "1.2.840.10008.1.2.5",
        vec![0, offset],
        fragments,
    );
    check_stored(rig, &picture, phantom).await;
}

pub(crate) async fn jpeg_2000_and_htj2k_frames_are_decoded_and_stored_again(rig: &Rig) {
    for (format, syntax) in [
        (LosslessStorageFormat::Jpeg2000Lossless, "1.2.840.10008.1.2.4.90"),
        (LosslessStorageFormat::Htj2k, "1.2.840.10008.1.2.4.201"),
        (LosslessStorageFormat::Htj2k, "1.2.840.10008.1.2.4.202"),
    ] {
        let store = rig
            .datastore_as(CreateDatastoreRequest {
                lossless_storage_format: Some(format),
                ..CreateDatastoreRequest::default()
            })
            .await;
        let set = rig.put(&store, GREY.phantom()).await;
        let instance = rig.only_instance(&store, &set).await;
        let (bytes, _) = rig.frame(&store, &set, frame_id(&instance, 0)).await;
        let phantom = GREY.describe(Phantom::ct()).encapsulated(syntax, vec![bytes.to_vec()]);
        check_stored(rig, &GREY, phantom).await;
    }
}

pub(crate) async fn lossy_jpeg_is_kept_as_received(rig: &Rig) {
    let (store, set) = rig.holding(jpeg_phantom()).await;
    let instance = rig.only_instance(&store, &set).await;
    assert_eq!(instance["StoredTransferSyntaxUID"], "1.2.840.10008.1.2.4.50");
    assert_eq!(instance["ChecksumType"], "COMPRESSED");
    let frame = &instance["ImageFrames"][0];
    let (bytes, content_type) = rig.frame(&store, &set, frame_id(&instance, 0)).await;
    assert_eq!(bytes, JPEG);
    assert_eq!(content_type, "image/jpeg");
    assert_eq!(frame["FrameSizeInBytes"], JPEG.len());
    assert_eq!(
        frame["PixelDataChecksumFromBaseToFullResolution"],
        json!([{"Width": 8, "Height": 8, "Checksum": crc32fast::hash(JPEG)}])
    );
    assert_eq!(frame.get("MinPixelValue"), Some(&Value::Null));
    assert_eq!(frame.get("MaxPixelValue"), Some(&Value::Null));
}

pub(crate) async fn binary_segmentation_is_kept_as_received(rig: &Rig) {
    let bits: Vec<u8> = (0..24).map(|byte| byte * 11).collect();
    let phantom =
        Phantom::ct().size(8, 8).frames(3).bits(1, 1).unsigned().pixels(bits.clone()).with(
            tags::SOP_CLASS_UID,
            VR::UI,
            "1.2.840.10008.5.1.4.1.1.66.4",
        );
    let (store, set) = rig.holding(phantom).await;
    let instance = rig.only_instance(&store, &set).await;
    assert_eq!(instance["StoredTransferSyntaxUID"], "1.2.840.10008.1.2.1");
    assert_eq!(instance["ChecksumType"], "COMPRESSED");
    for (index, wanted) in bits.chunks(8).enumerate() {
        let (bytes, content_type) = rig.frame(&store, &set, frame_id(&instance, index)).await;
        assert_eq!(bytes, wanted);
        assert_eq!(content_type, "application/octet-stream");
        assert_eq!(instance["ImageFrames"][index].get("MinPixelValue"), Some(&Value::Null));
    }
}

/// Imports a file that goes in with one warning; the attribute document of its instance.
async fn warned(rig: &Rig, phantom: Phantom, code: u32, kind: &str) -> Value {
    let store = rig.datastore().await;
    let outcome = rig.import(&store, [("file.dcm", phantom.build())]).await;
    let line = line_of(&outcome.warning, "file.dcm");
    let set = outcome.only_set();
    let response = &line["importResponse"];
    assert_eq!(response["imageSetId"], set.as_str());
    assert_eq!(response["imageSetVersion"], 1);
    assert_eq!(response["isPrimary"], true);
    let warnings = response["warnings"].as_array().unwrap();
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert_eq!(warnings[0]["warning_reason_code"], code);
    assert_eq!(warnings[0]["type"], kind);
    assert!(!warnings[0]["message"].as_str().unwrap().is_empty());
    rig.only_instance(&store, &set).await
}

pub(crate) async fn an_unknown_transfer_syntax_goes_in_with_a_warning(rig: &Rig) {
    let phantom = GREY.describe(Phantom::ct()).encapsulated("1.2.3.4.5.6", vec![vec![1; 64]]);
    let instance = warned(rig, phantom, 45344, "UnsupportedTransferSyntax").await;
    assert_eq!(instance["StoredTransferSyntaxUID"], "1.2.3.4.5.6");
}

pub(crate) async fn a_frame_that_cannot_be_decoded_goes_in_with_a_warning(rig: &Rig) {
    let phantom = GREY
        .describe(Phantom::ct())
        .encapsulated("1.2.840.10008.1.2.4.90", vec![b"not a codestream".to_vec()]);
    let instance = warned(rig, phantom, 45312, "TranscodingException").await;
    assert_eq!(instance["StoredTransferSyntaxUID"], "1.2.840.10008.1.2.4.90");
}

pub(crate) async fn a_wrong_number_of_frames_goes_in_with_a_warning(rig: &Rig) {
    let frames = (0..2).map(|frame| run_length(&GREY, frame)).collect();
    let phantom = GREY.describe(Phantom::ct()).encapsulated("1.2.840.10008.1.2.5", frames).with(
        tags::NUMBER_OF_FRAMES,
        VR::IS,
        "5",
    );
    warned(rig, phantom, 45329, "FrameNumberMismatch").await;
}

pub(crate) async fn a_wrong_offset_table_goes_in_with_a_warning(rig: &Rig) {
    let picture = Picture { frames: 2, ..GREY };
    let frames = (0..2).map(|frame| run_length(&picture, frame)).collect();
    let phantom =
        picture.describe(Phantom::ct()).fragments("1.2.840.10008.1.2.5", vec![0, 13], frames);
    warned(rig, phantom, 45330, "InvalidOffsetTable").await;
}

pub(crate) async fn an_unknown_frame_is_not_found(rig: &Rig) {
    let (store, set) = rig.holding(GREY.phantom()).await;
    let other = rig.put(&store, GREY.phantom().series_uid("2.25.2").sop_uid("2.25.3")).await;
    let unknown = "0123456789abcdef0123456789abcdef";
    refused(rig.try_frame(&store, &set, unknown).await, ErrorKind::NotFound);
    let foreign = rig.only_instance(&store, &other).await;
    let foreign = frame_id(&foreign, 0);
    refused(rig.try_frame(&store, &set, foreign).await, ErrorKind::NotFound);
}

pub(crate) async fn a_frame_stays_as_it_is_when_metadata_changes(rig: &Rig) {
    let (store, set) = rig.holding(GREY.phantom()).await;
    let before = rig.only_instance(&store, &set).await;
    let frame = rig.frame(&store, &set, frame_id(&before, 0)).await;
    let change = json!({"SchemaVersion": 1.1, "Study": {"DICOM": {"StudyDescription": "NEW"}}});
    rig.update(rig.update_request(&store, &set, 1, &change)).await;
    let after = rig.only_instance(&store, &set).await;
    assert_eq!(after["ImageFrames"], before["ImageFrames"]);
    assert_eq!(rig.frame(&store, &set, frame_id(&after, 0)).await, frame);
}
