//! Changes and deletions: what they are, how they are planned, and how each is carried out.
//!
//! A [`Change`] is a list of steps, one an image set, made by reading only ([`planning`]). Each step
//! can be repeated: what was done before a crash is found done, and is done no second time.

mod attributes;
mod copies;
mod delete;
mod erase;
pub mod forms;
mod image_sets;
pub mod one_update;
mod part;
mod parts;
pub mod planning;
mod promote;
mod remove;
mod replace;
mod report;
mod run;
mod series;
mod update;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use healthimaging::{DatastoreId, ImageSetId, VersionId};

use crate::certificate::Certify;
use crate::find::Criteria;

pub use attributes::Values;
pub use part::Part;
pub(crate) use run::run;
pub use series::SeriesValues;

/// Changes and deletions of one data store.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Change {
    /// In which data store.
    pub datastore_id: DatastoreId,
    /// What it is about; searched again at the end, to prove what is left.
    pub target: Target,
    /// What is to be taken out of image sets; nothing, when whole image sets are meant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub part: Option<Part>,
    /// What is to be set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub values: Option<Values>,
    /// What is to be set in a series.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub series_values: Option<SeriesValues>,
    /// What is done, an image set at a time.
    pub steps: Vec<Step>,
    /// What the certificate at its end needs; none for changes without one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certify: Option<Box<Certify>>,
}

/// What a change is about.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Target {
    /// The image sets that match.
    Matching(Box<Criteria>),
    /// One image set.
    ImageSet(ImageSetId),
    /// What stays of it once the job has ended: nothing, since an id can be guessed from its digest.
    Forgotten {},
}

/// What is done to an image set.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Step {
    /// Which one.
    pub image_set_id: ImageSetId,
    /// Its latest version when the plan was made.
    pub version_id: VersionId,
    /// What is done to it.
    pub action: Action,
    /// The same number for all image sets of one study.
    pub study: usize,
    /// Number of its series that are deleted or removed, where that was known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub series: Option<usize>,
    /// Number of its instances that are deleted or removed, where that was known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instances: Option<usize>,
}

/// What is done to an image set.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// It is deleted, with all its versions.
    Delete,
    /// The part is removed: there is a new version, and the older ones keep the part.
    Remove,
    /// The rest is copied to a new image set, and this one is deleted with all its versions.
    Erase {
        /// Whether the copy has to join the primary hierarchy.
        primary: bool,
        /// The image sets of the study that were there before.
        known: Vec<ImageSetId>,
    },
    /// The latest version is copied to a new image set, and this one is deleted with all its versions.
    Renew {
        /// Whether the copy has to join the primary hierarchy.
        primary: bool,
        /// The image sets of the study that were there before.
        known: Vec<ImageSetId>,
    },
    /// The values are set in this image set.
    Update,
    /// The values are set in all primary image sets of the study at once, through this one.
    UpdateStudy {
        /// The others.
        others: Vec<ImageSetId>,
    },
    /// The latest version is copied to a new image set, the values of the series are set in the copy, which joins the primary
    /// hierarchy, and this one is deleted with all its versions.
    Replace {
        /// The image sets of the study that were there before.
        known: Vec<ImageSetId>,
    },
}

impl Action {
    /// The word for it in a plan.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Delete => "delete",
            Self::Remove => "remove",
            Self::Erase { .. } => "copy_rest_and_delete",
            Self::Renew { .. } => "copy_latest_and_delete",
            Self::Update | Self::UpdateStudy { .. } => "update",
            Self::Replace { .. } => "copy_change_and_delete",
        }
    }
}

impl Change {
    /// Whether it takes something away.
    pub(crate) fn destroys(&self) -> bool {
        self.values.is_none() && (self.series_values.is_none() || self.replaces())
    }

    /// Whether image sets are replaced by changed copies.
    pub fn replaces(&self) -> bool {
        self.steps.iter().any(|step| matches!(step.action, Action::Replace { .. }))
    }

    /// What may stay on disk once the job has ended: ids of image sets and counts, and the names of
    /// attributes; no ids of patients, no UIDs of studies, series or instances, no values, and no digests
    /// of them.
    #[must_use]
    pub fn redacted(self) -> Self {
        Self {
            target: Target::Forgotten {},
            part: None,
            values: self.values.as_ref().map(Values::without_values),
            series_values: self.series_values.as_ref().map(SeriesValues::without_values),
            ..self
        }
    }
}

/// A JSON object.
pub(crate) type Object = Map<String, Value>;
