//! Data stores: life, tokens, pages.

use std::collections::BTreeMap;
use std::time::Duration;

use healthimaging::model::{
    CreateDatastoreRequest, DatastoreStatus, DeleteDatastoreRequest, GetDatastoreRequest,
    ListDatastoresRequest, ListTagsForResourceRequest, LosslessStorageFormat,
};
use healthimaging::{DatastoreId, ErrorKind, HealthImaging};
use healthimaging_phantoms::Phantom;

use crate::fixture::{Fixture, wait_for_datastore};

fn named(name: &str) -> CreateDatastoreRequest {
    CreateDatastoreRequest {
        datastore_name: Some(name.try_into().unwrap()),
        ..CreateDatastoreRequest::default()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_data_store_is_creating_then_active() {
    let fixture = Fixture::new().await;
    let request = CreateDatastoreRequest {
        lossless_storage_format: Some(LosslessStorageFormat::Jpeg2000Lossless),
        tags: BTreeMap::from([("team".try_into().unwrap(), "blue".try_into().unwrap())]),
        ..named("archive")
    };
    let created = fixture.store.create_datastore(request).await.unwrap();
    assert_eq!(created.datastore_status, DatastoreStatus::Creating);
    let id = created.datastore_id;
    wait_for_datastore(&fixture.store, &id, DatastoreStatus::Active).await;
    let request = GetDatastoreRequest { datastore_id: id.clone() };
    let found = fixture.store.get_datastore(request).await.unwrap().datastore_properties;
    assert_eq!(found.datastore_name, "archive");
    assert_eq!(found.lossless_storage_format, Some(LosslessStorageFormat::Jpeg2000Lossless));
    let arn = found.datastore_arn.unwrap();
    let expected = format!("arn:aws:medical-imaging:us-east-1:000000000000:datastore/{id}");
    assert_eq!(arn.as_str(), expected);
    let tags = ListTagsForResourceRequest { resource_arn: arn };
    let tags = fixture.store.list_tags_for_resource(tags).await.unwrap().tags;
    assert_eq!(serde_json::to_value(tags).unwrap(), serde_json::json!({"team": "blue"}));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_data_store_without_a_name_is_named_by_its_id() {
    let fixture = Fixture::new().await;
    let request = GetDatastoreRequest { datastore_id: fixture.datastore.clone() };
    let found = fixture.store.get_datastore(request).await.unwrap().datastore_properties;
    assert_eq!(found.datastore_name, fixture.datastore.as_str());
    assert_eq!(found.lossless_storage_format, Some(LosslessStorageFormat::Htj2k));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_token_answers_with_the_first_result_for_a_day() {
    let fixture = Fixture::new().await;
    let with_token = |name| CreateDatastoreRequest {
        client_token: Some("once".try_into().unwrap()),
        ..named(name)
    };
    let create = |name| fixture.store.create_datastore(with_token(name));
    let first = create("one").await.unwrap();
    assert_eq!(create("one").await.unwrap(), first);
    assert_eq!(create("two").await.unwrap_err().kind(), ErrorKind::Conflict);
    fixture.pass(Duration::from_hours(25));
    assert_ne!(create("two").await.unwrap(), first);
}

#[tokio::test(flavor = "multi_thread")]
async fn listing_pages_newest_first_and_knows_its_tokens() {
    let fixture = Fixture::new().await;
    let mut made = vec![fixture.datastore.clone()];
    for name in ["a", "b", "c", "d"] {
        fixture.pass(Duration::from_millis(1));
        made.push(fixture.store.create_datastore(named(name)).await.unwrap().datastore_id);
    }
    made.reverse();
    let mut request =
        ListDatastoresRequest { max_results: Some(2), ..ListDatastoresRequest::default() };
    let mut listed: Vec<DatastoreId> = Vec::new();
    let mut sizes = Vec::new();
    loop {
        let page = fixture.store.list_datastores(request.clone()).await.unwrap();
        sizes.push(page.datastore_summaries.len());
        listed.extend(page.datastore_summaries.into_iter().map(|store| store.datastore_id));
        let Some(token) = page.next_token else { break };
        request.next_token = Some(token);
    }
    assert_eq!(listed, made);
    assert_eq!(sizes, [2, 2, 1]);
    request.datastore_status = Some(DatastoreStatus::Active);
    let other_query = fixture.store.list_datastores(request.clone()).await.unwrap_err();
    assert_eq!(other_query.kind(), ErrorKind::Validation);
    request.next_token = Some("nonsense".try_into().unwrap());
    let nonsense = fixture.store.list_datastores(request).await.unwrap_err();
    assert_eq!(nonsense.kind(), ErrorKind::Validation);
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_have_one_to_fifty_items() {
    let fixture = Fixture::new().await;
    for (size, allowed) in [(0, false), (1, true), (50, true), (51, false)] {
        let request =
            ListDatastoresRequest { max_results: Some(size), ..ListDatastoresRequest::default() };
        let answer = fixture.store.list_datastores(request).await;
        assert_eq!(answer.is_ok(), allowed, "{size}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn only_an_empty_data_store_can_be_deleted() {
    let fixture = Fixture::new().await;
    let request = DeleteDatastoreRequest { datastore_id: fixture.datastore.clone() };
    let set = fixture.import_one_set(&[Phantom::mr().size(16, 16).build()]).await;
    let refused = fixture.store.delete_datastore(request.clone()).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Conflict);
    let delete = healthimaging::model::DeleteImageSetRequest {
        datastore_id: fixture.datastore.clone(),
        image_set_id: set.clone(),
    };
    fixture.store.delete_image_set(delete).await.unwrap();
    fixture.settled(&set).await;
    let deleted = fixture.store.delete_datastore(request.clone()).await.unwrap();
    assert_eq!(deleted.datastore_status, DatastoreStatus::Deleting);
    wait_for_datastore(&fixture.store, &fixture.datastore, DatastoreStatus::Deleted).await;
    let again = fixture.store.delete_datastore(request).await.unwrap_err();
    assert_eq!(again.kind(), ErrorKind::Conflict);
    assert_eq!(fixture.get(&set).await.unwrap_err().kind(), ErrorKind::Conflict);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_data_store_is_not_found() {
    let fixture = Fixture::new().await;
    let request = GetDatastoreRequest {
        datastore_id: "0123456789abcdef0123456789abcdef".try_into().unwrap(),
    };
    let error = fixture.store.get_datastore(request).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
}
