//! Cleaning of texts outside of a data set.

use dicom_core::{Tag, VR};

use crate::identity::Identity;
use crate::options::Profile;

/// Names and identifiers of a patient, and texts without them.
///
/// Rules cannot prove that free text is clean; the README of this crate documents what they find.
#[derive(Debug)]
pub struct Cleaner(Identity);

impl Cleaner {
    /// Collects the values that identify people from attributes, each with its tag, VR and value.
    pub fn of<'a>(values: impl IntoIterator<Item = (Tag, VR, &'a str)>, profile: &Profile) -> Self {
        Self(Identity::of_values(values, profile))
    }

    /// Returns a text without known names and identifiers, and without what has the form of a date, number, address or
    /// UID; `None` if it has to be removed as a whole.
    pub fn clean(&self, vr: VR, text: &str) -> Option<String> {
        self.0.clean(vr, text).map(Into::into)
    }

    /// Returns a text of an attribute without an action, without the long names of the patient.
    pub fn scrub(&self, text: &str) -> String {
        self.0.scrub(text).into_owned()
    }
}
