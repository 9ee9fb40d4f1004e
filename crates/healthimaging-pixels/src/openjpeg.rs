//! JPEG 2000, and HTJ2K from outside, by `OpenJPEG`.

use std::ffi::{CStr, c_char, c_void};
use std::ptr;

use openjpeg_sys as opj;

use crate::codestream::{agree, decompositions, without_tile_part_lengths};
use crate::encode::ColorTransform;
use crate::error::CodecError;
use crate::jp2::codestream_of;
use crate::memory_stream::{Reader, Stream, Writer};
use crate::samples::write_component;
use crate::shape::{FrameShape, zeroed};

const TRUE: i32 = 1;

/// A compressor or decompressor, destroyed when dropped.
struct Codec(ptr::NonNull<opj::opj_codec_t>);

impl Codec {
    fn new(pointer: *mut opj::opj_codec_t) -> Result<Self, CodecError> {
        ptr::NonNull::new(pointer).map(Self).ok_or(CodecError::OutOfMemory(0))
    }
}

impl Drop for Codec {
    #[expect(unsafe_code, reason = "OpenJPEG is C")]
    fn drop(&mut self) {
        // SAFETY: the pointer came from an opj_create function and is destroyed here only.
        unsafe { opj::opj_destroy_codec(self.0.as_ptr()) }
    }
}

/// An image with its component buffers, destroyed when dropped.
struct Image(ptr::NonNull<opj::opj_image_t>);

impl Image {
    #[expect(unsafe_code, reason = "OpenJPEG is C")]
    fn components(&self) -> &[opj::opj_image_comp_t] {
        // SAFETY: a live image's `comps` points at `numcomps` components, or is null with none.
        unsafe {
            let image = self.0.as_ref();
            if image.comps.is_null() {
                return &[];
            }
            std::slice::from_raw_parts(image.comps, image.numcomps as usize)
        }
    }

    /// Where component `index` keeps its numbers, when there are `count` of them.
    fn place(&self, index: usize, count: usize) -> Option<*mut i32> {
        let component = self.components().get(index)?;
        let held = u64::from(component.w) * u64::from(component.h);
        let usable = !component.data.is_null() && u64::try_from(count).ok()? == held;
        usable.then_some(component.data)
    }

    #[expect(unsafe_code, reason = "OpenJPEG is C")]
    fn values(&self, index: usize, count: usize) -> Option<&[i32]> {
        let place = self.place(index, count)?;
        // SAFETY: `data` of a live image's component is null or holds w × h numbers.
        Some(unsafe { std::slice::from_raw_parts(place, count) })
    }

    #[expect(unsafe_code, reason = "OpenJPEG is C")]
    fn values_mut(&mut self, index: usize, count: usize) -> Option<&mut [i32]> {
        let place = self.place(index, count)?;
        // SAFETY: as in `values`; components have buffers of their own, and `self` is borrowed.
        Some(unsafe { std::slice::from_raw_parts_mut(place, count) })
    }
}

impl Drop for Image {
    #[expect(unsafe_code, reason = "OpenJPEG is C")]
    fn drop(&mut self) {
        // SAFETY: the image came from OpenJPEG and is destroyed here only.
        unsafe { opj::opj_image_destroy(self.0.as_ptr()) }
    }
}

/// Decodes a codestream from anywhere, after comparing its header with the image attributes.
pub(crate) fn decode(shape: &FrameShape, data: &[u8]) -> Result<Vec<u8>, CodecError> {
    let length = shape.checked_length()?;
    let data = codestream_of(data)?;
    agree(data, shape)?;
    let data = without_tile_part_lengths(data);
    let image = run_decoder(&data).or_else(|error| run_ended(&data).ok_or(error));
    let image = image.map_err(|error| match error {
        CodecError::OutOfMemory(_) => CodecError::OutOfMemory(shape.byte_length()),
        other => other,
    })?;

    let damaged = || CodecError::malformed("JPEG 2000: the codestream does not decode");
    let mut pixels = zeroed(length)?;
    let count = length / (shape.bytes_per_sample() * shape.samples_in_a_pixel());
    if image.components().len() != shape.samples_in_a_pixel() {
        return Err(damaged());
    }
    for (index, component) in image.components().iter().enumerate() {
        let values = image.values(index, count).ok_or_else(damaged)?;
        let precision = component.prec;
        write_component(shape, &mut pixels, index, precision, values.iter().copied());
    }
    Ok(pixels)
}

/// The image of a codestream that lacks its last marker, EOC, which the decoder insists on; a pad
/// byte may follow in its place.
fn run_ended(data: &[u8]) -> Option<Image> {
    const END: [u8; 2] = [0xFF, 0xD9];
    let tail = data.get(data.len().saturating_sub(4)..)?;
    if tail.windows(2).any(|pair| pair == END) {
        return None;
    }
    let unpadded = data.strip_suffix(&[0]).unwrap_or(data);
    [data, unpadded].iter().find_map(|data| run_decoder(&[data, &END[..]].concat()).ok())
}

/// Sets its context, a flag, if the library reports that memory is short: that is no damage.
#[expect(unsafe_code, reason = "called from C with a text and a context of ours")]
unsafe extern "C" fn note_memory(message: *const c_char, context: *mut c_void) {
    // SAFETY: the library passes a text that ends with a zero, and `run_noting` a flag that lives as
    // long as the decoder.
    let (message, flag) = unsafe { (CStr::from_ptr(message), &mut *context.cast::<bool>()) };
    let message = message.to_string_lossy();
    *flag |= ["memory", "allocat"].iter().any(|word| message.contains(word));
}

fn run_decoder(data: &[u8]) -> Result<Image, CodecError> {
    let mut lacks_memory = false;
    let result = run_noting(data, &mut lacks_memory);
    if lacks_memory && result.is_err() {
        return Err(CodecError::OutOfMemory(0));
    }
    result
}

#[expect(unsafe_code, reason = "OpenJPEG is C")]
fn run_noting(data: &[u8], lacks_memory: &mut bool) -> Result<Image, CodecError> {
    let damaged = || CodecError::malformed("JPEG 2000: the codestream does not decode");
    let mut reader = Reader::new(data);
    let stream = Stream::reading(&mut reader)?;
    // SAFETY: every pointer is live for the calls, `image` is owned as soon as it is not null,
    // and the order of calls is that of OpenJPEG's own opj_decompress.
    unsafe {
        let codec = Codec::new(opj::opj_create_decompress(opj::CODEC_FORMAT::OPJ_CODEC_J2K))?;
        let mut parameters = std::mem::zeroed();
        opj::opj_set_default_decoder_parameters(&raw mut parameters);
        let flag = ptr::from_mut(lacks_memory).cast();
        opj::opj_set_error_handler(codec.0.as_ptr(), Some(note_memory), flag);
        let ready = opj::opj_setup_decoder(codec.0.as_ptr(), &raw mut parameters) == TRUE
            && opj::opj_decoder_set_strict_mode(codec.0.as_ptr(), TRUE) == TRUE;
        let mut image = ptr::null_mut();
        let read = ready
            && opj::opj_read_header(stream.as_ptr(), codec.0.as_ptr(), &raw mut image) == TRUE;
        let image = ptr::NonNull::new(image).map(Image).ok_or_else(damaged)?;
        if !read || opj::opj_decode(codec.0.as_ptr(), stream.as_ptr(), image.0.as_ptr()) != TRUE {
            return Err(damaged());
        }
        Ok(image)
    }
}

/// Encodes to a raw JPEG 2000 Part 1 codestream, reversible.
///
/// `OpenJPEG` 2.5.3 has room for 1.4 times the bits of the image. Noise of few bits needs more, for
/// the color and wavelet transforms widen every sample by a bit or two; then the stream declares
/// Bits Allocated, for which there is room enough, and the samples do not change.
pub(crate) fn encode(
    shape: &FrameShape,
    bit_depth: u16,
    color: ColorTransform,
    pixels: &[u8],
) -> Result<Vec<u8>, CodecError> {
    if let Some(bytes) = encode_in_depth(shape, bit_depth, color, pixels)? {
        return Ok(bytes);
    }
    encode_in_depth(shape, shape.bits_allocated, color, pixels)?
        .ok_or_else(|| CodecError::unsupported("this shape of frame in JPEG 2000"))
}

fn encode_in_depth(
    shape: &FrameShape,
    bit_depth: u16,
    color: ColorTransform,
    pixels: &[u8],
) -> Result<Option<Vec<u8>>, CodecError> {
    let image = image_of(shape, bit_depth, pixels)?;
    let mut writer = Writer::with_capacity(pixels.len() / 2);
    let whole = run_encoder(&image, decompositions(shape), color, &mut writer)?;
    Ok(whole.then(|| writer.into_bytes()))
}

#[expect(unsafe_code, reason = "OpenJPEG is C")]
fn run_encoder(
    image: &Image,
    levels: u32,
    color: ColorTransform,
    writer: &mut Writer,
) -> Result<bool, CodecError> {
    let stream = Stream::writing(writer)?;
    // SAFETY: every pointer is live for the calls, whose order is that of OpenJPEG's own
    // opj_compress; all-zero is a valid opj_cparameters (every enum in it has a 0).
    unsafe {
        let codec = Codec::new(opj::opj_create_compress(opj::CODEC_FORMAT::OPJ_CODEC_J2K))?;
        let mut parameters: opj::opj_cparameters_t = std::mem::zeroed();
        opj::opj_set_default_encoder_parameters(&raw mut parameters);
        parameters.tcp_numlayers = 1;
        parameters.cp_disto_alloc = 1;
        parameters.irreversible = 0;
        parameters.prog_order = opj::PROG_ORDER::OPJ_RPCL;
        parameters.numresolution = i32::try_from(levels).unwrap_or_default() + 1;
        parameters.tcp_mct = (color == ColorTransform::Reversible).into();
        let codec = codec.0.as_ptr();
        Ok(opj::opj_setup_encoder(codec, &raw mut parameters, image.0.as_ptr()) == TRUE
            && opj::opj_start_compress(codec, image.0.as_ptr(), stream.as_ptr()) == TRUE
            && opj::opj_encode(codec, stream.as_ptr()) == TRUE
            && opj::opj_end_compress(codec, stream.as_ptr()) == TRUE)
    }
}

#[expect(unsafe_code, reason = "OpenJPEG is C")]
fn image_of(shape: &FrameShape, bit_depth: u16, pixels: &[u8]) -> Result<Image, CodecError> {
    let length = shape.checked_length()?;
    let parameter = opj::opj_image_cmptparm_t {
        dx: 1,
        dy: 1,
        w: shape.columns,
        h: shape.rows,
        x0: 0,
        y0: 0,
        prec: bit_depth.into(),
        bpp: bit_depth.into(),
        sgnd: shape.is_signed().into(),
    };
    let mut parameters = vec![parameter; shape.samples_in_a_pixel()];
    // SAFETY: `parameters` holds as many entries as are announced; the image is owned at once,
    // and its plain extent fields are set as opj_compress does.
    let mut image = unsafe {
        let image = opj::opj_image_create(
            shape.samples_per_pixel.into(),
            parameters.as_mut_ptr(),
            opj::COLOR_SPACE::OPJ_CLRSPC_UNSPECIFIED,
        );
        let mut image = ptr::NonNull::new(image)
            .map(Image)
            .ok_or(CodecError::OutOfMemory(shape.byte_length() * 4))?;
        let fields = image.0.as_mut();
        (fields.x1, fields.y1) = (shape.columns, shape.rows);
        image
    };

    let pixel = shape.bytes_per_sample() * shape.samples_in_a_pixel();
    for index in 0..shape.samples_in_a_pixel() {
        let values = image
            .values_mut(index, length / pixel)
            .ok_or(CodecError::OutOfMemory(shape.byte_length() * 4))?;
        let start = index * shape.bytes_per_sample();
        for (to, from) in values.iter_mut().zip(pixels.chunks_exact(pixel)) {
            *to = match (from.get(start..).unwrap_or_default(), shape.bits_allocated) {
                ([low, ..], 8) if shape.is_signed() => low.cast_signed().into(),
                ([low, ..], 8) => (*low).into(),
                ([low, high, ..], 16) if shape.is_signed() => {
                    i16::from_le_bytes([*low, *high]).into()
                }
                ([low, high, ..], 16) => u16::from_le_bytes([*low, *high]).into(),
                _ => return Err(CodecError::unsupported("JPEG 2000 of more than 16 bits")),
            };
        }
    }
    Ok(image)
}
