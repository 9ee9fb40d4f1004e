//! Real files in several transfer syntaxes: all files of a family hold the same picture, so the
//! uncompressed one is the oracle for the others.
//!
//! Runs when `HEALTHIMAGING_CORPUS` names a folder with the families below.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod pictures;

use std::path::Path;

use dicom_object::{DefaultDicomObject, open_file};
use healthimaging_pixels::{
    FrameShape, LosslessFormat, PixelRepresentation, PlanarConfiguration, SourceFrame, decode,
    encode,
};
use pictures::frame;

/// The first of each family is uncompressed.
const FAMILIES: [&[&str]; 6] = [
    &["wg04/REF_CT1_UNC.dcm", "cornerstone/CT1_J2KR", "htj2k/CT1_HTJ2K.dcm"],
    &["wg04/REF_NM1_UNC.dcm", "pydicom-data/JPEG-LL.dcm", "htj2k/NM1_HTJ2K.dcm"],
    &["pydicom/MR_small.dcm", "pydicom/MR_small_RLE.dcm", "pydicom/MR_small_jpeg_ls_lossless.dcm"],
    &["pydicom/rtdose_1frame.dcm", "pydicom/rtdose_rle_1frame.dcm"],
    &["pydicom-data/emri_small.dcm", "pydicom-data/emri_small_RLE.dcm"],
    &["highdicom/sm_image.dcm", "highdicom/sm_image_jpegls_nobot.dcm"],
];

/// One file's first frame.
struct First {
    transfer_syntax: String,
    shape: FrameShape,
    photometric: String,
    planar: PlanarConfiguration,
    data: Vec<u8>,
}

impl First {
    fn of(path: &Path) -> Self {
        let object = open_file(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let shape = FrameShape {
            rows: number(&object, "Rows"),
            columns: number(&object, "Columns"),
            samples_per_pixel: number(&object, "SamplesPerPixel").try_into().unwrap(),
            bits_allocated: number(&object, "BitsAllocated").try_into().unwrap(),
            bits_stored: number(&object, "BitsStored").try_into().unwrap(),
            representation: match number(&object, "PixelRepresentation") {
                0 => PixelRepresentation::Unsigned,
                _ => PixelRepresentation::Signed,
            },
        };
        let pixels = object.element_by_name("PixelData").unwrap().value();
        let data = if let Some(fragments) = pixels.fragments() {
            // A single frame may be split; the multi-frame files here have a fragment a frame.
            let frames = object.element_by_name("NumberOfFrames").ok();
            match frames.map(|element| element.to_int::<u32>().unwrap()) {
                None | Some(1) => fragments.concat(),
                Some(_) => fragments[0].clone(),
            }
        } else {
            let all = pixels.to_bytes().unwrap();
            all[..usize::try_from(shape.byte_length()).unwrap()].to_vec()
        };
        let text = |name| object.element_by_name(name).unwrap().to_str().unwrap().into_owned();
        let planes = object.element_by_name("PlanarConfiguration").ok();
        Self {
            transfer_syntax: object.meta().transfer_syntax().to_owned(),
            shape,
            photometric: text("PhotometricInterpretation"),
            planar: match planes.map(|element| element.to_int::<u16>().unwrap()) {
                Some(1) => PlanarConfiguration::Planes,
                _ => PlanarConfiguration::Interleaved,
            },
            data,
        }
    }

    fn source(&self) -> SourceFrame<'_> {
        SourceFrame {
            planar: self.planar,
            ..frame(&self.transfer_syntax, self.shape, &self.photometric, &self.data)
        }
    }
}

fn number(object: &DefaultDicomObject, name: &str) -> u32 {
    object.element_by_name(name).unwrap().to_int().unwrap()
}

#[test]
fn families_decode_to_one_picture() {
    let Some(corpus) = std::env::var_os("HEALTHIMAGING_CORPUS") else {
        eprintln!("NOT RUN: HEALTHIMAGING_CORPUS names no folder");
        return;
    };
    for family in FAMILIES {
        let (reference, others) = family.split_first().unwrap();
        let oracle = First::of(&Path::new(&corpus).join(reference));
        let picture = decode(&oracle.source()).unwrap().pixels;
        for name in others {
            let first = First::of(&Path::new(&corpus).join(name));
            let decoded = decode(&first.source()).unwrap_or_else(|e| panic!("{name}: {e}"));
            assert!(decoded.pixels == picture, "{name} differs from {reference}");
        }
        if oracle.shape.bits_allocated <= 16 {
            for format in [LosslessFormat::Htj2k, LosslessFormat::Jpeg2000] {
                let encoded = encode(format, &oracle.shape, &oracle.photometric, &picture).unwrap();
                let uid = format.transfer_syntax();
                let again = frame(uid, oracle.shape, &oracle.photometric, &encoded.bytes);
                assert!(decode(&again).unwrap().pixels == picture, "{reference} in {format:?}");
            }
        }
    }
}
