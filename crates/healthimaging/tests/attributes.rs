//! The wire names of the list of attributes are those of summaries and filters.

use std::collections::BTreeSet;

use healthimaging::model::{DicomTags, SearchValue};
use healthimaging::{ATTRIBUTES, Attribute};
use serde_json::{Value, json};

#[test]
fn a_summary_has_the_attributes_of_the_list_and_two_counts() {
    let names = |tags: &DicomTags| -> BTreeSet<String> {
        json!(tags).as_object().unwrap().keys().cloned().collect()
    };
    let number = |name: &str| name.contains("Number") && name != "DICOMAccessionNumber";
    let counts = ["DICOMNumberOfStudyRelatedSeries", "DICOMNumberOfStudyRelatedInstances"];
    let listed = ATTRIBUTES.iter().filter_map(|attribute| attribute.wire_name);
    let all: BTreeSet<String> = listed.chain(counts).map(str::to_owned).collect();
    // Sixteen members (developer guide of AWS HealthImaging, SearchImageSets).
    assert_eq!(all.len(), 16);
    let value = |name: &String| if number(name) { json!(1) } else { json!("1") };
    let whole: Value = all.iter().map(|name| (name.clone(), value(name))).collect();
    assert_eq!(names(&serde_json::from_value(whole).unwrap()), all);
}

#[test]
fn a_filter_compares_the_attribute_of_its_name() {
    for name in [
        "DICOMPatientId",
        "DICOMAccessionNumber",
        "DICOMStudyId",
        "DICOMStudyInstanceUID",
        "DICOMSeriesInstanceUID",
    ] {
        let value: SearchValue = serde_json::from_value(json!({ name: "1" })).unwrap();
        let (attribute, text) = value.attribute().unwrap();
        assert_eq!((attribute.wire_name, text), (Some(name), "1"));
    }
    let primary: SearchValue = serde_json::from_value(json!({ "isPrimary": true })).unwrap();
    assert_eq!(primary.attribute(), None);
}

/// Developer guide of AWS HealthImaging, "DICOM element constraints".
#[test]
fn the_service_limits_twelve_attributes() {
    let limited = ATTRIBUTES.iter().filter(|attribute| attribute.longest.is_some());
    assert_eq!(limited.count(), 12);
    for (keyword, longest) in [("PatientSex", 16), ("StudyDate", 18), ("StudyTime", 28)] {
        assert_eq!(Attribute::named(keyword).unwrap().longest, Some(longest), "{keyword}");
    }
    assert_eq!(Attribute::named("PatientName").unwrap().longest, Some(256));
}
