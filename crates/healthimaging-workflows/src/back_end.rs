//! The two seams of a back end, held together.

use std::sync::Arc;

use healthimaging::{DicomWeb, HealthImaging};

/// The two seams of a back end; clones are the same back end.
#[derive(Debug, Clone)]
pub struct BackEnd {
    /// The 18 operations.
    pub service: Arc<dyn HealthImaging>,
    /// DICOMweb.
    pub dicomweb: Arc<dyn DicomWeb>,
}
