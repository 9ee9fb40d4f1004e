//! Each call on files of a whole process, those of SQLite included, fails in turn or is the last one.
//!
//! That takes a library which is put before the system's (`tests/interop/faults.c`): `FAULTS_LIBRARY`
//! names it, `FAULTS` says how many calls fail (240 without it), `ALL_FAULTS` makes it every one.

use std::path::Path;
use std::process::{Command, Stdio};

use healthimaging::{DatastoreId, Error, ErrorKind};
use healthimaging_local::LocalStore;

use crate::chance::Chance;
use crate::child::{ANSWER, carry_out};
use crate::deeds::{DEEDS, Deed, Template, idle};
use crate::faults::{before, prove};
use crate::plan::{Request, Step};
use crate::proof::Look;

/// Set for the child: its folder and its data store, and what it is to do.
const CHILD: &str = "HEALTHIMAGING_TEST_FAULTS_IN";
const REQUEST: &str = "HEALTHIMAGING_TEST_REQUEST";

/// Where the child says how many calls it made, in its folder.
const COUNT: &str = "count";

/// The process dies before the call; EIO; ENOSPC; the disk is full from half of a write on.
const HOWS: [&str; 4] = ["kill", "5", "28", "short"];

/// Where a call goes wrong, and how.
struct Fault<'a> {
    shim: &'a str,
    at: u64,
    how: &'a str,
}

#[tokio::test(flavor = "multi_thread")]
async fn each_call_of_the_process_on_its_files_may_fail_or_be_the_last() {
    if let Ok(arguments) = std::env::var(CHILD) {
        return serve(&arguments).await;
    }
    let Ok(library) = std::env::var("FAULTS_LIBRARY") else {
        return;
    };
    let seed = std::env::var("SEED").map_or(1, |seed| seed.parse().unwrap());
    let faults: usize = std::env::var("FAULTS").map_or(240, |text| text.parse().unwrap());
    let all = std::env::var_os("ALL_FAULTS").is_some();
    let template = Template::new().await;
    let mut chance = Chance::new(seed);
    let mut proven = 0;
    for deed in DEEDS {
        let calls = count(&template, deed, &library, &mut chance);
        for at in 1..=calls {
            for (number, how) in HOWS.iter().enumerate() {
                let share = calls * HOWS.len() as u64 * DEEDS.len() as u64;
                if !all && chance.below(share) >= faults as u64 {
                    continue;
                }
                let fault = Fault { shim: &library, at, how };
                let case = format!("SEED={seed}: {deed:?}, call {at} of {calls}: {}", HOWS[number]);
                trial(&template, deed, &fault, &case, &mut chance).await;
                proven += 1;
            }
        }
        report(&format!("{deed:?}: {calls} calls on files; {proven} faults proven so far"));
    }
    assert!(proven > 0);
}

#[expect(clippy::print_stderr, reason = "seen when the test fails")]
fn report(text: &str) {
    eprintln!("{text}");
}

/// How many calls a request makes, from the opening of the store to its closing.
fn count(template: &Template, deed: Deed, library: &str, chance: &mut Chance) -> u64 {
    let folder = template.copy();
    let step = deed.step(&before(template, deed), &folder.path().join("inputs"), chance);
    let mut command = child(folder.path(), &template.datastore, &step.request);
    let output = command.env("LD_PRELOAD", library).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    counted(folder.path())
}

/// How many calls the child of this folder made.
fn counted(folder: &Path) -> u64 {
    let text = std::fs::read_to_string(folder.join(COUNT)).unwrap();
    text.trim().parse().unwrap()
}

async fn trial(
    template: &Template,
    deed: Deed,
    fault: &Fault<'_>,
    case: &str,
    chance: &mut Chance,
) {
    let folder = template.copy();
    let before = before(template, deed);
    let step = deed.step(&before, &folder.path().join("inputs"), chance);
    let answer = ask(template, folder.path(), &step, fault);
    prove(template, deed, folder.path(), &before, (&step, answer), case, chance).await;
}

/// The answer of the child; none when it died before.
fn ask(
    template: &Template,
    folder: &Path,
    step: &Step,
    fault: &Fault<'_>,
) -> Option<Result<(), Error>> {
    let mut command = child(folder, &template.datastore, &step.request);
    command
        .env("FAULTS_AT", fault.at.to_string())
        .env("FAULTS_HOW", fault.how)
        .env("LD_PRELOAD", fault.shim);
    let output = command.output().unwrap();
    let killed = output.status.code().is_none();
    // Threads that meet each other in another order make some calls more or fewer: the last ones may not come.
    let due = fault.how == "kill" && (killed || counted(folder) >= fault.at);
    assert_eq!(killed, due, "{output:?}");
    report(&String::from_utf8(output.stderr).unwrap());
    let text = String::from_utf8(output.stdout).unwrap();
    let answer = text.lines().find_map(|line| line.strip_prefix(ANSWER));
    assert!(killed || answer.is_some(), "{text}");
    answer.map(|answer| match answer.trim() {
        "" => Ok(()),
        message => Err(Error::new(ErrorKind::Internal, message)),
    })
}

fn child(folder: &Path, datastore: &DatastoreId, request: &Request) -> Command {
    let name = "preload::each_call_of_the_process_on_its_files_may_fail_or_be_the_last";
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["--exact", name, "--nocapture"])
        .env(CHILD, format!("{datastore} {}", folder.display()))
        .env(REQUEST, serde_json::to_string(request).unwrap())
        .env("FAULTS_BELOW", folder.join("store"))
        .env("FAULTS_COUNT", folder.join(COUNT))
        .stdin(Stdio::null());
    command
}

#[expect(clippy::print_stdout, reason = "the parent reads it")]
fn answer(answer: Result<(), Error>) {
    match answer {
        Ok(()) => println!("\n{ANSWER}"),
        Err(error) => {
            report(&format!("{error:?}"));
            println!("\n{ANSWER} {}", error.message());
        }
    }
}

/// Opens the store, carries the request out, answers, closes.
async fn serve(arguments: &str) {
    let (datastore, folder) = arguments.split_once(' ').unwrap();
    let datastore = DatastoreId::try_from(datastore).unwrap();
    let request = serde_json::from_str(&std::env::var(REQUEST).unwrap()).unwrap();
    let store = match LocalStore::open(idle(Path::new(folder))).await {
        Ok(store) => store,
        Err(error) => return answer(Err(error)),
    };
    answer(carry_out(&store, &datastore, request).await);
    let look = Look { store: &store, datastore: &datastore };
    look.wait_for_jobs().await;
    store.close().await;
}
