//! Damaged files: refused or read, never a panic, never more than is there.

use std::io::{Cursor, sink};
use std::sync::LazyLock;

use dicom_core::Tag;
use healthimaging_dicom::{DataSet, ReadLimits, Value, read_part10};
use healthimaging_phantoms::{InMemDicomObject, Phantom, TransferSyntax, VR, tags};
use proptest::prelude::*;

use crate::bytes::*;

static FILES: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| {
    let ct = |syntax| {
        Phantom::ct()
            .size(8, 8)
            .signed()
            .transfer_syntax(syntax)
            .private(0x0009, "ACME", 1, VR::OB, vec![9_u8; 64])
            .with_sequence(tags::REFERENCED_STUDY_SEQUENCE, vec![InMemDicomObject::new_empty(); 3])
            .build()
    };
    let odd = [
        element(Tag(0x0008, 0x0005), "CS", b"ISO 2022 IR 13\\ISO 2022 IR 87 "),
        identity(),
        element(Tag(0x0010, 0x0010), "PN", b"\xD4\xCF=\x1B$B;3ED\x1B(J^\x1B$)C\xFB\xF3^\x1B$(D0!"),
        header(Tag(0x0009, 0x1000), "UN", UNDEFINED),
        item(0xE000, UNDEFINED, &implicit(Tag(0x0028, 0x0120), b"ab")),
        item(0xE00D, 0, &[]),
        sequence_end(),
        picture("2 "),
        element(Tag(0x7FE0, 0x0001), "OV", &[[0; 8], [12, 0, 0, 0, 0, 0, 0, 0]].concat()),
        element(Tag(0x7FE0, 0x0002), "OV", &[[4, 0, 0, 0, 0, 0, 0, 0]; 2].concat()),
        header(Tag(0x7FE0, 0x0010), "OB", UNDEFINED),
        whole_item(&[0, 0, 0, 0, 12, 0, 0, 0]),
        whole_item(b"ab\xFF\xD9"),
        whole_item(b"cd\xFF\xD9"),
        sequence_end(),
    ]
    .concat();
    vec![
        ct(TransferSyntax::ExplicitVrLittleEndian),
        ct(TransferSyntax::ImplicitVrLittleEndian),
        ct(TransferSyntax::ExplicitVrBigEndian),
        ct(TransferSyntax::DeflatedExplicitVrLittleEndian),
        file(JPEG, &odd),
        file(BIG_ENDIAN, &odd),
        Phantom::ct().size(3, 3).bits(1, 1).frames(3).unsigned().build(),
    ]
});

/// Bytes of all values in memory.
fn held(data_set: &DataSet) -> usize {
    data_set
        .elements
        .values()
        .map(|element| match &element.value {
            Value::Text(text) => text.len(),
            Value::Bytes(bytes) => bytes.len(),
            Value::Items(items) => items.iter().map(held).sum(),
            _ => 0,
        })
        .sum()
}

/// Reads everything there is to read.
fn exhaust(bytes: &[u8], limits: &ReadLimits) {
    let Ok(mut file) = read_part10(Cursor::new(bytes), limits) else {
        return;
    };
    // Text may take three times its bytes in UTF-8, and a deflated file may grow.
    let deflated = file.transfer_syntax.ends_with(".99");
    assert!(deflated || held(&file.data_set) <= 3 * bytes.len());
    let _ = file.description();
    for index in 0..file.frame_count().min(100) {
        let frame = file.read_frame(index, 1 << 20);
        assert!(deflated || frame.is_ok_and(|frame| frame.len() <= bytes.len()));
    }
    let _ = file.read_pixel_blob_into(&mut sink());
    let bulk_data: Vec<_> = file
        .data_set
        .elements
        .values()
        .filter_map(|element| match element.value {
            Value::Bulk { offset, length } => Some((offset, length)),
            _ => None,
        })
        .collect();
    for (offset, length) in bulk_data {
        assert_eq!(file.read_bulk(offset, length).unwrap().len() as u64, length);
    }
}

fn small() -> ReadLimits {
    ReadLimits { value_bytes: 16, ..ReadLimits::default() }
}

#[test]
fn the_files_are_read_when_whole() {
    for (index, bytes) in FILES.iter().enumerate() {
        let read = read_part10(Cursor::new(bytes), &small());
        assert!(read.is_ok(), "file {index}");
    }
}

#[test]
fn every_truncation() {
    for bytes in FILES.iter() {
        for end in 0..bytes.len() {
            exhaust(&bytes[..end], &small());
        }
    }
}

#[test]
fn every_byte_at_its_extremes() {
    for bytes in FILES.iter() {
        let mut bytes = bytes.clone();
        for index in 128..bytes.len() {
            let before = bytes[index];
            for wrong in [0, 1, 0x7F, 0x80, 0xFE, 0xFF, before ^ 1] {
                bytes[index] = wrong;
                exhaust(&bytes, &small());
            }
            bytes[index] = before;
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn random_damage(
        file in 0_usize..7,
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..12),
        end in any::<prop::sample::Index>(),
        cut in any::<bool>(),
    ) {
        let mut bytes = FILES[file].clone();
        for (at, byte) in damage {
            let at = at.index(bytes.len() - 132) + 132;
            bytes[at] = byte;
        }
        if cut {
            bytes.truncate(end.index(bytes.len()));
        }
        exhaust(&bytes, &small());
    }

    #[test]
    fn any_bytes_as_a_data_set(
        data in prop::collection::vec(any::<u8>(), 0..400),
        syntax in prop::sample::select(vec![EXPLICIT, IMPLICIT, BIG_ENDIAN, JPEG]),
    ) {
        exhaust(&file(syntax, &data), &small());
        exhaust(&file(syntax, &[identity(), data].concat()), &small());
    }
}
