//! Plans of changes, and the jobs that carry them out.

use serde_json::{Value, json};

use healthimaging::ErrorKind;
use healthimaging_workflows::certificate;
use healthimaging_workflows::change::planning::{Holders, OlderVersions};
use healthimaging_workflows::change::{Part, Values};
use healthimaging_workflows::find::Criteria;
use healthimaging_workflows::{ItemOutcome, ItemResult, Job, JobState, Plan};

use crate::fake::{Fault, Scene, document, id, instances};

fn instance() -> Part {
    Part::Instance {
        series_instance_uid: Some("1.2.3".parse().unwrap()),
        sop_instance_uid: "1.2.3.2".parse().unwrap(),
    }
}

/// The plan to erase the instance out of the first image set.
async fn erasing(scene: &Scene) -> Plan {
    let made = scene.plan(|planner| async move {
        let holders = Holders::ImageSet(id(1));
        planner.removal("erase", instance(), holders, OlderVersions::Erase).await
    });
    made.await
}

#[tokio::test]
async fn an_erased_instance_is_in_no_version_and_the_rest_stays_primary() {
    let scene = Scene::new();
    scene.fake.add(1, document(&[("1.2.3", 3)]), true);
    let plan = erasing(&scene).await;
    let removes = plan.removes.clone().unwrap();
    assert_eq!(removes.sop_instance_uid.as_deref(), Some("1.2.3.2"));
    assert_eq!(plan.image_sets[0].instances, Some(1), "one of three is removed");
    assert!(plan.cannot_be_undone);
    let (job, _) = scene.carry_out(plan).await;
    assert_eq!(job.job_status, JobState::Completed, "{job:?}");
    let report = job.report.unwrap();
    let replaced = json!({
        "image_sets": 1, "series_erased": 0, "instances_erased": 1, "versions_erased": 1
    });
    assert_eq!(report["replaced_by_rest"], replaced);
    assert!(!report.contains_key("deleted"));
    assert_eq!(report["still_holding"]["image_sets"], 0);
    let sets = scene.fake.sets();
    assert_eq!(sets.len(), 1, "{sets:?}");
    let (kept, set) = sets.iter().next().unwrap();
    assert_ne!(*kept, id(1));
    assert!(set.is_primary);
    assert_eq!(set.versions.len(), 1);
    assert_eq!(instances(&set.versions[0]), ["1.2.3.1", "1.2.3.3"]);
}

/// Erases the second instance; the outcomes, and the sizes of the copies that were made.
async fn erase_in_parts(scene: &Scene) -> (Job, Vec<ItemOutcome>, Vec<usize>) {
    let plan = erasing(scene).await;
    let (job, outcomes) = scene.carry_out(plan).await;
    assert_eq!(job.job_status, JobState::Completed, "{job:?}");
    let copied = scene.fake.0.lock().unwrap().copied.clone();
    (job, outcomes, copied)
}

#[tokio::test]
async fn more_frames_than_one_copy_takes_are_copied_in_parts() {
    let scene = Scene::new();
    // Instances have two frames.
    scene.fake.0.lock().unwrap().copy_frames = Some(5);
    scene.fake.add(1, document(&[("1.2.3", 6), ("1.2.4", 1)]), true);
    let (job, outcomes, copied) = erase_in_parts(&scene).await;
    assert_eq!(job.items_total, Some(job.items_done));
    let items: Vec<&str> = outcomes.iter().map(|outcome| outcome.item.as_str()).collect();
    let of = |item: &str| format!("{}/{item}", id(1));
    assert_eq!(items, [of("part"), of("copy"), of("primary"), id(1).to_string()]);
    assert_eq!(copied, [2; 6], "six instances to the copy, and six into the primary hierarchy");
    let sets = scene.fake.sets();
    assert_eq!(sets.len(), 1, "{sets:?}");
    let set = sets.values().next().unwrap();
    let held = instances(set.versions.last().unwrap());
    let wanted = ["1.2.3.1", "1.2.3.3", "1.2.3.4", "1.2.3.5", "1.2.3.6", "1.2.4.1"];
    assert_eq!((set.is_primary, held), (true, wanted.map(str::to_owned).to_vec()));
}

#[tokio::test]
async fn parts_whose_response_is_lost_are_not_copied_twice() {
    let scene = Scene::new();
    scene.fake.0.lock().unwrap().copy_frames = Some(5);
    scene.fake.add(1, document(&[("1.2.3", 7)]), true);
    scene.fake.fail("CopyImageSetRequest", &[Fault::Lost; 6]);
    let (job, outcomes, copied) = erase_in_parts(&scene).await;
    assert_eq!((job.items_failed, outcomes.len()), (0, 4), "{outcomes:?}");
    assert_eq!(copied, [2; 6]);
    let sets = scene.fake.sets();
    let held = instances(sets.values().next().unwrap().versions.last().unwrap());
    assert_eq!((sets.len(), held.len()), (1, 6));
}

#[tokio::test]
async fn a_selection_longer_than_the_service_takes_is_copied_in_parts() {
    let scene = Scene::new();
    let uid = format!("1.{}", "2".repeat(56));
    let (held, series) = (document(&[(&uid, 4000)]), uid.parse().unwrap());
    scene.fake.add(1, held.clone(), true);
    let sop = format!("{uid}.2000");
    let part = Part::Instance {
        series_instance_uid: Some(series),
        sop_instance_uid: sop.parse().unwrap(),
    };
    let plan = scene
        .plan(|planner| async move {
            planner.removal("erase", part, Holders::ImageSet(id(1)), OlderVersions::Erase).await
        })
        .await;
    assert!(plan.notes.iter().any(|note| note.contains("2 parts")), "{:?}", plan.notes);
    let (_, outcomes) = scene.carry_out(plan).await;
    assert!(outcomes.iter().all(|outcome| outcome.error.is_none()), "{outcomes:?}");
    let sets = scene.fake.sets();
    let set = sets.values().next().unwrap();
    let (mut left, mut wanted) = (instances(set.versions.last().unwrap()), instances(&held));
    wanted.retain(|uid| *uid != sop);
    left.sort();
    wanted.sort();
    assert_eq!((sets.len(), set.is_primary, left), (1, true, wanted));
}

#[tokio::test]
async fn of_a_copy_that_cannot_be_completed_nothing_is_left() {
    let scene = Scene::new();
    let mut held = document(&[("1.2.3", 6)]);
    let frames = vec![json!({ "ID": "a" }); 6];
    held["Study"]["Series"]["1.2.3"]["Instances"]["1.2.3.5"]["ImageFrames"] = json!(frames);
    scene.fake.0.lock().unwrap().copy_frames = Some(5);
    scene.fake.add(1, held.clone(), true);
    let (_, outcomes, copied) = erase_in_parts(&scene).await;
    assert_eq!(copied, [2, 1], "the instance of six frames is refused");
    let failed = outcomes.last().unwrap();
    assert_eq!((failed.result, failed.item.as_str()), (ItemResult::Failed, id(1).as_str()));
    let message = &failed.error.as_ref().unwrap().message;
    assert!(message.contains("nothing was changed. Request a higher quota"), "{message}");
    let sets = scene.fake.sets();
    assert_eq!((sets.len(), &sets[&id(1)].versions), (1, &vec![held]));
}

#[tokio::test]
async fn an_image_set_whose_copy_is_gone_is_not_deleted() {
    let scene = Scene::new();
    let held = document(&[("1.2.3", 3)]);
    scene.fake.add(1, held.clone(), true);
    // The copy is the only other image set.
    scene.fake.fail("DeleteImageSetRequest", &[Fault::Deleted(101)]);
    let (_, outcomes, copied) = erase_in_parts(&scene).await;
    assert_eq!((copied, outcomes.last().unwrap().result), (vec![2], ItemResult::Failed));
    let sets = scene.fake.sets();
    assert_eq!((sets.len(), &sets[&id(1)].versions), (1, &vec![held]));
}

#[tokio::test]
async fn an_image_set_with_the_same_instances_is_not_mistaken_for_a_copy() {
    let scene = Scene::new();
    scene.fake.add(1, document(&[("1.2.3", 3)]), true);
    let plan = erasing(&scene).await;
    // Received after the plan was made.
    let mut other = document(&[("1.2.3", 3)]);
    let of_series = other["Study"]["Series"]["1.2.3"]["Instances"].as_object_mut().unwrap();
    of_series.remove("1.2.3.2");
    other["Study"]["Series"]["1.2.3"]["DICOM"]["Modality"] = json!("MR");
    scene.fake.add(2, other.clone(), false);
    let (job, _) = scene.carry_out(plan).await;
    assert_eq!(job.items_failed, 0, "{job:?}");
    let sets = scene.fake.sets();
    assert_eq!((sets.len(), &sets[&id(2)].versions), (2, &vec![other]));
}

#[tokio::test]
async fn a_removed_series_stays_in_the_older_version() {
    let scene = Scene::new();
    scene.fake.add(1, document(&[("1.2.3", 3), ("1.2.4", 2)]), true);
    scene.fake.add(2, document(&[("1.2.4", 1)]), false);
    let plan = scene
        .plan(|planner| async move {
            let series = Part::Series("1.2.4".parse().unwrap());
            let study = Holders::Study("1.2".parse().unwrap());
            planner.removal("remove", series, study, OlderVersions::Keep).await
        })
        .await;
    let instances_removed: Option<usize> = plan.image_sets.iter().map(|set| set.instances).sum();
    assert_eq!(instances_removed, Some(3));
    let (job, outcomes) = scene.carry_out(plan).await;
    let results: Vec<ItemResult> = outcomes.iter().map(|outcome| outcome.result).collect();
    assert!(results.contains(&ItemResult::Removed) && results.contains(&ItemResult::Deleted));
    let report = job.report.unwrap();
    let removed = json!({ "image_sets": 1, "series": 1, "instances": 2 });
    assert_eq!(report["removed_from_latest_version"], removed);
    assert_eq!(report["deleted"]["instances"], 1);
    let sets = scene.fake.sets();
    assert_eq!(sets.keys().collect::<Vec<_>>(), [&id(1)]);
    let versions = &sets[&id(1)].versions;
    assert_eq!([instances(&versions[0]).len(), instances(&versions[1]).len()], [5, 3]);
}

#[tokio::test]
async fn values_are_set_in_the_primary_image_sets_of_a_study_by_one_call() {
    let scene = Scene::new();
    scene.fake.add(1, document(&[("1.2.3", 1)]), true);
    scene.fake.add(2, document(&[("1.2.4", 1)]), true);
    scene.fake.add(3, document(&[("1.2.4", 1)]), false);
    let values = json!({ "PatientName": "ROE^RICHARD", "StudyDescription": "HEAD" });
    let Value::Object(values) = values else { unreachable!() };
    let values = Values::of_keywords(values).unwrap();
    let plan = scene
        .plan(|planner| async move {
            planner.update("correct", Criteria::default(), values, "nothing").await
        })
        .await;
    assert_eq!(plan.image_sets.len(), 3);
    let (job, _) = scene.carry_out(plan).await;
    let report = job.report.unwrap();
    assert_eq!(report["updated"], json!({ "image_sets": 3, "studies": 1 }));
    assert_eq!(report["without_the_values"]["image_sets"], 0);
    for set in scene.fake.sets().values() {
        assert_eq!(set.versions.len(), 2, "each got one version");
        assert_eq!(set.versions[1]["Patient"]["DICOM"]["PatientName"], "ROE^RICHARD");
        assert_eq!(set.versions[0]["Patient"]["DICOM"]["PatientName"], "DOE^JANE");
    }
}

#[tokio::test]
async fn reads_are_retried_and_a_write_whose_response_is_lost_is_looked_up() {
    let scene = Scene::new();
    scene.fake.add(1, document(&[("1.2.3", 1)]), true);
    let plan = scene
        .plan(|planner| async move {
            planner.deletion("delete", Criteria::default(), 10, "nothing").await
        })
        .await;
    scene.fake.fail("GetImageSetRequest", &[Fault::Refused(ErrorKind::Service); 2]);
    scene.fake.fail("DeleteImageSetRequest", &[Fault::Lost]);
    let (job, outcomes) = scene.carry_out(plan).await;
    assert_eq!(outcomes[0].result, ItemResult::Deleted, "{outcomes:?}");
    assert_eq!(job.report.unwrap()["remaining"]["image_sets"], 0);
    assert!(scene.fake.sets().is_empty());
}

#[tokio::test]
async fn a_write_that_is_refused_is_a_failed_item() {
    let scene = Scene::new();
    scene.fake.add(1, document(&[("1.2.3", 1)]), true);
    let plan = scene.certified_deletion().await;
    scene.fake.fail("DeleteImageSetRequest", &[Fault::Refused(ErrorKind::AccessDenied)]);
    let (job, outcomes) = scene.carry_out(plan).await;
    assert_eq!(outcomes[0].result, ItemResult::Failed, "{outcomes:?}");
    assert_eq!(outcomes[0].error.as_ref().unwrap().kind.as_str(), "auth_error");
    let report = job.report.unwrap();
    assert_eq!(report["remaining"]["image_sets"], 1);
    assert_eq!(report["certificate"]["verdict"], "not_complete", "{report:?}");
    let text = certificate::read(scene.folder.path(), &job.job_id).unwrap();
    let certificate: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(certificate["image_sets"][0]["outcome"], "failed");
    assert_eq!(certificate["image_sets"][0]["error"], "auth_error");
    assert_eq!(certificate["counts"]["image_sets_erased"], 0);
    assert_eq!(certificate["search"]["image_sets_found"], 1);
    let scan = certificate["scan"]["not_scanned"].as_str().unwrap();
    assert!(scan.contains("only the search"), "{scan}");
}
