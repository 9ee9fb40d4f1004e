//! Files that declare more than they contain, and names that are traps.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{Seek, SeekFrom, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;
use std::process::Command;

use flate2::Compression;
use flate2::write::DeflateEncoder;
use healthimaging_phantoms::{Phantom, TransferSyntax, VR, tags};
use healthimaging_pixels::FrameShape;

use crate::Rig;
use crate::streams::{JPEG_2000, RLE, jpeg_2000, shape, slice};

/// Appends elements to a file without pixels, which end its data set.
fn report_with(elements: &[u8]) -> Vec<u8> {
    [&Phantom::report().build()[..], elements].concat()
}

fn private(length: u32) -> Vec<u8> {
    let mut element = vec![0x19, 0x60, 0x10, 0x10, b'O', b'B', 0, 0];
    element.extend(length.to_le_bytes());
    element
}

/// A file without pixels, followed by sequences in sequences.
fn deep(depth: usize) -> Vec<u8> {
    let open = [0x70, 0, 0x01, 0, b'S', b'Q', 0, 0, 0xff, 0xff, 0xff, 0xff];
    let item = [0xfe, 0xff, 0x00, 0xe0, 0xff, 0xff, 0xff, 0xff];
    let item_end = [0xfe, 0xff, 0x0d, 0xe0, 0, 0, 0, 0];
    let end = [0xfe, 0xff, 0xdd, 0xe0, 0, 0, 0, 0];
    let opened = [&open[..], &item].concat().repeat(depth);
    let closed = [&item_end[..], &end].concat().repeat(depth);
    report_with(&[opened, closed].concat())
}

#[test]
fn sequences_deeper_than_any_stack_and_deep_ones() {
    let rig = Rig::new();
    rig.put("100.dcm", &deep(100));
    rig.put("400.dcm", &deep(400));
    rig.put("1000000.dcm", &deep(1_000_000));
    rig.import().check(1, 2, 0);
    assert!(rig.is_sound());
}

#[test]
fn an_element_of_4_gib_that_is_not_there() {
    let rig = Rig::new();
    rig.put("private.dcm", &report_with(&private(0xffff_fffe)));
    rig.put("good.dcm", &Phantom::report().build());
    rig.import().check(1, 1, 0);
}

#[test]
fn a_hundred_thousand_elements() {
    let rig = Rig::new();
    let mut elements = Vec::new();
    for number in 0..100_000_u32 {
        // Private blocks without a creator, in ascending order, each value two bytes.
        let [low, high, more, _] = number.to_le_bytes();
        let group = 0x6001 + 2 * u16::from(more);
        elements.extend(group.to_le_bytes());
        elements.extend([low, high]);
        elements.extend([b'U', b'S', 2, 0, 1, 0]);
    }
    rig.put("many.dcm", &report_with(&elements));
    let imported = rig.import();
    assert!(imported.said.contains("1 file seen"), "{}", imported.said);
    assert!(rig.is_sound());
}

#[test]
fn a_file_that_inflates_to_more_than_a_gibibyte() {
    let rig = Rig::new();
    let plain =
        Phantom::report().transfer_syntax(TransferSyntax::DeflatedExplicitVrLittleEndian).build();
    let explicit = Phantom::report().build();
    let start = |file: &[u8]| 144 + u32::from_le_bytes(file[140..144].try_into().unwrap()) as usize;
    let mut packed = DeflateEncoder::new(plain[..start(&plain)].to_vec(), Compression::fast());
    packed.write_all(&explicit[start(&explicit)..]).unwrap();
    let length = 1_342_177_280_u32;
    packed.write_all(&private(length)).unwrap();
    let zeros = vec![0; 1 << 20];
    for _ in 0..length >> 20 {
        packed.write_all(&zeros).unwrap();
    }
    rig.put("bomb.dcm", &packed.finish().unwrap());
    rig.import().check(0, 1, 0);
}

#[test]
fn ten_gigabytes_of_nothing() {
    let rig = Rig::new();
    let ten = 10_u64 << 30;
    // No DICOM at all.
    let nothing = File::create(rig.input().join("nothing.dcm")).unwrap();
    nothing.set_len(ten).unwrap();
    // A data set, then zeros: element (0000,0000) after the last one.
    let path = rig.put("tail.dcm", &Phantom::report().build());
    File::options().write(true).open(path).unwrap().set_len(ten).unwrap();
    // A private value of almost 4 GiB that is really there.
    let path = rig.put("value.dcm", &report_with(&private(0xffff_fff0)));
    let mut file = File::options().write(true).open(path).unwrap();
    file.seek(SeekFrom::End(0xffff_fff0 - 1)).unwrap();
    file.write_all(&[0]).unwrap();
    let imported = rig.import();
    assert!(imported.said.contains("3 files seen"), "{}", imported.said);
    assert!(rig.is_sound());
}

/// A codestream whose SIZ marker segment has other sizes (ITU-T T.800 A.5.1).
fn with_size(stream: &[u8], rows: u32, columns: u32) -> Vec<u8> {
    let mut stream = stream.to_vec();
    // SOC, SIZ, its length and capabilities; then Xsiz, Ysiz, XOsiz, YOsiz, XTsiz, YTsiz.
    for at in [8, 24] {
        stream[at..at + 4].copy_from_slice(&columns.to_be_bytes());
        stream[at + 4..at + 8].copy_from_slice(&rows.to_be_bytes());
    }
    stream
}

#[test]
fn compressed_frames_that_claim_more_than_they_hold_are_kept_as_received() {
    let rig = Rig::new();
    let small = shape(64, 64);
    let stream = jpeg_2000(&small);
    let file = |number, shape: &FrameShape, syntax, frame| {
        slice(shape, number).encapsulated(syntax, vec![frame]).build()
    };
    let huge = with_size(&stream, 900_000_000, 900_000_000);
    rig.put("rows.dcm", &file(1, &small, JPEG_2000, huge));
    // Attributes and stream agree on 8 GiB; two bytes a kilopixel would do for a blank picture.
    let most = shape(65_535, 65_535);
    let agreed = with_size(&stream, 65_535, 65_535);
    rig.put("agreed.dcm", &file(2, &most, JPEG_2000, agreed));
    // 512 MiB out of some hundred bytes.
    let large = shape(16_384, 16_384);
    let agreed = with_size(&stream, 16_384, 16_384);
    rig.put("large.dcm", &file(3, &large, JPEG_2000, agreed));
    let jpeg = |rows: u16, columns: u16| {
        // SOI, SOF0 of one component, SOS: no data (ITU-T T.81 B.2).
        let [[r1, r2], [c1, c2]] = [rows.to_be_bytes(), columns.to_be_bytes()];
        let mut stream = vec![0xff, 0xd8, 0xff, 0xc3, 0, 11, 12, r1, r2, c1, c2, 1, 1, 0x11, 0];
        stream.extend([0xff, 0xda, 0, 8, 1, 1, 0, 1, 0, 0, 0xff, 0xd9]);
        stream
    };
    let syntax = "1.2.840.10008.1.2.4.70";
    rig.put("jpeg.dcm", &file(4, &large, syntax, jpeg(16_384, 16_384)));
    // Two segments whose runs are 128 bytes out of two, the most there is, and end at once.
    let mut header = [0; 64];
    header[0] = 2;
    header[4] = 64;
    header[8] = 66;
    let run = [&header[..], &[0x81, 0, 0x81, 0]].concat();
    rig.put("rle.dcm", &file(5, &most, RLE, run));
    rig.put("good.dcm", &file(6, &small, JPEG_2000, stream));
    rig.import().check(6, 0, 5);
    assert_eq!(rig.image_sets(), 6);
    assert!(rig.is_sound());
}

#[test]
fn tables_of_offsets_that_lie_and_fragments_that_hold_nothing() {
    let rig = Rig::new();
    let shape = shape(64, 64);
    let stream = jpeg_2000(&shape);
    let half = stream.len() / 4 * 2;
    let (stream, none): (&[u8], &[u8]) = (&stream, &[]);
    let (first, second) = stream.split_at(half);
    let lies: [(Vec<u32>, Vec<&[u8]>); 9] = [
        (vec![u32::MAX], vec![stream]),
        (vec![0, 0], vec![stream, stream]),
        (vec![8, 0], vec![stream, stream]),
        (vec![0, 3], vec![stream, stream]),
        (vec![0; 1000], vec![stream]),
        (vec![0], vec![none, first, none, second, none]),
        (vec![0], vec![none, none]),
        (vec![], vec![]),
        (vec![], vec![first, second]),
    ];
    let count = lies.len();
    for (number, (offsets, fragments)) in lies.into_iter().enumerate() {
        let frames = if offsets.len() == 2 { "2" } else { "1" };
        let fragments = fragments.into_iter().map(<[u8]>::to_vec).collect();
        let file = slice(&shape, number)
            .with(tags::NUMBER_OF_FRAMES, VR::IS, frames)
            .fragments(JPEG_2000, offsets, fragments);
        rig.put(&format!("{number}.dcm"), &file.build());
    }
    let imported = rig.import();
    assert!(imported.said.contains(&format!("{count} files seen")), "{}", imported.said);
    assert!(rig.is_sound());
}

#[test]
fn of_all_beginnings_of_a_file_those_that_end_with_an_element_or_in_the_pixels_go_in() {
    let rig = Rig::new();
    let shape = shape(8, 8);
    let file = slice(&shape, 1).encapsulated(JPEG_2000, vec![jpeg_2000(&shape)]).build();
    for end in 0..=file.len() {
        rig.put(&format!("{end:05}.dcm"), &file[..end]);
    }
    let imported = rig.import();
    // A file that ends behind its identity and between two elements is whole, without pixels.
    let elements = dicom_object::from_reader(&file[..]).unwrap();
    let identified = tags::SERIES_INSTANCE_UID..tags::PIXEL_DATA;
    let whole =
        elements.iter().filter(|element| identified.contains(&element.header().tag)).count();
    assert!(whole > 10, "the attributes of a picture come behind its identity");
    // One that ends within the fragments of its pixel data goes in without them, with a warning.
    let pixels = file.windows(4).position(|bytes| bytes == [0xe0, 0x7f, 0x10, 0]).unwrap();
    let table = file[pixels + 16..pixels + 20].try_into().unwrap();
    let table_end = pixels + 20 + usize::try_from(u32::from_le_bytes(table)).unwrap();
    let cut = file.len() - table_end;
    imported.check(whole + 1 + cut, file.len() - whole - cut, cut);
    assert!(rig.is_sound());
}

#[test]
fn names_and_kinds_of_files_that_are_traps() {
    let rig = Rig::new();
    let good = |number: usize| slice(&shape(4, 4), number).build();
    let input = rig.input();
    rig.put("line\nbreak \"quoted\"\t{}.dcm", &good(1));
    std::fs::write(input.join(OsStr::from_bytes(b"caf\xe9\xff.dcm")), good(2)).unwrap();
    rig.put(&"n".repeat(255), &good(3));
    rig.put("-rf", &good(4));
    symlink("/dev/zero", input.join("endless.dcm")).unwrap();
    symlink("itself", input.join("itself")).unwrap();
    symlink("..", input.join("up")).unwrap();
    let _socket = UnixListener::bind(input.join("socket")).unwrap();
    let made = |program: &str, arguments: &[&str]| {
        let status = Command::new(program).args(arguments).current_dir(&input).status();
        status.is_ok_and(|status| status.success())
    };
    assert!(made("mkfifo", &["pipe"]));
    // Only root makes devices; without, there is none to fall for.
    let _ = made("mknod", &["device", "c", "1", "5"]);
    let imported = rig.import();
    assert!(imported.said.contains(" 4 imported"), "{}", imported.said);
    assert_eq!(rig.image_sets(), 4);
    assert!(rig.is_sound());
}
