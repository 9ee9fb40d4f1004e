//! The embedded store through its public face.
#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail the test")]

mod backup;
mod blocks;
mod copies;
mod datastores;
mod deletion;
mod fixture;
mod formats;
mod opening;
mod recovery;
mod searches;
mod tagging;
mod updates;
mod versions;
