//! Single calls that read: they answer with an error of the service, once, and never hang.

use std::sync::{Arc, Mutex};

use futures::FutureExt as _;
use futures::future::{BoxFuture, join_all};
use healthimaging::model::{
    GetImageSetMetadataRequest, GetImageSetRequest, ImageSetsMetadataSummary,
    ListDatastoresRequest, ListImageSetVersionsRequest, SearchCriteria, SearchDicomRequest,
    SearchImageSetsRequest, SearchLevel, SeriesMetadataRequest,
};
use healthimaging::{DatastoreId, DicomWeb, Error, ErrorKind, HealthImaging};
use healthimaging_aws::Aws;
use healthimaging_workflows::document;

use super::{PATIENCE, Scene};
use crate::line::Fault;

/// One call of each kind that reads.
fn reads(
    aws: &Arc<Aws>,
    datastore: &DatastoreId,
    set: &ImageSetsMetadataSummary,
) -> Vec<(&'static str, BoxFuture<'static, Result<(), Error>>)> {
    let (datastore_id, image_set_id) = (datastore.clone(), set.image_set_id.clone());
    let tags = set.dicom_tags.clone().unwrap();
    let study = tags.study_instance_uid.unwrap().parse().unwrap();
    let series = tags.series_instance_uid.unwrap().parse().unwrap();
    macro_rules! read {
        ($call:ident, $request:expr) => {{
            let (aws, request) = (Arc::clone(aws), $request);
            let call = async move { aws.$call(request).await.map(drop) };
            (stringify!($call), call.boxed())
        }};
    }
    let metadata = GetImageSetMetadataRequest {
        datastore_id: datastore_id.clone(),
        image_set_id: image_set_id.clone(),
        version_id: None,
    };
    let document = {
        let aws = Arc::clone(aws);
        async move { document::contents(&*aws, metadata).await.map(drop) }
    };
    vec![
        read!(list_datastores, ListDatastoresRequest::default()),
        read!(
            search_image_sets,
            SearchImageSetsRequest {
                datastore_id: datastore_id.clone(),
                search_criteria: SearchCriteria::default(),
                next_token: None,
                max_results: None,
            }
        ),
        read!(
            get_image_set,
            GetImageSetRequest {
                datastore_id: datastore_id.clone(),
                image_set_id: image_set_id.clone(),
                version_id: None,
            }
        ),
        read!(
            list_image_set_versions,
            ListImageSetVersionsRequest {
                datastore_id: datastore_id.clone(),
                image_set_id: image_set_id.clone(),
                next_token: None,
                max_results: None,
            }
        ),
        ("metadata document", document.boxed()),
        read!(
            series_metadata,
            SeriesMetadataRequest {
                datastore_id: datastore_id.clone(),
                study_instance_uid: study,
                series_instance_uid: series,
                image_set_id: None,
            }
        ),
        read!(search, SearchDicomRequest::all(datastore_id, SearchLevel::Studies)),
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_line_that_stays_bad_is_an_error_of_the_service_and_never_a_hang() {
    for fault in [
        Fault::CutBefore,
        Fault::CutMidBody,
        Fault::Half,
        Fault::OtherJson,
        Fault::NoJson,
        Fault::Status(500),
        Fault::Status(503),
    ] {
        let scene = Scene::new(Arc::new(move |_| fault)).await;
        let set = scene.sets().await[0].clone();
        let calls = reads(&scene.aws, &scene.datastore, &set).into_iter();
        let answers = calls.map(async |(name, call)| {
            let answer = tokio::time::timeout(PATIENCE, call).await;
            let Ok(Err(error)) = answer else {
                panic!("{fault:?}: {name} answers {answer:?}");
            };
            let throttled = fault == Fault::Status(503) && error.kind() == ErrorKind::Throttled;
            assert!(
                error.kind() == ErrorKind::Service || throttled,
                "{fault:?}: {name}: {error:?}"
            );
            assert!(!error.message().is_empty());
        });
        join_all(answers).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_throttled_call_is_sent_once_by_the_sdk() {
    let asked = Arc::new(Mutex::new(0));
    let counted = Arc::clone(&asked);
    let scene = Scene::new(Arc::new(move |_| {
        *counted.lock().unwrap() += 1;
        Fault::Throttle
    }))
    .await;
    let error = scene.aws.list_datastores(ListDatastoresRequest::default()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Throttled);
    assert_eq!(*asked.lock().unwrap(), 1, "the layer that paces the calls retries");
}
