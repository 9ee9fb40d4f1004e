//! The pool of children.

use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::available_parallelism;
use std::time::Duration;

use healthimaging_pixels::{
    CodecError, DecodedFrame, IsolatedDecoder, PdfContent, PdfError, PdfPart, SourceFrame,
};

use crate::allowance::Allowance;
use crate::worker::{Lost, Unready, Worker, was_refused_a_system_call};

/// Time for a frame of any size: machines stall.
const PATIENCE: Duration = Duration::from_secs(30);

/// A pool of child processes that decode, started when they are needed.
///
/// As many as there are cores stay idle; twice as many may be busy, so that an import
/// does not delay pictures.
#[derive(Debug)]
pub struct Children {
    program: PathBuf,
    command: OsString,
    patience: Duration,
    state: Mutex<State>,
    one_is_free: Condvar,
    cores: usize,
}

#[derive(Debug, Default)]
struct State {
    idle: Vec<Worker>,
    busy: usize,
}

impl Children {
    /// Makes an empty pool; `command` is the argument with which `program` calls [`serve`](crate::serve).
    #[must_use]
    pub fn new(program: impl Into<PathBuf>, command: impl Into<OsString>) -> Self {
        Self {
            program: program.into(),
            command: command.into(),
            patience: PATIENCE,
            state: Mutex::default(),
            one_is_free: Condvar::new(),
            cores: available_parallelism().map_or(1, Into::into),
        }
    }

    /// Sets the timeout for the start of a child, and for a small frame; large ones get more. 30 seconds unless
    /// set.
    #[must_use]
    pub fn with_patience(self, patience: Duration) -> Self {
        Self { patience, ..self }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes an idle child, if there is one; waits while too many are busy.
    fn take(&self) -> Turn<'_> {
        let state = self.state();
        let most = 2 * self.cores;
        let mut state = self
            .one_is_free
            .wait_while(state, |state| state.busy >= most)
            .unwrap_or_else(PoisonError::into_inner);
        state.busy += 1;
        Turn { pool: self, worker: state.idle.pop() }
    }
}

impl Children {
    /// Starts a child; tries again if it is killed while it starts.
    fn start(&self) -> Result<Worker, CodecError> {
        let start = || Worker::start(&self.program, &self.command, self.patience);
        let started = match start() {
            Err(Unready::Killed(_)) => start(),
            other => other,
        };
        started.map_err(|error| {
            tracing::error!(%error, "a decoder does not start");
            CodecError::NoDecoder(error.to_string())
        })
    }
}

impl Children {
    /// Lets a child work. If it is lost, another one tries once more.
    fn work<T>(
        &self,
        allowance: Allowance,
        work: impl Fn(&mut Worker, Duration) -> Result<T, Lost>,
    ) -> Result<T, CodecError> {
        let time = self.patience + allowance.time();
        let mut turn = self.take();
        for last_try in [false, true] {
            let mut worker = match turn.worker.take() {
                Some(worker) => worker,
                None => self.start()?,
            };
            match work(&mut worker, time) {
                Ok(answer) => {
                    if !allowance.is_large() {
                        turn.worker = Some(worker);
                    }
                    return Ok(answer);
                }
                Err(Lost::TookTooLong) => {
                    tracing::warn!(seconds = time.as_secs(), "a decoder was stopped");
                    return Err(CodecError::TookTooLong(time.as_secs()));
                }
                Err(Lost::Ended(error)) => {
                    let status = worker.end();
                    if was_refused_a_system_call(&status) {
                        tracing::error!("a decoder made a system call that its sandbox refuses");
                        return Err(CodecError::ForbiddenCall);
                    }
                    // An earlier frame, or the system, may be the cause: try a new child.
                    tracing::warn!(%error, ?status, last_try, "a decoder was lost");
                }
            }
        }
        Err(CodecError::Crashed)
    }
}

impl IsolatedDecoder for Children {
    fn decode(&self, source: &SourceFrame<'_>) -> Result<DecodedFrame, CodecError> {
        let allowance = Allowance::of(&source.shape, source.data.len() as u64);
        self.work(allowance, |worker, time| worker.decode(source, time))?
    }

    fn read_pdf(&self, data: &[u8], part: PdfPart) -> Result<PdfContent, PdfError> {
        let allowance = Allowance::of_pdf(data.len() as u64);
        self.work(allowance, |worker, time| worker.read_pdf(data, part, time))?
    }
}

/// The right to use a child; ends on drop.
struct Turn<'a> {
    pool: &'a Children,
    worker: Option<Worker>,
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let worker = self.worker.take();
        let mut state = self.pool.state();
        state.busy -= 1;
        if state.idle.len() < self.pool.cores {
            state.idle.extend(worker);
        }
        drop(state);
        self.pool.one_is_free.notify_one();
    }
}
