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
        /// Whether all of them are zero, as padding is.
        are_zero: bool,
    },
    /// The encoding is not the one that the transfer syntax names.
    #[error("the data set is in {found} VR, not as its transfer syntax requires")]
    Encoding {
        /// `explicit` or `implicit`.
        found: &'static str,
    },
    /// There is no preamble with `DICM`: the file begins with elements.
    #[error("the file has no preamble with a DICM prefix")]
    NoPreamble,
    /// The File Meta Information is in implicit VR (PS3.10 §7.1 requires explicit).
    #[error("the file meta information is in implicit VR")]
    ImplicitMeta,
    /// The transfer syntax requires a deflated data set, and it is not deflated.
    #[error("the data set is not deflated, although its transfer syntax requires it")]
    NotDeflated,
    /// The deflated data set has the header of zlib (PS3.5 §A.5 has none).
    #[error("the deflated data set has the header of zlib")]
    Zlib,
    /// The header of an element violates the standard; VR and length are those that
    /// lead to the next element.
    #[error("the header of {0} is malformed; its value representation was concluded")]
    Header(Tag),
    /// The pixel data is not encoded in the transfer syntax of the file.
    #[error("the pixel data is in transfer syntax {found}, not in that of the file")]
    PixelSyntax {
        /// UID of the transfer syntax that the pixels are read in.
        found: String,
    },
    /// A delimiter that is missing, unexpected, or of the wrong kind.
    #[error("a delimiter is missing or out of place at byte {position}")]
    Delimiter {
        /// Where.
        position: u64,
    },
    /// The items of a sequence follow it, although its length is 0.
    #[error("the items of {0} lie behind it")]
    ItemsBehind(Tag),
    /// The length of an item is wrong; it was read up to where the next item or a delimiter begins.
    #[error("the length of an item at byte {position} is wrong")]
    ItemLength {
        /// Where the item begins.
        position: u64,
    },
    /// The value of a sequence is not made of items; it is kept as bytes, with VR UN.
    #[error("the value of sequence {0} is malformed and is kept as bytes")]
    Sequence(Tag),
    /// The pixel data has length 0.
    #[error("the pixel data is empty")]
    NoPixels,
    /// The file ends within its pixel data.
    #[error("the file is cut within the pixel data: {missing} bytes are missing")]
    PixelDataCut {
        /// Bytes that are declared and not there.
        missing: u64,
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
    /// The import warning that this amounts to: 45056 (B000, changed), 45062 (B006, left out), 45063
    /// (B007, not as the SOP class wants), 45571 (B202, length), 47513 (BFFF, anything else); `None`
    /// for padding.
    pub fn warning_code(&self) -> Option<u16> {
        match self {
            Self::TrailingBytes { are_zero: true, .. } => None,
            Self::TrailingBytes { .. } | Self::Duplicate(_) | Self::NestedFragments(_) => {
                Some(45062)
            }
            Self::NoPixels => Some(45063),
            Self::ValueLength(_) => Some(45571),
            Self::UnknownCharacterSet | Self::Text(_) | Self::Header(_) | Self::Sequence(_) => {
                Some(45056)
            }
            Self::NoPreamble
            | Self::ImplicitMeta
            | Self::NotDeflated
            | Self::Zlib
            | Self::Encoding { .. }
            | Self::PixelSyntax { .. }
            | Self::Delimiter { .. }
            | Self::ItemsBehind(_)
            | Self::ItemLength { .. }
            | Self::PixelDataCut { .. } => Some(47513),
        }
    }
}
