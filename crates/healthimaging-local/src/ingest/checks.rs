//! Values that are stored as they are, though they break a rule: malformed UIDs, and over-long values
//! of the attributes that searches look at.

use healthimaging_dicom::{Attributes, SplitInstance};

use super::outcome::{Reason, Warning};

/// Longest UID (`PS3.5 §9.1`).
const UID_LENGTH: usize = 64;

/// Most characters at import, by attribute, as the service documents them.
const LENGTHS: [(&str, usize); 12] = [
    ("PatientName", 256),
    ("PatientID", 256),
    ("PatientBirthDate", 18),
    ("PatientSex", 16),
    ("StudyInstanceUID", 256),
    ("StudyID", 256),
    ("StudyDescription", 256),
    ("AccessionNumber", 256),
    ("StudyDate", 18),
    ("StudyTime", 28),
    ("SeriesInstanceUID", 256),
    ("SOPInstanceUID", 256),
];

const UIDS: [&str; 4] = [
    "SOPClassUID",
    "SOPInstanceUID",
    "StudyInstanceUID",
    "SeriesInstanceUID",
];

/// What is wrong with the values of an instance.
pub(super) fn warnings(split: &SplitInstance) -> Vec<Warning> {
    let malformed = UIDS
        .iter()
        .filter(|keyword| text(split, keyword).is_some_and(|uid| !is_uid(uid.trim())))
        .map(|keyword| {
            let message = format!("{keyword} is not a valid UID");
            Warning::new(Reason::InvalidUidFormat, message)
        });
    let long = LENGTHS
        .iter()
        .filter(|(keyword, most)| {
            text(split, keyword).is_some_and(|value| value.chars().count() > *most)
        })
        .map(|(keyword, most)| {
            let message = format!("{keyword} is longer than {most} characters");
            Warning::new(Reason::InvalidDicomValueLength, message)
        });
    malformed.chain(long).collect()
}

fn text<'a>(split: &'a SplitInstance, keyword: &str) -> Option<&'a str> {
    let levels: [&Attributes; 4] = [
        &split.patient,
        &split.study,
        &split.series,
        &split.instance.attributes,
    ];
    levels.iter().find_map(|level| level.get(keyword))?.as_str()
}

/// Whether a text is a UID: components of digits, joined by dots. Leading zeros are let through, since
/// much stored data has them.
fn is_uid(text: &str) -> bool {
    text.len() <= UID_LENGTH
        && text
            .split('.')
            .all(|part| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::is_uid;

    #[test]
    fn uids_are_digits_and_single_dots() {
        let longest = "1".repeat(64);
        for good in ["1.2.840.10008.1.2", "2.25.0", "1", longest.as_str()] {
            assert!(is_uid(good), "{good}");
        }
        let too_long = "1".repeat(65);
        for bad in ["", "not-a-uid..00", "1..2", ".1", "1.", too_long.as_str()] {
            assert!(!is_uid(bad), "{bad}");
        }
    }
}
