//! Data stores: states, listing, client tokens, deletion.

use futures::TryStreamExt;
use healthimaging::model::{
    CreateDatastoreRequest, DatastoreProperties, DatastoreStatus, DatastoreSummary,
    DeleteDatastoreRequest, DeleteImageSetRequest, GetDatastoreRequest, ListDatastoresRequest,
    LosslessStorageFormat, SearchCriteria, SearchImageSetsRequest,
};
use healthimaging::{DatastoreId, Error, ErrorKind, NextToken, Page, sweep};
use healthimaging_phantoms::Phantom;

use healthimaging_testing::rig::{Rig, refused};

fn named(name: &str) -> CreateDatastoreRequest {
    CreateDatastoreRequest {
        datastore_name: Some(name.parse().unwrap()),
        ..CreateDatastoreRequest::default()
    }
}

async fn properties(rig: &Rig, store: &DatastoreId) -> Result<DatastoreProperties, Error> {
    let datastore_id = store.clone();
    let found = rig.service.get_datastore(GetDatastoreRequest { datastore_id }).await?;
    Ok(found.datastore_properties)
}

async fn delete(rig: &Rig, store: &DatastoreId) -> Result<DatastoreStatus, Error> {
    let datastore_id = store.clone();
    let answer = rig.service.delete_datastore(DeleteDatastoreRequest { datastore_id }).await?;
    assert_eq!(&answer.datastore_id, store);
    Ok(answer.datastore_status)
}

async fn listed(rig: &Rig, request: &ListDatastoresRequest) -> Vec<DatastoreSummary> {
    let fetch = |next_token| {
        let request = ListDatastoresRequest { next_token, ..request.clone() };
        let most = request.max_results.unwrap_or(50) as usize;
        async move {
            let found = rig.service.list_datastores(request).await?;
            assert!(found.datastore_summaries.len() <= most);
            Ok(Page { items: found.datastore_summaries, next_token: found.next_token })
        }
    };
    sweep(1000, fetch).try_collect().await.unwrap()
}

fn ids(summaries: &[DatastoreSummary]) -> Vec<DatastoreId> {
    summaries.iter().map(|summary| summary.datastore_id.clone()).collect()
}

fn unknown() -> DatastoreId {
    "0123456789abcdef0123456789abcdef".parse().unwrap()
}

pub(crate) async fn a_new_data_store_is_creating_and_becomes_active(rig: &Rig) {
    let made = rig.service.create_datastore(named("chest")).await.unwrap();
    assert_eq!(made.datastore_status, DatastoreStatus::Creating);
    rig.wait_datastore(&made.datastore_id, DatastoreStatus::Active).await;
    let found = properties(rig, &made.datastore_id).await.unwrap();
    assert_eq!(found.datastore_id, made.datastore_id);
    assert_eq!(found.datastore_name, "chest");
    assert_eq!(found.kms_key_arn, None);
    assert_eq!(found.lambda_authorizer_arn, None);
    assert!(found.created_at.unwrap() <= found.updated_at.unwrap());
}

pub(crate) async fn a_data_store_has_an_arn_that_ends_in_its_id(rig: &Rig) {
    let store = rig.datastore().await;
    let arn = properties(rig, &store).await.unwrap().datastore_arn.unwrap();
    let parts: Vec<&str> = arn.as_str().split(':').collect();
    assert_eq!(parts[..3], ["arn", "aws", "medical-imaging"]);
    assert_eq!(parts[5], format!("datastore/{store}"));
}

pub(crate) async fn frames_are_stored_as_htj2k_unless_asked_otherwise(rig: &Rig) {
    let store = rig.datastore().await;
    let format = properties(rig, &store).await.unwrap().lossless_storage_format;
    assert_eq!(format, Some(LosslessStorageFormat::Htj2k));
}

pub(crate) async fn what_a_data_store_was_made_with_is_shown(rig: &Rig) {
    let request = CreateDatastoreRequest {
        kms_key_arn: Some("arn:aws:kms:us-east-1:000000000000:key/k".parse().unwrap()),
        lambda_authorizer_arn: Some(
            "arn:aws:lambda:us-east-1:000000000000:function:check".parse().unwrap(),
        ),
        lossless_storage_format: Some(LosslessStorageFormat::Jpeg2000Lossless),
        ..named("kept")
    };
    let store = rig.datastore_as(request.clone()).await;
    let found = properties(rig, &store).await.unwrap();
    assert_eq!(found.kms_key_arn, request.kms_key_arn);
    assert_eq!(found.lambda_authorizer_arn, request.lambda_authorizer_arn);
    assert_eq!(found.lossless_storage_format, request.lossless_storage_format);
}

pub(crate) async fn a_data_store_without_a_name_is_named_after_its_id(rig: &Rig) {
    let store = rig.datastore().await;
    let found = properties(rig, &store).await.unwrap();
    assert_eq!(found.datastore_name, store.as_str());
}

pub(crate) async fn two_data_stores_may_have_one_name(rig: &Rig) {
    let first = rig.datastore_as(named("same")).await;
    let second = rig.datastore_as(named("same")).await;
    assert_ne!(first, second);
}

pub(crate) async fn a_client_token_gives_the_first_data_store_again(rig: &Rig) {
    let request =
        CreateDatastoreRequest { client_token: Some("token-1".parse().unwrap()), ..named("once") };
    let first = rig.datastore_as(request.clone()).await;
    let again = rig.service.create_datastore(request).await.unwrap();
    assert_eq!(again.datastore_id, first);
    assert_eq!(listed(rig, &ListDatastoresRequest::default()).await.len(), 1);
}

pub(crate) async fn a_client_token_with_other_input_is_a_conflict(rig: &Rig) {
    let request =
        CreateDatastoreRequest { client_token: Some("token-1".parse().unwrap()), ..named("once") };
    rig.datastore_as(request.clone()).await;
    let other = CreateDatastoreRequest { client_token: request.client_token, ..named("twice") };
    refused(rig.service.create_datastore(other).await, ErrorKind::Conflict);
}

pub(crate) async fn data_stores_are_listed_newest_first(rig: &Rig) {
    let mut stores = Vec::new();
    for name in ["a", "b", "c"] {
        stores.push(rig.datastore_as(named(name)).await);
    }
    let found = listed(rig, &ListDatastoresRequest::default()).await;
    stores.reverse();
    assert_eq!(ids(&found), stores);
    assert_eq!(found[0].datastore_name, "c");
    assert_eq!(found[0].datastore_status, DatastoreStatus::Active);
    let whole = properties(rig, &stores[0]).await.unwrap();
    assert_eq!(found[0].datastore_arn, whole.datastore_arn);
    assert_eq!(found[0].created_at, whole.created_at);
}

pub(crate) async fn a_listing_by_status_shows_that_status_alone(rig: &Rig) {
    let kept = rig.datastore().await;
    let gone = rig.datastore().await;
    delete(rig, &gone).await.unwrap();
    rig.wait_datastore(&gone, DatastoreStatus::Deleted).await;
    for (status, store) in [(DatastoreStatus::Active, kept), (DatastoreStatus::Deleted, gone)] {
        let request = ListDatastoresRequest {
            datastore_status: Some(status),
            ..ListDatastoresRequest::default()
        };
        assert_eq!(ids(&listed(rig, &request).await), [store]);
    }
    let failed = ListDatastoresRequest {
        datastore_status: Some(DatastoreStatus::CreateFailed),
        ..ListDatastoresRequest::default()
    };
    assert_eq!(listed(rig, &failed).await, []);
}

pub(crate) async fn pages_of_data_stores_join_into_the_whole_listing(rig: &Rig) {
    for _ in 0..5 {
        rig.datastore().await;
    }
    let whole = listed(rig, &ListDatastoresRequest::default()).await;
    for size in [1, 2, 5] {
        let request =
            ListDatastoresRequest { max_results: Some(size), ..ListDatastoresRequest::default() };
        assert_eq!(listed(rig, &request).await, whole);
    }
}

pub(crate) async fn a_new_data_store_does_not_shift_the_next_page(rig: &Rig) {
    for _ in 0..4 {
        rig.datastore().await;
    }
    let whole = ids(&listed(rig, &ListDatastoresRequest::default()).await);
    let mut request =
        ListDatastoresRequest { max_results: Some(2), ..ListDatastoresRequest::default() };
    let first = rig.service.list_datastores(request.clone()).await.unwrap();
    rig.datastore().await;
    request.next_token = first.next_token;
    let second = rig.service.list_datastores(request).await.unwrap();
    assert_eq!(ids(&second.datastore_summaries), whole[2..]);
}

pub(crate) async fn a_page_of_data_stores_holds_1_to_50(rig: &Rig) {
    for size in [0, 51] {
        let request =
            ListDatastoresRequest { max_results: Some(size), ..ListDatastoresRequest::default() };
        refused(rig.service.list_datastores(request).await, ErrorKind::Validation);
    }
}

pub(crate) async fn a_page_token_that_was_not_given_out_is_refused(rig: &Rig) {
    for text in ["x", "AAAA", "eyJhIjoxfQ==", " "] {
        let request = ListDatastoresRequest {
            next_token: Some(NextToken::try_from(text).unwrap()),
            ..ListDatastoresRequest::default()
        };
        refused(rig.service.list_datastores(request).await, ErrorKind::Validation);
    }
}

pub(crate) async fn a_page_token_of_another_listing_is_refused(rig: &Rig) {
    for _ in 0..2 {
        rig.datastore().await;
    }
    let mut request =
        ListDatastoresRequest { max_results: Some(1), ..ListDatastoresRequest::default() };
    let first = rig.service.list_datastores(request.clone()).await.unwrap();
    request.next_token = Some(first.next_token.unwrap());
    request.datastore_status = Some(DatastoreStatus::Active);
    refused(rig.service.list_datastores(request).await, ErrorKind::Validation);
}

pub(crate) async fn an_unknown_data_store_is_not_found(rig: &Rig) {
    refused(properties(rig, &unknown()).await, ErrorKind::NotFound);
    refused(delete(rig, &unknown()).await, ErrorKind::NotFound);
    refused(search(rig, &unknown()).await, ErrorKind::NotFound);
}

async fn search(rig: &Rig, store: &DatastoreId) -> Result<usize, Error> {
    let request = SearchImageSetsRequest {
        datastore_id: store.clone(),
        search_criteria: SearchCriteria::default(),
        next_token: None,
        max_results: None,
    };
    let found = rig.service.search_image_sets(request).await?;
    Ok(found.image_sets_metadata_summaries.len())
}

pub(crate) async fn a_deleted_data_store_is_deleting_and_then_deleted(rig: &Rig) {
    let store = rig.datastore().await;
    assert_eq!(delete(rig, &store).await.unwrap(), DatastoreStatus::Deleting);
    rig.wait_datastore(&store, DatastoreStatus::Deleted).await;
    let found = listed(rig, &ListDatastoresRequest::default()).await;
    assert_eq!(found[0].datastore_status, DatastoreStatus::Deleted);
}

pub(crate) async fn a_data_store_with_image_sets_cannot_be_deleted(rig: &Rig) {
    let (store, set) = rig.holding(Phantom::ct().size(16, 16)).await;
    refused(delete(rig, &store).await, ErrorKind::Conflict);
    let request = DeleteImageSetRequest { datastore_id: store.clone(), image_set_id: set.clone() };
    rig.service.delete_image_set(request).await.unwrap();
    rig.wait_active(&store, &set).await;
    assert_eq!(delete(rig, &store).await.unwrap(), DatastoreStatus::Deleting);
    rig.wait_datastore(&store, DatastoreStatus::Deleted).await;
}

pub(crate) async fn a_deleted_data_store_takes_no_work(rig: &Rig) {
    let store = rig.datastore().await;
    delete(rig, &store).await.unwrap();
    rig.wait_datastore(&store, DatastoreStatus::Deleted).await;
    let folder = rig.new_folder();
    let import = rig.service.start_dicom_import_job(rig.import_request(&store, &folder)).await;
    refused(import, ErrorKind::Conflict);
    refused(search(rig, &store).await, ErrorKind::Conflict);
    refused(delete(rig, &store).await, ErrorKind::Conflict);
}

pub(crate) async fn data_stores_do_not_see_each_other(rig: &Rig) {
    let (store, set) = rig.holding(Phantom::ct().size(16, 16)).await;
    let other = rig.datastore().await;
    assert_eq!(search(rig, &other).await.unwrap(), 0);
    refused(rig.try_image_set(&other, &set, None).await, ErrorKind::NotFound);
    refused(rig.try_document(&other, &set, None).await, ErrorKind::NotFound);
    let instance = rig.only_instance(&store, &set).await;
    let frame = healthimaging_testing::rig::image_sets::frame_id(&instance, 0);
    refused(rig.try_frame(&other, &set, frame).await, ErrorKind::NotFound);
}
