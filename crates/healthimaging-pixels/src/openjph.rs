//! HTJ2K by `OpenJPH`, through the C++ shim.

use std::ffi::{c_int, c_void};

use crate::codestream::{decompositions, insert_tile_part_lengths};
use crate::encode::ColourTransform;
use crate::error::CodecError;
use crate::shape::{FrameShape, zeroed};

/// Mirrors `healthimaging_frame` of the shim.
#[repr(C)]
struct Frame {
    columns: u32,
    rows: u32,
    components: u32,
    bytes_per_sample: u32,
    bit_depth: u32,
    is_signed: u32,
}

type Sink = unsafe extern "C" fn(context: *mut c_void, bytes: *const u8, size: usize);

#[expect(unsafe_code, reason = "the shim is C++")]
// SAFETY: the declarations mirror shim/openjph_shim.cpp.
unsafe extern "C" {
    fn healthimaging_htj2k_encode(
        frame: *const Frame,
        levels: u32,
        colour_transform: u32,
        pixels: *const u8,
        sink: Sink,
        context: *mut c_void,
    ) -> c_int;

    fn healthimaging_htj2k_decode(
        frame: *const Frame,
        bytes: *const u8,
        size: usize,
        pixels: *mut u8,
    ) -> c_int;
}

const DONE: c_int = 0;
const OTHER_SHAPE: c_int = 2;

impl Frame {
    /// The one place that says which shapes the shim takes.
    fn new(shape: &FrameShape, bit_depth: u16) -> Result<Self, CodecError> {
        if !matches!(shape.bits_allocated, 8 | 16) {
            return Err(CodecError::unsupported(format!(
                "HTJ2K of Bits Allocated {}",
                shape.bits_allocated
            )));
        }
        Ok(Self {
            columns: shape.columns,
            rows: shape.rows,
            components: shape.samples_per_pixel.into(),
            bytes_per_sample: (shape.bits_allocated / 8).into(),
            bit_depth: bit_depth.into(),
            is_signed: shape.is_signed().into(),
        })
    }
}

#[expect(unsafe_code, reason = "called from C++ with a buffer of its own")]
unsafe extern "C" fn append(context: *mut c_void, bytes: *const u8, size: usize) {
    if size == 0 {
        return;
    }
    // SAFETY: `encode` passes a live, unshared Vec as the context of the call during which this
    // runs, and the shim passes `size` readable bytes.
    let (encoded, bytes) = unsafe {
        (
            &mut *context.cast::<Vec<u8>>(),
            std::slice::from_raw_parts(bytes, size),
        )
    };
    encoded.extend_from_slice(bytes);
}

/// Encodes to a raw HTJ2K codestream, reversible, RPCL, 64×64 blocks, with a TLM segment.
pub(crate) fn encode(
    shape: &FrameShape,
    bit_depth: u16,
    colour: ColourTransform,
    pixels: &[u8],
) -> Result<Vec<u8>, CodecError> {
    let length = shape.checked_length()?;
    if pixels.len() != length {
        return Err(CodecError::Shape(format!(
            "{} bytes for {length} of pixels",
            pixels.len()
        )));
    }
    let frame = Frame::new(shape, bit_depth)?;
    let mut encoded = Vec::with_capacity(length / 2);
    #[expect(unsafe_code, reason = "the shim is C++")]
    // SAFETY: `pixels` holds exactly the bytes that `frame` describes (checked above), and
    // `append` gets the Vec that it expects; both outlive the call.
    let outcome = unsafe {
        healthimaging_htj2k_encode(
            &raw const frame,
            decompositions(shape),
            (colour == ColourTransform::Reversible).into(),
            pixels.as_ptr(),
            append,
            (&raw mut encoded).cast(),
        )
    };
    if outcome != DONE || insert_tile_part_lengths(&mut encoded).is_none() {
        return Err(CodecError::unsupported("this shape of frame in HTJ2K"));
    }
    Ok(encoded)
}

/// Decodes a codestream that [`encode`] made.
///
/// Never to be given anything else: `OpenJPH` 0.9.0 aborts the process on malformed input.
pub(crate) fn decode_own(shape: &FrameShape, codestream: &[u8]) -> Result<Vec<u8>, CodecError> {
    let mut pixels = zeroed(shape.checked_length()?)?;
    let frame = Frame::new(shape, shape.bits_allocated)?;
    #[expect(unsafe_code, reason = "the shim is C++")]
    // SAFETY: `pixels` has room for exactly the bytes that `frame` describes, and the shim
    // compares the codestream's own size with `frame` before it writes.
    let outcome = unsafe {
        healthimaging_htj2k_decode(
            &raw const frame,
            codestream.as_ptr(),
            codestream.len(),
            pixels.as_mut_ptr(),
        )
    };
    match outcome {
        DONE => Ok(pixels),
        OTHER_SHAPE => Err(CodecError::Disagreement(
            "the stored codestream has another shape than its image attributes".to_owned(),
        )),
        _ => Err(CodecError::malformed(
            "OpenJPH could not decode the stored codestream",
        )),
    }
}
