//! Work of earlier releases that was not finished.

use healthimaging::HealthImaging;
use healthimaging::model::{
    DatastoreStatus, JobStatus, ListDatastoresRequest, ListDicomImportJobsRequest,
};
use healthimaging_local::LocalConfig;

use super::{Old, Store};

#[tokio::test(flavor = "multi_thread")]
async fn work_that_format_2_acknowledged_is_carried_out() {
    acknowledged_work_is_carried_out(&Old::of_format_2()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn work_that_format_3_acknowledged_is_carried_out() {
    acknowledged_work_is_carried_out(&Old::of_format_3()).await;
}

async fn acknowledged_work_is_carried_out(old: &Old) {
    let store = Store::open(LocalConfig::new(old.data())).await;
    loop {
        let listed = store.store.list_datastores(ListDatastoresRequest::default()).await.unwrap();
        let status = |name: &str| {
            let found = listed.datastore_summaries.iter().find(|one| one.datastore_name == name);
            found.map(|one| one.datastore_status)
        };
        let eight = store.of_study(8).await;
        let idle = eight.iter().all(|set| set.version != Some(1)) || eight.len() == 3;
        let updated = store.metadata(&eight[0], None).await;
        if status("coming") == Some(DatastoreStatus::Active)
            && status("going") == Some(DatastoreStatus::Deleted)
            && updated["Study"]["DICOM"]["StudyDescription"] == "ACKNOWLEDGED"
            && idle
            && store.of_study(9).await.len() == 1
        {
            break;
        }
        tokio::task::yield_now().await;
    }
    assert_eq!(store.of_study(8).await.len(), 3);
}

/// Import jobs of `main`: name and status, oldest first.
async fn imports(store: &Store) -> Vec<(String, JobStatus)> {
    let request = ListDicomImportJobsRequest {
        datastore_id: store.main.clone(),
        job_status: None,
        next_token: None,
        max_results: Some(50),
    };
    let listed = store.store.list_dicom_import_jobs(request).await.unwrap();
    let jobs = listed.job_summaries.into_iter().rev();
    jobs.map(|job| (job.job_name, job.job_status)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn imports_that_format_3_did_not_finish_are_finished() {
    let old = Old::of_format_3();
    let before = imports(&old.open().await).await;
    let ended = before.iter().take_while(|(_, status)| *status == JobStatus::Completed).count();
    // One of the command line that is not begun, and one that has stored the first of its image sets.
    let left = [("import", JobStatus::Submitted), ("half", JobStatus::InProgress)];
    let left = left.map(|(name, status)| (name.to_owned(), status));
    assert_eq!((ended > 15, &before[ended..]), (true, &left[..]));
    let done: u32 =
        old.catalog().query_row("SELECT count(*) FROM job_item", [], |row| row.get(0)).unwrap();
    assert!(done > 0, "the second has outcomes of files");

    let store = Store::open(LocalConfig::new(old.data())).await;
    let completed = before.iter().map(|(name, _)| (name.clone(), JobStatus::Completed));
    let completed: Vec<_> = completed.collect();
    while imports(&store).await != completed {
        tokio::task::yield_now().await;
    }
    // What was stored before was not stored again.
    for (study, instances) in [(20, 2), (21, 1), (22, 1)] {
        let sets = store.of_study(study).await;
        assert_eq!((sets.len(), sets[0].version), (1, Some(1)), "{study}");
        assert_eq!(store.frames(&sets[0]).await, instances);
    }
    let output = old.0.path().join("output");
    let half = |entry: std::fs::DirEntry| {
        let failed = entry.path().join("FAILURE/failure.ndjson");
        std::fs::read_to_string(failed).is_ok_and(|text| text.contains("ab/a/notes.txt"))
    };
    assert!(std::fs::read_dir(output).unwrap().any(|entry| half(entry.unwrap())));
}
