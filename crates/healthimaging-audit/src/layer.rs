//! A back end whose calls are recorded.

use std::fmt;
use std::sync::Arc;

use healthimaging::{AnyOperation, Call, Effect, Layer, Result};

use crate::actor::{Actor, as_actor};
use crate::arguments::Recorded;
use crate::entry::Entry;
use crate::log::AuditLog;

/// Records the calls of another back end; a call that destroys is not sent unless it was recorded.
#[derive(Debug, Clone)]
pub struct Audited<T: ?Sized> {
    log: AuditLog,
    inner: Arc<T>,
}

impl<T: ?Sized> Audited<T> {
    /// Records the calls of `inner`.
    pub fn new(log: AuditLog, inner: Arc<T>) -> Self {
        Self { log, inner }
    }
}

impl<T: fmt::Debug + Send + Sync + ?Sized> Layer for Audited<T> {
    type Inner = T;

    fn inner(&self) -> &T {
        &self.inner
    }

    async fn call<C: Call<T>>(&self, call: C) -> Result<C::Response> {
        // An update whose effect is unknown may destroy.
        let effect = call.effect().unwrap_or(Effect::Destroys);
        let is_recorded = self.log.records(effect)
            // The record of the tool covers what it reads.
            && (effect != Effect::Reads || Actor::current().tool.is_none());
        if !is_recorded {
            return call.send(&self.inner).await;
        }
        let name = match call.operation() {
            AnyOperation::Api(operation) => operation.name(),
            AnyOperation::Web(operation) => operation.name(),
        };
        let named = call.named();
        let made = self.log.with_keys(|keys| Recorded::of(&named, keys));
        let pending = if effect == Effect::Destroys {
            let entry = Entry::operation(name, effect).with_objects(made?.unwrap_or_default());
            self.log.announce(entry).await?
        } else {
            let objects = made.ok().flatten().unwrap_or_default();
            self.log.begin(Entry::operation(name, effect).with_objects(objects))
        };
        let answer = as_actor(Actor::current(), call.send(&self.inner)).await;
        let made = answer.as_ref().map(|answer| {
            let named = C::named_in(answer);
            self.log.with_keys(|keys| Recorded::of(&named, keys)).ok().flatten()
        });
        match &answer {
            Ok(_) => pending.end(made.ok().flatten().unwrap_or_default(), None),
            Err(error) => pending.end(Recorded::default(), Some(error)),
        }
        answer
    }
}
