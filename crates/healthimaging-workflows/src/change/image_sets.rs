//! The calls that steps are made of; they wait for locks, and end when the job is cancelled.
//!
//! The back end paces them, and retries what it throttles; a call that waits for its turn is dropped on cancellation.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::TryStreamExt as _;
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use healthimaging::model::{
    CopyDestination, CopyImageSetInformation, CopyImageSetRequest, CopySource,
    DeleteImageSetRequest, DicomCopies, GetImageFrameRequest, GetImageSetMetadataRequest,
    GetImageSetRequest, ImageSetProperties, ImageSetState, ImageSetWorkflowStatus, MetadataUpdates,
    UpdateImageSetMetadataRequest,
};
use healthimaging::{
    DatastoreId, Error, ErrorKind, HealthImaging, ImageFrameId, ImageSetId, Result, TurnWatch,
    VersionId, poll_pauses, retry_read, watch_turns,
};

use crate::compare::Version;
use crate::document::{self, Contents};

/// How long a step waits for an image set that is locked.
const LONGEST_LOCK: Duration = Duration::from_mins(15);

/// First pause between two polls of an image set.
const FIRST_PAUSE: Duration = Duration::from_millis(10);

/// Tries to delete an image set that only this work knows.
const DELETIONS: usize = 4;

/// What is said where the service does not say why.
pub(super) const NO_REASON: &str = "the service gave no reason";

/// SHA-256.
pub(super) type Digest = [u8; 32];

/// Why a step did not come to its end.
#[derive(Debug)]
pub(super) enum Halt {
    /// The job was cancelled or the process stops: nothing is recorded, a later run goes on.
    Stopped,
    /// It failed.
    Failed(Error),
}

impl From<Error> for Halt {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

/// The result of a step, or of a part of one.
pub(super) type Step<T> = Result<T, Halt>;

/// The image sets of a data store.
#[derive(Clone)]
pub(super) struct ImageSets<'a> {
    pub(super) service: &'a dyn HealthImaging,
    pub(super) datastore_id: &'a DatastoreId,
    stop: CancellationToken,
}

/// Whether a call waits for its turn, so that giving it up leaves nothing done.
#[derive(Default)]
struct Turn(watch::Sender<bool>);

impl TurnWatch for Turn {
    fn waits(&self, _: Duration) {
        self.0.send_replace(true);
    }

    fn goes(&self) {
        self.0.send_replace(false);
    }
}

impl<'a> ImageSets<'a> {
    pub(super) fn new(
        service: &'a dyn HealthImaging,
        datastore_id: &'a DatastoreId,
        stop: &CancellationToken,
    ) -> Self {
        Self { service, datastore_id, stop: stop.clone() }
    }

    /// The same for what has to come to its end, cancelled or not: what is begun is not left half done.
    pub(super) fn finishing(&self) -> Self {
        Self {
            service: self.service,
            datastore_id: self.datastore_id,
            stop: CancellationToken::new(),
        }
    }

    /// Whether the work is to end.
    pub(super) fn is_stopped(&self) -> bool {
        self.stop.is_cancelled()
    }

    /// An image set as it stands; `None` when it is deleted or unknown.
    pub(super) async fn latest(&self, id: &ImageSetId) -> Step<Option<ImageSetProperties>> {
        self.version(id, None).await
    }

    async fn version(
        &self,
        id: &ImageSetId,
        version_id: Option<&VersionId>,
    ) -> Step<Option<ImageSetProperties>> {
        let request = GetImageSetRequest {
            datastore_id: self.datastore_id.clone(),
            image_set_id: id.clone(),
            version_id: version_id.cloned(),
        };
        let found = self.read(|| self.service.get_image_set(request.clone())).await;
        match found {
            Ok(found) if found.properties.image_set_state == ImageSetState::Deleted => Ok(None),
            Ok(found) => Ok(Some(found.properties)),
            Err(Halt::Failed(error)) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(halt) => Err(halt),
        }
    }

    /// The same, once it is not locked any more.
    pub(super) async fn unlocked(&self, id: &ImageSetId) -> Step<Option<ImageSetProperties>> {
        for pause in poll_pauses(FIRST_PAUSE, LONGEST_LOCK) {
            match self.latest(id).await? {
                Some(set) if set.image_set_state == ImageSetState::Locked => {}
                settled => return Ok(settled),
            }
            self.pause(pause).await?;
        }
        Err(Error::conflict(format!(
            "image set {id} stays locked by another write; try again when it is ACTIVE"
        ))
        .into())
    }

    /// What a version holds.
    pub(super) async fn contents(&self, id: &ImageSetId, version_id: &VersionId) -> Step<Contents> {
        let request = GetImageSetMetadataRequest {
            datastore_id: self.datastore_id.clone(),
            image_set_id: id.clone(),
            version_id: Some(version_id.clone()),
        };
        self.read(|| document::contents(self.service, request.clone())).await
    }

    /// A version with its document; the latest if none is named.
    pub(super) async fn fetched(
        &self,
        id: &ImageSetId,
        version_id: Option<&VersionId>,
    ) -> Step<Version> {
        let fetch = || {
            let (datastore_id, version_id) = (self.datastore_id.clone(), version_id.cloned());
            Version::fetch(self.service, datastore_id, id.clone(), version_id)
        };
        self.read(fetch).await
    }

    /// SHA-256 of a stored frame.
    pub(super) async fn frame_digest(&self, id: &ImageSetId, frame: &ImageFrameId) -> Step<Digest> {
        let request = GetImageFrameRequest {
            datastore_id: self.datastore_id.clone(),
            image_set_id: id.clone(),
            image_frame_id: frame.clone(),
        };
        let read = || async {
            let found = self.service.get_image_frame(request.clone()).await?;
            let mut pieces = found.image_frame.into_stream();
            let mut digest = Sha256::new();
            while let Some(piece) = pieces.try_next().await? {
                digest.update(&piece);
            }
            Ok(digest.finalize().into())
        };
        self.read(read).await
    }

    /// Deletes an image set, and waits until it is gone.
    pub(super) async fn delete(&self, id: &ImageSetId) -> Step<()> {
        let request = DeleteImageSetRequest {
            datastore_id: self.datastore_id.clone(),
            image_set_id: id.clone(),
        };
        let asked = self.in_turn(self.service.delete_image_set(request));
        match asked.await {
            Ok(_) => {}
            Err(Halt::Failed(error)) if error.kind() == ErrorKind::NotFound => return Ok(()),
            Err(halt) => return Err(halt),
        }
        match self.finishing().unlocked(id).await? {
            None => Ok(()),
            Some(_) => Err(Error::new(
                ErrorKind::Service,
                format!("image set {id} was to be deleted and is still there; try again"),
            )
            .into()),
        }
    }

    /// Deletes an image set that only this work knows, also when answers are lost, and when an earlier process has
    /// begun to delete it.
    pub(super) async fn delete_own(&self, id: &ImageSetId) -> Step<()> {
        for _ in 1..DELETIONS {
            match self.delete(id).await {
                Err(Halt::Failed(error))
                    if matches!(error.kind(), ErrorKind::Service | ErrorKind::Conflict) =>
                {
                    if self.finishing().unlocked(id).await?.is_none() {
                        return Ok(());
                    }
                }
                settled => return settled,
            }
        }
        self.delete(id).await
    }

    /// Makes a new version, and waits until it is made; what became of it.
    pub(super) async fn update(
        &self,
        id: &ImageSetId,
        latest: &VersionId,
        how: Update<'_>,
    ) -> Step<ImageSetProperties> {
        let text = |document: &Value| Bytes::from(document.to_string());
        let request = UpdateImageSetMetadataRequest {
            datastore_id: self.datastore_id.clone(),
            image_set_id: id.clone(),
            latest_version_id: latest.clone(),
            force: how.force,
            include_study_image_sets: how.whole_study,
            updates: MetadataUpdates::DicomUpdates {
                updatable_attributes: how.set.map(text),
                removable_attributes: how.remove.map(text),
            },
        };
        let made = self.in_turn(self.service.update_image_set_metadata(request));
        let made = made.await?.latest_version_id;
        let finishing = self.finishing();
        finishing.unlocked(id).await?;
        let made = finishing.version(id, Some(&made)).await?;
        made.ok_or_else(|| Halt::Failed(deleted_during(id)))
    }

    /// Copies an image set, and waits until the copy is made; its id.
    pub(super) async fn copy(
        &self,
        id: &ImageSetId,
        latest: &VersionId,
        how: Copy<'_>,
    ) -> Step<ImageSetId> {
        let request = CopyImageSetRequest {
            datastore_id: self.datastore_id.clone(),
            source_image_set_id: id.clone(),
            copy_image_set_information: CopyImageSetInformation {
                source_image_set: CopySource {
                    latest_version_id: latest.clone(),
                    dicom_copies: how.selection.map(|selection| DicomCopies {
                        copiable_attributes: selection.to_string(),
                    }),
                },
                destination_image_set: how.into.map(|(id, latest)| CopyDestination {
                    image_set_id: id.clone(),
                    latest_version_id: latest.clone(),
                }),
            },
            force: how.force,
            promote_to_primary: how.promote,
        };
        let copied = self.in_turn(self.service.copy_image_set(request));
        let copy = copied.await?.destination_image_set_properties.image_set_id;
        let finishing = self.finishing();
        let made = finishing.unlocked(&copy).await?;
        finishing.unlocked(id).await?;
        let made = made.ok_or_else(|| deleted_during(&copy))?;
        if made.image_set_workflow_status != Some(ImageSetWorkflowStatus::CopyFailed) {
            return Ok(copy);
        }
        if made.version_id.number() == 1 && made.is_primary != Some(true) {
            // An empty image set is all that is left of the attempt.
            finishing.delete_own(&copy).await?;
        }
        let why = made.message.as_deref().unwrap_or(NO_REASON);
        Err(Error::validation(format!("the service did not copy (COPY_FAILED): {why}")).into())
    }

    /// Reads, and again after a fault on the way: reading twice does no harm.
    async fn read<T, F>(&self, read: impl FnMut() -> F + Send) -> Step<T>
    where
        T: Send,
        F: Future<Output = Result<T>> + Send,
    {
        self.in_turn(retry_read(read)).await
    }

    /// One call, given up when the work ends before its turn has come; a call that was sent is waited for.
    async fn in_turn<T>(&self, call: impl Future<Output = Result<T>> + Send) -> Step<T> {
        if self.is_stopped() {
            return Err(Halt::Stopped);
        }
        let turn = Arc::new(Turn::default());
        let given_up = async {
            self.stop.cancelled().await;
            // It fails only when the sender is gone, and `turn` holds it.
            let _ = turn.0.subscribe().wait_for(|is_waiting| *is_waiting).await;
        };
        tokio::select! {
            biased;
            answer = watch_turns(Arc::clone(&turn) as _, call) => Ok(answer?),
            () = given_up => Err(Halt::Stopped),
        }
    }

    /// Waits, unless the work is to end.
    async fn pause(&self, pause: Duration) -> Step<()> {
        tokio::select! {
            () = tokio::time::sleep(pause) => Ok(()),
            () = self.stop.cancelled() => Err(Halt::Stopped),
        }
    }
}

/// An image set was deleted during a step.
pub(super) fn deleted_during(id: &ImageSetId) -> Error {
    Error::not_found(format!("image set {id} was deleted during the job"))
}

/// An update to make.
#[derive(Clone, Copy, Default)]
pub(super) struct Update<'a> {
    pub(super) set: Option<&'a Value>,
    pub(super) remove: Option<&'a Value>,
    pub(super) force: bool,
    pub(super) whole_study: bool,
}

/// A copy to make.
#[derive(Clone, Copy, Default)]
pub(super) struct Copy<'a> {
    /// The instances; all, if none are named.
    pub(super) selection: Option<&'a Value>,
    /// The image set that they join, in its latest version.
    pub(super) into: Option<(&'a ImageSetId, &'a VersionId)>,
    pub(super) promote: bool,
    pub(super) force: bool,
}
