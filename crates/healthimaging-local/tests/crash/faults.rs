//! Each call on a file of the store fails in turn: the answer is clear, nothing is half-visible, nothing
//! acknowledged is lost, and the store works again once the fault is gone.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use healthimaging::{Error, ErrorKind};
use healthimaging_local::{FileCall, Files, LocalConfig, LocalStore};

use crate::chance::Chance;
use crate::child::{carry_out, config};
use crate::deeds::{DEEDS, Deed, Template, idle};
use crate::model::{Effect, Set, Sets, agrees};
use crate::plan::{Request, Step};
use crate::proof::{Look, tidy, until};

const EIO: i32 = 5;
const ENOSPC: i32 = 28;

/// What goes wrong at the call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    /// The call fails, once.
    Once(i32),
    /// A write takes half of what it was given; from then on the disk is full.
    Full,
}

const FAULTS: [Fault; 3] = [Fault::Once(EIO), Fault::Once(ENOSPC), Fault::Full];

/// Files of which one call goes wrong.
struct Trap {
    seen: AtomicUsize,
    /// Which call, from 1.
    at: AtomicUsize,
    fault: Fault,
}

impl Trap {
    fn new(fault: Fault) -> Arc<Self> {
        Arc::new(Self { seen: AtomicUsize::new(0), at: AtomicUsize::new(usize::MAX), fault })
    }

    fn files(self: &Arc<Self>) -> Files {
        let trap = Arc::clone(self);
        Files::watched(move |call| trap.answer(call))
    }

    /// The call `at` from now goes wrong.
    fn set(&self, at: usize) {
        self.seen.store(0, Ordering::SeqCst);
        self.at.store(at, Ordering::SeqCst);
    }

    fn has_sprung(&self) -> bool {
        self.seen.load(Ordering::SeqCst) >= self.at.load(Ordering::SeqCst)
    }

    fn answer(&self, call: FileCall) -> io::Result<usize> {
        let seen = self.seen.fetch_add(1, Ordering::SeqCst) + 1;
        let at = self.at.load(Ordering::SeqCst);
        let grows = matches!(
            call,
            FileCall::MakeFolder
                | FileCall::Make
                | FileCall::Write
                | FileCall::Sync
                | FileCall::Move
                | FileCall::Link
        );
        match self.fault {
            Fault::Once(ENOSPC) if !grows => Ok(usize::MAX),
            Fault::Once(code) if seen == at => Err(io::Error::from_raw_os_error(code)),
            Fault::Full if seen == at && call == FileCall::Write => Ok(100),
            Fault::Full if seen >= at && grows => Err(io::Error::from_raw_os_error(ENOSPC)),
            Fault::Once(_) | Fault::Full => Ok(usize::MAX),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_call_on_a_file_may_fail() {
    let template = Template::new().await;
    let mut chance = Chance::new(5);
    let mut sprung = 0;
    for deed in DEEDS {
        for at in 1.. {
            // All faults at each call take minutes.
            let faults = if std::env::var_os("ALL_FAULTS").is_some() {
                &FAULTS[..]
            } else {
                &FAULTS[at % 3..][..1]
            };
            let mut any = false;
            for fault in faults {
                any |= trial(&template, deed, *fault, at, &mut chance).await;
                sprung += usize::from(any);
            }
            if !any {
                break;
            }
        }
    }
    assert!(sprung > 50, "{sprung} calls failed");
}

/// The sets of the patient that a deed is for.
pub(crate) fn before(template: &Template, deed: Deed) -> Sets {
    match deed {
        Deed::Arrive(_) => Sets::new(),
        _ => template.sets.clone(),
    }
}

/// One request with one fault; whether the fault came to pass.
async fn trial(
    template: &Template,
    deed: Deed,
    fault: Fault,
    at: usize,
    chance: &mut Chance,
) -> bool {
    let folder = template.copy();
    let inputs = folder.path().join("inputs");
    let before = before(template, deed);
    let trap = Trap::new(fault);
    let store = LocalStore::open(LocalConfig { files: trap.files(), ..idle(folder.path()) });
    let store = store.await.unwrap();
    let step = deed.step(&before, &inputs, chance);
    trap.set(at);
    let answer = carry_out(&store, &template.datastore, step.request.clone()).await;
    let look = Look { store: &store, datastore: &template.datastore };
    look.wait_for_jobs().await;
    store.close().await;
    drop(store);
    let case = format!("{deed:?}, {fault:?} at call {at}");
    prove(template, deed, folder.path(), &before, (&step, Some(answer)), &case, chance).await;
    trap.has_sprung()
}

/// After the fault: what is there, what is reported, and that everything works again. There is no answer
/// of a process that died.
pub(crate) async fn prove(
    template: &Template,
    deed: Deed,
    folder: &Path,
    before: &Sets,
    (step, answer): (&Step, Option<Result<(), Error>>),
    case: &str,
    chance: &mut Chance,
) {
    if let Some(Err(error)) = &answer {
        assert_eq!(error.kind(), ErrorKind::Internal, "{case}: {error:?}");
        assert_clear(error.message(), case);
    }
    let store = LocalStore::open(config(folder)).await.unwrap();
    let look = Look { store: &store, datastore: &template.datastore };
    let mut reported = look.settle().await;
    reported.extend(look.failures().await);
    for message in &reported {
        assert_clear(message, case);
    }
    look.verify().await;
    let found = sets_of(&look, deed).await;
    let parts = parts(step);
    let open: Vec<&Effect> = parts.iter().collect();
    let whole: Vec<&Effect> = step.effects.iter().collect();
    let done = agrees(&found, before, &whole, &[]);
    let untouched = !matches!(answer, Some(Ok(()))) || !reported.is_empty();
    let failed = after_failure(before, step);
    // What is stored over DICOMweb is answered file by file: of a set some may have failed.
    let file_by_file = matches!(step.request, Request::Store { .. });
    assert!(
        done || untouched
            && (file_by_file
                || agrees(&found, before, &[], &open)
                || agrees(&found, &failed, &[], &[])),
        "{case}: {answer:?} {reported:?}\nbefore {before:#?}\nnow {found:#?}"
    );
    if !done {
        let again = deed.step(&found, &folder.join("inputs"), chance);
        let answer = carry_out(&store, &template.datastore, again.request).await;
        answer.unwrap_or_else(|error| panic!("{case}, again: {error:?}"));
        look.settle().await;
        let now = sets_of(&look, deed).await;
        let whole: Vec<&Effect> = again.effects.iter().collect();
        assert!(agrees(&now, &found, &whole, &[]), "{case}, again: {now:#?}");
        look.verify().await;
    }
    // A process that stores over DICOMweb has made packs for the next requests.
    store.close().await;
    drop(store);
    let store = LocalStore::open(config(folder)).await.unwrap();
    until(async || tidy(&folder.join("store")).map_err(|left| format!("{case}: {left}"))).await;
    store.close().await;
}

async fn sets_of(look: &Look<'_>, deed: Deed) -> Sets {
    look.all().await.remove(&deed.patient()).unwrap_or_default()
}

/// The answer says what is wrong with the disk and what to do.
fn assert_clear(message: &str, case: &str) {
    let what_to_do = message.contains("free") || message.contains("again");
    let clear = message.contains("disk") && what_to_do;
    // Of a file that came in: it is stored again when it is sent again.
    let of_input = message.contains("could not be read: Input/output error");
    assert!(clear || of_input, "{case}: {message}");
}

/// A job that fails leaves the sets that it had made: each whole.
fn parts(step: &Step) -> Vec<Effect> {
    let mut parts = Vec::new();
    for effect in &step.effects {
        if effect.made.len() < 2 {
            parts.push(effect.clone());
            continue;
        }
        parts.extend(
            effect.made.iter().map(|set| Effect { made: vec![set.clone()], ..Effect::default() }),
        );
    }
    parts
}

/// Sets that were to be changed, with a version that says that this failed and shows the old content.
fn after_failure(before: &Sets, step: &Step) -> Sets {
    let mut after = before.clone();
    for id in step.effects.iter().flat_map(|effect| effect.changed.keys()) {
        let failed = before.get(id).map(|set| set.and(set.latest().clone()));
        after.extend(failed.map(|set: Set| (id.clone(), set)));
    }
    after
}

#[tokio::test(flavor = "multi_thread")]
async fn short_reads_and_writes_are_gone_on_with() {
    let template = Template::new().await;
    let mut chance = Chance::new(6);
    for deed in DEEDS {
        let folder = template.copy();
        let before = before(&template, deed);
        let step = deed.step(&before, &folder.path().join("inputs"), &mut chance);
        let store = LocalStore::open(LocalConfig {
            files: Files::watched(|_| Ok(7)),
            ..config(folder.path())
        });
        let store = store.await.unwrap();
        let look = Look { store: &store, datastore: &template.datastore };
        carry_out(&store, &template.datastore, step.request).await.unwrap();
        assert_eq!(look.settle().await, Vec::<String>::new());
        let found = sets_of(&look, deed).await;
        let effects: Vec<&Effect> = step.effects.iter().collect();
        assert!(agrees(&found, &before, &effects, &[]), "{deed:?}");
        look.verify().await;
        store.close().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_cannot_be_opened_says_why_and_can_be_opened_later() {
    let template = Template::new().await;
    for at in 1.. {
        let folder = template.copy();
        let trap = Trap::new(FAULTS[at % 3]);
        trap.set(at);
        let opened = LocalStore::open(LocalConfig { files: trap.files(), ..idle(folder.path()) });
        let opened = opened.await;
        let sprung = trap.has_sprung();
        match opened {
            Ok(store) => store.close().await,
            Err(error) => assert_clear(error.message(), &format!("call {at}")),
        }
        let store = LocalStore::open(config(folder.path())).await.unwrap();
        store.close().await;
        if !sprung {
            assert!(at > 4);
            break;
        }
    }
}
