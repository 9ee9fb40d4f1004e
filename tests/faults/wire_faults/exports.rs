//! Exports: a file is complete, or it is reported as failed and absent.

use std::path::PathBuf;
use std::sync::Arc;

use healthimaging::DicomWeb;
use healthimaging::model::{RetrieveInstanceRequest, TransferSyntaxChoice};
use healthimaging_objects::file_uri;
use healthimaging_workflows::export::{self, Export};
use healthimaging_workflows::find::Criteria;
use healthimaging_workflows::{ItemResult, Work};

use super::{LATE, SETS, Scene, all_are, in_turn};
use crate::line::Fault;

fn export(scene: &Scene, output: &str) -> (Work, PathBuf) {
    let folder = scene.folder.path().join(output);
    std::fs::create_dir(&folder).unwrap();
    let work = Work::Export(Export {
        datastore_id: scene.datastore.clone(),
        output_uri: file_uri(&folder).unwrap(),
        criteria: Criteria::default(),
        sop_instance_uid: None,
        include_non_primary: false,
        overwrite: false,
        deidentify: None,
        linkage: None,
        transfer_syntax_uid: None,
        data_access_role_arn: None,
        allowed_paths: Vec::new(),
    });
    assert_eq!(export::TOOL, "start_dicom_export_job");
    (work, folder)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_export_is_whole_over_a_bad_line() {
    let scene = Scene::new(in_turn(&[
        ("getImageSetMetadata", &[Fault::None, Fault::Status(500)]),
        (
            "/instances/",
            &[
                Fault::CutMidBody,
                Fault::Status(503),
                Fault::CutBefore,
                LATE,
                Fault::Throttle,
                Fault::CutAfter,
                Fault::Status(500),
                Fault::CutMidBody,
            ],
        ),
    ]))
    .await;
    let (work, folder) = export(&scene, "bad");
    let (_, outcomes) = scene.run(work).await;
    all_are(&outcomes, 2 * SETS, ItemResult::Written);
    for outcome in outcomes {
        let written = std::fs::read(folder.join(&outcome.item)).unwrap();
        let mut uids = outcome.item.trim_end_matches(".dcm").split('/');
        let mut uid = || uids.next().unwrap().parse().unwrap();
        let request = RetrieveInstanceRequest {
            datastore_id: scene.datastore.clone(),
            study_instance_uid: uid(),
            series_instance_uid: uid(),
            sop_instance_uid: uid(),
            image_set_id: None,
            transfer_syntax: TransferSyntaxChoice::Stored,
        };
        let stored = scene.store.retrieve_instance(request).await.unwrap();
        let stored = stored.instance.collect(1 << 20).await.unwrap();
        assert!(stored == written, "{}", outcome.item);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_never_comes_whole_is_told_and_the_rest_is_written() {
    let scene = Scene::new(Arc::new(|path| {
        // The last digit of a UID picks some of them.
        if path.contains("/instances/") && path.ends_with('1') {
            Fault::CutMidBody
        } else {
            Fault::None
        }
    }))
    .await;
    let (work, folder) = export(&scene, "some");
    let (job, outcomes) = scene.run(work).await;
    assert_eq!(outcomes.len(), 2 * SETS);
    let mut failed = 0;
    for outcome in outcomes {
        let exists = folder.join(&outcome.item).exists();
        if outcome.item.ends_with("1.dcm") {
            failed += 1;
            assert_eq!(outcome.result, ItemResult::Failed, "{outcome:?}");
            assert_eq!(outcome.error.unwrap().kind.as_str(), "service_error");
            assert!(!exists, "half a file is left");
        } else {
            assert_eq!(outcome.result, ItemResult::Written, "{outcome:?}");
            assert!(exists);
        }
    }
    assert_eq!(job.items_failed, failed);
    assert!(failed > 0, "the choice of UIDs chose none");
}
