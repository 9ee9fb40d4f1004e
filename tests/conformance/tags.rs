//! Tags of data stores and image sets.

use std::collections::BTreeMap;

use healthimaging::model::{
    CreateDatastoreRequest, DeleteImageSetRequest, GetDatastoreRequest, ListTagsForResourceRequest,
    TagResourceRequest, UntagResourceRequest,
};
use healthimaging::{DatastoreId, Error, ErrorKind, ResourceArn, TagKey, TagValue};
use healthimaging_phantoms::Phantom;

use healthimaging_testing::rig::{Rig, refused};

type Tags = BTreeMap<TagKey, TagValue>;

fn tags(pairs: &[(&str, &str)]) -> Tags {
    pairs.iter().map(|(key, value)| (key.parse().unwrap(), value.parse().unwrap())).collect()
}

fn keys(keys: &[&str]) -> Vec<TagKey> {
    keys.iter().map(|key| key.parse().unwrap()).collect()
}

async fn arn_of(rig: &Rig, store: &DatastoreId) -> ResourceArn {
    let datastore_id = store.clone();
    let found = rig.service.get_datastore(GetDatastoreRequest { datastore_id }).await.unwrap();
    found.datastore_properties.datastore_arn.unwrap()
}

async fn listed(rig: &Rig, arn: &ResourceArn) -> Result<Tags, Error> {
    let resource_arn = arn.clone();
    let request = ListTagsForResourceRequest { resource_arn };
    Ok(rig.service.list_tags_for_resource(request).await?.tags)
}

async fn tag(rig: &Rig, arn: &ResourceArn, tags: Tags) -> Result<(), Error> {
    let resource_arn = arn.clone();
    rig.service.tag_resource(TagResourceRequest { resource_arn, tags }).await.map(drop)
}

async fn untag(rig: &Rig, arn: &ResourceArn, tag_keys: Vec<TagKey>) -> Result<(), Error> {
    let resource_arn = arn.clone();
    rig.service.untag_resource(UntagResourceRequest { resource_arn, tag_keys }).await.map(drop)
}

pub(crate) async fn tags_given_at_creation_are_listed(rig: &Rig) {
    let given = tags(&[("Team", "imaging"), ("Stage", "")]);
    let request =
        CreateDatastoreRequest { tags: given.clone(), ..CreateDatastoreRequest::default() };
    let store = rig.datastore_as(request).await;
    assert_eq!(listed(rig, &arn_of(rig, &store).await).await.unwrap(), given);
}

pub(crate) async fn a_tag_set_again_is_overwritten(rig: &Rig) {
    let store = rig.datastore().await;
    let arn = arn_of(rig, &store).await;
    tag(rig, &arn, tags(&[("a", "1"), ("b", "2")])).await.unwrap();
    tag(rig, &arn, tags(&[("b", "3"), ("c", "4")])).await.unwrap();
    assert_eq!(listed(rig, &arn).await.unwrap(), tags(&[("a", "1"), ("b", "3"), ("c", "4")]));
}

pub(crate) async fn tags_are_removed_by_key_and_absent_keys_are_fine(rig: &Rig) {
    let store = rig.datastore().await;
    let arn = arn_of(rig, &store).await;
    tag(rig, &arn, tags(&[("a", "1"), ("b", "2")])).await.unwrap();
    untag(rig, &arn, keys(&["a", "nothing"])).await.unwrap();
    assert_eq!(listed(rig, &arn).await.unwrap(), tags(&[("b", "2")]));
}

pub(crate) async fn an_image_set_has_tags_of_its_own(rig: &Rig) {
    let (store, set) = rig.holding(Phantom::ct().size(16, 16)).await;
    let arn = rig.image_set(&store, &set).await.image_set_arn.unwrap();
    assert!(arn.as_str().ends_with(&format!("datastore/{store}/imageset/{set}")));
    tag(rig, &arn, tags(&[("Reviewed", "yes")])).await.unwrap();
    assert_eq!(listed(rig, &arn).await.unwrap(), tags(&[("Reviewed", "yes")]));
    assert_eq!(listed(rig, &arn_of(rig, &store).await).await.unwrap(), Tags::new());
}

pub(crate) async fn a_resource_has_at_most_50_tags(rig: &Rig) {
    let store = rig.datastore().await;
    let arn = arn_of(rig, &store).await;
    let name = |n: u32| {
        let letters = [n / 26, n % 26].map(|l| char::from(b'a' + u8::try_from(l).unwrap()));
        letters.iter().collect::<String>()
    };
    let fifty: Tags = (0..50).map(|n| (name(n).parse().unwrap(), "x".parse().unwrap())).collect();
    tag(rig, &arn, fifty.clone()).await.unwrap();
    refused(tag(rig, &arn, tags(&[("one-too-many", "x")])).await, ErrorKind::Validation);
    tag(rig, &arn, tags(&[("aa", "overwritten")])).await.unwrap();
    assert_eq!(listed(rig, &arn).await.unwrap().len(), 50);
}

pub(crate) async fn an_unknown_resource_has_no_tags(rig: &Rig) {
    let store = rig.datastore().await;
    let arn = arn_of(rig, &store).await;
    let (_, known) = arn.as_str().rsplit_once('/').unwrap();
    let other = "0123456789abcdef0123456789abcdef";
    let unknown: ResourceArn = arn.as_str().replace(known, other).parse().unwrap();
    let set: ResourceArn = format!("{arn}/imageset/{other}").parse().unwrap();
    let abroad: ResourceArn =
        format!("arn:aws:medical-imaging:mars-1:999999999999:datastore/{known}").parse().unwrap();
    for arn in [unknown, set, abroad] {
        refused(listed(rig, &arn).await, ErrorKind::NotFound);
        refused(tag(rig, &arn, tags(&[("a", "b")])).await, ErrorKind::NotFound);
        refused(untag(rig, &arn, keys(&["a"])).await, ErrorKind::NotFound);
    }
}

pub(crate) async fn at_most_200_keys_are_removed_at_once(rig: &Rig) {
    let store = rig.datastore().await;
    let arn = arn_of(rig, &store).await;
    untag(rig, &arn, vec!["a".parse().unwrap(); 200]).await.unwrap();
    refused(untag(rig, &arn, vec!["a".parse().unwrap(); 201]).await, ErrorKind::Validation);
}

pub(crate) async fn tags_go_with_their_image_set(rig: &Rig) {
    let (store, set) = rig.holding(Phantom::ct().size(16, 16)).await;
    let arn = rig.image_set(&store, &set).await.image_set_arn.unwrap();
    tag(rig, &arn, tags(&[("Reviewed", "yes")])).await.unwrap();
    let request = DeleteImageSetRequest { datastore_id: store.clone(), image_set_id: set.clone() };
    rig.service.delete_image_set(request).await.unwrap();
    rig.wait_active(&store, &set).await;
    if let Ok(left) = listed(rig, &arn).await {
        assert_eq!(left, Tags::new());
    }
}
