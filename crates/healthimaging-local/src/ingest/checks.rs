//! Values that are stored as they are, though they break a rule: malformed UIDs, and over-long values
//! of the attributes that searches look at.

use healthimaging::Uid;
use healthimaging_dicom::SplitInstance;

use super::outcome::{Reason, Refusal, Warning};

/// Refuses an instance that no request could name: its UIDs are longer than ids are, or hold control
/// characters.
pub(super) fn is_nameable(split: &SplitInstance) -> Result<(), Refusal> {
    let uids = [
        ("StudyInstanceUID", &split.study_uid),
        ("SeriesInstanceUID", &split.series_uid),
        ("SOPInstanceUID", &split.sop_uid),
    ];
    let unnameable = |(_, uid): &&(_, &String)| Uid::try_from(uid.as_str()).is_err();
    match uids.iter().find(unnameable) {
        Some((keyword, _)) => Err(Refusal::invalid(format!(
            "{keyword} is longer than 256 characters, or holds control characters"
        ))),
        None => Ok(()),
    }
}

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
