//! Bytes of the catalog: documents, what searches see, and the pages of the file.

use healthimaging::model::{
    DicomTags, InstanceMetadataRequest, SearchCriteria, SearchImageSetsRequest,
};
use healthimaging::{DatastoreId, DicomWeb, Error, HealthImaging, ImageSetId};
use healthimaging_local::LocalStore;

use super::{One, assert_reports_damage, document, instance, uid};
use crate::chance::Chance;
use crate::deeds::{copy_folder, idle, new_folder};
use crate::source::study_uid;

#[tokio::test(flavor = "multi_thread")]
async fn every_byte_of_a_document_is_guarded() {
    let one = One::new().await;
    let catalog = one.catalog();
    let sound = one.metadata().await.unwrap();
    let get = |column: &str| -> Vec<u8> {
        let sql = format!("SELECT {column} FROM image_set_version");
        catalog.query_row(&sql, [], |row| row.get(0)).unwrap()
    };
    for column in ["document", "details"] {
        let stored = get(column);
        let sql = format!("UPDATE image_set_version SET {column} = ?1");
        for at in 0..stored.len() {
            let mut bytes = stored.clone();
            bytes[at] ^= 1 << (at % 8);
            catalog.execute(&sql, [&bytes]).unwrap();
            assert_reports_damage(&one.metadata().await.unwrap_err());
            let request = InstanceMetadataRequest {
                datastore_id: one.datastore.clone(),
                study_instance_uid: uid(&study_uid(1)),
                series_instance_uid: uid(&instance(1).series_uid()),
                sop_instance_uid: uid(&instance(1).sop_uid()),
                image_set_id: None,
            };
            assert_reports_damage(&one.store.instance_metadata(request).await.unwrap_err());
            if at % 50 == 0 {
                assert_ne!(one.damages().await, 0, "{column}, byte {at}");
            }
        }
        catalog.execute(&sql, [&stored]).unwrap();
    }
    // As a store of format 1 has it: the checksum within gzip guards what is in it.
    let checksums = "UPDATE image_set_version SET document_crc32 = NULL, details_crc32 = NULL";
    catalog.execute(checksums, []).unwrap();
    assert_eq!((one.metadata().await.unwrap(), one.damages().await), (sound.clone(), 0));
    for at in 0..sound.len() {
        let mut bytes = sound.clone();
        bytes[at] ^= 1 << (at % 8);
        let sql = "UPDATE image_set_version SET document = ?1";
        catalog.execute(sql, [&bytes]).unwrap();
        match one.metadata().await {
            // The time or the system in the head of gzip: nothing that is read.
            Ok(served) => assert_eq!(document(&served), document(&sound), "byte {at}"),
            Err(error) => assert_reports_damage(&error),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_searches_see_is_compared_with_the_documents() {
    let one = One::new().await;
    let catalog = one.catalog();
    for (spoil, mend) in [
        (
            "UPDATE image_set SET summary = replace(summary, '^NAME', '^NAMF')",
            "UPDATE image_set SET summary = replace(summary, '^NAMF', '^NAME')",
        ),
        (
            "UPDATE image_set_attributes SET value = replace(value, '^name', '^namf')",
            "UPDATE image_set_attributes SET value = replace(value, '^namf', '^name')",
        ),
        (
            "UPDATE image_set SET study_datetime = '1' || study_datetime",
            "UPDATE image_set SET study_datetime = substr(study_datetime, 2)",
        ),
        ("UPDATE instance SET rows = 25", "UPDATE instance SET rows = 24"),
        ("UPDATE blob SET crc32 = crc32 + 1", "UPDATE blob SET crc32 = crc32 - 1"),
        ("UPDATE blob SET offset = offset + 1", "UPDATE blob SET offset = offset - 1"),
    ] {
        catalog.execute(spoil, []).unwrap();
        assert_ne!(one.damages().await, 0, "{spoil}");
        catalog.execute(mend, []).unwrap();
        assert_eq!(one.damages().await, 0, "{mend}");
    }
}

/// What a search shows of the patients.
async fn shown(
    store: &LocalStore,
    datastore: &DatastoreId,
) -> Result<Vec<(ImageSetId, Option<DicomTags>)>, Error> {
    let request = SearchImageSetsRequest {
        datastore_id: datastore.clone(),
        search_criteria: SearchCriteria::default(),
        next_token: None,
        max_results: None,
    };
    let found = store.search_image_sets(request).await?;
    let sets = found.image_sets_metadata_summaries.into_iter();
    let mut sets: Vec<_> = sets.map(|set| (set.image_set_id, set.dicom_tags)).collect();
    sets.sort_by(|one, other| one.0.cmp(&other.0));
    Ok(sets)
}

#[tokio::test(flavor = "multi_thread")]
async fn damage_in_the_pages_of_the_catalog_is_reported() {
    let one = One::new().await;
    let sound = one.metadata().await.unwrap();
    let expected = shown(&one.store, &one.datastore).await.unwrap();
    one.store.close().await;
    drop(one.store);
    let store = one.folder.path().join("store");
    let catalog = std::fs::read(store.join("catalogue.sqlite")).unwrap();
    let mut chance = Chance::new(11);
    let mut found = 0;
    for trial in 0..100 {
        let folder = new_folder();
        let copy = folder.path().join("store");
        copy_folder(&store, &copy);
        let mut bytes = catalog.clone();
        let at = usize::try_from(chance.below(bytes.len() as u64)).unwrap();
        let bit = 1 << chance.below(8);
        bytes[at] ^= bit;
        std::fs::write(copy.join("catalogue.sqlite"), bytes).unwrap();
        let damaged = match LocalStore::open(idle(folder.path())).await {
            Err(error) => !error.message().is_empty(),
            Ok(store) => {
                let one = One {
                    store,
                    datastore: one.datastore.clone(),
                    set: one.set.clone(),
                    frames: one.frames.clone(),
                    folder,
                };
                let same = is_same(&one, &sound, &expected).await;
                let report = one.store.verify(|_| {}).await;
                let is_reported = report.map_or(true, |report| !report.damaged.is_empty());
                assert!(same || is_reported, "trial {trial}: bit {bit} of byte {at}");
                one.store.close().await;
                is_reported
            }
        };
        found += usize::from(damaged);
    }
    assert!(found > 0, "none of 100 was found");
}

/// Whether all is served as before; other documents and frames never are.
async fn is_same(one: &One, sound: &[u8], expected: &[(ImageSetId, Option<DicomTags>)]) -> bool {
    let mut same = true;
    match one.metadata().await {
        Ok(served) => assert!(served == sound, "a damaged document is served"),
        Err(_) => same = false,
    }
    for (id, bytes) in &one.frames {
        match one.frame(id).await {
            Ok(served) => assert!(served == *bytes, "a damaged frame is served"),
            Err(_) => same = false,
        }
    }
    let now = shown(&one.store, &one.datastore).await;
    same && now.is_ok_and(|now| now == expected)
}
