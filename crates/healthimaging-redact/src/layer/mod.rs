//! The back end that tools see: requests have tokens, answers have tokens.

mod search;
mod service;
mod web;

use std::fmt;
use std::sync::Arc;

use crate::Redactor;

/// A back end whose answers show tokens, shifted dates and cleaned texts, and whose requests take tokens.
///
/// Texts of requests that are compared with those of files must be tokens; nothing else can be searched for, so that
/// nothing can be guessed.
pub struct Redacted<T: ?Sized> {
    redactor: Arc<Redactor>,
    inner: Arc<T>,
}

impl<T: ?Sized> Redacted<T> {
    /// Creates the layer in front of a back end.
    pub fn new(redactor: Arc<Redactor>, inner: Arc<T>) -> Self {
        Self { redactor, inner }
    }
}

impl<T: fmt::Debug + ?Sized> fmt::Debug for Redacted<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Redacted").field("inner", &&*self.inner).finish_non_exhaustive()
    }
}
