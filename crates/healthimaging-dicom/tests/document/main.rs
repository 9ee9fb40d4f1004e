//! The metadata document from outside: one binary, a module a topic, so that it links once.

mod copy;
mod dicom_json;
mod part10;
mod slice;
mod update;
mod values;
mod worked_example;
