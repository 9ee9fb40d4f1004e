//! Notifies callers whose calls wait for the rate limit of the service.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use healthimaging::{TurnWatch, watch_turns};

use crate::context::Context;

/// Shortest wait that is reported.
const REPORTED_WAIT: Duration = Duration::from_secs(1);

/// The last wait that is reported.
#[derive(Default)]
struct Waits(watch::Sender<Duration>);

impl TurnWatch for Waits {
    fn waits(&self, about: Duration) {
        if about >= REPORTED_WAIT {
            self.0.send_replace(about);
        }
    }

    fn goes(&self) {}
}

/// Carries out a call, and reports as progress that it waits for the rate limit.
pub(crate) async fn with_notices<F: Future>(context: &Context, work: F) -> F::Output {
    let waits = Arc::new(Waits::default());
    let mut changes = waits.0.subscribe();
    let mut work = pin!(watch_turns(Arc::clone(&waits) as _, work));
    loop {
        tokio::select! {
            biased;
            done = &mut work => return done,
            Ok(()) = changes.changed() => {
                let seconds = changes.borrow_and_update().as_secs();
                let message = format!(
                    "waiting about {seconds} s for the rate limit of the service"
                );
                context.report(0.0, None, message).await;
            }
        }
    }
}
