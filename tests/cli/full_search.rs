//! `certificate verify --full` that is killed, stopped, or cannot be recorded.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use rusqlite::{Connection, OpenFlags};

use crate::certificate::{Store, packs};
use crate::folder::mounting;
use crate::rig::{stderr, stdout, text};

/// Length of a file of zeros that a search reads for longer than the test needs; it has no blocks on the disk.
const ENDLESS: u64 = 1 << 36;

/// A store from which a patient was erased, the ID of the certificate, and a pack of the patient.
fn erased() -> (Store, String, Vec<u8>) {
    let store = Store::new();
    let before: Vec<(PathBuf, Vec<u8>)> = packs(&store.data())
        .into_iter()
        .map(|pack| (pack.clone(), fs::read(pack).unwrap()))
        .collect();
    let (_, id) = store.erase();
    let (_, pack) = before.into_iter().find(|(pack, _)| !pack.exists()).unwrap();
    (store, id, pack)
}

/// The place of a pack; those of the store are between 00 and ff.
fn place(store: &Store, digits: &str) -> PathBuf {
    let shelf = store.data().join("packs").join(digits);
    fs::create_dir_all(&shelf).unwrap();
    shelf.join(format!("{}.pack", digits.repeat(16)))
}

/// How many packs are recorded as read.
fn recorded(data: &Path) -> i64 {
    let file = data.join("ledger/jobs.sqlite");
    let jobs = Connection::open_with_flags(file, OpenFlags::SQLITE_OPEN_READ_WRITE).unwrap();
    let count = "SELECT count(*) FROM job_item JOIN job ON job.row = job_item.job WHERE scope = 'certificate'";
    // It is busy while its log is made.
    jobs.query_row(count, [], |row| row.get(0)).unwrap_or_default()
}

/// Ends a search by a signal when it has recorded packs, and is at one that it does not end.
fn ended_by(signal: &str, store: &Store, id: &str) -> Output {
    let endless = place(store, "ff");
    File::create(&endless).unwrap().set_len(ENDLESS).unwrap();
    let mut command = store.rig.command(&["certificate", "verify", id, "--full"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    while recorded(&store.data()) == 0 {
        assert_eq!(child.try_wait().unwrap(), None, "it ended before its end");
        std::thread::yield_now();
    }
    let sent = Command::new("kill").args([signal, &child.id().to_string()]).status().unwrap();
    assert!(sent.success());
    let output = child.wait_with_output().unwrap();
    fs::remove_file(endless).unwrap();
    output
}

fn continues(output: &Output) -> bool {
    stderr(output).contains("continues the search that was begun at ")
}

#[test]
fn a_search_that_is_killed_is_continued_and_finds_what_is_before_and_behind() {
    let (store, id, pack) = erased();
    let (early, late) = (place(&store, "00"), place(&store, "fe"));
    fs::write(&early, &pack).unwrap();
    let killed = ended_by("-KILL", &store, &id);
    assert_eq!(killed.status.code(), None, "{}", stderr(&killed));
    fs::write(&late, &pack).unwrap();
    let found = store.verify(&[&id, "--full"]);
    assert_eq!(found.status.code(), Some(1), "{}", stderr(&found));
    assert!(continues(&found), "{}", stderr(&found));
    for pack in [&early, &late] {
        let name = pack.strip_prefix(store.data()).unwrap();
        let line = format!("{}: 1 identifier", text(name));
        assert!(stdout(&found).contains(&line), "{line} of {}", stdout(&found));
        fs::remove_file(pack).unwrap();
    }
    assert_eq!(recorded(&store.data()), 0);
    let clean = store.verify(&[&id, "--full"]);
    assert_eq!(clean.status.code(), Some(0), "{}", stdout(&clean));
    assert!(!continues(&clean), "{}", stderr(&clean));
}

#[test]
fn a_search_that_is_stopped_is_continued() {
    let (store, id, pack) = erased();
    let stopped = ended_by("-INT", &store, &id);
    assert_eq!(stopped.status.code(), Some(1), "{}", stdout(&stopped));
    assert!(stderr(&stopped).contains("the same command continues"), "{}", stderr(&stopped));
    // The one pack of the other patient, which was read, becomes one of the erased patient.
    let read = packs(&store.data()).into_iter().find(|pack| fs::metadata(pack).unwrap().len() > 0);
    let read = read.unwrap();
    let kept = fs::read(&read).unwrap();
    fs::write(&read, pack).unwrap();
    let found = store.verify(&[&id, "--full"]);
    assert!(stderr(&found).contains("starts again"), "{}", stderr(&found));
    assert!(stdout(&found).contains(".pack: 1 identifier"), "{}", stdout(&found));
    fs::write(&read, kept).unwrap();

    ended_by("-INT", &store, &id);
    let clean = store.verify(&[&id, "--full"]);
    assert_eq!(clean.status.code(), Some(0), "{}", stdout(&clean));
    assert!(continues(&clean), "{}", stderr(&clean));
    assert!(stderr(&clean).contains("was interrupted and continued"), "{}", stderr(&clean));
}

#[test]
fn a_search_that_must_not_write_is_not_recorded() {
    let (store, id, _) = erased();
    let checked = store.rig.run(&["--read-only", "certificate", "verify", &id, "--full"]);
    assert_eq!(checked.status.code(), Some(0), "{} {}", stdout(&checked), stderr(&checked));
    assert!(stderr(&checked).contains("cannot be continued"), "{}", stderr(&checked));
    // Without --full nothing is a job.
    let checked = store.rig.run(&["--read-only", "certificate", "verify", &id]);
    assert!(!stderr(&checked).contains("cannot be continued"), "{}", stderr(&checked));
}

#[test]
fn a_search_of_a_disk_that_is_mounted_read_only_ends_without_a_record() {
    let (store, id, _) = erased();
    fs::create_dir(store.rig.path("disk")).unwrap();
    let script = format!(
        "cp -r store disk/store
        mount -o remount,ro disk
        $HMS certificate verify {id} --full 2> verified.txt"
    );
    let Some(output) = mounting(store.rig.folder.path(), &script) else { return };
    let verified = fs::read_to_string(store.rig.path("verified.txt")).unwrap_or_default();
    assert_eq!(output.status.code(), Some(0), "{verified} {}", stderr(&output));
    assert!(verified.contains("cannot be continued"), "{verified}");
    assert!(verified.contains("nothing of what was erased was found"), "{verified}");
}
