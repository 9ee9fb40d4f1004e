//! The trait of what DICOMweb offers beside the 18 operations.

use std::fmt;

use async_trait::async_trait;

use crate::error::Result;
use crate::model;

macro_rules! declare {
    ($($(#[$doc:meta])* $effect:ident $operation:ident $api:literal:
        $method:ident($request:ident) -> $response:ident;)*) => {
        /// DICOMweb (`PS3.18`) as AWS HealthImaging offers it.
        ///
        /// Only primary image sets are visible, unless a retrieval names an image set. What does not exist
        /// is `NotFound`.
        #[async_trait]
        pub trait DicomWeb: Send + Sync + fmt::Debug {
            $($(#[$doc])*
            async fn $method(&self, request: model::$request) -> Result<model::$response>;)*
        }
    };
}
crate::with_web_operations!(declare);
