//! What two files of one instance are compared by: their elements without padding, and their decoded frames.

use std::collections::BTreeMap;
use std::io::{self, BufReader, Seek as _, Write};

use sha2::{Digest as _, Sha256};

use healthimaging::{MemoryBudget, Result};
use healthimaging_dicom::{
    DataSet, Part10, ReadError, ReadLimits, Value, key_of_json, read_part10,
};
use healthimaging_pixels::{Decoder, FrameShape, SourceFrame};

use crate::deidentify::{Spool, blocking, unreadable, unspooled};

/// Memory for a header; one that needs more is read again with more.
const HEADER: u64 = 8 << 20;

/// Bytes of a frame as stored, and of its pixels.
const LARGEST: u64 = 1 << 30;

type Hash = [u8; 32];

/// What an instance consists of.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Facts {
    /// Study, Series and SOP Instance UID.
    pub(super) uids: [String; 3],
    elements: BTreeMap<String, Hash>,
    pixels: Vec<Hash>,
}

impl Facts {
    /// Reads the file of an instance.
    ///
    /// # Errors
    /// `Internal` if it is not a DICOM file, or cannot be read.
    pub(super) async fn of(spool: Spool, decoder: Decoder) -> Result<Self> {
        for bytes in [HEADER, ReadLimits::default().header_bytes] {
            let lease = MemoryBudget::process().document(bytes).await;
            let (mut spool, decoder) = (spool.clone(), decoder.clone());
            let read = blocking(move || {
                let most = ReadLimits::default();
                let limits =
                    ReadLimits { header_bytes: lease.bytes().min(most.header_bytes), ..most };
                spool.rewind().map_err(unspooled)?;
                match read_part10(BufReader::new(spool), &limits) {
                    Ok(file) => Self::of_file(file, &decoder).map(Some),
                    Err(ReadError::TooLarge { limit }) if limit < most.header_bytes => Ok(None),
                    Err(error) => Err(unreadable(error)),
                }
            });
            if let Some(facts) = read.await? {
                return Ok(facts);
            }
        }
        Err(unreadable("the header takes too much memory"))
    }

    fn of_file(mut file: Part10<BufReader<Spool>>, decoder: &Decoder) -> Result<Self> {
        let data_set = std::mem::take(&mut file.data_set);
        let uid = |tag| data_set.text(tag).unwrap_or_default().to_owned();
        let tags = [(0x0020, 0x000D), (0x0020, 0x000E), (0x0008, 0x0018)];
        let uids = tags.map(|(group, element)| uid(dicom_core::Tag(group, element)));
        let mut elements = BTreeMap::new();
        for (tag, element) in &data_set.elements {
            let mut hash = Sha256::new();
            hash_value(&element.value, &mut hash, &mut file)?;
            let digits = format!("{:04X}{:04X}", tag.group(), tag.element());
            let name = key_of_json(&digits).unwrap_or(digits);
            elements.insert(name, hash.finalize().into());
        }
        // The description of the pixels is read from it.
        file.data_set = data_set;
        Ok(Self { uids, elements, pixels: pixels(&mut file, decoder)? })
    }

    /// Whether the decoded pixels are the same.
    pub(super) fn has_pixels_of(&self, other: &Self) -> bool {
        self.pixels == other.pixels
    }

    /// Keywords of the elements that differ, or that only one has.
    pub(super) fn differences(&self, other: &Self) -> Vec<String> {
        let (own, others) = (&self.elements, &other.elements);
        let differing = own.iter().filter(|(name, hash)| others.get(*name) != Some(hash));
        let added = others.keys().filter(|name| !own.contains_key(*name));
        differing.map(|(name, _)| name).chain(added).cloned().collect()
    }
}

/// Hashes a value without the padding that has no meaning (PS3.5 section 6.2).
fn hash_value(value: &Value, hash: &mut Sha256, file: &mut Part10<BufReader<Spool>>) -> Result<()> {
    match value {
        Value::Empty => {}
        Value::Text(text) => {
            let parts: Vec<&str> =
                text.split('\\').map(|part| part.trim_matches([' ', '\0'])).collect();
            hash.update(parts.join("\\"));
        }
        Value::Bytes(bytes) => hash.update(bytes.strip_suffix(&[0]).unwrap_or(bytes)),
        Value::Bulk { offset, length } => {
            let mut out = HashWriter::default();
            file.read_bulk_into(*offset, *length, &mut out).map_err(unspooled)?;
            hash.update(out.0.finalize());
        }
        Value::Items(items) => {
            for DataSet { elements } in items {
                hash.update(b"item");
                for (tag, element) in elements {
                    hash.update(format!("{tag}"));
                    hash_value(&element.value, hash, file)?;
                }
            }
        }
        numbers => hash.update(format!("{numbers:?}")),
    }
    Ok(())
}

/// Hashes of the decoded frames; of the pixel data as stored where that cannot be decoded.
fn pixels(file: &mut Part10<BufReader<Spool>>, decoder: &Decoder) -> Result<Vec<Hash>> {
    if file.pixels().is_none() {
        return Ok(Vec::new());
    }
    if let Some(decoded) = decoded(file, decoder)? {
        return Ok(decoded);
    }
    let mut out = HashWriter::default();
    file.read_pixel_blob_into(&mut out).map_err(unspooled)?;
    Ok(vec![out.0.finalize().into()])
}

fn decoded(file: &mut Part10<BufReader<Spool>>, decoder: &Decoder) -> Result<Option<Vec<Hash>>> {
    let Ok(description) = file.description() else { return Ok(None) };
    let shape = FrameShape::from(&description);
    if shape.byte_length() > LARGEST {
        return Ok(None);
    }
    let _lease = MemoryBudget::process().work_blocking(shape.byte_length().saturating_mul(3));
    let mut hashes = Vec::new();
    for index in 0..file.frame_count() {
        let Ok(data) = file.read_frame(index, LARGEST) else { return Ok(None) };
        let source = SourceFrame {
            transfer_syntax: &file.pixel_syntax,
            shape,
            photometric: &description.photometric,
            planar: description.planar,
            data: &data,
        };
        match decoder.decode(&source) {
            Ok(frame) => hashes.push(Sha256::digest(&frame.pixels).into()),
            Err(error) if error.is_fault() => return Err(error.into()),
            Err(_) => return Ok(None),
        }
    }
    Ok(Some(hashes))
}

#[derive(Default)]
struct HashWriter(Sha256);

impl Write for HashWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
