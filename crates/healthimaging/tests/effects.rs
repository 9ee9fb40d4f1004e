//! The effect of an update follows from its documents ("Modifying image sets" in the developer guide of
//! AWS HealthImaging: `{}` for a series or an instance removes it).
#![expect(clippy::unwrap_used, reason = "a test may")]

use bytes::Bytes;
use healthimaging::model::{MetadataUpdates, UpdateImageSetMetadataRequest};
use healthimaging::{Effect, ErrorKind};

const ID: &str = "0f1e2d3c4b5a69788796a5b4c3d2e1f0";

fn request(updates: MetadataUpdates) -> UpdateImageSetMetadataRequest {
    UpdateImageSetMetadataRequest {
        datastore_id: ID.parse().unwrap(),
        image_set_id: ID.parse().unwrap(),
        latest_version_id: 2.into(),
        force: false,
        include_study_image_sets: false,
        updates,
    }
}

fn removing(document: &str) -> UpdateImageSetMetadataRequest {
    request(MetadataUpdates::DicomUpdates {
        removable_attributes: Some(Bytes::copy_from_slice(document.as_bytes())),
        updatable_attributes: None,
    })
}

fn setting(document: &str) -> UpdateImageSetMetadataRequest {
    request(MetadataUpdates::DicomUpdates {
        removable_attributes: None,
        updatable_attributes: Some(Bytes::copy_from_slice(document.as_bytes())),
    })
}

#[test]
fn removing_instances_or_series_and_reverting_destroy() {
    let revert = request(MetadataUpdates::RevertToVersion(1.into()));
    assert_eq!(revert.effect().unwrap(), Effect::Destroys);
    for document in [
        r#"{"SchemaVersion":1.1,"Study":{"Series":{"1.2":{"Instances":{"1.2.3":{}}}}}}"#,
        r#"{"SchemaVersion":"1.1","Study":{"Series":{"1.2":{}}}}"#,
        r#"{"Study":{"Series":{"1.2":null}}}"#,
        r#"{"Study":{"Series":{"1.2":{"Instances":{}}}}}"#,
        r#"{"Study":{"Series":{"1.2":{"Instances":null}}}}"#,
        r#"{"Study":{"Series":{"1.2":{"DICOM":{"Modality":null},"Instances":{"1.2.3":{}}}}}}"#,
        r#"{"Study":{"Series":{"1.2":{"DICOM":{"Modality":null}},"1.3":{}}}}"#,
        r#"{"Study":{"Series":{"1.2":{"Instances":{"1.2.3":{"DICOM":{}}}}}}}"#,
        // A repeated key: which one a back end reads is not known.
        r#"{"Study":{"Series":{"1.2":{}}},"Study":{"DICOM":{"StudyID":null}}}"#,
        r#"{"Study":{"Series":{"1.2":{},"1.2":{"DICOM":{"Modality":null}}}}}"#,
    ] {
        assert_eq!(removing(document).effect().unwrap(), Effect::Destroys, "{document}");
    }
}

#[test]
fn removing_and_setting_attributes_write() {
    for document in [
        r#"{"SchemaVersion":1.1,"Study":{"DICOM":{"StudyDescription":null}}}"#,
        r#"{"Patient":{"DICOM":{"PatientComments":[1,"a",{"b":2.5}]}}}"#,
        r#"{"Study":{"Series":{"1.2":{"DICOM":{"SeriesDescription":null}}}}}"#,
        r#"{"Study":{"Series":{"1.2":{"Instances":{"1.2.3":{"DICOM":{"Rows":null}}}}}}}"#,
        r#"{"Study":{"Series":{}}}"#,
        "{}",
    ] {
        assert_eq!(removing(document).effect().unwrap(), Effect::Writes, "{document}");
    }
    // What is only named in a document of values is not removed.
    let named = r#"{"SchemaVersion":1.1,"Study":{"Series":{"1.2":{}}}}"#;
    assert_eq!(setting(named).effect().unwrap(), Effect::Writes);
}

#[test]
fn what_cannot_be_read_has_no_effect_to_judge() {
    for document in ["", "null", "[]", "{", "\"x\"", "{\"Study\":", "{} {}", "\u{1}"] {
        let error = removing(document).effect().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Validation, "{document}");
        assert!(error.message().contains("removableAttributes"), "{error}");
        assert!(setting(document).updates.moves_images().is_err(), "{document}");
    }
    let deep = format!("{}{}", "{\"a\":".repeat(10_000), "}".repeat(10_000));
    assert!(removing(&deep).effect().is_err());
}

#[test]
fn the_patient_id_and_the_study_uid_say_whose_images_they_are() {
    for document in [
        r#"{"Patient":{"DICOM":{"PatientID":"P2"}}}"#,
        r#"{"Patient":{"DICOM":{"PatientName":"X","00100020":"P2"}}}"#,
        r#"{"Study":{"DICOM":{"StudyInstanceUID":"1.2.3"}}}"#,
        r#"{"Study":{"DICOM":{"0020000d":"1.2.3"}}}"#,
    ] {
        assert!(setting(document).updates.moves_images().unwrap(), "{document}");
        assert!(removing(document).updates.moves_images().unwrap(), "{document}");
        assert_eq!(setting(document).effect().unwrap(), Effect::Writes, "{document}");
    }
    for document in [
        r#"{"Patient":{"DICOM":{"PatientName":"PatientID"}}}"#,
        r#"{"Study":{"DICOM":{"StudyID":"7"},"Series":{"1.2":{"DICOM":{"PatientID":"x"}}}}}"#,
    ] {
        assert!(!setting(document).updates.moves_images().unwrap(), "{document}");
    }
    assert!(!request(MetadataUpdates::RevertToVersion(1.into())).updates.moves_images().unwrap());
}
