//! A back end with a gate before it: to delay calls, to count them, to die over one.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use healthimaging::{Call, HealthImaging, Layer, Result};

/// Called before and after each call of the back end.
#[async_trait]
pub trait Gate: Send + Sync + 'static {
    /// Before a call reaches the back end.
    async fn before(&self);
    /// Before its answer reaches the caller.
    async fn after(&self);
}

/// A back end whose calls go through the gate.
///
/// ```
/// use std::sync::Arc;
/// use std::sync::atomic::{AtomicU32, Ordering};
///
/// use healthimaging::HealthImaging;
/// use healthimaging::model::ListDatastoresRequest;
/// use healthimaging_testing::{Between, Fake, Gate};
///
/// #[derive(Default)]
/// struct Counter(AtomicU32);
///
/// #[async_trait::async_trait]
/// impl Gate for Counter {
///     async fn before(&self) {
///         self.0.fetch_add(1, Ordering::Relaxed);
///     }
///
///     async fn after(&self) {}
/// }
///
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// let counter = Arc::new(Counter::default());
/// let counted = Between { inner: Arc::new(Fake::default()), gate: Arc::clone(&counter) };
/// counted.list_datastores(ListDatastoresRequest::default()).await.unwrap();
/// assert_eq!(counter.0.load(Ordering::Relaxed), 1);
/// # });
/// ```
pub struct Between<G> {
    /// The back end.
    pub inner: Arc<dyn HealthImaging>,
    /// The gate.
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
