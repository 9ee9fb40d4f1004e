//! What a job does, and what it may use while it does it.

use std::path::PathBuf;

use async_trait::async_trait;
use futures::stream::BoxStream;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use tokio_util::sync::CancellationToken;

use healthimaging::{DatastoreId, Effect, Error, ImageSetId, JobId, PublicType, Result};
use healthimaging_jobs::Needs;
use healthimaging_objects::Objects;
use healthimaging_pixels::Decoder;

use crate::back_end::BackEnd;
use crate::certificate::Certifying;
use crate::change::{self, Change};
use crate::export::{self, Export};
use crate::peers::Peers;
use crate::transfer::{self, Transfer};

/// What a job does. It is written into the job's file, so what is added later is optional.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Work {
    /// Changes and deletions, one after the other.
    Change(Change),
    /// Instances written as Part 10 files.
    Export(Export),
    /// Instances stored in another data store.
    Transfer(Transfer),
}

/// What running work may use.
#[derive(Debug, Clone)]
pub struct Tools {
    /// The back end.
    pub back_end: BackEnd,
    /// The other back end of this installation.
    pub peers: Peers,
    /// Where files are read and written.
    pub objects: Objects,
    /// Decoder of frames that are changed.
    pub decoder: Decoder,
    /// The data folder: the de-identification key, certificates, and temporary files.
    pub data_folder: PathBuf,
    /// How certificates of erasures are made.
    pub certifying: Certifying,
}

impl Tools {
    /// Tools that decode frames in this process: for tests.
    pub fn in_process(
        back_end: BackEnd,
        objects: Objects,
        data_folder: impl Into<PathBuf>,
    ) -> Self {
        let (decoder, data_folder) = (Decoder::in_process(), data_folder.into());
        let (peers, certifying) = (Peers::default(), Certifying::default());
        Self { back_end, peers, objects, decoder, data_folder, certifying }
    }
}

/// Where running work writes down what it has done; what is recorded is durable.
#[async_trait]
pub trait Journal: Send + Sync {
    /// The job whose journal it is.
    fn job_id(&self) -> &JobId;

    /// What an earlier run of the same job recorded for an item.
    fn outcome_of(&self, item: &str) -> Option<ItemOutcome>;

    /// Everything recorded so far, in the order of recording; read as it is asked for.
    fn outcomes(&self) -> BoxStream<'_, Result<ItemOutcome>>;

    /// How many items there are, as soon as that is known.
    fn expect(&self, total: u64);

    /// Records what became of an item: once. Those who record at the same time wait together.
    async fn record(&self, outcome: ItemOutcome) -> Result<()>;

    /// Ends when the job is cancelled or the process stops: work ends soon, between two items.
    fn cancelled(&self) -> &CancellationToken;

    /// Whether it was cancelled for good, so that no later run goes on.
    fn is_called_off(&self) -> bool;

    /// What the job needs of the process that runs it.
    fn needs(&self) -> &Needs;

    /// Whether another process accepted the job: then lack of access is an error of the job rather than of
    /// an item, so that it is left to a process that has access.
    fn is_taken_over(&self) -> bool;
}

/// What became of one item of a job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub struct ItemOutcome {
    /// Which item: unique in its job, without patient data.
    pub item: String,
    /// The image set it belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image_set_id: Option<ImageSetId>,
    /// What became of it.
    pub result: ItemResult,
    /// What to know about it: a version, a key, a checksum; without patient data.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub details: Map<String, Value>,
    /// Why it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<ItemError>,
}

/// What became of an item.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub enum ItemResult {
    /// Image set deleted, with all its versions.
    Deleted,
    /// Changed: there is a new version.
    Updated,
    /// Series or instance removed from its image set: there is a new version.
    Removed,
    /// The copy of another image set, or of a part of one.
    Copied,
    /// Written.
    Written,
    /// Not written, because a person has to look at its pixels or its document first.
    HeldBack,
    /// There was nothing to do any more.
    Unchanged,
    /// It failed; the rest goes on.
    Failed,
}

/// Why an item failed, as a tool's error says it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub struct ItemError {
    /// One of the five public types.
    #[serde(rename = "type")]
    #[schemars(with = "String")]
    pub kind: PublicType,
    /// What is wrong and what to do.
    pub message: String,
}

impl From<&Error> for ItemError {
    fn from(error: &Error) -> Self {
        Self { kind: error.kind().public_type(), message: error.message().to_owned() }
    }
}

impl Work {
    /// Whether it deletes image sets, series or instances.
    pub(crate) fn deletes(&self) -> bool {
        match self {
            Self::Change(change) => change.destroys(),
            Self::Export(_) | Self::Transfer(_) => false,
        }
    }

    /// Its effect.
    pub(crate) fn effect(&self) -> Effect {
        if self.deletes() { Effect::Destroys } else { Effect::Writes }
    }

    /// The other data store of this back end that it writes to.
    pub(crate) fn destination(&self) -> Option<&DatastoreId> {
        match self {
            Self::Change(_) | Self::Export(_) => None,
            Self::Transfer(transfer) => Some(&transfer.to.datastore_id),
        }
    }

    /// Whether it needs AWS credentials beside those of its own back end.
    pub(crate) fn uses_aws(&self) -> bool {
        match self {
            Self::Change(_) => false,
            Self::Export(export) => export.output_uri.as_str().starts_with("s3://"),
            Self::Transfer(transfer) => transfer.uses_aws(),
        }
    }

    /// The folders that it touches and that `objects` allows, links resolved.
    pub(crate) fn folders(&self, objects: &Objects) -> Vec<PathBuf> {
        match self {
            Self::Change(_) | Self::Transfer(_) => Vec::new(),
            Self::Export(export) => {
                let allowed = objects.allowing(&export.allowed_paths);
                allowed.resolved_folders([&export.output_uri])
            }
        }
    }
    /// What an ended job keeps of it on disk: nothing that may be patient data.
    pub(crate) fn redacted(self) -> Self {
        match self {
            Self::Change(change) => Self::Change(change.redacted()),
            Self::Export(_) => self,
            Self::Transfer(transfer) => Self::Transfer(transfer.redacted()),
        }
    }

    /// Does it, or what is left of it, and reports at the end.
    ///
    /// An item that fails is recorded and the rest goes on; an error means that the whole cannot go on.
    pub(crate) async fn run(
        &self,
        tools: &Tools,
        journal: &dyn Journal,
    ) -> Result<Map<String, Value>> {
        match self {
            Self::Change(change) => change::run(change, tools, journal).await,
            Self::Export(export) => export::run(export, tools, journal).await,
            Self::Transfer(transfer) => transfer::run(transfer, tools, journal).await,
        }
    }
}
