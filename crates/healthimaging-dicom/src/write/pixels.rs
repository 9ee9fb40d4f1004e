//! The pixel data element: native, in fragments, or as received (`PS3.5 §8`, `§A.4`).

use std::io::{Read, Write};

use dicom_core::{Length, Tag, VR};
use dicom_dictionary_std::tags;
use healthimaging::{Error, ErrorKind, Result};

use super::elements::ElementWriter;
use super::encoding::Encoding;
use super::{FrameIterator, PixelSource, io_error};
use crate::document::{Instance, dictionary, index};

/// How much of a value is copied at a time.
const CHUNK: usize = 64 * 1024;
const ITEM: [u8; 4] = [0xFE, 0xFF, 0x00, 0xE0];

/// The element that holds the pixels of an instance.
pub(super) fn tag(instance: &Instance) -> Tag {
    let keyword = instance.details.pixel_element.as_deref();
    keyword.and_then(dictionary::tag).unwrap_or(tags::PIXEL_DATA)
}

/// Checks that the pixels can be written in the encoding, before anything is written.
pub(super) fn check(pixels: &PixelSource<'_>, encoding: Encoding) -> Result<()> {
    let is_encapsulated = encoding == Encoding::Encapsulated;
    match pixels {
        PixelSource::Frames(_) if !is_encapsulated => Err(unacceptable()),
        PixelSource::Native { .. } if is_encapsulated => Err(unacceptable()),
        // The frames are little endian.
        PixelSource::Native { .. } if encoding == Encoding::ExplicitBig => Err(unacceptable()),
        PixelSource::Native { length, .. } => native_length(*length).map(|_| ()),
        PixelSource::None | PixelSource::Frames(_) | PixelSource::Blob { .. } => Ok(()),
    }
}

/// Writes pixels that have passed [`check`].
pub(super) fn write<'a, W: Write + 'a>(
    pixels: PixelSource<'_>,
    encoding: Encoding,
    instance: &Instance,
    bits_allocated: Option<u64>,
    to: &mut ElementWriter<'a, '_, W>,
) -> Result<()> {
    let tag = tag(instance);
    let vr = native_vr(tag, instance, bits_allocated);
    match pixels {
        // The file had the element, without a value.
        PixelSource::None if instance.details.pixel_vr.is_some() => to.header(tag, vr, Length(0)),
        PixelSource::None => Ok(()),
        PixelSource::Native { length, frames } => native(tag, vr, length, frames, to),
        PixelSource::Frames(frames) => fragments(tag, instance, frames, to),
        PixelSource::Blob { length, value } => {
            // An unknown syntax may be native or encapsulated: the value shows it.
            let (start, value) = peek(value)?;
            if encoding == Encoding::Encapsulated && start == ITEM {
                to.header(tag, VR::OB, Length::UNDEFINED)?;
                copy(value, length, to)
            } else {
                to.header(tag, vr, native_length(length)?)?;
                copy(value, length, to)?;
                pad(length, to)
            }
        }
    }
}

fn native<'a, W: Write + 'a>(
    tag: Tag,
    vr: VR,
    length: u64,
    frames: FrameIterator<'_>,
    to: &mut ElementWriter<'a, '_, W>,
) -> Result<()> {
    to.header(tag, vr, native_length(length)?)?;
    let mut written = 0;
    for frame in frames {
        let frame = frame?;
        written += frame.length;
        if written > length {
            break;
        }
        copy(frame.bytes, frame.length, to)?;
    }
    if written != length {
        return Err(Error::internal("the frames are not as long as they should be", "length"));
    }
    pad(length, to)
}

fn fragments<'a, W: Write + 'a>(
    tag: Tag,
    instance: &Instance,
    frames: FrameIterator<'_>,
    to: &mut ElementWriter<'a, '_, W>,
) -> Result<()> {
    to.header(tag, VR::OB, Length::UNDEFINED)?;
    let offsets = basic_offsets(instance);
    to.item_header(native_length(offsets.len() as u64 * 4)?)?;
    to.offset_table(&offsets)?;
    let mut sizes = instance.stored_sizes();
    for frame in frames {
        let frame = frame?;
        let length = frame.length;
        let expected = sizes.next();
        if !offsets.is_empty() && expected != Some(length) {
            return Err(Error::internal(
                "the length of a frame differs from the document",
                "length",
            ));
        }
        to.item_header(native_length(length)?)?;
        copy(frame.bytes, length, to)?;
        pad(length, to)?;
    }
    to.sequence_delimiter()
}

/// Where the fragment of each frame starts, from the first byte of the first fragment's item; empty
/// where the table cannot say it: over 4 GiB, or a video, whose frames are not separate.
fn basic_offsets(instance: &Instance) -> Vec<u32> {
    let frames = instance.frames.len();
    // Where the attributes state none, the file states what is here.
    let stated = index::integer(&instance.attributes, "NumberOfFrames").unwrap_or(0);
    if stated != 0 && frames != stated {
        return Vec::new();
    }
    let mut next = 0_u64;
    let mut offsets = Vec::with_capacity(frames);
    for size in instance.stored_sizes() {
        let Ok(offset) = u32::try_from(next) else {
            return Vec::new();
        };
        offsets.push(offset);
        next = next.saturating_add(8 + size.next_multiple_of(2));
    }
    offsets
}

/// `PS3.5 §8`: native Pixel Data is OW when a sample has more than eight bits, OB or OW otherwise.
fn native_vr(tag: Tag, instance: &Instance, bits_allocated: Option<u64>) -> VR {
    let received = instance.details.pixel_vr.as_deref();
    match tag {
        tags::FLOAT_PIXEL_DATA => VR::OF,
        tags::DOUBLE_FLOAT_PIXEL_DATA => VR::OD,
        _ if bits_allocated.is_some_and(|bits| bits > 8) => VR::OW,
        _ if received == Some("OB") => VR::OB,
        _ => VR::OW,
    }
}

/// The length of a native value, which its field of 32 bits must hold; the encoder makes it even.
fn native_length(length: u64) -> Result<Length> {
    let length = u32::try_from(length).ok().filter(|length| *length < u32::MAX - 1);
    length.map(Length).ok_or_else(|| {
        let message = "the pixel data is longer than the 4 GiB that this transfer syntax allows; \
                       ask for the stored one";
        Error::new(ErrorKind::NotAcceptable, message)
    })
}

fn pad<'a, W: Write + 'a>(length: u64, to: &mut ElementWriter<'a, '_, W>) -> Result<()> {
    if length % 2 == 1 { to.raw(&[0]) } else { Ok(()) }
}

fn peek<'a>(mut value: Box<dyn Read + 'a>) -> Result<(Vec<u8>, Box<dyn Read + 'a>)> {
    let mut start = Vec::with_capacity(ITEM.len());
    let first = value.by_ref().take(ITEM.len() as u64);
    { first }.read_to_end(&mut start).map_err(io_error)?;
    let whole = std::io::Cursor::new(start.clone()).chain(value);
    Ok((start, Box::new(whole)))
}

fn copy<'a, W: Write + 'a>(
    mut value: Box<dyn Read + '_>,
    length: u64,
    to: &mut ElementWriter<'a, '_, W>,
) -> Result<()> {
    let mut left = length;
    let mut buffer = vec![0; CHUNK];
    while left > 0 {
        let wanted = usize::try_from(left).unwrap_or(CHUNK).min(CHUNK);
        let room = buffer.get_mut(..wanted).unwrap_or_default();
        value.read_exact(room).map_err(io_error)?;
        to.raw(room)?;
        left -= wanted as u64;
    }
    Ok(())
}

fn unacceptable() -> Error {
    let message =
        "the stored pixels are not available in this transfer syntax; request the stored one";
    Error::new(ErrorKind::NotAcceptable, message)
}
