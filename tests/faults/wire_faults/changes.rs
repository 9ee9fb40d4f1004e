//! Updates, deletions, erasures and copies: each is made once, whatever the line does.

use std::sync::Arc;

use healthimaging::model::{
    CopyImageSetInformation, CopyImageSetRequest, CopySource, GetImageSetMetadataRequest,
    GetImageSetRequest, ImageSetState, MetadataUpdates, UpdateImageSetMetadataRequest,
};
use healthimaging::{ErrorKind, HealthImaging, ImageSetId};
use healthimaging_workflows::ItemResult;
use healthimaging_workflows::change::planning::{Holders, OlderVersions};
use healthimaging_workflows::change::{Part, Values};
use healthimaging_workflows::document;
use healthimaging_workflows::find::{Criteria, is_primary};
use serde_json::json;

use super::{LATE, SETS, Scene, all_are, in_turn};
use crate::line::Fault;
use healthimaging_testing::wire;

/// What every kind of reading meets.
const READS: &[Fault] = &[
    Fault::None,
    Fault::CutMidBody,
    LATE,
    Fault::Half,
    Fault::None,
    Fault::NoJson,
    Fault::CutBefore,
    Fault::Throttle,
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_update_is_made_once_over_a_bad_line() {
    let scene = Scene::new(in_turn(&[
        ("getImageSetMetadata", READS),
        (
            "updateImageSetMetadata",
            &[
                Fault::CutAfter,
                Fault::Throttle,
                Fault::CutBefore,
                Fault::Status(500),
                Fault::Status(503),
                Fault::CutMidBody,
                Fault::OtherJson,
            ],
        ),
    ]))
    .await;
    let Ok(values) = serde_json::from_value(json!({ "PatientName": "NEW^NAME" })) else {
        panic!("an object");
    };
    let values = Values::of_keywords(values).unwrap();
    let all = Criteria::default();
    let plan = scene.planner().update("update", all, values, "none").await;
    let (_, outcomes) = scene.carry_out(plan.unwrap()).await;
    all_are(&outcomes, SETS, ItemResult::Updated);
    for set in scene.sets().await {
        assert_eq!(set.version, Some(2), "one version was made");
        let tags = set.dicom_tags.unwrap();
        assert_eq!(tags.patient_name.as_deref(), Some("NEW^NAME"));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deletion_comes_to_its_end_over_a_bad_line() {
    let scene = Scene::new(in_turn(&[
        ("/getImageSet", &[Fault::Status(500), Fault::CutBefore, Fault::None, Fault::NoJson]),
        (
            "deleteImageSet",
            &[
                Fault::CutAfter,
                Fault::Status(500),
                Fault::CutBefore,
                Fault::Throttle,
                Fault::CutMidBody,
            ],
        ),
    ]))
    .await;
    let all = Criteria::default();
    let plan = scene.planner().deletion("delete", all, 100, "none").await;
    let (job, outcomes) = scene.carry_out(plan.unwrap()).await;
    all_are(&outcomes, SETS, ItemResult::Deleted);
    assert_eq!(job.report.unwrap()["remaining"]["image_sets"], 0);
    assert!(scene.sets().await.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_instance_is_erased_with_one_copy_over_a_bad_line() {
    let scene = Scene::new(in_turn(&[
        ("getImageSetMetadata", READS),
        ("copyImageSet", &[Fault::CutAfter, Fault::Status(500), Fault::CutAfter]),
        ("deleteImageSet", &[Fault::CutAfter, Fault::CutBefore]),
    ]))
    .await;
    let sets = scene.sets().await;
    let target = sets[0].image_set_id.clone();
    let instance = instances(&scene, &target).await[0].parse().unwrap();
    let part = Part::Instance { series_instance_uid: None, sop_instance_uid: instance };
    let holders = Holders::ImageSet(target.clone());
    let plan = scene.planner().removal("erase", part, holders, OlderVersions::Erase);
    let (_, outcomes) = scene.carry_out(plan.await.unwrap()).await;
    assert_eq!(outcomes.len(), 3, "{outcomes:?}");
    let after = scene.sets().await;
    assert_eq!(after.len(), SETS, "no copy is left over");
    assert!(after.iter().all(is_primary));
    assert!(after.iter().all(|set| set.image_set_id != target));
}

async fn instances(scene: &Scene, set: &ImageSetId) -> Vec<String> {
    let request = GetImageSetMetadataRequest {
        datastore_id: scene.datastore.clone(),
        image_set_id: set.clone(),
        version_id: None,
    };
    let contents = document::contents(&*scene.store, request).await.unwrap();
    let series = contents.series.values();
    series.flat_map(|series| series.instances.keys().cloned()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_whose_answer_is_lost_is_not_made_twice() {
    let scene = Scene::new(in_turn(&[("copyImageSet", &[Fault::CutAfter])])).await;
    let source = scene.sets().await[0].clone();
    let request = CopyImageSetRequest {
        datastore_id: scene.datastore.clone(),
        source_image_set_id: source.image_set_id,
        copy_image_set_information: CopyImageSetInformation {
            source_image_set: CopySource { latest_version_id: 1.into(), dicom_copies: None },
            destination_image_set: None,
        },
        force: false,
        promote_to_primary: false,
    };
    let error = scene.aws.copy_image_set(request).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Service);
    assert!(error.message().contains("not known"), "{error}");
    assert_eq!(scene.sets().await.len(), SETS + 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_clients_that_update_one_image_set_one_wins() {
    let scene = Scene::new(Arc::new(|_| Fault::None)).await;
    let set = scene.sets().await[0].image_set_id.clone();
    let other = wire::over_the_wire(Arc::clone(&scene.store)).await;
    for version in 1..6 {
        let update = |who: &str| {
            UpdateImageSetMetadataRequest {
            datastore_id: scene.datastore.clone(),
            image_set_id: set.clone(),
            latest_version_id: version.into(),
            force: false,
            include_study_image_sets: false,
            updates: MetadataUpdates::DicomUpdates {
                removable_attributes: None,
                updatable_attributes: Some(
                    json!({ "SchemaVersion": "1.1",
                            "Study": { "DICOM": { "StudyDescription": format!("{who} {version}") } } })
                    .to_string()
                    .into(),
                ),
            },
        }
        };
        let (one, two) = tokio::join!(
            scene.aws.update_image_set_metadata(update("ONE")),
            other.update_image_set_metadata(update("TWO")),
        );
        let winner = if one.is_ok() { "ONE" } else { "TWO" };
        let (won, lost) = if one.is_ok() { (one, two) } else { (two, one) };
        won.unwrap();
        assert_eq!(lost.unwrap_err().kind(), ErrorKind::Conflict);
        let request = GetImageSetRequest {
            datastore_id: scene.datastore.clone(),
            image_set_id: set.clone(),
            version_id: None,
        };
        let now = loop {
            let now = scene.aws.get_image_set(request.clone()).await.unwrap();
            if now.properties.image_set_state == ImageSetState::Active {
                break now.properties;
            }
        };
        assert_eq!(now.version_id.number(), u64::from(version) + 1);
        let found = scene.sets().await;
        let found = found.iter().find(|found| found.image_set_id == set).unwrap();
        let description = found.dicom_tags.as_ref().unwrap().study_description.clone();
        assert_eq!(description, Some(format!("{winner} {version}")));
    }
}
