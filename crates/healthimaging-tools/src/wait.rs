//! Waits until a write of the service is complete.

use std::future::Future;
use std::time::Duration;

use tokio::time::Instant;

use healthimaging::{Error, Result, poll_pauses};

use crate::arguments::WaitSeconds;
use crate::context::Context;

/// First pause between two polls.
const FIRST_PAUSE: Duration = Duration::from_millis(100);

/// Polls until `settled`, for at most `wait`, and returns the last state, settled or not.
///
/// Each poll is reported as progress; `what` is its message.
pub(crate) async fn until<T, F, Fut>(
    context: &Context,
    wait: WaitSeconds,
    what: &str,
    settled: fn(&T) -> bool,
    mut look: F,
) -> Result<T>
where
    F: FnMut() -> Fut,
    Fut: Future<Output = Result<T>>,
{
    let start = Instant::now();
    let longest = Duration::from_secs(u64::from(wait.get()));
    let end = start + longest;
    let mut pauses = poll_pauses(FIRST_PAUSE, longest);
    loop {
        let state = look().await?;
        if settled(&state) || Instant::now() >= end {
            return Ok(state);
        }
        let waited = start.elapsed().as_secs_f64();
        context.report(waited, Some(f64::from(wait.get())), format!("waiting: {what}")).await;
        let next = pauses.next().map_or(end, |pause| (Instant::now() + pause).min(end));
        tokio::select! {
            () = tokio::time::sleep_until(next) => {}
            () = context.cancelled().cancelled() => {
                return Err(Error::conflict("the call was cancelled; the operation itself continues"));
            }
        }
    }
}
