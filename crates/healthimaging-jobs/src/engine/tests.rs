use std::collections::BTreeMap;

use healthimaging::{ErrorKind, Timestamp};

use super::*;
use crate::needs::Needs;

/// A store of jobs in memory, and the locks that are held.
#[derive(Default)]
struct Memory {
    engine: Engine,
    runner: Runner,
    tasks: TaskTracker,
    jobs: Mutex<BTreeMap<String, Job>>,
    held: Arc<Mutex<HashSet<String>>>,
    released: Mutex<Vec<String>>,
    /// Jobs in the order in which they ran.
    ran: Mutex<Vec<String>>,
}

struct Lock(String, Arc<Mutex<HashSet<String>>>);

impl Drop for Lock {
    fn drop(&mut self) {
        self.1.lock().unwrap().remove(&self.0);
    }
}

fn at() -> Timestamp {
    Timestamp::from_timestamp_millis(1).unwrap()
}

fn completed() -> End {
    End { state: JobState::Completed, at: at(), message: None, report: None, request: None }
}

/// Does what the kind of the job says.
fn handle(memory: &Arc<Memory>, job: Job, _: Origin) -> BoxFuture<'_, Result<Ran>> {
    async move {
        memory.ran.lock().unwrap().push(job.id.to_string());
        match job.kind.as_str() {
            "well" => Ok(Ran::Ended(completed())),
            "left" => Ok(Ran::Left),
            "panics" => panic!("a fault"),
            "denied" => Err(Error::new(ErrorKind::AccessDenied, "no access")),
            _ => Err(Error::validation("bad")),
        }
    }
    .boxed()
}

#[async_trait]
impl Host for Memory {
    type Lease = Lock;

    fn handler(kind: &str) -> Option<Handler<Self>> {
        (kind != "unknown").then_some(handle as Handler<Self>)
    }

    fn engine(&self) -> &Engine {
        &self.engine
    }

    fn runner(&self) -> &Runner {
        &self.runner
    }

    fn tasks(&self) -> &TaskTracker {
        &self.tasks
    }

    async fn unfinished(&self) -> Result<Vec<Unfinished>> {
        let jobs = self.jobs.lock().unwrap();
        let left = jobs.values().filter(|job| !job.state.has_ended());
        Ok(left.map(|job| Unfinished { id: job.id.clone(), lease: job.lease.clone() }).collect())
    }

    async fn find(&self, id: &JobId) -> Result<Option<Job>> {
        Ok(self.jobs.lock().unwrap().get(id.as_str()).cloned())
    }

    async fn hold(&self, job: &Job, reason: String) -> Result<()> {
        self.change(&job.id, |job| job.message = Some(reason));
        Ok(())
    }

    async fn end(&self, job: &Job, end: End) -> Result<()> {
        self.change(&job.id, |job| (job.state, job.message) = (end.state, end.message));
        Ok(())
    }

    fn lease(&self, name: &str) -> Result<Option<Lock>> {
        let is_free = self.held.lock().unwrap().insert(name.to_owned());
        Ok(is_free.then(|| Lock(name.to_owned(), Arc::clone(&self.held))))
    }

    fn release(&self, lease: Lock) -> Result<()> {
        self.released.lock().unwrap().push(lease.0.clone());
        Ok(())
    }

    fn now(&self) -> Timestamp {
        at()
    }
}

impl Memory {
    fn with(jobs: impl IntoIterator<Item = (&'static str, &'static str)>) -> Self {
        let memory = Self::default();
        for (id, kind) in jobs {
            let job = Job::new(JobId::try_from(id).unwrap(), "test", kind, at());
            memory.jobs.lock().unwrap().insert(id.to_owned(), job);
        }
        memory
    }

    fn change(&self, id: &JobId, change: impl FnOnce(&mut Job)) {
        change(self.jobs.lock().unwrap().get_mut(id.as_str()).unwrap());
    }

    fn job(&self, id: &str) -> Job {
        self.jobs.lock().unwrap()[id].clone()
    }

    async fn adopt_all(self: &Arc<Self>) -> Vec<String> {
        adopt(self).await.unwrap();
        self.tasks.close();
        self.tasks.wait().await;
        std::mem::take(&mut self.ran.lock().unwrap())
    }
}

fn id(id: &str) -> JobId {
    JobId::try_from(id).unwrap()
}

#[tokio::test]
async fn a_job_is_run_and_ended_by_who_holds_its_lease() {
    let memory = Arc::new(Memory::with([("1", "well")]));
    let other = memory.lease("job-1").unwrap();
    run(&memory, &id("1")).await.unwrap();
    assert_eq!(memory.job("1").state, JobState::Submitted);
    drop(other);
    run(&memory, &id("1")).await.unwrap();
    assert_eq!(memory.job("1").state, JobState::Completed);
    assert_eq!(*memory.released.lock().unwrap(), ["job-1"]);
    // One that has ended is not run again.
    run(&memory, &id("1")).await.unwrap();
    assert_eq!(memory.ran.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn errors_and_panics_fail_a_job() {
    let memory = Arc::new(Memory::with([("1", "bad"), ("2", "panics"), ("3", "unknown")]));
    memory.adopt_all().await;
    for (id, message) in [("1", "bad"), ("2", "fault of this program"), ("3", "kind")] {
        let job = memory.job(id);
        assert_eq!(job.state, JobState::Failed);
        assert!(job.message.clone().unwrap().contains(message), "{job:?}");
    }
}

#[tokio::test]
async fn a_job_that_is_left_keeps_its_lock_file() {
    let memory = Arc::new(Memory::with([("1", "left")]));
    assert_eq!(memory.adopt_all().await, ["1"]);
    assert_eq!(memory.job("1").state, JobState::Submitted);
    assert!(memory.released.lock().unwrap().is_empty());
    assert!(memory.held.lock().unwrap().is_empty());
    assert_eq!(memory.adopt_all().await, ["1"]);
}

#[tokio::test]
async fn lack_of_access_fails_the_jobs_of_this_process_alone() {
    let memory = Arc::new(Memory::with([("1", "denied"), ("2", "denied")]));
    memory.engine.accept(&id("1"));
    assert_eq!(memory.adopt_all().await, ["1", "2"]);
    assert_eq!(memory.job("1").state, JobState::Failed);
    let other = memory.job("2");
    assert_eq!(other.state, JobState::Submitted);
    assert!(other.message.unwrap().contains("waiting for a server that has access: no access"));
    // It is left to others for a while.
    assert_eq!(memory.adopt_all().await, [""; 0]);
}

#[tokio::test]
async fn a_job_of_another_process_waits_for_what_it_needs() {
    let mut memory = Memory::with([("1", "well"), ("2", "well"), ("3", "well")]);
    memory.runner.deletes = false;
    for number in ["1", "2", "3"] {
        let deletes = Needs { deletes: true, ..Needs::default() };
        memory.change(&id(number), |job| job.needs = deletes);
    }
    memory.engine.accept(&id("2"));
    let memory = Arc::new(memory);
    let lease = memory.lease("job-3").unwrap().unwrap();
    assert_eq!(memory.adopt_all().await, ["2"]);
    assert!(memory.job("1").message.unwrap().contains("--no-delete"));
    // What was cancelled here is cleaned up whatever it needs.
    run_leased(&memory, lease, [id("3")], Some(Origin::Cancelled)).await.unwrap();
    assert_eq!(memory.job("3").state, JobState::Completed);
}

#[tokio::test]
async fn jobs_of_one_lease_run_one_after_the_other() {
    let memory = Memory::with([("1", "well"), ("2", "well"), ("3", "left"), ("4", "well")]);
    for (number, process) in [("1", "a"), ("2", "b"), ("3", "b"), ("4", "b")] {
        memory.change(&id(number), |job| job.lease = format!("process-{process}"));
    }
    let memory = Arc::new(memory);
    let alive = memory.lease("process-a").unwrap();
    assert_eq!(memory.adopt_all().await, ["2", "3", "4"]);
    // It is needed until its last job has ended.
    assert!(memory.released.lock().unwrap().is_empty());
    memory.change(&id("3"), |job| job.kind = "well".to_owned());
    drop(alive);
    assert_eq!(memory.adopt_all().await, ["1", "3"]);
    assert_eq!(*memory.released.lock().unwrap(), ["process-a", "process-b"]);
}
