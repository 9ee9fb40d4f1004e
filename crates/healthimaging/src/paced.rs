//! A back end whose calls are rate-limited to its quotas.

use std::fmt;
use std::sync::Arc;

use crate::error::Result;
use crate::layer::{Call, Layer};
use crate::pace::Pace;

/// Lets calls through at the rates of [`Limits`](crate::Limits), each operation by itself, in their order.
///
/// A throttling error halves the rate for a while, and the call is sent again, since nothing was done;
/// unless its body can be read only once.
#[derive(Debug)]
pub struct Paced<T: ?Sized> {
    inner: Arc<T>,
    pace: Arc<Pace>,
}

impl<T: ?Sized> Paced<T> {
    /// Paces `inner`; everything that shares `pace` shares its rates.
    pub fn new(inner: Arc<T>, pace: Arc<Pace>) -> Self {
        Self { inner, pace }
    }
}

impl<T: fmt::Debug + Send + Sync + ?Sized> Layer for Paced<T> {
    type Inner = T;

    fn inner(&self) -> &T {
        &self.inner
    }

    async fn call<C: Call<T>>(&self, call: C) -> Result<C::Response> {
        self.pace.call(&*self.inner, call).await
    }
}
