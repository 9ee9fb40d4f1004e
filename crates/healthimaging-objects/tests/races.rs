//! `file://` locations whose folders are replaced by links while they are used.
#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "a test may")]

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use healthimaging_objects::{Location, Objects, ObjectsConfig, file_uri};

const ROUNDS: usize = 500;

fn place(allowed: &Path) -> Location {
    let objects = Objects::new(ObjectsConfig {
        allowed_paths: vec![allowed.to_owned()],
        ..ObjectsConfig::default()
    });
    objects.location(&file_uri(allowed).unwrap()).unwrap()
}

/// A folder `at` that becomes a link to `outside` and back until `stop`.
fn flip(at: &Path, outside: &Path, stop: &AtomicBool) {
    let aside = at.with_extension("aside");
    while !stop.load(Ordering::Relaxed) {
        fs::rename(at, &aside).unwrap();
        // The writer may have created the folder again.
        if symlink(outside, at).is_ok() {
            fs::remove_file(at).unwrap();
        }
        while fs::rename(&aside, at).is_err() {
            let _ = fs::remove_dir_all(at);
        }
    }
}

#[tokio::test]
async fn nothing_outside_is_read_or_written_while_folders_become_links() {
    let root = tempfile::tempdir().unwrap();
    let root = root.path().canonicalize().unwrap();
    let (inside, outside) = (root.join("in"), root.join("out"));
    for folder in [inside.join("d"), outside.clone()] {
        fs::create_dir_all(folder).unwrap();
    }
    fs::write(inside.join("d/a"), "inside").unwrap();
    fs::write(outside.join("a"), "secret").unwrap();
    let place = place(&inside);
    let stop = Arc::new(AtomicBool::new(false));
    let flipping = {
        let (at, outside, stop) = (inside.join("d"), outside.clone(), Arc::clone(&stop));
        std::thread::spawn(move || flip(&at, &outside, &stop))
    };
    let (mut read, mut round) = (0, 0);
    // On a busy machine, the folder may be a link whenever it is read.
    while round < ROUNDS || (read == 0 && round < 100 * ROUNDS) {
        round += 1;
        if let Ok(content) = place.read("d/a", 100).await {
            assert_eq!(content, b"inside");
            read += 1;
        }
        // Whether it is written depends on the moment; where, does not.
        let _ = place.write(&format!("d/{}", round % 7), Bytes::from_static(b"x")).await;
    }
    stop.store(true, Ordering::Relaxed);
    flipping.join().unwrap();
    assert!(read > 0);
    let left: Vec<_> =
        fs::read_dir(&outside).unwrap().map(|one| one.unwrap().file_name()).collect();
    assert_eq!(left, ["a"], "nothing was written outside");
}

#[tokio::test]
async fn a_root_that_has_become_a_link_is_not_followed() {
    let root = tempfile::tempdir().unwrap();
    let root = root.path().canonicalize().unwrap();
    let (inside, outside) = (root.join("in"), root.join("out"));
    fs::create_dir_all(&inside).unwrap();
    fs::create_dir_all(&outside).unwrap();
    fs::write(outside.join("a"), "secret").unwrap();
    let place = place(&inside);
    fs::remove_dir(&inside).unwrap();
    symlink(&outside, &inside).unwrap();
    assert!(place.read("a", 100).await.is_err());
    assert!(place.write("b", Bytes::from_static(b"x")).await.is_err());
    assert!(!outside.join("b").exists());
}

#[tokio::test]
async fn a_pipe_in_the_place_of_a_file_does_not_block() {
    let root = tempfile::tempdir().unwrap();
    let root = root.path().canonicalize().unwrap();
    let made = std::process::Command::new("mkfifo").arg(root.join("pipe")).status().unwrap();
    assert!(made.success());
    assert!(place(&root).read("pipe", 100).await.is_err());
}
