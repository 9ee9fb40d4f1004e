//! What is searched: pieces of a store, which an adapter of its back end hands over.

use std::fmt;
use std::ops::ControlFlow;
use std::path::Path;

use async_trait::async_trait;
use healthimaging::{DatastoreId, ImageSetId, Result};

/// Something that is stored.
#[derive(Debug, Clone, Copy)]
pub enum Piece<'a> {
    /// A text: a value, or JSON.
    Text(&'a str),
    /// A value of an attribute.
    Attribute {
        /// Its keyword.
        keyword: &'a str,
        /// The value.
        value: &'a str,
    },
    /// Bytes of no known form.
    Bytes(&'a [u8]),
    /// A frame or another large value.
    Frame {
        /// Length of its stored bytes.
        length: u64,
        /// Their CRC-32.
        crc32: u32,
    },
}

/// Where a piece is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    /// The file or table, without patient data.
    pub what: String,
    /// The image set that it belongs to and that is not deleted.
    pub image_set: Option<ImageSetId>,
}

impl Place {
    /// A place outside of image sets.
    pub fn new(what: impl Into<String>) -> Self {
        Self { what: what.into(), image_set: None }
    }
}

/// Receives the pieces of a store until it ends the walk. The place is asked for only where something was found.
pub type Visit<'v> = dyn FnMut(Piece<'_>, &dyn Fn() -> Place) -> ControlFlow<()> + 'v;

/// A store whose disk can be searched. All methods but one block.
#[async_trait]
pub trait StoreScan: fmt::Debug + Send + Sync {
    /// Visits everything that belongs to an image set, in all its versions; returns the names of its packs.
    fn walk_image_set(
        &self,
        datastore: &DatastoreId,
        image_set: &ImageSetId,
        visit: &mut dyn FnMut(Piece<'_>),
    ) -> Result<Vec<String>>;

    /// Visits everything in the catalog and in the ledger of jobs, except for the job `except`.
    fn walk(&self, except: &str, visit: &mut Visit<'_>) -> Result<()>;

    /// Waits until what deletions leave is removed from the disk; `false` if that takes too long.
    async fn settled(&self) -> Result<bool>;

    /// Returns those of the packs that are on the disk.
    fn packs_left(&self, packs: &[String]) -> Vec<String>;

    /// Visits length and CRC-32 of each frame in a file, if it is a pack.
    fn walk_pack(&self, file: &Path, visit: &mut dyn FnMut(u64, u32)) -> Result<()>;
}
