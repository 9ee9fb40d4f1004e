//! HTJ2K by `OpenJPH`, through the C++ shim.

use std::ffi::{c_int, c_void};

use crate::codestream::decompositions;
use crate::encode::ColorTransform;
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
    safe fn healthimaging_prepare();

    safe fn healthimaging_return_freed_memory();

    fn healthimaging_htj2k_encode(
        frame: *const Frame,
        levels: u32,
        color_transform: u32,
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

    fn healthimaging_htj2k_verify(
        frame: *const Frame,
        bytes: *const u8,
        size: usize,
        pixels: *const u8,
    ) -> c_int;
}

const DONE: c_int = 0;
const OTHER_SHAPE: c_int = 2;
const DIFFERENT: c_int = 3;

impl Frame {
    /// Rejects shapes that the shim does not support.
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

/// Prepares the process for frames: up to 16 MiB of freed memory stay with it in each of at most four pools,
/// instead of going back to the system and coming again with the next frame.
///
/// The first encoded frame does it too; a process that only reads frames gains by this call.
pub fn prepare() {
    healthimaging_prepare();
}

/// Returns freed memory to the system. It takes milliseconds: call it after large work.
pub fn return_freed_memory() {
    healthimaging_return_freed_memory();
}

#[expect(unsafe_code, reason = "called from C++ with a buffer of its own")]
unsafe extern "C" fn append(context: *mut c_void, bytes: *const u8, size: usize) {
    if size == 0 {
        return;
    }
    // SAFETY: `encode` passes a live, unshared Vec as the context of the call during which this
    // runs, and the shim passes `size` readable bytes.
    let (encoded, bytes) =
        unsafe { (&mut *context.cast::<Vec<u8>>(), std::slice::from_raw_parts(bytes, size)) };
    encoded.extend_from_slice(bytes);
}

/// `OpenJPH` 0.32 encodes the lowest value of a bit depth wrongly in streams without decomposition.
/// A decomposition leaves rows and columns of one sample as they are (T.800 §F.4, `1D_SD`).
const FEWEST_DECOMPOSITIONS: u32 = 1;

/// Encodes to a raw HTJ2K codestream: reversible, RPCL, 64×64 blocks, one tile-part a resolution,
/// with a TLM segment that has the length of each.
pub(crate) fn encode(
    shape: &FrameShape,
    bit_depth: u16,
    color: ColorTransform,
    pixels: &[u8],
) -> Result<Vec<u8>, CodecError> {
    let length = described_length(shape, pixels)?;
    let frame = Frame::new(shape, bit_depth)?;
    let mut encoded = Vec::with_capacity(length / 2);
    #[expect(unsafe_code, reason = "the shim is C++")]
    // SAFETY: `pixels` holds exactly the bytes that `frame` describes (checked above), and
    // `append` gets the Vec that it expects; both outlive the call.
    let outcome = unsafe {
        healthimaging_htj2k_encode(
            &raw const frame,
            decompositions(shape).max(FEWEST_DECOMPOSITIONS),
            (color == ColorTransform::Reversible).into(),
            pixels.as_ptr(),
            append,
            (&raw mut encoded).cast(),
        )
    };
    if outcome != DONE {
        return Err(CodecError::unsupported("this shape of frame in HTJ2K"));
    }
    Ok(encoded)
}

/// Length of `pixels`, which is that of the shape.
fn described_length(shape: &FrameShape, pixels: &[u8]) -> Result<usize, CodecError> {
    let length = shape.checked_length()?;
    if pixels.len() == length {
        return Ok(length);
    }
    Err(CodecError::Shape(format!("{} bytes for {length} of pixels", pixels.len())))
}

/// Decodes a codestream that [`encode`] made and compares every sample with `pixels`; an error when
/// one differs.
pub(crate) fn verify_own(
    shape: &FrameShape,
    codestream: &[u8],
    pixels: &[u8],
) -> Result<(), CodecError> {
    described_length(shape, pixels)?;
    let frame = Frame::new(shape, shape.bits_allocated)?;
    #[expect(unsafe_code, reason = "the shim is C++")]
    // SAFETY: `pixels` holds exactly the bytes that `frame` describes (checked above), and the shim
    // compares the codestream's own size with `frame` before it reads them.
    let outcome = unsafe {
        healthimaging_htj2k_verify(
            &raw const frame,
            codestream.as_ptr(),
            codestream.len(),
            pixels.as_ptr(),
        )
    };
    checked(outcome)
}

/// Result of the shim for a codestream.
fn checked(outcome: c_int) -> Result<(), CodecError> {
    match outcome {
        DONE => Ok(()),
        DIFFERENT => Err(CodecError::NotLossless),
        OTHER_SHAPE => Err(CodecError::Disagreement(
            "the stored codestream has another shape than its image attributes".to_owned(),
        )),
        _ => Err(CodecError::malformed("OpenJPH could not decode the stored codestream")),
    }
}

/// Decodes a codestream that [`encode`] made.
///
/// Never to be given anything else: streams from outside are decoded in a child process.
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
    checked(outcome)?;
    Ok(pixels)
}

#[cfg(test)]
mod tests {
    use super::*;
    use healthimaging_image::PixelRepresentation;

    /// Every bit of every sample counts, whatever the layout; odd sizes leave no line a whole vector.
    #[test]
    fn a_frame_that_differs_in_one_bit_is_told_from_its_source() {
        for (bits, samples) in [(8, 1), (8, 3), (8, 4), (16, 1), (16, 3), (16, 2)] {
            for representation in [PixelRepresentation::Unsigned, PixelRepresentation::Signed] {
                let shape = FrameShape {
                    rows: 5,
                    columns: 37,
                    samples_per_pixel: samples,
                    bits_allocated: bits,
                    bits_stored: bits,
                    representation,
                };
                let length = shape.checked_length().unwrap();
                let mut pixels: Vec<u8> = (0..=250).cycle().take(length).collect();
                let encoded = encode(&shape, bits, ColorTransform::None, &pixels).unwrap();
                assert_eq!(verify_own(&shape, &encoded, &pixels), Ok(()));
                for at in 0..length {
                    pixels[at] ^= 1 << (at % 8);
                    let found = verify_own(&shape, &encoded, &pixels);
                    assert_eq!(found, Err(CodecError::NotLossless), "{shape:?}, byte {at}");
                    pixels[at] ^= 1 << (at % 8);
                }
            }
        }
    }
}
