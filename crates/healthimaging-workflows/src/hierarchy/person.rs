//! Whether image sets of one Patient ID are of one person, as far as their summaries show.

use std::collections::{BTreeMap, BTreeSet};

use healthimaging::model::{DicomTags, ImageSetsMetadataSummary};

/// An attribute of a patient in the summaries of image sets: its keyword, and how it is read.
type Attribute = (&'static str, fn(&DicomTags) -> Option<&String>);

/// The attributes that identify a person beside the Patient ID (PS3.3 C.2.2).
const ATTRIBUTES: [Attribute; 3] = [
    ("PatientName", |tags| tags.patient_name.as_ref()),
    ("PatientBirthDate", |tags| tags.patient_birth_date.as_ref()),
    ("PatientSex", |tags| tags.patient_sex.as_ref()),
];

/// Returns the keywords of attributes in which image sets of one Patient ID differ; absent and empty values do not count.
fn disagreements(image_sets: &[ImageSetsMetadataSummary]) -> Vec<&'static str> {
    let is_disputed = |read: fn(&DicomTags) -> Option<&String>| {
        let mut found: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        for tags in image_sets.iter().filter_map(|set| set.dicom_tags.as_ref()) {
            // Empty components at the end of a name mean nothing (PS3.5 6.2.1).
            let value = read(tags).map(|value| value.trim().trim_end_matches('^'));
            if let (Some(id), Some(value)) = (&tags.patient_id, value)
                && !value.is_empty()
            {
                found.entry(id.trim()).or_default().insert(value);
            }
        }
        found.values().any(|values| values.len() > 1)
    };
    ATTRIBUTES.into_iter().filter(|(_, read)| is_disputed(*read)).map(|(name, _)| name).collect()
}

/// Returns a sentence about attributes in which image sets of one Patient ID differ, if they do: name, birth date, sex.
pub fn warning(image_sets: &[ImageSetsMetadataSummary]) -> Option<String> {
    let names = disagreements(image_sets);
    (!names.is_empty()).then(|| {
        format!(
            "Image sets of one Patient ID differ in {}: they may be of two people.",
            names.join(", ")
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use healthimaging::ImageSetId;

    fn sets(people: &[(&str, &str, &str)]) -> Vec<ImageSetsMetadataSummary> {
        let set = |(id, name, born): &(&str, &str, &str)| ImageSetsMetadataSummary {
            image_set_id: ImageSetId::try_from("0".repeat(32).as_str()).unwrap(),
            version: None,
            created_at: None,
            updated_at: None,
            last_accessed_at: None,
            storage_tier: None,
            is_primary: None,
            dicom_tags: Some(DicomTags {
                patient_id: Some((*id).to_owned()),
                patient_name: Some((*name).to_owned()),
                patient_birth_date: Some((*born).to_owned()),
                ..DicomTags::default()
            }),
        };
        people.iter().map(set).collect()
    }

    #[test]
    fn people_of_one_id_are_distinguished() {
        let one = ("1", "DOE^JANE", "19700101");
        assert_eq!(
            disagreements(&sets(&[one, ("1", "DOE^JANE^ ", ""), ("2", "ROE", "1960")])),
            [""; 0]
        );
        let both = [one, ("1", "ROE^JANE", "19700102")];
        assert_eq!(disagreements(&sets(&both)), ["PatientName", "PatientBirthDate"]);
        assert!(warning(&sets(&both)).unwrap().contains("two people"));
        assert_eq!(warning(&sets(&[one])), None);
    }
}
