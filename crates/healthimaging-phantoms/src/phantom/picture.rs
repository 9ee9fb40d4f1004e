//! The picture of a phantom: its shape, its pixels and the attributes that describe them.

use dicom_core::value::{PixelFragmentSequence, PrimitiveValue, Value};
use dicom_core::{DataElement, VR};
use dicom_dictionary_std::tags;
use dicom_object::InMemDicomObject;
use dicom_object::mem::{InMemElement, InMemFragment};

use super::{Content, Phantom};
use crate::anatomy::Anatomy;
use crate::archive::fraction;
use crate::noise::Noise;
use crate::plane::Plane;
use crate::seed::Generator;
use crate::stored::{Planar, Scale, Shape, Sign, even, store};
use crate::write::TransferSyntax;

/// The picture. Without effect on an object that has none.
impl Phantom {
    fn shape(mut self, change: impl FnOnce(&mut Shape)) -> Self {
        if let Some((_, shape)) = &mut self.picture {
            change(shape);
        }
        self
    }

    /// Rows and Columns.
    #[must_use]
    pub fn size(self, rows: u16, columns: u16) -> Self {
        self.shape(|s| (s.rows, s.columns) = (rows, columns))
    }

    /// Number of Frames; written when it is not 1.
    #[must_use]
    pub fn frames(self, count: u32) -> Self {
        self.shape(|s| s.frames = count)
    }

    /// Bits Allocated (1, 8, 16 or 32) and Bits Stored.
    #[must_use]
    pub fn bits(self, allocated: u16, stored: u16) -> Self {
        self.shape(|s| (s.bits_allocated, s.bits_stored) = (allocated, stored))
    }

    /// Pixel Representation 1: two's complement.
    #[must_use]
    pub fn signed(self) -> Self {
        self.shape(|s| s.sign = Sign::Signed)
    }

    /// Pixel Representation 0.
    #[must_use]
    pub fn unsigned(self) -> Self {
        self.shape(|s| s.sign = Sign::Unsigned)
    }

    /// Three samples a pixel, RGB, together.
    #[must_use]
    pub fn rgb(self) -> Self {
        self.shape(|s| s.samples = 3).photometric("RGB")
    }

    /// Planar Configuration 1: all red, then all green, then all blue.
    #[must_use]
    pub fn planes(self) -> Self {
        self.shape(|s| s.planar = Planar::Planes)
    }

    /// Sets Photometric Interpretation, without converting pixels.
    #[must_use]
    pub fn photometric(self, term: &str) -> Self {
        self.shape(|s| term.clone_into(&mut s.photometric))
    }

    /// The noise's standard deviation, in the units of the picture; 0 for none.
    #[must_use]
    pub fn noise(mut self, deviation: f32) -> Self {
        self.noise = Some(deviation);
        self
    }

    /// Position of the first frame in the body, 0 to 1; by default from the seed.
    #[must_use]
    pub fn depth(mut self, share: f32) -> Self {
        self.depth = Some(share);
        self
    }

    /// These native pixel bytes instead of a drawn picture, in the byte order of the file.
    #[must_use]
    pub fn pixels(mut self, bytes: Vec<u8>) -> Self {
        self.content = Content::Native(bytes);
        self
    }

    /// This gray picture, noise included.
    pub(crate) fn drawn(mut self, plane: Plane) -> Self {
        self.content = Content::Given(plane);
        self
    }

    /// Encapsulated pixel data of a transfer syntax (its UID): one fragment a frame, an empty offset
    /// table (PS3.5 §A.4). The number of frames follows.
    #[must_use]
    pub fn encapsulated(self, transfer_syntax: &str, frames: Vec<Vec<u8>>) -> Self {
        let count = u32::try_from(frames.len()).unwrap_or(u32::MAX);
        self.frames(count).fragments(transfer_syntax, Vec::new(), frames)
    }

    /// Encapsulated pixel data fragment by fragment, with this Basic Offset Table.
    #[must_use]
    pub fn fragments(
        mut self,
        transfer_syntax: &str,
        offsets: Vec<u32>,
        fragments: Vec<Vec<u8>>,
    ) -> Self {
        let fragments = fragments.into_iter().map(even).collect();
        self.content = Content::Encapsulated { offsets, fragments };
        self.encoding = TransferSyntax::ExplicitVrLittleEndian;
        self.claimed_transfer_syntax(transfer_syntax)
    }

    /// No Pixel Data, though the attributes of a picture stay.
    #[must_use]
    pub fn without_pixels(mut self) -> Self {
        self.content = Content::Absent;
        self
    }
}

/// Drawing and describing it.
impl Phantom {
    pub(super) fn pixel_data(&self, anatomy: Anatomy, shape: &Shape) -> Option<InMemElement> {
        let scale = Scale::new(anatomy, shape);
        let value: Value<InMemDicomObject, InMemFragment> = match &self.content {
            Content::Absent => return None,
            Content::Native(bytes) => PrimitiveValue::U8(even(bytes.clone()).into()).into(),
            Content::Encapsulated { offsets, fragments } => {
                PixelFragmentSequence::new(offsets.clone(), fragments.clone()).into()
            }
            Content::Given(plane) => store(&[vec![plane.clone()]], shape, scale).into(),
            Content::Drawn => store(&self.draw(anatomy, shape), shape, scale).into(),
        };
        let words = shape.bits_allocated > 8 && !matches!(value, Value::PixelSequence(_));
        Some(DataElement::new(tags::PIXEL_DATA, if words { VR::OW } else { VR::OB }, value))
    }

    fn draw(&self, anatomy: Anatomy, shape: &Shape) -> Vec<Vec<Plane>> {
        let (rows, columns) = (usize::from(shape.rows), usize::from(shape.columns));
        let depth = self.depth.map(|share| share.to_string()).unwrap_or_default();
        let mut generator = Generator::new(self.seed, &["noise", &depth]);
        let noise = Noise::new(rows, columns, &mut generator);
        let deviation = self.noise.unwrap_or_else(|| anatomy.noise());
        let first = self.depth.unwrap_or_else(|| generator.between(0.2, 0.8));
        (0..shape.frames)
            .map(|frame| {
                let z = first + fraction(frame, shape.frames);
                let mut plane = anatomy.draw(rows, columns, z, self.seed);
                let (down, right) = (generator.below(rows), generator.below(columns));
                noise.add_to(&mut plane, down, right, deviation);
                if shape.samples == 1 { vec![plane] } else { anatomy.color(&plane, z).into() }
            })
            .collect()
    }
}

pub(super) fn gray(rows: u16, columns: u16, bits_stored: u16) -> Shape {
    Shape {
        rows,
        columns,
        frames: 1,
        samples: 1,
        bits_allocated: 16,
        bits_stored,
        sign: Sign::Unsigned,
        planar: Planar::Interleaved,
        photometric: "MONOCHROME2".to_owned(),
    }
}

/// Writes the Image Pixel module (PS3.3 §C.7.6.3) and what depends on the scale.
pub(super) fn describe(object: &mut InMemDicomObject, anatomy: Anatomy, shape: &Shape) {
    let signed = u16::from(shape.sign == Sign::Signed);
    let planes = u16::from(shape.planar == Planar::Planes);
    for (tag, value) in [
        (tags::SAMPLES_PER_PIXEL, shape.samples),
        (tags::ROWS, shape.rows),
        (tags::COLUMNS, shape.columns),
        (tags::BITS_ALLOCATED, shape.bits_allocated),
        (tags::BITS_STORED, shape.bits_stored),
        (tags::HIGH_BIT, shape.bits_stored.saturating_sub(1)),
        (tags::PIXEL_REPRESENTATION, signed),
    ] {
        object.put(DataElement::new(tag, VR::US, PrimitiveValue::from(value)));
    }
    if shape.samples > 1 {
        let planar = PrimitiveValue::from(planes);
        object.put(DataElement::new(tags::PLANAR_CONFIGURATION, VR::US, planar));
    }
    let mut text = |tag, vr, value: &str| object.put(DataElement::new(tag, vr, value));
    text(tags::PHOTOMETRIC_INTERPRETATION, VR::CS, &shape.photometric);
    if shape.frames != 1 {
        text(tags::NUMBER_OF_FRAMES, VR::IS, &shape.frames.to_string());
    }
    if matches!(anatomy, Anatomy::Thorax | Anatomy::Head) {
        let spacing = 320.0 / f64::from(shape.columns.max(1));
        text(tags::PIXEL_SPACING, VR::DS, &format!("{spacing:.6}\\{spacing:.6}"));
    }
    if anatomy == Anatomy::Thorax {
        let scale = Scale::new(anatomy, shape);
        text(tags::RESCALE_INTERCEPT, VR::DS, &format!("{:.6}", -scale.offset / scale.gain));
        text(tags::RESCALE_SLOPE, VR::DS, &format!("{:.6}", 1.0 / scale.gain));
    }
}
