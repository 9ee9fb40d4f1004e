//! The names of packs: which calls they take, and what a sweep leaves of them.
#![expect(clippy::unwrap_used, reason = "a test says that something is wrong by panicking")]

use std::collections::BTreeSet;
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use healthimaging_packs::{
    BlobKind, Error, FileCall, Files, PackFolder, PackId, PackStore, PackWriter, References,
};

/// The packs that something refers to.
#[derive(Default)]
struct Used(Mutex<BTreeSet<PackId>>);

impl References for Used {
    type Error = Error;

    fn unused(&self) -> Result<Vec<PackId>, Error> {
        Ok(Vec::new())
    }

    fn is_used(&self, pack: &PackId) -> Result<bool, Error> {
        Ok(self.0.lock().unwrap().contains(pack))
    }

    fn forget(&self, _: &PackId) -> Result<(), Error> {
        Ok(())
    }
}

fn id(number: u8) -> PackId {
    PackId(format!("{number:032x}"))
}

fn append(writer: &mut PackWriter) {
    let blob = "1".repeat(32).parse().unwrap();
    writer.append(&blob, BlobKind::Frame, None, b"pixels").unwrap();
}

/// Names of files below a folder.
fn names(folder: &Path) -> usize {
    let entries = std::fs::read_dir(folder).unwrap().map(Result::unwrap);
    entries.map(|entry| if entry.path().is_dir() { names(&entry.path()) } else { 1 }).sum()
}

#[test]
fn a_pack_takes_two_syncs_and_one_that_was_prepared_takes_one() {
    let folder = tempfile::tempdir().unwrap();
    let syncs = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&syncs);
    let files = Files::watched(move |call| {
        counted.fetch_add(usize::from(call == FileCall::Sync), Ordering::SeqCst);
        Ok(usize::MAX)
    });
    let packs = PackFolder::new(&files, &folder.path().join("packs"));
    packs.make_folders().unwrap();
    let took = || syncs.swap(0, Ordering::SeqCst);
    // The folder that it lies in is new.
    packs.create(id(0)).unwrap().finish().unwrap();
    assert_eq!(took(), 3);
    packs.create(id(1)).unwrap().finish().unwrap();
    assert_eq!(took(), 2);
    let prepared = packs.prepare((2..6).map(id).collect()).unwrap();
    assert_eq!((prepared.len(), took()), (4, 1));
    for mut writer in prepared {
        append(&mut writer);
        writer.finish().unwrap();
        assert_eq!(took(), 1);
    }
}

#[test]
fn a_sweep_leaves_what_is_used_or_locked() {
    let folder = tempfile::tempdir().unwrap();
    let places = folder.path().join("packs");
    let packs = PackFolder::new(&Files::system(), &places);
    packs.make_folders().unwrap();
    let incoming = || names(&folder.path().join("incoming"));
    let used = Used::default();
    let mut prepared = packs.prepare((0..4).map(id).collect()).unwrap();
    let [mut kept, mut killed_behind, mut killed_before] =
        [(); 3].map(|()| prepared.pop().unwrap());
    for writer in [&mut kept, &mut killed_behind, &mut killed_before] {
        append(writer);
        writer.finish().unwrap();
    }
    assert_eq!(packs.sweep(&used).unwrap(), 0);
    assert_eq!((names(&places), incoming()), (4, 4));
    used.0.lock().unwrap().extend([id(3), id(2)]);
    kept.keep();
    assert_eq!((names(&places), incoming()), (4, 3));
    // A process that is killed has no locks: behind the transaction, and before it.
    drop((killed_behind, killed_before));
    assert_eq!(packs.sweep(&used).unwrap(), 1);
    assert_eq!((names(&places), incoming()), (3, 1));
    // One that was not used.
    prepared.pop().unwrap().discard();
    assert_eq!((names(&places), incoming()), (2, 0));
}

#[test]
fn without_links_a_pack_is_copied_to_its_place() {
    let folder = tempfile::tempdir().unwrap();
    let files = Files::watched(|call| match call {
        FileCall::Link => Err(io::ErrorKind::Unsupported.into()),
        _ => Ok(usize::MAX),
    });
    let packs = PackFolder::new(&files, &folder.path().join("packs"));
    packs.make_folders().unwrap();
    assert_eq!(packs.prepare(vec![id(1)]).unwrap().len(), 0);
    let mut writer = packs.create(id(2)).unwrap();
    let blob = "1".repeat(32).parse().unwrap();
    let at = writer.append(&blob, BlobKind::Frame, None, b"pixels").unwrap();
    writer.finish().unwrap();
    writer.keep();
    assert_eq!(packs.read(&at).unwrap(), "pixels");
    let copy = packs.link(&id(2), &id(3)).unwrap();
    copy.keep();
    assert!(packs.verify(&id(3), &[]).damaged.is_empty());
    assert_eq!(names(&folder.path().join("incoming")), 0);
}
