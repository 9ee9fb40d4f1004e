//! Transfer syntaxes by UID (PS3.6 Table A-1) and what the product does with each.

use healthimaging_image::ByteOrder;

/// Implicit VR Little Endian.
pub(crate) const IMPLICIT_LITTLE: &str = "1.2.840.10008.1.2";
/// Explicit VR Little Endian.
pub(crate) const EXPLICIT_LITTLE: &str = "1.2.840.10008.1.2.1";
/// Deflated Explicit VR Little Endian: the data set is deflated, its frames are native.
pub(crate) const DEFLATED: &str = "1.2.840.10008.1.2.1.99";
/// Explicit VR Big Endian (retired).
pub(crate) const EXPLICIT_BIG: &str = "1.2.840.10008.1.2.2";
/// Encapsulated Uncompressed Explicit VR Little Endian.
pub(crate) const ENCAPSULATED_NATIVE: &str = "1.2.840.10008.1.2.1.98";
/// Deflated Image Frame Compression.
pub(crate) const DEFLATED_FRAMES: &str = "1.2.840.10008.1.2.8.1";
/// RLE Lossless.
pub(crate) const RLE: &str = "1.2.840.10008.1.2.5";
/// JPEG Baseline (Process 1).
pub(crate) const JPEG_BASELINE: &str = "1.2.840.10008.1.2.4.50";
/// JPEG Extended (Process 2 & 4).
pub(crate) const JPEG_EXTENDED: &str = "1.2.840.10008.1.2.4.51";
/// JPEG Lossless, Non-Hierarchical (Process 14).
pub(crate) const JPEG_LOSSLESS: &str = "1.2.840.10008.1.2.4.57";
/// JPEG Lossless, First-Order Prediction (Process 14, Selection Value 1).
pub(crate) const JPEG_LOSSLESS_SV1: &str = "1.2.840.10008.1.2.4.70";
/// JPEG-LS Lossless.
pub(crate) const JPEG_LS: &str = "1.2.840.10008.1.2.4.80";
/// JPEG-LS Near-lossless.
pub(crate) const JPEG_LS_NEAR: &str = "1.2.840.10008.1.2.4.81";
/// JPEG 2000 Lossless Only.
pub(crate) const JPEG_2000_LOSSLESS: &str = "1.2.840.10008.1.2.4.90";
/// JPEG 2000.
pub(crate) const JPEG_2000: &str = "1.2.840.10008.1.2.4.91";
/// JPEG 2000 Part 2 Multi-component Lossless Only.
pub(crate) const JPEG_2000_MC_LOSSLESS: &str = "1.2.840.10008.1.2.4.92";
/// JPEG 2000 Part 2 Multi-component.
pub(crate) const JPEG_2000_MC: &str = "1.2.840.10008.1.2.4.93";
/// JPEG XL Lossless.
pub(crate) const JPEG_XL_LOSSLESS: &str = "1.2.840.10008.1.2.4.110";
/// JPEG XL JPEG Recompression.
pub(crate) const JPEG_XL_RECOMPRESSED: &str = "1.2.840.10008.1.2.4.111";
/// JPEG XL.
pub(crate) const JPEG_XL: &str = "1.2.840.10008.1.2.4.112";
/// High-Throughput JPEG 2000 Lossless Only.
pub(crate) const HTJ2K_LOSSLESS: &str = "1.2.840.10008.1.2.4.201";
/// High-Throughput JPEG 2000 with RPCL Options Lossless Only.
pub(crate) const HTJ2K_LOSSLESS_RPCL: &str = "1.2.840.10008.1.2.4.202";
/// High-Throughput JPEG 2000.
pub(crate) const HTJ2K: &str = "1.2.840.10008.1.2.4.203";
/// Prefix of all standard video syntaxes, and the numbers that follow.
const ENCAPSULATED_ROOT: &str = "1.2.840.10008.1.2.4.";

/// The format in which a data store keeps frames (`losslessStorageFormat` of the AWS API).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LosslessFormat {
    /// HTJ2K with RPCL progression; the default.
    Htj2k,
    /// JPEG 2000 Part 1, lossless.
    Jpeg2000,
}

impl LosslessFormat {
    /// The UID of the transfer syntax that frames of this format have.
    #[must_use]
    pub const fn transfer_syntax(self) -> &'static str {
        match self {
            Self::Htj2k => HTJ2K_LOSSLESS_RPCL,
            Self::Jpeg2000 => JPEG_2000_LOSSLESS,
        }
    }
}

/// What an import does with frames of a transfer syntax.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Disposition {
    /// Uncompressed: transcode to the store's lossless format.
    Native,
    /// Compressed: decode and transcode to the store's lossless format.
    Transcode,
    /// Keep the frames as they were received.
    Keep,
    /// Not in AWS HealthImaging's list.
    Unsupported,
}

/// Returns what an import does with a transfer syntax (AWS HealthImaging's list of supported syntaxes).
///
/// `bits_allocated` matters for Explicit VR Little Endian only: binary segmentations (1 bit) are
/// kept as received.
#[must_use]
pub fn disposition(transfer_syntax: &str, bits_allocated: u16) -> Disposition {
    match transfer_syntax {
        EXPLICIT_LITTLE if bits_allocated == 1 => Disposition::Keep,
        IMPLICIT_LITTLE | EXPLICIT_LITTLE | DEFLATED | EXPLICIT_BIG => Disposition::Native,
        RLE
        | JPEG_EXTENDED
        | JPEG_LOSSLESS
        | JPEG_LOSSLESS_SV1
        | JPEG_LS
        | JPEG_LS_NEAR
        | JPEG_2000_LOSSLESS
        | JPEG_2000_MC_LOSSLESS
        | JPEG_2000_MC
        | HTJ2K_LOSSLESS
        | HTJ2K_LOSSLESS_RPCL => Disposition::Transcode,
        JPEG_BASELINE | JPEG_2000 | HTJ2K | JPEG_XL => Disposition::Keep,
        _ if is_video(transfer_syntax) => Disposition::Keep,
        _ => Disposition::Unsupported,
    }
}

/// Whether pixel data of this syntax is encapsulated in fragments (PS3.5 §A.4).
///
/// An unknown UID counts as encapsulated.
#[must_use]
pub fn is_encapsulated(transfer_syntax: &str) -> bool {
    !matches!(transfer_syntax, IMPLICIT_LITTLE | EXPLICIT_LITTLE | DEFLATED | EXPLICIT_BIG)
}

/// Whether a frame of this syntax lacks the marker that ends it: EOI of JPEG and JPEG-LS (T.81 §B.1.1.3),
/// EOC of JPEG 2000 (T.800 §A.4.4). Decoders that are strict refuse such a frame.
#[must_use]
pub fn lacks_end(transfer_syntax: &str, frame: &[u8]) -> bool {
    const END: [u8; 2] = [0xFF, 0xD9];
    let number = transfer_syntax.strip_prefix(ENCAPSULATED_ROOT).and_then(|rest| rest.parse().ok());
    matches!(number, Some(50..=93 | 201..=203)) && memchr::memmem::rfind(frame, &END).is_none()
}

/// Whether the syntax is an MPEG-2, MPEG-4 AVC/H.264 or HEVC/H.265 video.
#[must_use]
pub fn is_video(transfer_syntax: &str) -> bool {
    video_number(transfer_syntax).is_some()
}

/// Byte order of native pixel data in this syntax.
#[must_use]
pub fn byte_order(transfer_syntax: &str) -> ByteOrder {
    match transfer_syntax {
        EXPLICIT_BIG => ByteOrder::Big,
        _ => ByteOrder::Little,
    }
}

/// The `Content-Type` with which a stored frame is served (`GetImageFrame` of the AWS API).
///
/// `None` stands for a missing `StoredTransferSyntaxUID`, which means HTJ2K lossless RPCL. The
/// type of JPEG 2000 lossless is not documented; `image/j2c` is our reading.
#[must_use]
pub fn content_type(stored_transfer_syntax: Option<&str>) -> &'static str {
    let Some(uid) = stored_transfer_syntax else {
        return "image/jph";
    };
    match uid {
        HTJ2K_LOSSLESS_RPCL => "image/jph",
        HTJ2K => "image/jphc",
        JPEG_2000 | JPEG_2000_LOSSLESS => "image/j2c",
        JPEG_BASELINE => "image/jpeg",
        JPEG_XL => "image/jxl",
        _ => match video_number(uid) {
            Some(100 | 101) => "video/mpeg",
            Some(102..=106) => "video/mp4",
            // Spelt so by the AWS API.
            Some(_) => "video/H256",
            None => "application/octet-stream",
        },
    }
}

/// The number that names the video coding, of a standard video syntax: 100 to 108.
fn video_number(transfer_syntax: &str) -> Option<u16> {
    let rest = transfer_syntax.strip_prefix(ENCAPSULATED_ROOT)?;
    // `.1` marks the fragmentable form, which the HEVC profiles do not have.
    let (number, fragmentable) = match rest.strip_suffix(".1") {
        Some(number) => (number, true),
        None => (rest, false),
    };
    let number = match number {
        "100" => 100,
        "101" => 101,
        "102" => 102,
        "103" => 103,
        "104" => 104,
        "105" => 105,
        "106" => 106,
        "107" if !fragmentable => 107,
        "108" if !fragmentable => 108,
        _ => return None,
    };
    Some(number)
}
