//! A back end that rejects what takes something away.

use std::fmt;
use std::sync::Arc;

use crate::effect::Effect;
use crate::error::{Error, ErrorKind, Result};
use crate::layer::{Call, Layer};

/// Lets reads and writes through to another back end, and rejects with `AccessDenied` what takes something
/// away: deletions, updates that remove instances or series, and reverts.
#[derive(Debug, Clone)]
pub struct NoDelete<T: ?Sized>(Arc<T>);

impl<T: ?Sized> NoDelete<T> {
    /// Protects what `inner` holds.
    pub fn new(inner: Arc<T>) -> Self {
        Self(inner)
    }
}

impl<T: fmt::Debug + Send + Sync + ?Sized> Layer for NoDelete<T> {
    type Inner = T;

    fn inner(&self) -> &T {
        &self.0
    }

    async fn call<C: Call<T>>(&self, call: C) -> Result<C::Response> {
        if call.effect()? != Effect::Destroys {
            return call.send(&self.0).await;
        }
        Err(Error::new(
            ErrorKind::AccessDenied,
            "this server deletes nothing, removes no instance or series and reverts to no version; start it \
             without --no-delete to do so",
        ))
    }
}
