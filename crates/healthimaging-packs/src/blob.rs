//! What is in packs, and where.

use healthimaging::ImageFrameId;

/// Name of a pack file: 32 hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PackId(pub String);

/// What a blob is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BlobKind {
    /// A frame, which `GetImageFrame` returns.
    Frame,
    /// A large value of an element other than pixel data.
    Bulk,
    /// The whole pixel data of an instance as received.
    Pixels,
}

impl BlobKind {
    /// The word for it in catalogs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Frame => "frame",
            Self::Bulk => "bulk",
            Self::Pixels => "pixels",
        }
    }

    /// The kind with this word.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Frame, Self::Bulk, Self::Pixels].into_iter().find(|kind| kind.as_str() == text)
    }
}

/// Where the bytes of a blob are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BlobLocation {
    /// Its id, unique in a pack.
    pub id: ImageFrameId,
    /// The pack that holds it.
    pub pack: PackId,
    /// First byte of the blob itself, after its record header.
    pub offset: u64,
    /// Bytes.
    pub length: u64,
    /// CRC-32 (IEEE) of the stored bytes.
    pub crc32: u32,
    /// What it is.
    pub kind: BlobKind,
    /// Transfer syntax of the bytes; absent for values other than pixel data.
    pub transfer_syntax: Option<String>,
}
