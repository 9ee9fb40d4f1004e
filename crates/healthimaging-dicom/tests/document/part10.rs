//! Files written from the document, read again by the reader of this crate and by dicom-rs.

use std::collections::HashMap;
use std::io::Cursor;

use dicom_core::{Tag, VR};
use dicom_object::{DefaultDicomObject, from_reader};
use healthimaging::{Error, ErrorKind, ImageFrameId, Result};
use healthimaging_dicom::{
    BulkValue, DataSet, Document, ImageFrame, InstanceToWrite, PixelOverrides, PixelSource,
    ReadLimits, Value, check_part10, read_part10, write_part10,
};
use healthimaging_phantoms::{Phantom, TransferSyntax, tags};

use crate::slice::{SERIES, SOP, document, document_with, text};

const EXPLICIT: &str = "1.2.840.10008.1.2.1";
const IMPLICIT: &str = "1.2.840.10008.1.2";
const BIG_ENDIAN: &str = "1.2.840.10008.1.2.2";
const DEFLATED: &str = "1.2.840.10008.1.2.1.99";
const HTJ2K: &str = "1.2.840.10008.1.2.4.202";

fn write(document: &Document, syntax: &str, pixels: PixelSource<'_>) -> Result<Vec<u8>> {
    write_overridden(document, syntax, pixels, PixelOverrides::default())
}

fn write_overridden(
    document: &Document,
    syntax: &str,
    pixels: PixelSource<'_>,
    overrides: PixelOverrides,
) -> Result<Vec<u8>> {
    let mut out = Vec::new();
    write_to(document, syntax, pixels, overrides, &mut out)?;
    Ok(out)
}

fn write_to(
    document: &Document,
    syntax: &str,
    pixels: PixelSource<'_>,
    overrides: PixelOverrides,
    out: &mut Vec<u8>,
) -> Result<()> {
    let (series_uid, series) = document.series.iter().next().unwrap();
    let sop_uid = series.instances.keys().next().unwrap();
    let source =
        InstanceToWrite { document, series_uid, sop_uid, transfer_syntax: syntax, overrides };
    write_part10(&source, pixels, &mut |_| Err(Error::not_found("none")), out)
}

fn native(length: usize, frames: Vec<Vec<u8>>) -> PixelSource<'static> {
    let frames = Box::new(frames.into_iter().map(|frame| Ok(frame.into())));
    PixelSource::Native { length: length as u64, frames }
}

fn dicom_rs(file: &[u8]) -> DefaultDicomObject {
    from_reader(Cursor::new(file)).unwrap()
}

fn data_set_of(file: &[u8]) -> DataSet {
    read_part10(Cursor::new(file), &ReadLimits::default()).unwrap().data_set
}

fn with_frames(sizes: &[u64]) -> Document {
    let frames = Value::Text(sizes.len().to_string());
    let mut document = document_with(0x0028_0008, VR::IS, frames);
    let instances = &mut document.series.get_mut(SERIES).unwrap().instances;
    let instance = instances.get_mut(SOP).unwrap();
    for (number, size) in sizes.iter().enumerate() {
        instance.frames.push(ImageFrame {
            id: ImageFrameId::try_from(format!("{number:032x}")).unwrap(),
            checksums: Vec::new(),
            min: None,
            max: None,
            size: *size,
        });
    }
    document
}

#[test]
fn every_phantom_comes_back_in_every_encoding() {
    for phantom in [
        Phantom::ct().size(16, 16),
        Phantom::mr().size(16, 16),
        Phantom::ultrasound().size(16, 16),
        Phantom::report(),
    ] {
        for received in [
            TransferSyntax::ExplicitVrLittleEndian,
            TransferSyntax::ImplicitVrLittleEndian,
            TransferSyntax::ExplicitVrBigEndian,
        ] {
            let file = phantom.clone().transfer_syntax(received).build();
            let mut read = read_part10(Cursor::new(&file), &ReadLimits::default()).unwrap();
            let split = Document::new_instance(&read.meta, read.data_set.clone());
            let mut document = Document::default();
            document.add(split);
            let mut blob = Vec::new();
            let length = read.read_pixel_blob_into(&mut blob).unwrap();
            for syntax in [EXPLICIT, IMPLICIT, BIG_ENDIAN, DEFLATED] {
                let pixels = match length {
                    0 => PixelSource::None,
                    length => PixelSource::Blob { length, value: Box::new(blob.as_slice()) },
                };
                let written = write(&document, syntax, pixels).unwrap();
                let mut again = read_part10(Cursor::new(&written), &ReadLimits::default()).unwrap();
                assert_eq!(again.transfer_syntax, syntax);
                assert!(again.warnings.is_empty(), "{:?}", again.warnings);
                assert_eq!(
                    comparable(again.data_set.clone()),
                    comparable(read.data_set.clone()),
                    "{syntax}"
                );
                let mut blob_again = Vec::new();
                again.read_pixel_blob_into(&mut blob_again).unwrap();
                assert_eq!(blob_again, blob);
            }
        }
    }
}

/// What an instance is, without what writing may change: group 0002, the character set, the padding,
/// and whether an empty sequence is no items or no value.
pub(crate) fn comparable(mut data_set: DataSet) -> DataSet {
    data_set.elements.retain(|tag, _| tag.group() > 2 && *tag != tags::SPECIFIC_CHARACTER_SET);
    for element in data_set.elements.values_mut() {
        match &mut element.value {
            Value::Text(text) => text.truncate(text.trim_end_matches([' ', '\0']).len()),
            Value::Bytes(bytes) if bytes.len() % 2 == 1 => bytes.push(0),
            Value::Items(items) if items.is_empty() => element.value = Value::Empty,
            Value::Items(items) => {
                let old = std::mem::take(items);
                items.extend(old.into_iter().map(comparable));
            }
            _ => {}
        }
    }
    data_set
}

#[test]
fn dicom_rs_reads_what_we_write() {
    for syntax in [EXPLICIT, IMPLICIT, BIG_ENDIAN, DEFLATED] {
        let object = dicom_rs(&write(&document(&[SOP]), syntax, PixelSource::None).unwrap());
        let text = |tag: Tag| object.element(tag).unwrap().to_str().unwrap().into_owned();
        assert_eq!(object.meta().transfer_syntax(), syntax);
        assert_eq!(object.meta().media_storage_sop_instance_uid().trim_end_matches('\0'), SOP);
        assert_eq!(text(tags::PATIENT_NAME), "DOE^JANE");
        assert_eq!(text(tags::PIXEL_SPACING), "0.7\\0.7");
        assert_eq!(object.element(tags::ROWS).unwrap().to_int::<u16>().unwrap(), 512);
        let items = object.element(tags::DERIVATION_CODE_SEQUENCE).unwrap().items().unwrap();
        assert_eq!(items[0].element(tags::CODE_VALUE).unwrap().to_str().unwrap(), "113040");
        if syntax != IMPLICIT {
            assert_eq!(object.element(Tag(0x0019, 0x1001)).unwrap().vr(), VR::DS);
        }
    }
}

#[test]
fn native_frames_lie_one_after_another() {
    let frames = vec![vec![1, 2, 3], vec![4, 5, 6]];
    let file = write(&document(&[SOP]), EXPLICIT, native(6, frames.clone())).unwrap();
    let pixels =
        dicom_rs(&file).element(tags::PIXEL_DATA).unwrap().to_bytes().unwrap().into_owned();
    assert_eq!(pixels, [1, 2, 3, 4, 5, 6]);
    assert_eq!(dicom_rs(&file).element(tags::PIXEL_DATA).unwrap().vr(), VR::OW);
    // An odd length is padded, once, at the end.
    let file = write(&document(&[SOP]), EXPLICIT, native(3, vec![vec![1, 2, 3]])).unwrap();
    assert!(file.ends_with(&[4, 0, 0, 0, 1, 2, 3, 0]));
    // A frame more or less than declared is an error.
    assert!(write(&document(&[SOP]), EXPLICIT, native(5, frames.clone())).is_err());
    assert!(write(&document(&[SOP]), EXPLICIT, native(7, frames)).is_err());
}

#[test]
fn encoded_frames_are_one_fragment_each_behind_an_offset_table() {
    let frames = vec![vec![0xA0; 5], vec![0xB0; 4], vec![0xC0; 1]];
    let document = with_frames(&[5, 4, 1]);
    let source =
        PixelSource::Frames(Box::new(frames.clone().into_iter().map(|frame| Ok(frame.into()))));
    let file = write(&document, HTJ2K, source).unwrap();
    let object = dicom_rs(&file);
    let element = object.element(tags::PIXEL_DATA).unwrap();
    assert_eq!(element.vr(), VR::OB);
    let sequence = element.value();
    // Each item: eight bytes of header, and an even value.
    assert_eq!(sequence.offset_table().unwrap(), [0, 14, 26]);
    let fragments: Vec<&[u8]> = sequence.fragments().unwrap().iter().map(Vec::as_slice).collect();
    assert_eq!(fragments, [&[0xA0, 0xA0, 0xA0, 0xA0, 0xA0, 0][..], &[0xB0; 4], &[0xC0, 0]]);
    let mut read = read_part10(Cursor::new(&file), &ReadLimits::default()).unwrap();
    assert_eq!(read.frame_count(), 3);
    assert_eq!(read.read_frame(1, 100).unwrap(), frames[1]);
}

/// PS3.5 §A.4: without Number of Frames all fragments are of one frame.
#[test]
fn several_frames_are_counted_where_the_attributes_do_not() {
    for stated in [None, Some("0")] {
        let mut document = with_frames(&[4, 4, 4]);
        let instances = &mut document.series.get_mut(SERIES).unwrap().instances;
        let attributes = &mut instances.get_mut(SOP).unwrap().attributes;
        attributes.remove("NumberOfFrames");
        if let Some(stated) = stated {
            attributes.insert("NumberOfFrames".to_owned(), stated.into());
        }
        let frames = (0..3).map(|_| Ok(vec![0xA0; 4].into()));
        let file = write(&document, HTJ2K, PixelSource::Frames(Box::new(frames))).unwrap();
        let object = dicom_rs(&file);
        let count = object.element(tags::NUMBER_OF_FRAMES).unwrap();
        assert_eq!(count.to_int::<u32>().unwrap(), 3, "{stated:?}");
        let value = object.element(tags::PIXEL_DATA).unwrap().value();
        assert_eq!(value.offset_table().unwrap(), [0, 12, 24]);
        let read = read_part10(Cursor::new(&file), &ReadLimits::default()).unwrap();
        assert_eq!(read.frame_count(), 3);
    }
}

#[test]
fn a_frame_of_another_length_is_not_passed_over() {
    let source = PixelSource::Frames(Box::new(std::iter::once(Ok(vec![0; 6].into()))));
    assert!(write(&with_frames(&[5]), HTJ2K, source).is_err());
}

#[test]
fn a_video_has_an_empty_offset_table() {
    // One stream for many frames.
    let mut document = with_frames(&[10]);
    let instances = &mut document.series.get_mut(SERIES).unwrap().instances;
    let attributes = &mut instances.get_mut(SOP).unwrap().attributes;
    attributes.insert("NumberOfFrames".to_owned(), "250".into());
    let source = PixelSource::Frames(Box::new(std::iter::once(Ok(vec![7; 10].into()))));
    let file = write(&document, "1.2.840.10008.1.2.4.102", source).unwrap();
    let object = dicom_rs(&file);
    let sequence = object.element(tags::PIXEL_DATA).unwrap().value();
    assert!(sequence.offset_table().unwrap().is_empty());
    assert_eq!(sequence.fragments().unwrap().len(), 1);
}

#[test]
fn pixels_and_transfer_syntax_go_together() {
    let frames = || PixelSource::Frames(Box::new(std::iter::once(Ok(vec![0; 4].into()))));
    for (syntax, source) in [
        (EXPLICIT, frames()),
        (HTJ2K, native(2, vec![vec![0; 2]])),
        (BIG_ENDIAN, native(2, vec![vec![0; 2]])),
    ] {
        let document = document(&[SOP]);
        let mut out = Vec::new();
        let source = write_to(&document, syntax, source, PixelOverrides::default(), &mut out);
        assert_eq!(source.unwrap_err().kind(), ErrorKind::NotAcceptable, "{syntax}");
        // A caller that streams can still answer with an error.
        assert!(out.is_empty());
    }
}

#[test]
fn a_blob_goes_as_it_came() {
    let items = b"\xFE\xFF\x00\xE0\x00\x00\x00\x00\xFE\xFF\x00\xE0\x02\x00\x00\x00\x01\x02\xFE\xFF\xDD\xE0\x00\x00\x00\x00";
    let blob = |bytes: &'static [u8]| PixelSource::Blob {
        length: bytes.len() as u64,
        value: Box::new(bytes),
    };
    let file = write(&document(&[SOP]), "1.2.3.4.5", blob(items)).unwrap();
    assert!(file.ends_with(items));
    let native: &[u8] = &[9, 8, 7, 6];
    let file = write(&document(&[SOP]), "1.2.3.4.5", blob(native)).unwrap();
    assert!(file.ends_with(&[4, 0, 0, 0, 9, 8, 7, 6]));
    // A blob that ends early is no file.
    let short = PixelSource::Blob { length: 8, value: Box::new(native) };
    assert!(write(&document(&[SOP]), EXPLICIT, short).is_err());
}

#[test]
fn decoding_may_change_what_the_pixels_are() {
    let overrides = PixelOverrides {
        photometric_interpretation: Some("RGB".to_owned()),
        planar_configuration: Some(0),
    };
    let document = document(&[SOP]);
    let file =
        write_overridden(&document, EXPLICIT, native(2, vec![vec![0; 2]]), overrides).unwrap();
    let object = dicom_rs(&file);
    let photometric = object.element(tags::PHOTOMETRIC_INTERPRETATION).unwrap();
    assert_eq!(photometric.to_str().unwrap(), "RGB");
    let planar = object.element(tags::PLANAR_CONFIGURATION).unwrap();
    assert_eq!(planar.to_int::<u16>().unwrap(), 0);
}

#[test]
fn text_beyond_ascii_is_written_in_utf_8() {
    let mut document = document_with(0x0010_0010, VR::PN, text("Buc^Jérôme"));
    let instances = &mut document.series.get_mut(SERIES).unwrap().instances;
    let attributes = &mut instances.get_mut(SOP).unwrap().attributes;
    attributes.insert("SpecificCharacterSet".to_owned(), serde_json::json!(["ISO_IR 100"]));
    let file = write(&document, EXPLICIT, PixelSource::None).unwrap();
    let read = data_set_of(&file);
    assert_eq!(read.elements[&tags::PATIENT_NAME].value, text("Buc^Jérôme"));
    assert_eq!(read.elements[&tags::SPECIFIC_CHARACTER_SET].value, text("ISO_IR 192"));
    assert!(file.windows(12).any(|bytes| bytes == "Buc^Jérôme".as_bytes()));

    document.patient.insert("PatientName".to_owned(), "Buc^Jerome".into());
    let file = write(&document, EXPLICIT, PixelSource::None).unwrap();
    let read = data_set_of(&file);
    assert_eq!(read.elements[&tags::SPECIFIC_CHARACTER_SET].value, text("ISO_IR 100"));
}

/// The length of a value has 32 bits, of which `FFFFFFFF` is the undefined length (PS3.5 §7.1.1).
#[test]
fn a_value_that_no_file_can_hold_is_noticed_before_it_is_stored() {
    let value = Value::Bulk { offset: 7, length: 8 };
    let document = document_with(0x0019_1002, VR::OB, value);
    let mut split = document.split_instance(SERIES, SOP).unwrap();
    let id = ImageFrameId::try_from("c".repeat(32)).unwrap();
    let mut with_length = |length| {
        let bulk_data = BulkValue { blob_id: id.clone(), length, vr: "OB".to_owned() };
        split.instance.details.bulk_data.insert("00191002".to_owned(), bulk_data);
        check_part10(&split)
    };
    with_length(8).unwrap();
    for length in [0xFFFF_FFFF, 0x1_0000_0000] {
        assert_eq!(with_length(length).unwrap_err().kind(), ErrorKind::NotSupported);
    }
}

#[test]
fn large_values_come_from_the_store() {
    let id = ImageFrameId::try_from("c".repeat(32)).unwrap();
    let bytes: Vec<u8> = (0..70_001_u32).map(|n| n.to_le_bytes()[0]).collect();
    let stored: HashMap<_, _> = [(id.clone(), bytes.clone())].into();
    let length = bytes.len() as u64;
    let mut document = document_with(0x0019_1002, VR::OB, Value::Bulk { offset: 7, length });
    let instances = &mut document.series.get_mut(SERIES).unwrap().instances;
    let details = &mut instances.get_mut(SOP).unwrap().details;
    let bulk_data = BulkValue { blob_id: id, length, vr: "OB".to_owned() };
    details.bulk_data.insert("00191002".to_owned(), bulk_data);
    let source = InstanceToWrite {
        document: &document,
        series_uid: SERIES,
        sop_uid: SOP,
        transfer_syntax: EXPLICIT,
        overrides: PixelOverrides::default(),
    };
    let mut fetch = |id: &ImageFrameId| {
        stored.get(id).cloned().map(Into::into).ok_or_else(|| Error::not_found("gone"))
    };
    let mut out = Vec::new();
    write_part10(&source, PixelSource::None, &mut fetch, &mut out).unwrap();
    let object = dicom_rs(&out);
    let element = object.element(Tag(0x0019, 0x1002)).unwrap();
    assert_eq!(element.vr(), VR::OB);
    assert_eq!(element.to_bytes().unwrap()[..bytes.len()], bytes);
}

#[test]
fn an_over_long_value_of_a_short_vr_is_written_as_un() {
    let long = "1.5\\".repeat(20_000) + "1.5";
    let document = document_with(0x0028_1050, VR::DS, text(&long));
    let file = write(&document, EXPLICIT, PixelSource::None).unwrap();
    let read = data_set_of(&file);
    let written = &read.elements[&tags::WINDOW_CENTER];
    assert_eq!((written.vr, &written.value), (VR::DS, &text(&(long + " "))));
}

#[test]
fn implicit_vr_is_refused_where_it_would_hide_a_sequence() {
    let items = Value::Items(vec![DataSet::default()]);
    for (tag, vr, value) in [
        (tags::PERTINENT_RESOURCES_SEQUENCE, VR::US, Value::Unsigned(vec![16])),
        (tags::STUDY_DESCRIPTION, VR::SQ, items),
    ] {
        let number = u32::from(tag.group()) << 16 | u32::from(tag.element());
        let document = document_with(number, vr, value.clone());
        let error = write(&document, IMPLICIT, PixelSource::None).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotAcceptable);
        let explicit = write(&document, EXPLICIT, PixelSource::None).unwrap();
        assert_eq!(data_set_of(&explicit).value(tag), Some(&value));
    }
}

#[test]
fn identity_in_the_file_meta_information_follows_an_update() {
    let mut document = document(&[SOP]);
    let series = document.series.get_mut(SERIES).unwrap();
    let mut instance = series.instances.remove(SOP).unwrap();
    instance.attributes.insert("SOPInstanceUID".to_owned(), "2.25.77".into());
    series.instances.insert("2.25.77".to_owned(), instance);
    let object = dicom_rs(&write(&document, EXPLICIT, PixelSource::None).unwrap());
    assert_eq!(object.meta().media_storage_sop_instance_uid().trim_end_matches('\0'), "2.25.77");
}

#[test]
fn an_instance_that_is_not_here() {
    let document = document(&[SOP]);
    let source = InstanceToWrite {
        document: &document,
        series_uid: SERIES,
        sop_uid: "2.25.404",
        transfer_syntax: EXPLICIT,
        overrides: PixelOverrides::default(),
    };
    let mut out = Vec::new();
    let error = write_part10(&source, PixelSource::None, &mut |_| Ok(Vec::new().into()), &mut out);
    assert_eq!(error.unwrap_err().kind(), ErrorKind::NotFound);
    assert!(out.is_empty());
}
