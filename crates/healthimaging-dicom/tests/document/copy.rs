//! Copies: which instances, and how they join another image set.

use healthimaging::ErrorKind;
use healthimaging_dicom::{CopySelection, LevelConflicts};

use crate::slice::{SERIES, SOP, document};

const OTHER: &str = "2.25.1001.1.2";

fn parse(json: &str) -> Result<CopySelection, ErrorKind> {
    CopySelection::parse(json).map_err(|error| error.kind())
}

fn named(uid: &str) -> String {
    format!(
        r#"{{"SchemaVersion":"1.1","Study":{{"Series":{{"{SERIES}":{{"Instances":{{"{uid}":{{}}}}}}}}}}}}"#
    )
}

#[test]
fn takes_the_named_instances() {
    let document = document(&[SOP, OTHER]);
    let selected = parse(&named(OTHER)).unwrap().select(&document).unwrap();
    assert_eq!(selected.patient, document.patient);
    let uids: Vec<_> = selected.series[SERIES].instances.keys().collect();
    assert_eq!(uids, [OTHER]);
    let whole = format!(r#"{{"SchemaVersion":1.1,"Study":{{"Series":{{"{SERIES}":{{}}}}}}}}"#);
    assert_eq!(parse(&whole).unwrap().select(&document).unwrap(), document);
}

#[test]
fn refuses_what_names_nothing_or_more_than_instances() {
    let selection = parse(&named("2.25.0")).unwrap();
    let error = selection.select(&document(&[SOP])).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Validation);
    for bad in [
        "",
        "[]",
        r#"{"SchemaVersion":"1.1"}"#,
        r#"{"SchemaVersion":"1.1","Study":{"Series":{}}}"#,
        r#"{"Study":{"Series":{"1.2":{}}}}"#,
        r#"{"SchemaVersion":"1.1","Study":{"DICOM":{"StudyID":"1"},"Series":{"1.2":{}}}}"#,
        r#"{"SchemaVersion":"1.1","Study":{"Series":{"1.2":{"Instances":{"1":{"DICOM":{}}}}}}}"#,
    ] {
        assert_eq!(parse(bad), Err(ErrorKind::Validation), "{bad}");
    }
}

#[test]
fn joins_only_what_agrees() {
    let mut destination = document(&[SOP]);
    let source = document(&[OTHER]);
    destination.join(&source, LevelConflicts::Refuse).unwrap();
    assert_eq!(destination, document(&[SOP, OTHER]));

    let before = destination.clone();
    let mut differs = document(&["2.25.1001.1.3"]);
    let series = differs.series.get_mut(SERIES).unwrap();
    series.attributes.insert("Modality".to_owned(), "MR".into());
    let failure = destination.join(&differs, LevelConflicts::Refuse).unwrap_err();
    assert_eq!(
        failure.message,
        "INVALID_REQUEST:  Series of SourceImageSet and DestinationImageSet don't match."
    );
    assert_eq!(destination, before);
    destination.join(&differs, LevelConflicts::KeepDestination).unwrap();
    assert_eq!(destination.instances().count(), 3);
    assert_eq!(destination.series[SERIES].attributes["Modality"], "CT");
}

#[test]
fn never_holds_an_instance_twice() {
    let mut destination = document(&[SOP]);
    let source = document(&[SOP]);
    assert!(destination.join(&source, LevelConflicts::KeepDestination).is_err());
}
