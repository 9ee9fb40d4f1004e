//! The builder of one file.

use dicom_core::value::{PixelFragmentSequence, PrimitiveValue, Value};
use dicom_core::{DataElement, Tag, VR};
use dicom_dictionary_std::tags;
use dicom_object::InMemDicomObject;
use dicom_object::mem::{InMemElement, InMemFragment};

use crate::anatomy::Anatomy;
use crate::archive::fraction;
use crate::dataset::{Kind, fresh, identify, sequence};
use crate::noise::Noise;
use crate::plane::Plane;
use crate::seed::Generator;
use crate::stored::{Planar, Scale, Shape, Sign, even, store};
use crate::write::{TransferSyntax, part10};

/// One DICOM file in the making.
///
/// Starts as a sound object of its kind ([`ct`](Self::ct), [`mr`](Self::mr),
/// [`ultrasound`](Self::ultrasound), [`radiograph`](Self::radiograph),
/// [`report`](Self::report)); every method changes one thing. [`with`](Self::with),
/// [`without`](Self::without) and [`private`](Self::private) come last, in the order called, so
/// that they can contradict anything, the pixels' own attributes included.
#[derive(Debug, Clone)]
pub struct Phantom {
    object: InMemDicomObject,
    picture: Option<(Anatomy, Shape)>,
    content: Content,
    encoding: TransferSyntax,
    claimed: Option<String>,
    seed: u64,
    noise: Option<f32>,
    depth: Option<f32>,
    edits: Vec<Edit>,
}

#[derive(Debug, Clone)]
enum Content {
    Drawn,
    Given(Plane),
    Native(Vec<u8>),
    Encapsulated {
        offsets: Vec<u32>,
        fragments: Vec<Vec<u8>>,
    },
    Absent,
}

#[derive(Debug, Clone)]
enum Edit {
    Put(InMemElement),
    Remove(Tag),
    Private(u16, String, u8, VR, PrimitiveValue),
}

/// Starting and identifying.
impl Phantom {
    /// A CT slice of a thorax: 512×512, 16 bits signed, Hounsfield units.
    #[must_use]
    pub fn ct() -> Self {
        let shape = Shape {
            sign: Sign::Signed,
            ..grey(512, 512, 16)
        };
        Self::start(Kind::Ct, Some((Anatomy::Thorax, shape)))
    }

    /// An MR slice of a head: 256×256, 16 bits unsigned.
    #[must_use]
    pub fn mr() -> Self {
        Self::start(Kind::Mr, Some((Anatomy::Head, grey(256, 256, 16))))
    }

    /// A colour ultrasound loop: 12 frames of 240×320, RGB of 8 bits.
    #[must_use]
    pub fn ultrasound() -> Self {
        let shape = Shape {
            frames: 12,
            bits_allocated: 8,
            ..grey(240, 320, 8)
        };
        Self::start(Kind::Ultrasound, Some((Anatomy::Echo, shape))).rgb()
    }

    /// A chest radiograph: 1500 rows of 1200, 12 bits stored in 16, MONOCHROME1.
    #[must_use]
    pub fn radiograph() -> Self {
        let shape = grey(1500, 1200, 12);
        Self::start(Kind::Radiograph, Some((Anatomy::Radiograph, shape))).photometric("MONOCHROME1")
    }

    /// A structured report: no pixels, but nested sequences.
    #[must_use]
    pub fn report() -> Self {
        Self::start(Kind::Report, None)
    }

    fn start(kind: Kind, picture: Option<(Anatomy, Shape)>) -> Self {
        let content = if picture.is_some() {
            Content::Drawn
        } else {
            Content::Absent
        };
        Self {
            object: fresh(kind),
            picture,
            content,
            encoding: TransferSyntax::ExplicitVrLittleEndian,
            claimed: None,
            seed: 0,
            noise: None,
            depth: None,
            edits: Vec::new(),
        }
        .seed(0)
    }

    /// What the picture and all UIDs are derived from; UIDs given before are lost.
    #[must_use]
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        identify(&mut self.object, seed);
        self
    }

    /// Patient's Name and Patient ID.
    #[must_use]
    pub fn patient(self, name: &str, id: &str) -> Self {
        self.set(tags::PATIENT_NAME, VR::PN, name)
            .set(tags::PATIENT_ID, VR::LO, id)
    }

    /// Patient's Birth Date (`YYYYMMDD`) and Patient's Sex (`M`, `F` or `O`).
    #[must_use]
    pub fn born(self, date: &str, sex: &str) -> Self {
        self.set(tags::PATIENT_BIRTH_DATE, VR::DA, date)
            .set(tags::PATIENT_SEX, VR::CS, sex)
    }

    /// Study Instance UID.
    #[must_use]
    pub fn study_uid(self, uid: &str) -> Self {
        self.set(tags::STUDY_INSTANCE_UID, VR::UI, uid)
    }

    /// Series Instance UID.
    #[must_use]
    pub fn series_uid(self, uid: &str) -> Self {
        self.set(tags::SERIES_INSTANCE_UID, VR::UI, uid)
    }

    /// SOP Instance UID, in the data set and in the file meta information.
    #[must_use]
    pub fn sop_uid(self, uid: &str) -> Self {
        self.set(tags::SOP_INSTANCE_UID, VR::UI, uid)
    }

    /// Study Date and Series Date, as `YYYYMMDD`.
    #[must_use]
    pub fn study_date(self, date: &str) -> Self {
        self.set(tags::STUDY_DATE, VR::DA, date)
            .set(tags::SERIES_DATE, VR::DA, date)
    }

    /// Study Description.
    #[must_use]
    pub fn study_description(self, text: &str) -> Self {
        self.set(tags::STUDY_DESCRIPTION, VR::LO, text)
    }

    /// Series Description.
    #[must_use]
    pub fn series_description(self, text: &str) -> Self {
        self.set(tags::SERIES_DESCRIPTION, VR::LO, text)
    }

    /// Body Part Examined.
    #[must_use]
    pub fn body_part(self, part: &str) -> Self {
        self.set(tags::BODY_PART_EXAMINED, VR::CS, part)
    }

    /// Accession Number.
    #[must_use]
    pub fn accession_number(self, number: &str) -> Self {
        self.set(tags::ACCESSION_NUMBER, VR::SH, number)
    }

    /// Series Number.
    #[must_use]
    pub fn series_number(self, number: u32) -> Self {
        self.set(tags::SERIES_NUMBER, VR::IS, &number.to_string())
    }

    /// Instance Number.
    #[must_use]
    pub fn instance_number(self, number: u32) -> Self {
        self.set(tags::INSTANCE_NUMBER, VR::IS, &number.to_string())
    }

    /// Image Position (Patient) and Slice Location: millimetres along the body.
    #[must_use]
    pub fn slice_position(self, millimetres: f64) -> Self {
        self.set(
            tags::IMAGE_POSITION_PATIENT,
            VR::DS,
            &format!("-160\\-160\\{millimetres}"),
        )
        .set(tags::SLICE_LOCATION, VR::DS, &millimetres.to_string())
    }

    /// Specific Character Set, in which the text is then written.
    #[must_use]
    pub fn character_set(self, term: &str) -> Self {
        self.set(tags::SPECIFIC_CHARACTER_SET, VR::CS, term)
    }

    fn set(mut self, tag: Tag, vr: VR, value: &str) -> Self {
        self.object.put(DataElement::new(tag, vr, value));
        self
    }
}

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

    /// Photometric Interpretation; says so only, does not convert.
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

    /// How far through the body the first frame lies, 0 to 1; else the seed says.
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

    /// This grey picture, noise included.
    pub(crate) fn drawn(mut self, plane: Plane) -> Self {
        self.content = Content::Given(plane);
        self
    }

    /// Encapsulated pixel data of a transfer syntax (its UID): one fragment a frame, an empty offset
    /// table (PS3.5 §A.4). The number of frames follows.
    #[must_use]
    pub fn encapsulated(self, transfer_syntax: &str, frames: Vec<Vec<u8>>) -> Self {
        let count = u32::try_from(frames.len()).unwrap_or(u32::MAX);
        self.frames(count)
            .fragments(transfer_syntax, Vec::new(), frames)
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

/// The file.
impl Phantom {
    /// How the data set is encoded.
    #[must_use]
    pub fn transfer_syntax(mut self, syntax: TransferSyntax) -> Self {
        self.encoding = syntax;
        self.claimed = None;
        self
    }

    /// What the file meta information says, whatever the encoding is.
    #[must_use]
    pub fn claimed_transfer_syntax(mut self, uid: &str) -> Self {
        self.claimed = Some(uid.to_owned());
        self
    }

    /// Puts an element, replacing any with its tag. Bytes (`PrimitiveValue::U8`) are written as they
    /// are, whatever the VR, but for `DS` and `IS`.
    #[must_use]
    pub fn with(
        mut self,
        tag: impl Into<Tag>,
        vr: VR,
        value: impl Into<Value<InMemDicomObject, InMemFragment>>,
    ) -> Self {
        self.edits
            .push(Edit::Put(DataElement::new(tag.into(), vr, value)));
        self
    }

    /// Puts a sequence of these items.
    #[must_use]
    pub fn with_sequence(mut self, tag: impl Into<Tag>, items: Vec<InMemDicomObject>) -> Self {
        self.edits.push(Edit::Put(sequence(tag.into(), items)));
        self
    }

    /// Removes an element.
    #[must_use]
    pub fn without(mut self, tag: impl Into<Tag>) -> Self {
        self.edits.push(Edit::Remove(tag.into()));
        self
    }

    /// Puts element `(group, xx element)` in the block of a private creator, which is reserved if
    /// need be (PS3.5 §7.8.1). `group` is odd.
    #[must_use]
    pub fn private(
        mut self,
        group: u16,
        creator: &str,
        element: u8,
        vr: VR,
        value: impl Into<PrimitiveValue>,
    ) -> Self {
        self.edits.push(Edit::Private(
            group,
            creator.to_owned(),
            element,
            vr,
            value.into(),
        ));
        self
    }

    /// The complete Part 10 file.
    ///
    /// # Panics
    /// Where text does not fit the Specific Character Set that the phantom names.
    #[must_use]
    pub fn build(self) -> Vec<u8> {
        let mut object = self.object.clone();
        if let Some((anatomy, shape)) = &self.picture {
            describe(&mut object, *anatomy, shape);
            if let Some(pixels) = self.pixel_data(*anatomy, shape) {
                object.put(pixels);
            }
        }
        for edit in self.edits {
            apply(&mut object, edit);
        }
        part10(&object, self.encoding, self.claimed.as_deref())
    }

    fn pixel_data(&self, anatomy: Anatomy, shape: &Shape) -> Option<InMemElement> {
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
        Some(DataElement::new(
            tags::PIXEL_DATA,
            if words { VR::OW } else { VR::OB },
            value,
        ))
    }

    fn draw(&self, anatomy: Anatomy, shape: &Shape) -> Vec<Vec<Plane>> {
        let (rows, columns) = (usize::from(shape.rows), usize::from(shape.columns));
        let depth = self
            .depth
            .map(|share| share.to_string())
            .unwrap_or_default();
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
                if shape.samples == 1 {
                    vec![plane]
                } else {
                    anatomy.colour(&plane, z).into()
                }
            })
            .collect()
    }
}

fn grey(rows: u16, columns: u16, bits_stored: u16) -> Shape {
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
fn describe(object: &mut InMemDicomObject, anatomy: Anatomy, shape: &Shape) {
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
        text(
            tags::PIXEL_SPACING,
            VR::DS,
            &format!("{spacing:.6}\\{spacing:.6}"),
        );
    }
    if anatomy == Anatomy::Thorax {
        let scale = Scale::new(anatomy, shape);
        text(
            tags::RESCALE_INTERCEPT,
            VR::DS,
            &format!("{:.6}", -scale.offset / scale.gain),
        );
        text(
            tags::RESCALE_SLOPE,
            VR::DS,
            &format!("{:.6}", 1.0 / scale.gain),
        );
    }
}

fn apply(object: &mut InMemDicomObject, edit: Edit) {
    match edit {
        Edit::Put(element) => {
            object.put(element);
        }
        Edit::Remove(tag) => {
            object.remove_element(tag);
        }
        Edit::Private(group, creator, element, vr, value) => {
            let block = private_block(object, group, &creator);
            object.put(DataElement::new(
                Tag(group, block),
                VR::LO,
                creator.as_str(),
            ));
            let tag = Tag(group, block << 8 | u16::from(element));
            object.put(DataElement::new(tag, vr, value));
        }
    }
}

/// The block that belongs to `creator`, or else the first free one (PS3.5 §7.8.1).
fn private_block(object: &InMemDicomObject, group: u16, creator: &str) -> u16 {
    let holder = |block: &u16| {
        let element = object.element(Tag(group, *block)).ok()?;
        element.to_str().ok().map(|text| text.into_owned())
    };
    let is_ours = |block: &u16| holder(block).as_deref() == Some(creator);
    let is_free = |block: &u16| holder(block).is_none();
    (0x10..=0xff)
        .find(is_ours)
        .or_else(|| (0x10..=0xff).find(is_free))
        .unwrap_or(0xff)
}
