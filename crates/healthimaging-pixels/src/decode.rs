//! A stored frame to pixels: the decoder of each transfer syntax, and its result.

use healthimaging_image::PlanarConfiguration;

use crate::codestream::agree;
use crate::error::CodecError;
use crate::jp2::codestream_of;
use crate::resolution::lower_resolution;
use crate::shape::FrameShape;
use crate::{jpeg, jpeg_ls, jpeg_xl, native, openjpeg, openjph, rle, transfer_syntax as uid};

/// A frame as in a DICOM file.
#[derive(Clone, Copy)]
pub struct SourceFrame<'a> {
    /// UID of the transfer syntax.
    pub transfer_syntax: &'a str,
    /// Shape by the image attributes.
    pub shape: FrameShape,
    /// Photometric Interpretation (0028,0004), without padding.
    pub photometric: &'a str,
    /// Planar Configuration (0028,0006).
    pub planar: PlanarConfiguration,
    /// One frame: native bytes as in the file, or the joined fragments of the frame.
    ///
    /// Samples of 8 bits that a big-endian file keeps in OW lie there with each pair of bytes
    /// swapped; only the reader of the data set knows the VR and swaps them back.
    pub data: &'a [u8],
}

impl std::fmt::Debug for SourceFrame<'_> {
    /// Leaves the pixels out: they are patient data.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SourceFrame")
            .field("transfer_syntax", &self.transfer_syntax)
            .field("shape", &self.shape)
            .field("photometric", &self.photometric)
            .field("planar", &self.planar)
            .field("bytes", &self.data.len())
            .finish()
    }
}

/// The pixels of one frame.
#[derive(Clone, PartialEq, Eq)]
pub struct DecodedFrame {
    /// Little endian, interleaved by pixel, as [`FrameShape`] says.
    pub pixels: Vec<u8>,
    /// Photometric Interpretation of `pixels`: `YBR_RCT`, `YBR_ICT` and the color of lossy JPEG
    /// become `RGB`; native `YBR_FULL_422` becomes `YBR_FULL`; all others stay.
    pub photometric: String,
}

impl std::fmt::Debug for DecodedFrame {
    /// Leaves the pixels out: they are patient data.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DecodedFrame")
            .field("photometric", &self.photometric)
            .field("bytes", &self.pixels.len())
            .finish()
    }
}

/// Decodes a frame from any source.
///
/// The stream's own header is compared with `source.shape` before a sample is decoded. Native
/// samples keep all their bits; decoded ones are cut to the stream's precision and extended as
/// Pixel Representation says.
///
/// # Errors
/// [`CodecError::Unsupported`] for syntaxes and shapes without an exact decoder (1 bit,
/// video …), otherwise what is wrong with the frame.
pub fn decode(source: &SourceFrame<'_>) -> Result<DecodedFrame, CodecError> {
    let pixels = match source.transfer_syntax {
        uid::IMPLICIT_LITTLE | uid::EXPLICIT_LITTLE | uid::DEFLATED | uid::EXPLICIT_BIG => {
            return native::decode(source);
        }
        uid::JPEG_BASELINE | uid::JPEG_EXTENDED | uid::JPEG_LOSSLESS | uid::JPEG_LOSSLESS_SV1 => {
            return jpeg::decode(source);
        }
        uid::RLE => rle::decode(source)?,
        uid::JPEG_LS | uid::JPEG_LS_NEAR => jpeg_ls::decode(source)?,
        uid::JPEG_XL | uid::JPEG_XL_LOSSLESS | uid::JPEG_XL_RECOMPRESSED => {
            jpeg_xl::decode(source)?
        }
        uid::JPEG_2000_LOSSLESS
        | uid::JPEG_2000
        | uid::JPEG_2000_MC_LOSSLESS
        | uid::JPEG_2000_MC
        | uid::HTJ2K_LOSSLESS
        | uid::HTJ2K_LOSSLESS_RPCL
        | uid::HTJ2K => openjpeg::decode(&source.shape, source.data)?,
        other => {
            return Err(CodecError::unsupported(format!("decoding transfer syntax {other}")));
        }
    };
    Ok(DecodedFrame { pixels, photometric: decoded_photometric(source).to_owned() })
}

/// Decodes a frame that [`encode`](crate::encode) made and whose checksum the caller has just
/// verified, or one that was kept as received.
///
/// HTJ2K Lossless RPCL goes to the fastest decoder, which must never see a stream from outside:
/// malformed ones end the process.
///
/// # Errors
/// As [`decode`].
pub fn decode_stored(
    transfer_syntax: &str,
    shape: &FrameShape,
    photometric: &str,
    bytes: &[u8],
) -> Result<DecodedFrame, CodecError> {
    if transfer_syntax == uid::HTJ2K_LOSSLESS_RPCL && matches!(shape.bits_allocated, 8 | 16) {
        let bytes = codestream_of(bytes)?;
        agree(bytes, shape)?;
        let pixels = openjph::decode_own(shape, bytes)?;
        let photometric = without_transform(photometric).to_owned();
        return Ok(DecodedFrame { pixels, photometric });
    }
    decode(&SourceFrame {
        transfer_syntax,
        shape: *shape,
        photometric,
        planar: PlanarConfiguration::Interleaved,
        data: bytes,
    })
}

/// As [`decode_stored`], the lowest resolution that has at least these rows and columns, with its shape; `None` if that is the
/// whole frame, or the frame is not one that [`encode`](crate::encode) made in HTJ2K.
///
/// # Errors
/// As [`decode`].
pub fn decode_stored_lower(
    transfer_syntax: &str,
    shape: &FrameShape,
    photometric: &str,
    bytes: &[u8],
    least: (u32, u32),
) -> Result<Option<(FrameShape, DecodedFrame)>, CodecError> {
    if transfer_syntax != uid::HTJ2K_LOSSLESS_RPCL {
        return Ok(None);
    }
    let Some((lower, stream)) = lower_resolution(transfer_syntax, shape, bytes, least) else {
        return Ok(None);
    };
    let decoded = decode_stored(transfer_syntax, &lower, photometric, &stream)?;
    Ok(Some((lower, decoded)))
}

/// Returns the photometric interpretation of decoded pixels. JPEG XL always decodes to red, green and blue;
/// so does a JPEG 2000 stream with a component transform, independent of its label.
fn decoded_photometric<'a>(source: &SourceFrame<'a>) -> &'a str {
    match source.transfer_syntax {
        uid::JPEG_XL | uid::JPEG_XL_LOSSLESS | uid::JPEG_XL_RECOMPRESSED
            if source.shape.samples_per_pixel == 3 =>
        {
            "RGB"
        }
        uid::JPEG_2000_LOSSLESS
        | uid::JPEG_2000
        | uid::HTJ2K_LOSSLESS
        | uid::HTJ2K_LOSSLESS_RPCL
        | uid::HTJ2K
            if source.shape.samples_per_pixel == 3 && has_component_transform(source.data) =>
        {
            "RGB"
        }
        _ => without_transform(source.photometric),
    }
}

/// Whether the COD segment has the multiple component transform (T.800 §A.6.1).
fn has_component_transform(data: &[u8]) -> bool {
    const COD: [u8; 2] = [0xFF, 0x52];
    const SOT: [u8; 2] = [0xFF, 0x90];
    let mut rest = codestream_of(data).unwrap_or(data).get(2..).unwrap_or_default();
    while let [m0, m1, l0, l1, segment @ ..] = rest {
        match [*m0, *m1] {
            // Coding style, progression order, two bytes of layers, then the transform.
            COD => return segment.get(4) == Some(&1),
            SOT => return false,
            _ => {}
        }
        let length = usize::from(u16::from_be_bytes([*l0, *l1]));
        rest = rest.get(2 + length..).unwrap_or_default();
    }
    false
}

/// The codestream's component transform is undone by its decoder (PS3.5 §8.2.4).
fn without_transform(photometric: &str) -> &str {
    match photometric {
        "YBR_RCT" | "YBR_ICT" => "RGB",
        other => other,
    }
}
