//! An open DICOM Part 10 file: its elements in memory, its pixel data in the source.

use std::collections::BTreeMap;
use std::io::{self, Read, Seek, Write};

use dicom_core::{Tag, VR};
use dicom_dictionary_std::tags;

use crate::data_set::{DataSet, Value};

use super::binary::{numbers, to_little_endian};
use super::description::{ByteOrder, declared_frames};
use super::elements::{Found, Until, Walk};
use super::frames::FrameTable;
use super::header::{Encoding, sniff};
use super::limits::Budget;
use super::meta::{self, Meta};
use super::pixel_data::{Encapsulation, ExtendedOffsets, Fragment, PixelData, PixelLayout};
use super::stream::{Stream, is_zlib};
use super::{
    FrameError, PixelDescription, ReadError, ReadLimits, ReadWarning, ambiguous, media_directory,
    pixel_syntax,
};

/// How much of a value is read at a time: whole numbers of any VR.
const CHUNK: u64 = 64 << 10;

/// A DICOM Part 10 file that has been read up to its end, pixel data and large values left where they
/// are.
#[derive(Debug)]
pub struct Part10<S> {
    /// Transfer Syntax UID (0002,0010), without padding.
    pub transfer_syntax: String,
    /// UID of the transfer syntax that the frames are in: mostly that of the file; another where pixel
    /// data is native or encapsulated although the file declares the opposite.
    pub pixel_syntax: String,
    /// Group 0002.
    pub meta: DataSet,
    /// The data set, without pixel data, their extended offset table, and group lengths.
    pub data_set: DataSet,
    /// What was odd.
    pub warnings: Vec<ReadWarning>,
    /// Bytes of memory that the elements take, as [`ReadLimits::header_bytes`] counts them.
    pub memory: u64,
    stream: Stream<S>,
    byte_order: ByteOrder,
    pixels: Option<PixelData>,
    big_endian_bulk: BTreeMap<u64, VR>,
    frames: Result<FrameTable, FrameError>,
}

/// Reads a DICOM Part 10 file (PS3.10 §7) from the start of `source`.
///
/// Every length is checked against what is there, so memory stays within `limits`. The transfer
/// syntax, SOP class, and the UIDs of instance, series and study have to be present.
pub fn read_part10<S: Read + Seek>(source: S, limits: &ReadLimits) -> Result<Part10<S>, ReadError> {
    let Opened { mut stream, meta, transfer_syntax, encoding, mut data_set, found } =
        open(source, limits)?;
    if media_directory::is_directory(&meta, &data_set) {
        return Err(ReadError::MediaDirectory);
    }
    let Found { warnings, mut pixels, big_endian_bulk, memory } = found;
    require(&data_set)?;
    ambiguous::resolve(&mut data_set);
    let extended = take_extended_offsets(&mut data_set);
    if let Some(PixelLayout::Encapsulated(found)) = pixels.as_mut().map(|found| &mut found.layout) {
        found.extended = extended;
    }
    let byte_order = match transfer_syntax.as_str() {
        pixel_syntax::GE_BIG_ENDIAN_PIXELS => ByteOrder::Big,
        _ => encoding.byte_order(),
    };
    let pixel_syntax =
        pixel_syntax::of(&transfer_syntax, byte_order, pixels.as_ref(), &mut stream)?;
    let mut warnings = warnings;
    if pixel_syntax != transfer_syntax && transfer_syntax != pixel_syntax::GE_BIG_ENDIAN_PIXELS {
        warnings.push(ReadWarning::PixelSyntax { found: pixel_syntax.clone() });
    }
    let frames = FrameTable::of(&data_set, pixels.as_ref(), &pixel_syntax, byte_order, &mut stream);
    Ok(Part10 {
        transfer_syntax,
        pixel_syntax,
        meta,
        data_set,
        warnings,
        memory,
        stream,
        byte_order,
        pixels,
        big_endian_bulk,
        frames,
    })
}

/// The elements of a file before its pixel data.
#[derive(Debug)]
pub struct Part10Header {
    /// Group 0002.
    pub meta: DataSet,
    /// The data set up to its pixel data, without group lengths.
    pub data_set: DataSet,
}

/// Reads the elements of a DICOM Part 10 file that lie before its pixel data: all that identifies the
/// instance. What follows is not looked at, so a file may be refused later for it.
///
/// Otherwise as [`read_part10`].
pub fn read_header<S: Read + Seek>(
    source: S,
    limits: &ReadLimits,
) -> Result<Part10Header, ReadError> {
    let Opened { meta, data_set, .. } = open_up_to(source, limits, Until::PixelData)?;
    if media_directory::is_directory(&meta, &data_set) {
        return Err(ReadError::MediaDirectory);
    }
    require(&data_set)?;
    Ok(Part10Header { meta, data_set })
}

/// A file whose elements have been read, without further checks.
pub(super) struct Opened<S> {
    pub(super) stream: Stream<S>,
    pub(super) meta: DataSet,
    pub(super) transfer_syntax: String,
    /// The one that the data set is in.
    pub(super) encoding: Encoding,
    pub(super) data_set: DataSet,
    pub(super) found: Found,
}

/// Reads the elements of a file.
pub(super) fn open<S: Read + Seek>(source: S, limits: &ReadLimits) -> Result<Opened<S>, ReadError> {
    open_up_to(source, limits, Until::End)
}

fn open_up_to<S: Read + Seek>(
    source: S,
    limits: &ReadLimits,
    until: Until,
) -> Result<Opened<S>, ReadError> {
    let mut stream = Stream::new(source)?;
    let Meta { data_set: meta, transfer_syntax, mut warnings } = meta::read(&mut stream, limits)?;
    if stream.left() == 0 {
        return Err(ReadError::Empty);
    }
    if is_deflated(&transfer_syntax) {
        if stream.peek()?.is_some_and(is_plain) {
            warnings.push(ReadWarning::NotDeflated);
        } else {
            if stream.peek()?.is_some_and(is_zlib) {
                warnings.push(ReadWarning::Zlib);
                stream.seek_to(stream.position() + 2)?;
            }
            stream = stream.inflate(limits)?;
        }
    }
    let mut walk = Walk::new(&mut stream, Budget::new(limits));
    walk.found.warnings = warnings;
    walk.until = until;
    let (data_set, encoding) = walk.root(Encoding::of(&transfer_syntax))?;
    let mut found = walk.found;
    found.memory = walk.budget.taken();
    Ok(Opened { stream, meta, transfer_syntax, encoding, data_set, found })
}

impl<S: Read + Seek> Part10<S> {
    /// The pixel data, located and not read.
    pub fn pixels(&self) -> Option<&PixelData> {
        self.pixels.as_ref()
    }

    /// Returns the description of the pixels; an error if attributes of it are absent or invalid.
    pub fn description(&self) -> Result<PixelDescription, ReadError> {
        Ok(PixelDescription::of(&self.data_set)?)
    }

    /// Byte order of native pixel data.
    pub fn byte_order(&self) -> ByteOrder {
        self.byte_order
    }

    /// Frames that [`Part10::read_frame`] can give: 0 without pixel data or when there is a
    /// [`Part10::frame_problem`]; 1 for video, whose stream is one.
    pub fn frame_count(&self) -> usize {
        self.frames.as_ref().map_or(0, FrameTable::len)
    }

    /// Number of Frames (0028,0008) as declared; 1 where absent.
    pub fn declared_frames(&self) -> i64 {
        declared_frames(&self.data_set)
    }

    /// Returns why frames cannot be read one by one; `None` also without pixel data.
    pub fn frame_problem(&self) -> Option<FrameError> {
        match &self.frames {
            Err(FrameError::NoPixelData) | Ok(_) => None,
            Err(problem) => Some(problem.clone()),
        }
    }

    /// How Number of Frames, or an offset table, differs from the frames that [`Part10::read_frame`]
    /// gives.
    pub fn frame_mismatch(&self) -> Option<FrameError> {
        self.frames.as_ref().ok()?.mismatch().cloned()
    }

    /// Reads the frame with `index`, counted from 0: native bytes in the byte order of the file, or
    /// its joined fragments. A frame of more than `limit` bytes is an error.
    pub fn read_frame(&mut self, index: usize, limit: u64) -> Result<Vec<u8>, FrameError> {
        let table = self.frames.as_ref().map_err(Clone::clone)?;
        table.read(index, limit, self.pixels.as_ref(), &mut self.stream)
    }

    /// Writes the frame with `index` as [`Part10::read_frame`] gives it, one of fragments piece by piece,
    /// and returns its length in bytes.
    pub fn read_frame_into(
        &mut self,
        index: usize,
        limit: u64,
        out: &mut dyn Write,
    ) -> Result<u64, FrameError> {
        let table = self.frames.as_ref().map_err(Clone::clone)?;
        table.copy(index, limit, self.pixels.as_ref(), &mut self.stream, out)
    }

    /// Writes the whole value of the pixel data as it is in the file: of encapsulated pixel data all
    /// items, with offset table and delimiter, also where the file lacks the delimiter or is cut in the
    /// last fragment. Without pixel data nothing is written.
    pub fn read_pixel_blob_into(&mut self, out: &mut dyn Write) -> io::Result<u64> {
        let Some(pixels) = &self.pixels else {
            return Ok(0);
        };
        self.stream.seek_to(pixels.offset)?;
        let PixelLayout::Encapsulated(Encapsulation { fragments, unterminated: Some(end), .. }) =
            &pixels.layout
        else {
            self.stream.copy_to(pixels.length, out)?;
            return Ok(pixels.length);
        };
        let cut = fragments.last().filter(|_| pixels.missing > 0);
        let whole = cut.map_or(*end, |cut| cut.offset.saturating_sub(8));
        let whole = whole.saturating_sub(pixels.offset);
        self.stream.copy_to(whole, out)?;
        let mut length = whole;
        if let Some(&Fragment { offset, length: left }) = cut {
            self.stream.seek_to(offset)?;
            let padding = left % 2;
            let padded = u32::try_from(left + padding).unwrap_or(u32::MAX - 1);
            out.write_all(&[0xFE, 0xFF, 0x00, 0xE0])?;
            out.write_all(&padded.to_le_bytes())?;
            self.stream.copy_to(left, out)?;
            out.write_all(if padding == 1 { &[0] } else { &[] })?;
            length += 8 + left + padding;
        }
        out.write_all(&[0xFE, 0xFF, 0xDD, 0xE0, 0, 0, 0, 0])?;
        Ok(length + 8)
    }

    /// Reads a value that is [`Value::Bulk`], in little endian.
    pub fn read_bulk(&mut self, offset: u64, length: u64) -> io::Result<Vec<u8>> {
        if offset.checked_add(length).is_none_or(|end| end > self.stream.length()) {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let mut bytes = Vec::new();
        self.read_bulk_into(offset, length, &mut bytes)?;
        Ok(bytes)
    }

    /// Writes a value that is [`Value::Bulk`] piece by piece, in little endian.
    pub fn read_bulk_into(
        &mut self,
        offset: u64,
        length: u64,
        out: &mut dyn Write,
    ) -> io::Result<()> {
        if offset.checked_add(length).is_none_or(|end| end > self.stream.length()) {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.stream.seek_to(offset)?;
        let Some(&vr) = self.big_endian_bulk.get(&offset) else {
            return self.stream.copy_to(length, out);
        };
        let mut left = length;
        while left > 0 {
            let mut piece = self.stream.read_vec(left.min(CHUNK))?;
            left -= piece.len() as u64;
            to_little_endian(vr, &mut piece);
            out.write_all(&piece)?;
        }
        Ok(())
    }
}

/// Data sets that are deflated as a whole (PS3.5 §A.5, §A.6): also of the two JPIP syntaxes.
fn is_deflated(transfer_syntax: &str) -> bool {
    matches!(
        transfer_syntax,
        "1.2.840.10008.1.2.1.99" | "1.2.840.10008.1.2.4.95" | "1.2.840.10008.1.2.4.205"
    )
}

/// Whether bytes are an element of group 0008 in explicit VR, which nothing deflated begins with: it
/// would be a stored block whose two lengths do not agree (RFC 1951 §3.2.4).
fn is_plain(head: [u8; 8]) -> bool {
    head[..2] == [8, 0] && sniff(head) == Some(Encoding::ExplicitLittle)
}

/// The attributes without which an instance cannot be stored, in the order of their tags.
fn require(data_set: &DataSet) -> Result<(), ReadError> {
    const REQUIRED: [(Tag, &str); 4] = [
        (tags::SOP_CLASS_UID, "SOPClassUID"),
        (tags::SOP_INSTANCE_UID, "SOPInstanceUID"),
        (tags::STUDY_INSTANCE_UID, "StudyInstanceUID"),
        (tags::SERIES_INSTANCE_UID, "SeriesInstanceUID"),
    ];
    if data_set.elements.is_empty() {
        return Err(ReadError::Empty);
    }
    match REQUIRED.iter().find(|(tag, _)| data_set.text(*tag).is_none()) {
        Some((_, keyword)) => Err(ReadError::Missing(keyword)),
        None => Ok(()),
    }
}

/// Takes the extended offset table out: it describes the encoding of the file, not the instance.
fn take_extended_offsets(data_set: &mut DataSet) -> Option<ExtendedOffsets> {
    let mut take = |tag| match data_set.elements.remove(&tag)?.value {
        Value::Bytes(bytes) => Some(numbers(&bytes, ByteOrder::Little, u64::from_le_bytes)),
        _ => None,
    };
    let offsets = take(tags::EXTENDED_OFFSET_TABLE);
    let lengths = take(tags::EXTENDED_OFFSET_TABLE_LENGTHS);
    offsets.map(|offsets| ExtendedOffsets { offsets, lengths: lengths.unwrap_or_default() })
}
