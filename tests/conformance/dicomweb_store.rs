//! DICOMweb: storing instances.

use futures::StreamExt;
use futures::stream;
use healthimaging::model::{StoreInstancesRequest, StoreInstancesResponse};
use healthimaging::{Body, DatastoreId};
use healthimaging_phantoms::tags;
use serde_json::json;

use crate::dicomweb::{EXPLICIT, SERIES, STUDY, known, request, retrieve, uid};
use crate::picture::GREY;
use healthimaging_testing::rig::Rig;

async fn store_all(
    rig: &Rig,
    store: &DatastoreId,
    study: Option<&str>,
    files: Vec<Vec<u8>>,
) -> StoreInstancesResponse {
    let bodies: Vec<_> = files.into_iter().map(|file| Ok(Body::from(file))).collect();
    let request = StoreInstancesRequest {
        datastore_id: store.clone(),
        study_instance_uid: study.map(uid),
        instances: stream::iter(bodies).boxed(),
    };
    rig.web.store_instances(request).await.unwrap()
}

pub(crate) async fn stored_instances_are_there_at_once(rig: &Rig) {
    let store = rig.datastore().await;
    let files = (1..=2).map(|number| known(GREY.phantom(), number).build()).collect();
    let answer = store_all(rig, &store, None, files).await;
    assert_eq!(answer.failed, []);
    assert_eq!(answer.stored.len(), 2);
    for (position, stored) in answer.stored.iter().enumerate() {
        assert_eq!(stored.position, position);
        assert_eq!(stored.sop_class_uid, "1.2.840.10008.5.1.4.1.1.2");
        assert_eq!(stored.sop_instance_uid, format!("{SERIES}.{}", position + 1));
        assert_eq!(stored.study_instance_uid, STUDY);
        assert_eq!(stored.series_instance_uid, SERIES);
        assert!(stored.is_primary);
        assert_eq!(stored.warning_reason, None);
    }
    assert_eq!(rig.found(&store, json!({})).await, [answer.stored[0].image_set_id.clone()]);
    let found = retrieve(rig, request(&store, 2, Some(EXPLICIT))).await.unwrap();
    assert!(found.pixels() == GREY.all_bytes());
}

pub(crate) async fn each_stored_instance_has_its_own_outcome(rig: &Rig) {
    let store = rig.datastore().await;
    let files = vec![
        known(GREY.phantom(), 1).build(),
        b"not DICOM".to_vec(),
        known(GREY.phantom(), 2).without(tags::SERIES_INSTANCE_UID).build(),
        known(GREY.phantom(), 3).study_uid("2.25.99").build(),
    ];
    let answer = store_all(rig, &store, Some(STUDY), files).await;
    let positions: Vec<usize> = answer.stored.iter().map(|stored| stored.position).collect();
    assert_eq!(positions, [0]);
    let mut failed: Vec<_> = answer.failed.iter().map(|f| (f.position, f.failure_reason)).collect();
    failed.sort_unstable();
    assert_eq!(failed[..2].iter().map(|f| f.0).collect::<Vec<_>>(), [1, 2]);
    // PS3.18 Annex I.2.2: C000 and above, cannot understand.
    assert!((0xc000..=0xcfff).contains(&failed[0].1), "{:x}", failed[0].1);
    assert_eq!(failed[2], (3, 0xa900));
    let foreign = answer.failed.iter().find(|failed| failed.position == 3).unwrap();
    assert_eq!(foreign.sop_instance_uid.as_deref(), Some("2.25.21.1.3"));
    assert!(answer.failed.iter().all(|failed| !failed.message.is_empty()));
}

/// PS3.18 Table 10.5.3-1: a failed item references the instance.
pub(crate) async fn a_refused_instance_is_named_by_the_uids_that_it_has(rig: &Rig) {
    let store = rig.datastore().await;
    let whole = known(GREY.phantom(), 3).build();
    let files = vec![
        known(GREY.phantom(), 1).without(tags::STUDY_INSTANCE_UID).build(),
        known(GREY.phantom(), 2).study_uid("").build(),
        // Cut in the data set: File Meta Information has the UIDs too.
        whole[..600].to_vec(),
        b"not DICOM".to_vec(),
    ];
    let answer = store_all(rig, &store, None, files).await;
    assert_eq!(answer.stored, []);
    let sop = |number| Some(format!("{SERIES}.{number}"));
    let named = answer.failed.iter().map(|failed| failed.sop_instance_uid.clone());
    assert_eq!(named.collect::<Vec<_>>(), [sop(1), sop(2), sop(3), None]);
    let ct = Some("1.2.840.10008.5.1.4.1.1.2".to_owned());
    let classes = answer.failed.iter().map(|failed| failed.sop_class_uid.clone());
    assert_eq!(classes.collect::<Vec<_>>(), [ct.clone(), ct.clone(), ct, None]);
}
