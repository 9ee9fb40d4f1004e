//! Durable jobs: what each needs, which process may run it, and what it had in hand when its process died.
//!
//! A job outlives the process that accepted it: another process, perhaps with other flags, takes it over.
//! [`Needs`] is what the job carries for that, [`Runner`] is what a process offers, and
//! [`Runner::check`] compares them. [`InHand`] finds the input that kills every process that touches it.
//!
//! This crate knows no database, no back end and no kind of job.

mod in_hand;
mod needs;

pub use in_hand::{InHand, MOST_DEATHS, Mark};
pub use needs::{Needs, Runner, is_lack_of_access};
