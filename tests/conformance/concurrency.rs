//! Concurrent callers.

use futures::future::join_all;
use healthimaging::ErrorKind;
use healthimaging::model::{CreateDatastoreRequest, DeleteImageSetRequest};
use serde_json::json;

use crate::update::{slice, study};
use healthimaging_testing::rig::Rig;
use healthimaging_testing::rig::image_sets::instances;
use healthimaging_testing::rig::import::write_files;

pub(crate) async fn jobs_that_extend_one_series_at_once_all_arrive(rig: &Rig) {
    let store = rig.datastore().await;
    let mut started = Vec::new();
    for number in 1..=6 {
        let folder = rig.new_folder();
        write_files(&folder, [("file", slice(number).build())]);
        let request = rig.import_request(&store, &folder);
        started.push(rig.service.start_dicom_import_job(request));
    }
    let started = join_all(started).await;
    for answer in started {
        let job = rig.wait_job(&store, &answer.unwrap().job_id).await;
        assert_eq!(job.job_status.as_str(), "COMPLETED", "{:?}", job.message);
    }
    let sets = rig.found(&store, json!({})).await;
    assert_eq!(sets.len(), 1);
    assert_eq!(instances(&rig.document(&store, &sets[0]).await).len(), 6);
    let version = rig.image_set(&store, &sets[0]).await.properties.version_id;
    assert_eq!(version.as_str(), "6");
}

pub(crate) async fn of_many_updates_of_one_version_exactly_one_is_taken(rig: &Rig) {
    let (store, set) = rig.holding(slice(1)).await;
    let requests = (0..8).map(|number| {
        let change = study(json!({"StudyDescription": number.to_string()}));
        rig.ask_update(rig.update_request(&store, &set, 1, &change))
    });
    let answers = join_all(requests).await;
    let taken = answers.iter().filter(|answer| answer.is_ok()).count();
    assert_eq!(taken, 1);
    for refused in answers.into_iter().filter_map(Result::err) {
        assert_eq!(refused.kind(), ErrorKind::Conflict, "{refused}");
    }
    let found = rig.wait_active(&store, &set).await.properties;
    assert_eq!(found.version_id.as_str(), "2");
}

pub(crate) async fn of_many_creations_with_one_token_one_data_store_comes(rig: &Rig) {
    let request = CreateDatastoreRequest {
        client_token: Some("one".parse().unwrap()),
        ..CreateDatastoreRequest::default()
    };
    let answers = join_all((0..8).map(|_| rig.service.create_datastore(request.clone()))).await;
    let mut ids: Vec<_> = answers.into_iter().map(|answer| answer.unwrap().datastore_id).collect();
    ids.dedup();
    assert_eq!(ids.len(), 1);
}

pub(crate) async fn readers_see_a_whole_version_while_it_changes(rig: &Rig) {
    let (store, set) = rig.holding(slice(1)).await;
    let start = study(json!({"StudyDescription": "0", "PatientWeight": "0"}));
    rig.update(rig.update_request(&store, &set, 1, &start)).await;
    let writing = async {
        for version in 2..10 {
            let text = version.to_string();
            let change = study(json!({"StudyDescription": text, "PatientWeight": text}));
            rig.update(rig.update_request(&store, &set, version, &change)).await;
        }
    };
    let reading = async {
        for _ in 0..60 {
            let document = rig.document(&store, &set).await;
            let study = &document["Study"]["DICOM"];
            assert_eq!(study["StudyDescription"], study["PatientWeight"]);
        }
    };
    futures::join!(writing, reading);
}

pub(crate) async fn of_an_update_and_a_deletion_at_once_the_set_ends_whole(rig: &Rig) {
    let (store, set) = rig.holding(slice(1)).await;
    let change = study(json!({"StudyDescription": "NEW"}));
    let request = DeleteImageSetRequest { datastore_id: store.clone(), image_set_id: set.clone() };
    let (update, delete) = futures::join!(
        rig.ask_update(rig.update_request(&store, &set, 1, &change)),
        rig.service.delete_image_set(request),
    );
    let found = rig.wait_active(&store, &set).await.properties;
    match (update, delete) {
        (Ok(_), Err(error)) => {
            assert_eq!(error.kind(), ErrorKind::Conflict);
            assert_eq!(found.version_id.as_str(), "2");
        }
        (Err(_), Ok(_)) => assert_eq!(found.image_set_state.as_str(), "DELETED"),
        (Ok(_), Ok(_)) => {
            let state = found.image_set_state.as_str();
            assert_eq!(state, "DELETED", "the deletion came after the update had ended");
        }
        (Err(update), Err(delete)) => panic!("neither was taken: {update}; {delete}"),
    }
}
