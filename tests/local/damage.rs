//! Damage on the disk is seen and never served.

use std::fs;
use std::path::{Path, PathBuf};

use healthimaging::ErrorKind;
use healthimaging_local::{LocalConfig, LocalStore};

use crate::{rig, slice};
use healthimaging_testing::rig::image_sets::{frame_id, instances};
use healthimaging_testing::rig::{Rig, refused};

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.push(path);
        }
    }
    found
}

/// Flips one bit in the middle of these bytes, wherever they are below a folder.
fn flip(folder: &Path, bytes: &[u8]) {
    // The boxes of a JP2 file are made when a frame is served (ISO/IEC 15444-1 Annex I).
    let bytes = bytes.get(85..).filter(|_| bytes.starts_with(b"\0\0\0\x0CjP  ")).unwrap_or(bytes);
    let mut flipped = 0;
    for path in files(folder) {
        let mut content = fs::read(&path).unwrap();
        if let Some(at) = content.windows(bytes.len()).position(|window| window == bytes) {
            content[at + bytes.len() / 2] ^= 1;
            fs::write(&path, content).unwrap();
            flipped += 1;
        }
    }
    assert_eq!(flipped, 1, "a frame is stored once");
}

async fn verify(rig: &Rig) -> healthimaging_local::VerifyReport {
    let config = LocalConfig { run_jobs: false, ..LocalConfig::new(rig.data()) };
    LocalStore::open(config).await.unwrap().verify(|_| {}).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flipped_bit_is_an_error_and_verify_finds_it() {
    let rig = rig().await;
    let store = rig.datastore().await;
    let set = rig
        .import(
            &store,
            [
                ("1", slice(1).build()),
                (
                    "2",
                    slice(2)
                        .seed(5)
                        .series_uid("2.25.31")
                        .sop_uid("2.25.31.2")
                        .study_uid("2.25.30")
                        .build(),
                ),
            ],
        )
        .await;
    let set = set.set_of("1");
    let document = rig.document(&store, &set).await;
    let first = frame_id(&instances(&document)["2.25.31.1"], 0).to_owned();
    let (bytes, _) = rig.frame(&store, &set, &first).await;
    assert_eq!(verify(&rig).await.damaged.len(), 0);
    flip(&rig.data().join("packs"), &bytes);
    let message = refused(rig.try_frame(&store, &set, &first).await, ErrorKind::Internal);
    assert!(message.contains("verify"), "{message}");
    let report = verify(&rig).await;
    assert_eq!(report.damaged.len(), 1, "{report:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_pack_is_an_error_and_verify_finds_it() {
    let rig = rig().await;
    let (store, set) = rig.holding(slice(1)).await;
    let instance = rig.only_instance(&store, &set).await;
    for pack in files(&rig.data().join("packs")) {
        fs::remove_file(pack).unwrap();
    }
    let answer = rig.try_frame(&store, &set, frame_id(&instance, 0)).await;
    refused(answer, ErrorKind::Internal);
    assert_ne!(verify(&rig).await.damaged.len(), 0);
}
