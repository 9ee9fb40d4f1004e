//! What becomes of pixels.

use healthimaging::model::{RetrieveInstanceRequest, TransferSyntaxChoice};
use healthimaging::{DicomWeb, ImageSetId};
use healthimaging_local::RefusedFiles;
use healthimaging_phantoms::{Phantom, TransferSyntax, tags};
use serde_json::{Value, json};

use crate::fixture::Fixture;

const HTJ2K: &str = "1.2.840.10008.1.2.4.202";
const EXPLICIT: &str = "1.2.840.10008.1.2.1";
const BASELINE: &str = "1.2.840.10008.1.2.4.50";
const RLE: &str = "1.2.840.10008.1.2.5";

/// The only instance of the only image set, and the warnings of its import.
pub(crate) async fn only(file: Vec<u8>) -> (Fixture, ImageSetId, Value, Vec<Value>) {
    let fixture = Fixture::new().await;
    let path = fixture.put("file", &file);
    let summary = fixture.import(&path).await;
    assert_eq!(summary.refused, RefusedFiles::default(), "{summary:?}");
    let warnings = Fixture::lines(&summary, "WARNING/warning.ndjson");
    let warnings = warnings
        .iter()
        .flat_map(|line| line["importResponse"]["warnings"].as_array().unwrap().clone())
        .collect();
    let sets = fixture.image_sets().await;
    let [set] = &sets[..] else { panic!("{} image sets", sets.len()) };
    let id = set.image_set_id.clone();
    let metadata = fixture.metadata(&id).await;
    let series = metadata["Study"]["Series"].as_object().unwrap();
    let instances = series.values().next().unwrap()["Instances"].as_object().unwrap();
    let instance = instances.values().next().unwrap().clone();
    (fixture, id, instance, warnings)
}

/// 12 bits in 16, little endian: every value from 0 on, so that lowest and highest are known.
fn ramp(samples: u16) -> Vec<u8> {
    (0..samples).flat_map(u16::to_le_bytes).collect()
}

#[tokio::test]
async fn native_frames_become_htj2k_with_the_checksum_of_their_pixels() {
    let pixels = ramp(2 * 64 * 32);
    let (first, second) = pixels.split_at(64 * 32 * 2);
    let file = Phantom::mr().size(64, 32).bits(16, 12).frames(2).pixels(pixels.clone());
    let (fixture, set, instance, warnings) = only(file.build()).await;
    assert_eq!(warnings, Vec::<Value>::new());
    assert_eq!(instance["StoredTransferSyntaxUID"], HTJ2K);
    assert_eq!(instance["ChecksumType"], "DECOMPRESSED");
    let frames = instance["ImageFrames"].as_array().unwrap();
    assert_eq!(frames.len(), 2);
    for (frame, pixels, low, high) in
        [(&frames[0], first, 0, 2047), (&frames[1], second, 2048, 4095)]
    {
        let expected = json!([{"Width": 32, "Height": 64, "Checksum": crc32fast::hash(pixels)}]);
        assert_eq!(frame["PixelDataChecksumFromBaseToFullResolution"], expected);
        assert_eq!((&frame["MinPixelValue"], &frame["MaxPixelValue"]), (&json!(low), &json!(high)));
        let bytes = fixture.frame(&set, frame["ID"].as_str().unwrap()).await.unwrap();
        // SOC and SIZ markers in the last box of a JP2 file (T.800 §I.5.4, §A.4, §A.5).
        assert_eq!(bytes[77..89], *b"\0\0\0\0jp2c\xFF\x4F\xFF\x51");
        assert_eq!(frame["FrameSizeInBytes"], bytes.len());
    }
}

#[tokio::test]
async fn the_encoding_of_the_file_does_not_change_what_is_stored() {
    let file = Phantom::ct().size(32, 32).noise(20.0);
    let mut found = Vec::new();
    for syntax in [
        TransferSyntax::ExplicitVrLittleEndian,
        TransferSyntax::ImplicitVrLittleEndian,
        TransferSyntax::ExplicitVrBigEndian,
        TransferSyntax::DeflatedExplicitVrLittleEndian,
    ] {
        let (_, _, instance, warnings) = only(file.clone().transfer_syntax(syntax).build()).await;
        assert_eq!(warnings, Vec::<Value>::new(), "{syntax:?}");
        assert_eq!(instance["DICOM"]["TransferSyntaxUID"], syntax.uid());
        let frame = &instance["ImageFrames"][0];
        found.push((
            frame["PixelDataChecksumFromBaseToFullResolution"].clone(),
            frame["MinPixelValue"].clone(),
        ));
    }
    assert!(found.iter().all(|one| *one == found[0]), "{found:?}");
}

#[tokio::test]
async fn lossy_frames_are_kept_as_received() {
    let frames = vec![vec![0xFF, 0xD8, 1, 2, 0xFF, 0xD9], vec![0xFF, 0xD8, 3, 4, 0xFF, 0xD9]];
    let file = Phantom::radiograph().size(8, 8).bits(8, 8).encapsulated(BASELINE, frames.clone());
    let (fixture, set, instance, warnings) = only(file.build()).await;
    assert_eq!(warnings, Vec::<Value>::new());
    assert_eq!(instance["StoredTransferSyntaxUID"], BASELINE);
    assert_eq!(instance["ChecksumType"], "COMPRESSED");
    for (frame, bytes) in instance["ImageFrames"].as_array().unwrap().iter().zip(&frames) {
        let stored = fixture.frame(&set, frame["ID"].as_str().unwrap()).await.unwrap();
        assert_eq!(stored, *bytes);
        let sums = &frame["PixelDataChecksumFromBaseToFullResolution"][0]["Checksum"];
        assert_eq!(*sums, crc32fast::hash(bytes));
        assert_eq!(
            (&frame["MinPixelValue"], &frame["MaxPixelValue"]),
            (&Value::Null, &Value::Null)
        );
    }
}

#[tokio::test]
async fn binary_segmentations_are_kept_as_received() {
    let bits = vec![0b1010_0101; 8];
    let file = Phantom::mr().size(8, 8).bits(1, 1).pixels(bits.clone());
    let (fixture, set, instance, warnings) = only(file.build()).await;
    assert_eq!(warnings, Vec::<Value>::new());
    assert_eq!(instance["StoredTransferSyntaxUID"], EXPLICIT);
    assert_eq!(instance["ChecksumType"], "COMPRESSED");
    let id = instance["ImageFrames"][0]["ID"].as_str().unwrap();
    assert_eq!(fixture.frame(&set, id).await.unwrap(), bits);
}

#[tokio::test]
async fn what_cannot_be_decoded_is_kept_whole_with_a_warning() {
    let broken = Phantom::mr().size(8, 8).encapsulated(RLE, vec![vec![7; 70]]);
    let (fixture, set, instance, warnings) = only(broken.build()).await;
    assert_eq!(warnings.len(), 1);
    assert_eq!(warnings[0]["warning_reason_code"], 45312);
    assert_eq!(warnings[0]["type"], "TranscodingException");
    assert_eq!(instance["StoredTransferSyntaxUID"], RLE);
    let id = instance["ImageFrames"][0]["ID"].as_str().unwrap();
    let blob = fixture.frame(&set, id).await.unwrap();
    assert!(blob.windows(70).any(|window| window == [7; 70]));
    assert_eq!(instance["ImageFrames"].as_array().unwrap().len(), 1);
}

/// It is no codestream, and no file can be made of it.
#[tokio::test]
async fn damaged_htj2k_is_kept_whole_without_boxes() {
    let broken = Phantom::mr().size(8, 8).encapsulated(HTJ2K, vec![vec![7; 70]]);
    let (fixture, set, instance, warnings) = only(broken.build()).await;
    assert_eq!(warnings[0]["warning_reason_code"], 45312);
    assert_eq!(instance["StoredTransferSyntaxUID"], HTJ2K);
    let frame = &instance["ImageFrames"][0];
    let blob = fixture.frame(&set, frame["ID"].as_str().unwrap()).await.unwrap();
    assert_eq!(frame["FrameSizeInBytes"], blob.len());
    let checksum = &frame["PixelDataChecksumFromBaseToFullResolution"][0]["Checksum"];
    assert_eq!(*checksum, crc32fast::hash(&blob));
}

#[tokio::test]
async fn unknown_syntaxes_and_wrong_frame_counts_warn() {
    let unknown = Phantom::mr().size(8, 8).encapsulated("1.2.3.4.5", vec![vec![7; 8]]);
    let (.., warnings) = only(unknown.build()).await;
    assert_eq!(warnings[0]["warning_reason_code"], 45344);

    let frames = vec![vec![0xFF, 0xD8, 0xFF, 0xD9]];
    let too_few = Phantom::mr().size(8, 8).bits(8, 8).encapsulated(BASELINE, frames);
    let too_few = too_few.with(tags::NUMBER_OF_FRAMES, healthimaging_phantoms::VR::IS, "3");
    let (.., instance, warnings) = only(too_few.build()).await;
    assert_eq!(warnings[0]["warning_reason_code"], 45329);
    assert_eq!(instance["ImageFrames"], json!([]));

    // Native frames can be separated whatever Number of Frames is, and are served.
    let two = Phantom::mr().size(8, 8).bits(8, 8).unsigned().pixels(vec![5; 128]);
    let two = two.with(tags::NUMBER_OF_FRAMES, healthimaging_phantoms::VR::IS, "0");
    let (.., instance, warnings) = only(two.build()).await;
    assert_eq!(warnings[0]["warning_reason_code"], 45329);
    assert_eq!(instance["ImageFrames"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn frames_that_the_file_does_not_count_come_back_from_what_is_retrieved() {
    let three = Phantom::mr().size(8, 8).bits(8, 8).unsigned().pixels(ramp(96));
    let three = three.study_uid("2.25.1").series_uid("2.25.1.1").sop_uid("2.25.1.2");
    let zero = three.clone().with(tags::NUMBER_OF_FRAMES, healthimaging_phantoms::VR::IS, "0");
    let absent = three.without(tags::NUMBER_OF_FRAMES);
    let checksums = |instance: &Value| -> Vec<Value> {
        let frames = instance["ImageFrames"].as_array().unwrap().iter();
        frames.map(|one| one["PixelDataChecksumFromBaseToFullResolution"].clone()).collect()
    };
    for file in [zero, absent] {
        let (fixture, _, instance, _) = only(file.build()).await;
        assert_eq!(checksums(&instance).len(), 3);
        let request = RetrieveInstanceRequest {
            datastore_id: fixture.datastore.clone(),
            study_instance_uid: "2.25.1".parse().unwrap(),
            series_instance_uid: "2.25.1.1".parse().unwrap(),
            sop_instance_uid: "2.25.1.2".parse().unwrap(),
            image_set_id: None,
            transfer_syntax: TransferSyntaxChoice::Stored,
        };
        let retrieved = fixture.store.retrieve_instance(request).await.unwrap();
        assert_eq!(retrieved.transfer_syntax_uid, HTJ2K);
        let retrieved = retrieved.instance.collect(1 << 20).await.unwrap();
        let (.., again, warnings) = only(retrieved.to_vec()).await;
        assert_eq!(warnings, Vec::<Value>::new());
        assert_eq!(checksums(&again), checksums(&instance));
    }
}

#[tokio::test]
async fn short_and_empty_pixel_data_go_in_as_received() {
    let short = Phantom::mr().size(8, 8).bits(16, 12).pixels(vec![0; 100]).build();
    let (.., instance, warnings) = only(short).await;
    assert_eq!(warnings[0]["warning_reason_code"], 45328);
    let message = warnings[0]["message"].as_str().unwrap();
    assert!(message.contains("128 bytes") && message.contains("100"), "{message}");
    // The only frame is what is left of it; of several frames it is unknown which are there.
    assert_eq!(instance["ImageFrames"][0]["FrameSizeInBytes"], 100);
    assert_eq!(instance["ChecksumType"], "COMPRESSED");
    let several = Phantom::mr().size(8, 8).bits(16, 12).frames(3).pixels(vec![0; 300]).build();
    let (.., instance, warnings) = only(several).await;
    assert_eq!(warnings[0]["warning_reason_code"], 45328);
    assert_eq!(instance["ImageFrames"], json!([]));

    let empty = Phantom::mr().size(8, 8).bits(16, 12).pixels(Vec::new()).build();
    let (.., instance, warnings) = only(empty).await;
    assert_eq!(warnings[0]["warning_reason_code"], 45063);
    assert_eq!(instance["ImageFrames"], json!([]));
    assert_eq!(instance["StoredTransferSyntaxUID"], Value::Null);
}

#[tokio::test]
async fn instances_without_pixels_have_no_frames() {
    let (.., instance, warnings) = only(Phantom::report().build()).await;
    assert_eq!(warnings, Vec::<Value>::new());
    assert_eq!(instance["ImageFrames"], json!([]));
    assert_eq!(instance["StoredTransferSyntaxUID"], Value::Null);
}

#[tokio::test]
async fn planes_and_colour_come_out_interleaved() {
    let plane = |value: u8| vec![value; 64];
    let planes: Vec<u8> = [plane(10), plane(20), plane(30)].concat();
    let interleaved: Vec<u8> = [10_u8, 20, 30].repeat(64);
    let file = Phantom::ultrasound().frames(1).size(8, 8).planes().pixels(planes);
    let (.., instance, _) = only(file.build()).await;
    let sums = &instance["ImageFrames"][0]["PixelDataChecksumFromBaseToFullResolution"];
    assert_eq!(sums[0]["Checksum"], crc32fast::hash(&interleaved));
}
