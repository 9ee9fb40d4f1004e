//! Several stores on one folder, as several processes have them.

use futures::future::join_all;
use healthimaging::ErrorKind;
use healthimaging::model::DeleteImageSetRequest;
use serde_json::json;

use crate::{rig, slice, study};
use healthimaging_testing::rig::image_sets::{frame_id, instances, only_instance};
use healthimaging_testing::rig::import::write_files;
use healthimaging_testing::rig::{Rig, refused};

#[tokio::test(flavor = "multi_thread")]
async fn each_sees_what_the_other_does() {
    let one = rig().await;
    let two = one.beside().await;
    let store = one.datastore().await;
    let set = two.put(&store, slice(1)).await;
    let document = one.document(&store, &set).await;
    assert_eq!(two.document(&store, &set).await, document);
    let frame = frame_id(only_instance(&document), 0);
    assert_eq!(one.frame(&store, &set, frame).await, two.frame(&store, &set, frame).await);
    one.update(one.update_request(&store, &set, 1, &study("BY ONE"))).await;
    let seen = two.document(&store, &set).await;
    assert_eq!(seen["Study"]["DICOM"]["StudyDescription"], "BY ONE");
    two.update(two.update_request(&store, &set, 2, &study("BY TWO"))).await;
    let request = DeleteImageSetRequest { datastore_id: store.clone(), image_set_id: set.clone() };
    one.service.delete_image_set(request).await.unwrap();
    two.wait_active(&store, &set).await;
    refused(two.try_document(&store, &set, None).await, ErrorKind::NotFound);
    refused(two.try_frame(&store, &set, frame).await, ErrorKind::NotFound);
    assert_eq!(two.found(&store, json!({})).await, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_updates_by_both_exactly_one_is_taken() {
    let one = rig().await;
    let two = one.beside().await;
    let (store, set) = one.holding(slice(1)).await;
    let requests = (0..8).map(|n| {
        let side = if n % 2 == 0 { &one } else { &two };
        side.ask_update(side.update_request(&store, &set, 1, &study(&n.to_string())))
    });
    let answers = join_all(requests).await;
    assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 1);
    for error in answers.into_iter().filter_map(Result::err) {
        assert_eq!(error.kind(), ErrorKind::Conflict, "{error}");
    }
    let found = one.wait_active(&store, &set).await.properties;
    assert_eq!(found.version_id.as_str(), "2");
}

#[tokio::test(flavor = "multi_thread")]
async fn imports_by_both_into_one_series_all_arrive() {
    let one = rig().await;
    let two = one.beside().await;
    let store = one.datastore().await;
    let start = async |side: &Rig, number: u32| {
        let folder = side.new_folder();
        let files = (number * 10..number * 10 + 4).map(|n| (n.to_string(), slice(n).build()));
        write_files(&folder, files);
        let request = side.import_request(&store, &folder);
        side.service.start_dicom_import_job(request).await.unwrap().job_id
    };
    let jobs =
        [start(&one, 1).await, start(&two, 2).await, start(&one, 3).await, start(&two, 4).await];
    for job in &jobs {
        // Each side sees the jobs of both.
        for side in [&one, &two] {
            assert_eq!(side.wait_job(&store, job).await.job_status.as_str(), "COMPLETED");
        }
    }
    let sets = one.found(&store, json!({})).await;
    assert_eq!(sets.len(), 1);
    assert_eq!(instances(&two.document(&store, &sets[0]).await).len(), 16);
}
