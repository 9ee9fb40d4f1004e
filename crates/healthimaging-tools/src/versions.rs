//! Documents that pictures were made from, by version: their content never changes.
//!
//! A back end with rate limits sends the whole document for each call. So it is asked for the properties of the image set, which
//! are short, and for the document only if its version is not known. Where calls cost nothing, the document is read each time:
//! its name shows whether it is in the cache.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use healthimaging::model::{
    GetImageSetMetadataRequest, GetImageSetRequest, ImageSetProperties, ImageSetState,
};
use healthimaging::{
    DatastoreId, ErrorKind, HealthImaging, ImageSetId, Operation, Result, VersionId,
};
use healthimaging_workflows::document::{self, DocumentText};

/// Most versions that are known.
const MOST_KNOWN: usize = 1_000;

/// A version of an image set.
type Key = (DatastoreId, ImageSetId, VersionId);

/// The documents of versions, as the tools of one server see them. They stay in the cache of documents, and end with it.
#[derive(Debug, Default)]
pub(crate) struct Versions(Mutex<VecDeque<(Key, Weak<DocumentText>)>>);

impl Versions {
    fn known(&self) -> MutexGuard<'_, VecDeque<(Key, Weak<DocumentText>)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn get(&self, key: &Key) -> Option<Arc<DocumentText>> {
        self.known().iter().find(|(known, _)| known == key)?.1.upgrade()
    }

    fn insert(&self, key: Key, document: &Arc<DocumentText>) {
        let mut known = self.known();
        known.retain(|(one, document)| *one != key && document.strong_count() > 0);
        if known.len() >= MOST_KNOWN {
            known.pop_front();
        }
        known.push_back((key, Arc::downgrade(document)));
    }
}

/// The documents of a back end, for pictures.
#[derive(Clone, Copy)]
pub(crate) struct Documents<'a> {
    pub(crate) service: &'a dyn HealthImaging,
    pub(crate) versions: &'a Versions,
}

impl Documents<'_> {
    /// Fetches the document of a version, by default the latest, unless it is known.
    pub(crate) async fn fetch(
        self,
        datastore_id: &DatastoreId,
        image_set_id: &ImageSetId,
        version_id: Option<&VersionId>,
    ) -> Result<Arc<DocumentText>> {
        let request = GetImageSetMetadataRequest {
            datastore_id: datastore_id.clone(),
            image_set_id: image_set_id.clone(),
            version_id: version_id.cloned(),
        };
        let is_limited = (self.service.limits().rate)(Operation::GetImageSetMetadata).is_some();
        let settled = if is_limited { self.settled(&request).await? } else { None };
        let Some(version_id) = settled else {
            return document::fetch(self.service, request).await;
        };
        let key = (datastore_id.clone(), image_set_id.clone(), version_id.clone());
        if let Some(known) = self.versions.get(&key) {
            return Ok(known);
        }
        let request = GetImageSetMetadataRequest { version_id: Some(version_id), ..request };
        let document = document::fetch(self.service, request).await?;
        self.versions.insert(key, &document);
        Ok(document)
    }

    /// Returns the version that is wanted, if the image set exists and no write is making its content.
    async fn settled(self, wanted: &GetImageSetMetadataRequest) -> Result<Option<VersionId>> {
        let request = GetImageSetRequest {
            datastore_id: wanted.datastore_id.clone(),
            image_set_id: wanted.image_set_id.clone(),
            version_id: wanted.version_id.clone(),
        };
        match self.service.get_image_set(request).await {
            Ok(found) => {
                let ImageSetProperties { image_set_state, version_id, .. } = found.properties;
                Ok((image_set_state == ImageSetState::Active).then_some(version_id))
            }
            // A policy may allow the document alone.
            Err(error) if error.kind() == ErrorKind::AccessDenied => Ok(None),
            Err(error) => Err(error),
        }
    }
}
