//! Storage by DICOMweb: local files, and image sets of another data store.

use std::collections::BTreeMap;
use std::future::Future;
use std::path::PathBuf;
use std::pin::pin;
use std::time::{Duration, Instant};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use healthimaging::model::StoredInstance;
use healthimaging::{DatastoreId, Error, ImageSetId, Result};
use healthimaging_workflows::counted;
use healthimaging_workflows::store::{self, Stored, Watch};

use crate::answer::Reply;
use crate::context::Context;
use crate::tool::{Effect, Tool};

/// Failures in an answer; the rest is counted.
const LISTED_FAILURES: usize = 50;
/// Image sets in an answer; the rest is counted.
const LISTED_IMAGE_SETS: usize = 100;
/// Shortest time between two reports of progress.
const PACE: Duration = Duration::from_millis(200);

/// Store local DICOM files and folders, recursively, in a data store, without S3. Each file has its own
/// outcome.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct StoreDicomInstances {
    /// ID or name
    datastore_id: Option<DatastoreId>,
    /// Absolute; inside the allowed folders of this server
    #[schemars(length(min = 1, max = 100))]
    paths: Vec<PathBuf>,
}

/// Result of a storage.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct StoredInstances {
    datastore_id: DatastoreId,
    #[serde(flatten)]
    report: StoreReport,
}

/// Result of a storage: counts and the first of each kind.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(inline)]
pub(crate) struct StoreReport {
    stored: usize,
    /// Stored with a warning.
    with_warnings: usize,
    failed: usize,
    /// Not sent because a request was refused.
    not_tried: usize,
    image_sets: Vec<ReceivingImageSet>,
    #[serde(skip_serializing_if = "Option::is_none")]
    image_sets_not_listed: Option<usize>,
    failures: Vec<FailedFile>,
    #[serde(skip_serializing_if = "Option::is_none")]
    failures_not_listed: Option<usize>,
    /// Why a request was refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<String>,
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(inline)]
struct ReceivingImageSet {
    image_set_id: ImageSetId,
    is_primary: bool,
    instances: usize,
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(inline)]
struct FailedFile {
    /// Path, or SOP Instance UID.
    item: String,
    message: String,
}

impl Tool for StoreDicomInstances {
    const NAME: &'static str = "store_dicom_instances";
    const TITLE: &'static str = "Store DICOM instances";
    const EXAMPLE: &'static str =
        r#"{"datastore_id": "0f1e2d3c4b5a69788796a5b4c3d2e1f0", "paths": ["/data/scans"]}"#;
    const EFFECT: Effect = Effect::Writes;
    type Output = StoredInstances;

    async fn call(self, context: &Context) -> Result<Reply<Self::Output>> {
        if !(1..=100).contains(&self.paths.len()) {
            return Err(Error::validation("paths must name 1 to 100 files or folders"));
        }
        if self.paths.iter().any(|path| !path.is_absolute()) {
            return Err(Error::validation("paths must be absolute"));
        }
        let datastore_id = context.datastore(self.datastore_id).await?;
        let objects = &context.ledger().tools().objects;
        let stored = watched(context, |watch| {
            let back_end = context.back_end();
            store::files(back_end, objects, &datastore_id, &self.paths, |_| None, watch)
        })
        .await?;
        let report = StoreReport::of(stored);
        let text = report.summary();
        let output = StoredInstances { datastore_id, report };
        Ok(Reply::new(output, text))
    }
}

/// Runs work, and reports its progress to the caller.
pub(super) async fn watched<T, F, Fut>(context: &Context, begin: F) -> Result<T>
where
    F: FnOnce(Watch) -> Fut,
    Fut: Future<Output = Result<T>>,
{
    let (done, mut changes) = watch::channel(0_usize);
    let work = begin(Watch { done, cancelled: context.cancelled().clone() });
    let mut work = pin!(work);
    let mut reported: Option<Instant> = None;
    loop {
        tokio::select! {
            ended = &mut work => return ended,
            Ok(()) = changes.changed() => {
                let count = *changes.borrow_and_update();
                if reported.is_none_or(|at| at.elapsed() >= PACE) {
                    reported = Some(Instant::now());
                    let done = f64::from(u32::try_from(count).unwrap_or(u32::MAX));
                    let message = format!("{} sent", counted(count, "instance"));
                    context.report(done, None, message).await;
                }
            }
        }
    }
}

impl StoreReport {
    pub(super) fn of(outcome: Stored<String>) -> Self {
        let mut sets: BTreeMap<ImageSetId, ReceivingImageSet> = BTreeMap::new();
        let mut with_warnings = 0;
        let stored = outcome.stored.len();
        for (_, instance) in outcome.stored {
            let StoredInstance { image_set_id, is_primary, warning_reason, .. } = instance;
            with_warnings += usize::from(warning_reason.is_some());
            let set = sets.entry(image_set_id.clone()).or_insert(ReceivingImageSet {
                image_set_id,
                is_primary,
                instances: 0,
            });
            set.instances += 1;
        }
        let failed = outcome.failed.len();
        let beyond = |count: usize, listed: usize| (count > listed).then(|| count - listed);
        let failures = outcome.failed.into_iter().take(LISTED_FAILURES);
        Self {
            stored,
            with_warnings,
            failed,
            not_tried: outcome.not_tried,
            image_sets_not_listed: beyond(sets.len(), LISTED_IMAGE_SETS),
            image_sets: sets.into_values().take(LISTED_IMAGE_SETS).collect(),
            failures: failures.map(|(item, message)| FailedFile { item, message }).collect(),
            failures_not_listed: beyond(failed, LISTED_FAILURES),
            message: outcome.error.map(|error| error.message().to_owned()),
        }
    }

    /// Returns the image set that received most instances.
    pub(super) fn destination(&self) -> Option<&ImageSetId> {
        let most = self.image_sets.iter().max_by_key(|set| set.instances)?;
        Some(&most.image_set_id)
    }

    pub(super) fn first_failure(&self) -> Option<&str> {
        self.failures.first().map(|failed| failed.message.as_str())
    }

    pub(super) fn summary(&self) -> String {
        let rest = match self.not_tried {
            0 => String::new(),
            some => format!(", {some} not tried"),
        };
        let sets = self.image_sets.len() + self.image_sets_not_listed.unwrap_or_default();
        let (stored, sets) = (counted(self.stored, "instance"), counted(sets, "image set"));
        format!("{stored} stored in {sets}, {} failed{rest}.", self.failed)
    }
}
