//! Bytes on the disk change: that is found by every read and by `verify`, and never served.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use flate2::read::GzDecoder;
use futures::TryStreamExt;
use healthimaging::model::{
    DicomTags, GetImageFrameRequest, GetImageSetMetadataRequest, InstanceMetadataRequest,
    RetrieveBulkdataRequest, RetrieveFramesRequest, RetrieveInstanceRequest, SearchCriteria,
    SearchImageSetsRequest, TransferSyntaxChoice,
};
use healthimaging::{
    Body, DatastoreId, DicomWeb, Error, ErrorKind, HealthImaging, ImageFrameId, ImageSetId, Uid,
};
use healthimaging_local::LocalStore;
use healthimaging_phantoms::VR;
use rusqlite::Connection;
use serde_json::Value;
use tempfile::TempDir;

use crate::chance::Chance;
use crate::child::{active_datastore, carry_out};
use crate::deeds::{Template, copy_folder, idle, new_folder};
use crate::plan::Request;
use crate::proof::{Look, files};
use crate::source::{Instance, study_uid};

/// Nothing here is larger.
const LIMIT: u64 = 1 << 24;
/// Bytes of a record of a pack before those of the blob, and of a pack before its records.
const HEADER: usize = 44;
const HEAD: usize = 8;
const EXPLICIT_LITTLE_ENDIAN: &str = "1.2.840.10008.1.2.1";

/// A store with one image set of one pack.
struct One {
    store: Arc<LocalStore>,
    datastore: DatastoreId,
    set: ImageSetId,
    /// Id and stored bytes of each frame.
    frames: Vec<(String, Vec<u8>)>,
    folder: TempDir,
}

fn instance(number: u32) -> Instance {
    Instance {
        patient: 1,
        series: 1,
        number,
    }
}

impl One {
    /// Two instances, of which one came twice: the pack holds a record that nothing names.
    async fn new() -> Self {
        let folder = new_folder();
        let input = folder.path().join("inputs/first");
        std::fs::create_dir(&input).unwrap();
        instance(1).write(&input);
        instance(2).write(&input);
        std::fs::write(input.join("0.dcm"), instance(2).file()).unwrap();
        Self::of(folder, &input).await
    }

    async fn of(folder: TempDir, input: &Path) -> Self {
        let store = LocalStore::open(idle(folder.path())).await.unwrap();
        let datastore = active_datastore(&store).await;
        let look = Look {
            store: &store,
            datastore: &datastore,
        };
        let request = Request::Import {
            folder: input.to_owned(),
        };
        carry_out(&store, &datastore, request).await.unwrap();
        look.settle().await;
        let set = look.sets().await.remove(0);
        let mut frames = Vec::new();
        let document = document(&look.packed(&set, 1).await.unwrap());
        for found in instances(&document) {
            for frame in found["ImageFrames"].as_array().into_iter().flatten() {
                let id = frame["ID"].as_str().unwrap().to_owned();
                let bytes = look.frame(&set, &id).await;
                frames.push((id, bytes));
            }
        }
        Self {
            store,
            datastore,
            set,
            frames,
            folder,
        }
    }

    fn pack(&self) -> PathBuf {
        let packs = files(&self.folder.path().join("store/packs"));
        assert_eq!(packs.len(), 1);
        packs[0].clone()
    }

    fn catalogue(&self) -> Connection {
        Connection::open(self.folder.path().join("store/catalogue.sqlite")).unwrap()
    }

    async fn frame(&self, id: &str) -> Result<Vec<u8>, Error> {
        let request = GetImageFrameRequest {
            datastore_id: self.datastore.clone(),
            image_set_id: self.set.clone(),
            image_frame_id: ImageFrameId::try_from(id).unwrap(),
        };
        let found = self.store.get_image_frame(request).await?;
        Ok(found.image_frame.collect(LIMIT).await?.into())
    }

    /// How many frames are read as they were; the others must be refused.
    async fn sound_frames(&self) -> usize {
        let mut sound = 0;
        for (id, bytes) in &self.frames {
            match self.frame(id).await {
                Ok(served) => {
                    assert!(served == *bytes, "damaged bytes are served");
                    sound += 1;
                }
                Err(error) => assert_told(&error),
            }
        }
        sound
    }

    async fn damages(&self) -> usize {
        let report = self.store.verify(|_| {}).await.unwrap();
        report.damaged.len()
    }

    async fn metadata(&self) -> Result<Vec<u8>, Error> {
        let request = GetImageSetMetadataRequest {
            datastore_id: self.datastore.clone(),
            image_set_id: self.set.clone(),
            version_id: None,
        };
        let served = self.store.get_image_set_metadata(request).await?;
        Ok(served.image_set_metadata.collect(LIMIT).await?.into())
    }
}

fn assert_told(error: &Error) {
    assert_eq!(error.kind(), ErrorKind::Internal, "{error:?}");
    let message = error.message();
    let told = ["damaged", "missing", "verify"].map(|word| message.contains(word));
    assert!(told.contains(&true), "{message}");
}

fn document(packed: &[u8]) -> Value {
    serde_json::from_reader(GzDecoder::new(packed)).unwrap()
}

fn instances(document: &Value) -> Vec<&Value> {
    let series = document["Study"]["Series"].as_object().unwrap().values();
    let instances = series.flat_map(|series| series["Instances"].as_object().unwrap().values());
    instances.collect()
}

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
        frames.any(|(known, stored)| known.as_bytes() == id && stored == bytes)
    };
    let named: Vec<_> = records.iter().filter(|record| is_named(record)).collect();
    assert_eq!(named.len(), 3);
    let mut chance = Chance::new(3);
    for at in (0..sound.len()).filter(|at| in_header(*at) || at % 31 == 0) {
        let mut bytes = sound.clone();
        bytes[at] ^= 1 << chance.below(8);
        std::fs::write(&path, &bytes).unwrap();
        let hit = records
            .iter()
            .find(|(start, length)| (*start..start + HEADER + length).contains(&at));
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
    answer.inspect_err(assert_told).is_err()
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
    let file = instance(1)
        .phantom()
        .private(0x0011, "CRASH TEST", 0x01, VR::OB, large);
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
    one.catalogue()
        .query_row(kind, [], |row| row.get(0))
        .unwrap()
}

fn uid(text: &str) -> Uid {
    Uid::try_from(text).unwrap()
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
    carry_out(&one.store, &one.datastore, request)
        .await
        .unwrap();
    let look = Look {
        store: &one.store,
        datastore: &one.datastore,
    };
    look.settle().await;
    let failures = look.failures().await;
    assert_eq!(failures.len(), 1);
    assert!(failures[0].contains("damaged"), "{failures:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_byte_of_a_document_is_guarded() {
    let one = One::new().await;
    let catalogue = one.catalogue();
    let sound = one.metadata().await.unwrap();
    let get = |column: &str| -> Vec<u8> {
        let sql = format!("SELECT {column} FROM image_set_version");
        catalogue.query_row(&sql, [], |row| row.get(0)).unwrap()
    };
    for column in ["document", "details"] {
        let stored = get(column);
        let sql = format!("UPDATE image_set_version SET {column} = ?1");
        for at in 0..stored.len() {
            let mut bytes = stored.clone();
            bytes[at] ^= 1 << (at % 8);
            catalogue.execute(&sql, [&bytes]).unwrap();
            assert_told(&one.metadata().await.unwrap_err());
            let request = InstanceMetadataRequest {
                datastore_id: one.datastore.clone(),
                study_instance_uid: uid(&study_uid(1)),
                series_instance_uid: uid(&instance(1).series_uid()),
                sop_instance_uid: uid(&instance(1).sop_uid()),
                image_set_id: None,
                host: String::new(),
            };
            assert_told(&one.store.instance_metadata(request).await.unwrap_err());
            if at % 50 == 0 {
                assert_ne!(one.damages().await, 0, "{column}, byte {at}");
            }
        }
        catalogue.execute(&sql, [&stored]).unwrap();
    }
    // As a store of format 1 has it: the checksum within gzip guards what is in it.
    let checksums = "UPDATE image_set_version SET document_crc32 = NULL, details_crc32 = NULL";
    catalogue.execute(checksums, []).unwrap();
    assert_eq!(
        (one.metadata().await.unwrap(), one.damages().await),
        (sound.clone(), 0)
    );
    for at in 0..sound.len() {
        let mut bytes = sound.clone();
        bytes[at] ^= 1 << (at % 8);
        let sql = "UPDATE image_set_version SET document = ?1";
        catalogue.execute(sql, [&bytes]).unwrap();
        match one.metadata().await {
            // The time or the system in the head of gzip: nothing that is read.
            Ok(served) => assert_eq!(document(&served), document(&sound), "byte {at}"),
            Err(error) => assert_told(&error),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_searches_see_is_compared_with_the_documents() {
    let one = One::new().await;
    let catalogue = one.catalogue();
    for (spoil, mend) in [
        (
            "UPDATE image_set SET patient_name = 'SECRET00001^NAMF'",
            "UPDATE image_set SET patient_name = 'SECRET00001^NAME'",
        ),
        (
            "UPDATE instance SET rows = 25",
            "UPDATE instance SET rows = 24",
        ),
        (
            "UPDATE blob SET crc32 = crc32 + 1",
            "UPDATE blob SET crc32 = crc32 - 1",
        ),
        (
            "UPDATE blob SET offset = offset + 1",
            "UPDATE blob SET offset = offset - 1",
        ),
    ] {
        catalogue.execute(spoil, []).unwrap();
        assert_ne!(one.damages().await, 0, "{spoil}");
        catalogue.execute(mend, []).unwrap();
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
async fn damage_in_the_pages_of_the_catalogue_is_told() {
    let one = One::new().await;
    let sound = one.metadata().await.unwrap();
    let expected = shown(&one.store, &one.datastore).await.unwrap();
    one.store.close().await;
    drop(one.store);
    let store = one.folder.path().join("store");
    let catalogue = std::fs::read(store.join("catalogue.sqlite")).unwrap();
    let mut chance = Chance::new(11);
    let mut found = 0;
    for trial in 0..100 {
        let folder = new_folder();
        let copy = folder.path().join("store");
        copy_folder(&store, &copy);
        let mut bytes = catalogue.clone();
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
                let told = report.map_or(true, |report| !report.damaged.is_empty());
                assert!(same || told, "trial {trial}: bit {bit} of byte {at}");
                one.store.close().await;
                told
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
