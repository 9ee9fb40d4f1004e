//! The process is killed at random moments, and the folder opened again.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver};
use std::time::Duration;

use healthimaging::DatastoreId;
use healthimaging_local::{LocalConfig, LocalStore};
use tempfile::TempDir;
use tokio::runtime::Runtime;

use crate::chance::Chance;
use crate::child::{self, ANSWER, MOST_KILLS_IN_A_ROW, active_datastore, config};
use crate::deeds::new_folder;
use crate::model::{Effect, Sets, agrees};
use crate::plan::{Planner, Step};
use crate::proof::{Look, holders, holds, tidy, until};
use crate::source::{mark, study_uid};

/// Set for the child: its folder and its data store.
const CHILD: &str = "HEALTHIMAGING_TEST_KILLED_IN";
/// Patients that are written at once.
const PATIENTS: usize = 4;
/// Kills before an empty folder is begun with.
const PER_FOLDER: u64 = 30;
/// The longest wait before a kill is 2 to this power, in microseconds: 0.13 s.
const LONGEST_WAIT: u64 = 17;

fn number(variable: &str, otherwise: u64) -> u64 {
    std::env::var(variable).map_or(otherwise, |text| text.parse().unwrap())
}

#[test]
fn what_was_acknowledged_outlives_any_kill_and_nothing_is_half_visible() {
    if let Ok(arguments) = std::env::var(CHILD) {
        let (datastore, folder) = arguments.split_once(' ').unwrap();
        let datastore = DatastoreId::try_from(datastore).unwrap();
        return runtime().block_on(child::serve(Path::new(folder), datastore));
    }
    let (kills, seed) = (number("KILLS", 36), number("SEED", 1));
    let mut tally = Tally::default();
    let mut trial = Trial::new(Chance::new(seed));
    for kill in 0..kills {
        if kill % PER_FOLDER == PER_FOLDER - 1 {
            trial = Trial::new(trial.chance);
        }
        report(&format!("SEED={seed}, kill {kill}"));
        trial.round(&mut tally);
    }
    report(&format!("{kills} kills: {tally:?}"));
    assert!(tally.unanswered > 0 && tally.answered > 0, "{tally:?}");
}

/// What the kills met.
#[derive(Debug, Default)]
struct Tally {
    answered: u64,
    unanswered: u64,
    /// Kills of a process that had only to recover.
    recovering: u64,
    /// Kills that another process saw, which had the folder open and took over.
    seen: u64,
    /// Patients that were erased to the last byte.
    erased: u64,
}

#[expect(clippy::print_stderr, reason = "seen when the test fails")]
fn report(text: &str) {
    eprintln!("{text}");
}

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

/// A folder and what is known of it.
struct Trial {
    runtime: Arc<Runtime>,
    chance: Chance,
    folder: TempDir,
    datastore: DatastoreId,
    known: BTreeMap<u32, Sets>,
    next_patient: u32,
}

/// What a kill comes a little after.
#[derive(Debug, Clone, Copy)]
enum Since {
    Start,
    Answer,
}

/// A request of a round, and whether its response was received.
struct Asked {
    patient: u32,
    step: Step,
    answered: bool,
}

impl Trial {
    fn new(chance: Chance) -> Self {
        let folder = new_folder();
        let runtime = runtime();
        let datastore = runtime.block_on(async {
            let store = LocalStore::open(config(folder.path())).await.unwrap();
            let datastore = active_datastore(&store).await;
            store.close().await;
            datastore
        });
        Self {
            runtime: Arc::new(runtime),
            chance,
            folder,
            datastore,
            known: BTreeMap::new(),
            next_patient: 1,
        }
    }

    fn store(&self) -> PathBuf {
        self.folder.path().join("store")
    }

    /// Asks, kills, and proves.
    fn round(&mut self, tally: &mut Tally) {
        let mut asked = self.plan();
        let runtime = Arc::clone(&self.runtime);
        let traces = runtime.block_on(self.traces(&asked));
        let witness = (self.chance.below(6) == 0).then(|| runtime.block_on(self.open()));
        self.ask_and_kill(&mut asked);
        tally.answered += asked.iter().filter(|one| one.answered).count() as u64;
        tally.unanswered += asked.iter().filter(|one| !one.answered).count() as u64;
        for _ in 1..MOST_KILLS_IN_A_ROW {
            if self.chance.below(4) != 0 {
                break;
            }
            tally.recovering += 1;
            let mut child = self.spawn();
            self.wait_a_little(Since::Start);
            child.kill();
        }
        runtime.block_on(async {
            let store = if let Some(witness) = witness {
                tally.seen += 1;
                witness
            } else {
                self.look_before_recovery().await;
                self.open().await
            };
            self.prove(&store, &asked, &traces, tally).await;
        });
    }

    fn plan(&mut self) -> Vec<Asked> {
        let mut patients: Vec<u32> = self.known.keys().copied().collect();
        while patients.len() < PATIENTS {
            patients.push(self.next_patient);
            self.next_patient += 1;
        }
        let mut asked = Vec::new();
        for patient in patients {
            let sets = self.known.get(&patient).cloned().unwrap_or_default();
            let mut planner = Planner {
                chance: &mut self.chance,
                inputs: &self.folder.path().join("inputs"),
                patient,
                sets: &sets,
            };
            asked.extend(planner.plan().into_iter().map(|step| Asked {
                patient,
                step,
                answered: false,
            }));
        }
        asked
    }

    fn ask_and_kill(&mut self, asked: &mut [Asked]) {
        let mut child = self.spawn();
        for one in asked.iter() {
            child.send(&serde_json::to_string(&one.step.request).unwrap());
        }
        let awaited = self.chance.below(asked.len() as u64 + 1);
        let mut answers = Vec::new();
        for _ in 0..awaited {
            answers.extend(child.answers.recv().ok());
        }
        self.wait_a_little(match awaited {
            0 => Since::Start,
            _ => Since::Answer,
        });
        child.kill();
        // What it wrote before it died was received.
        answers.extend(child.answers.iter());
        for answer in answers {
            let (number, error) = answer.split_once(' ').unwrap_or((&answer, ""));
            let number: usize = number.parse().unwrap();
            assert_eq!(error, "", "{:?}", asked[number].step);
            asked[number].answered = true;
        }
    }

    /// Waits for a random time, mostly a short one. No proof rests on how long it is.
    fn wait_a_little(&mut self, since: Since) {
        let most = match since {
            Since::Start => LONGEST_WAIT,
            Since::Answer => self.chance.below(LONGEST_WAIT),
        };
        let time = self.chance.below(1 << most);
        std::thread::sleep(Duration::from_micros(time));
    }

    fn spawn(&self) -> Victim {
        let arguments = format!("{} {}", self.datastore, self.folder.path().display());
        let name = "kills::what_was_acknowledged_outlives_any_kill_and_nothing_is_half_visible";
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", name, "--nocapture"])
            .env(CHILD, arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let out = BufReader::new(child.stdout.take().unwrap());
        let (sender, answers) = mpsc::channel();
        std::thread::spawn(move || {
            for line in out.lines().map_while(Result::ok) {
                // With one thread the harness begins the line, and does not end it.
                let answer = line.split_once(ANSWER).map(|(_, rest)| rest.trim().to_owned());
                if answer.is_some_and(|answer| sender.send(answer).is_err()) {
                    break;
                }
            }
        });
        Victim { child, answers }
    }

    async fn open(&self) -> Arc<LocalStore> {
        LocalStore::open(config(self.folder.path())).await.unwrap()
    }

    /// Opens the store without taking anything over.
    async fn open_idle(&self) -> Arc<LocalStore> {
        let config = LocalConfig { run_jobs: false, ..config(self.folder.path()) };
        LocalStore::open(config).await.unwrap()
    }

    /// As another process would see the folder before anybody has taken over.
    async fn look_before_recovery(&self) {
        let store = self.open_idle().await;
        let look = Look { store: &store, datastore: &self.datastore };
        look.all().await;
        look.verify().await;
        store.close().await;
    }

    async fn prove(
        &mut self,
        store: &LocalStore,
        asked: &[Asked],
        traces: &Traces,
        tally: &mut Tally,
    ) {
        let look = Look { store, datastore: &self.datastore };
        assert_eq!(look.settle().await, Vec::<String>::new(), "no job fails");
        assert_eq!(look.failures().await, Vec::<String>::new(), "no write fails");
        let found = look.all().await;
        let patients: BTreeSet<u32> = asked.iter().map(|one| one.patient).collect();
        for patient in &patients {
            let of_patient: Vec<&Asked> =
                asked.iter().filter(|one| one.patient == *patient).collect();
            let effects = |answered: bool| -> Vec<&Effect> {
                let chosen = of_patient.iter().filter(|one| one.answered == answered);
                chosen.flat_map(|one| &one.step.effects).collect()
            };
            let (now, before) = (found.get(patient), self.known.get(patient));
            let (now, before) =
                (now.cloned().unwrap_or_default(), before.cloned().unwrap_or_default());
            let steps: Vec<_> =
                of_patient.iter().map(|one| (one.answered, &one.step.request)).collect();
            assert!(
                agrees(&now, &before, &effects(true), &effects(false)),
                "patient {patient}\nbefore {before:#?}\nasked {steps:#?}\nnow {now:#?}"
            );
        }
        assert!(found.keys().all(|patient| patients.contains(patient)));
        look.verify().await;
        let folder = self.store();
        until(async || tidy(&folder)).await;
        let kept = look.documents(&found).await;
        for (patient, traces) in traces {
            if !found.contains_key(patient) {
                tally.erased += 1;
                let traces = of_nobody_else(traces, &kept);
                until(async || match holders(&folder, &traces) {
                    left if left.is_empty() => Ok(()),
                    left => Err(format!("patient {patient} is left in {left:?}")),
                })
                .await;
            }
        }
        store.close().await;
        self.known = found;
    }

    /// By what the patients of whom something is to be deleted are known on the disk.
    async fn traces(&self, asked: &[Asked]) -> Traces {
        let mut traces = Traces::new();
        let store = self.open_idle().await;
        let look = Look { store: &store, datastore: &self.datastore };
        for one in asked {
            let mut deleted = one.step.effects.iter().flat_map(|effect| &effect.deleted);
            if deleted.next().is_none() || traces.contains_key(&one.patient) {
                continue;
            }
            let text = [mark(one.patient), study_uid(one.patient)];
            let mut needles = Vec::from(text.map(String::into_bytes));
            for (id, set) in &self.known[&one.patient] {
                needles.extend(look.traces(id, set.number()).await);
            }
            for needle in &needles {
                let holders = holders(&self.store(), std::slice::from_ref(needle));
                assert!(!holders.is_empty(), "the search finds what is there");
            }
            traces.insert(one.patient, needles);
        }
        store.close().await;
        traces
    }
}

/// Bytes by which patients are known on the disk.
type Traces = BTreeMap<u32, Vec<Vec<u8>>>;

/// The traces that no document of another patient holds: packed, two that are much alike may share bytes.
fn of_nobody_else(traces: &[Vec<u8>], kept: &[Vec<u8>]) -> Vec<Vec<u8>> {
    let mut own = traces.to_vec();
    own.retain(|trace| !kept.iter().any(|document| holds(document, trace)));
    own
}

/// The process that is killed.
struct Victim {
    child: Child,
    answers: Receiver<String>,
}

impl Victim {
    fn send(&mut self, line: &str) {
        let input = self.child.stdin.as_mut().unwrap();
        writeln!(input, "{line}").unwrap();
    }

    /// `SIGKILL`; its locks are free when this returns.
    fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}
