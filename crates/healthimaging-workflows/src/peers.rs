//! The other back end of this installation: what a server of the embedded store and one of AWS transfer between.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use tokio::sync::OnceCell;

use healthimaging::{Error, ErrorKind, Result};

use crate::back_end::BackEnd;

/// Which back end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Side {
    /// The embedded store.
    Local,
    /// AWS HealthImaging.
    Aws,
}

/// A back end, with the name that identifies it in jobs: `local`, or the region and the endpoint.
#[derive(Debug, Clone)]
pub struct Peer {
    /// Name, such as `aws:us-east-1:-`.
    pub key: String,
    /// The back end.
    pub back_end: BackEnd,
}

/// Opens the other back end as this process is configured: no caller names an address.
#[async_trait]
pub trait OpenPeer: Send + Sync + fmt::Debug {
    /// Opens it.
    ///
    /// Errors: whatever keeps it from being opened.
    async fn open(&self) -> Result<Peer>;
}

/// The other back end, for a caller that may not use it.
#[derive(Debug)]
struct Closed;

#[async_trait]
impl OpenPeer for Closed {
    async fn open(&self) -> Result<Peer> {
        Err(Error::new(
            ErrorKind::AccessDenied,
            "this caller may use only certain data stores of this server, and none of its other back end",
        ))
    }
}

/// The other back end; opened at first use. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct Peers(Option<Arc<Inner>>);

#[derive(Debug)]
struct Inner {
    own: Side,
    opener: Box<dyn OpenPeer>,
    opened: OnceCell<Peer>,
}

impl Peers {
    /// The other one of `own`, which is the back end of this process.
    pub fn new(own: Side, opener: Box<dyn OpenPeer>) -> Self {
        Self(Some(Arc::new(Inner { own, opener, opened: OnceCell::new() })))
    }

    /// The same back ends for a caller that may use only the data stores of this process.
    pub(crate) fn closed(&self) -> Self {
        Self(self.0.as_ref().map(|inner| {
            let opener: Box<dyn OpenPeer> = Box::new(Closed);
            Arc::new(Inner { own: inner.own, opener, opened: OnceCell::new() })
        }))
    }

    /// Whether a back end is that of this process.
    pub(crate) fn is_own(&self, side: Option<Side>) -> bool {
        side.is_none_or(|side| self.0.as_ref().is_some_and(|inner| inner.own == side))
    }

    /// Returns a back end; `own` is that of this process.
    ///
    /// Errors: `NotSupported` if this process has only one; those of opening it.
    pub(crate) async fn get(&self, side: Option<Side>, own: &BackEnd) -> Result<Peer> {
        if self.is_own(side) {
            return Ok(Peer { key: String::new(), back_end: own.clone() });
        }
        let Some(inner) = &self.0 else {
            return Err(Error::not_supported("this server has only one back end"));
        };
        inner.opened.get_or_try_init(|| inner.opener.open()).await.cloned()
    }
}
