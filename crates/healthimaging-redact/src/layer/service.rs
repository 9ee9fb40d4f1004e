//! The 18 operations.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use healthimaging::model::{
    self, GetImageSetMetadataRequest, GetImageSetMetadataResponse, ImageSetCount, MetadataUpdates,
};
use healthimaging::{
    Body, DatastoreId, Error, ErrorKind, HealthImaging, Limits, Listing, NextToken, Result,
    read_json,
};
use serde_json::Value;
use tokio::sync::Semaphore;

use super::Redacted;
use crate::Redactor;
use crate::pictures::may_show_text;

/// Class of the tokens of page tokens.
const PAGE: &str = "page";
/// Longest document, in bytes as sent.
const LONGEST: u64 = 64 << 20;
/// Documents longer than this, in bytes as sent, are processed on another thread and one at a time.
const QUICK: usize = 64 << 10;
static LARGE_AT_ONCE: Semaphore = Semaphore::const_new(1);

/// Implements the trait: what is given, and operations that hold and return nothing of a patient, which are passed on.
macro_rules! implement {
    ({ $($rest:item)* } $($method:ident($request:ident) -> $response:ident;)*) => {
        #[async_trait]
        impl<T: HealthImaging + ?Sized> HealthImaging for Redacted<T> {
            $($rest)*
            $(async fn $method(&self, request: model::$request) -> Result<model::$response> {
                self.inner.$method(request).await
            })*
        }
    };
}

implement! {
{
    fn limits(&self) -> Limits {
        self.inner.limits()
    }

    async fn count_image_sets(&self, datastore_id: DatastoreId) -> Result<Option<ImageSetCount>> {
        self.inner.count_image_sets(datastore_id).await
    }

    async fn start_dicom_import_job(
        &self,
        mut request: model::StartDicomImportJobRequest,
    ) -> Result<model::StartDicomImportJobResponse> {
        if let Some(configuration) = &mut request.import_configuration {
            let mappings = &mut configuration.dicom_json_metadata_import_configuration;
            for mapping in &mut mappings.dicom_metadata_mappings {
                let study = &mapping.study_instance_uid;
                mapping.study_instance_uid = self.redactor.real_uid("studyInstanceUID", study)?;
                if let Some(series) = &mapping.series_instance_uid {
                    let series = self.redactor.real_uid("seriesInstanceUID", series)?;
                    mapping.series_instance_uid = Some(series);
                }
            }
        }
        self.inner.start_dicom_import_job(request).await
    }

    async fn search_image_sets(
        &self,
        request: model::SearchImageSetsRequest,
    ) -> Result<model::SearchImageSetsResponse> {
        let (mut request, dates) = self.redactor.search(request)?;
        // A token of the back end holds values: what the results are sorted by, and a digest of the query.
        request.next_token = self.redactor.real_page(request.next_token.as_ref())?;
        let mut found = self.inner.search_image_sets(request).await?;
        found.next_token = self.redactor.shown_page(found.next_token.as_ref())?;
        for set in &mut found.image_sets_metadata_summaries {
            set.dicom_tags = set.dicom_tags.as_ref().map(|tags| self.redactor.summary(tags));
        }
        let sets = &mut found.image_sets_metadata_summaries;
        sets.retain(|set| dates.are_those_of(set.dicom_tags.as_ref()));
        Ok(found)
    }

    async fn get_image_set_metadata(
        &self,
        request: GetImageSetMetadataRequest,
    ) -> Result<GetImageSetMetadataResponse> {
        let found = self.inner.get_image_set_metadata(request).await?;
        let is_gzip = found.content_encoding == "gzip";
        let packed = found.image_set_metadata.collect(LONGEST).await?;
        let redactor = Arc::clone(&self.redactor);
        let shown = beside_others(packed, move |packed| redactor.document(&packed, is_gzip)).await?;
        Ok(GetImageSetMetadataResponse { image_set_metadata: Body::from(shown), ..found })
    }

    async fn get_image_frame(
        &self,
        request: model::GetImageFrameRequest,
    ) -> Result<model::GetImageFrameResponse> {
        if self.redactor.rules.is_strict() {
            let metadata = GetImageSetMetadataRequest {
                datastore_id: request.datastore_id.clone(),
                image_set_id: request.image_set_id.clone(),
                version_id: None,
            };
            let found = self.inner.get_image_set_metadata(metadata).await?;
            let is_gzip = found.content_encoding == "gzip";
            let packed = found.image_set_metadata.collect(LONGEST).await?;
            let frame = request.image_frame_id.to_string();
            let shows_text =
                beside_others(packed, move |packed| may_show_text(&packed, is_gzip, &frame));
            if shows_text.await? {
                return Err(Error::new(
                    ErrorKind::AccessDenied,
                    "the frame may show text that identifies the patient, and is withheld (--redact-phi=strict); a \
                     person can look at it in the viewer of `healthimaging-mcp-server serve`",
                ));
            }
        }
        self.inner.get_image_frame(request).await
    }

    async fn update_image_set_metadata(
        &self,
        mut request: model::UpdateImageSetMetadataRequest,
    ) -> Result<model::UpdateImageSetMetadataResponse> {
        if let MetadataUpdates::DicomUpdates { removable_attributes, updatable_attributes } =
            &mut request.updates
        {
            for (name, document) in [
                ("removableAttributes", removable_attributes),
                ("updatableAttributes", updatable_attributes),
            ] {
                if let Some(text) = document.take() {
                    *document = Some(self.redactor.real_document(name, &text)?);
                }
            }
        }
        self.inner.update_image_set_metadata(request).await
    }

    async fn copy_image_set(
        &self,
        mut request: model::CopyImageSetRequest,
    ) -> Result<model::CopyImageSetResponse> {
        if let Some(part) = &mut request.copy_image_set_information.source_image_set.dicom_copies {
            part.copiable_attributes = self.redactor.copied(&part.copiable_attributes)?;
        }
        self.inner.copy_image_set(request).await
    }
}
        create_datastore(CreateDatastoreRequest) -> CreateDatastoreResponse;
        get_datastore(GetDatastoreRequest) -> GetDatastoreResponse;
        list_datastores(ListDatastoresRequest) -> ListDatastoresResponse;
        delete_datastore(DeleteDatastoreRequest) -> DeleteDatastoreResponse;
        get_dicom_import_job(GetDicomImportJobRequest) -> GetDicomImportJobResponse;
        list_dicom_import_jobs(ListDicomImportJobsRequest) -> ListDicomImportJobsResponse;
        get_image_set(GetImageSetRequest) -> GetImageSetResponse;
        list_image_set_versions(ListImageSetVersionsRequest) -> ListImageSetVersionsResponse;
        delete_image_set(DeleteImageSetRequest) -> DeleteImageSetResponse;
        tag_resource(TagResourceRequest) -> TagResourceResponse;
        untag_resource(UntagResourceRequest) -> UntagResourceResponse;
        list_tags_for_resource(ListTagsForResourceRequest) -> ListTagsForResourceResponse;
}

impl Redactor {
    /// Returns the page token of the back end.
    fn real_page(&self, token: Option<&NextToken>) -> Result<Option<NextToken>> {
        let Some(token) = token else { return Ok(None) };
        let opened = self.tokens.open(PAGE, token.as_str()).ok_or_else(Listing::foreign_token)?;
        NextToken::try_from(opened).map(Some)
    }

    /// Returns a token in place of a page token of the back end.
    fn shown_page(&self, token: Option<&NextToken>) -> Result<Option<NextToken>> {
        let Some(token) = token else { return Ok(None) };
        let sealed = self.tokens.seal(PAGE, token.as_str());
        let sealed =
            sealed.ok_or_else(|| Error::internal("a token could not be made", "AES-SIV"))?;
        NextToken::try_from(sealed).map(Some)
    }

    /// Returns the document that names the parts to copy, with UIDs in place of tokens.
    ///
    /// # Errors
    /// `Validation` for text that is no JSON, or names a part by anything but a token.
    pub fn copied(&self, copiable_attributes: &str) -> Result<String> {
        let document = self.real_document("copiableAttributes", copiable_attributes.as_bytes())?;
        String::from_utf8(document.to_vec())
            .map_err(|error| Error::internal("the document is not UTF-8", error))
    }

    /// Returns an update document with values in place of tokens.
    fn real_document(&self, name: &str, text: &[u8]) -> Result<Bytes> {
        let mut document: Value = read_json(name, text)?;
        self.resolve(&mut document)?;
        Ok(Bytes::from(document.to_string()))
    }
}

/// Processes a document, on another thread where it would delay other calls.
async fn beside_others<R: Send + 'static>(
    packed: Bytes,
    work: impl FnOnce(Bytes) -> Result<R> + Send + 'static,
) -> Result<R> {
    if packed.len() <= QUICK {
        return work(packed);
    }
    // It is never closed.
    let _permit = LARGE_AT_ONCE.acquire().await;
    tokio::task::spawn_blocking(move || work(packed))
        .await
        .map_err(|error| Error::internal("reading the metadata failed", error))?
}
