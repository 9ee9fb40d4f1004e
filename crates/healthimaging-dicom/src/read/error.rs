//! Why a file or a frame cannot be read. No message holds patient data: tags and positions only.

use std::io;

use dicom_core::Tag;
use healthimaging::{Error, ErrorKind};

/// Why a file is refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// No preamble with `DICM` at byte 128 (PS3.10 §7.1), and no elements at byte 0.
    #[error("not a DICOM Part 10 file: there is no DICM prefix at byte 128")]
    NotPart10,
    /// A DICOMDIR, which names files and is no instance (PS3.10 §8.6).
    #[error("a DICOMDIR is no instance: it names the files of a medium")]
    MediaDirectory,
    /// An attribute that every stored instance needs is absent or empty. The words are the service's.
    #[error("DICOM attribute {0} does not exist")]
    Missing(&'static str),
    /// There is no data set. The words are the service's.
    #[error("DICOM attributes does not exist")]
    Empty,
    /// The data set ends before it should.
    #[error(
        "the data set is cut: {what} at byte {position} needs {needed} bytes and {left} are left"
    )]
    Cut {
        /// What does not fit.
        what: String,
        /// Where its value begins.
        position: u64,
        /// Bytes that it declares.
        needed: u64,
        /// Bytes that there are.
        left: u64,
    },
    /// The pixel data end before they should.
    #[error(
        "pixel data is cut: {needed} bytes are declared at byte {position} and {left} are left"
    )]
    PixelDataCut {
        /// Where the value or fragment begins.
        position: u64,
        /// Bytes that it declares.
        needed: u64,
        /// Bytes that there are.
        left: u64,
    },
    /// Bytes that are no data set.
    #[error("the data set is malformed at byte {position}: {reason}")]
    Malformed {
        /// Where.
        position: u64,
        /// What is wrong there.
        reason: String,
    },
    /// Sequences nested too deep.
    #[error("the data set nests sequences deeper than {limit} levels")]
    TooDeep {
        /// The most that is read.
        limit: usize,
    },
    /// Too many elements.
    #[error("the data set holds more than {limit} elements, items and fragments")]
    TooManyElements {
        /// The most that is read.
        limit: usize,
    },
    /// Values too large together.
    #[error("the values and items of the data set take more than {limit} bytes of memory")]
    TooLarge {
        /// The most that is kept.
        limit: u64,
    },
    /// A deflated data set that becomes too large.
    #[error(
        "the deflated data set becomes larger than {limit} bytes, more than is accepted for its size"
    )]
    Inflates {
        /// The most that is accepted for this file.
        limit: u64,
    },
    /// A deflated data set that is damaged or cut.
    #[error("the deflated data set is damaged or cut")]
    Deflate,
    /// An attribute that describes the pixels is absent or makes no sense.
    #[error("the pixel data cannot be described: {keyword} {problem}")]
    Attribute {
        /// Keyword of the attribute.
        keyword: &'static str,
        /// What is wrong with it.
        problem: String,
    },
    /// The source failed.
    #[error("the file could not be read: {0}")]
    Io(#[from] io::Error),
}

impl ReadError {
    /// Returns the message for users: what is wrong and where, without patient data.
    pub fn message(&self) -> String {
        self.to_string()
    }

    /// Whether the bytes are no elements, and not too many of them.
    pub(super) fn is_structural(&self) -> bool {
        matches!(self, Self::Cut { .. } | Self::PixelDataCut { .. } | Self::Malformed { .. })
    }

    pub(super) fn malformed(position: u64, reason: impl Into<String>) -> Self {
        Self::Malformed { position, reason: reason.into() }
    }

    pub(super) fn cut(tag: Tag, position: u64, needed: u64, left: u64) -> Self {
        Self::Cut { what: format!("element {tag}"), position, needed, left }
    }
}

impl From<ReadError> for Error {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Io(source) => {
                Self::new(ErrorKind::Internal, "the file could not be read").with_source(source)
            }
            other => Self::validation(other.message()),
        }
    }
}

/// Why frames cannot be read one by one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FrameError {
    /// The instance has no pixel data.
    #[error("the instance has no pixel data")]
    NoPixelData,
    /// The attributes do not describe the pixels.
    #[error("{0}")]
    Undescribed(String),
    /// `NumberOfFrames` does not agree with the pixel data.
    #[error("NumberOfFrames is {declared} but the pixel data holds {found} frames")]
    CountMismatch {
        /// The value of the attribute.
        declared: i64,
        /// Frames or fragments that there are.
        found: u64,
    },
    /// The basic or extended offset table does not point at fragments.
    #[error("the offset table of the pixel data is wrong: {0}")]
    OffsetTable(&'static str),
    /// Several fragments per frame, without a table that assigns them.
    #[error("{fragments} fragments cannot be assigned to {frames} frames")]
    Inseparable {
        /// Fragments that there are.
        fragments: usize,
        /// Frames declared.
        frames: usize,
    },
    /// Pixel data with fewer bytes than the attributes, or the lengths in it, require.
    #[error("pixel data is too short: {needed} bytes are described and {found} are there")]
    Short {
        /// Bytes that rows, columns, samples, bits and frames make.
        needed: u64,
        /// Bytes of the value.
        found: u64,
    },
    /// No frame has that index.
    #[error("there is no frame with index {index}, only {frames} frames")]
    NoSuchFrame {
        /// Requested index, from 0.
        index: usize,
        /// How many there are.
        frames: usize,
    },
    /// The frame is larger than the caller takes.
    #[error("a frame takes {length} bytes, more than the {limit} accepted")]
    TooLarge {
        /// Its size.
        length: u64,
        /// The most that the caller takes.
        limit: u64,
    },
    /// The source failed.
    #[error("the file could not be read: {0}")]
    Io(io::ErrorKind),
}

impl FrameError {
    /// The import warning that this amounts to, where the pixel data can still be kept whole.
    ///
    /// 45328 (B110, frames not separable or not whole), 45329 (B111, number of frames), 45330 (B112, offset
    /// table). `None`: there is nothing worth keeping, or reading itself failed.
    pub fn warning_code(&self) -> Option<u16> {
        match self {
            Self::Inseparable { .. } | Self::Short { .. } => Some(45328),
            Self::CountMismatch { .. } => Some(45329),
            Self::OffsetTable(_) => Some(45330),
            _ => None,
        }
    }
}

impl From<io::Error> for FrameError {
    fn from(error: io::Error) -> Self {
        Self::Io(error.kind())
    }
}

impl From<FrameError> for Error {
    fn from(error: FrameError) -> Self {
        let kind = match error {
            FrameError::Io(_) => ErrorKind::Internal,
            FrameError::NoSuchFrame { .. } => ErrorKind::NotFound,
            _ => ErrorKind::Validation,
        };
        Self::new(kind, error.to_string())
    }
}
