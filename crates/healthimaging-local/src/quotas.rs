//! The quotas of AWS HealthImaging (developer guide, "Endpoints and quotas"), for stores that keep them.

use healthimaging::{Error, ErrorKind, Result};

/// Quotas of a store; exceeding one is a `ServiceQuotaExceededException`, or fails a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quotas {
    /// Number of data stores.
    pub datastores: u64,
    /// Files of an import job.
    pub job_files: u64,
    /// Folders that the files of an import job are in.
    pub job_folders: u64,
    /// Bytes of all files of an import job.
    pub job_bytes: u64,
    /// Image frames of a copy.
    pub copy_frames: u64,
    /// Bytes of both documents of an update.
    pub update_bytes: u64,
    /// Bytes of the metadata document of an image set, before compression.
    pub metadata_bytes: u64,
}

impl Quotas {
    /// No quotas.
    pub const NONE: Self = Self {
        datastores: u64::MAX,
        job_files: u64::MAX,
        job_folders: u64::MAX,
        job_bytes: u64::MAX,
        copy_frames: u64::MAX,
        update_bytes: u64::MAX,
        metadata_bytes: u64::MAX,
    };

    /// The default quotas of an AWS account.
    pub const AWS: Self = Self {
        datastores: 100,
        job_files: 5_000,
        job_folders: 10_000,
        job_bytes: 10_000_000_000,
        copy_frames: 1_000,
        update_bytes: 10_000,
        metadata_bytes: 50_000_000,
    };
}

/// Refuses what is beyond a quota; `what` names it, such as `image frames of a copy`.
pub(crate) fn within(quota: u64, found: u64, what: &str) -> Result<()> {
    if found <= quota {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::QuotaExceeded,
        format!("{found} {what} are more than the quota of {quota}"),
    ))
}
