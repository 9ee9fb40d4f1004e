//! Rate limits: a token bucket per operation, slower after throttling errors, and notice of waits.

use std::fmt;
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use crate::error::{Error, ErrorKind, Result};
use crate::layer::{AnyOperation, Call};
use crate::operation::{Limits, Operation, Rate, WebOperation};
use crate::retry;

/// Smallest part to which the rate is slowed down.
const SLOWEST: f64 = 1.0 / 16.0;
/// Part of the rate that a call without throttling restores.
const RECOVERY: f64 = 1.0 / 32.0;
/// Nearly a token counts as a token: sums of fractions are not exact.
const NEARLY: f64 = 1.0 - 1e-6;

/// The remaining rates of one account.
///
/// A process has one for all its calls, so that each is counted once.
#[derive(Debug)]
pub struct Pace {
    operations: [Option<Bucket>; Operation::ALL.len()],
    web: [Option<Bucket>; WebOperation::ALL.len()],
}

impl Pace {
    /// Starts with full buckets, at `factor` times the allowed rates, such as 0.5 to leave half to others.
    #[must_use]
    pub fn new(limits: &Limits, factor: f64) -> Self {
        let bucket = |rate: Option<Rate>| rate.map(|rate| Bucket::new(rate, factor));
        Self {
            operations: Operation::ALL.map(|operation| bucket((limits.rate)(operation))),
            web: WebOperation::ALL.map(|_| bucket(limits.web_rate)),
        }
    }

    fn bucket(&self, operation: AnyOperation) -> Option<&Bucket> {
        match operation {
            AnyOperation::Api(operation) => self.operations.get(operation as usize)?.as_ref(),
            AnyOperation::Web(operation) => self.web.get(operation as usize)?.as_ref(),
        }
    }

    /// Makes a call when its turn has come, and again while the service throttles it.
    pub(crate) async fn call<S: ?Sized, C: Call<S>>(
        &self,
        service: &S,
        mut call: C,
    ) -> Result<C::Response> {
        let bucket = self.bucket(call.operation());
        for pause in retry::while_throttled() {
            let Some(next) = call.again() else { break };
            match once(bucket, call.send(service)).await {
                Err(error) if error.kind() == ErrorKind::Throttled => {
                    waiting(pause).await;
                }
                settled => return settled,
            }
            call = next;
        }
        once(bucket, call.send(service)).await
    }
}

/// Is notified of the turns of calls.
pub trait TurnWatch: Send + Sync {
    /// A call waits for its turn, for about this long; it has not been sent.
    fn waits(&self, about: Duration);
    /// Its turn has come, and it is sent.
    fn goes(&self);
}

tokio::task_local! {
    static WATCH: Arc<dyn TurnWatch>;
}

/// Runs work in which every paced call notifies `watch` of its turns, and the watches around it.
///
/// Calls that the work makes in other tasks notify nothing.
pub async fn watch_turns<F: Future>(watch: Arc<dyn TurnWatch>, work: F) -> F::Output {
    let both = match watching() {
        Some(outer) => Arc::new(Both(watch, outer)) as Arc<dyn TurnWatch>,
        None => watch,
    };
    WATCH.scope(both, work).await
}

/// Two watches of the same calls.
struct Both(Arc<dyn TurnWatch>, Arc<dyn TurnWatch>);

impl TurnWatch for Both {
    fn waits(&self, about: Duration) {
        self.0.waits(about);
        self.1.waits(about);
    }

    fn goes(&self) {
        self.0.goes();
        self.1.goes();
    }
}

/// The watch of the calls of this task, if any.
fn watching() -> Option<Arc<dyn TurnWatch>> {
    WATCH.try_with(Arc::clone).ok()
}

/// Pauses between two tries of a call; those who watch its turns are notified.
pub(crate) async fn waiting(pause: Duration) {
    let watch = watching();
    if let Some(watch) = &watch {
        watch.waits(pause);
    }
    sleep_until(Instant::now() + pause).await;
    if let Some(watch) = watch {
        watch.goes();
    }
}

/// Sends one call when its turn has come.
async fn once<R>(bucket: Option<&Bucket>, call: impl Future<Output = Result<R>>) -> Result<R> {
    let Some(bucket) = bucket else {
        return call.await;
    };
    bucket.take().await;
    if let Some(watch) = watching() {
        watch.goes();
    }
    let answer = call.await;
    bucket.learn(answer.as_ref().err());
    answer
}

/// A token bucket; each call takes a token.
struct Bucket {
    per_second: f64,
    burst: f64,
    /// Held while waiting for a token, in the order of arrival.
    turnstile: tokio::sync::Mutex<()>,
    state: Mutex<State>,
}

struct State {
    tokens: f64,
    filled: Instant,
    /// The part of the rate that is used, 1 unless calls were throttled.
    part: f64,
    /// Calls that wait for a token.
    queue: u32,
}

impl Bucket {
    fn new(rate: Rate, factor: f64) -> Self {
        let burst = (f64::from(rate.burst) * factor).floor().max(1.0);
        Self {
            per_second: rate.per_second * factor,
            burst,
            turnstile: tokio::sync::Mutex::default(),
            state: Mutex::new(State { tokens: burst, filled: Instant::now(), part: 1.0, queue: 0 }),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for a token, in the order of arrival.
    async fn take(&self) {
        let queued = Queued::at(self);
        if let (Some(about), Some(watch)) = (self.wait_of_last(), watching()) {
            watch.waits(about);
        }
        let turn = self.turnstile.lock().await;
        while let Some(missing) = self.try_take() {
            sleep_until(Instant::now() + missing).await;
        }
        drop(turn);
        drop(queued);
    }

    /// Returns how long the last call will wait; `None` if it will not.
    fn wait_of_last(&self) -> Option<Duration> {
        let mut state = self.state();
        self.fill(&mut state);
        let missing = f64::from(state.queue) - state.tokens;
        (missing > 1.0 - NEARLY).then(|| self.time_for(missing, state.part))
    }

    /// Takes a token; if there is none, returns the time until there is one.
    fn try_take(&self) -> Option<Duration> {
        let mut state = self.state();
        self.fill(&mut state);
        if state.tokens < NEARLY {
            return Some(self.time_for(1.0 - state.tokens, state.part));
        }
        state.tokens -= 1.0;
        None
    }

    fn time_for(&self, tokens: f64, part: f64) -> Duration {
        Duration::from_secs_f64(tokens / (self.per_second * part))
    }

    fn fill(&self, state: &mut State) {
        let now = Instant::now();
        let gone = now.saturating_duration_since(state.filled).as_secs_f64();
        state.tokens = (state.tokens + gone * self.per_second * state.part).min(self.burst);
        state.filled = now;
    }

    /// Slows down after a throttling error, and recovers with other outcomes.
    fn learn(&self, error: Option<&Error>) {
        let throttled = error.is_some_and(|error| error.kind() == ErrorKind::Throttled);
        let mut state = self.state();
        self.fill(&mut state);
        if throttled {
            state.tokens = 0.0;
            state.part = (state.part / 2.0).max(SLOWEST);
        } else {
            state.part = (state.part + RECOVERY).min(1.0);
        }
    }
}

impl fmt::Debug for Bucket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bucket")
            .field("per_second", &self.per_second)
            .field("burst", &self.burst)
            .finish_non_exhaustive()
    }
}

/// A place in the queue, until it is left.
struct Queued<'a>(&'a Bucket);

impl<'a> Queued<'a> {
    fn at(bucket: &'a Bucket) -> Self {
        bucket.state().queue += 1;
        Self(bucket)
    }
}

impl Drop for Queued<'_> {
    fn drop(&mut self) {
        self.0.state().queue -= 1;
    }
}
