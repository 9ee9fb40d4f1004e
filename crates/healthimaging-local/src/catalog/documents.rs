//! Between the metadata document in memory and the bytes of a version.

use std::collections::{BTreeMap, HashMap};
use std::io::{self, BufWriter, Read, Write};

use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use healthimaging::{DatastoreId, ImageFrameId, ImageSetId};
use healthimaging_dicom::{ChecksumType, Document, Instance, InstanceDetails};
use healthimaging_pixels::jp2_header_length;
use serde::{Deserialize, Serialize};

use super::content::{Content, StoredContent, damaged};
use super::cut;
use super::deflate::{self, Member};
use crate::error::{Result, StoreError};
use crate::quotas::{Quotas, within};

/// A sixth larger than with the usual effort, in a tenth of the time: each instance that joins a series
/// writes the document, or a block of it, anew.
pub(super) const EFFORT: Compression = Compression::new(3);

/// The content of a version that shows `document`.
pub(crate) fn pack(
    document: &Document,
    datastore: &DatastoreId,
    image_set: &ImageSetId,
    quotas: &Quotas,
) -> Result<Content> {
    let is_whole = document.instances().count() <= cut::MOST_WHOLE;
    let blocks = if is_whole { None } else { Some(cut::all(document)?) };
    let ((json, length), details) = if let Some(blocks) = &blocks {
        let around = document.around_instances(datastore, image_set)?.concat();
        let of_blocks = blocks.new.iter().map(|block| block.facts.length + 1);
        let length = around.len() as u64 + of_blocks.sum::<u64>();
        let mut zipper = Zipper::new();
        zipper.0.write_all(&around).map_err(|error| unwritable(&error))?;
        ((zipper.finish()?.0, length), BTreeMap::new())
    } else {
        let of_series = document.series.values().flat_map(|series| &series.instances);
        let details = of_series.map(|(sop_uid, instance)| (sop_uid.as_str(), &instance.details));
        (zipped_document(document, datastore, image_set)?, details.collect())
    };
    within(quotas.metadata_bytes, length, "bytes of the metadata of an image set")?;
    let mut numbers = HashMap::new();
    for block in blocks.iter().flat_map(|blocks| &blocks.new) {
        let uids = block.instances.iter().map(|uid| (uid.clone(), block.facts.number));
        numbers.extend(uids);
    }
    let instances = document.instance_index().map(|instance| {
        let number = numbers.get(&instance.sop_instance_uid).copied();
        (instance, number)
    });
    Ok(Content {
        document: json,
        details: zipped_details(details)?,
        attributes: document.index_attributes(),
        series_count: u32::try_from(document.series.len()).unwrap_or(u32::MAX),
        instances: instances.collect(),
        blocks,
    })
}

/// What a document cannot hold of instances, by SOP Instance UID.
pub(super) fn zipped_details(instances: BTreeMap<&str, &InstanceDetails>) -> Result<Vec<u8>> {
    let mut zipper = Zipper::new();
    let details = DetailsOut { format: FORMAT, instances };
    serde_json::to_writer(&mut zipper.0, &details).map_err(|error| unwritable(&error))?;
    Ok(zipper.finish()?.0)
}

/// What [`zipped_details`] wrote.
pub(super) fn read_details(zipped: &[u8]) -> Result<BTreeMap<String, InstanceDetails>> {
    let details: DetailsIn = serde_json::from_slice(&unzipped(zipped)?).map_err(|_| damaged())?;
    Ok(details.instances)
}

/// Every blob that a document refers to: frames, bulk data, pixel data as received.
pub(crate) fn blob_ids(document: &Document) -> impl Iterator<Item = &ImageFrameId> {
    document.instances().flat_map(|instance| {
        let frames = instance.frames.iter().map(|frame| &frame.id);
        let bulk_data = instance.details.bulk_data.values().map(|value| &value.blob_id);
        frames.chain(bulk_data).chain(&instance.details.pixel_blob)
    })
}

/// What the document cannot hold.
#[derive(Serialize)]
struct DetailsOut<'a> {
    /// First, so that [`is_current`] finds it.
    format: u32,
    /// By SOP Instance UID.
    instances: BTreeMap<&'a str, &'a InstanceDetails>,
}

#[derive(Deserialize)]
struct DetailsIn {
    instances: BTreeMap<String, InstanceDetails>,
}

/// The form of documents and details: 2 is the first with a number. Documents of form 1 show texts with
/// their padding; their details are the instances alone.
const FORMAT: u32 = 2;

/// Whether a document is stored exactly as it is served.
pub(crate) fn is_current(stored: &StoredContent) -> bool {
    if stored.blocks.is_some() {
        return false;
    }
    let mut start = [0; NUMBERED.len()];
    let read = GzDecoder::new(&stored.details[..]).read_exact(&mut start);
    read.is_ok() && is_numbered(&start)
}

/// How numbered details begin: no SOP Instance UID is called so.
const NUMBERED: &[u8] = br#"{"format":"#;

fn is_numbered(details: &[u8]) -> bool {
    details.starts_with(NUMBERED)
}

/// The document that a version shows.
pub(crate) fn unpack(stored: &StoredContent) -> Result<Document> {
    let details = unzipped(&stored.details)?;
    let json = unzipped(&stored.document)?;
    if is_numbered(&details) {
        let details: DetailsIn = serde_json::from_slice(&details).map_err(|_| damaged())?;
        let mut document = Document::from_json(&json, details.instances)?;
        cut::join(&mut document, stored.blocks.as_deref().unwrap_or_default())?;
        return Ok(document);
    }
    let details = serde_json::from_slice(&details).map_err(|_| damaged())?;
    let mut document = Document::from_json(&json, details)?;
    document.trim_texts();
    for instance in document.instances_mut() {
        count_frame_headers(instance);
    }
    Ok(document)
}

/// Frames of form 1 have the size of what is stored, without what `GetImageFrame` puts before it.
fn count_frame_headers(instance: &mut Instance) {
    let transcoded = instance.checksum_type == Some(ChecksumType::Decompressed);
    let syntax = instance.stored_transfer_syntax.as_deref().filter(|_| transcoded);
    let header = syntax.map_or(0, jp2_header_length);
    instance.details.frame_header = header;
    instance.frames.iter_mut().for_each(|frame| frame.size += header);
}

/// A document as it is served: JSON, gzip.
pub(crate) fn served(
    document: &Document,
    datastore: &DatastoreId,
    image_set: &ImageSetId,
) -> Result<Vec<u8>> {
    Ok(zipped_document(document, datastore, image_set)?.0)
}

/// A document in blocks as it is served: one gzip member.
pub(crate) fn served_blocks(
    stored: &StoredContent,
    datastore: &DatastoreId,
    image_set: &ImageSetId,
) -> Result<Vec<u8>> {
    /// Bytes of text that are not worth compressing.
    const FEW: usize = 64;
    let levels = Document::from_json(&unzipped(&stored.document)?, BTreeMap::new())?;
    let around = levels.around_instances(datastore, image_set)?;
    let blocks = stored.blocks.as_deref().unwrap_or_default();
    let pieces = blocks.iter().map(|(_, content)| content.document.len() + FEW).sum::<usize>();
    let mut member = Member::with_capacity(pieces + stored.document.len());
    let add = |text: &[u8], member: &mut Member| {
        if text.len() <= FEW {
            return member.stored(text);
        }
        let piece = deflate::compress(text, EFFORT);
        member.piece(&piece, text.len() as u64, crc32fast::hash(text));
    };
    let mut around = around.iter();
    add(around.next().ok_or_else(damaged)?, &mut member);
    let mut done = 0;
    for (uid, behind) in levels.series.keys().zip(around) {
        let of_series = blocks.get(done..).unwrap_or_default().iter();
        let of_series = of_series.take_while(|(row, _)| row.facts.series_instance_uid == *uid);
        for (number, (row, content)) in of_series.enumerate() {
            if number > 0 {
                member.stored(b",");
            }
            member.piece(&content.document, row.facts.length, row.facts.crc32);
            done += 1;
        }
        add(behind, &mut member);
    }
    if done < blocks.len() {
        return Err(damaged());
    }
    Ok(member.finish())
}

/// Fails unless the stored bytes are as they were written.
pub(crate) fn check(stored: &StoredContent) -> Result<()> {
    if !stored.checked {
        unzipped(&stored.document)?;
    }
    Ok(())
}

/// A document as JSON, gzip; with the length in bytes before compression.
fn zipped_document(
    document: &Document,
    datastore: &DatastoreId,
    image_set: &ImageSetId,
) -> Result<(Vec<u8>, u64)> {
    let mut zipper = Zipper::new();
    document.write_json(datastore, image_set, &mut zipper.0)?;
    zipper.finish()
}

/// Compresses what is written, as it comes.
struct Zipper(BufWriter<Counted>);

struct Counted {
    encoder: GzEncoder<Vec<u8>>,
    length: u64,
}

impl Zipper {
    fn new() -> Self {
        let encoder = GzEncoder::new(Vec::new(), EFFORT);
        Self(BufWriter::with_capacity(64 << 10, Counted { encoder, length: 0 }))
    }

    /// What came out, and how many bytes went in.
    fn finish(self) -> Result<(Vec<u8>, u64)> {
        let Counted { encoder, length } =
            self.0.into_inner().map_err(|error| unwritable(error.error()))?;
        Ok((encoder.finish().map_err(|error| unwritable(&error))?, length))
    }
}

impl Write for Counted {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.encoder.write(bytes)?;
        self.length += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Bytes of the text of a document without its blocks: gzip ends with the length of what it holds (RFC 1952
/// §2.3.1).
pub(crate) fn text_length(stored: &StoredContent) -> u64 {
    let length = stored.document.last_chunk().map_or(0, |last| u32::from_le_bytes(*last));
    u64::from(length)
}

/// Of our own making, so its size is not limited here.
fn unzipped(bytes: &[u8]) -> Result<Vec<u8>> {
    let mut plain = Vec::new();
    GzDecoder::new(bytes).read_to_end(&mut plain).map_err(|_| damaged())?;
    Ok(plain)
}

fn unwritable(error: &dyn std::error::Error) -> StoreError {
    StoreError::Damaged(format!("the metadata could not be written: {error}"))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde_json::json;

    use super::*;

    fn document() -> Document {
        let json = json!({
            "Patient": {"DICOM": {"PatientName": "DOE^JANE  ", "PatientSex": "F "}},
            "Study": {"DICOM": {"StudyInstanceUID": "1.2"}, "Series": {"1.2.3": {
                "DICOM": {"SeriesNumber": "3 "},
                "Instances": {"1.2.3.4": {
                    "DICOM": {"ImageComments": "x "},
                    "StoredTransferSyntaxUID": "1.2.840.10008.1.2.4.202",
                    "ChecksumType": "DECOMPRESSED",
                    "ImageFrames": [{"ID": "2".repeat(32), "FrameSizeInBytes": 1000}],
                }},
            }}},
        });
        Document::from_json(json.to_string().as_bytes(), BTreeMap::new()).unwrap()
    }

    fn zipped(bytes: &[u8]) -> Vec<u8> {
        let mut zipper = Zipper::new();
        zipper.0.write_all(bytes).unwrap();
        zipper.finish().unwrap().0
    }

    #[test]
    fn documents_of_the_first_form_are_read_as_those_of_this_one() {
        let (datastore, set) = ("0".repeat(32).parse().unwrap(), "1".repeat(32).parse().unwrap());
        let old = document();
        let stored = StoredContent {
            document: zipped(&old.to_json(&datastore, &set).unwrap()),
            details: zipped(&serde_json::to_vec(&old.details()).unwrap()),
            checked: true,
            blocks: None,
        };
        assert!(!is_current(&stored));
        let read = unpack(&stored).unwrap();
        assert_eq!(read.patient["PatientName"], "DOE^JANE");
        assert_eq!(read.series["1.2.3"].attributes["SeriesNumber"], "3 ");
        let instance = read.instance("1.2.3", "1.2.3.4").unwrap();
        assert_eq!(instance.attributes["ImageComments"], "x");
        let padded = BTreeMap::from([("00100010".to_owned(), "DOE^JANE  ".to_owned())]);
        assert_eq!(instance.details.texts, padded);
        assert_eq!((instance.frames[0].size, instance.details.frame_header), (1085, 85));

        let content = pack(&read, &datastore, &set, &Quotas::NONE).unwrap();
        assert_eq!(content.document, served(&read, &datastore, &set).unwrap());
        let Content { document, details, .. } = content;
        let stored = StoredContent { document, details, checked: true, blocks: None };
        assert!(is_current(&stored));
        assert_eq!(unpack(&stored).unwrap(), read);
    }
}
