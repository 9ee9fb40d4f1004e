//! One instance becomes one file.

use bytes::Bytes;
use futures::TryStreamExt as _;
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};

use healthimaging::model::{RetrieveInstanceRequest, TransferSyntaxChoice};
use healthimaging::{Body, DicomWeb, Result, retry_read};
use healthimaging_jobs::is_lack_of_access;
use healthimaging_objects::{Location, ObjectWriter};

use super::Export;
use super::deidentified::ReportedAttributes;
use super::items::{Instance, Item};
use crate::deidentify::{HoldReason, Instances, PixelOutcome, Processed, Report};
use crate::work::{ItemError, ItemOutcome, ItemResult, Journal};

/// Writes files, and records what became of each.
pub(super) struct Writer<'a> {
    pub(super) export: &'a Export,
    pub(super) dicomweb: &'a dyn DicomWeb,
    pub(super) output: &'a Location,
    pub(super) journal: &'a dyn Journal,
    /// De-identifies the instances, if they are to be.
    pub(super) instances: Option<Instances>,
    pub(super) reported: ReportedAttributes,
}

/// What became of an instance.
enum Done {
    Written(Written),
    HeldBack(HoldReason, Report),
}

/// What was written.
struct Written {
    transfer_syntax_uid: String,
    sha256: String,
    bytes: u64,
    /// What was done to de-identify it.
    deidentified: Option<(PixelOutcome, Report)>,
}

impl Writer<'_> {
    /// Carries an item out; one that fails is recorded, and one that is cancelled in the middle is not.
    pub(super) async fn carry_out(&self, item: Item) -> Result<()> {
        let Item { name, image_set_id, is_primary, instance } = item;
        let set = (!is_primary).then(|| image_set_id.clone());
        let written = match instance {
            Ok(instance) => self.write(&name, instance, set).await.transpose(),
            Err(error) => Some(Err(error)),
        };
        let Some(written) = written else {
            return Ok(());
        };
        let mut details = Map::new();
        details.insert("is_primary".to_owned(), is_primary.into());
        let mut reported = None;
        let (result, error) = match written {
            Ok(Done::Written(written)) => {
                details.extend(written.details());
                if let Some((pixels, report)) = &written.deidentified {
                    details.insert("pixels".to_owned(), json!(pixels));
                    reported = Some(self.reported.describe(report, &mut details));
                }
                (ItemResult::Written, None)
            }
            Ok(Done::HeldBack(reason, report)) => {
                details.insert("reason".to_owned(), json!(reason));
                details.insert("message".to_owned(), reason.message().into());
                reported = Some(self.reported.describe(&report, &mut details));
                (ItemResult::HeldBack, None)
            }
            Err(error) if self.journal.is_taken_over() && is_lack_of_access(error.kind()) => {
                return Err(error);
            }
            Err(error) => {
                // The caller reads it in the outcome; only the cause is for the log.
                if let Some(cause) = std::error::Error::source(&error) {
                    tracing::warn!(%error, %cause, %image_set_id, "a file was not exported");
                }
                (ItemResult::Failed, Some(ItemError::from(&error)))
            }
        };
        let outcome =
            ItemOutcome { item: name, image_set_id: Some(image_set_id), result, details, error };
        self.journal.record(outcome).await?;
        if let Some(attributes) = reported {
            self.reported.are_recorded(attributes);
        }
        Ok(())
    }

    /// Writes a file, and again if the transfer of its instance is interrupted. Nothing is left of it if the job is
    /// cancelled.
    async fn write(
        &self,
        name: &str,
        instance: Instance,
        image_set_id: Option<healthimaging::ImageSetId>,
    ) -> Result<Option<Done>> {
        let syntax = self.export.transfer_syntax_uid.clone();
        let request = RetrieveInstanceRequest {
            datastore_id: self.export.datastore_id.clone(),
            study_instance_uid: instance.study,
            series_instance_uid: instance.series,
            sop_instance_uid: instance.sop,
            image_set_id,
            transfer_syntax: syntax.map_or(TransferSyntaxChoice::Stored, TransferSyntaxChoice::Uid),
        };
        retry_read(|| self.try_to_write(name, request.clone())).await
    }

    async fn try_to_write(
        &self,
        name: &str,
        request: RetrieveInstanceRequest,
    ) -> Result<Option<Done>> {
        if self.journal.cancelled().is_cancelled() {
            return Ok(None);
        }
        let found = self.dicomweb.retrieve_instance(request).await?;
        let (mut transfer_syntax_uid, mut instance) = (found.transfer_syntax_uid, found.instance);
        let mut deidentified = None;
        if let Some(instances) = &self.instances {
            match instances.process(instance).await? {
                Processed::HeldBack(reason, report) => {
                    return Ok(Some(Done::HeldBack(reason, report)));
                }
                Processed::Ready(ready) => {
                    transfer_syntax_uid = ready.transfer_syntax_uid;
                    instance = ready.file;
                    deidentified = Some((ready.pixels, ready.report));
                }
            }
        }
        let mut writing = if self.export.overwrite {
            self.output.create(name).await?
        } else {
            self.output.create_new(name).await?
        };
        let copied = tokio::select! {
            copied = copy(instance, &mut writing) => copied.map(Some),
            () = self.journal.cancelled().cancelled() => Ok(None),
        };
        match copied {
            Ok(Some((sha256, bytes))) => {
                writing.finish().await?;
                Ok(Some(Done::Written(Written {
                    transfer_syntax_uid,
                    sha256,
                    bytes,
                    deidentified,
                })))
            }
            unfinished => {
                if let Err(error) = writing.abandon().await {
                    tracing::warn!(?error, "an unfinished file could not be taken back");
                }
                unfinished.map(|_| None)
            }
        }
    }
}

impl Written {
    fn details(&self) -> Map<String, Value> {
        let details = json!({
            "transfer_syntax_uid": self.transfer_syntax_uid,
            "sha256": self.sha256,
            "size_in_bytes": self.bytes,
        });
        match details {
            Value::Object(details) => details,
            _ => Map::new(),
        }
    }
}

/// Copies a body; its SHA-256 in hexadecimal, and its length.
async fn copy(from: Body, to: &mut ObjectWriter) -> Result<(String, u64)> {
    let mut pieces = from.into_stream();
    let (mut digest, mut length) = (Sha256::new(), 0);
    while let Some(piece) = pieces.try_next().await? {
        digest.update(&piece);
        length += Bytes::len(&piece) as u64;
        to.write(piece).await?;
    }
    Ok((hex::encode(digest.finalize()), length))
}
