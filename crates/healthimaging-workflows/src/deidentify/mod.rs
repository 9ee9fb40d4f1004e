//! De-identification of instances on their way out of a data store: the key, the decision about pixels, and frames that
//! are blanked. It writes no report and names no file.

mod blank;
mod instance;
mod key;
mod spool;

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use healthimaging::{Error, Result};
use healthimaging_deidentify::{Deidentifier, Key, Profile, ProfileOption};

use crate::work::Tools;

pub use key::of_folder_or_new as data_folder_key;

pub use healthimaging_deidentify::{HoldReason, Outcome, Rectangle, Report, TABLE_SOURCE};
pub use instance::{Instances, PixelOutcome, Processed, ReadyInstance};
pub(crate) use instance::{blocking, unreadable};
pub(crate) use spool::{Source as Spool, unspooled};

/// What a caller asks for.
#[derive(Debug, Clone, Default)]
pub struct Request {
    /// Profile; only `basic` exists.
    pub profile: String,
    /// Options by name, such as `clean-descriptors`.
    pub options: Vec<String>,
    /// File of the key; the key in the data folder, which is made at first use, if absent.
    pub key_file: Option<PathBuf>,
    /// What a person who looked at the frames decided.
    pub review: Review,
}

/// What a person who looked at all frames of an export decided.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Review {
    /// Areas to blank in every frame.
    #[serde(default, skip_serializing_if = "Vec::is_empty", with = "rectangles")]
    pub blank: Vec<Rectangle>,
    /// Whether the rest of the frames shows no text that identifies a person.
    #[serde(default)]
    pub is_reviewed: bool,
}

/// How a job de-identifies. It is part of the job's record, which holds the identity of the key and never the key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deidentify {
    /// Profile.
    pub profile: String,
    /// Names of the options in force.
    pub options: Vec<String>,
    /// Identity of the key: a digest.
    pub key_id: String,
    /// File of the key, if it is not the one in the data folder.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_file: Option<PathBuf>,
    /// What a person decided about the frames.
    #[serde(default)]
    pub review: Review,
}

impl Deidentify {
    /// Checks a request, and reads the key or makes it.
    ///
    /// Errors: `Validation` for an unknown profile or option, options that exclude each other, a review without
    /// `clean-pixel-data`, or a key that is no key; `NotSupported` for `clean-visual-features`.
    pub fn new(request: Request, tools: &Tools) -> Result<Self> {
        let Request { profile, options, key_file, review } = request;
        let parsed = Profile::parse(&profile, &options)?;
        if review != Review::default() && !parsed.has(ProfileOption::CleanPixelData) {
            return Err(Error::validation(
                "deidentify options: a review of the pixels needs clean-pixel-data; add it",
            ));
        }
        let key = match &key_file {
            Some(file) => key::given(file)?,
            None => key::of_folder_or_new(&tools.data_folder)?,
        };
        let options = parsed.options().map(|option| option.name().to_owned()).collect();
        Ok(Self { profile, options, key_id: key.id(), key_file, review })
    }

    /// Prepares the work of a job.
    ///
    /// Errors: `Conflict` if the key is no longer the one that the job began with; `Internal` if it cannot be read.
    pub fn open(&self, tools: &Tools) -> Result<Instances> {
        let key = self.key(tools)?;
        let profile = Profile::parse(&self.profile, &self.options)?;
        Ok(Instances::new(Deidentifier::new(profile, key), self.review.clone(), tools))
    }

    fn key(&self, tools: &Tools) -> Result<Key> {
        let key = match &self.key_file {
            Some(file) => key::given(file)?,
            None => key::of_folder(&tools.data_folder)?,
        };
        if key.id() != self.key_id {
            return Err(Error::conflict(
                "the de-identification key is not the one that the job began with; restore that key, or export again",
            ));
        }
        Ok(key)
    }
}

/// Rectangles in the record of a job: left, top, right and bottom.
mod rectangles {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use super::Rectangle;

    pub(super) fn serialize<S: Serializer>(all: &[Rectangle], to: S) -> Result<S::Ok, S::Error> {
        let numbers = all.iter().map(|one| [one.left, one.top, one.right, one.bottom]);
        numbers.collect::<Vec<_>>().serialize(to)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Vec<Rectangle>, D::Error> {
        let numbers = Vec::<[u32; 4]>::deserialize(from)?;
        let one = |[left, top, right, bottom]: [u32; 4]| Rectangle { left, top, right, bottom };
        Ok(numbers.into_iter().map(one).collect())
    }
}
