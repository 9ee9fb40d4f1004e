//! What was odd about a file that was read all the same.

use dicom_core::Tag;

/// Something odd. The words hold no patient data.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReadWarning {
    /// Bytes after the data set, which were left out.
    #[error("{length} bytes after the data set were left out")]
    TrailingBytes {
        /// Where they begin.
        position: u64,
        /// How many.
        length: u64,
    },
    /// The encoding is not the one that the transfer syntax names.
    #[error("the data set is in {found} VR, unlike its transfer syntax says")]
    Encoding {
        /// `explicit` or `implicit`.
        found: &'static str,
    },
    /// An element appears twice; the first is kept.
    #[error("element {0} appears again and the second was left out")]
    Duplicate(Tag),
    /// An encapsulated value outside the root, such as an icon, which was left out.
    #[error("the encapsulated value of {0} inside a sequence was left out")]
    NestedFragments(Tag),
    /// The length is no multiple of the size of a number of its VR; the rest was left out.
    #[error("the length of {0} does not fit its value representation and the rest was left out")]
    ValueLength(Tag),
    /// A term of Specific Character Set that is not in PS3.3 §C.12.1.1.2; Latin-1 is assumed.
    #[error("the specific character set is unknown, so UTF-8 or Latin-1 is assumed")]
    UnknownCharacterSet,
    /// Bytes that are no text in the character set declared.
    #[error("the text of {0} is not in the character set declared, so UTF-8 or Latin-1 is assumed")]
    Text(Tag),
}

impl ReadWarning {
    /// The import warning that this amounts to: 45056 (B000, changed), 45062 (B006, left out),
    /// 45571 (B202, length); `None` where nothing of the data set is changed by it.
    pub fn warning_code(&self) -> Option<u16> {
        match self {
            Self::TrailingBytes { .. } | Self::Encoding { .. } => None,
            Self::Duplicate(_) | Self::NestedFragments(_) => Some(45062),
            Self::ValueLength(_) => Some(45571),
            Self::UnknownCharacterSet | Self::Text(_) => Some(45056),
        }
    }
}
