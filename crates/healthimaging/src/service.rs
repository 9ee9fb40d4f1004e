//! The trait of the 18 operations of AWS HealthImaging.

use std::fmt;

use async_trait::async_trait;

use crate::error::Result;
use crate::id::DatastoreId;
use crate::model::{self, ImageSetCount};
use crate::operation::Limits;

macro_rules! declare {
    ($($(#[$doc:meta])* $effect:ident $operation:ident $api:literal:
        $method:ident($request:ident) -> $response:ident;)*) => {
        /// The 18 operations of AWS HealthImaging.
        ///
        /// Promises that every back end keeps:
        /// * What is acknowledged is durable.
        /// * Writes to image sets are asynchronous: the response shows the state in between (`LOCKED`), and
        ///   [`get_image_set`](Self::get_image_set) shows the result. A failed write also leaves a version.
        /// * A reader sees a whole version of an image set or none of it.
        /// * Pages hold at most [`Limits::page_size`] items; tokens are opaque and bound to their query.
        #[async_trait]
        pub trait HealthImaging: Send + Sync + fmt::Debug {
            /// Returns the quotas of this back end.
            fn limits(&self) -> Limits;

            /// Counts the image sets of a data store, without deleted ones; `None` from a back end that
            /// would have to search for them. No operation of the API.
            async fn count_image_sets(
                &self,
                datastore_id: DatastoreId,
            ) -> Result<Option<ImageSetCount>>;

            $($(#[$doc])*
            async fn $method(&self, request: model::$request) -> Result<model::$response>;)*
        }
    };
}
crate::with_operations!(declare);
