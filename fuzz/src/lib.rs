//! What several fuzz targets share.

use std::collections::BTreeMap;
use std::io::Cursor;

use healthimaging::{DatastoreId, ImageFrameId, ImageSetId};
use healthimaging_dicom::{BulkValue, Document, InstanceJson, Part10, ReadLimits, read_part10};
use healthimaging_phantoms::Phantom;
use healthimaging_pixels::{FrameShape, PixelRepresentation, PlanarConfiguration, SourceFrame, decode};

/// Bytes of a fuzz input that say what the image attributes say; the stream follows.
pub const SHAPE_LENGTH: usize = 6;

/// The image attributes, from the first bytes of an input, and the rest.
///
/// Rows, Columns, Samples per Pixel, an index into [8, 16, 32, 1] for Bits Allocated, Bits Stored, and
/// a byte of flags: bit 0 is Pixel Representation, bits 1 and 2 choose the photometric interpretation,
/// the others choose among the transfer syntaxes of a target.
pub fn shape_of(data: &[u8]) -> Option<(FrameShape, &'static str, usize, &[u8])> {
    let (&[rows, columns, samples, allocated, stored, flags], rest) = data.split_first_chunk()?;
    let shape = FrameShape {
        rows: rows.into(),
        columns: columns.into(),
        samples_per_pixel: samples.into(),
        bits_allocated: [8, 16, 32, 1][usize::from(allocated % 4)],
        bits_stored: stored.into(),
        representation: match flags & 1 {
            0 => PixelRepresentation::Unsigned,
            _ => PixelRepresentation::Signed,
        },
    };
    let photometric =
        ["MONOCHROME2", "RGB", "YBR_FULL", "YBR_FULL_422"][usize::from(flags >> 1 & 3)];
    Some((shape, photometric, usize::from(flags >> 3), rest))
}

/// Decodes an input as one of these transfer syntaxes: an error, or pixels of the promised length.
pub fn decode_as(transfer_syntaxes: &[&str], data: &[u8]) {
    let Some((shape, photometric, choice, stream)) = shape_of(data) else {
        return;
    };
    let source = SourceFrame {
        transfer_syntax: transfer_syntaxes[choice % transfer_syntaxes.len()],
        shape,
        photometric,
        planar: PlanarConfiguration::Interleaved,
        data: stream,
    };
    if let Ok(decoded) = decode(&source) {
        assert_eq!(decoded.pixels.len() as u64, shape.byte_length());
    }
}

/// Limits that keep a fuzzer fast.
pub fn limits() -> ReadLimits {
    ReadLimits {
        header_bytes: 16 << 20,
        value_bytes: 256,
        elements: 20_000,
        inflated_bytes: 1 << 20,
        ..ReadLimits::default()
    }
}

/// A file that was read, as an import splits it.
pub fn document_of<S>(file: &Part10<S>) -> Document {
    let mut split = Document::new_instance(&file.meta, file.data_set.clone());
    let _ = split.group_key();
    for (number, element) in std::mem::take(&mut split.bulk_data).into_iter().enumerate() {
        let value = BulkValue {
            blob_id: ImageFrameId::try_from(format!("{number:032x}")).unwrap(),
            length: element.length,
            vr: element.vr,
        };
        split.instance.details.bulk_data.insert(element.path, value);
    }
    let _ = (split.over_long_attributes(), split.malformed_uids());
    let mut document = Document::default();
    document.add(split);
    document
}

/// A document as the service sends it.
pub fn json(document: &Document) -> Vec<u8> {
    document
        .to_json(
            &DatastoreId::try_from("0".repeat(32)).unwrap(),
            &ImageSetId::try_from("0".repeat(32)).unwrap(),
        )
        .unwrap()
}

/// Writes the metadata of an instance as DICOMweb sends it, where the document holds it.
pub fn dicom_json(document: &Document, series_uid: &str, sop_uid: &str) {
    if let Ok(model) = InstanceJson::of(document, series_uid, sop_uid, &|_| String::new()) {
        serde_json::to_vec(&model).unwrap();
    }
}

/// The document comes back as it was, with what its JSON cannot say.
pub fn comes_back(document: &Document) {
    let read = Document::from_json(&json(document), document.details()).unwrap();
    assert!(read == *document, "the document does not come back");
}

/// A document of two instances with sequences and private elements.
pub fn two_instances() -> Document {
    let mut document = Document::default();
    for number in 1..=2 {
        let phantom = Phantom::ct()
            .size(4, 4)
            .study_uid("2.25.1")
            .series_uid("2.25.2")
            .sop_uid(&format!("2.25.3.{number}"))
            .instance_number(number);
        let file = read_part10(Cursor::new(phantom.build()), &ReadLimits::default()).unwrap();
        let mut one = document_of(&file);
        if document == Document::default() {
            document = one;
        } else {
            let series: BTreeMap<_, _> = std::mem::take(&mut one.series);
            for (uid, series) in series {
                let known = document.series.get_mut(&uid).unwrap();
                known.instances.extend(series.instances);
            }
        }
    }
    document
}
