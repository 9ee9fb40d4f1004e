//! Waiting for a write of the service to settle.

use std::future::Future;
use std::time::Duration;

use tokio::time::Instant;

use healthimaging::{Error, Result};

use crate::arguments::WaitSeconds;
use crate::context::Context;

/// The first pause between two looks; each pause is half as long again, up to the last.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LAST_PAUSE: Duration = Duration::from_secs(5);

/// Looks again and again until `settled`, at most as long as the caller said.
///
/// Returns the last state seen, settled or not. Each look is told as progress, as `what` is.
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
    let end = start + Duration::from_secs(u64::from(wait.get()));
    let mut pause = FIRST_PAUSE;
    loop {
        let state = look().await?;
        if settled(&state) || Instant::now() >= end {
            return Ok(state);
        }
        let waited = start.elapsed().as_secs_f64();
        context.report(waited, Some(f64::from(wait.get())), format!("waiting: {what}")).await;
        tokio::select! {
            () = tokio::time::sleep_until((Instant::now() + pause).min(end)) => {}
            () = context.cancelled().cancelled() => {
                return Err(Error::conflict("the caller stopped waiting; the work itself goes on"));
            }
        }
        pause = (pause * 3 / 2).min(LAST_PAUSE);
    }
}
