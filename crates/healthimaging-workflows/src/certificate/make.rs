//! Making a certificate in the job of a deletion: what identifies the image sets is read before the first of them is deleted,
//! and looked for when the last one is.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use chrono::Utc;
use futures::TryStreamExt as _;
use healthimaging::{Error, ImageSetId, JobId, Result, Timestamp};
use healthimaging_audit::Keys;
use serde_json::{Map, Value, json};
use tokio_util::sync::CancellationToken;

use super::folder::{Folder, Reach};
use super::identifiers::{Digests, Identifiers};
use super::matcher::Matcher;
use super::scan::{Place, StoreScan};
use super::statement::{document, image_sets};
use super::{Certificate, Certify, files};
use crate::change::{Change, Step};
use crate::work::{ItemOutcome, Journal, Tools};

/// A certificate that is being made.
pub(crate) struct Begun {
    identifiers: Identifiers,
}

/// What a scan found.
pub(super) struct Scanned {
    pub(super) started_at: Timestamp,
    pub(super) is_settled: bool,
    pub(super) digests: Digests,
    pub(super) held: BTreeMap<ImageSetId, BTreeSet<u32>>,
    pub(super) elsewhere: BTreeMap<String, BTreeSet<u32>>,
    pub(super) packs_left: Vec<String>,
    pub(super) unread: Vec<String>,
    pub(super) texts: usize,
    pub(super) pieces: u64,
    pub(super) bytes: u64,
}

/// Reads what identifies the image sets, before anything is deleted; a job that is continued gets what it had read.
pub(crate) async fn begin(change: &Change, tools: &Tools, journal: &dyn Journal) -> Begun {
    let Some(scan) = tools.certifying.scan.clone() else {
        return Begun { identifiers: Identifiers::default() };
    };
    let (change, folder, job) =
        (change.clone(), tools.data_folder.clone(), journal.job_id().clone());
    let read = tokio::task::spawn_blocking(move || read(&change, &*scan, &folder, &job)).await;
    let identifiers = read.unwrap_or_else(|error| {
        tracing::error!(%error, "what is erased could not be read for its certificate");
        Identifiers { unread: vec!["all".to_owned()], ..Identifiers::default() }
    });
    Begun { identifiers }
}

fn read(change: &Change, scan: &dyn StoreScan, folder: &Path, job: &JobId) -> Identifiers {
    if let Some(kept) = files::kept(folder, job) {
        return kept;
    }
    let mut identifiers = Identifiers::default();
    for Step { image_set_id, .. } in &change.steps {
        let mut collect = |piece: super::Piece<'_>| identifiers.collect(piece);
        match scan.walk_image_set(&change.datastore_id, image_set_id, &mut collect) {
            Ok(packs) => identifiers.packs.extend(packs),
            Err(error) => {
                tracing::warn!(%error, "an image set could not be read for its certificate");
                identifiers.unread.push(image_set_id.to_string());
            }
        }
    }
    if let Err(error) = files::keep(folder, job, &identifiers) {
        // A full disk does not stop a deletion; only another process could not continue with it.
        tracing::warn!(%error, "what is erased could not be kept until its certificate is made");
    }
    identifiers
}

/// Makes the certificate of a job whose deletions are durable, unless it was made before, and returns what the report of the
/// job shows of it. `failed` is why the job cannot go on.
pub(crate) async fn finish(
    (change, certify): (&Change, &Certify),
    begun: Begun,
    tools: &Tools,
    journal: &dyn Journal,
    report: &Map<String, Value>,
    failed: Option<&Error>,
) -> Value {
    match make((change, certify), begun, tools, journal, report, failed).await {
        Ok(certificate) => certificate.short(),
        Err(error) => {
            tracing::error!(%error, "a deletion has no certificate");
            json!({ "not_made": error.message() })
        }
    }
}

async fn make(
    (change, certify): (&Change, &Certify),
    Begun { identifiers }: Begun,
    tools: &Tools,
    journal: &dyn Journal,
    report: &Map<String, Value>,
    failed: Option<&Error>,
) -> Result<Certificate> {
    let (folder, job) = (tools.data_folder.clone(), journal.job_id().clone());
    if let Some(made) = files::made(&folder, &job)? {
        files::forget(&folder, &job)?;
        return Ok(made);
    }
    let keys = Keys::of_data_folder(&folder).map_err(|cause| {
        let message = format!("the key that signs certificates cannot be used ({cause})");
        Error::internal(message, cause)
    })?;
    let keys = Arc::new(keys);
    let outcomes: Vec<ItemOutcome> = journal.outcomes().try_collect().await?;
    let image_sets = image_sets(change, &outcomes);
    let scanned = match tools.certifying.scan.clone() {
        Some(scan) => {
            let work = Work {
                identifiers,
                keys: Arc::clone(&keys),
                folder: folder.clone(),
                job: job.clone(),
                stop: journal.cancelled().clone(),
                is_called_off: journal.is_called_off(),
            };
            Some(work.scan(scan).await?)
        }
        None => None,
    };
    let certificate = document(
        (change, certify),
        (&keys, &tools.certifying.back_end),
        &job,
        image_sets,
        scanned.as_ref(),
        report,
        failed,
    );
    let certificate = certificate
        .signed(&keys)
        .map_err(|cause| Error::internal("the certificate could not be written as JSON", cause))?;
    tokio::task::spawn_blocking(move || {
        files::write(&folder, &certificate)?;
        files::forget(&folder, &job)?;
        // Another process may have been first.
        Ok(files::made(&folder, &job)?.unwrap_or(certificate))
    })
    .await
    .map_err(|cause| Error::internal("the certificate could not be written", cause))?
}

/// A scan after a deletion.
struct Work {
    identifiers: Identifiers,
    keys: Arc<Keys>,
    folder: PathBuf,
    job: JobId,
    stop: CancellationToken,
    is_called_off: bool,
}

impl Work {
    async fn scan(self, scan: Arc<dyn StoreScan>) -> Result<(Scanned, Identifiers)> {
        let is_settled = scan.settled().await?;
        tokio::task::spawn_blocking(move || self.scan_blocking(&*scan, is_settled))
            .await
            .map_err(|cause| Error::internal("the scan after the deletion failed", cause))?
    }

    fn scan_blocking(
        self,
        scan: &dyn StoreScan,
        is_settled: bool,
    ) -> Result<(Scanned, Identifiers)> {
        let started_at = Utc::now();
        let digests = self.identifiers.digests(&self.keys);
        let mut matcher = Matcher::new(Arc::clone(&self.keys), &digests, self.identifiers.texts())?;
        let texts = matcher.texts();
        // A process that stops leaves the job to the next one.
        let go_on = || {
            if self.stop.is_cancelled() && !self.is_called_off {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        };
        scan.walk(self.job.as_str(), &mut |piece, place: &dyn Fn() -> Place| {
            matcher.visit(piece, place);
            go_on()
        })?;
        let folder = Folder {
            data_folder: &self.folder,
            reach: Reach::Usual,
            except: &files::pending_name(&self.job),
            store: scan,
        };
        let unread = folder.search(&mut matcher, None, &mut |_| go_on());
        if go_on().is_break() {
            return Err(Error::conflict("the process stops; the next one makes the certificate"));
        }
        let packs_left = scan.packs_left(&self.identifiers.packs);
        let findings = matcher.findings;
        let held: BTreeSet<u32> = findings.held.values().flatten().copied().collect();
        let elsewhere = findings.elsewhere.into_iter().filter_map(|(place, found)| {
            let found: BTreeSet<u32> = found.difference(&held).copied().collect();
            (!found.is_empty()).then_some((place, found))
        });
        let scanned = Scanned {
            started_at,
            is_settled,
            held: findings.held,
            elsewhere: elsewhere.collect(),
            digests,
            packs_left,
            unread,
            texts,
            pieces: findings.pieces,
            bytes: findings.bytes,
        };
        Ok((scanned, self.identifiers))
    }
}
