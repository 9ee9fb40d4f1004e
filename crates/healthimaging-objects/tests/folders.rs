//! `file://` locations, through the public API.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use healthimaging::{ErrorKind, ObjectUri};
use healthimaging_objects::{Listed, Location, Objects, ObjectsConfig, file_uri};

fn objects(allowed: &Path) -> Objects {
    Objects::new(ObjectsConfig {
        allowed_paths: vec![allowed.to_owned()],
        ..ObjectsConfig::default()
    })
}

fn place(allowed: &Path, at: &Path) -> healthimaging::Result<Location> {
    objects(allowed).location(&file_uri(at)?)
}

#[expect(clippy::unwrap_used, reason = "a test's own folder")]
fn write(path: PathBuf, content: &str) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, content).unwrap();
}

fn names(root: &Path, listed: &[Listed]) -> Vec<String> {
    let root = root.to_string_lossy();
    let name = |line: &Listed| line.key().trim_start_matches(&*root).to_owned();
    listed.iter().map(name).collect()
}

#[tokio::test]
async fn a_folder_is_listed_deep_and_in_the_order_of_keys() {
    let root = tempfile::tempdir().unwrap();
    write(root.path().join("b/2 é.dcm"), "two");
    write(root.path().join("b/1"), "one");
    write(root.path().join("a.dcm"), "");
    let place = place(root.path(), root.path()).unwrap();
    let listed = place.list().await.unwrap();
    assert_eq!(names(root.path(), &listed), ["/a.dcm", "/b/1", "/b/2 é.dcm"]);
    let Listed::Object(entry) = &listed[2] else {
        panic!("{:?} should be readable", listed[2]);
    };
    let mut content = String::new();
    let mut file = place.fetch(entry).await.unwrap();
    file.read_to_string(&mut content).unwrap();
    assert_eq!((content.as_str(), entry.size), ("two", 3));
}

#[tokio::test]
async fn a_single_file_is_a_place_too() {
    let root = tempfile::tempdir().unwrap();
    write(root.path().join("x y%41.dcm"), "x");
    let place = place(root.path(), &root.path().join("x y%41.dcm")).unwrap();
    assert_eq!(names(root.path(), &place.list().await.unwrap()), ["/x y%41.dcm"]);
}

#[tokio::test]
async fn what_is_outside_of_the_allowed_folders_is_refused() {
    let root = tempfile::tempdir().unwrap();
    let (inside, outside) = (root.path().join("in"), root.path().join("out"));
    write(inside.join("a"), "a");
    write(outside.join("secret"), "s");
    for refused in [outside.clone(), root.path().to_owned(), root.path().join("in2/new")] {
        let error = place(&inside, &refused).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::AccessDenied, "{}", refused.display());
    }
    for climbing in ["/../out", "/%2E%2E/out"] {
        let uri = format!("{}{climbing}", file_uri(&inside).unwrap());
        let error = objects(&inside).location(&ObjectUri::try_from(uri).unwrap());
        assert_eq!(error.unwrap_err().kind(), ErrorKind::Validation);
    }
    let nothing_allowed = Objects::new(ObjectsConfig::default());
    let error = nothing_allowed.location(&file_uri(&inside).unwrap()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::AccessDenied);
}

#[cfg(unix)]
#[tokio::test]
async fn links_out_of_the_folder_and_loops_are_listed_and_not_followed() {
    use std::os::unix::fs::symlink;
    let root = tempfile::tempdir().unwrap();
    let (inside, outside) = (root.path().join("in"), root.path().join("out"));
    write(inside.join("d/a"), "a");
    write(outside.join("secret"), "s");
    symlink(&outside, inside.join("leak")).unwrap();
    symlink(outside.join("secret"), inside.join("leak2")).unwrap();
    symlink(&inside, inside.join("d/loop")).unwrap();
    symlink("nowhere", inside.join("dangling")).unwrap();
    symlink(inside.join("d/a"), inside.join("same")).unwrap();
    let listed = place(&inside, &inside).unwrap().list().await.unwrap();
    let readable = |line: &Listed| matches!(line, Listed::Object(_));
    let seen: Vec<_> =
        names(&inside, &listed).into_iter().zip(listed.iter().map(readable)).collect();
    let expected = [
        ("/d/a", true),
        ("/d/loop", false),
        ("/dangling", false),
        ("/leak", false),
        ("/leak2", false),
        ("/same", true),
    ];
    assert_eq!(seen, expected.map(|(name, readable)| (name.to_owned(), readable)));
}

#[cfg(unix)]
#[tokio::test]
async fn names_that_are_not_utf8_stay_apart() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;
    let root = tempfile::tempdir().unwrap();
    for name in [&b"n\xFF"[..], b"n\xFE"] {
        fs::write(root.path().join(OsStr::from_bytes(name)), "x").unwrap();
    }
    let place = place(root.path(), root.path()).unwrap();
    let listed = place.list().await.unwrap();
    assert_eq!(names(root.path(), &listed), [r"/n\xFE", r"/n\xFF"]);
    for line in &listed {
        let Listed::Object(entry) = line else { panic!("{line:?} should be readable") };
        place.fetch(entry).await.unwrap();
    }
}

#[tokio::test]
async fn a_vanished_file_is_not_found() {
    let root = tempfile::tempdir().unwrap();
    write(root.path().join("a"), "a");
    let place = place(root.path(), root.path()).unwrap();
    let listed = place.list().await.unwrap();
    fs::remove_file(root.path().join("a")).unwrap();
    let Listed::Object(entry) = &listed[0] else { panic!("{listed:?} should be readable") };
    assert_eq!(place.fetch(entry).await.unwrap_err().kind(), ErrorKind::NotFound);
    let missing = root.path().join("missing");
    let error = objects(root.path()).location(&file_uri(&missing).unwrap()).unwrap().list().await;
    assert_eq!(error.unwrap_err().kind(), ErrorKind::NotFound);
}

#[tokio::test]
async fn what_is_written_can_be_read_and_stays_below_the_place() {
    let root = tempfile::tempdir().unwrap();
    let place = place(root.path(), &root.path().join("new/out")).unwrap();
    place.write("SUCCESS/success.ndjson", Bytes::from_static(b"{}\n")).await.unwrap();
    place.write("SUCCESS/success.ndjson", Bytes::from_static(b"{\"a\":1}\n")).await.unwrap();
    let content = place.read("SUCCESS/success.ndjson", 8).await.unwrap();
    assert_eq!(content, b"{\"a\":1}\n");
    assert_eq!(place.list().await.unwrap().len(), 1, "no temporary file is left");
    let error = place.read("SUCCESS/success.ndjson", 7).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Validation);
    for name in ["../x", "/x", "", "a/../../x"] {
        let error = place.write(name, Bytes::new()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Validation, "{name:?}");
    }
}

#[tokio::test]
async fn what_is_written_in_pieces_is_there_when_it_is_finished_and_not_before() {
    let root = tempfile::tempdir().unwrap();
    let place = place(root.path(), root.path()).unwrap();
    let mut writing = place.create("a/whole.dcm").await.unwrap();
    writing.write(Bytes::from_static(b"one ")).await.unwrap();
    assert!(!root.path().join("a/whole.dcm").exists());
    writing.write(Bytes::from_static(b"two")).await.unwrap();
    writing.finish().await.unwrap();
    assert_eq!(place.read("a/whole.dcm", 10).await.unwrap(), b"one two");

    let mut abandoned = place.create("b/part.dcm").await.unwrap();
    abandoned.write(Bytes::from_static(b"one")).await.unwrap();
    abandoned.abandon().await.unwrap();
    let mut dropped = place.create("b/part.dcm").await.unwrap();
    dropped.write(Bytes::from_static(b"one")).await.unwrap();
    drop(dropped);
    assert_eq!(fs::read_dir(root.path().join("b")).unwrap().count(), 0);
    let error = place.create("../out.dcm").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Validation);
}

#[tokio::test]
async fn a_new_file_takes_no_other_file_s_place() {
    let root = tempfile::tempdir().unwrap();
    let place = place(root.path(), root.path()).unwrap();
    let create = async |content: &'static [u8]| {
        let mut writing = place.create_new("a/one.dcm").await?;
        writing.write(Bytes::from_static(content)).await?;
        writing.finish().await
    };
    create(b"first").await.unwrap();
    create(b"first").await.unwrap();
    for other in [&b"other"[..], b"longer than it was"] {
        assert_eq!(create(other).await.unwrap_err().kind(), ErrorKind::Conflict);
        assert_eq!(place.read("a/one.dcm", 100).await.unwrap(), b"first");
    }
    assert_eq!(place.list().await.unwrap().len(), 1, "no temporary file is left");
    place.write("a/one.dcm", Bytes::from_static(b"other")).await.unwrap();
    assert_eq!(place.read("a/one.dcm", 100).await.unwrap(), b"other");
}

#[tokio::test]
async fn a_folder_that_is_allowed_and_does_not_exist_yet_is_made() {
    let root = tempfile::tempdir().unwrap();
    let output = root.path().canonicalize().unwrap().join("out/0");
    let confined =
        Objects::new(ObjectsConfig::default()).confined_to(std::slice::from_ref(&output));
    let place = confined.location(&file_uri(&output).unwrap()).unwrap();
    place.write("a/b", Bytes::from_static(b"1")).await.unwrap();
    assert_eq!(fs::read(output.join("a/b")).unwrap(), b"1");
}
