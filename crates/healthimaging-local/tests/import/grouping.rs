//! Which image set a file joins: the seven attributes of the AWS HealthImaging developer guide.

use healthimaging::model::{GetImageSetRequest, ImageSetWorkflowStatus};
use healthimaging::{HealthImaging, ImageSetId};
use healthimaging_local::{Grouping, LocalConfig};
use healthimaging_phantoms::{Phantom, VR, tags};

use crate::fixture::Fixture;

fn slice(sop: &str) -> Phantom {
    Phantom::ct()
        .size(16, 16)
        .patient("DOE^JANE", "P1")
        .study_uid("2.25.1")
        .series_uid("2.25.1.1")
        .sop_uid(sop)
}

/// `(set, version, is primary)` of each success line, in the order of the files.
fn placed(lines: &[serde_json::Value]) -> Vec<(String, u64, bool)> {
    let place = |line: &serde_json::Value| {
        let response = &line["importResponse"];
        (
            response["imageSetId"].as_str().unwrap().to_owned(),
            response["imageSetVersion"].as_u64().unwrap(),
            response["isPrimary"].as_bool().unwrap(),
        )
    };
    lines.iter().map(place).collect()
}

async fn import(fixture: &Fixture, files: Vec<Vec<u8>>) -> Vec<(String, u64, bool)> {
    let folder = tempfile::tempdir().unwrap();
    for (number, file) in files.iter().enumerate() {
        std::fs::write(folder.path().join(format!("{number:03}")), file).unwrap();
    }
    let summary = fixture.import(folder.path()).await;
    placed(&Fixture::lines(&summary, "SUCCESS/success.ndjson"))
}

async fn instances(fixture: &Fixture, set: &str) -> Vec<String> {
    let id = ImageSetId::try_from(set).unwrap();
    let metadata = fixture.metadata(&id).await;
    let series = metadata["Study"]["Series"].as_object().unwrap();
    series
        .values()
        .flat_map(|series| series["Instances"].as_object().unwrap().keys().cloned())
        .collect()
}

#[tokio::test]
async fn a_series_is_one_primary_set_and_another_series_another() {
    let fixture = Fixture::new().await;
    let other = slice("2.25.30").series_uid("2.25.1.2").series_number(9);
    let files = vec![slice("2.25.10").build(), other.build(), slice("2.25.11").build()];
    let placed = import(&fixture, files).await;
    assert_eq!(placed[0], placed[2]);
    assert_ne!(placed[0].0, placed[1].0);
    assert!(placed.iter().all(|(_, version, primary)| *version == 1 && *primary));
    assert_eq!(instances(&fixture, &placed[0].0).await, ["2.25.10", "2.25.11"]);
}

#[tokio::test]
async fn a_later_import_extends_the_primary_set_with_a_new_version() {
    let fixture = Fixture::new().await;
    let first = import(&fixture, vec![slice("2.25.10").build()]).await;
    let second = import(&fixture, vec![slice("2.25.11").build(), slice("2.25.12").build()]).await;
    let set = first[0].0.clone();
    assert_eq!(second, [(set.clone(), 2, true), (set.clone(), 2, true)]);
    assert_eq!(instances(&fixture, &set).await.len(), 3);
    let request = GetImageSetRequest {
        datastore_id: fixture.datastore.clone(),
        image_set_id: ImageSetId::try_from(set.as_str()).unwrap(),
        version_id: None,
    };
    let found = fixture.store.get_image_set(request).await.unwrap().properties;
    assert_eq!(found.image_set_workflow_status, Some(ImageSetWorkflowStatus::Imported));
    assert_eq!(found.version_id.as_str(), "2");
}

#[tokio::test]
async fn the_first_variant_in_key_order_is_primary_and_each_conflict_makes_a_set() {
    let variants = [
        slice("2.25.20").patient("DOE^JANE", "P2"),
        slice("2.25.20").accession_number("A2"),
        slice("2.25.20").study_date("19990101"),
        slice("2.25.20").series_number(77),
        slice("2.25.20").series_uid("2.25.1.9").patient("DOE^JANE", "P2"),
    ];
    for variant in variants {
        let fixture = Fixture::new().await;
        let files = vec![slice("2.25.10").build(), variant.clone().build()];
        let placed = import(&fixture, files).await;
        assert_eq!((placed[0].1, placed[0].2), (1, true));
        assert_eq!((placed[1].1, placed[1].2), (1, false), "{variant:?}");
        let again = import(&fixture, vec![variant.build()]).await;
        assert!(!again[0].2);
        assert_ne!(again[0].0, placed[1].0, "a conflicting copy makes a new set each time");
    }
}

#[tokio::test]
async fn other_attributes_do_not_part_and_the_first_stored_value_stays() {
    let fixture = Fixture::new().await;
    let other_name = slice("2.25.11").patient("DOE^JOAN", "P1");
    let placed = import(&fixture, vec![slice("2.25.10").build(), other_name.build()]).await;
    assert_eq!(placed[0], placed[1]);
    let id = ImageSetId::try_from(placed[0].0.as_str()).unwrap();
    let metadata = fixture.metadata(&id).await;
    assert_eq!(metadata["Patient"]["DICOM"]["PatientName"], "DOE^JANE");
    let instances = &metadata["Study"]["Series"]["2.25.1.1"]["Instances"];
    assert_eq!(instances["2.25.11"]["DICOM"]["PatientName"], "DOE^JOAN");
}

#[tokio::test]
async fn under_strict_grouping_every_difference_is_a_conflict() {
    let strict = |config| LocalConfig { grouping: Grouping::Strict, ..config };
    let variants = [
        slice("2.25.11").patient("DOE^JOAN", "P1"),
        slice("2.25.11").body_part("HAND"),
        slice("2.25.11").with(tags::LATERALITY, VR::CS, "R"),
        slice("2.25.11").without(tags::MANUFACTURER),
    ];
    for variant in variants {
        let fixture = Fixture::with(strict).await;
        let padded = slice("2.25.12").patient("DOE^JANE  ", "P1");
        let files = vec![slice("2.25.10").build(), variant.clone().build(), padded.build()];
        let placed = import(&fixture, files).await;
        assert_eq!(placed[0], placed[2], "padding is no difference");
        assert_eq!((placed[0].2, placed[1].2), (true, false), "{variant:?}");
        let again = import(&fixture, vec![variant.build(), slice("2.25.13").build()]).await;
        assert!(!again[0].2);
        assert_eq!(again[1], (placed[0].0.clone(), 2, true));
    }
}

#[tokio::test]
async fn a_second_copy_of_an_instance_is_a_version_in_one_job_too() {
    let fixture = Fixture::new().await;
    let dark = slice("2.25.10").pixels(vec![0; 512]).build();
    let bright = slice("2.25.10").pixels(vec![1; 512]).build();
    let placed = import(&fixture, vec![dark.clone(), bright]).await;
    let set = placed[0].0.clone();
    assert_eq!(placed, [(set.clone(), 1, true), (set, 2, true)]);
    let maximum = async |set: &str| {
        let metadata = fixture.metadata(&ImageSetId::try_from(set).unwrap()).await;
        metadata["Study"]["Series"]["2.25.1.1"]["Instances"]["2.25.10"]["ImageFrames"][0]
            ["MaxPixelValue"]
            .clone()
    };
    assert_eq!(maximum(&placed[0].0).await, 0x0101);
    let again = import(&fixture, vec![dark]).await;
    assert_eq!(again[0], (placed[0].0.clone(), 3, true));
    assert_eq!(maximum(&placed[0].0).await, 0);
    assert_eq!(fixture.image_sets().await.len(), 1);
}

#[tokio::test]
async fn the_same_series_uid_in_another_study_is_a_conflict() {
    let fixture = Fixture::new().await;
    let other = slice("2.25.11").study_uid("2.25.2");
    import(&fixture, vec![slice("2.25.10").build()]).await;
    let placed = import(&fixture, vec![other.build()]).await;
    assert!(!placed[0].2);
}
