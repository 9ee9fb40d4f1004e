//! `libjpeg-turbo` 3, through its `TurboJPEG` interface.

use std::ffi::{CStr, c_int, c_void};
use std::ptr;

use turbojpeg_sys as tj;

use crate::error::CodecError;
use crate::jpeg_header::EOI;
use crate::shape::FrameShape;

/// Scans that a progressive stream may have; each is a pass over the whole image.
const MOST_SCANS: c_int = 100;
/// Memory that the library may take: for the coefficients of each sample, and for tables, in MiB.
const BYTES_A_SAMPLE: u64 = 8;
const MEBIBYTES_BESIDE: u64 = 64;

/// A decompressor, destroyed when dropped.
struct Decompressor(ptr::NonNull<c_void>);

impl Drop for Decompressor {
    #[expect(unsafe_code, reason = "libjpeg-turbo is C")]
    fn drop(&mut self) {
        // SAFETY: the handle came from tj3Init and is destroyed here only.
        unsafe { tj::tj3Destroy(self.0.as_ptr()) }
    }
}

/// Decoded samples; the library has a function for each range of precisions.
enum Samples {
    /// 2 to 8 bits.
    Eight(Vec<u8>),
    /// 9 to 12 bits.
    Twelve(Vec<i16>),
    /// 13 to 16 bits.
    Sixteen(Vec<u16>),
}

impl Samples {
    fn zeroed(shape: &FrameShape, precision: u8) -> Result<Self, CodecError> {
        let count = shape.checked_length()? / shape.bytes_per_sample();
        Ok(match precision {
            ..=8 => Self::Eight(zeroed(count)?),
            9..=12 => Self::Twelve(zeroed(count)?),
            13.. => Self::Sixteen(zeroed(count)?),
        })
    }

    /// One byte a sample, or two in the order of this machine.
    fn into_bytes(self) -> Result<Vec<u8>, CodecError> {
        match self {
            Self::Eight(values) => Ok(values),
            Self::Twelve(values) => bytes_of(&values, i16::to_ne_bytes),
            Self::Sixteen(values) => bytes_of(&values, u16::to_ne_bytes),
        }
    }
}

fn zeroed<T: Clone + Default>(count: usize) -> Result<Vec<T>, CodecError> {
    let mut values = Vec::new();
    let bytes = (count as u64).saturating_mul(size_of::<T>() as u64);
    values.try_reserve_exact(count).map_err(|_| CodecError::OutOfMemory(bytes))?;
    values.resize(count, T::default());
    Ok(values)
}

fn bytes_of<T: Copy>(values: &[T], bytes: impl Fn(T) -> [u8; 2]) -> Result<Vec<u8>, CodecError> {
    let mut all = crate::shape::zeroed(values.len() * 2)?;
    for (to, value) in all.as_chunks_mut().0.iter_mut().zip(values) {
        *to = bytes(*value);
    }
    Ok(all)
}

/// Why the library did not decode.
struct Failure {
    /// In the library's words.
    message: String,
    /// Whether it could continue.
    is_warning: bool,
}

/// Decodes a prepared stream of 1 or 3 components to interleaved samples of one byte (precision up
/// to 8) or two native bytes.
///
/// A warning counts as damage, for the library goes on with invented pixels.
pub(crate) fn decode(
    shape: &FrameShape,
    precision: u8,
    stream: &[u8],
) -> Result<Vec<u8>, CodecError> {
    let mut samples = Samples::zeroed(shape, precision)?;
    let decoded = match run(shape, precision, stream, true, &mut samples) {
        // All pixels are there.
        Err(failure) if is_padding_before_the_end(&failure, stream) => {
            run(shape, precision, stream, false, &mut samples).or_else(|again| {
                let same = again.is_warning && again.message == failure.message;
                if same { Ok(()) } else { Err(again) }
            })
        }
        other => other,
    };
    decoded.map_err(|failure| error(shape, &failure))?;
    samples.into_bytes()
}

/// Whether the library only found zero bytes between the last scan and EOI, which ends `stream`.
fn is_padding_before_the_end(failure: &Failure, stream: &[u8]) -> bool {
    let count = failure
        .message
        .strip_prefix("Corrupt JPEG data: ")
        .and_then(|rest| rest.strip_suffix(" extraneous bytes before marker 0xd9"))
        .and_then(|count| count.parse::<usize>().ok());
    let scans = stream.strip_suffix(&[0xFF, EOI]).unwrap_or_default();
    count
        .and_then(|count| scans.len().checked_sub(count))
        .and_then(|start| scans.get(start..))
        .is_some_and(|extra| extra.iter().all(|byte| *byte == 0))
}

/// Maps the messages of the library.
fn error(shape: &FrameShape, failure: &Failure) -> CodecError {
    let words = failure.message.as_str();
    let any = |parts: &[&str]| parts.iter().any(|part| words.contains(part));
    if any(&["Insufficient memory", "Memory allocation failure", "Memory limit exceeded"]) {
        CodecError::OutOfMemory(shape.byte_length())
    } else if any(&["more than", "Unsupported", "not implemented"]) {
        CodecError::unsupported(format!("this JPEG ({words})"))
    } else {
        CodecError::malformed(format!("JPEG: {words}"))
    }
}

#[expect(unsafe_code, reason = "libjpeg-turbo is C")]
fn run(
    shape: &FrameShape,
    precision: u8,
    stream: &[u8],
    stop_on_warning: bool,
    samples: &mut Samples,
) -> Result<(), Failure> {
    let own = |message: &str| Failure { message: message.to_owned(), is_warning: false };
    let other_shape = || own("the decoder reads another shape");
    let length = stream.len().try_into().map_err(|_| other_shape())?;
    let format = match shape.samples_per_pixel {
        1 => tj::TJPF_TJPF_GRAY,
        3 => tj::TJPF_TJPF_RGB,
        _ => return Err(other_shape()),
    };
    let size = (c_int::try_from(shape.columns), c_int::try_from(shape.rows));
    let (Ok(columns), Ok(rows)) = size else {
        return Err(other_shape());
    };
    let memory = (shape.samples().saturating_mul(BYTES_A_SAMPLE) >> 20) + MEBIBYTES_BESIDE;
    // SAFETY: the handle and the buffers are live for the calls. The library writes rows × columns ×
    // components samples of the width that its function has: `samples` holds so many, for the header
    // that it has read is compared with `shape`.
    unsafe {
        let handle = tj::tj3Init(tj::TJINIT_TJINIT_DECOMPRESS.cast_signed());
        let decompressor = ptr::NonNull::new(handle)
            .map(Decompressor)
            .ok_or_else(|| own("Memory allocation failure"))?;
        let handle = decompressor.0.as_ptr();
        let failure = || {
            let words = CStr::from_ptr(tj::tj3GetErrorStr(handle)).to_string_lossy().into_owned();
            let code = tj::tj3GetErrorCode(handle).cast_unsigned();
            Failure { message: words, is_warning: code == tj::TJERR_TJERR_WARNING }
        };
        let get = |parameter: tj::TJPARAM| tj::tj3Get(handle, parameter.cast_signed());
        let set = |parameter: tj::TJPARAM, value| {
            let done = tj::tj3Set(handle, parameter.cast_signed(), value) == 0;
            if done { Ok(()) } else { Err(failure()) }
        };
        set(tj::TJPARAM_TJPARAM_STOPONWARNING, stop_on_warning.into())?;
        set(tj::TJPARAM_TJPARAM_SCANLIMIT, MOST_SCANS)?;
        set(tj::TJPARAM_TJPARAM_MAXMEMORY, memory.try_into().unwrap_or(c_int::MAX))?;
        if tj::tj3DecompressHeader(handle, stream.as_ptr(), length) != 0 {
            return Err(failure());
        }
        if get(tj::TJPARAM_TJPARAM_JPEGWIDTH) != columns
            || get(tj::TJPARAM_TJPARAM_JPEGHEIGHT) != rows
            || get(tj::TJPARAM_TJPARAM_PRECISION) != c_int::from(precision)
        {
            return Err(other_shape());
        }
        let data = stream.as_ptr();
        let outcome = match samples {
            Samples::Eight(values) => {
                tj::tj3Decompress8(handle, data, length, values.as_mut_ptr(), 0, format)
            }
            Samples::Twelve(values) => {
                tj::tj3Decompress12(handle, data, length, values.as_mut_ptr(), 0, format)
            }
            Samples::Sixteen(values) => {
                tj::tj3Decompress16(handle, data, length, values.as_mut_ptr(), 0, format)
            }
        };
        if outcome == 0 { Ok(()) } else { Err(failure()) }
    }
}
