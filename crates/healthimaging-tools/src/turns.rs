//! Telling a caller that its call waits for its turn.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use healthimaging::{TurnWatch, watch_turns};

use crate::context::Context;

/// A wait that a caller is told of.
const WORTH_TELLING: Duration = Duration::from_secs(1);

/// The last wait that is worth telling.
#[derive(Default)]
struct Waits(watch::Sender<Duration>);

impl TurnWatch for Waits {
    fn waits(&self, about: Duration) {
        if about >= WORTH_TELLING {
            self.0.send_replace(about);
        }
    }

    fn goes(&self) {}
}

/// Does the work of a call, and tells its caller when it waits because the service takes no more calls.
pub(crate) async fn telling<F: Future>(context: &Context, work: F) -> F::Output {
    let waits = Arc::new(Waits::default());
    let mut heard = waits.0.subscribe();
    let mut work = pin!(watch_turns(Arc::clone(&waits) as _, work));
    loop {
        tokio::select! {
            biased;
            done = &mut work => return done,
            Ok(()) = heard.changed() => {
                let seconds = heard.borrow_and_update().as_secs();
                let message = format!(
                    "waiting about {seconds} s: the service takes few of these calls a second"
                );
                context.report(0.0, None, message).await;
            }
        }
    }
}
