//! The metadata document from outside: one binary, a module a topic, so that it links once.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod copy;
mod corpus;
mod depth;
mod dicom_json;
mod differing;
mod differing_random;
mod metadata_override;
mod part10;
mod slice;
mod update;
mod update_random;
mod values;
mod worked_example;
