//! Location of the pixel data of an instance.

use dicom_core::{Tag, VR};

/// The pixel data element of the root, located and not read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PixelData {
    /// (7FE0,0010) Pixel Data, (7FE0,0008) Float Pixel Data or (7FE0,0009) Double Float Pixel Data.
    pub tag: Tag,
    /// OB, OW, OF or OD, as in the file.
    pub vr: VR,
    /// First byte of the value, in bytes from the start of the source (of the inflated data set when
    /// that is deflated).
    pub offset: u64,
    /// Length of the value in bytes; of encapsulated pixel data all items with the delimiter.
    pub length: u64,
    /// Bytes that are declared and not there, because the file is cut.
    pub missing: u64,
    /// Layout of the frames in it.
    pub layout: PixelLayout,
}

/// Native or encapsulated (PS3.5 §8.2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PixelLayout {
    /// Frames one after another.
    Native,
    /// Fragments in items.
    Encapsulated(Encapsulation),
}

/// The fragments of encapsulated pixel data and its offset tables (PS3.5 §A.4).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Encapsulation {
    /// Basic Offset Table, empty when there is none; from the first byte of the item tag of the first
    /// fragment.
    pub basic_offsets: Vec<u32>,
    /// Extended Offset Table, where the data set has one.
    pub extended: Option<ExtendedOffsets>,
    /// The fragments, without the offset table.
    pub fragments: Vec<Fragment>,
    /// Where the fragments end, when it is not with a sequence delimiter.
    pub unterminated: Option<u64>,
}

/// Extended Offset Table (7FE0,0001) and its lengths (7FE0,0002) (PS3.3 §C.7.6.3.1.8).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ExtendedOffsets {
    /// Offset of each frame, in bytes, counted as in the basic offset table.
    pub offsets: Vec<u64>,
    /// Length of each frame in bytes.
    pub lengths: Vec<u64>,
}

/// One fragment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fragment {
    /// First byte of its value, in bytes from the start of the source.
    pub offset: u64,
    /// Length in bytes.
    pub length: u64,
}
