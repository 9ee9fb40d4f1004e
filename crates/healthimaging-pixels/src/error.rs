//! Errors of one frame; their messages hold no patient data.

use healthimaging::{Error, ErrorKind};
use serde::{Deserialize, Serialize};

/// Why a frame could not be decoded or encoded.
///
/// Decide on the variant; the message is for people. No message holds pixel values or any
/// attribute that identifies a patient.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[non_exhaustive]
pub enum CodecError {
    /// Not supported exactly; keep the frame as received.
    #[error("{0} is not supported; the frame can only be kept as it was received")]
    Unsupported(String),
    /// The attributes of the frame contradict each other or are out of range.
    #[error("the image attributes are not usable: {0}")]
    Shape(String),
    /// The header of the frame contradicts the image attributes.
    #[error("the frame does not fit the image attributes: {0}")]
    Disagreement(String),
    /// The bytes are not a valid stream of the transfer syntax.
    #[error("the frame is damaged: {0}")]
    Malformed(String),
    /// The encoded frame did not decode to the same pixels; it must not be stored.
    #[error("the encoded frame did not decode to the same pixels; it must not be stored")]
    NotLossless,
    /// There is not enough memory, or decoding needs more than a frame of this many bytes may take.
    #[error("this server could not decode the frame (not enough memory for {0} bytes of pixels)")]
    OutOfMemory(u64),
    /// Decoding was stopped.
    #[error("this server could not decode the frame (it took more than {0} seconds)")]
    TookTooLong(u64),
    /// The decoder ended in the middle of the frame, in both attempts.
    #[error(
        "this server could not decode the frame (the decoder crashed, or needed too much memory)"
    )]
    Crashed,
    /// No decoder is available; no fault of the frame.
    #[error("this server could not decode the frame (no decoder could be started: {0})")]
    NoDecoder(String),
    /// The decoder needs what its sandbox rejects; no fault of the frame.
    #[error("this server could not decode the frame (its sandbox refused a system call)")]
    ForbiddenCall,
}

impl CodecError {
    /// Whether the error is no fault of the frame, which may be decoded another time.
    #[must_use]
    pub fn is_fault(&self) -> bool {
        matches!(self, Self::NoDecoder(_) | Self::ForbiddenCall)
    }

    pub(crate) fn unsupported(what: impl Into<String>) -> Self {
        Self::Unsupported(what.into())
    }

    pub(crate) fn malformed(what: impl Into<String>) -> Self {
        Self::Malformed(what.into())
    }
}

impl From<CodecError> for Error {
    /// Keeps the message, and maps to the kind.
    fn from(error: CodecError) -> Self {
        let kind = match &error {
            CodecError::Unsupported(_) => ErrorKind::NotSupported,
            CodecError::Shape(_) | CodecError::Disagreement(_) | CodecError::Malformed(_) => {
                ErrorKind::Validation
            }
            CodecError::NotLossless
            | CodecError::OutOfMemory(_)
            | CodecError::TookTooLong(_)
            | CodecError::Crashed
            | CodecError::NoDecoder(_)
            | CodecError::ForbiddenCall => ErrorKind::Internal,
        };
        Self::new(kind, error.to_string()).with_source(error)
    }
}
