//! Pixels whose every byte the test knows, and the facts about them worked out here.

use healthimaging_phantoms::{Phantom, VR, tags};

/// The shape of a frame, and what its values may be.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Picture {
    pub(crate) rows: u16,
    pub(crate) columns: u16,
    pub(crate) samples: usize,
    pub(crate) allocated: u16,
    pub(crate) stored: u16,
    pub(crate) signed: Sign,
    pub(crate) frames: u32,
    pub(crate) seed: u64,
}

/// Pixel Representation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sign {
    Unsigned,
    Signed,
}

/// A frame of gray values: 16 bits allocated, 12 stored, unsigned.
pub(crate) const GREY: Picture = Picture {
    rows: 40,
    columns: 56,
    samples: 1,
    allocated: 16,
    stored: 12,
    signed: Sign::Unsigned,
    frames: 1,
    seed: 1,
};

impl Picture {
    /// The stored values of a frame: a slope with noise on it, both ends of the range included.
    #[expect(
        clippy::cast_possible_wrap,
        clippy::cast_sign_loss,
        reason = "numbers of at most 17 bits, none below zero"
    )]
    pub(crate) fn values(&self, frame: u32) -> Vec<i64> {
        let (low, high) = self.range();
        let count = usize::from(self.rows) * usize::from(self.columns) * self.samples;
        let mut state = self.seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) + u64::from(frame) + 1;
        let mut next = || {
            // Marsaglia's xorshift64.
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state
        };
        let width = high - low + 1;
        let noise = (width / 16).max(1);
        let slope = |index: usize| (index as i64) * (width - 1) / (count as i64);
        let mut values: Vec<i64> = (0..count)
            .map(|index| {
                let deviation = (next() % noise as u64) as i64;
                (low + slope(index) + deviation).min(high)
            })
            .collect();
        values[0] = low;
        values[count - 1] = high;
        values
    }

    /// The least and the greatest value that the bits stored can say.
    pub(crate) fn range(&self) -> (i64, i64) {
        let states = 1_i64 << self.stored;
        match self.signed {
            Sign::Unsigned => (0, states - 1),
            Sign::Signed => (-states / 2, states / 2 - 1),
        }
    }

    /// One frame's decoded bytes: little endian, samples of a pixel together.
    pub(crate) fn bytes(&self, frame: u32) -> Vec<u8> {
        self.encode(self.values(frame))
    }

    /// All frames' decoded bytes.
    pub(crate) fn all_bytes(&self) -> Vec<u8> {
        (0..self.frames).flat_map(|frame| self.bytes(frame)).collect()
    }

    /// One frame with all first samples, then all second ones: planar configuration 1.
    pub(crate) fn planes(&self, frame: u32) -> Vec<u8> {
        let values = self.values(frame);
        let planes = (0..self.samples).flat_map(|sample| {
            values.iter().skip(sample).step_by(self.samples).copied().collect::<Vec<_>>()
        });
        self.encode(planes.collect())
    }

    fn encode(&self, values: Vec<i64>) -> Vec<u8> {
        let width = usize::from(self.allocated / 8);
        values.into_iter().flat_map(|value| value.to_le_bytes().into_iter().take(width)).collect()
    }

    /// A phantom that says that it holds this picture.
    pub(crate) fn describe(&self, phantom: Phantom) -> Phantom {
        let phantom = phantom
            .size(self.rows, self.columns)
            .bits(self.allocated, self.stored)
            .frames(self.frames);
        let phantom = match self.signed {
            Sign::Unsigned => phantom.unsigned(),
            Sign::Signed => phantom.signed(),
        };
        if self.samples == 3 { phantom.rgb() } else { phantom }
    }

    /// A phantom that holds this picture.
    pub(crate) fn phantom(&self) -> Phantom {
        self.describe(Phantom::ct()).pixels(self.all_bytes())
    }

    /// The CRC-32 of a frame's decoded bytes.
    pub(crate) fn checksum(&self, frame: u32) -> u32 {
        crc32fast::hash(&self.bytes(frame))
    }
}

/// One frame in RLE (PS3.5 Annex G): a segment a byte of a sample, the high byte first, literal runs.
pub(crate) fn run_length(picture: &Picture, frame: u32) -> Vec<u8> {
    let bytes = picture.bytes(frame);
    let width = usize::from(picture.allocated / 8);
    let step = width * picture.samples;
    let segments: Vec<Vec<u8>> = (0..picture.samples)
        .flat_map(|sample| (0..width).rev().map(move |byte| sample * width + byte))
        .map(|at| {
            let plane: Vec<u8> = bytes.iter().skip(at).step_by(step).copied().collect();
            let mut packed = Vec::new();
            for run in plane.chunks(128) {
                packed.push(u8::try_from(run.len() - 1).unwrap());
                packed.extend_from_slice(run);
            }
            packed.resize(packed.len().next_multiple_of(2), 0x80);
            packed
        })
        .collect();
    let mut header = vec![u32::try_from(segments.len()).unwrap()];
    let mut offset = 64;
    for segment in &segments {
        header.push(offset);
        offset += u32::try_from(segment.len()).unwrap();
    }
    header.resize(16, 0);
    let mut frame: Vec<u8> = header.into_iter().flat_map(u32::to_le_bytes).collect();
    frame.extend(segments.concat());
    frame
}

/// A gray JPEG baseline frame of 8×8 pixels, made with libjpeg.
pub(crate) const JPEG: &[u8] = include_bytes!("gray.jpg");

/// A phantom that holds [`JPEG`] as a frame.
pub(crate) fn jpeg_phantom() -> Phantom {
    Phantom::radiograph()
        .size(8, 8)
        .bits(8, 8)
        .photometric("MONOCHROME2")
        .with(tags::LOSSY_IMAGE_COMPRESSION, VR::CS, "01")
        .encapsulated("1.2.840.10008.1.2.4.50", vec![JPEG.to_vec()])
}
