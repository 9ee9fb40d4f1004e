//! Frames out of native and encapsulated pixel data.

use dicom_core::Tag;
use healthimaging_dicom::{FrameError, PixelLayout};
use healthimaging_image::{ByteOrder, PixelRepresentation};
use healthimaging_phantoms::{Phantom, PrimitiveValue, TransferSyntax, VR, tags};

use crate::bytes::*;

const EXTENDED_OFFSETS: Tag = Tag(0x7FE0, 0x0001);
const EXTENDED_LENGTHS: Tag = Tag(0x7FE0, 0x0002);

/// A file of `frames` frames with an encapsulated value: offset table, fragments, delimiter.
fn encapsulated(syntax: &str, frames: &str, table: &[u32], fragments: &[&[u8]]) -> Vec<u8> {
    with_tables(syntax, frames, &[], table, fragments)
}

fn with_tables(
    syntax: &str,
    frames: &str,
    before: &[u8],
    table: &[u32],
    fragments: &[&[u8]],
) -> Vec<u8> {
    let table: Vec<u8> = table.iter().flat_map(|offset| offset.to_le_bytes()).collect();
    let data_set = [
        identity(),
        picture(frames),
        before.to_vec(),
        header(Tag(0x7FE0, 0x0010), "OB", UNDEFINED),
        whole_item(&table),
        fragments.iter().flat_map(|fragment| whole_item(fragment)).collect(),
        sequence_end(),
    ]
    .concat();
    file(syntax, &data_set)
}

fn frames(bytes: &[u8]) -> Result<Vec<Vec<u8>>, FrameError> {
    let mut file = read(bytes).unwrap();
    match file.frame_problem() {
        Some(problem) => {
            assert_eq!(file.frame_count(), 0);
            assert_eq!(file.read_frame(0, 1 << 20), Err(problem.clone()));
            Err(problem)
        }
        None => (0..file.frame_count()).map(|index| file.read_frame(index, 1 << 20)).collect(),
    }
}

#[test]
fn native_frames_are_parts_of_the_value() {
    let pixels: Vec<u8> = (0..48).collect();
    let bytes = Phantom::ultrasound().size(4, 4).frames(1).rgb().pixels(pixels.clone()).build();
    assert_eq!(frames(&bytes).unwrap(), std::slice::from_ref(&pixels));
    let bytes = Phantom::ultrasound().size(2, 2).frames(4).rgb().pixels(pixels.clone()).build();
    let expected: Vec<_> = pixels.chunks(12).map(<[u8]>::to_vec).collect();
    assert_eq!(frames(&bytes).unwrap(), expected);
}

#[test]
fn bytes_in_big_endian_words_are_swapped_back_over_all_frames() {
    // PS3.5 §8.1.1: with OW two samples of 8 bits share a word. Frames of 9 bytes: the words straddle them.
    let pixels: Vec<u8> = (1..=27).collect();
    let padded = [&pixels[..], &[0]].concat();
    let words = padded.chunks(2).map(|pair| u16::from_le_bytes([pair[0], pair[1]]));
    let bytes = Phantom::ct()
        .size(3, 3)
        .bits(8, 8)
        .unsigned()
        .frames(3)
        .transfer_syntax(TransferSyntax::ExplicitVrBigEndian)
        .with(tags::PIXEL_DATA, VR::OW, PrimitiveValue::U16(words.collect()))
        .build();
    let expected: Vec<_> = pixels.chunks(9).map(<[u8]>::to_vec).collect();
    assert_eq!(frames(&bytes).unwrap(), expected);
}

#[test]
fn the_description_is_that_of_the_attributes() {
    let bytes = Phantom::ct()
        .size(6, 4)
        .bits(16, 12)
        .signed()
        .transfer_syntax(TransferSyntax::ExplicitVrBigEndian)
        .build();
    let part10 = read(&bytes).unwrap();
    let description = part10.description().unwrap();
    assert_eq!((description.rows, description.columns), (6, 4));
    assert_eq!((description.bits_allocated, description.bits_stored), (16, 12));
    assert_eq!(description.high_bit, 11);
    assert_eq!(description.representation, PixelRepresentation::Signed);
    assert_eq!(description.photometric, "MONOCHROME2");
    assert_eq!(description.number_of_frames, 1);
    assert_eq!(part10.byte_order(), ByteOrder::Big);
}

#[test]
fn frames_of_single_bits_are_moved_to_whole_bytes() {
    // PS3.5 §8.1.1: frames follow one another without padding, low bits first. Three frames of 3x3.
    let bits = |frame: u32| (0..9).map(move |bit| u32::from((frame + bit).is_multiple_of(2)));
    let mut packed = [0_u8; 4];
    for (index, bit) in (0..3).flat_map(bits).enumerate() {
        packed[index / 8] |= u8::try_from(bit).unwrap() << (index % 8);
    }
    let bytes =
        Phantom::ct().size(3, 3).bits(1, 1).unsigned().frames(3).pixels(packed.to_vec()).build();
    // Even bits set, odd bits set, even bits set.
    let expected = [vec![0b0101_0101, 1], vec![0b1010_1010, 0], vec![0b0101_0101, 1]];
    assert_eq!(frames(&bytes).unwrap(), expected);
}

#[test]
fn chroma_of_422_is_shared_by_two_pixels() {
    let pixels: Vec<u8> = (0..16).collect();
    let bytes = Phantom::ultrasound()
        .size(2, 4)
        .frames(1)
        .rgb()
        .photometric("YBR_FULL_422")
        .pixels(pixels.clone())
        .build();
    assert_eq!(frames(&bytes).unwrap(), [pixels]);
}

#[test]
fn native_pixel_data_of_another_length() {
    let of = |frames: u32, length| {
        Phantom::ct().size(4, 4).bits(16, 16).frames(frames).pixels(vec![0; length]).build()
    };
    let short = frames(&of(1, 30)).unwrap_err();
    assert_eq!(short, FrameError::Short { needed: 32, found: 30 });
    assert_eq!(short.warning_code(), Some(45328));
    // Whole frames are frames, whatever Number of Frames says of them.
    let found = |bytes: &[u8]| {
        let mut part10 = read(bytes).unwrap();
        let problem = part10.frame_mismatch();
        let last = part10.frame_count() - 1;
        assert_eq!(part10.read_frame(last, 1 << 20).unwrap().len(), 32);
        (part10.frame_count(), problem)
    };
    let fewer = FrameError::CountMismatch { declared: 3, found: 2 };
    assert_eq!(fewer.warning_code(), Some(45329));
    assert_eq!(found(&of(3, 64)), (2, Some(fewer)));
    let more = FrameError::CountMismatch { declared: 2, found: 3 };
    assert_eq!(found(&of(2, 96)), (3, Some(more)));
    assert_eq!(found(&of(2, 70)), (2, None));
    let neither = frames(&of(3, 80)).unwrap_err();
    assert_eq!(neither, FrameError::Short { needed: 96, found: 80 });
    let none = [identity(), picture("0 "), element(Tag(0x7FE0, 0x0010), "OB", &[1; 4])].concat();
    let none = file(EXPLICIT, &none);
    let none = read(&none).unwrap();
    let mismatch = FrameError::CountMismatch { declared: 0, found: 1 };
    assert_eq!((none.frame_count(), none.frame_mismatch()), (1, Some(mismatch)));
}

#[test]
fn one_fragment_a_frame() {
    let bytes = encapsulated(RLE, "2 ", &[], &[b"one.", b"two2"]);
    assert_eq!(frames(&bytes).unwrap(), [b"one.", b"two2"]);
}

#[test]
fn the_only_fragment_is_a_frame_whatever_the_number_says() {
    let bytes = encapsulated(RLE, "0 ", &[], &[b"one."]);
    assert_eq!(frames(&bytes).unwrap(), [b"one."]);
    let problem = read(&bytes).unwrap().frame_mismatch();
    assert_eq!(problem, Some(FrameError::CountMismatch { declared: 0, found: 1 }));
    let several = encapsulated(RLE, "0 ", &[], &[b"on", b"e."]);
    let problem = frames(&several).unwrap_err();
    assert_eq!(problem, FrameError::CountMismatch { declared: 0, found: 2 });
}

#[test]
fn all_fragments_are_the_only_frame() {
    let bytes = encapsulated(RLE, "1 ", &[], &[b"on", b"e.", b"1!"]);
    assert_eq!(frames(&bytes).unwrap(), [b"one.1!"]);
}

#[test]
fn the_basic_offset_table_says_where_frames_begin() {
    // Offsets count from the item tag of the first fragment: 8 + 2 + 8 + 4 bytes.
    let bytes = encapsulated(JPEG, "2 ", &[0, 22], &[b"ab", b"cdef", b"gh", b"ij"]);
    assert_eq!(frames(&bytes).unwrap(), [&b"abcdef"[..], b"ghij"]);
}

#[test]
fn a_wrong_basic_offset_table() {
    for table in [&[0, 21][..], &[2, 22], &[0, 0], &[0, 400], &[22, 0], &[0], &[0, 10, 22]] {
        let bytes = encapsulated(JPEG, "2 ", table, &[b"ab", b"cdef", b"gh", b"ij"]);
        let problem = frames(&bytes).unwrap_err();
        assert!(matches!(problem, FrameError::OffsetTable(_)), "{table:?}: {problem}");
        assert_eq!(problem.warning_code(), Some(45330));
    }
}

fn extended(offsets: &[u64], lengths: &[u64]) -> Vec<u8> {
    let bytes = |numbers: &[u64]| -> Vec<u8> {
        numbers.iter().flat_map(|number| number.to_le_bytes()).collect()
    };
    let tables = [
        element(EXTENDED_OFFSETS, "OV", &bytes(offsets)),
        element(EXTENDED_LENGTHS, "OV", &bytes(lengths)),
    ]
    .concat();
    with_tables(JPEG, "2 ", &tables, &[], &[b"abc\0", b"defghi"])
}

#[test]
fn the_extended_offset_table_gives_lengths_without_padding() {
    let bytes = extended(&[0, 12], &[3, 6]);
    assert_eq!(frames(&bytes).unwrap(), [&b"abc"[..], b"defghi"]);
    let file = read(&bytes).unwrap();
    assert!(!file.data_set.elements.contains_key(&EXTENDED_OFFSETS));
    assert!(!file.data_set.elements.contains_key(&EXTENDED_LENGTHS));
}

#[test]
fn a_wrong_extended_offset_table() {
    for (offsets, lengths) in [
        (&[0, 11][..], &[3, 6][..]),
        (&[0, 12], &[5, 6]),
        (&[0, 12], &[0, 6]),
        (&[0, 12], &[3]),
        (&[0], &[3]),
        (&[0, u64::MAX], &[3, 6]),
        (&[0, 12], &[3, u64::MAX]),
    ] {
        // Each fragment is a frame, whatever the table says.
        let bytes = extended(offsets, lengths);
        assert_eq!(frames(&bytes).unwrap(), [&b"abc\0"[..], b"defghi"]);
        let problem = read(&bytes).unwrap().frame_mismatch().unwrap();
        assert!(matches!(problem, FrameError::OffsetTable(_)), "{offsets:?} {lengths:?}");
        assert_eq!(problem.warning_code(), Some(45330));
    }
    let basic = encapsulated(RLE, "2 ", &[0], &[b"ab", b"cd"]);
    assert_eq!(frames(&basic).unwrap(), [b"ab", b"cd"]);
    assert!(read(&basic).unwrap().frame_mismatch().is_some());
}

#[test]
fn the_end_of_an_image_ends_a_frame() {
    let bytes = encapsulated(JPEG, "2 ", &[], &[b"ab", b"\xFF\xD9", b"cd\xFF\xD9\0\0"]);
    assert_eq!(frames(&bytes).unwrap(), [&b"ab\xFF\xD9"[..], b"cd\xFF\xD9\0\0"]);
    let unclear = encapsulated(JPEG, "2 ", &[], &[b"ab", b"cd", b"ef"]);
    let problem = frames(&unclear).unwrap_err();
    assert_eq!(problem, FrameError::Inseparable { fragments: 3, frames: 2 });
    assert_eq!(problem.warning_code(), Some(45328));
}

#[test]
fn numbers_of_fragments_that_cannot_be() {
    for fragments in [&[][..], &[&b"ab"[..]], &[b"ab", b"cd", b"ef", b"gh"]] {
        let bytes = encapsulated(RLE, "3 ", &[], fragments);
        let found = fragments.len() as u64;
        let problem = frames(&bytes).unwrap_err();
        assert_eq!(problem, FrameError::CountMismatch { declared: 3, found });
    }
}

#[test]
fn a_video_is_one_stream() {
    let bytes = encapsulated("1.2.840.10008.1.2.4.102", "9 ", &[], &[b"fram", b"es"]);
    assert_eq!(frames(&bytes).unwrap(), [b"frames"]);
}

#[test]
fn the_value_of_the_pixel_data_comes_byte_for_byte() {
    let bytes = encapsulated(JPEG, "2 ", &[0, 10], &[b"ab", b"cd"]);
    let value = [
        whole_item(&[0, 0, 0, 0, 10, 0, 0, 0]),
        whole_item(b"ab"),
        whole_item(b"cd"),
        sequence_end(),
    ]
    .concat();
    let mut file = read(&bytes).unwrap();
    let mut blob = Vec::new();
    assert_eq!(file.read_pixel_blob_into(&mut blob).unwrap(), value.len() as u64);
    assert_eq!(blob, value);
    let pixels = file.pixels().unwrap();
    assert!(matches!(&pixels.layout, PixelLayout::Encapsulated(found)
        if found.fragments.len() == 2 && found.basic_offsets == [0, 10]));
}

#[test]
fn limits_and_indexes() {
    let bytes = encapsulated(RLE, "2 ", &[], &[b"one.", b"two2"]);
    let mut file = read(&bytes).unwrap();
    assert_eq!(file.read_frame(1, 3), Err(FrameError::TooLarge { length: 4, limit: 3 }));
    assert_eq!(file.read_frame(2, 99), Err(FrameError::NoSuchFrame { index: 2, frames: 2 }));
    let bytes = Phantom::report().build();
    let mut file = read(&bytes).unwrap();
    assert_eq!((file.frame_count(), file.frame_problem()), (0, None));
    assert_eq!(file.read_frame(0, 99), Err(FrameError::NoPixelData));
}

#[test]
fn pixel_data_cut_anywhere_is_refused_or_warned_about() {
    let fragments: [&[u8]; 2] = [b"ab", b"cd"];
    let whole = encapsulated(JPEG, "2 ", &[0, 10], &fragments);
    let value = whole.len() - (16 + 10 + 10 + 8);
    for end in value..whole.len() {
        match read(&whole[..end]) {
            Ok(mut file) => {
                assert!(end >= value + 16, "{end}");
                assert!(file.warnings.iter().any(|w| w.warning_code().is_some()), "{end}");
                for (index, fragment) in fragments.iter().enumerate().take(file.frame_count()) {
                    assert_eq!(file.read_frame(index, 9).unwrap(), *fragment, "{end}");
                }
            }
            Err(error) => assert!(error.message().starts_with("pixel data is cut"), "{end}"),
        }
    }
}
