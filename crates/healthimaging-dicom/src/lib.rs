//! DICOM Part 10 files to and from the image set metadata document; no storage.

mod data_set;

pub use data_set::{DataSet, Element, Value};
