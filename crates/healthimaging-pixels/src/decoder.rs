//! Where frames from outside are decoded: in this process, or where a fault of a codec does no harm.

use std::borrow::Cow;
use std::fmt::Debug;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use crate::decode::{DecodedFrame, SourceFrame, decode};
use crate::error::CodecError;
use crate::native;
use crate::pdf::{PdfContent, PdfError, PdfPart, read_pdf};
use crate::show::{self, ShownFrame};
use crate::transfer_syntax::{RLE, is_encapsulated};

/// Decodes compressed frames in another process, as [`decode`] does in this one.
pub trait IsolatedDecoder: Debug + Send + Sync {
    /// Decodes a frame. Blocks.
    ///
    /// # Errors
    /// As [`decode`]; [`CodecError::TookTooLong`], [`CodecError::Crashed`],
    /// [`CodecError::NoDecoder`] and [`CodecError::ForbiddenCall`] besides.
    fn decode(&self, source: &SourceFrame<'_>) -> Result<DecodedFrame, CodecError>;

    /// Reads a PDF document. Blocks.
    ///
    /// # Errors
    /// As [`read_pdf`]; [`PdfError::Failed`] if this place reads no documents.
    fn read_pdf(&self, data: &[u8], part: PdfPart) -> Result<PdfContent, PdfError> {
        let _ = (data, part);
        Err(PdfError::Failed("its reader is for frames only".to_owned()))
    }
}

/// Decodes frames from any source; clones share the decoder.
///
/// Native frames and RLE are decoded in this process: that code is ours, without `unsafe`, and its
/// time and memory are bounded by the frame. Every other codec is a library, some of them C and C++,
/// whose time and memory depend on the frame; those frames go to a separate place, if there is such
/// a place.
#[derive(Debug, Clone, Default)]
pub struct Decoder {
    isolated: Option<Arc<dyn IsolatedDecoder>>,
}

impl Decoder {
    /// Decodes all frames in this process: for tests, and for frames of our own making.
    #[must_use]
    pub fn in_process() -> Self {
        Self::default()
    }

    /// Decodes compressed frames in `place`.
    #[must_use]
    pub fn isolated(place: Arc<dyn IsolatedDecoder>) -> Self {
        Self { isolated: Some(place) }
    }

    /// Decodes a frame; its pixels are borrowed where they are stored as they are returned. Blocks.
    ///
    /// # Errors
    /// As [`IsolatedDecoder::decode`].
    pub fn pixels<'a>(
        &self,
        source: &SourceFrame<'a>,
    ) -> Result<(Cow<'a, [u8]>, String), CodecError> {
        if !is_encapsulated(source.transfer_syntax)
            && let Some(pixels) = native::unchanged(source)
        {
            return Ok((Cow::Borrowed(pixels), source.photometric.to_owned()));
        }
        let DecodedFrame { pixels, photometric } = self.decode(source)?;
        Ok((Cow::Owned(pixels), photometric))
    }

    /// Decodes a frame. Blocks.
    ///
    /// # Errors
    /// As [`IsolatedDecoder::decode`].
    pub fn decode(&self, source: &SourceFrame<'_>) -> Result<DecodedFrame, CodecError> {
        match &self.isolated {
            Some(place) if is_isolated(source.transfer_syntax) => place.decode(source),
            _ => decode_guarded(source),
        }
    }

    /// Reads a PDF document. Blocks.
    ///
    /// # Errors
    /// As [`IsolatedDecoder::read_pdf`].
    pub fn read_pdf(&self, data: &[u8], part: PdfPart) -> Result<PdfContent, PdfError> {
        match &self.isolated {
            Some(place) => place.read_pdf(data, part),
            None => read_pdf(data, part),
        }
    }

    /// Decodes a frame for a picture: as [`Self::decode`], and samples of any number of bits, frames
    /// that are deflated or encapsulated without compression, and native and RLE frames that are cut
    /// short. Blocks.
    ///
    /// # Errors
    /// As [`IsolatedDecoder::decode`].
    pub fn decode_to_show(&self, source: &SourceFrame<'_>) -> Result<ShownFrame, CodecError> {
        show::decode(self, source)
    }
}

/// As [`decode`]; a panic of a codec becomes an error that does not blame the frame.
///
/// # Errors
/// As [`decode`].
pub fn decode_guarded(source: &SourceFrame<'_>) -> Result<DecodedFrame, CodecError> {
    catch_unwind(AssertUnwindSafe(|| decode(source))).unwrap_or(Err(CodecError::Crashed))
}

/// Whether frames of a transfer syntax are decoded by a library.
fn is_isolated(transfer_syntax: &str) -> bool {
    is_encapsulated(transfer_syntax) && transfer_syntax != RLE
}
