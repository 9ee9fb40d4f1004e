//! Tags.

use std::collections::BTreeMap;

use healthimaging::model::{
    DeleteImageSetRequest, ListTagsForResourceRequest, TagResourceRequest, UntagResourceRequest,
};
use healthimaging::{ErrorKind, HealthImaging, ResourceArn, TagKey, TagValue};
use healthimaging_phantoms::Phantom;

use crate::fixture::Fixture;

fn tags<K: AsRef<str>>(pairs: &[(K, &str)]) -> BTreeMap<TagKey, TagValue> {
    pairs
        .iter()
        .map(|(key, value)| (key.as_ref().parse().unwrap(), value.parse().unwrap()))
        .collect()
}

async fn listed(fixture: &Fixture, arn: &ResourceArn) -> BTreeMap<TagKey, TagValue> {
    let request = ListTagsForResourceRequest { resource_arn: arn.clone() };
    fixture.store.list_tags_for_resource(request).await.unwrap().tags
}

#[tokio::test(flavor = "multi_thread")]
async fn tags_are_set_overwritten_and_removed() {
    let fixture = Fixture::new().await;
    let set = fixture.import_one_set(&[Phantom::mr().size(16, 16).build()]).await;
    let arn = fixture.get(&set).await.unwrap().image_set_arn.unwrap();
    let tag = |pairs: &[(&str, &str)]| {
        let request = TagResourceRequest { resource_arn: arn.clone(), tags: tags(pairs) };
        fixture.store.tag_resource(request)
    };
    tag(&[("team", "blue"), ("year", "2026")]).await.unwrap();
    tag(&[("team", "red")]).await.unwrap();
    assert_eq!(listed(&fixture, &arn).await, tags(&[("team", "red"), ("year", "2026")]));
    let request = UntagResourceRequest {
        resource_arn: arn.clone(),
        tag_keys: vec!["team".parse().unwrap(), "absent".parse().unwrap()],
    };
    fixture.store.untag_resource(request).await.unwrap();
    assert_eq!(listed(&fixture, &arn).await, tags(&[("year", "2026")]));
    let delete = DeleteImageSetRequest {
        datastore_id: fixture.datastore.clone(),
        image_set_id: set.clone(),
    };
    fixture.store.delete_image_set(delete).await.unwrap();
    fixture.settled(&set).await;
    let request = ListTagsForResourceRequest { resource_arn: arn };
    let gone = fixture.store.list_tags_for_resource(request).await.unwrap_err();
    assert_eq!(gone.kind(), ErrorKind::NotFound);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_fifty_first_tag_is_refused_and_nothing_of_it_stays() {
    let fixture = Fixture::new().await;
    let arn =
        format!("arn:aws:medical-imaging:us-east-1:000000000000:datastore/{}", fixture.datastore);
    let arn: ResourceArn = arn.parse().unwrap();
    let many: Vec<(String, &str)> = (0..50).map(|n| (format!("k{n}"), "v")).collect();
    let fifty = TagResourceRequest { resource_arn: arn.clone(), tags: tags(&many) };
    fixture.store.tag_resource(fifty).await.unwrap();
    let more = TagResourceRequest { resource_arn: arn.clone(), tags: tags(&[("more", "v")]) };
    let refused = fixture.store.tag_resource(more).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Validation);
    assert_eq!(listed(&fixture, &arn).await.len(), 50);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_arn_of_another_account_is_not_found() {
    let fixture = Fixture::new().await;
    let arn =
        format!("arn:aws:medical-imaging:us-east-1:999999999999:datastore/{}", fixture.datastore);
    let request = ListTagsForResourceRequest { resource_arn: arn.parse().unwrap() };
    let error = fixture.store.list_tags_for_resource(request).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
}
