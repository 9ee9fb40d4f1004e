//! Patient, study, series: the hierarchy that image sets add up to.

mod dicomweb;
mod series;
mod study;

pub use dicomweb::dicomweb_studies;
pub use series::{Series, series};
pub use study::{Study, studies};
