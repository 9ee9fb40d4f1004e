//! Frames into the lossless format of the data store, on all cores.

use std::io::{Read, Seek};

use healthimaging_dicom::{ChecksumType, FrameChecksum, ImageFrame, Part10};
use healthimaging_image::PixelDescription;
use healthimaging_packs::BlobKind;
use healthimaging_pixels::{
    CodecError, Decoder, EncodedFrame, FrameShape, LosslessFormat, SourceFrame, encode,
    jp2_header_length, lacks_end,
};
use rayon::prelude::*;
use serde_json::Value;

use super::{LARGEST, Target, WITHOUT_END, whole};
use crate::ingest::outcome::{Failure, Reason, Refusal, Warning};

/// Frames of one file that are in memory together take at most so much, unless one alone takes more.
const AT_ONCE: u64 = 64 << 20;

/// A frame this large that comes from so much less is not decoded: a few bytes could claim gigabytes.
const SUSPICIOUS: u64 = 64 << 20;
const SUSPICIOUS_RATIO: u64 = 500;

/// Stores every frame; falls back to the pixel data as received when one cannot be done.
pub(super) fn store<S: Read + Seek>(
    part10: &mut Part10<S>,
    description: &PixelDescription,
    target: &mut Target<'_>,
) -> Result<(), Failure> {
    let blobs_before = target.blobs.len();
    let Err(stop) = store_frames(part10, description, target) else {
        return Ok(());
    };
    let error = match stop {
        // The file may well be right, and is better imported again than kept as it is.
        Stop::Codec(error) if error.is_fault() => {
            return Err(Refusal::fault(error.to_string()).into());
        }
        Stop::Codec(error) => error,
        Stop::Failure(failure) => return Err(failure),
    };
    target.blobs.truncate(blobs_before);
    target.instance.frames.clear();
    let message =
        format!("the pixel data could not be transcoded and is kept as received: {error}");
    let warning = Warning::new(Reason::TranscodingException, message);
    whole::store(part10, Some(description), warning, target)
}

/// Why the frames were not all stored.
enum Stop {
    Codec(CodecError),
    Failure(Failure),
}

impl<T: Into<Failure>> From<T> for Stop {
    fn from(failure: T) -> Self {
        Self::Failure(failure.into())
    }
}

fn store_frames<S: Read + Seek>(
    part10: &mut Part10<S>,
    description: &PixelDescription,
    target: &mut Target<'_>,
) -> Result<(), Stop> {
    let length = part10.pixels().map_or(0, |pixels| pixels.length);
    let at_once = frames_at_once(memory_of_a_frame(description, length), description);
    let syntax = part10.pixel_syntax.clone();
    let stored = target.format.transfer_syntax();
    let count = part10.frame_count();
    let (mut photometric, mut is_cut) = (None, false);
    for first in (0..count).step_by(at_once) {
        let mut sources = Vec::with_capacity(at_once);
        for index in first..count.min(first + at_once) {
            let source = part10.read_frame(index, LARGEST)?;
            is_cut |= lacks_end(&syntax, &source);
            sources.push(source);
        }
        let (format, decoder) = (target.format, target.sink.decoder());
        let one = |source: &Vec<u8>| transcode(decoder, &syntax, description, source, format);
        let frames: Result<Vec<_>, _> = match &sources[..] {
            // Another thread would not be faster.
            [only] => one(only).map(|frame| vec![frame]),
            several => several.par_iter().map(one).collect(),
        };
        for (frame, decoded_as) in frames.map_err(Stop::Codec)? {
            let blob = target.sink.put(BlobKind::Frame, Some(stored), &frame.bytes)?;
            target.instance.frames.push(ImageFrame {
                id: blob.id.clone(),
                checksums: vec![FrameChecksum {
                    width: description.columns,
                    height: description.rows,
                    checksum: frame.facts.crc32,
                }],
                min: Some(frame.facts.min),
                max: Some(frame.facts.max),
                size: blob.length + jp2_header_length(stored),
            });
            target.blobs.push(blob);
            photometric = Some(decoded_as);
        }
    }
    if is_cut {
        target.warn(Reason::Other, WITHOUT_END);
    }
    target.describe(stored, ChecksumType::Decompressed);
    target.instance.details.frame_header = jp2_header_length(stored);
    if let Some(now) = photometric {
        set_photometric(description, now, target);
    }
    // What is stored can be retrieved: the document describes the frames as they were encoded.
    let retrieved = PixelDescription::of(&target.instance.attributes);
    let retrieved = retrieved.ok().map(|description| FrameShape::from(&description));
    if retrieved != Some(FrameShape::from(description)) {
        let message =
            "the attributes that describe the pixels have values that retrieval cannot use";
        return Err(Refusal::invalid(message).into());
    }
    Ok(())
}

/// Describes the stored samples in the document. `YBR_RCT` and `YBR_ICT` are left: they name a
/// transform inside of the stream, which every decoder undoes, and not the samples.
fn set_photometric(description: &PixelDescription, now: String, target: &mut Target<'_>) {
    let before = description.photometric.as_str();
    if now == before || matches!(before, "YBR_RCT" | "YBR_ICT") {
        return;
    }
    let message = format!("PhotometricInterpretation changed from {before} to {now}");
    target.warn(Reason::CoercionOfDataElements, message);
    let attributes = &mut target.instance.attributes;
    attributes.insert("PhotometricInterpretation".to_owned(), Value::String(now));
}

fn transcode(
    decoder: &Decoder,
    transfer_syntax: &str,
    description: &PixelDescription,
    data: &[u8],
    format: LosslessFormat,
) -> Result<(EncodedFrame, String), CodecError> {
    let source = source_frame(transfer_syntax, description, data);
    let decoded_length = source.shape.byte_length();
    let ratio = decoded_length / (data.len() as u64).max(1);
    if decoded_length > SUSPICIOUS && ratio > SUSPICIOUS_RATIO {
        return Err(CodecError::Malformed(format!(
            "{} bytes claim to hold {decoded_length}",
            data.len()
        )));
    }
    let (pixels, photometric) = decoder.pixels(&source)?;
    let encoded = encode(format, &source.shape, &photometric, &pixels)?;
    Ok((encoded, photometric))
}

pub(super) fn source_frame<'a>(
    transfer_syntax: &'a str,
    description: &'a PixelDescription,
    data: &'a [u8],
) -> SourceFrame<'a> {
    SourceFrame {
        transfer_syntax,
        shape: FrameShape::from(description),
        photometric: &description.photometric,
        planar: description.planar,
        data,
    }
}

/// Source, pixels, encoded frame and the pixels decoded again for comparison.
pub(super) fn memory_of_a_frame(description: &PixelDescription, length: u64) -> u64 {
    let source = length / u64::from(description.number_of_frames.max(1));
    let decoded = FrameShape::from(description).byte_length();
    source.saturating_add(decoded.saturating_mul(3))
}

pub(super) fn frames_at_once(memory_of_one: u64, description: &PixelDescription) -> usize {
    let frames = usize::try_from(description.number_of_frames).unwrap_or(usize::MAX);
    let fitting = usize::try_from(AT_ONCE / memory_of_one.max(1)).unwrap_or(usize::MAX);
    let most = frames.min(2 * rayon::current_num_threads());
    fitting.min(most).max(1)
}
