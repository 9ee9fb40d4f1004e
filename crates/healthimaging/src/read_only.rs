//! A back end that rejects every write.

use std::fmt;
use std::sync::Arc;

use crate::effect::Effect;
use crate::error::{Error, ErrorKind, Result};
use crate::layer::{Call, Layer};

/// Lets reads through to another back end, and rejects writes with `AccessDenied`.
#[derive(Debug, Clone)]
pub struct ReadOnly<T: ?Sized> {
    remedy: &'static str,
    inner: Arc<T>,
}

impl<T: ?Sized> ReadOnly<T> {
    /// Makes `inner` read-only.
    pub fn new(inner: Arc<T>) -> Self {
        Self::unless("start it without --read-only to change anything", inner)
    }

    /// Makes `inner` read-only; errors end with `remedy`.
    pub fn unless(remedy: &'static str, inner: Arc<T>) -> Self {
        Self { remedy, inner }
    }
}

impl<T: fmt::Debug + Send + Sync + ?Sized> Layer for ReadOnly<T> {
    type Inner = T;

    fn inner(&self) -> &T {
        &self.inner
    }

    async fn call<C: Call<T>>(&self, call: C) -> Result<C::Response> {
        // An update whose effect is unknown is a write too.
        if call.effect().is_ok_and(|effect| effect == Effect::Reads) {
            return call.send(&self.inner).await;
        }
        Err(Error::new(
            ErrorKind::AccessDenied,
            format!("this server is read-only; {}", self.remedy),
        ))
    }
}
