//! `UpdateImageSetMetadata`: documents of changes, what is allowed, and how it is done.

mod apply;
mod copy;
mod tree;
mod values;

use healthimaging::{Error, Result};

use crate::document::Document;

use tree::{Tree, parse_tree};

pub use copy::{CopySelection, LevelConflicts};
pub use values::has_form;

/// Most bytes of a document of changes (`medical-imaging/2023-07-19`).
const LARGEST: usize = 30_000;

/// The two documents of an update, well formed.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct UpdateDocuments {
    updatable: Tree,
    removable: Tree,
}

/// What an update may touch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct UpdateRules {
    /// The image set is primary: patient and series levels and UIDs stay as they are.
    pub primary: bool,
    /// `force`: allows UIDs, `StudyID`, sequences, attributes with several values, private elements,
    /// and values that do not have the form of their VR.
    pub force: bool,
    /// `includeStudyImageSets`: allows the patient level of primary image sets.
    pub study_wide: bool,
}

/// Why an update or copy was not done, for the `message` of the failed version; no patient data.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct UpdateFailure {
    /// In words for the caller, in the characters that the service allows there.
    pub message: String,
    /// Whether nothing would be left of the image set.
    pub leaves_nothing: bool,
}

impl UpdateFailure {
    fn new(message: impl std::fmt::Display) -> Self {
        Self { message: format!("INVALID_REQUEST:  {message}"), leaves_nothing: false }
    }
}

impl UpdateDocuments {
    /// Reads `updatableAttributes` and `removableAttributes`, after base64.
    ///
    /// Errors, all `Validation`: neither is given; more than 30,000 bytes; not JSON; not the shape of
    /// the metadata document; an attribute at another level than its own; something that is never
    /// updated, such as `PixelData`.
    pub fn parse(updatable: Option<&[u8]>, removable: Option<&[u8]>) -> Result<Self> {
        if updatable.is_none() && removable.is_none() {
            let message = "give updatableAttributes or removableAttributes";
            return Err(Error::validation(message));
        }
        let read = |what: &str, json: Option<&[u8]>| match json {
            None => Ok(Tree::default()),
            Some(json) if json.len() > LARGEST => Err(Error::validation(format!(
                "{what} has {} bytes; at most {LARGEST} are allowed",
                json.len()
            ))),
            Some(json) => parse_tree(what, json),
        };
        Ok(Self {
            updatable: read("updatableAttributes", updatable)?,
            removable: read("removableAttributes", removable)?,
        })
    }

    /// Whether only the patient and study levels change: what `includeStudyImageSets` allows.
    #[must_use]
    pub fn is_study_wide_only(&self) -> bool {
        self.updatable.series.is_empty() && self.removable.series.is_empty()
    }

    /// Whether every series and instance that the documents name is in the image set; a `Validation`
    /// error otherwise.
    pub fn check_targets(&self, document: &Document) -> Result<()> {
        for tree in [&self.updatable, &self.removable] {
            tree.check_targets(document)?;
        }
        Ok(())
    }

    /// Changes `document`: removals first, then new values, then new UIDs. All or nothing.
    pub fn apply(&self, document: &mut Document, rules: &UpdateRules) -> Result<(), UpdateFailure> {
        let mut changed = document.clone();
        apply::remove(&self.removable, &mut changed, *rules)?;
        apply::update(&self.updatable, &mut changed, *rules)?;
        *document = changed;
        Ok(())
    }
}
