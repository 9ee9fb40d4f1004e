//! Patient, study, series: the hierarchy that image sets add up to.

mod dicomweb;
mod person;
mod series;
mod study;

pub use dicomweb::dicomweb_studies;
pub use person::warning;
pub use series::{Series, series};
pub use study::{Study, studies};
