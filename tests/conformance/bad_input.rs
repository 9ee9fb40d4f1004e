//! Files that are broken, odd or hostile: each has its outcome, and none takes the store down.

use std::ffi::OsStr;
use std::fs;
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;
use std::process::Command;

use flate2::Compression;
use flate2::write::DeflateEncoder;
use healthimaging_phantoms::{Phantom, PrimitiveValue, Tag, TransferSyntax, VR, tags};
use serde_json::json;

use crate::picture::GREY;
use healthimaging_testing::rig::Rig;
use healthimaging_testing::rig::image_sets::frame_id;
use healthimaging_testing::rig::import::{Outcome, line_of, write_files};

const SECRET: &str = "SECRETNAME";

fn slice() -> Phantom {
    Phantom::ct().size(16, 16).patient(&format!("{SECRET}^{SECRET}"), &format!("{SECRET}-ID"))
}

/// Imports one file that must be refused; why it was.
async fn refusal(rig: &Rig, file: Vec<u8>) -> String {
    let store = rig.datastore().await;
    let outcome = rig.import(&store, [("file.dcm", file)]).await;
    assert_eq!(rig.found(&store, json!({})).await, []);
    let message = outcome.only_refusal().to_owned();
    assert!(!message.contains(SECRET), "patient data in: {message}");
    message
}

/// Codes of warnings as AWS prints them in decimal: BFFF, and B110 where no frame could be separated.
const OTHER: u32 = 47513;
const FRAMES_EXTRACTION_FAILURE: u32 = 45328;

/// Imports one file that must go in with this warning.
async fn warned(rig: &Rig, file: Vec<u8>, code: u32) {
    let store = rig.datastore().await;
    let outcome = rig.import(&store, [("file.dcm", file)]).await;
    outcome.only_set();
    let line = line_of(&outcome.warning, "file.dcm");
    let warnings = line["importResponse"]["warnings"].as_array().unwrap();
    assert!(warnings.iter().any(|w| w["warning_reason_code"] == code), "{warnings:?}");
}

/// Where an element of an explicit little endian file begins.
fn position(file: &[u8], tag: Tag) -> usize {
    let mut wanted = tag.group().to_le_bytes().to_vec();
    wanted.extend(tag.element().to_le_bytes());
    file.windows(4).position(|window| window == wanted).unwrap()
}

pub(crate) async fn what_is_not_dicom_is_refused(rig: &Rig) {
    let mut without_prefix = slice().build();
    without_prefix[128..132].copy_from_slice(b"DICN");
    for file in [
        Vec::new(),
        b"x".to_vec(),
        b"a text of some length, but not an image ".repeat(20),
        vec![0; 132],
        vec![0xff; 4096],
        [&[0; 128][..], b"DIC"].concat(),
        [&[0; 128][..], b"DICM"].concat(),
        [&[0; 128][..], b"DICM", &[0xff; 200]].concat(),
        without_prefix,
        b"\x89PNG\r\n\x1a\n0000IHDR".repeat(30),
    ] {
        refusal(rig, file).await;
    }
}

pub(crate) async fn a_file_without_a_required_attribute_is_refused_by_its_name(rig: &Rig) {
    for (tag, keyword) in [
        (tags::SOP_CLASS_UID, "SOPClassUID"),
        (tags::SOP_INSTANCE_UID, "SOPInstanceUID"),
        (tags::STUDY_INSTANCE_UID, "StudyInstanceUID"),
        (tags::SERIES_INSTANCE_UID, "SeriesInstanceUID"),
    ] {
        let message = refusal(rig, slice().without(tag).build()).await;
        assert_eq!(message, format!("DICOM attribute {keyword} does not exist"));
    }
}

pub(crate) async fn a_file_without_transfer_syntax_is_refused_by_its_name(rig: &Rig) {
    let mut file = slice().build();
    let at = position(&file, tags::TRANSFER_SYNTAX_UID);
    let length = 8 + u32::from(u16::from_le_bytes([file[at + 6], file[at + 7]]));
    file.drain(at..at + length as usize);
    // The group length has to follow: PS3.10 §7.1.
    let group = u32::from_le_bytes(file[140..144].try_into().unwrap()) - length;
    file[140..144].copy_from_slice(&group.to_le_bytes());
    let message = refusal(rig, file).await;
    assert_eq!(message, "DICOM attribute TransferSyntaxUID does not exist");
}

pub(crate) async fn a_file_with_file_meta_information_alone_is_refused(rig: &Rig) {
    let file = slice().build();
    let group = u32::from_le_bytes(file[140..144].try_into().unwrap());
    let message = refusal(rig, file[..144 + group as usize].to_vec()).await;
    assert_eq!(message, "DICOM attributes does not exist");
}

pub(crate) async fn an_empty_uid_is_as_bad_as_none(rig: &Rig) {
    for tag in [tags::SOP_INSTANCE_UID, tags::STUDY_INSTANCE_UID, tags::SERIES_INSTANCE_UID] {
        refusal(rig, slice().with(tag, VR::UI, PrimitiveValue::Empty).build()).await;
    }
}

pub(crate) async fn a_truncated_file_is_refused_unless_it_ends_in_its_pixels(rig: &Rig) {
    let file = GREY.describe(slice()).pixels(GREY.all_bytes()).build();
    let pixels = position(&file, tags::PIXEL_DATA);
    let name = position(&file, tags::PATIENT_NAME);
    for end in [140, 150, name + 3, name + 7, name + 12, pixels + 3, pixels + 9] {
        refusal(rig, file[..end].to_vec()).await;
    }
    for end in [pixels + 20, file.len() - GREY.all_bytes().len() / 2, file.len() - 1] {
        warned(rig, file[..end].to_vec(), OTHER).await;
    }
}

pub(crate) async fn a_file_truncated_in_its_fragments_goes_in_with_a_warning(rig: &Rig) {
    let frame = crate::picture::run_length(&GREY, 0);
    let file =
        GREY.describe(slice()).encapsulated("1.2.840.10008.1.2.5", vec![frame.clone()]).build();
    warned(rig, file[..file.len() - frame.len() / 2].to_vec(), OTHER).await;
}

pub(crate) async fn lengths_that_lie_are_refused_but_for_that_of_the_pixels(rig: &Rig) {
    let file = slice().build();
    let pixels = position(&file, tags::PIXEL_DATA);
    let name = position(&file, tags::PATIENT_NAME);
    for length in [0xffff_fffe_u32, 0x8000_0000, 0x0010_0000] {
        let mut lying = file.clone();
        lying[pixels + 8..pixels + 12].copy_from_slice(&length.to_le_bytes());
        warned(rig, lying, OTHER).await;
    }
    let mut lying = file.clone();
    lying[name + 6..name + 8].copy_from_slice(&[0xff, 0xff]);
    refusal(rig, lying).await;
    let value = PrimitiveValue::U8([0; 16].as_slice().into());
    let private = slice().private(0x0019, "ACME", 0x01, VR::UN, value).build();
    let at = position(&private, Tag(0x0019, 0x1001));
    let mut lying = private.clone();
    lying[at + 8..at + 12].copy_from_slice(&0xffff_fff0_u32.to_le_bytes());
    refusal(rig, lying).await;
}

/// A file without pixels, followed by sequences in sequences.
fn deep(depth: usize) -> Vec<u8> {
    let mut file = Phantom::report().build();
    let open = [0x70, 0, 0x01, 0, b'S', b'Q', 0, 0, 0xff, 0xff, 0xff, 0xff];
    let item = [0xfe, 0xff, 0x00, 0xe0, 0xff, 0xff, 0xff, 0xff];
    let item_end = [0xfe, 0xff, 0x0d, 0xe0, 0, 0, 0, 0];
    let end = [0xfe, 0xff, 0xdd, 0xe0, 0, 0, 0, 0];
    file.extend([&open[..], &item].concat().repeat(depth));
    file.extend([&item_end[..], &end].concat().repeat(depth));
    file
}

pub(crate) async fn sequences_without_bottom_are_refused(rig: &Rig) {
    refusal(rig, deep(1_000)).await;
    refusal(rig, deep(200_000)).await;
    let cut = deep(50_000);
    refusal(rig, cut[..cut.len() / 2].to_vec()).await;
}

pub(crate) async fn sequences_of_moderate_depth_go_in(rig: &Rig) {
    let store = rig.datastore().await;
    let outcome = rig.import(&store, [("file.dcm", deep(30))]).await;
    rig.document(&store, &outcome.only_set()).await;
}

pub(crate) async fn short_pixel_data_is_kept_as_received_with_a_warning(rig: &Rig) {
    let whole = GREY.all_bytes();
    let short = whole[..whole.len() - 100].to_vec();
    warned(rig, GREY.describe(slice()).pixels(short).build(), FRAMES_EXTRACTION_FAILURE).await;
}

pub(crate) async fn a_huge_picture_in_a_small_file_is_kept_with_a_warning(rig: &Rig) {
    let phantom = slice()
        .with(tags::ROWS, VR::US, PrimitiveValue::from(65_535_u16))
        .with(tags::COLUMNS, VR::US, PrimitiveValue::from(65_535_u16))
        .with(tags::NUMBER_OF_FRAMES, VR::IS, "2147483647");
    warned(rig, phantom.build(), FRAMES_EXTRACTION_FAILURE).await;
}

/// Exactly one outcome for the one file, which says nothing of the patient; nothing is a fault of ours.
fn check_one_outcome(outcome: &Outcome, what: &str) {
    let lines = outcome.success.len() + outcome.failure.len();
    assert_eq!(lines, 1, "{what}: {outcome:?}");
    assert_eq!(outcome.summary["numberOfFilesWithServerError"], 0, "{what}: {outcome:?}");
    for line in outcome.failure.iter().chain(&outcome.warning) {
        assert!(!line.to_string().contains(SECRET), "patient data in: {line}");
    }
}

/// Imports a file whatever becomes of it; what went in can be read.
async fn check_outcome(rig: &Rig, what: &str, phantom: Phantom) {
    let store = rig.datastore().await;
    let outcome = rig.import(&store, [("file.dcm", phantom.build())]).await;
    check_one_outcome(&outcome, what);
    for set in rig.found(&store, json!({})).await {
        let instance = rig.only_instance(&store, &set).await;
        for index in 0..instance["ImageFrames"].as_array().unwrap().len() {
            rig.frame(&store, &set, frame_id(&instance, index)).await;
        }
    }
}

pub(crate) async fn pictures_that_contradict_themselves_have_an_outcome(rig: &Rig) {
    for (tag, value) in [
        (tags::ROWS, 0_u16),
        (tags::COLUMNS, 0),
        (tags::SAMPLES_PER_PIXEL, 0),
        (tags::SAMPLES_PER_PIXEL, 2),
        (tags::SAMPLES_PER_PIXEL, 60_000),
        (tags::BITS_ALLOCATED, 0),
        (tags::BITS_ALLOCATED, 7),
        (tags::BITS_ALLOCATED, 12),
        (tags::BITS_ALLOCATED, 65_535),
        (tags::BITS_STORED, 0),
        (tags::BITS_STORED, 17),
        (tags::HIGH_BIT, 40),
        (tags::PIXEL_REPRESENTATION, 9),
    ] {
        let phantom = slice().with(tag, VR::US, PrimitiveValue::from(value));
        check_outcome(rig, &format!("{tag} {value}"), phantom).await;
    }
    for frames in ["0", "-1", "some", "99999999999", "2"] {
        let phantom = slice().with(tags::NUMBER_OF_FRAMES, VR::IS, frames);
        check_outcome(rig, &format!("{frames} frames"), phantom).await;
    }
    let nothing = PrimitiveValue::Empty;
    for (what, phantom) in [
        ("rows absent", slice().without(tags::ROWS)),
        ("rows empty", slice().with(tags::ROWS, VR::US, nothing.clone())),
        ("rows as text", slice().with(tags::ROWS, VR::LO, "many")),
        ("odd photometric", slice().photometric("NONSENSE")),
        ("no pixels", slice().without_pixels()),
        ("empty pixels", slice().with(tags::PIXEL_DATA, VR::OW, nothing)),
        ("odd charset", slice().with(tags::SPECIFIC_CHARACTER_SET, VR::CS, "NO SUCH SET")),
    ] {
        check_outcome(rig, what, phantom).await;
    }
}

pub(crate) async fn streams_of_nonsense_have_an_outcome(rig: &Rig) {
    let picture = || GREY.describe(slice());
    for syntax in [
        ".5", ".4.50", ".4.51", ".4.57", ".4.70", ".4.80", ".4.81", ".4.90", ".4.91", ".4.102",
        ".4.107", ".4.112", ".4.201", ".4.202", ".4.203", ".4.999",
    ] {
        let syntax = format!("1.2.840.10008.1.2{syntax}");
        let start_of_codestream = vec![0xff, 0x4f, 0xff, 0x51];
        for fragment in [vec![], vec![0; 70], vec![0xff; 70], start_of_codestream] {
            let what = format!("{syntax} {fragment:?}");
            check_outcome(rig, &what, picture().encapsulated(&syntax, vec![fragment])).await;
        }
        let none = picture().fragments(&syntax, vec![], vec![]);
        check_outcome(rig, &format!("{syntax} without fragments"), none).await;
    }
}

pub(crate) async fn claims_of_another_transfer_syntax_have_an_outcome(rig: &Rig) {
    for claimed in [
        "1.2.840.10008.1.2",
        "1.2.840.10008.1.2.2",
        "1.2.840.10008.1.2.1.99",
        "1.2.840.10008.1.2.4.90",
        "1.2.840.10008.1.2.5",
        "",
        "not a uid",
    ] {
        check_outcome(rig, claimed, slice().claimed_transfer_syntax(claimed)).await;
    }
}

pub(crate) async fn uids_that_are_none_have_an_outcome(rig: &Rig) {
    for text in [
        "not-a-uid",
        "../../../etc/passwd",
        "1.2.\u{0}3",
        "1..2",
        "1.2.3.4.5.6.7.8.9.0.1.2.3.4.5.6.7.8.9.0.1.2.3.4.5.6.7.8.9.0.1.2.3.4.5",
    ] {
        for tag in [tags::STUDY_INSTANCE_UID, tags::SERIES_INSTANCE_UID, tags::SOP_INSTANCE_UID] {
            let store = rig.datastore().await;
            let file = slice().with(tag, VR::UI, text).build();
            let outcome = rig.import(&store, [("file.dcm", file)]).await;
            check_one_outcome(&outcome, text);
            if let Some(line) = outcome.warning.first() {
                let warnings = line["importResponse"]["warnings"].as_array().unwrap();
                let codes: Vec<_> = warnings.iter().map(|w| &w["warning_reason_code"]).collect();
                assert!(codes.contains(&&json!(45570)), "{text}: {codes:?}");
            } else {
                assert_eq!(outcome.failure.len(), 1, "{text} went in without a remark");
            }
        }
    }
}

pub(crate) async fn values_too_long_for_their_vr_go_in_with_a_warning(rig: &Rig) {
    let store = rig.datastore().await;
    let file = slice().accession_number(&"9".repeat(300)).build();
    let outcome = rig.import(&store, [("file.dcm", file)]).await;
    let line = line_of(&outcome.warning, "file.dcm");
    let warnings = line["importResponse"]["warnings"].as_array().unwrap();
    assert!(warnings.iter().any(|w| w["warning_reason_code"] == 45571), "{warnings:?}");
}

pub(crate) async fn bytes_after_the_end_do_not_keep_a_file_out(rig: &Rig) {
    let store = rig.datastore().await;
    let file = [slice().build(), vec![0; 512]].concat();
    let outcome = rig.import(&store, [("file.dcm", file)]).await;
    outcome.only_set();
}

pub(crate) async fn a_deflate_bomb_is_refused(rig: &Rig) {
    let plain = slice().transfer_syntax(TransferSyntax::DeflatedExplicitVrLittleEndian).build();
    let explicit = slice().build();
    let start = |file: &[u8]| 144 + u32::from_le_bytes(file[140..144].try_into().unwrap()) as usize;
    let pixels = position(&explicit, tags::PIXEL_DATA);
    let mut packed = DeflateEncoder::new(plain[..start(&plain)].to_vec(), Compression::fast());
    packed.write_all(&explicit[start(&explicit)..pixels]).unwrap();
    // A private value of 1.25 GiB of zeros.
    let length = 1_342_177_280_u32;
    packed.write_all(&[0x19, 0x60, 0x10, 0x10, b'O', b'B', 0, 0]).unwrap();
    packed.write_all(&length.to_le_bytes()).unwrap();
    let zeros = vec![0; 1 << 20];
    for _ in 0..length >> 20 {
        packed.write_all(&zeros).unwrap();
    }
    let file = packed.finish().unwrap();
    assert!(file.len() < 16 << 20);
    refusal(rig, file).await;
}

pub(crate) async fn links_in_a_circle_and_to_nowhere_do_not_stop_an_import(rig: &Rig) {
    let store = rig.datastore().await;
    let folder = rig.new_folder();
    write_files(&folder, [("good.dcm", slice().build())]);
    fs::create_dir(folder.join("sub")).unwrap();
    symlink(&folder, folder.join("sub/circle")).unwrap();
    symlink("itself", folder.join("itself")).unwrap();
    symlink("nowhere", folder.join("dangling.dcm")).unwrap();
    let outcome = rig.import_folder(&store, &folder).await;
    assert_eq!(outcome.success.len(), 1);
    line_of(&outcome.success, "good.dcm");
    line_of(&outcome.failure, "dangling.dcm");
    line_of(&outcome.failure, "itself");
}

pub(crate) async fn a_link_out_of_the_folder_is_not_followed(rig: &Rig) {
    let outside = tempfile::tempdir().unwrap();
    let secret = outside.path().join("outside.dcm");
    fs::write(&secret, slice().build()).unwrap();
    let store = rig.datastore().await;
    let folder = rig.new_folder();
    write_files(&folder, [("good.dcm", Phantom::mr().size(16, 16).build())]);
    symlink(&secret, folder.join("link.dcm")).unwrap();
    symlink(outside.path(), folder.join("folder")).unwrap();
    let outcome = rig.import_folder(&store, &folder).await;
    assert_eq!(outcome.success.len(), 1, "{:?}", outcome.success);
    line_of(&outcome.success, "good.dcm");
    line_of(&outcome.failure, "link.dcm");
}

pub(crate) async fn what_is_no_ordinary_file_does_not_hang_an_import(rig: &Rig) {
    let store = rig.datastore().await;
    let folder = rig.new_folder();
    write_files(&folder, [("good.dcm", slice().build())]);
    let made = Command::new("mkfifo").arg(folder.join("pipe")).status().unwrap();
    assert!(made.success());
    let outcome = rig.import_folder(&store, &folder).await;
    assert_eq!(outcome.success.len(), 1);
    line_of(&outcome.success, "good.dcm");
}

pub(crate) async fn a_name_that_is_not_utf_8_can_be_imported(rig: &Rig) {
    let store = rig.datastore().await;
    let folder = rig.new_folder();
    let name = OsStr::from_bytes(b"caf\xe9.dcm");
    if fs::write(folder.join(name), slice().build()).is_err() {
        // This file system takes no such name, so nothing can go wrong.
        return;
    }
    let outcome = rig.import_folder(&store, &folder).await;
    outcome.only_set();
    let key = outcome.success[0]["inputFile"].as_str().unwrap();
    assert!(key.contains("/caf"), "{key}");
}

pub(crate) async fn good_files_go_in_beside_bad_ones(rig: &Rig) {
    let store = rig.datastore().await;
    let good = |number: u32| slice().sop_uid(&format!("2.25.{number}")).build();
    let truncated = slice().build()[..700].to_vec();
    let outcome = rig
        .import(
            &store,
            [
                ("0.dcm", truncated.clone()),
                ("1.dcm", good(1)),
                ("2.dcm", b"nothing".to_vec()),
                ("3.dcm", good(3)),
                ("4.dcm", truncated),
            ],
        )
        .await;
    assert_eq!(outcome.success.len(), 2);
    assert_eq!(outcome.failure.len(), 3);
    assert_eq!(outcome.set_of("1.dcm"), outcome.set_of("3.dcm"));
}
