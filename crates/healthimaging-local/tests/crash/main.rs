//! What a store promises when its process is killed at any moment, its disk fails at any call, or bytes
//! on the disk change.
//!
//! `KILLS` says how many times the process is killed (36 without it), `SEED` where the chance begins.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test says that something is wrong by panicking"
)]

mod chance;
mod child;
mod damage;
mod deeds;
mod faults;
mod kills;
mod model;
mod plan;
mod preload;
mod proof;
mod source;
