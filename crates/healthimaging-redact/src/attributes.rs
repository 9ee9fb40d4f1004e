//! What is done with the value of an attribute, by Table E.1-1 of PS3.15.

use dicom_core::dictionary::{DataDictionary as _, DataDictionaryEntry};
use dicom_core::{Tag, VR};
use dicom_dictionary_std::StandardDataDictionary;
use healthimaging_deidentify::{Action, Profile, ProfileOption, names_definitions, row};

/// What is shown of an attribute.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Treatment {
    /// Its value.
    Shown,
    /// Its text, without the long names of the patient.
    Scrubbed,
    /// Its text, without all known names, and what has the form of a date, number or address.
    Cleaned,
    /// A token in place of its value.
    Token,
    /// A token in place of each UID that does not name a definition.
    Uid,
    /// A date that is shifted.
    Date,
    /// A date and time that are shifted.
    DateTime,
    /// A time of day.
    Time,
    /// Its items.
    Items,
    /// Nothing.
    Withheld,
}

/// The rules of a server.
#[derive(Debug)]
pub(crate) struct Rules {
    /// Basic Profile, with the options under which texts are cleaned unless the rules are strict.
    profile: Profile,
    is_strict: bool,
}

impl Rules {
    pub(crate) fn new(is_strict: bool) -> healthimaging::Result<Self> {
        let cleaned = [
            ProfileOption::CleanDescriptors,
            ProfileOption::CleanGraphics,
            ProfileOption::CleanStructuredContent,
        ];
        let profile = if is_strict { Profile::default() } else { Profile::new(cleaned)? };
        Ok(Self { profile, is_strict })
    }

    pub(crate) fn profile(&self) -> &Profile {
        &self.profile
    }

    pub(crate) fn is_strict(&self) -> bool {
        self.is_strict
    }

    /// Returns what is shown of an attribute with a value of this VR.
    pub(crate) fn treatment(&self, tag: Tag, vr: VR) -> Treatment {
        let is_repeating = matches!(tag.group() & 0xFF00, 0x5000 | 0x6000);
        if tag.group() % 2 == 1 || is_repeating || tag.group() == 0 {
            return Treatment::Withheld;
        }
        let action = row(tag).map(|row| row.action(&self.profile));
        let is_kept = matches!(action, None | Some(Action::Keep));
        match vr {
            VR::SQ if is_kept || action == Some(Action::NewUid) => Treatment::Items,
            VR::SQ if action == Some(Action::Clean) => Treatment::Items,
            VR::UI if names_definitions(tag) => Treatment::Shown,
            VR::UI => Treatment::Uid,
            VR::DA => Treatment::Date,
            VR::DT => Treatment::DateTime,
            VR::TM => Treatment::Time,
            VR::PN => Treatment::Token,
            VR::LT | VR::ST | VR::UT | VR::UC if is_kept || action == Some(Action::Clean) => {
                if self.is_strict { Treatment::Withheld } else { Treatment::Cleaned }
            }
            VR::SQ | VR::LT | VR::ST | VR::UT => Treatment::Withheld,
            _ if is_text(vr) => match action {
                None | Some(Action::Keep) => Treatment::Scrubbed,
                Some(Action::Clean) => Treatment::Cleaned,
                Some(Action::NewUid) => Treatment::Uid,
                // Descriptions: their token would be no use to anyone.
                Some(_) if self.is_description(tag) => Treatment::Withheld,
                Some(_) => Treatment::Token,
            },
            _ if is_kept => Treatment::Shown,
            _ => Treatment::Withheld,
        }
    }

    /// Whether the standard lets the attribute be cleaned, so that it is a description and no name.
    fn is_description(&self, tag: Tag) -> bool {
        let describes = Profile::new([ProfileOption::CleanDescriptors]).ok();
        let action = row(tag).zip(describes).map(|(row, profile)| row.action(&profile));
        self.is_strict && action == Some(Action::Clean)
    }
}

fn is_text(vr: VR) -> bool {
    matches!(
        vr,
        VR::AE | VR::AS | VR::CS | VR::DS | VR::IS | VR::LO | VR::SH | VR::UC | VR::UR | VR::UN
    )
}

/// Returns the tag of a keyword, or of eight hexadecimal digits.
pub(crate) fn tag(name: &str) -> Option<Tag> {
    if let Some(entry) = StandardDataDictionary.by_name(name) {
        return Some(entry.tag());
    }
    let is_hex = name.len() == 8 && name.bytes().all(|byte| byte.is_ascii_hexdigit());
    let number = u32::from_str_radix(name, 16).ok().filter(|_| is_hex)?;
    let [a, b, c, d] = number.to_be_bytes();
    Some(Tag(u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d])))
}

/// Returns the VR of a standard attribute; `UN` for others, of which nothing is known.
pub(crate) fn vr(tag: Tag) -> VR {
    StandardDataDictionary.by_tag(tag).map_or(VR::UN, |entry| entry.vr().relaxed())
}

/// Returns the attribute that a member of JSON is named after: `patient_id`, `DICOMPatientId`, `studyInstanceUID`,
/// `PatientID`, `study_instance_uids`; `None` for names of no attribute.
pub(crate) fn of_member(name: &str) -> Option<Tag> {
    if name == "series" {
        return Some(dicom_dictionary_std::tags::SERIES_INSTANCE_UID);
    }
    let name = name.strip_prefix("DICOM").unwrap_or(name);
    let is_word = name.bytes().all(|byte| byte.is_ascii_lowercase());
    if is_word || name.is_empty() {
        return None;
    }
    if let Some(tag) = tag(name) {
        return Some(tag);
    }
    let singular = name.strip_suffix("_ids").map(|stem| format!("{stem}_id"));
    let singular =
        singular.or_else(|| name.strip_suffix("_uids").map(|stem| format!("{stem}_uid")));
    let name = singular.as_deref().unwrap_or(name);
    let keyword: String = if name.contains('_') {
        name.split('_').map(capitalized).collect()
    } else {
        let (first, rest) = name.split_at_checked(1)?;
        let keyword = format!("{}{rest}", first.to_ascii_uppercase());
        match keyword.strip_suffix("Id") {
            Some(stem) => format!("{stem}ID"),
            None => keyword,
        }
    };
    let found = StandardDataDictionary.by_name(&keyword).map(DataDictionaryEntry::tag);
    // Such as to_patient_id.
    let rest = || name.split_once('_').filter(|(_, rest)| rest.contains('_'));
    found.or_else(|| of_member(rest()?.1))
}

fn capitalized(word: &str) -> String {
    if matches!(word, "id" | "uid" | "sop") {
        return word.to_ascii_uppercase();
    }
    match word.split_at_checked(1) {
        Some((first, rest)) => format!("{}{rest}", first.to_ascii_uppercase()),
        None => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use dicom_dictionary_std::tags;

    use super::*;

    #[test]
    fn members_are_named_after_attributes() {
        for (name, tag) in [
            ("patient_id", tags::PATIENT_ID),
            ("patient_ids", tags::PATIENT_ID),
            ("to_patient_id", tags::PATIENT_ID),
            ("PatientID", tags::PATIENT_ID),
            ("00100020", tags::PATIENT_ID),
            ("DICOMPatientId", tags::PATIENT_ID),
            ("DICOMStudyInstanceUID", tags::STUDY_INSTANCE_UID),
            ("studyInstanceUID", tags::STUDY_INSTANCE_UID),
            ("study_instance_uids", tags::STUDY_INSTANCE_UID),
            ("sop_instance_uid", tags::SOP_INSTANCE_UID),
            ("series", tags::SERIES_INSTANCE_UID),
            ("DICOMAccessionNumber", tags::ACCESSION_NUMBER),
        ] {
            assert_eq!(of_member(name), Some(tag), "{name}");
        }
        for name in
            ["", "date", "time", "text", "image_set_id", "job_id", "DICOM", "next_token", "é_id"]
        {
            assert_eq!(of_member(name), None, "{name}");
        }
    }

    /// Actions of the Basic Profile by PS3.15 Table E.1-1: Z, U, X, none.
    #[test]
    fn identity_becomes_tokens_and_descriptions_are_cleaned() {
        let plain = Rules::new(false).unwrap();
        let strict = Rules::new(true).unwrap();
        for (tag, of_plain, of_strict) in [
            (tags::PATIENT_NAME, Treatment::Token, Treatment::Token),
            (tags::PATIENT_ID, Treatment::Token, Treatment::Token),
            (tags::ACCESSION_NUMBER, Treatment::Token, Treatment::Token),
            (tags::PATIENT_SEX, Treatment::Token, Treatment::Token),
            (tags::INSTITUTION_NAME, Treatment::Token, Treatment::Token),
            (tags::STUDY_INSTANCE_UID, Treatment::Uid, Treatment::Uid),
            (tags::SOP_CLASS_UID, Treatment::Shown, Treatment::Shown),
            (tags::STUDY_DATE, Treatment::Date, Treatment::Date),
            (tags::PATIENT_BIRTH_DATE, Treatment::Date, Treatment::Date),
            (tags::STUDY_TIME, Treatment::Time, Treatment::Time),
            (tags::ACQUISITION_DATE_TIME, Treatment::DateTime, Treatment::DateTime),
            (tags::STUDY_DESCRIPTION, Treatment::Cleaned, Treatment::Withheld),
            (tags::SERIES_DESCRIPTION, Treatment::Cleaned, Treatment::Withheld),
            (tags::MODALITY, Treatment::Scrubbed, Treatment::Scrubbed),
            (tags::ROWS, Treatment::Shown, Treatment::Shown),
            (tags::CONTENT_SEQUENCE, Treatment::Items, Treatment::Withheld),
            (tags::PERSON_IDENTIFICATION_CODE_SEQUENCE, Treatment::Withheld, Treatment::Withheld),
            (tags::ENCAPSULATED_DOCUMENT, Treatment::Withheld, Treatment::Withheld),
            (Tag(0x0009, 0x1001), Treatment::Withheld, Treatment::Withheld),
            (Tag(0x6000, 0x3000), Treatment::Withheld, Treatment::Withheld),
        ] {
            assert_eq!(plain.treatment(tag, vr(tag)), of_plain, "{tag}");
            assert_eq!(strict.treatment(tag, vr(tag)), of_strict, "{tag}");
        }
    }
}
