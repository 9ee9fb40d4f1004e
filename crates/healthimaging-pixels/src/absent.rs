//! Stands in for the codecs in C and C++ in builds without the feature `codecs`.

use crate::error::CodecError;
use crate::shape::FrameShape;

fn absent<T>(codec: &str) -> Result<T, CodecError> {
    Err(CodecError::unsupported(format!("{codec} in this build, which has no codecs,")))
}

pub(crate) mod jpeg_ls {
    use super::{CodecError, absent};
    use crate::decode::SourceFrame;

    pub(crate) fn decode(_: &SourceFrame<'_>) -> Result<Vec<u8>, CodecError> {
        absent("JPEG-LS")
    }
}

pub(crate) mod turbojpeg {
    use super::{CodecError, FrameShape, absent};

    pub(crate) fn decode(_: &FrameShape, _: u8, _: &[u8]) -> Result<Vec<u8>, CodecError> {
        absent("JPEG")
    }
}

pub(crate) mod openjpeg {
    use super::{CodecError, FrameShape, absent};

    pub(crate) fn encode<T>(_: &FrameShape, _: u16, _: T, _: &[u8]) -> Result<Vec<u8>, CodecError> {
        absent("JPEG 2000")
    }

    pub(crate) fn decode(_: &FrameShape, _: &[u8]) -> Result<Vec<u8>, CodecError> {
        absent("JPEG 2000")
    }
}

pub(crate) mod openjph {
    use super::{CodecError, FrameShape, absent};

    /// Prepares the process for frames, of which this build decodes few.
    pub fn prepare() {}

    /// Returns freed memory to the system, which does so by itself in this build.
    pub fn return_freed_memory() {}

    pub(crate) fn encode<T>(_: &FrameShape, _: u16, _: T, _: &[u8]) -> Result<Vec<u8>, CodecError> {
        absent("HTJ2K")
    }

    pub(crate) fn verify_own(_: &FrameShape, _: &[u8], _: &[u8]) -> Result<(), CodecError> {
        absent("HTJ2K")
    }

    pub(crate) fn decode_own(_: &FrameShape, _: &[u8]) -> Result<Vec<u8>, CodecError> {
        absent("HTJ2K")
    }
}
