//! Quotas of the operations.

use healthimaging::{Limits, Operation, Rate};

/// Quotas of AWS HealthImaging: pages, throttle rates, and frames of a copy, which can be raised (developer guide, "Endpoints and quotas").
pub(crate) const LIMITS: Limits = Limits {
    page_size: 50,
    rate,
    // Documented for WADO-RS; those of QIDO-RS and STOW-RS are unknown.
    web_rate: Some(Rate { per_second: 50.0, burst: 100 }),
    copy_frames: Some(1_000),
};

// Other back ends return `None` for operations without a limit.
#[expect(clippy::unnecessary_wraps, reason = "the contract's signature")]
fn rate(operation: Operation) -> Option<Rate> {
    let (per_second, burst) = match operation {
        Operation::CreateDatastore | Operation::DeleteDatastore => (0.085, 1),
        Operation::GetDatastore
        | Operation::ListDicomImportJobs
        | Operation::TagResource
        | Operation::UntagResource
        | Operation::ListTagsForResource => (10.0, 20),
        Operation::ListDatastores => (5.0, 10),
        Operation::StartDicomImportJob => (1.0, 2),
        Operation::GetDicomImportJob
        | Operation::SearchImageSets
        | Operation::GetImageSet
        | Operation::ListImageSetVersions => (25.0, 50),
        Operation::GetImageSetMetadata => (50.0, 100),
        Operation::GetImageFrame => (1000.0, 2000),
        Operation::UpdateImageSetMetadata | Operation::CopyImageSet | Operation::DeleteImageSet => {
            (0.25, 1)
        }
    };
    Some(Rate { per_second, burst })
}
