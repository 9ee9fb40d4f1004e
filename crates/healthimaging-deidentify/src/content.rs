//! Content items that are about a person, a device or an identifier, by their concept (PS3.16 TID 1001 to 1020).

use dicom_core::Tag;
use dicom_dictionary_std::tags;
use healthimaging_dicom::{DataSet, Value};

use crate::options::{Profile, ProfileOption};

/// Codes of the scheme DCM.
const ALWAYS: [&str; 22] = [
    "121008", // Person Observer Name
    "121018", // Procedure Study Instance UID
    "121019", // Procedure Study Component UID
    "121020", // Placer Number
    "121021", // Filler Number
    "121022", // Accession Number
    "121028", // Subject UID
    "121029", // Subject Name
    "121030", // Subject ID
    "121031", // Subject Birth Date
    "121036", // Mother of fetus
    "121039", // Specimen UID
    "121040", // Specimen Accession Number
    "121041", // Specimen Identifier
    "121043", // Slide Identifier
    "121044", // Slide UID
    "113870", // Person Name
    "113871", // Person ID
    "113872", // Person ID Issuer
    "113873", // Organization Name
    "128774", // Person Observer's Login Name
    "128775", // Identifier within Person Observer's Role
];
const OF_PATIENT: [&str; 2] = [
    "121032", // Subject Sex
    "121033", // Subject Age
];
const OF_DEVICE: [&str; 10] = [
    "121012", // Device Observer UID
    "121013", // Device Observer Name
    "121016", // Device Observer Serial Number
    "121017", // Device Observer Physical Location
    "113877", // Device Name
    "113880", // Device Serial Number
    "121193", // Device Subject Name
    "121196", // Device Subject Serial Number
    "121197", // Device Subject Physical Location during observation
    "121198", // Device Subject UID
];
const OF_INSTITUTION: [&str; 1] = ["121009"]; // Person Observer's Organization Name

/// Reports whether a data set is a content item whose value names a person, or something that a profile hides.
pub(crate) fn names_somebody(data_set: &DataSet, profile: &Profile) -> bool {
    let Some(concept) = first_item(data_set, tags::CONCEPT_NAME_CODE_SEQUENCE) else {
        return false;
    };
    if concept.text(tags::CODING_SCHEME_DESIGNATOR) != Some("DCM") {
        return false;
    }
    let Some(code) = concept.text(tags::CODE_VALUE) else { return false };
    let hides = |option, codes: &[&str]| !profile.has(option) && codes.contains(&code);
    ALWAYS.contains(&code)
        || hides(ProfileOption::RetainPatientCharacteristics, &OF_PATIENT)
        || hides(ProfileOption::RetainDeviceIdentity, &OF_DEVICE)
        || hides(ProfileOption::RetainInstitutionIdentity, &OF_INSTITUTION)
}

fn first_item(data_set: &DataSet, tag: Tag) -> Option<&DataSet> {
    match data_set.value(tag)? {
        Value::Items(items) => items.first(),
        _ => None,
    }
}
