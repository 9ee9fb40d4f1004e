//! Durable jobs of every kind: what they are, who may run them, and what becomes of them.
//!
//! A job outlives the process that accepted it: another process, perhaps with other flags, takes it over.
//! [`Needs`] is what a job carries for that, [`Runner`] is what a process offers. Who holds the lock that a
//! job names runs it ([`engine`]), with the handler of its kind. [`InHand`] finds the input that kills every
//! process that touches it.
//!
//! This crate knows no database, no back end and no kind of job.

pub mod engine;
mod in_hand;
mod job;
mod needs;
mod store;

pub use engine::{Engine, Handler, Host, Origin, Ran};
pub use in_hand::{InHand, MOST_DEATHS, Mark};
pub use job::{Counts, End, Item, Job, JobQuery, JobState, Unfinished};
pub use needs::{Needs, Runner, is_lack_of_access};
pub use store::{Added, JobStore};
