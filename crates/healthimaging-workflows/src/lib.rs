#![doc = include_str!("../README.md")]
//!
//! # Modules
//!
//! * [`find`]: image sets by anything in their summaries; [`hierarchy`]: patient, study, series.
//! * [`Plan`]: what would be done, found out by reading only; [`change`]: doing it, item by item.
//! * [`export`]: instances as Part 10 files, out of the service; [`store`]: into it.
//! * [`compare`]: versions, image sets and data stores.
//! * [`overview`]: what a data store holds.
//! * [`imports`]: the outcome files of import jobs.
//! * [`table`]: attributes of many image sets.
//! * [`deidentify`]: what is done to instances on their way out, by PS3.15.
//! * [`traces`]: what stays of erased image sets in files and records.
//! * [`certificate`]: what a deletion erased, and what a search and a scan found afterwards, signed.
//! * [`transfer`]: studies into another data store, of this or of the other back end.
//! * [`Ledger`]: long work as durable jobs that can be watched, cancelled and taken over.

mod back_end;
pub mod certificate;
pub mod change;
pub mod compare;
pub mod deidentify;
pub mod document;
pub mod export;
pub mod find;
pub mod hierarchy;
pub mod imports;
mod ledger;
pub mod overview;
mod peers;
mod plan;
pub mod store;
pub mod table;
pub mod traces;
pub mod transfer;
mod work;

pub use back_end::BackEnd;
pub use healthimaging_jobs::JobState;
pub use healthimaging_pixels::Decoder;
pub use ledger::{Job, JobFilter, Ledger, LedgerConfig, NewJob};
pub use peers::{OpenPeer, Peer, Peers, Side};
pub use plan::{Plan, PlannedChange, PlannedImageSet, PlannedPart, PlannedStudy, counted};
pub use work::{ItemError, ItemOutcome, ItemResult, Journal, Tools, Work};
