//! Decoding for pictures: more kinds of frames and of samples than a data store's formats hold.

use std::borrow::Cow;
use std::io::Read;

use flate2::read::{DeflateDecoder, ZlibDecoder};

use crate::decode::{DecodedFrame, SourceFrame};
use crate::decoder::Decoder;
use crate::error::CodecError;
use crate::shape::{FrameShape, zeroed};
use crate::transfer_syntax as uid;
use crate::{native, rle};

/// A frame that was decoded for a picture.
#[derive(Debug, Clone)]
pub struct ShownFrame {
    /// The shape of the pixels: 8, 16, 32 or 64 Bits Allocated, whatever the frame has.
    pub shape: FrameShape,
    /// The pixels.
    pub frame: DecodedFrame,
    /// Whether the frame held all its pixels; those that are missing are 0.
    pub is_complete: bool,
}

/// Decodes a frame of any Bits Allocated from 1 to 64, also one that is cut short where its bytes are
/// pixels one after another.
pub(crate) fn decode(
    decoder: &Decoder,
    source: &SourceFrame<'_>,
) -> Result<ShownFrame, CodecError> {
    if source.transfer_syntax == uid::RLE {
        return run_lengths(decoder, source);
    }
    if let Some(data) = native_bytes(source)? {
        return native_samples(source, &data);
    }
    // Streams of single bits decode to bytes.
    let shape = match source.shape.bits_allocated {
        1 => FrameShape { bits_allocated: 8, bits_stored: 1, ..source.shape },
        _ => source.shape,
    };
    let frame = decoder.decode(&SourceFrame { shape, ..*source })?;
    Ok(ShownFrame { shape, frame, is_complete: true })
}

/// The bytes of a frame whose samples lie one after another.
fn native_bytes<'a>(source: &SourceFrame<'a>) -> Result<Option<Cow<'a, [u8]>>, CodecError> {
    Ok(match source.transfer_syntax {
        uid::DEFLATED_FRAMES => Some(Cow::Owned(inflate(source)?)),
        uid::ENCAPSULATED_NATIVE => Some(Cow::Borrowed(source.data)),
        syntax if !uid::is_encapsulated(syntax) => Some(Cow::Borrowed(source.data)),
        _ => None,
    })
}

/// Deflated Image Frame Compression: each frame is deflated (PS3.5 §A.4.13). Some writers put the
/// header of zlib before it.
fn inflate(source: &SourceFrame<'_>) -> Result<Vec<u8>, CodecError> {
    let most = source.shape.byte_length().saturating_add(1);
    let read = |from: &mut dyn Read| {
        let mut found = Vec::new();
        from.take(most).read_to_end(&mut found).map(|_| found)
    };
    read(&mut DeflateDecoder::new(source.data))
        .or_else(|_| read(&mut ZlibDecoder::new(source.data)))
        .map_err(|_| CodecError::malformed("the deflated frame is damaged"))
}

/// Samples one after another, of any number of bits.
fn native_samples(source: &SourceFrame<'_>, data: &[u8]) -> Result<ShownFrame, CodecError> {
    let syntax = match source.transfer_syntax {
        uid::DEFLATED_FRAMES | uid::ENCAPSULATED_NATIVE => uid::EXPLICIT_LITTLE,
        other => other,
    };
    if matches!(source.shape.bits_allocated, 8 | 16 | 32 | 64) {
        let whole = SourceFrame { transfer_syntax: syntax, data, ..*source };
        return match native::decode(&whole) {
            Ok(frame) => Ok(ShownFrame { shape: source.shape, frame, is_complete: true }),
            Err(CodecError::Disagreement(_)) if !data.is_empty() => {
                let length = source.shape.checked_length()?;
                let mut filled = zeroed(length)?;
                filled.iter_mut().zip(data).for_each(|(to, from)| *to = *from);
                let frame = native::decode(&SourceFrame { data: &filled, ..whole })?;
                let is_complete = data.len() >= length;
                Ok(ShownFrame { shape: source.shape, frame, is_complete })
            }
            Err(error) => Err(error),
        };
    }
    unpacked(source, data)
}

/// Samples of bits that are not 8, 16, 32 or 64, in as many bytes as hold them.
fn unpacked(source: &SourceFrame<'_>, data: &[u8]) -> Result<ShownFrame, CodecError> {
    let (shape, pixels, is_complete) = unpack(&source.shape, data)?;
    let frame = native::decode(&SourceFrame {
        transfer_syntax: uid::EXPLICIT_LITTLE,
        shape,
        data: &pixels,
        ..*source
    })?;
    Ok(ShownFrame { shape, frame, is_complete })
}

/// Moves samples of 1 to 64 bits to the lowest bits of whole bytes. They follow one another without
/// gaps, the lowest bit first (PS3.5 §8.1.1).
fn unpack(packed: &FrameShape, data: &[u8]) -> Result<(FrameShape, Vec<u8>, bool), CodecError> {
    let bits = usize::from(packed.bits_allocated);
    let bits_allocated = match packed.bits_allocated {
        1..=8 => 8,
        9..=16 => 16,
        17..=32 => 32,
        33..=64 => 64,
        other => return Err(CodecError::unsupported(format!("Bits Allocated {other}"))),
    };
    let shape = FrameShape { bits_allocated, ..*packed };
    let length = shape.checked_length()?;
    let sample = shape.bytes_per_sample();
    let count = length / sample;
    if data.is_empty() {
        return Err(CodecError::Disagreement("the frame has no bytes".to_owned()));
    }
    let mut pixels = zeroed(length)?;
    if bits == 1 {
        let single = data.iter().flat_map(|byte| (0..8).map(move |place| byte >> place & 1));
        pixels.iter_mut().zip(single).for_each(|(pixel, bit)| *pixel = bit);
    } else {
        let mut bytes = data.iter();
        let (mut held, mut waiting) = (0_usize, 0_u128);
        let mask = (1_u128 << bits) - 1;
        for pixel in pixels.chunks_exact_mut(sample) {
            while held < bits {
                let next = bytes.next().copied().unwrap_or(0);
                waiting |= u128::from(next) << held;
                held += 8;
            }
            pixel.iter_mut().zip((waiting & mask).to_le_bytes()).for_each(|(to, from)| *to = from);
            waiting >>= bits;
            held -= bits;
        }
    }
    let needed = (count as u128 * bits as u128).div_ceil(8);
    Ok((shape, pixels, data.len() as u128 >= needed))
}

/// RLE: also of single bits, which lie packed in one segment, and of segments that end too soon.
fn run_lengths(decoder: &Decoder, source: &SourceFrame<'_>) -> Result<ShownFrame, CodecError> {
    let shape = source.shape;
    if !matches!(shape.bits_allocated, 8 | 16 | 32 | 64) {
        let samples = shape.samples();
        let most = usize::try_from(samples.max(shape.byte_length())).unwrap_or(usize::MAX);
        let bytes = rle::only_segment(source.data, most)?;
        // Some writers give each single bit a byte.
        let has_bytes = shape.bits_allocated == 1 && bytes.len() as u64 >= samples;
        if !has_bytes {
            return unpacked(source, &bytes);
        }
        let shape = FrameShape { bits_allocated: 8, ..shape };
        let pixels = bytes.into_iter().map(|byte| u8::from(byte != 0)).collect();
        let photometric = source.photometric.to_owned();
        let frame = DecodedFrame { pixels, photometric };
        return Ok(ShownFrame { shape, frame, is_complete: true });
    }
    match decoder.decode(source) {
        Err(CodecError::Malformed(_)) => {
            let pixels = rle::decode_partly(source)?;
            let photometric = source.photometric.to_owned();
            let frame = DecodedFrame { pixels, photometric };
            Ok(ShownFrame { shape, frame, is_complete: false })
        }
        other => Ok(ShownFrame { shape, frame: other?, is_complete: true }),
    }
}
