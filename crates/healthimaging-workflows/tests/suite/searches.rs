//! Full searches for a certificate that are killed or stopped: they are continued, and find what a new one finds.

use std::fs;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use healthimaging::{DatastoreId, ErrorKind, ImageSetId, Result};
use healthimaging_jobs_sqlite::JobsFile;
use healthimaging_workflows::JobState;
use healthimaging_workflows::certificate::{
    self, Certifying, Event, Piece, Place, Request, SearchJobs, StoreScan, Verification, Visit,
};

use crate::fake::{Fake, Scene, document};

const FOLDER: &str = "HEALTHIMAGING_TEST_SEARCHED_FOLDER";
const CERTIFICATE: &str = "HEALTHIMAGING_TEST_SEARCHED_CERTIFICATE";
const DIES_AT: &str = "HEALTHIMAGING_TEST_SEARCH_DIES_AT";

/// What is erased; a UID, which is found in any bytes.
const STUDY: &str = "1.2.840.99.4711";
const PATIENT: &str = "MRN-20071984";
/// Packs, of which some 256 are recorded together.
const PACKS: usize = 300;
/// A pack before the kill, one behind it.
const EARLY: usize = 10;
const LATE: usize = 290;

/// The disk of a store: rows of its catalog, and how many packs were asked for their frames.
#[derive(Debug, Default)]
struct Disk {
    rows: Mutex<Vec<String>>,
    packs_read: AtomicUsize,
}

#[async_trait]
impl StoreScan for Disk {
    fn walk_image_set(
        &self,
        _: &DatastoreId,
        _: &ImageSetId,
        visit: &mut dyn FnMut(Piece<'_>),
    ) -> Result<Vec<String>> {
        visit(Piece::Attribute { keyword: "StudyInstanceUID", value: STUDY });
        visit(Piece::Attribute { keyword: "PatientID", value: PATIENT });
        visit(Piece::Frame { length: 4000, crc32: 7 });
        Ok(Vec::new())
    }

    fn walk(&self, _: &str, visit: &mut Visit<'_>) -> Result<()> {
        for row in self.rows.lock().unwrap().iter() {
            if visit(Piece::Text(row), &|| Place::new("a row")).is_break() {
                break;
            }
        }
        Ok(())
    }

    async fn settled(&self) -> Result<bool> {
        Ok(true)
    }

    fn packs_left(&self, _: &[String]) -> Vec<String> {
        Vec::new()
    }

    /// A pack whose text begins so has the frame that was erased.
    fn walk_pack(&self, file: &Path, visit: &mut dyn FnMut(u64, u32)) -> Result<()> {
        self.packs_read.fetch_add(1, Ordering::SeqCst);
        if fs::read(file).unwrap().starts_with(b"frame") {
            visit(4000, 7);
        }
        Ok(())
    }
}

fn pack(folder: &Path, number: usize) -> PathBuf {
    folder.join("packs/00").join(format!("{number:032x}.pack"))
}

/// A data folder with packs, of which none has what was erased, and the certificate of the erasure.
async fn erased() -> (Scene, String) {
    let certifying =
        Certifying { back_end: "fake".to_owned(), scan: Some(Arc::new(Disk::default())) };
    let scene = Scene::with(certifying);
    scene.fake.add(1, document(&[("1.2.3", 1)]), true);
    let plan = scene.certified_deletion().await;
    let (job, _) = scene.carry_out(plan).await;
    assert_eq!(job.job_status, JobState::Completed, "{job:?}");
    fs::create_dir_all(scene.folder.path().join("packs/00")).unwrap();
    for number in 0..PACKS {
        fs::write(pack(scene.folder.path(), number), "of another patient 1.2.840.99.47110")
            .unwrap();
    }
    let id = job.job_id.to_string();
    (scene, id)
}

fn jobs(folder: &Path) -> SearchJobs {
    let ledger = folder.join("ledger");
    let store = Arc::new(JobsFile::open(&ledger).unwrap());
    SearchJobs { store, locks: ledger.join("locks") }
}

/// Searches; what was found, and what happened but for bytes.
async fn search(
    (folder, id): (&Path, &str),
    disk: &Arc<Disk>,
    jobs: Option<SearchJobs>,
    values: &[&str],
    watch: impl Fn(&Event) -> ControlFlow<()> + Send + 'static,
) -> (Result<Verification>, Vec<Event>) {
    let request = Request {
        text: certificate::read(folder, &id.parse().unwrap()).unwrap(),
        data_folder: folder.to_owned(),
        back_end: "fake".to_owned(),
        values: values.iter().map(|value| (*value).to_owned()).collect(),
        full: true,
    };
    let events = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&events);
    let progress = move |event| {
        let flow = watch(&event);
        if !matches!(event, Event::Read(_)) {
            seen.lock().unwrap().push(event);
        }
        flow
    };
    let scan: Arc<dyn StoreScan> = Arc::clone(disk) as _;
    let found = certificate::verify(request, &Fake::default(), Some(scan), jobs, progress).await;
    let events = std::mem::take(&mut *events.lock().unwrap());
    (found.map(|(_, found)| found), events)
}

/// A search that is not stopped.
async fn whole(
    scene: (&Path, &str),
    disk: &Arc<Disk>,
    values: &[&str],
) -> (Verification, Vec<Event>) {
    let jobs = Some(jobs(scene.0));
    let (found, events) = search(scene, disk, jobs, values, |_| ControlFlow::Continue(())).await;
    (found.unwrap(), events)
}

/// Packs that a search continued behind, and those that had changed.
fn continued(events: &[Event]) -> Option<(u64, u64)> {
    events.iter().find_map(|event| match event {
        Event::Continues { packs, changed, .. } => Some((*packs, *changed)),
        _ => None,
    })
}

/// How many packs are recorded as read.
fn recorded(folder: &Path) -> usize {
    let jobs = jobs(folder).store;
    let left = jobs.unfinished("certificate").unwrap();
    left.iter()
        .map(|left| {
            let job = jobs.find("certificate", &left.id).unwrap().unwrap();
            jobs.items(job.row, 0, 10_000).unwrap().len()
        })
        .sum()
}

/// Not a test of its own: the process that dies when it has read so many packs.
#[tokio::test]
async fn child() {
    let (Ok(folder), Ok(id), Ok(dies_at)) =
        (std::env::var(FOLDER), std::env::var(CERTIFICATE), std::env::var(DIES_AT))
    else {
        return;
    };
    let (folder, dies_at) = (PathBuf::from(folder), dies_at.parse::<u64>().unwrap());
    let dies = move |event: &Event| {
        if matches!(event, Event::Packs { read, .. } if *read >= dies_at) {
            std::process::abort();
        }
        ControlFlow::Continue(())
    };
    let disk = Arc::new(Disk::default());
    let _ = search((&folder, &id), &disk, Some(jobs(&folder)), &[PATIENT], dies).await;
}

/// Searches in a process that dies when it has read so many packs; returns how many are recorded.
fn killed(folder: &Path, id: &str, dies_at: usize) -> usize {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["searches::child", "--exact"]);
    command.env(FOLDER, folder).env(CERTIFICATE, id).env(DIES_AT, dies_at.to_string());
    let died = command.output().unwrap();
    assert!(!died.status.success(), "{}", String::from_utf8_lossy(&died.stdout));
    recorded(folder)
}

#[tokio::test]
async fn a_killed_search_continues_and_reads_no_unchanged_pack_again() {
    let (scene, id) = erased().await;
    let folder = scene.folder.path();
    let at = killed(folder, &id, 280);
    assert!((256..=280).contains(&at), "{at}");
    // Another process dies, and the third one ends the search.
    let further = killed(folder, &id, 295);
    assert!((at..=295).contains(&further), "{further}");
    let disk = Arc::new(Disk::default());
    let (found, events) = whole((folder, &id), &disk, &[PATIENT]).await;
    assert_eq!(continued(&events), Some((further as u64, 0)), "{events:?}");
    assert!(found.is_clean(), "{found:?}");
    assert_eq!(disk.packs_read.load(Ordering::SeqCst), PACKS - further);
    assert_eq!(recorded(folder), 0);
    let locks: Vec<_> = fs::read_dir(folder.join("ledger/locks")).unwrap().collect();
    assert!(locks.is_empty(), "{locks:?}");

    // It has searched all that one without a break searches.
    let (unbroken, events) = whole((folder, &id), &disk, &[PATIENT]).await;
    assert_eq!(continued(&events), None);
    let (found, unbroken) = (found.search.unwrap(), unbroken.search.unwrap());
    assert_eq!((found.packs_read_before, unbroken.packs_read_before), (further as u64, 0));
    assert!(found.method.iter().any(|line| line.contains("interrupted and continued")));
    // The files of jobs and of the log of jobs are of other lengths now, in pieces of 1 MiB.
    assert_eq!(found.pieces, unbroken.pieces);
}

#[tokio::test]
async fn a_killed_search_finds_what_is_before_and_behind_the_kill() {
    let (scene, id) = erased().await;
    let folder = scene.folder.path();
    fs::write(pack(folder, EARLY), "frame").unwrap();
    fs::write(pack(folder, LATE), "frame").unwrap();
    fs::write(folder.join("audit.txt"), format!("study {STUDY}")).unwrap();
    killed(folder, &id, 280);
    let (found, events) = whole((folder, &id), &Arc::default(), &[PATIENT]).await;
    assert!(continued(&events).is_some(), "{events:?}");
    let places: Vec<&str> = found.found_elsewhere.keys().map(String::as_str).collect();
    let name = |number: usize| format!("packs/00/{number:032x}.pack");
    assert_eq!(places, ["audit.txt", &name(EARLY), &name(LATE)]);
    assert!(!found.is_clean());
}

#[tokio::test]
async fn what_comes_into_the_store_after_it_was_read_is_found() {
    let (scene, id) = erased().await;
    let folder = scene.folder.path();
    let at = killed(folder, &id, 280);
    let length = fs::metadata(pack(folder, 1)).unwrap().len();
    let mut remains = format!("frame {STUDY} ");
    remains.push_str(&"x".repeat(usize::try_from(length).unwrap() - remains.len()));
    // Written over a pack that was read; in its place, by its name; and in new ones.
    fs::write(pack(folder, 1), &remains).unwrap();
    fs::write(folder.join("new"), &remains).unwrap();
    fs::rename(folder.join("new"), pack(folder, 2)).unwrap();
    fs::write(pack(folder, PACKS), &remains).unwrap();
    fs::remove_file(pack(folder, 3)).unwrap();
    let disk = Arc::new(Disk::default());
    disk.rows.lock().unwrap().push(PATIENT.to_owned());
    let (found, events) = whole((folder, &id), &disk, &[]).await;
    // Without the value, another search.
    assert!(matches!(events.first(), Some(Event::Restarts(_))), "{events:?}");
    assert_eq!(continued(&events), None);
    assert_eq!(found.found_elsewhere.len(), 4, "{found:?}");

    for number in [1, 2, 3] {
        fs::write(pack(folder, number), "of another patient 1.2.840.99.47110").unwrap();
    }
    fs::remove_file(pack(folder, PACKS)).unwrap();
    assert!(killed(folder, &id, 280) >= at.min(256));
    fs::write(pack(folder, 1), &remains).unwrap();
    fs::write(folder.join("new"), &remains).unwrap();
    fs::rename(folder.join("new"), pack(folder, 2)).unwrap();
    fs::write(pack(folder, PACKS), &remains).unwrap();
    fs::remove_file(pack(folder, 3)).unwrap();
    let (found, events) = whole((folder, &id), &disk, &[PATIENT]).await;
    let (packs, changed) = continued(&events).unwrap();
    assert_eq!(changed, 2, "{events:?}");
    assert!(packs >= 253, "{events:?}");
    let places: Vec<&str> = found.found_elsewhere.keys().map(String::as_str).collect();
    let name = |number: usize| format!("packs/00/{number:032x}.pack");
    assert_eq!(places, ["a row", &name(1), &name(2), &name(PACKS)], "{found:?}");
}

#[tokio::test]
async fn what_a_search_keeps_has_no_value_and_is_removed_at_its_end() {
    let (scene, id) = erased().await;
    let folder = scene.folder.path();
    fs::write(folder.join(format!("packs/00/{PATIENT}.pack")), "a name of a foreign file").unwrap();
    let stops = |event: &Event| match event {
        Event::Packs { read, .. } if *read > PACKS as u64 => ControlFlow::Break(()),
        _ => ControlFlow::Continue(()),
    };
    let disk = Arc::new(Disk::default());
    let stopped = search((folder, &id), &disk, Some(jobs(folder)), &[PATIENT], stops).await;
    assert_eq!(stopped.0.unwrap_err().kind(), ErrorKind::Conflict);
    assert_eq!(recorded(folder), PACKS + 1);
    for file in fs::read_dir(folder.join("ledger")).unwrap().map(|entry| entry.unwrap().path()) {
        let bytes = fs::read(&file).unwrap_or_default();
        for value in [PATIENT, STUDY, "foreign"] {
            let is_held = bytes.windows(value.len()).any(|part| part == value.as_bytes());
            assert!(!is_held, "{value} in {}", file.display());
        }
    }
    let (found, events) = whole((folder, &id), &disk, &[PATIENT]).await;
    assert_eq!(continued(&events), Some((PACKS as u64 + 1, 0)));
    assert!(found.is_clean(), "{found:?}");
    assert_eq!(disk.packs_read.load(Ordering::SeqCst), PACKS + 1, "none is read twice");
    assert_eq!(recorded(folder), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_search_at_the_same_time_is_not_recorded() {
    let (scene, id) = erased().await;
    let folder = scene.folder.path().to_owned();
    let second = Arc::new(Mutex::new(None));
    let (inside, of_second, of_id) = (Arc::clone(&second), folder.clone(), id.clone());
    let runtime = tokio::runtime::Handle::current();
    let watch = move |event: &Event| {
        if matches!(event, Event::Packs { read: 5, .. }) {
            let (disk, goes_on) = (Arc::default(), |_: &Event| ControlFlow::Continue(()));
            let jobs = Some(jobs(&of_second));
            let searched = search((&of_second, &of_id), &disk, jobs, &[], goes_on);
            *inside.lock().unwrap() = Some(runtime.block_on(searched));
        }
        ControlFlow::Continue(())
    };
    let first = search((&folder, &id), &Arc::default(), Some(jobs(&folder)), &[], watch).await;
    assert!(first.0.unwrap().is_clean());
    let (found, events) = second.lock().unwrap().take().unwrap();
    assert!(found.unwrap().is_clean());
    assert!(matches!(&events[..], [Event::NotResumable(why)] if why.contains("another process")));
    assert_eq!(recorded(&folder), 0);
}
