//! Comparison of image sets: of two versions, of two image sets, with the primary ones, and of two data stores.

mod datastores;
mod differences;
mod primary;
mod resolve;

use std::sync::Arc;

use schemars::JsonSchema;
use serde::Serialize;

use healthimaging::model::{GetImageSetMetadataRequest, GetImageSetRequest, ImageSetProperties};
use healthimaging::{DatastoreId, HealthImaging, ImageSetId, Result, VersionId};

use crate::document::{self, DocumentText};

pub use datastores::{DatastoreComparison, Key, SeriesDifference, SeriesState, datastores};
pub use differences::{Difference, Differences, differences};
pub(crate) use primary::obstacles;
pub use primary::{Conflict, NotPrimary, not_primary};

/// An image set in a version, with its document.
#[derive(Debug)]
pub struct Version {
    /// The data store.
    pub datastore_id: DatastoreId,
    /// State of the image set in this version.
    pub properties: ImageSetProperties,
    /// Its metadata.
    pub document: Arc<DocumentText>,
}

/// An image set in a version, in brief.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(inline)]
pub struct VersionSummary {
    /// The data store.
    pub datastore_id: DatastoreId,
    /// The image set.
    pub image_set_id: ImageSetId,
    /// The version.
    pub version_id: VersionId,
    /// Whether the image set is primary.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub is_primary: Option<bool>,
    /// Number of its instances.
    pub instances: usize,
}

impl Version {
    /// Fetches a version of an image set; the latest if none is named.
    ///
    /// # Errors
    /// `NotFound` if there is no such image set or version.
    pub async fn fetch(
        service: &dyn HealthImaging,
        datastore_id: DatastoreId,
        image_set_id: ImageSetId,
        version_id: Option<VersionId>,
    ) -> Result<Self> {
        let request = GetImageSetRequest {
            datastore_id: datastore_id.clone(),
            image_set_id: image_set_id.clone(),
            version_id,
        };
        let properties = service.get_image_set(request).await?.properties;
        let request = GetImageSetMetadataRequest {
            datastore_id: datastore_id.clone(),
            image_set_id,
            version_id: Some(properties.version_id.clone()),
        };
        let document = document::fetch(service, request).await?;
        Ok(Self { datastore_id, properties, document })
    }

    /// Returns it in brief.
    pub fn summary(&self) -> VersionSummary {
        VersionSummary {
            datastore_id: self.datastore_id.clone(),
            image_set_id: self.properties.image_set_id.clone(),
            version_id: self.properties.version_id.clone(),
            is_primary: self.properties.is_primary,
            instances: self.document.levels().instances().count(),
        }
    }
}
