//! Values of every VR, in every encoding.

use dicom_core::{Tag, VR};
use healthimaging_dicom::{ReadLimits, ReadWarning, Value, read_part10};
use healthimaging_phantoms::{InMemDicomObject, Phantom, PrimitiveValue, TransferSyntax, tags};
use std::io::Cursor;

use crate::bytes::*;

#[test]
fn every_encoding_gives_the_same_values() {
    let build = |syntax| {
        Phantom::ct()
            .patient("DOE^JANE", "MRN-1")
            .size(8, 6)
            .signed()
            .transfer_syntax(syntax)
            .with(tags::PIXEL_PADDING_VALUE, VR::SS, PrimitiveValue::from(-2000_i16))
            .with(
                tags::RECOMMENDED_DISPLAY_FRAME_RATE_IN_FLOAT,
                VR::FL,
                PrimitiveValue::from(0.5_f32),
            )
            .with(tags::REFERENCE_PIXEL_X0, VR::SL, PrimitiveValue::from(-70_000_i32))
            .with(tags::EXPOSURE_TIME_INMS, VR::FD, PrimitiveValue::from(-0.1_f64))
            .with(tags::FRAME_INCREMENT_POINTER, VR::AT, PrimitiveValue::from(tags::FRAME_TIME))
            .with_sequence(
                tags::REFERENCED_STUDY_SEQUENCE,
                vec![InMemDicomObject::from_element_iter([dicom_core::DataElement::new(
                    tags::REFERENCED_SOP_INSTANCE_UID,
                    VR::UI,
                    PrimitiveValue::from("2.25.7"),
                )])],
            )
            .build()
    };
    for syntax in [
        TransferSyntax::ImplicitVrLittleEndian,
        TransferSyntax::ExplicitVrLittleEndian,
        TransferSyntax::ExplicitVrBigEndian,
        TransferSyntax::DeflatedExplicitVrLittleEndian,
    ] {
        let bytes = build(syntax);
        let file = read(&bytes).unwrap();
        assert_eq!(file.transfer_syntax, syntax.uid());
        assert_eq!(file.warnings, []);
        let data_set = &file.data_set;
        assert_eq!(data_set.text(tags::PATIENT_NAME), Some("DOE^JANE"));
        assert_eq!(value(data_set, 0x0028, 0x0010), &Value::Unsigned(vec![8]));
        assert_eq!(value(data_set, 0x0028, 0x0120), &Value::Signed(vec![-2000]), "{syntax:?}");
        assert_eq!(data_set.elements[&tags::PIXEL_PADDING_VALUE].vr, VR::SS);
        assert_eq!(
            data_set.value(tags::RECOMMENDED_DISPLAY_FRAME_RATE_IN_FLOAT),
            Some(&Value::Float(vec![0.5]))
        );
        assert_eq!(data_set.value(tags::REFERENCE_PIXEL_X0), Some(&Value::Signed(vec![-70_000])));
        assert_eq!(data_set.value(tags::EXPOSURE_TIME_INMS), Some(&Value::Double(vec![-0.1])));
        assert_eq!(
            data_set.value(tags::FRAME_INCREMENT_POINTER),
            Some(&Value::Tags(vec![Tag(0x0018, 0x1063)]))
        );
        let Some(Value::Items(items)) = data_set.value(tags::REFERENCED_STUDY_SEQUENCE) else {
            panic!("no sequence")
        };
        assert_eq!(items[0].text(tags::REFERENCED_SOP_INSTANCE_UID), Some("2.25.7"));
        assert!(data_set.value(tags::PIXEL_DATA).is_none());
    }
}

#[test]
fn padding_spaces_stay_and_nuls_go() {
    let data_set = read_elements(
        &[
            element(Tag(0x0008, 0x1030), "LO", b"A "),
            element(Tag(0x0010, 0x0020), "LO", b""),
            element(Tag(0x0020, 0x0010), "SH", b"\0\0"),
            element(Tag(0x0028, 0x0030), "DS", b"0.7\\0.7 "),
        ]
        .concat(),
    );
    assert_eq!(value(&data_set, 0x0008, 0x1030), &Value::Text("A ".into()));
    assert_eq!(value(&data_set, 0x0010, 0x0020), &Value::Empty);
    assert_eq!(value(&data_set, 0x0020, 0x0010), &Value::Empty);
    assert_eq!(value(&data_set, 0x0028, 0x0030), &Value::Text("0.7\\0.7 ".into()));
    assert_eq!(value(&data_set, 0x0008, 0x0018), &Value::Text("2.25.3".into()));
}

#[test]
fn group_lengths_go() {
    let data_set = read_elements(&element(Tag(0x0028, 0x0000), "UL", &[4, 0, 0, 0]));
    assert!(!data_set.elements.contains_key(&Tag(0x0028, 0x0000)));
}

#[test]
fn odd_lengths_are_read_as_they_are() {
    let data_set = read_elements(
        &[element(Tag(0x0008, 0x1030), "LO", b"ODD"), element(Tag(0x0010, 0x0020), "LO", b"1")]
            .concat(),
    );
    assert_eq!(data_set.text(tags::STUDY_DESCRIPTION), Some("ODD"));
    assert_eq!(data_set.text(tags::PATIENT_ID), Some("1"));
}

#[test]
fn an_unknown_value_of_undefined_length_is_an_implicit_sequence() {
    // PS3.5 §6.2.2, note 4.
    let inner = implicit(Tag(0x0009, 0x1001), b"ab");
    let items = [item(0xE000, UNDEFINED, &inner), item(0xE00D, 0, &[]), sequence_end()].concat();
    let sequence = [header(Tag(0x0009, 0x1000), "UN", UNDEFINED), items].concat();
    let data_set = read_elements(&sequence);
    let element = &data_set.elements[&Tag(0x0009, 0x1000)];
    assert_eq!(element.vr, VR::SQ);
    let Value::Items(items) = &element.value else { panic!("{element:?}") };
    assert_eq!(value(&items[0], 0x0009, 0x1001), &Value::Bytes(b"ab".to_vec()));
}

#[test]
fn standard_elements_of_unknown_vr_have_that_of_the_dictionary() {
    let data_set = read_elements(
        &[
            element(Tag(0x0010, 0x0020), "UN", b"MRN1"),
            element(Tag(0x0028, 0x0103), "UN", &[1, 0]),
            element(Tag(0x0028, 0x0120), "UN", &[0xFF, 0xFF]),
            element(Tag(0x0009, 0x1000), "UN", b"left"),
        ]
        .concat(),
    );
    assert_eq!(data_set.elements[&tags::PATIENT_ID].vr, VR::LO);
    assert_eq!(data_set.text(tags::PATIENT_ID), Some("MRN1"));
    assert_eq!(value(&data_set, 0x0028, 0x0120), &Value::Signed(vec![-1]));
    assert_eq!(value(&data_set, 0x0009, 0x1000), &Value::Bytes(b"left".to_vec()));
}

#[test]
fn a_standard_sequence_of_unknown_vr_is_read_where_it_is_one() {
    let inner = implicit(Tag(0x0008, 0x0100), b"CODE");
    let data_set = read_elements(
        &[
            element(Tag(0x0008, 0x1032), "UN", &whole_item(&inner)),
            element(Tag(0x0008, 0x1084), "UN", b"no items at all."),
            element(Tag(0x0008, 0x1110), "UN", b""),
        ]
        .concat(),
    );
    let Value::Items(items) = value(&data_set, 0x0008, 0x1032) else { panic!("no items") };
    assert_eq!(items[0].text(tags::CODE_VALUE), Some("CODE"));
    let bytes = Value::Bytes(b"no items at all.".to_vec());
    assert_eq!(value(&data_set, 0x0008, 0x1084), &bytes);
    assert_eq!(value(&data_set, 0x0008, 0x1110), &Value::Items(vec![]));
}

#[test]
fn an_encapsulated_icon_is_left_out_with_a_warning() {
    let icon = [
        header(Tag(0x7FE0, 0x0010), "OB", UNDEFINED),
        whole_item(b""),
        whole_item(b"icon"),
        sequence_end(),
    ]
    .concat();
    let data_set = [identity(), element(Tag(0x0088, 0x0200), "SQ", &whole_item(&icon))].concat();
    let bytes = file(JPEG, &data_set);
    let file = read(&bytes).unwrap();
    assert_eq!(file.warnings, [ReadWarning::NestedFragments(tags::PIXEL_DATA)]);
    assert!(file.pixels().is_none());
    let Value::Items(items) = value(&file.data_set, 0x0088, 0x0200) else { panic!("no items") };
    assert!(items[0].elements.is_empty());
}

#[test]
fn private_creators_in_implicit_vr_are_text() {
    let uid = |group, element, value: &[u8]| implicit(Tag(group, element), value);
    let data_set = [
        uid(0x0008, 0x0016, b"1.2.840.10008.5.1.4.1.1.7\0"),
        uid(0x0008, 0x0018, b"2.25.3"),
        uid(0x0009, 0x0010, b"ACME"),
        uid(0x0009, 0x1001, b"97"),
        uid(0x0020, 0x000D, b"2.25.1"),
        uid(0x0020, 0x000E, b"2.25.2"),
    ]
    .concat();
    let bytes = file(IMPLICIT, &data_set);
    let data_set = read(&bytes).unwrap().data_set;
    assert_eq!(data_set.elements[&Tag(0x0009, 0x0010)].vr, VR::LO);
    assert_eq!(value(&data_set, 0x0009, 0x1001), &Value::Bytes(b"97".to_vec()));
}

#[test]
fn a_data_set_not_in_the_encoding_declared_is_read_with_a_warning() {
    let explicit = file(IMPLICIT, &identity());
    let read_it = read(&explicit).unwrap();
    assert_eq!(read_it.warnings, [ReadWarning::Encoding { found: "explicit" }]);
    assert_eq!(read_it.data_set.text(tags::SOP_INSTANCE_UID), Some("2.25.3"));
}

#[test]
fn of_an_element_that_comes_twice_the_first_is_kept() {
    let twice = [
        identity(),
        element(Tag(0x0010, 0x0020), "LO", b"A1"),
        element(Tag(0x0010, 0x0020), "LO", b"B2"),
    ]
    .concat();
    let bytes = file(EXPLICIT, &twice);
    let file = read(&bytes).unwrap();
    assert_eq!(file.data_set.text(tags::PATIENT_ID), Some("A1"));
    assert_eq!(file.warnings, [ReadWarning::Duplicate(tags::PATIENT_ID)]);
    assert_eq!(file.warnings[0].warning_code(), Some(45062));
}

#[test]
fn numbers_that_do_not_fill_their_length_are_left_out_with_a_warning() {
    let odd = [identity(), element(Tag(0x0028, 0x0010), "US", &[5, 0, 9])].concat();
    let bytes = file(EXPLICIT, &odd);
    let file = read(&bytes).unwrap();
    assert_eq!(value(&file.data_set, 0x0028, 0x0010), &Value::Unsigned(vec![5]));
    assert_eq!(file.warnings, [ReadWarning::ValueLength(tags::ROWS)]);
}

#[test]
fn large_binary_values_are_bulk_data_in_little_endian() {
    let limits = ReadLimits { value_bytes: 4, ..ReadLimits::default() };
    for (syntax, in_file) in [
        (TransferSyntax::ExplicitVrLittleEndian, [1_u8, 0, 2, 0, 3, 0]),
        (TransferSyntax::ExplicitVrBigEndian, [0, 1, 0, 2, 0, 3]),
        (TransferSyntax::DeflatedExplicitVrLittleEndian, [1, 0, 2, 0, 3, 0]),
    ] {
        let tag = tags::RED_PALETTE_COLOR_LOOKUP_TABLE_DATA;
        let bytes = Phantom::report()
            .transfer_syntax(syntax)
            .with(tag, VR::OW, PrimitiveValue::U16([1, 2, 3][..].into()))
            .build();
        if syntax != TransferSyntax::DeflatedExplicitVrLittleEndian {
            assert!(bytes.windows(6).any(|window| window == in_file));
        }
        let mut file = read_part10(Cursor::new(bytes), &limits).unwrap();
        let Some(&Value::Bulk { offset, length }) = file.data_set.value(tag) else {
            panic!("not bulk data: {syntax:?}")
        };
        assert_eq!(length, 6);
        assert_eq!(file.read_bulk(offset, length).unwrap(), [1, 0, 2, 0, 3, 0]);
    }
}

#[test]
fn bytes_after_the_data_set_are_left_out_with_a_warning() {
    let pixels = element(Tag(0x7FE0, 0x0010), "OB", &[1, 2, 3, 4]);
    for trailing in [&b"JUNKJUNKJUNKJUNK"[..], &[0; 100], &[0; 3], b"x"] {
        let data_set = [identity(), picture("1 "), pixels.clone(), trailing.to_vec()].concat();
        let bytes = file(EXPLICIT, &data_set);
        let mut file = read(&bytes).unwrap();
        let length = trailing.len() as u64;
        let position = bytes.len() as u64 - length;
        let are_zero = trailing.iter().all(|&byte| byte == 0);
        assert_eq!(file.warnings, [ReadWarning::TrailingBytes { position, length, are_zero }]);
        assert_eq!(file.warnings[0].warning_code(), (!are_zero).then_some(45062));
        assert_eq!(file.read_frame(0, 4).unwrap(), [1, 2, 3, 4]);
    }
}

#[test]
fn elements_after_the_pixel_data_are_kept() {
    let data_set = [
        identity(),
        picture("1 "),
        element(Tag(0x7FE0, 0x0010), "OB", &[1, 2, 3, 4]),
        element(Tag(0xFFFC, 0xFFFC), "OB", &[0; 6]),
    ]
    .concat();
    let bytes = file(EXPLICIT, &data_set);
    let file = read(&bytes).unwrap();
    assert_eq!(file.warnings, []);
    assert_eq!(value(&file.data_set, 0xFFFC, 0xFFFC), &Value::Bytes(vec![0; 6]));
}
