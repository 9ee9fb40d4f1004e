//! The files behind `docs/dicom-support.md`.
//!
//! The streams are those of healthimaging-pixels' tests; dcmtk and imagecodecs made them.

use healthimaging_phantoms::{Tag, TransferSyntax, VR, tags};

/// Where the pixels of a file come from.
#[derive(Clone)]
pub(crate) enum Pixels {
    /// As they lie in a file of this syntax.
    Native(TransferSyntax, Vec<u8>),
    /// One coded frame, and its transfer syntax.
    Frame(&'static str, &'static [u8]),
    /// Float Pixel Data or Double Float Pixel Data, in Explicit VR Little Endian.
    Float(Tag, VR, Vec<u8>),
}

impl Pixels {
    pub(crate) fn bytes(&self) -> &[u8] {
        match self {
            Self::Native(_, bytes) | Self::Float(_, _, bytes) => bytes,
            Self::Frame(_, bytes) => bytes,
        }
    }
}

/// What the service's guide says of the transfer syntax, and what this store cannot do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    Kept,
    Transcoded,
    /// With a warning.
    Whole,
}

/// A file to import.
#[derive(Clone)]
pub(crate) struct Case {
    /// Name and UID of the transfer syntax.
    pub(crate) heading: &'static str,
    pub(crate) photometric: &'static str,
    pub(crate) samples: u16,
    pub(crate) allocated: u16,
    pub(crate) stored: u16,
    pub(crate) signed: bool,
    pub(crate) planes: bool,
    pub(crate) rows: u16,
    pub(crate) columns: u16,
    pub(crate) pixels: Pixels,
    /// Little endian, interleaved: what the stored pixels must be.
    pub(crate) picture: Vec<u8>,
    /// By how much they may differ from it.
    pub(crate) bound: u64,
    /// What `picture` is.
    pub(crate) oracle: &'static str,
}

impl std::fmt::Debug for Case {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { heading, photometric, allocated, stored, signed, planes, .. } = self;
        write!(f, "{heading}, {photometric}, {stored} of {allocated}, {signed}, {planes}")
    }
}

impl Case {
    /// From the lists of the developer guide, "Supported transfer syntaxes": never from our own table.
    pub(crate) fn fate(&self) -> Fate {
        let uid = uid(self.heading);
        match uid.strip_prefix("1.2.840.10008.1.2").unwrap_or("?") {
            ".4.50" | ".4.91" | ".4.203" | ".4.112" | ".4.100" | ".4.100.1" | ".4.101"
            | ".4.101.1" | ".4.102" | ".4.102.1" | ".4.103" | ".4.103.1" | ".4.104"
            | ".4.104.1" | ".4.105" | ".4.105.1" | ".4.106" | ".4.106.1" | ".4.107" | ".4.108" => {
                Fate::Kept
            }
            _ if self.allocated > 16 => Fate::Whole,
            // Bit order within the words of big-endian files is anybody's guess.
            ".2" if self.allocated == 1 => Fate::Whole,
            "" | ".1" | ".1.99" if self.allocated == 1 => Fate::Kept,
            "" | ".1" | ".1.99" | ".2" | ".5" | ".4.51" | ".4.57" | ".4.70" | ".4.80" | ".4.81"
            | ".4.90" | ".4.92" | ".4.93" | ".4.201" | ".4.202" => Fate::Transcoded,
            _ => Fate::Whole,
        }
    }
}

/// The UID at the end of a heading.
fn uid(heading: &'static str) -> &'static str {
    heading.split('`').nth(1).unwrap()
}

pub(crate) fn cases() -> Vec<Case> {
    [native(), float(), coded(), kept()].concat()
}

const ROWS: u16 = 20;
const COLUMNS: u16 = 24;

/// Samples of `stored` bits, little endian, sign-extended when signed.
fn noise(count: usize, allocated: u16, stored: u16, signed: bool) -> Vec<u8> {
    let mut state = u32::from(allocated) + u32::from(stored);
    let mut samples = Vec::new();
    for _ in 0..count {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let unused = 32 - u32::from(stored);
        let value =
            if signed { (state.cast_signed() >> unused).cast_unsigned() } else { state >> unused };
        samples.extend_from_slice(&value.to_le_bytes()[..usize::from(allocated / 8)]);
    }
    samples
}

fn planes(interleaved: &[u8]) -> Vec<u8> {
    let plane = |sample| interleaved.iter().skip(sample).step_by(3).copied();
    plane(0).chain(plane(1)).chain(plane(2)).collect()
}

/// `Y Y Cb Cr` of two pixels that share their colour (PS3.3 §C.7.6.3.1.2).
fn subsampled(count: usize) -> (Vec<u8>, Vec<u8>) {
    let halved = noise(count * 2, 8, 8, false);
    let pairs = halved.as_chunks::<4>().0.iter();
    let whole = pairs.flat_map(|&[one, two, blue, red]| [one, blue, red, two, blue, red]);
    let whole = whole.collect();
    (halved, whole)
}

fn native() -> Vec<Case> {
    let all = [
        ("Implicit VR Little Endian, `1.2.840.10008.1.2`", TransferSyntax::ImplicitVrLittleEndian),
        (
            "Explicit VR Little Endian, `1.2.840.10008.1.2.1`",
            TransferSyntax::ExplicitVrLittleEndian,
        ),
        (
            "Deflated Explicit VR Little Endian, `1.2.840.10008.1.2.1.99`",
            TransferSyntax::DeflatedExplicitVrLittleEndian,
        ),
        ("Explicit VR Big Endian, `1.2.840.10008.1.2.2`", TransferSyntax::ExplicitVrBigEndian),
    ];
    all.into_iter().flat_map(|(heading, syntax)| native_in(heading, syntax)).collect()
}

fn native_in(heading: &'static str, syntax: TransferSyntax) -> Vec<Case> {
    let pixels = usize::from(ROWS) * usize::from(COLUMNS);
    let shapes = [
        ("MONOCHROME2", 1, 1, 1, false, false),
        ("MONOCHROME2", 1, 8, 8, false, false),
        ("MONOCHROME2", 1, 8, 8, true, false),
        ("MONOCHROME2", 1, 16, 12, false, false),
        ("MONOCHROME2", 1, 16, 12, true, false),
        ("MONOCHROME2", 1, 16, 16, false, false),
        ("MONOCHROME2", 1, 16, 16, true, false),
        ("MONOCHROME2", 1, 32, 32, false, false),
        ("MONOCHROME1", 1, 16, 12, false, false),
        ("PALETTE COLOR", 1, 8, 8, false, false),
        ("RGB", 3, 8, 8, false, false),
        ("RGB", 3, 8, 8, false, true),
        ("RGB", 3, 16, 16, false, false),
        ("YBR_FULL", 3, 8, 8, false, false),
        ("YBR_FULL_422", 3, 8, 8, false, false),
    ];
    let cases =
        shapes.into_iter().map(|(photometric, samples, allocated, stored, signed, apart)| {
            let count = pixels * usize::from(samples);
            let (file, picture) = match (photometric, allocated) {
                ("YBR_FULL_422", _) => subsampled(pixels),
                (_, 1) => (noise(pixels / 8, 8, 8, false), noise(pixels / 8, 8, 8, false)),
                _ => {
                    let picture = noise(count, allocated, stored, signed);
                    let file = if apart { planes(&picture) } else { picture.clone() };
                    (file, picture)
                }
            };
            let file = match syntax {
                TransferSyntax::ExplicitVrBigEndian => swapped(&file, allocated),
                _ => file,
            };
            Case {
                heading,
                photometric,
                samples,
                allocated,
                stored,
                signed,
                planes: apart,
                rows: ROWS,
                columns: COLUMNS,
                pixels: Pixels::Native(syntax, file),
                picture,
                bound: 0,
                oracle: "the pixels of the file",
            }
        });
    cases.collect()
}

fn swapped(bytes: &[u8], allocated: u16) -> Vec<u8> {
    let sample = usize::from((allocated / 8).max(1));
    bytes.chunks(sample).flat_map(|sample| sample.iter().rev().copied()).collect()
}

fn float() -> Vec<Case> {
    let heading =
        "Float and double float pixel data in Explicit VR Little Endian, `1.2.840.10008.1.2.1`";
    let samples = usize::from(ROWS) * usize::from(COLUMNS);
    let elements =
        [(tags::FLOAT_PIXEL_DATA, VR::OF, 32), (tags::DOUBLE_FLOAT_PIXEL_DATA, VR::OD, 64)];
    let cases = elements.into_iter().map(|(tag, vr, allocated)| {
        let bytes = noise(samples * usize::from(allocated) / 8, 8, 8, false);
        Case {
            heading,
            photometric: "MONOCHROME2",
            samples: 1,
            allocated,
            stored: allocated,
            signed: false,
            planes: false,
            rows: ROWS,
            columns: COLUMNS,
            pixels: Pixels::Float(tag, vr, bytes.clone()),
            picture: bytes,
            bound: 0,
            oracle: "",
        }
    });
    cases.collect()
}

macro_rules! data {
    ($name:literal) => {
        include_bytes!(concat!("../../../healthimaging-pixels/tests/data/", $name)).as_slice()
    };
}

const DCMTK: &str = "what dcmtk had encoded";
const IMAGECODECS: &str = "what imagecodecs had encoded";

/// The four pictures of the streams: 19 rows, 23 columns.
#[derive(Clone, Copy)]
enum Picture {
    Gray8,
    Gray12,
    Gray16Signed,
    Rgb8,
}

fn coded_case(
    heading: &'static str,
    photometric: &'static str,
    picture: Picture,
    stream: &'static [u8],
    (bound, oracle): (u64, &'static str),
) -> Case {
    let (samples, allocated, stored, signed, raw) = match picture {
        Picture::Gray8 => (1, 8, 8, false, data!("gray8.raw")),
        Picture::Gray12 => (1, 16, 12, false, data!("gray12.raw")),
        Picture::Gray16Signed => (1, 16, 16, true, data!("gray16s.raw")),
        Picture::Rgb8 => (3, 8, 8, false, data!("rgb8.raw")),
    };
    let uid = uid(heading);
    Case {
        heading,
        photometric,
        samples,
        allocated,
        stored,
        signed,
        planes: false,
        rows: 19,
        columns: 23,
        pixels: Pixels::Frame(uid, stream),
        picture: raw.to_vec(),
        bound,
        oracle,
    }
}

/// Transcoded, all but for what is wider than 16 bits.
fn coded() -> Vec<Case> {
    use Picture::{Gray8, Gray12, Gray16Signed, Rgb8};
    const MONO: &str = "MONOCHROME2";
    const RLE: &str = "RLE Lossless, `1.2.840.10008.1.2.5`";
    const EXTENDED: &str = "JPEG Extended, `1.2.840.10008.1.2.4.51`";
    const P14: &str = "JPEG Lossless, `1.2.840.10008.1.2.4.57`";
    const SV1: &str = "JPEG Lossless, First-Order Prediction, `1.2.840.10008.1.2.4.70`";
    const JLS: &str = "JPEG-LS Lossless, `1.2.840.10008.1.2.4.80`";
    const NEAR: &str = "JPEG-LS Near-lossless, `1.2.840.10008.1.2.4.81`";
    const J2K: &str = "JPEG 2000 Lossless, `1.2.840.10008.1.2.4.90`";
    const MC_LOSSLESS: &str = "JPEG 2000 Part 2 Lossless, `1.2.840.10008.1.2.4.92`";
    const MC: &str = "JPEG 2000 Part 2, `1.2.840.10008.1.2.4.93`";
    const HT: &str = "HTJ2K Lossless, `1.2.840.10008.1.2.4.201`";
    const HT_RPCL: &str = "HTJ2K Lossless RPCL, `1.2.840.10008.1.2.4.202`";
    let (dcmtk, imagecodecs) = ((0, DCMTK), (0, IMAGECODECS));
    vec![
        coded_case(RLE, MONO, Gray8, data!("gray8.rle"), dcmtk),
        coded_case(RLE, MONO, Gray12, data!("gray12.rle"), dcmtk),
        coded_case(RLE, MONO, Gray16Signed, data!("gray16s.rle"), dcmtk),
        coded_case(RLE, "MONOCHROME1", Gray12, data!("gray12.rle"), dcmtk),
        coded_case(RLE, "PALETTE COLOR", Gray8, data!("gray8.rle"), dcmtk),
        coded_case(RLE, "RGB", Rgb8, data!("rgb8.rle"), dcmtk),
        coded_case(RLE, "YBR_FULL", Rgb8, data!("rgb8.rle"), dcmtk),
        coded_case(EXTENDED, MONO, Gray8, data!("gray8.extended"), (5, DCMTK)),
        coded_case(EXTENDED, MONO, Gray12, data!("gray12.extended"), (4, DCMTK)),
        coded_case(EXTENDED, MONO, Gray12, data!("gray12.jpeg"), (4, IMAGECODECS)),
        coded_case(EXTENDED, "YBR_FULL_422", Rgb8, data!("rgb8.ybr"), (7, IMAGECODECS)),
        coded_case(EXTENDED, "RGB", Rgb8, data!("rgb8.jpeg"), (5, IMAGECODECS)),
        coded_case(P14, MONO, Gray8, data!("gray8.ljpeg"), imagecodecs),
        coded_case(P14, MONO, Gray12, data!("gray12.p14"), dcmtk),
        coded_case(SV1, MONO, Gray12, data!("gray12.ljpeg"), imagecodecs),
        coded_case(SV1, MONO, Gray16Signed, data!("gray16s.p14"), dcmtk),
        coded_case(SV1, "RGB", Rgb8, data!("rgb8.p14"), dcmtk),
        coded_case(JLS, MONO, Gray8, data!("gray8.jls"), imagecodecs),
        coded_case(JLS, MONO, Gray12, data!("gray12.jls"), imagecodecs),
        coded_case(JLS, MONO, Gray16Signed, data!("gray16s.jls"), dcmtk),
        coded_case(JLS, "RGB", Rgb8, data!("rgb8.jls"), imagecodecs),
        coded_case(JLS, "RGB", Rgb8, data!("rgb8.lines"), dcmtk),
        coded_case(JLS, "RGB", Rgb8, data!("rgb8.planes"), dcmtk),
        coded_case(NEAR, MONO, Gray8, data!("gray8.near"), (2, DCMTK)),
        coded_case(J2K, MONO, Gray8, data!("gray8.j2k"), imagecodecs),
        coded_case(J2K, MONO, Gray12, data!("gray12.j2k"), imagecodecs),
        coded_case(J2K, MONO, Gray16Signed, data!("gray16s.j2k"), imagecodecs),
        coded_case(J2K, "PALETTE COLOR", Gray8, data!("gray8.j2k"), imagecodecs),
        coded_case(J2K, "YBR_RCT", Rgb8, data!("rgb8.j2k"), imagecodecs),
        coded_case(MC_LOSSLESS, "YBR_RCT", Rgb8, data!("rgb8.j2k"), imagecodecs),
        coded_case(MC, MONO, Gray12, data!("gray12.j2k"), imagecodecs),
        coded_case(HT, MONO, Gray8, data!("gray8.jhc"), imagecodecs),
        coded_case(HT, MONO, Gray16Signed, data!("gray16s.jhc"), imagecodecs),
        coded_case(HT, "YBR_RCT", Rgb8, data!("rgb8.jhc"), imagecodecs),
        coded_case(HT_RPCL, MONO, Gray8, data!("gray8.jhc"), imagecodecs),
        coded_case(HT_RPCL, "YBR_RCT", Rgb8, data!("rgb8.jhc"), imagecodecs),
    ]
}

/// Kept frame by frame, or whole for want of a place in the guide's lists.
fn kept() -> Vec<Case> {
    use Picture::{Gray8, Rgb8};
    const BASELINE: &str = "JPEG Baseline, `1.2.840.10008.1.2.4.50`";
    const J2K: &str = "JPEG 2000, `1.2.840.10008.1.2.4.91`";
    const HT: &str = "HTJ2K, `1.2.840.10008.1.2.4.203`";
    const XL: &str = "JPEG XL, `1.2.840.10008.1.2.4.112`";
    const VIDEOS: [&str; 16] = [
        "MPEG2 Main Profile, Main Level, `1.2.840.10008.1.2.4.100`",
        "Fragmentable MPEG2 Main Profile, Main Level, `1.2.840.10008.1.2.4.100.1`",
        "MPEG2 Main Profile, High Level, `1.2.840.10008.1.2.4.101`",
        "Fragmentable MPEG2 Main Profile, High Level, `1.2.840.10008.1.2.4.101.1`",
        "H.264 High Profile, `1.2.840.10008.1.2.4.102`",
        "Fragmentable H.264 High Profile, `1.2.840.10008.1.2.4.102.1`",
        "H.264 BD-compatible, `1.2.840.10008.1.2.4.103`",
        "Fragmentable H.264 BD-compatible, `1.2.840.10008.1.2.4.103.1`",
        "H.264 for 2D video, `1.2.840.10008.1.2.4.104`",
        "Fragmentable H.264 for 2D video, `1.2.840.10008.1.2.4.104.1`",
        "H.264 for 3D video, `1.2.840.10008.1.2.4.105`",
        "Fragmentable H.264 for 3D video, `1.2.840.10008.1.2.4.105.1`",
        "H.264 Stereo High Profile, `1.2.840.10008.1.2.4.106`",
        "Fragmentable H.264 Stereo High Profile, `1.2.840.10008.1.2.4.106.1`",
        "HEVC Main Profile, `1.2.840.10008.1.2.4.107`",
        "HEVC Main 10 Profile, `1.2.840.10008.1.2.4.108`",
    ];
    const UNKNOWN: [&str; 6] = [
        "JPEG XL Lossless, `1.2.840.10008.1.2.4.110`",
        "JPEG XL JPEG Recompression, `1.2.840.10008.1.2.4.111`",
        "JPIP Referenced, `1.2.840.10008.1.2.4.94`",
        "Encapsulated Uncompressed Explicit VR Little Endian, `1.2.840.10008.1.2.1.98`",
        "Deflated Image Frame Compression, `1.2.840.10008.1.2.8.1`",
        "A private syntax, `1.2.3.4.5`",
    ];
    let bytes = (0, "");
    let mut cases = vec![
        coded_case(BASELINE, "MONOCHROME2", Gray8, data!("gray8.jpeg"), bytes),
        coded_case(BASELINE, "YBR_FULL_422", Rgb8, data!("rgb8.ybr"), bytes),
        coded_case(BASELINE, "RGB", Rgb8, data!("rgb8.jpeg"), bytes),
        coded_case(J2K, "MONOCHROME2", Gray8, data!("gray8.j2k"), bytes),
        coded_case(J2K, "YBR_ICT", Rgb8, data!("rgb8.j2k"), bytes),
        coded_case(HT, "MONOCHROME2", Gray8, data!("gray8.jhc"), bytes),
        coded_case(HT, "YBR_ICT", Rgb8, data!("rgb8.jhc"), bytes),
        coded_case(XL, "MONOCHROME2", Gray8, data!("gray8.jxl"), bytes),
        coded_case(XL, "RGB", Rgb8, data!("rgb8.jxl"), bytes),
    ];
    let video =
        |heading| coded_case(heading, "YBR_PARTIAL_420", Rgb8, b"a video, not looked into", bytes);
    cases.extend(VIDEOS.map(video));
    let unknown = |heading| coded_case(heading, "MONOCHROME2", Gray8, data!("gray8.raw"), bytes);
    cases.extend(UNKNOWN.map(unknown));
    cases
}
