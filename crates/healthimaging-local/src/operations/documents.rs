//! Stands in for the documents of updates and copies until the DICOM crate reads them.

use healthimaging::Error;
use healthimaging_dicom::Document;

#[derive(Debug)]
pub(crate) struct UpdateDocuments {}

#[derive(Debug)]
pub(crate) struct UpdateRules {
    pub(crate) primary: bool,
    pub(crate) force: bool,
    pub(crate) study_wide: bool,
}

impl UpdateDocuments {
    pub(crate) fn parse(_: Option<&[u8]>, _: Option<&[u8]>) -> Result<Self, Error> {
        Err(Error::not_supported("updates are not there yet"))
    }

    pub(crate) fn apply(&self, _: &mut Document, rules: &UpdateRules) -> Result<(), String> {
        Err(format!("{rules:?}"))
    }

    pub(crate) fn is_study_wide_only(&self) -> bool {
        false
    }
}

#[derive(Debug)]
pub(crate) struct CopySelection {}

impl CopySelection {
    pub(crate) fn parse(_: &str) -> Result<Self, Error> {
        Err(Error::not_supported("copies of a part are not there yet"))
    }

    pub(crate) fn select(&self, _: &Document) -> Result<Document, Error> {
        Err(Error::not_supported("copies of a part are not there yet"))
    }
}
