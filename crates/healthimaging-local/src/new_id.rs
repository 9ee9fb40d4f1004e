//! Ids: 32 lower-case hexadecimal digits from the system's random source.

use std::fmt::Write as _;

use healthimaging::{DatastoreId, ImageFrameId, ImageSetId, JobId};

use crate::error::{Result, StoreError};

/// 32 random hexadecimal digits.
pub(crate) fn random_hex() -> Result<String> {
    let mut bytes = [0_u8; 16];
    getrandom::fill(&mut bytes).map_err(StoreError::Random)?;
    let mut text = String::with_capacity(32);
    for byte in bytes {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    Ok(text)
}

/// A new id of a data store.
pub(crate) fn datastore_id() -> Result<DatastoreId> {
    Ok(DatastoreId::try_from(random_hex()?)?)
}

/// A new id of an image set.
pub(crate) fn image_set_id() -> Result<ImageSetId> {
    Ok(ImageSetId::try_from(random_hex()?)?)
}

/// A new id of a frame, or of any other blob.
pub(crate) fn image_frame_id() -> Result<ImageFrameId> {
    Ok(ImageFrameId::try_from(random_hex()?)?)
}

/// A new id of a job.
pub(crate) fn job_id() -> Result<JobId> {
    Ok(JobId::try_from(random_hex()?)?)
}
