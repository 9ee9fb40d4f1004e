//! JPEG baseline, extended and lossless, by `jpeg-decoder`; its lossy 12 bits by `libjpeg-turbo`.

use std::panic::{AssertUnwindSafe, catch_unwind};

use jpeg_decoder::{ColorTransform, Decoder};

use crate::decode::{DecodedFrame, SourceFrame};
use crate::error::CodecError;
use crate::jpeg_header::{JpegHeader, SOF_LOSSLESS};
use crate::jpeg_twelve;
use crate::samples::widen;

/// Decodes; colour of the lossy processes becomes RGB, lossless samples stay what they are.
pub(crate) fn decode(source: &SourceFrame<'_>) -> Result<DecodedFrame, CodecError> {
    let length = source.shape.checked_length()?;
    let header = JpegHeader::read(source.data)?;
    header.agree(&source.shape)?;
    let lossless = header.process == SOF_LOSSLESS;
    if !matches!(header.components.len(), 1 | 3) {
        return Err(CodecError::unsupported(format!(
            "JPEG of {} components",
            header.components.len()
        )));
    }

    let colour = header.components.len() == 3;
    let transform = colour.then(|| transform(&header, source));
    let decoded = match header.precision {
        8 => run(source.data, length, transform)?,
        _ if lossless => run(source.data, length, transform)?,
        jpeg_twelve::PRECISION => {
            let data = jpeg_twelve::sequential(&header, source.data);
            jpeg_twelve::decode(&source.shape, transform, &data)?
        }
        other => {
            return Err(CodecError::unsupported(format!("lossy JPEG of {other} bits")));
        }
    };
    let pixels = widen(&source.shape, decoded, header.precision.into())?;
    let photometric = match source.photometric {
        photometric if !colour || lossless => photometric,
        _ => "RGB",
    };
    Ok(DecodedFrame { pixels, photometric: photometric.to_owned() })
}

fn run(
    data: &[u8],
    length: usize,
    transform: Option<ColorTransform>,
) -> Result<Vec<u8>, CodecError> {
    // Some of the crate's own checks are assertions, and hostile streams reach them.
    catch_unwind(AssertUnwindSafe(|| {
        let mut decoder = Decoder::new(data);
        // Two bytes a sample at most, for lossless samples of fewer than 8 bits.
        decoder.set_max_decoding_buffer_size(length.saturating_mul(2));
        if let Some(transform) = transform {
            decoder.set_color_transform(transform);
        }
        decoder.decode()
    }))
    .map_err(|_| CodecError::malformed("the JPEG decoder gave up"))?
    .map_err(|error| CodecError::malformed(format!("JPEG: {error}")))
}

/// Which colour transform the lossy stream needs to become RGB.
///
/// Photometric Interpretation RGB means that none was applied (PS3.5 §8.2.1), unless the stream
/// itself says otherwise; writers that forget to update the attribute are common.
fn transform(header: &JpegHeader, source: &SourceFrame<'_>) -> ColorTransform {
    let rgb = match (header.adobe_transform, header.components.as_slice()) {
        (Some(0), _) | (None, b"RGB") => true,
        (Some(_), _) => false,
        (None, _) => source.photometric == "RGB",
    };
    if rgb { ColorTransform::RGB } else { ColorTransform::YCbCr }
}
