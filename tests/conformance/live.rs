//! The life of an image set, from storing to deleting, in a data store that may hold other things: the one case
//! that also runs on a live account.

use futures::StreamExt;
use futures::stream;
use healthimaging::model::{
    CopyImageSetInformation, CopyImageSetRequest, CopySource, DeleteImageSetRequest,
    GetImageFrameRequest, GetImageSetMetadataRequest, GetImageSetRequest, ImageSetProperties,
    ImageSetState, ImageSetWorkflowStatus, ListImageSetVersionsRequest, MetadataUpdates,
    RetrieveInstanceRequest, SearchCriteria, SearchDicomRequest, SearchImageSetsRequest,
    SearchLevel, StoreInstancesRequest, TagResourceRequest, TransferSyntaxChoice,
    UpdateImageSetMetadataRequest,
};
use healthimaging::{Body, DatastoreId, ErrorKind, ImageSetId, Uid};
use healthimaging_phantoms::Phantom;
use healthimaging_pixels::codestream_of;
use serde_json::{Value, json};

use healthimaging_testing::rig::{Backend, Rig, until};

/// Unique UIDs.
struct Names {
    study: Uid,
    series: Uid,
    instance: Uid,
}

impl Names {
    fn new() -> Self {
        let now = std::time::SystemTime::now();
        let since = now.duration_since(std::time::UNIX_EPOCH).unwrap();
        let root = format!("2.25.{}{}", since.as_nanos(), std::process::id());
        Self {
            study: root.parse().unwrap(),
            series: format!("{root}.1").parse().unwrap(),
            instance: format!("{root}.1.1").parse().unwrap(),
        }
    }
}

/// One life, with the few steps that it consists of.
struct Life<'a> {
    back_end: &'a Backend,
    store: &'a DatastoreId,
}

impl Life<'_> {
    async fn properties(&self, set: &ImageSetId) -> Option<ImageSetProperties> {
        let request = GetImageSetRequest {
            datastore_id: self.store.clone(),
            image_set_id: set.clone(),
            version_id: None,
        };
        match self.back_end.service.get_image_set(request).await {
            Ok(found) => Some(found.properties),
            Err(error) if error.kind() == ErrorKind::NotFound => None,
            Err(error) => panic!("{error:?}"),
        }
    }

    async fn settled(&self, set: &ImageSetId) -> Option<ImageSetProperties> {
        until(async || {
            let found = self.properties(set).await;
            let is_locked =
                |found: &ImageSetProperties| found.image_set_state == ImageSetState::Locked;
            (!found.as_ref().is_some_and(is_locked)).then_some(found)
        })
        .await
    }

    async fn document(&self, set: &ImageSetId) -> Value {
        let request = GetImageSetMetadataRequest {
            datastore_id: self.store.clone(),
            image_set_id: set.clone(),
            version_id: None,
        };
        let found = self.back_end.service.get_image_set_metadata(request).await;
        let packed = found.unwrap().image_set_metadata.collect(1 << 20).await;
        let packed = packed.unwrap();
        let unpacked = flate2::read::GzDecoder::new(&packed[..]);
        serde_json::from_reader(unpacked).unwrap()
    }

    /// Image sets of a study.
    async fn found(&self, study: &Uid) -> Vec<ImageSetId> {
        let criteria = json!({ "filters": [
            { "values": [{ "DICOMStudyInstanceUID": study.as_str() }], "operator": "EQUAL" }] });
        let criteria: SearchCriteria = serde_json::from_value(criteria).unwrap();
        let request = SearchImageSetsRequest {
            datastore_id: self.store.clone(),
            search_criteria: criteria,
            next_token: None,
            max_results: None,
        };
        let found = self.back_end.service.search_image_sets(request).await;
        let found = found.unwrap().image_sets_metadata_summaries;
        found.into_iter().map(|set| set.image_set_id).collect()
    }

    async fn delete(&self, set: &ImageSetId) {
        let request =
            DeleteImageSetRequest { datastore_id: self.store.clone(), image_set_id: set.clone() };
        self.back_end.service.delete_image_set(request).await.unwrap();
        let gone = self.settled(set).await;
        assert!(gone.is_none_or(|set| set.image_set_state == ImageSetState::Deleted));
    }
}

/// Stored, found, read, corrected, copied, deleted.
pub(crate) async fn life_of_an_image_set(back_end: &Backend, store: &DatastoreId) {
    let life = Life { back_end, store };
    let names = Names::new();
    let file = Phantom::ct()
        .size(32, 32)
        .study_uid(names.study.as_str())
        .series_uid(names.series.as_str())
        .sop_uid(names.instance.as_str())
        .build();
    let request = StoreInstancesRequest {
        datastore_id: store.clone(),
        study_instance_uid: None,
        instances: stream::iter([Ok(Body::from(file))]).boxed(),
    };
    let stored = back_end.web.store_instances(request).await.unwrap();
    assert_eq!(stored.failed.len(), 0, "{stored:?}");
    let set = until(async || life.found(&names.study).await.into_iter().next()).await;
    assert_eq!(life.settled(&set).await.unwrap().is_primary, Some(true));

    read(&life, &names, &set).await;
    correct(&life, &set).await;
    let copy = copy(&life, &set).await;
    life.delete(&copy).await;
    life.delete(&set).await;
    until(async || life.found(&names.study).await.is_empty().then_some(())).await;
}

async fn read(life: &Life<'_>, names: &Names, set: &ImageSetId) {
    let document = life.document(set).await;
    assert_eq!(document["SchemaVersion"], "1.1");
    let instance =
        &document["Study"]["Series"][names.series.as_str()]["Instances"][names.instance.as_str()];
    let frame = instance["ImageFrames"][0]["ID"].as_str().unwrap();
    let request = GetImageFrameRequest {
        datastore_id: life.store.clone(),
        image_set_id: set.clone(),
        image_frame_id: frame.parse().unwrap(),
    };
    let frame = life.back_end.service.get_image_frame(request).await.unwrap();
    let frame = frame.image_frame.collect(1 << 20).await.unwrap();
    // SOC, then SIZ: ISO/IEC 15444-1 §A.4.
    assert_eq!(codestream_of(&frame).unwrap()[..4], [0xff, 0x4f, 0xff, 0x51]);

    let request = RetrieveInstanceRequest {
        datastore_id: life.store.clone(),
        study_instance_uid: names.study.clone(),
        series_instance_uid: names.series.clone(),
        sop_instance_uid: names.instance.clone(),
        image_set_id: None,
        transfer_syntax: TransferSyntaxChoice::Stored,
    };
    let file = life.back_end.web.retrieve_instance(request).await.unwrap();
    let file = file.instance.collect(1 << 20).await.unwrap();
    assert_eq!(file[128..132], *b"DICM");
    let request = SearchDicomRequest {
        filters: vec![("StudyInstanceUID".to_owned(), names.study.to_string())],
        ..SearchDicomRequest::all(life.store.clone(), SearchLevel::Studies)
    };
    let found = life.back_end.web.search(request).await.unwrap();
    assert_eq!(found[0]["0020000D"]["Value"], json!([names.study.as_str()]));
}

async fn correct(life: &Life<'_>, set: &ImageSetId) {
    let document =
        json!({ "SchemaVersion": "1.1", "Study": { "DICOM": { "StudyDescription": "NEW" } } });
    let update = |version: u32| UpdateImageSetMetadataRequest {
        datastore_id: life.store.clone(),
        image_set_id: set.clone(),
        latest_version_id: version.into(),
        force: false,
        include_study_image_sets: false,
        updates: MetadataUpdates::DicomUpdates {
            removable_attributes: None,
            updatable_attributes: Some(document.to_string().into()),
        },
    };
    let service = &life.back_end.service;
    service.update_image_set_metadata(update(1)).await.unwrap();
    let made = life.settled(set).await.unwrap();
    let done = Some(ImageSetWorkflowStatus::Updated);
    assert_eq!(made.image_set_workflow_status, done, "{made:?}");
    assert_eq!(made.version_id.number(), 2);
    let document = life.document(set).await;
    assert_eq!(document["Study"]["DICOM"]["StudyDescription"], "NEW");
    let stale = service.update_image_set_metadata(update(1)).await;
    assert_eq!(stale.unwrap_err().kind(), ErrorKind::Conflict);
    let request = ListImageSetVersionsRequest {
        datastore_id: life.store.clone(),
        image_set_id: set.clone(),
        next_token: None,
        max_results: None,
    };
    let versions = service.list_image_set_versions(request).await.unwrap();
    let versions = versions.image_set_properties_list.into_iter();
    let versions: Vec<u64> = versions.map(|one| one.version_id.number()).collect();
    assert_eq!(versions, [2, 1]);
}

async fn copy(life: &Life<'_>, set: &ImageSetId) -> ImageSetId {
    let request = CopyImageSetRequest {
        datastore_id: life.store.clone(),
        source_image_set_id: set.clone(),
        copy_image_set_information: CopyImageSetInformation {
            source_image_set: CopySource { latest_version_id: 2.into(), dicom_copies: None },
            destination_image_set: None,
        },
        force: false,
        promote_to_primary: false,
    };
    let service = &life.back_end.service;
    let copied = service.copy_image_set(request).await.unwrap();
    let copied = copied.destination_image_set_properties;
    let made = life.settled(&copied.image_set_id).await.unwrap();
    let done = Some(ImageSetWorkflowStatus::Copied);
    assert_eq!(made.image_set_workflow_status, done, "{made:?}");
    assert_ne!(made.is_primary, Some(true));
    life.settled(set).await;
    if let Some(arn) = copied.image_set_arn {
        let request = TagResourceRequest {
            resource_arn: arn,
            tags: [("kind".parse().unwrap(), "copy".parse().unwrap())].into(),
        };
        service.tag_resource(request).await.unwrap();
    }
    copied.image_set_id
}

/// The same on a fresh store, so that the case is known to be right.
pub(crate) async fn an_image_set_lives_from_storing_to_deleting(rig: &Rig) {
    let store = rig.datastore().await;
    let back_end = Backend {
        service: std::sync::Arc::clone(&rig.service),
        web: std::sync::Arc::clone(&rig.web),
    };
    life_of_an_image_set(&back_end, &store).await;
}
