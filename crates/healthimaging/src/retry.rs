//! Exponential backoff with jitter, so that callers that failed together do not retry together.

use std::future::Future;
use std::time::Duration;

use backon::{BackoffBuilder as _, ExponentialBuilder, Retryable as _};

use crate::error::{ErrorKind, Result};
use crate::pace::waiting;

/// Maximum number of attempts of a read.
const READS: usize = 4;
/// Pause after the first of them.
const READ_PAUSE: Duration = Duration::from_millis(200);
/// Maximum number of attempts of a throttled call.
const THROTTLED: usize = 8;
/// First and longest pause between them, without jitter.
const THROTTLED_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_THROTTLED_PAUSE: Duration = Duration::from_secs(16);
/// Longest pause between two polls, without jitter.
const LONGEST_POLL_PAUSE: Duration = Duration::from_secs(4);

/// Retries a read while the network or the service fails (`Service`), up to four attempts.
///
/// Not for writes: they may not be sent twice.
pub async fn retry_read<T, F>(read: impl FnMut() -> F) -> Result<T>
where
    F: Future<Output = Result<T>>,
{
    let pauses = doubling(READ_PAUSE).with_max_times(READS - 1);
    read.retry(pauses).sleep(waiting).when(|error| error.kind() == ErrorKind::Service).await
}

/// Returns the pauses between polls of a state that another party changes; their sum is at most `sum`.
pub fn poll_pauses(first: Duration, sum: Duration) -> impl Iterator<Item = Duration> + Send {
    let pauses = doubling(first).with_max_delay(LONGEST_POLL_PAUSE).without_max_times();
    pauses.with_total_delay(Some(sum)).build()
}

/// Returns the pauses between the attempts of a throttled call.
pub(crate) fn while_throttled() -> impl Iterator<Item = Duration> {
    let pauses = doubling(THROTTLED_PAUSE).with_max_delay(LONGEST_THROTTLED_PAUSE);
    pauses.with_max_times(THROTTLED - 1).build()
}

fn doubling(first: Duration) -> ExponentialBuilder {
    ExponentialBuilder::default().with_min_delay(first).with_jitter()
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;
    use crate::error::Error;

    #[tokio::test(start_paused = true)]
    async fn a_read_is_tried_four_times_when_the_service_fails() {
        for (kind, tries) in [(ErrorKind::Service, 4), (ErrorKind::NotFound, 1)] {
            let calls = AtomicUsize::new(0);
            let read: Result<()> = retry_read(async || {
                calls.fetch_add(1, Ordering::Relaxed);
                Err(Error::new(kind, "no"))
            })
            .await;
            assert_eq!(read.unwrap_err().kind(), kind);
            assert_eq!(calls.into_inner(), tries);
        }
    }

    #[test]
    fn pauses_double_and_have_jitter() {
        let first: Vec<Duration> = (0..50).filter_map(|_| while_throttled().next()).collect();
        let range = THROTTLED_PAUSE..=2 * THROTTLED_PAUSE;
        assert!(first.iter().all(|pause| range.contains(pause)), "{first:?}");
        assert!(first.iter().any(|pause| *pause != first[0]), "they differ");
        let all: Vec<Duration> = while_throttled().collect();
        assert_eq!(all.len(), THROTTLED - 1);
        assert!(all[6] >= LONGEST_THROTTLED_PAUSE, "{all:?}");
        let polls: Vec<Duration> =
            poll_pauses(Duration::from_millis(10), Duration::from_mins(1)).collect();
        assert!(polls.iter().sum::<Duration>() <= Duration::from_mins(1));
        assert!(polls.iter().all(|pause| *pause <= 2 * LONGEST_POLL_PAUSE));
        assert!(polls.len() > 10, "{polls:?}");
    }
}
