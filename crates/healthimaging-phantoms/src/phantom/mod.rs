//! The builder of one file.

mod picture;

use std::borrow::Cow;

use dicom_core::value::{PrimitiveValue, Value};
use dicom_core::{DataElement, Tag, VR};
use dicom_dictionary_std::tags;
use dicom_object::InMemDicomObject;
use dicom_object::mem::{InMemElement, InMemFragment};

use crate::anatomy::Anatomy;
use crate::dataset::{Kind, fresh, identify, sequence};
use crate::plane::Plane;
use crate::stored::{Shape, Sign};
use crate::write::{TransferSyntax, part10};
use picture::{describe, gray};

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
    Encapsulated { offsets: Vec<u32>, fragments: Vec<Vec<u8>> },
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
        let shape = Shape { sign: Sign::Signed, ..gray(512, 512, 16) };
        Self::start(Kind::Ct, Some((Anatomy::Thorax, shape)))
    }

    /// An MR slice of a head: 256×256, 16 bits unsigned.
    #[must_use]
    pub fn mr() -> Self {
        Self::start(Kind::Mr, Some((Anatomy::Head, gray(256, 256, 16))))
    }

    /// A color ultrasound loop: 12 frames of 240×320, RGB of 8 bits.
    #[must_use]
    pub fn ultrasound() -> Self {
        let shape = Shape { frames: 12, bits_allocated: 8, ..gray(240, 320, 8) };
        Self::start(Kind::Ultrasound, Some((Anatomy::Echo, shape))).rgb()
    }

    /// A chest radiograph: 1500 rows of 1200, 12 bits stored in 16, MONOCHROME1.
    #[must_use]
    pub fn radiograph() -> Self {
        let shape = gray(1500, 1200, 12);
        Self::start(Kind::Radiograph, Some((Anatomy::Radiograph, shape))).photometric("MONOCHROME1")
    }

    /// A structured report: no pixels, but nested sequences.
    #[must_use]
    pub fn report() -> Self {
        Self::start(Kind::Report, None)
    }

    fn start(kind: Kind, picture: Option<(Anatomy, Shape)>) -> Self {
        let content = if picture.is_some() { Content::Drawn } else { Content::Absent };
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
        self.set(tags::PATIENT_NAME, VR::PN, name).set(tags::PATIENT_ID, VR::LO, id)
    }

    /// Patient's Birth Date (`YYYYMMDD`) and Patient's Sex (`M`, `F` or `O`).
    #[must_use]
    pub fn born(self, date: &str, sex: &str) -> Self {
        self.set(tags::PATIENT_BIRTH_DATE, VR::DA, date).set(tags::PATIENT_SEX, VR::CS, sex)
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
        self.set(tags::STUDY_DATE, VR::DA, date).set(tags::SERIES_DATE, VR::DA, date)
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
        self.set(tags::IMAGE_POSITION_PATIENT, VR::DS, &format!("-160\\-160\\{millimetres}")).set(
            tags::SLICE_LOCATION,
            VR::DS,
            &millimetres.to_string(),
        )
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

/// The file.
impl Phantom {
    /// How the data set is encoded.
    #[must_use]
    pub fn transfer_syntax(mut self, syntax: TransferSyntax) -> Self {
        self.encoding = syntax;
        self.claimed = None;
        self
    }

    /// The file meta information, in any encoding.
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
        self.edits.push(Edit::Put(DataElement::new(tag.into(), vr, value)));
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
        self.edits.push(Edit::Private(group, creator.to_owned(), element, vr, value.into()));
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
            object.put(DataElement::new(Tag(group, block), VR::LO, creator.as_str()));
            let tag = Tag(group, block << 8 | u16::from(element));
            object.put(DataElement::new(tag, vr, value));
        }
    }
}

/// The block that belongs to `creator`, or else the first free one (PS3.5 §7.8.1).
fn private_block(object: &InMemDicomObject, group: u16, creator: &str) -> u16 {
    let holder = |block: &u16| {
        let element = object.element(Tag(group, *block)).ok()?;
        element.to_str().ok().map(Cow::into_owned)
    };
    let is_ours = |block: &u16| holder(block).as_deref() == Some(creator);
    let is_free = |block: &u16| holder(block).is_none();
    (0x10..=0xff).find(is_ours).or_else(|| (0x10..=0xff).find(is_free)).unwrap_or(0xff)
}
