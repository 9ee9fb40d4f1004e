//! Imports, through the public face of the store.
#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail the test")]

mod adoption;
mod corpus;
mod fixture;
mod frames;
mod grouping;
mod jobs;
mod output;
mod poison;
mod processes;
mod s3;
mod s3_once;
mod stow;
mod support;
mod support_cases;
mod verify;
