//! Lengths and forms of values that the service checks.

use healthimaging::{ATTRIBUTES, Attribute};

use super::{Attributes, SplitInstance, index};

/// The UIDs by which instances are found.
pub(crate) const IDENTIFIERS: [&str; 3] =
    ["StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"];

/// The most characters that the service takes for an attribute; `None` where only its VR limits it.
pub(crate) fn longest(keyword: &str) -> Option<usize> {
    Attribute::named(keyword)?.longest
}

/// Whether a UID has the form of `PS3.5 §9.1`, leading zeros let through: stored data has them.
pub(crate) fn is_uid(text: &str) -> bool {
    let component = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    text.len() <= 64 && text.split('.').all(component)
}

impl SplitInstance {
    /// Attributes that are longer than the service takes, each with the most characters it takes: a
    /// reason for the warning `INVALID_DICOM_VALUE_LENGTH` (B202).
    #[must_use]
    pub fn over_long_attributes(&self) -> Vec<(&'static str, usize)> {
        let limited = ATTRIBUTES.iter().filter_map(|one| Some((one.keyword, one.longest?)));
        let over_long = |(keyword, longest): &(&str, usize)| {
            self.text(keyword).is_some_and(|text| text.chars().count() > *longest)
        };
        limited.filter(over_long).collect()
    }

    /// Keywords of UIDs that are not well formed: a reason for the warning `INVALID_UID_FORMAT`
    /// (B201).
    #[must_use]
    pub fn malformed_uids(&self) -> Vec<&'static str> {
        let uids = ["SOPClassUID", "FrameOfReferenceUID"].into_iter().chain(IDENTIFIERS);
        uids.filter(|uid| self.text(uid).is_some_and(|text| !is_uid(text))).collect()
    }

    fn text(&self, keyword: &str) -> Option<&str> {
        let levels = [&self.patient, &self.study, &self.series, &self.instance.attributes];
        levels.into_iter().find_map(|level: &Attributes| index::text(level, keyword))
    }
}
