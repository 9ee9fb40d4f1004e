//! Pack files: frames and other large values back to back, append-only.
//!
//! A pack is written once, by one writer, in a folder beside that of the packs; when it is durable, it gets a second
//! name, its place. Its first name goes when something refers to the pack; until then, the writer holds a lock on
//! the file. So a crash leaves names beside the packs that are not locked: [`PackStore::sweep`] removes them, with
//! the packs that nothing refers to.
//!
//! This crate depends on no catalog and no document: what refers to a pack is a callback. It also holds [`Files`], the
//! one place where the store calls the file system, so that tests can make each call fail.
//!
//! ```
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use healthimaging_packs::{BlobKind, Error, Files, PackFolder, PackId, PackStore, References};
//!
//! /// Refers to every pack.
//! struct All;
//!
//! impl References for All {
//!     type Error = Error;
//!     fn unused(&self) -> Result<Vec<PackId>, Error> {
//!         Ok(Vec::new())
//!     }
//!     fn is_used(&self, _: &PackId) -> Result<bool, Error> {
//!         Ok(true)
//!     }
//!     fn forget(&self, _: &PackId) -> Result<(), Error> {
//!         Ok(())
//!     }
//! }
//!
//! let folder = tempfile::tempdir()?;
//! let packs = PackFolder::new(&Files::system(), &folder.path().join("packs"));
//! packs.make_folders()?;
//! let mut writer = packs.create(PackId("0".repeat(32)))?;
//! let frame = writer.append(&"1".repeat(32).parse()?, BlobKind::Frame, None, b"pixels")?;
//! writer.finish()?;
//! writer.keep();
//! packs.sweep(&All)?;
//! assert_eq!(packs.read(&frame)?, "pixels");
//! assert_eq!(packs.verify(&frame.pack, std::slice::from_ref(&frame)).blobs, 1);
//! # Ok(())
//! # }
//! ```

mod blob;
mod error;
mod files;
mod folder;
mod records;
mod sweep;
mod verify;
mod writer;

use bytes::Bytes;

pub use blob::{BlobKind, BlobLocation, PackId};
pub use error::{Error, Result};
pub use files::{FileCall, Files, StoreFile};
pub use folder::{BlobReader, PackFolder, PackGuard};
pub use verify::PackCheck;
pub use writer::PackWriter;

/// Blobs in packs. All methods block.
pub trait PackStore {
    /// Begins a new pack, to which blobs are appended.
    fn create(&self, id: PackId) -> Result<PackWriter>;

    /// Reads a blob and checks it; damaged bytes are an error.
    fn read(&self, at: &BlobLocation) -> Result<Bytes>;

    /// Checks a blob, and opens it to be read piece by piece: twice from the disk, and never in memory as a
    /// whole.
    fn open(&self, at: &BlobLocation) -> Result<BlobReader>;

    /// Rereads a pack from its first byte to its last. `blobs` are those that are referred to, by their offsets.
    fn verify(&self, pack: &PackId, blobs: &[BlobLocation]) -> PackCheck;

    /// Removes packs that nothing refers to and nothing writes; returns how many.
    fn sweep<R: References>(&self, references: &R) -> Result<usize, R::Error>;
}

/// The list of packs, and whether anything refers to them, which the owner of the folder keeps.
pub trait References {
    /// Why the list cannot be read or written, or a pack.
    type Error: From<Error>;

    /// Listed packs that nothing refers to any more.
    fn unused(&self) -> Result<Vec<PackId>, Self::Error>;

    /// Whether something refers to a pack.
    fn is_used(&self, pack: &PackId) -> Result<bool, Self::Error>;

    /// Removes a pack whose file is gone from the list, unless something refers to it.
    fn forget(&self, pack: &PackId) -> Result<(), Self::Error>;
}
