//! What was acknowledged is there when the store is opened again, however it was left.

use healthimaging::model::{ImageSetWorkflowStatus, JobStatus};
use serde_json::json;

use crate::{live_and_die, rig, slice, study};
use healthimaging_testing::rig::Rig;
use healthimaging_testing::rig::image_sets::{frame_id, instances};
use healthimaging_testing::rig::import::write_files;

#[test]
fn what_was_acknowledged_is_there_after_reopening() {
    let (folder, store, set, before, frame, versions) = live_and_die(async {
        let rig = rig().await;
        let files = [("1", slice(1).build()), ("2", slice(2).build())];
        let store = rig.datastore().await;
        let set = rig.import(&store, files).await.only_set();
        rig.update(rig.update_request(&store, &set, 1, &study("NEW"))).await;
        let before = rig.document(&store, &set).await;
        let id = frame_id(instances(&before).values().next().unwrap(), 0).to_owned();
        let frame = (rig.frame(&store, &set, &id).await, id);
        let versions = rig.image_set(&store, &set).await.properties;
        (rig.leave(), store, set, before, frame, versions)
    });
    live_and_die(async {
        let rig = Rig::again(crate::open, folder).await;
        assert_eq!(rig.found(&store, json!({})).await, std::slice::from_ref(&set));
        assert_eq!(rig.image_set(&store, &set).await.properties, versions);
        assert_eq!(rig.document(&store, &set).await, before);
        assert_eq!(rig.frame(&store, &set, &frame.1).await, frame.0);
        let first = rig.try_document(&store, &set, Some(1.into())).await.unwrap();
        assert_ne!(first, before);
    });
}

#[test]
fn an_update_that_was_under_way_is_carried_out_by_the_next_process() {
    let (folder, store, set) = live_and_die(async {
        let rig = rig().await;
        let (store, set) = rig.holding(slice(1)).await;
        let held = rig.held().await;
        held.ask_update(held.update_request(&store, &set, 1, &study("NEW"))).await.unwrap();
        drop(held);
        (rig.leave(), store, set)
    });
    live_and_die(async {
        let rig = Rig::again(crate::open, folder).await;
        let found = rig.wait_active(&store, &set).await.properties;
        assert_eq!(found.image_set_workflow_status, Some(ImageSetWorkflowStatus::Updated));
        let document = rig.document(&store, &set).await;
        assert_eq!(document["Study"]["DICOM"]["StudyDescription"], "NEW");
    });
}

#[test]
fn a_deletion_that_was_under_way_is_carried_out_by_the_next_process() {
    let (folder, store, set) = live_and_die(async {
        let rig = rig().await;
        let (store, set) = rig.holding(slice(1)).await;
        let held = rig.held().await;
        let request = healthimaging::model::DeleteImageSetRequest {
            datastore_id: store.clone(),
            image_set_id: set.clone(),
        };
        held.service.delete_image_set(request).await.unwrap();
        drop(held);
        (rig.leave(), store, set)
    });
    live_and_die(async {
        let rig = Rig::again(crate::open, folder).await;
        let found = rig.wait_active(&store, &set).await.properties;
        assert_eq!(found.image_set_workflow_status, Some(ImageSetWorkflowStatus::Deleted));
        assert_eq!(rig.found(&store, json!({})).await, []);
    });
}

#[test]
fn a_job_that_was_under_way_is_finished_by_the_next_process() {
    let (folder, store, job) = live_and_die(async {
        let rig = rig().await;
        let store = rig.datastore().await;
        let input = rig.new_folder();
        write_files(&input, (1..=40).map(|n| (format!("{n:03}.dcm"), slice(n).build())));
        let request = rig.import_request(&store, &input);
        let started = rig.service.start_dicom_import_job(request).await.unwrap();
        (rig.leave(), store, started.job_id)
    });
    live_and_die(async {
        let rig = Rig::again(crate::open, folder).await;
        let ended = rig.wait_job(&store, &job).await;
        assert_eq!(ended.job_status, JobStatus::Completed, "{:?}", ended.message);
        let sets = rig.found(&store, json!({})).await;
        assert_eq!(sets.len(), 1);
        assert_eq!(instances(&rig.document(&store, &sets[0]).await).len(), 40);
    });
}
