//! Bytes of packs: frames, large values, and what says where they are.

use std::path::PathBuf;

use futures::TryStreamExt;
use healthimaging::model::{
    RetrieveBulkdataRequest, RetrieveFramesRequest, RetrieveInstanceRequest, TransferSyntaxChoice,
};
use healthimaging::{Body, DicomWeb, Error};
use healthimaging_local::LocalStore;
use healthimaging_phantoms::VR;

use super::{LIMIT, One, assert_reports_damage, instance, uid};
use crate::chance::Chance;
use crate::child::carry_out;
use crate::deeds::{Template, idle, new_folder};
use crate::plan::Request;
use crate::proof::{Look, files};
use crate::source::study_uid;

/// Bytes of a record of a pack before those of the blob, and of a pack before its records.
const HEADER: usize = 44;
const HEAD: usize = 8;
const EXPLICIT_LITTLE_ENDIAN: &str = "1.2.840.10008.1.2.1";

/// The places of records in a pack, as the format document describes them: where each begins, and how
/// long its bytes are.
fn records(pack: &[u8]) -> Vec<(usize, usize)> {
    let mut records = Vec::new();
    let mut at = HEAD;
    while at < pack.len() {
        let length = u64::from_le_bytes(pack[at..at + 8].try_into().unwrap());
        let length = usize::try_from(length).unwrap();
        records.push((at, length));
        at += HEADER + length;
    }
    assert_eq!(at, pack.len());
    records
}

#[tokio::test(flavor = "multi_thread")]
async fn every_byte_of_a_pack_is_guarded() {
    let one = One::new().await;
    let path = one.pack();
    let sound = std::fs::read(&path).unwrap();
    assert_eq!(&sound[..HEAD], b"HIPACK\x00\x01");
    let records = records(&sound);
    assert_eq!((one.frames.len(), records.len()), (3, 4));
    let in_header = |at: usize| {
        let mut headers = records.iter().map(|(start, _)| *start..start + HEADER);
        at < HEAD || headers.any(|header| header.contains(&at))
    };
    // Which record is the idle one depends on the order in which the files were encoded.
    let is_named = |(start, length): &(usize, usize)| {
        let bytes = &sound[start + HEADER..][..*length];
        let id = &sound[start + 12..start + HEADER];
        let mut frames = one.frames.iter();
        frames.any(|(known, stored)| known.as_bytes() == id && stored.ends_with(bytes))
    };
    let named: Vec<_> = records.iter().filter(|record| is_named(record)).collect();
    assert_eq!(named.len(), 3);
    let mut chance = Chance::new(3);
    for at in (0..sound.len()).filter(|at| in_header(*at) || at % 31 == 0) {
        let mut bytes = sound.clone();
        bytes[at] ^= 1 << chance.below(8);
        std::fs::write(&path, &bytes).unwrap();
        let hit =
            records.iter().find(|(start, length)| (*start..start + HEADER + length).contains(&at));
        let hit_named = hit.is_some_and(|record| named.contains(&record));
        // The id of a record that nothing names any more names nothing.
        let idle =
            hit.is_some_and(|(start, _)| !hit_named && (start + 12..start + HEADER).contains(&at));
        assert_eq!(one.damages().await, usize::from(!idle), "byte {at}");
        let left = 3 - usize::from(hit_named);
        assert_eq!(one.sound_frames().await, left, "byte {at}");
    }
    for length in [0, 3, HEAD, HEAD + 20, records[1].0, sound.len() - 1] {
        std::fs::write(&path, &sound[..length]).unwrap();
        assert_ne!(one.damages().await, 0, "cut to {length}");
        let whole = |record: &&&(usize, usize)| record.0 + HEADER + record.1 <= length;
        let left = named.iter().filter(whole).count();
        assert_eq!(one.sound_frames().await, left, "cut to {length}");
    }
    let longer = [&sound[..], b"what?"].concat();
    std::fs::write(&path, longer).unwrap();
    assert_eq!((one.damages().await, one.sound_frames().await), (1, 3));
    std::fs::write(&path, &sound).unwrap();
    assert_eq!((one.damages().await, one.sound_frames().await), (0, 3));
    std::fs::remove_file(&path).unwrap();
    assert_eq!((one.damages().await, one.sound_frames().await), (3, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn swapped_packs_are_found() {
    let template = Template::new().await;
    let folder = template.copy();
    let packs = files(&folder.path().join("store/packs"));
    let content = |pack: &PathBuf| std::fs::read(pack).unwrap();
    let first = content(&packs[0]);
    // That of a copied image set may be the same file.
    let other = packs.iter().find(|pack| content(pack) != first).unwrap();
    std::fs::write(&packs[0], content(other)).unwrap();
    std::fs::write(other, first).unwrap();
    let store = LocalStore::open(idle(folder.path())).await.unwrap();
    let report = store.verify(|_| {}).await.unwrap();
    assert!(report.damaged.len() > 1, "{report:?}");
    store.close().await;
}

/// Whether nothing damaged was served, in plain words, at once or at the end of the body.
fn is_refused(answer: Result<(), Error>) -> bool {
    answer.inspect_err(assert_reports_damage).is_err()
}

async fn read(body: Body) -> Result<(), Error> {
    body.collect(LIMIT).await.map(|_| ())
}

#[tokio::test(flavor = "multi_thread")]
async fn no_way_of_reading_serves_a_damaged_value() {
    let folder = new_folder();
    let input = folder.path().join("inputs/first");
    std::fs::create_dir(&input).unwrap();
    let large = vec![7_u8; 1_100_000];
    let file = instance(1).phantom().private(0x0011, "CRASH TEST", 0x01, VR::OB, large);
    std::fs::write(input.join("1.dcm"), file.build()).unwrap();
    let one = One::of(folder, &input).await;
    let (series, sop) = (uid(&instance(1).series_uid()), uid(&instance(1).sop_uid()));
    let instance_in = |transfer_syntax| RetrieveInstanceRequest {
        datastore_id: one.datastore.clone(),
        study_instance_uid: uid(&study_uid(1)),
        series_instance_uid: series.clone(),
        sop_instance_uid: sop.clone(),
        image_set_id: None,
        transfer_syntax,
    };
    let frames_in = |transfer_syntax| RetrieveFramesRequest {
        datastore_id: one.datastore.clone(),
        study_instance_uid: uid(&study_uid(1)),
        series_instance_uid: series.clone(),
        sop_instance_uid: sop.clone(),
        image_set_id: None,
        frames: vec![1, 2],
        transfer_syntax,
        enough: None,
        is_whole: false,
    };
    let explicit = || TransferSyntaxChoice::Uid(uid(EXPLICIT_LITTLE_ENDIAN));
    let read_all = async || {
        let mut refused = Vec::new();
        for syntax in [TransferSyntaxChoice::Stored, explicit()] {
            let answer = one.store.retrieve_instance(instance_in(syntax.clone()));
            let whole = async { read(answer.await?.instance).await };
            refused.push(is_refused(whole.await));
            let answer = one.store.retrieve_frames(frames_in(syntax));
            let frames = async { answer.await?.frames.and_then(read).try_collect().await };
            refused.push(is_refused(frames.await));
        }
        let request = RetrieveBulkdataRequest {
            datastore_id: one.datastore.clone(),
            study_instance_uid: uid(&study_uid(1)),
            series_instance_uid: series.clone(),
            sop_instance_uid: sop.clone(),
            image_set_id: None,
            bulkdata_id: bulkdata_id(&one),
        };
        let answer = one.store.retrieve_bulkdata(request);
        let value = async { read(answer.await?.bulkdata).await };
        refused.push(is_refused(value.await));
        refused
    };
    let path = one.pack();
    let sound = std::fs::read(&path).unwrap();
    assert_eq!(read_all().await, [false; 5]);
    for (start, length) in records(&sound) {
        let mut bytes = sound.clone();
        bytes[start + HEADER + length / 2] ^= 4;
        std::fs::write(&path, bytes).unwrap();
        // The instance holds both; frames and large values are also had on their own.
        let expected = if length > 1_000_000 {
            [true, false, true, false, true]
        } else {
            [true, true, true, true, false]
        };
        assert_eq!(read_all().await, expected, "record at {start}");
    }
}

fn bulkdata_id(one: &One) -> String {
    let kind = "SELECT id FROM blob WHERE kind = 'bulk'";
    one.catalog().query_row(kind, [], |row| row.get(0)).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_of_a_part_does_not_take_damage_along() {
    let one = One::new().await;
    let path = one.pack();
    let mut bytes = std::fs::read(&path).unwrap();
    for (start, length) in records(&bytes) {
        bytes[start + HEADER + length / 2] ^= 4;
    }
    std::fs::write(&path, bytes).unwrap();
    let request = Request::Copy {
        set: one.set.clone(),
        version: 1,
        only: vec![(instance(1).series_uid(), instance(1).sop_uid())],
        into: None,
        promote: false,
    };
    carry_out(&one.store, &one.datastore, request).await.unwrap();
    let look = Look { store: &one.store, datastore: &one.datastore };
    look.settle().await;
    let failures = look.failures().await;
    assert_eq!(failures.len(), 1);
    assert!(failures[0].contains("damaged"), "{failures:?}");
}
