//! Why there is no picture, in words that hold no patient data.

use healthimaging::{Error, ErrorKind};
use healthimaging_image::DescriptionError;
use healthimaging_pixels::CodecError;

/// Why there is no picture of a frame.
///
/// Decide on the variant; the message is for people.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RenderError {
    /// The document holds no such instance or frame.
    #[error("{0}")]
    NotFound(&'static str),
    /// The request names a frame that the instance does not have, or a size that no picture can have.
    #[error("{0}")]
    Request(String),
    /// Frames of this kind cannot be shown by this program.
    #[error("no picture can be made of this frame ({0})")]
    Unsupported(String),
    /// An attribute that the picture depends on is absent or unusable.
    #[error("no picture can be made of this instance: its {0}")]
    Attribute(#[from] DescriptionError),
    /// The frame cannot be decoded.
    #[error("{0}")]
    Frame(#[source] CodecError),
    /// The stored frame is not the one that the metadata describes.
    #[error("the frame does not match the checksum in the metadata, so it is not shown")]
    Checksum,
    /// The picture could not be scaled or written. This is a fault of the program.
    #[error("the picture could not be written: {0}")]
    Encoding(String),
}

impl From<CodecError> for RenderError {
    fn from(error: CodecError) -> Self {
        match error {
            CodecError::Unsupported(what) => Self::Unsupported(what),
            other => Self::Frame(other),
        }
    }
}

impl From<RenderError> for Error {
    /// The words stay; the kind says what a caller can do about it.
    fn from(error: RenderError) -> Self {
        let kind = match &error {
            RenderError::NotFound(_) => ErrorKind::NotFound,
            RenderError::Request(_) | RenderError::Attribute(_) => ErrorKind::Validation,
            RenderError::Unsupported(_) => ErrorKind::NotSupported,
            RenderError::Frame(codec) => Self::from(codec.clone()).kind(),
            RenderError::Checksum => ErrorKind::Service,
            RenderError::Encoding(_) => ErrorKind::Internal,
        };
        Self::new(kind, error.to_string()).with_source(error)
    }
}
