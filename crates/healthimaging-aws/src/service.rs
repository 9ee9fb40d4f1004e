//! The 18 operations of the AWS API, through the SDK.

use std::error::Error as StdError;

use async_trait::async_trait;
use aws_sdk_medicalimaging::types as sdk;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_runtime_api::http::Response as HttpResponse;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use healthimaging::model::{
    CopyImageSetRequest, CopyImageSetResponse, CreateDatastoreRequest, CreateDatastoreResponse,
    DeleteDatastoreRequest, DeleteDatastoreResponse, DeleteImageSetRequest, DeleteImageSetResponse,
    GetDatastoreRequest, GetDatastoreResponse, GetDicomImportJobRequest, GetDicomImportJobResponse,
    GetImageFrameRequest, GetImageFrameResponse, GetImageSetMetadataRequest,
    GetImageSetMetadataResponse, GetImageSetRequest, GetImageSetResponse, ImageSetCount,
    ListDatastoresRequest, ListDatastoresResponse, ListDicomImportJobsRequest,
    ListDicomImportJobsResponse, ListImageSetVersionsRequest, ListImageSetVersionsResponse,
    ListTagsForResourceRequest, ListTagsForResourceResponse, SearchImageSetsRequest,
    SearchImageSetsResponse, StartDicomImportJobRequest, StartDicomImportJobResponse,
    TagResourceRequest, TagResourceResponse, UntagResourceRequest, UntagResourceResponse,
    UpdateImageSetMetadataRequest, UpdateImageSetMetadataResponse,
};
use healthimaging::{DatastoreId, Error, HealthImaging, Limits, ObjectUri, Result};

use crate::client::{Aws, sent_once};
use crate::convert::{datastores, image_sets, imports, page_size, search, unbuilt};
use crate::error;
use crate::limits::LIMITS;

#[async_trait]
impl HealthImaging for Aws {
    fn limits(&self) -> Limits {
        LIMITS
    }

    async fn count_image_sets(&self, _: DatastoreId) -> Result<Option<ImageSetCount>> {
        Ok(None)
    }

    async fn create_datastore(
        &self,
        request: CreateDatastoreRequest,
    ) -> Result<CreateDatastoreResponse> {
        let format = request.lossless_storage_format;
        let tags = datastores::tags(request.tags);
        let call = self
            .client
            .create_datastore()
            .set_datastore_name(request.datastore_name.map(Into::into))
            .set_client_token(request.client_token.map(Into::into))
            .set_tags(Some(tags).filter(|tags| !tags.is_empty()))
            .set_kms_key_arn(request.kms_key_arn.map(Into::into))
            .set_lambda_authorizer_arn(request.lambda_authorizer_arn.map(Into::into))
            .set_lossless_storage_format(format.map(|format| format.as_str().into()))
            .send();
        datastores::created(self.response(call).await?)
    }

    async fn get_datastore(&self, request: GetDatastoreRequest) -> Result<GetDatastoreResponse> {
        let call = self.client.get_datastore();
        let call = call.datastore_id(request.datastore_id);
        datastores::got(self.response(call.send()).await?)
    }

    async fn list_datastores(
        &self,
        request: ListDatastoresRequest,
    ) -> Result<ListDatastoresResponse> {
        let status = request.datastore_status;
        let call = self
            .client
            .list_datastores()
            .set_datastore_status(status.map(|status| status.as_str().into()))
            .set_next_token(request.next_token.map(Into::into))
            .set_max_results(page_size(request.max_results))
            .send();
        datastores::listed(self.response(call).await?)
    }

    async fn delete_datastore(
        &self,
        request: DeleteDatastoreRequest,
    ) -> Result<DeleteDatastoreResponse> {
        let call = self.client.delete_datastore();
        let call = call.datastore_id(request.datastore_id);
        datastores::deleted(self.response(call.send()).await?)
    }

    async fn start_dicom_import_job(
        &self,
        request: StartDicomImportJobRequest,
    ) -> Result<StartDicomImportJobResponse> {
        self.check_import(&request)?;
        let configuration = request.import_configuration.map(imports::configuration);
        let call = self
            .client
            .start_dicom_import_job()
            .set_job_name(request.job_name.map(Into::into))
            .datastore_id(request.datastore_id)
            .set_data_access_role_arn(request.data_access_role_arn.map(Into::into))
            .set_client_token(request.client_token.map(Into::into))
            .input_s3_uri(request.input_s3_uri)
            .set_output_s3_uri(request.output_s3_uri.map(Into::into))
            .set_input_owner_account_id(request.input_owner_account_id.map(Into::into))
            .set_import_configuration(configuration.transpose()?)
            .send();
        imports::started(self.response(call).await?)
    }

    async fn get_dicom_import_job(
        &self,
        request: GetDicomImportJobRequest,
    ) -> Result<GetDicomImportJobResponse> {
        let call = self
            .client
            .get_dicom_import_job()
            .datastore_id(request.datastore_id)
            .job_id(request.job_id)
            .send();
        imports::got(self.response(call).await?)
    }

    async fn list_dicom_import_jobs(
        &self,
        request: ListDicomImportJobsRequest,
    ) -> Result<ListDicomImportJobsResponse> {
        let status = request.job_status;
        let call = self
            .client
            .list_dicom_import_jobs()
            .datastore_id(request.datastore_id)
            .set_job_status(status.map(|status| status.as_str().into()))
            .set_next_token(request.next_token.map(Into::into))
            .set_max_results(page_size(request.max_results))
            .send();
        imports::listed(self.response(call).await?)
    }

    async fn search_image_sets(
        &self,
        request: SearchImageSetsRequest,
    ) -> Result<SearchImageSetsResponse> {
        let call = self
            .client
            .search_image_sets()
            .datastore_id(request.datastore_id)
            .search_criteria(search::criteria(request.search_criteria)?)
            .set_next_token(request.next_token.map(Into::into))
            .set_max_results(page_size(request.max_results))
            .send();
        search::found(self.response(call).await?)
    }

    async fn get_image_set(&self, request: GetImageSetRequest) -> Result<GetImageSetResponse> {
        let call = self
            .client
            .get_image_set()
            .datastore_id(request.datastore_id)
            .image_set_id(request.image_set_id)
            .set_version_id(request.version_id.map(Into::into))
            .send();
        image_sets::got(self.response(call).await?)
    }

    async fn get_image_set_metadata(
        &self,
        request: GetImageSetMetadataRequest,
    ) -> Result<GetImageSetMetadataResponse> {
        let call = self
            .client
            .get_image_set_metadata()
            .datastore_id(request.datastore_id)
            .image_set_id(request.image_set_id)
            .set_version_id(request.version_id.map(Into::into))
            .send();
        Ok(image_sets::metadata(self.response(call).await?))
    }

    async fn get_image_frame(
        &self,
        request: GetImageFrameRequest,
    ) -> Result<GetImageFrameResponse> {
        let frame = sdk::ImageFrameInformation::builder()
            .image_frame_id(request.image_frame_id)
            .build()
            .map_err(unbuilt)?;
        let call = self
            .client
            .get_image_frame()
            .datastore_id(request.datastore_id)
            .image_set_id(request.image_set_id)
            .image_frame_information(frame)
            .send();
        Ok(image_sets::frame(self.response(call).await?))
    }

    async fn list_image_set_versions(
        &self,
        request: ListImageSetVersionsRequest,
    ) -> Result<ListImageSetVersionsResponse> {
        let call = self
            .client
            .list_image_set_versions()
            .datastore_id(request.datastore_id)
            .image_set_id(request.image_set_id)
            .set_next_token(request.next_token.map(Into::into))
            .set_max_results(page_size(request.max_results))
            .send();
        image_sets::versions(self.response(call).await?)
    }

    async fn update_image_set_metadata(
        &self,
        request: UpdateImageSetMetadataRequest,
    ) -> Result<UpdateImageSetMetadataResponse> {
        let call = self
            .client
            .update_image_set_metadata()
            .datastore_id(request.datastore_id)
            .image_set_id(request.image_set_id)
            .latest_version_id(request.latest_version_id)
            .set_force(request.force.then_some(true))
            .set_include_study_image_sets(request.include_study_image_sets.then_some(true))
            .update_image_set_metadata_updates(image_sets::updates(request.updates))
            .customize()
            .config_override(sent_once())
            .send();
        image_sets::updated(self.write_response(call).await?)
    }

    async fn copy_image_set(&self, request: CopyImageSetRequest) -> Result<CopyImageSetResponse> {
        let information = image_sets::copy_information(request.copy_image_set_information)?;
        let call = self
            .client
            .copy_image_set()
            .datastore_id(request.datastore_id)
            .source_image_set_id(request.source_image_set_id)
            .copy_image_set_information(information)
            .set_force(request.force.then_some(true))
            .set_promote_to_primary(request.promote_to_primary.then_some(true))
            .customize()
            .config_override(sent_once())
            .send();
        image_sets::copied(self.write_response(call).await?)
    }

    async fn delete_image_set(
        &self,
        request: DeleteImageSetRequest,
    ) -> Result<DeleteImageSetResponse> {
        let call = self
            .client
            .delete_image_set()
            .datastore_id(request.datastore_id)
            .image_set_id(request.image_set_id)
            .customize()
            .config_override(sent_once())
            .send();
        image_sets::deleted(self.write_response(call).await?)
    }

    async fn tag_resource(&self, request: TagResourceRequest) -> Result<TagResourceResponse> {
        let call = self.client.tag_resource();
        let call =
            call.resource_arn(request.resource_arn).set_tags(Some(datastores::tags(request.tags)));
        self.response(call.send()).await?;
        Ok(TagResourceResponse {})
    }

    async fn untag_resource(&self, request: UntagResourceRequest) -> Result<UntagResourceResponse> {
        let keys = request.tag_keys.into_iter().map(Into::into).collect();
        let call = self.client.untag_resource();
        let call = call.resource_arn(request.resource_arn).set_tag_keys(Some(keys));
        self.response(call.send()).await?;
        Ok(UntagResourceResponse {})
    }

    async fn list_tags_for_resource(
        &self,
        request: ListTagsForResourceRequest,
    ) -> Result<ListTagsForResourceResponse> {
        let call = self.client.list_tags_for_resource();
        let call = call.resource_arn(request.resource_arn);
        datastores::listed_tags(self.response(call.send()).await?.tags)
    }
}

impl Aws {
    /// Checks what AWS requires of an import beyond the contract.
    fn check_import(&self, request: &StartDicomImportJobRequest) -> Result<()> {
        if request.data_access_role_arn.is_none() {
            return Err(Error::validation(
                "AWS requires data_access_role_arn: the IAM role with which HealthImaging reads the input \
                 and writes the output",
            ));
        }
        let Some(output) = &request.output_s3_uri else {
            return Err(Error::validation(
                "AWS requires output_s3_uri: the S3 folder for the outcome of the import",
            ));
        };
        // Another endpoint may support folders.
        let folder = |uri: &ObjectUri| uri.as_str().starts_with("file:");
        if self.endpoint().is_none() && (folder(&request.input_s3_uri) || folder(output)) {
            return Err(Error::validation(
                "AWS supports s3:// only: copy the files to a bucket first, or send them with \
                 store_dicom_instances",
            ));
        }
        Ok(())
    }

    /// Returns the response of a call that can be repeated.
    pub(crate) async fn response<T, E>(
        &self,
        call: impl Future<Output = Result<T, SdkError<E, HttpResponse>>>,
    ) -> Result<T>
    where
        E: ProvideErrorMetadata + StdError + Send + Sync + 'static,
    {
        call.await.map_err(|error| self.keys.note(error::of_sdk(error)))
    }

    /// Returns the response of a write, which is sent once.
    async fn write_response<T, E>(
        &self,
        call: impl Future<Output = Result<T, SdkError<E, HttpResponse>>>,
    ) -> Result<T>
    where
        E: ProvideErrorMetadata + StdError + Send + Sync + 'static,
    {
        call.await.map_err(|error| self.keys.note(error::of_write(error)))
    }
}
