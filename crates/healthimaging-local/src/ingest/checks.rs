//! Values that are stored as they are, though they break a rule: malformed UIDs, and over-long values
//! of the attributes that searches look at.

use healthimaging_dicom::SplitInstance;

use super::outcome::{Reason, Warning};

/// What is wrong with the values of an instance.
pub(super) fn warnings(split: &SplitInstance) -> Vec<Warning> {
    let malformed = split.malformed_uids().into_iter().map(|keyword| {
        let message = format!("{keyword} is not a valid UID");
        Warning::new(Reason::InvalidUidFormat, message)
    });
    let long = split.over_long_attributes().into_iter().map(|(keyword, most)| {
        let message = format!("{keyword} is longer than {most} characters");
        Warning::new(Reason::InvalidDicomValueLength, message)
    });
    malformed.chain(long).collect()
}
