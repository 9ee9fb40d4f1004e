//! The audit log: who did what to which objects, how it was agreed to, and what became of it.
//!
//! Records form a hash chain in `audit/` of the data folder, and the head of the chain is signed. A record holds no
//! value of a patient: UIDs, patient IDs, accession numbers, names and paths appear as keyed digests, and free text
//! not at all. This crate knows no protocol; a face sets the [`Actor`] of its calls.

mod actor;
mod arguments;
mod chain;
mod entry;
mod head;
pub mod key_file;
mod keys;
mod layer;
mod log;
mod reading;
mod tail;
mod verification;

pub use actor::{Actor, as_actor, os_user};
pub use arguments::{Recorded, recorded};
pub use entry::Entry;
pub use head::Head;
pub use keys::{Keys, verify_signature};
pub use layer::Audited;
pub use log::{AuditLevel, AuditLog, MakeRoom, Pending};
pub use reading::{Line, Lines, Selection};
pub use verification::{Break, Verified, verify};

/// Folder of the log in the data folder.
pub const FOLDER: &str = "audit";
