//! A back end with a gate before it: to delay calls, to count them, to die over one.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use healthimaging::{Call, HealthImaging, Layer, Result};

/// What stands before the back end.
#[async_trait]
pub trait Gate: Send + Sync + 'static {
    /// Before a call reaches the back end.
    async fn before(&self);
    /// Before its answer reaches the caller.
    async fn after(&self);
}

/// A back end whose calls go through the gate.
pub struct Between<G> {
    /// The back end.
    pub inner: Arc<dyn HealthImaging>,
    /// What stands before it.
    pub gate: Arc<G>,
}

impl<G> fmt::Debug for Between<G> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}

impl<G: Gate> Layer for Between<G> {
    type Inner = dyn HealthImaging;

    fn inner(&self) -> &Self::Inner {
        &*self.inner
    }

    async fn call<C: Call<Self::Inner>>(&self, call: C) -> Result<C::Response> {
        self.gate.before().await;
        let answer = call.send(&*self.inner).await;
        self.gate.after().await;
        answer
    }
}
