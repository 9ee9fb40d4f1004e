//! The entry: an instance in, an instance and a report out.

use dicom_core::VR;
use dicom_dictionary_std::{tags, uids};
use healthimaging::{Error, Result};
use healthimaging_dicom::{DataSet, Element, Value};

use crate::dummy;
use crate::finish;
use crate::identity::Identity;
use crate::key::Key;
use crate::options::Profile;
use crate::pixels::{self, PixelDecision, Rectangle};
use crate::report::Report;
use crate::uids::is_well_known;
use crate::walk::{Place, Walk};

/// De-identifies instances by a profile, with a key.
#[derive(Debug, Clone)]
pub struct Deidentifier {
    profile: Profile,
    key: Key,
}

/// An instance to de-identify, as [`healthimaging_dicom::read_part10`] returns it.
#[derive(Debug, Clone, Default)]
pub struct Instance {
    /// Group 0002, of which only the transfer syntax is used.
    pub meta: DataSet,
    /// The data set without its pixel data.
    pub data_set: DataSet,
    /// Whether it has pixel data.
    pub has_pixels: bool,
    /// Areas that a person asked to blank in every frame.
    pub rectangles: Vec<Rectangle>,
    /// Whether a person looked at the frames, and found no identifying text outside of the rectangles. Then nothing
    /// is held back but documents and recordings.
    pub is_reviewed: bool,
    /// Whether [`has_unused_bits`](crate::has_unused_bits) reports such bits in a frame. It matters only for the option
    /// Clean Pixel Data.
    pub has_unused_bits: bool,
}

/// A de-identified instance.
#[derive(Debug, Clone)]
pub struct Deidentified {
    /// Group 0002: SOP class, new SOP instance UID and transfer syntax, nothing else. The preamble of a file has to be
    /// empty.
    pub meta: DataSet,
    /// The data set. Items that are kept have the place and number that they had, so a [`Value::Bulk`] that is left
    /// is the one at the same place in the original.
    pub data_set: DataSet,
    /// What has to happen to the pixels. The data set says already that it did, so an instance whose pixels are not
    /// blanked, or that is held back, must not be given away.
    pub pixels: PixelDecision,
    /// What was done.
    pub report: Report,
}

impl Deidentifier {
    /// Creates a de-identifier.
    pub fn new(profile: Profile, key: Key) -> Self {
        Self { profile, key }
    }

    /// Returns the profile.
    pub fn profile(&self) -> &Profile {
        &self.profile
    }

    /// Returns the key.
    pub fn key(&self) -> &Key {
        &self.key
    }

    /// Returns the new UID of an original one: the same in every instance and every run with the same key. UIDs that
    /// the standard registers stay.
    pub fn uid(&self, uid: &str) -> String {
        let uid = uid.trim_matches([' ', '\0']);
        if is_well_known(uid) { uid.to_owned() } else { self.key.uid(uid) }
    }

    /// Returns the pseudonym of a Patient ID (0010,0020).
    pub fn patient_id(&self, patient_id: &str) -> String {
        self.key.pseudonym("patient-id", patient_id.trim_matches([' ', '\0']))
    }

    /// De-identifies an instance.
    ///
    /// Errors: `Validation` for a DICOMDIR, whose records name files and patients of a medium: make a new one from the
    /// de-identified files.
    pub fn deidentify(&self, instance: Instance) -> Result<Deidentified> {
        let Instance { meta, data_set, has_pixels, rectangles, is_reviewed, has_unused_bits } =
            instance;
        if data_set.elements.contains_key(&tags::DIRECTORY_RECORD_SEQUENCE)
            || data_set.text(tags::SOP_CLASS_UID) == Some(uids::MEDIA_STORAGE_DIRECTORY_STORAGE)
            || meta.text(tags::MEDIA_STORAGE_SOP_CLASS_UID)
                == Some(uids::MEDIA_STORAGE_DIRECTORY_STORAGE)
        {
            return Err(Error::validation(
                "a DICOMDIR cannot be de-identified; create a new one from the de-identified files",
            ));
        }
        let is_reviewed = is_reviewed || !rectangles.is_empty();
        let seen = pixels::Seen { is_reviewed, rectangles, has_unused_bits };
        let pixels = pixels::decide(&data_set, has_pixels, &self.profile, seen);
        let mut walk = Walk {
            deidentifier: self,
            identity: Identity::of(&data_set, &self.profile),
            report: Report::default(),
            patient: patient(&data_set),
        };
        let mut processed = walk.data_set(data_set, Place::ROOT);
        let mut report = walk.report;
        update_document_length(&mut processed);
        let syntax = meta.text(tags::TRANSFER_SYNTAX_UID).unwrap_or_default();
        finish::describe(&mut processed, &self.profile, (&pixels, syntax), &mut report);
        report.instances = 1;
        report.options = self.profile.options().map(crate::ProfileOption::name).collect();
        report.note_pixels(&pixels);
        Ok(Deidentified { meta: file_meta(&meta, &processed), data_set: processed, pixels, report })
    }
}

/// What distinguishes one patient from another: the Patient ID, or what else there is.
fn patient(data_set: &DataSet) -> String {
    if let Some(id) = data_set.text(tags::PATIENT_ID) {
        return id.to_owned();
    }
    let name = data_set.text(tags::PATIENT_NAME);
    let birth_date = data_set.text(tags::PATIENT_BIRTH_DATE).unwrap_or_default();
    let study = || data_set.text(tags::STUDY_INSTANCE_UID).unwrap_or_default().to_owned();
    name.map_or_else(study, |name| format!("{name}\n{birth_date}"))
}

fn file_meta(meta: &DataSet, data_set: &DataSet) -> DataSet {
    let uid = |uid: &str| dummy::text(VR::UI, uid);
    let mut new = DataSet::default();
    let pairs = [
        (tags::MEDIA_STORAGE_SOP_CLASS_UID, data_set.text(tags::SOP_CLASS_UID)),
        (tags::MEDIA_STORAGE_SOP_INSTANCE_UID, data_set.text(tags::SOP_INSTANCE_UID)),
        (tags::TRANSFER_SYNTAX_UID, meta.text(tags::TRANSFER_SYNTAX_UID)),
    ];
    let elements = pairs.into_iter().filter_map(|(tag, value)| Some((tag, uid(value?))));
    new.elements.extend(elements);
    new
}

/// The dummy of a document has another length than the document.
fn update_document_length(data_set: &mut DataSet) {
    let length = match data_set.value(tags::ENCAPSULATED_DOCUMENT) {
        Some(Value::Bytes(bytes)) => bytes.len() as u64,
        _ => return,
    };
    if let Some(element) = data_set.elements.get_mut(&tags::ENCAPSULATED_DOCUMENT_LENGTH) {
        *element = Element { vr: VR::UL, value: Value::Unsigned(vec![length]) };
    }
}
