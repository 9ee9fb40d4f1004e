//! Reading Part 10 files, through the public face. Expected values come from the standard, or are
//! those that the bytes were made of by hand or by `dicom-object`.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod bytes;
mod character_sets;
mod corpus;
mod damage;
mod frames;
mod refused;
mod tolerance;
mod values;
