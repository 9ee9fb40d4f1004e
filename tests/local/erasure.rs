//! What is deleted is gone from the disk.

use std::fs;
use std::path::Path;

use healthimaging::model::{DeleteImageSetRequest, GetImageSetMetadataRequest};
use healthimaging::{DatastoreId, ImageSetId};
use memchr::memmem;
use rusqlite::Connection;
use serde_json::json;

use crate::{rig, slice, study};
use healthimaging_testing::rig::image_sets::{frame_id, only_instance};
use healthimaging_testing::rig::{Rig, all_bytes, until};

/// Files below a folder that hold these bytes.
fn holders(folder: &Path, needle: &[u8]) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(holders(&path, needle));
        } else if fs::read(&path).is_ok_and(|bytes| memmem::find(&bytes, needle).is_some()) {
            found.push(path.display().to_string());
        }
    }
    found
}

/// Waits until no file below a folder holds these bytes: the log of the catalog is emptied soon
/// after a deletion is reported.
async fn gone(folder: &Path, needle: &[u8]) {
    until(async || holders(folder, needle).is_empty().then_some(())).await;
}

/// Text and bytes by which an image set would be known on the disk.
async fn traces(rig: &Rig, store: &DatastoreId, set: &ImageSetId) -> Vec<Vec<u8>> {
    let request = GetImageSetMetadataRequest {
        datastore_id: store.clone(),
        image_set_id: set.clone(),
        version_id: None,
    };
    let packed = rig.service.get_image_set_metadata(request).await.unwrap().image_set_metadata;
    let packed = all_bytes(packed).await;
    let document = rig.document(store, set).await;
    let (frame, _) = rig.frame(store, set, frame_id(only_instance(&document), 0)).await;
    let middle = |bytes: &[u8]| bytes[bytes.len() / 2..bytes.len() / 2 + 40].to_vec();
    vec![b"VERYSECRET".to_vec(), b"2.25.31".to_vec(), middle(&packed), middle(&frame)]
}

async fn delete(rig: &Rig, store: &DatastoreId, set: &ImageSetId) {
    let request = DeleteImageSetRequest { datastore_id: store.clone(), image_set_id: set.clone() };
    rig.service.delete_image_set(request).await.unwrap();
    rig.wait_active(store, set).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_of_a_deleted_image_set_is_left_on_the_disk() {
    let rig = rig().await;
    let (store, set) = rig.holding(slice(1)).await;
    let first = traces(&rig, &store, &set).await;
    rig.update(rig.update_request(&store, &set, 1, &study("VERYSECRET STUDY"))).await;
    let traces: Vec<_> = first.into_iter().chain(traces(&rig, &store, &set).await).collect();
    for trace in &traces {
        assert_ne!(
            holders(&rig.data(), trace),
            Vec::<String>::new(),
            "the search finds what is there"
        );
    }
    delete(&rig, &store, &set).await;
    for trace in &traces {
        gone(&rig.data(), trace).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_keeps_its_bytes_until_it_is_deleted_too() {
    let rig = rig().await;
    let (store, set) = rig.holding(slice(1)).await;
    let traces = traces(&rig, &store, &set).await;
    let id = frame_id(&rig.only_instance(&store, &set).await, 0).to_owned();
    let request = healthimaging::model::CopyImageSetRequest {
        datastore_id: store.clone(),
        source_image_set_id: set.clone(),
        copy_image_set_information: serde_json::from_value(
            json!({"sourceImageSet": {"latestVersionId": "1"}}),
        )
        .unwrap(),
        force: false,
        promote_to_primary: false,
    };
    let answer = rig.service.copy_image_set(request).await.unwrap();
    let copy = answer.destination_image_set_properties.image_set_id;
    rig.wait_active(&store, &copy).await;
    rig.wait_active(&store, &set).await;
    delete(&rig, &store, &set).await;
    let frame = traces.last().unwrap();
    until(async || (holders(&rig.data(), frame).len() == 1).then_some(())).await;
    rig.frame(&store, &copy, &id).await;
    delete(&rig, &store, &copy).await;
    for trace in &traces {
        gone(&rig.data(), trace).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn another_image_set_is_untouched_by_a_deletion() {
    let rig = rig().await;
    let (store, set) = rig.holding(slice(1)).await;
    let kept = rig.put(&store, slice(2).series_uid("2.25.32").series_number(2)).await;
    let before = rig.document(&store, &kept).await;
    delete(&rig, &store, &set).await;
    assert_eq!(rig.document(&store, &kept).await, before);
    rig.frame(&store, &kept, frame_id(only_instance(&before), 0)).await;
}

/// What pages of a SQLite database hold where they hold nothing: between the places of their cells and the
/// cells (SQLite file format §1.6). The log has to be empty.
fn leftovers(database: &Path) -> Vec<u8> {
    let bytes = fs::read(database).unwrap();
    let mut found = Vec::new();
    for (number, page) in bytes.chunks(4096).enumerate() {
        let start = if number == 0 { 100 } else { 0 };
        let word = |at: usize| usize::from(u16::from_be_bytes([page[at], page[at + 1]]));
        let header = match page[start] {
            2 | 5 => 12,
            10 | 13 => 8,
            _ => continue,
        };
        let unused = start + header + 2 * word(start + 3)..word(start + 5);
        found.extend(page[unused].iter().filter(|byte| **byte != 0));
    }
    found
}

/// Waits until nothing is noted any more that is still to be carried out.
async fn clean_ups_ended(catalog: &Path) {
    let catalog = Connection::open(catalog).unwrap();
    let ended = "SELECT NOT EXISTS (SELECT 1 FROM job WHERE scope = 'write')";
    until(async || {
        let ended: bool = catalog.query_row(ended, [], |row| row.get(0)).unwrap();
        ended.then_some(())
    })
    .await;
}

/// Rows move from page to page while others come, and SQLite leaves copies of them where they were.
#[tokio::test(flavor = "multi_thread")]
async fn no_copies_are_left_of_rows_that_moved() {
    let rig = rig().await;
    let store = rig.datastore().await;
    let mut sets = Vec::new();
    for number in 0..60_u32 {
        // In no order, as UIDs are.
        let name = number.wrapping_mul(2_654_435_761);
        let phantom = slice(1)
            .patient("Many^One", &format!("{name:010}"))
            .study_uid(&format!("2.25.9{name}"))
            .series_uid(&format!("2.25.9{name}.1"));
        sets.push(rig.put(&store, phantom).await);
    }
    let last = sets.split_off(59);
    for set in sets.iter().skip(40) {
        delete(&rig, &store, set).await;
    }
    let catalog = rig.data().join("catalogue.sqlite");
    // A clean-up that ends while another is under way leaves the place of its row, which the next one overwrites.
    clean_ups_ended(&catalog).await;
    delete(&rig, &store, &last[0]).await;
    until(async || leftovers(&catalog).is_empty().then_some(())).await;
}
