//! Test doubles and rigs over the contract, for the tests and benches of all crates.
//!
//! * [`Between`] passes calls to a back end, to delay, count or break them.
//! * [`Fake`] is a back end in memory.
//! * [`rig`] is a fresh store for one test, on any back end.
//! * `wire` (feature `wire`) is the AWS back end over the HTTP face over an embedded store.
//!
//! Without features it names no back end, no face and no codec.

#![expect(
    clippy::missing_panics_doc,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test says that something is wrong by panicking"
)]

mod between;
mod fake;
pub mod rig;
#[cfg(feature = "wire")]
pub mod wire;

pub use between::{Between, Gate};
pub use fake::{Fake, FakeImageSet, State, id};
