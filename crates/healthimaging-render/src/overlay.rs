//! Overlays (60xx): single bits drawn over the picture (PS3.3 §C.9.2).

use crate::attributes::{Attributes, bytes, integers};
use crate::picture::{Channels, Picture};

/// Overlay groups: 6000 to 601E, even ones.
const GROUPS: u16 = 16;

/// An overlay plane: where it lies over the frame, and which of its pixels are drawn.
#[derive(Debug, Clone)]
pub struct Overlay {
    /// Row of the frame that its first row lies on, from 0; may be outside.
    pub top: i64,
    /// Column of the frame that its first column lies on, from 0; may be outside.
    pub left: i64,
    /// Its width in pixels.
    pub columns: usize,
    /// Its pixels, row by row: whether each is drawn.
    pub bits: Vec<bool>,
}

impl Overlay {
    /// The overlays of a frame, counted from 0.
    ///
    /// `samples` are those of the frame, of which an older form of overlays uses bits that the image
    /// does not. Overlays without a usable description or without data are noted.
    pub(crate) fn of(
        attributes: &Attributes,
        frame: usize,
        samples: &FrameSamples<'_>,
        notes: &mut Vec<String>,
    ) -> Vec<Self> {
        let mut found = Vec::new();
        for group in (0..GROUPS).map(|index| 0x6000 + 2 * index) {
            let plane = Plane { attributes, group };
            if !plane.exists() {
                continue;
            }
            match plane.read(frame, samples) {
                Ok(overlay) => found.extend(overlay),
                Err(problem) => notes.push(format!("overlay {group:04X} is not drawn: {problem}")),
            }
        }
        found
    }

    /// Draws the overlay white.
    pub(crate) fn draw(&self, picture: &mut Picture) {
        let channels = match picture.channels {
            Channels::Gray => 1,
            Channels::Rgb => 3,
        };
        let (height, width) = (i64::from(picture.rows), i64::from(picture.columns));
        let rows = (self.top..height).zip(self.bits.chunks(self.columns.max(1)));
        for (row, bits) in rows.filter(|(row, _)| *row >= 0) {
            let drawn = (self.left..width).zip(bits).filter(|(column, bit)| **bit && *column >= 0);
            for (column, _) in drawn {
                let place =
                    usize::try_from((row * width + column) * channels).unwrap_or(usize::MAX);
                let pixel = picture.samples.get_mut(place..).unwrap_or_default();
                pixel
                    .iter_mut()
                    .take(usize::try_from(channels).unwrap_or(1))
                    .for_each(|s| *s = 255);
            }
        }
    }
}

/// Whether the instance has an overlay.
pub(crate) fn exist(attributes: &Attributes) -> bool {
    (0..GROUPS).any(|index| Plane { attributes, group: 0x6000 + 2 * index }.exists())
}

/// The decoded samples of a frame of one sample a pixel.
#[derive(Debug, Clone, Copy)]
pub(crate) struct FrameSamples<'a> {
    pub(crate) pixels: &'a [u8],
    pub(crate) columns: usize,
    /// Bits Allocated (0028,0100): 8, 16, 32 or 64.
    pub(crate) bits_allocated: u16,
    /// Whether bits beside the stored value were kept: not by compression, and not of color.
    pub(crate) has_all_bits: bool,
}

/// The attributes of one overlay group.
struct Plane<'a> {
    attributes: &'a Attributes,
    group: u16,
}

impl Plane<'_> {
    /// The first group has its keyword in documents, the others their tag in hexadecimal digits.
    fn key(&self, keyword: &str, element: u16) -> String {
        match self.group {
            0x6000 => keyword.to_owned(),
            group => format!("{group:04X}{element:04X}"),
        }
    }

    fn exists(&self) -> bool {
        ["OverlayRows", "OverlayData"]
            .iter()
            .zip([0x0010, 0x3000])
            .any(|(keyword, element)| self.attributes.own.contains_key(&self.key(keyword, element)))
    }

    fn integers(&self, keyword: &str, element: u16) -> Vec<i64> {
        integers(&self.attributes.own, &self.key(keyword, element))
    }

    fn integer(&self, keyword: &str, element: u16) -> Option<i64> {
        self.integers(keyword, element).first().copied()
    }

    /// The overlay of a frame; `None` where it has none.
    fn read(
        &self,
        frame: usize,
        samples: &FrameSamples<'_>,
    ) -> Result<Option<Overlay>, &'static str> {
        let length = |keyword, element| {
            let number = self.integer(keyword, element)?;
            usize::try_from(number).ok().filter(|length| (1..=0xffff).contains(length))
        };
        let size = length("OverlayRows", 0x0010).zip(length("OverlayColumns", 0x0011));
        let (rows, columns) = size.ok_or("its rows and columns are absent or not usable")?;
        let origin = self.integers("OverlayOrigin", 0x0050);
        let (top, left) = match origin.as_slice() {
            [top, left, ..] => (*top, *left),
            _ => (1, 1),
        };
        let frames = self.integer("NumberOfFramesInOverlay", 0x0015).unwrap_or(1).max(1);
        let first = self.integer("ImageFrameOrigin", 0x0051).unwrap_or(1).max(1);
        // An overlay of one frame that names no frame of the image is for all of them.
        let index = match usize::try_from(frames).unwrap_or(1) {
            1 if self.integer("ImageFrameOrigin", 0x0051).is_none() => 0,
            frames => {
                let start = usize::try_from(first - 1).unwrap_or(0);
                match frame.checked_sub(start).filter(|index| *index < frames) {
                    Some(index) => index,
                    None => return Ok(None),
                }
            }
        };
        let count = rows * columns;
        let data = bytes(&self.attributes.own, &self.key("OverlayData", 0x3000));
        let bits = match data {
            // The first pixel is the lowest bit (PS3.5 §8.1.2).
            // What the data does not hold is not drawn, and not allocated either.
            Some(data) => (index * count..((index + 1) * count).min(data.len() * 8))
                .map(|bit| data.get(bit / 8).is_some_and(|byte| byte >> (bit % 8) & 1 == 1))
                .collect(),
            None => self.embedded(samples, count, columns)?,
        };
        Ok(Some(Overlay { top: top - 1, left: left - 1, columns, bits }))
    }

    /// A bit of the samples that the image does not use (retired: PS3.3-2004 §C.9.2.1.1).
    fn embedded(
        &self,
        samples: &FrameSamples<'_>,
        count: usize,
        columns: usize,
    ) -> Result<Vec<bool>, &'static str> {
        if self.integer("OverlayBitsAllocated", 0x0100) != Some(samples.bits_allocated.into()) {
            return Err("it has no data, or too much to be part of the metadata");
        }
        if !samples.has_all_bits || columns != samples.columns {
            return Err("it lies in bits of the samples that are not available");
        }
        let bit = self.integer("OverlayBitPosition", 0x0102);
        let bit = bit.and_then(|bit| usize::try_from(bit).ok());
        let bit = bit.filter(|bit| *bit < usize::from(samples.bits_allocated));
        let bit = bit.ok_or("its bit position is absent or not usable")?;
        let sample = usize::from(samples.bits_allocated / 8).max(1);
        let pixels = samples.pixels.chunks_exact(sample).take(count);
        let is_set =
            |pixel: &[u8]| pixel.get(bit / 8).is_some_and(|byte| byte >> (bit % 8) & 1 == 1);
        Ok(pixels.map(is_set).collect())
    }
}
