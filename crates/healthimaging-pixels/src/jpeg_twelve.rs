//! Lossy JPEG of 12 bits (T.81, extended process 4), by `libjpeg-turbo` 3.

use std::borrow::Cow;
use std::ffi::{c_int, c_void};
use std::ptr;

use jpeg_decoder::ColorTransform;
use turbojpeg_sys as tj;

use crate::error::CodecError;
use crate::jpeg_header::{JpegHeader, SOF_EXTENDED};
use crate::shape::FrameShape;

/// Bits of every sample.
pub(crate) const PRECISION: u8 = 12;
/// Scans that a progressive stream may have; each is a pass over the whole image.
const MOST_SCANS: c_int = 100;
/// First and last coefficient and the approximation of a sequential scan (T.81 §B.2.3).
const WHOLE_SCAN: [u8; 3] = [0, 63, 0];

/// A decompressor, destroyed when dropped.
struct Decompressor(ptr::NonNull<c_void>);

impl Drop for Decompressor {
    #[expect(unsafe_code, reason = "libjpeg-turbo is C")]
    fn drop(&mut self) {
        // SAFETY: the handle came from tj3Init and is destroyed here only.
        unsafe { tj::tj3Destroy(self.0.as_ptr()) }
    }
}

/// Decodes to interleaved samples of two native bytes; colour becomes RGB.
///
pub(crate) fn decode(
    shape: &FrameShape,
    transform: Option<ColorTransform>,
    data: &[u8],
) -> Result<Vec<u8>, CodecError> {
    let samples = shape.checked_length()? / shape.bytes_per_sample();
    let mut values: Vec<i16> = Vec::new();
    values.try_reserve_exact(samples).map_err(|_| CodecError::OutOfMemory(shape.byte_length()))?;
    values.resize(samples, 0);
    match transform {
        Some(transform) => run(shape, &announced(transform, data), &mut values)?,
        None => run(shape, data, &mut values)?,
    }
    Ok(values.into_iter().flat_map(i16::to_ne_bytes).collect())
}

/// The stream with the scan parameters that a sequential one must have.
///
/// Old writers left them zero (NEMA's own NM1 sample has it). They say nothing there, but the library
/// warns, and a warning else means damage.
pub(crate) fn sequential<'a>(header: &JpegHeader, data: &'a [u8]) -> Cow<'a, [u8]> {
    let mut data = Cow::Borrowed(data);
    let place = header.scan.saturating_sub(WHOLE_SCAN.len())..header.scan;
    let odd = data.get(place.clone()).is_some_and(|found| found != WHOLE_SCAN);
    if header.process == SOF_EXTENDED
        && odd
        && let Some(found) = data.to_mut().get_mut(place)
    {
        found.copy_from_slice(&WHOLE_SCAN);
    }
    data
}

/// The stream with an Adobe segment at its start that tells the library about its colour.
fn announced(transform: ColorTransform, data: &[u8]) -> Vec<u8> {
    let transform = u8::from(transform == ColorTransform::YCbCr);
    let (soi, rest) = data.split_at_checked(2).unwrap_or((data, &[]));
    let adobe =
        [&[0xFF, 0xEE, 0, 14], b"Adobe".as_slice(), &[0, 100, 0, 0, 0, 0, transform]].concat();
    [soi, &adobe, rest].concat()
}

#[expect(unsafe_code, reason = "libjpeg-turbo is C")]
fn run(shape: &FrameShape, data: &[u8], values: &mut [i16]) -> Result<(), CodecError> {
    let damaged = || CodecError::malformed("12-bit JPEG: the stream does not decode");
    let format = match shape.samples_per_pixel {
        1 => tj::TJPF_TJPF_GRAY,
        3 => tj::TJPF_TJPF_RGB,
        other => {
            return Err(CodecError::unsupported(format!("JPEG of {other} components")));
        }
    };
    let size = (c_int::try_from(shape.columns), c_int::try_from(shape.rows));
    let (Ok(columns), Ok(rows)) = size else {
        return Err(damaged());
    };
    // SAFETY: the handle and the buffers are live for the calls. The library writes rows × columns ×
    // components values: `values` has so many, for the header it has read is compared with `shape`.
    unsafe {
        let handle = tj::tj3Init(tj::TJINIT_TJINIT_DECOMPRESS.cast_signed());
        let decompressor =
            ptr::NonNull::new(handle).map(Decompressor).ok_or(CodecError::OutOfMemory(0))?;
        let handle = decompressor.0.as_ptr();
        let get = |parameter: tj::TJPARAM| tj::tj3Get(handle, parameter.cast_signed());
        let set =
            |parameter: tj::TJPARAM, value| tj::tj3Set(handle, parameter.cast_signed(), value) == 0;
        let limited = set(tj::TJPARAM_TJPARAM_STOPONWARNING, 1)
            && set(tj::TJPARAM_TJPARAM_SCANLIMIT, MOST_SCANS);
        if !limited
            || tj::tj3DecompressHeader(handle, data.as_ptr(), data.len().try_into().unwrap_or(0))
                != 0
            || get(tj::TJPARAM_TJPARAM_JPEGWIDTH) != columns
            || get(tj::TJPARAM_TJPARAM_JPEGHEIGHT) != rows
            || get(tj::TJPARAM_TJPARAM_PRECISION) != c_int::from(PRECISION)
            || values.len() as u64 != shape.samples()
            || tj::tj3Decompress12(
                handle,
                data.as_ptr(),
                data.len().try_into().unwrap_or(0),
                values.as_mut_ptr(),
                0,
                format,
            ) != 0
        {
            return Err(damaged());
        }
    }
    Ok(())
}
