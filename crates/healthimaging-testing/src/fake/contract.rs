//! The two traits of the contract, carried out on what the fake holds.

use std::io::Write as _;

use async_trait::async_trait;
use flate2::Compression;
use flate2::write::GzEncoder;

use healthimaging::model::{
    self, CopiedImageSetProperties, CopyImageSetRequest, CopyImageSetResponse,
    CreateDatastoreRequest, CreateDatastoreResponse, DatastoreStatus, DatastoreSummary,
    DeleteDatastoreRequest, DeleteDatastoreResponse, DeleteImageSetRequest, DeleteImageSetResponse,
    DicomImportJobProperties, DicomTags, GetDatastoreRequest, GetDatastoreResponse,
    GetDicomImportJobRequest, GetDicomImportJobResponse, GetImageFrameRequest,
    GetImageFrameResponse, GetImageSetMetadataRequest, GetImageSetMetadataResponse,
    GetImageSetRequest, GetImageSetResponse, ImageSetCount, ImageSetState, ImageSetWorkflowStatus,
    ImageSetsMetadataSummary, JobStatus, ListDatastoresRequest, ListDatastoresResponse,
    ListDicomImportJobsRequest, ListDicomImportJobsResponse, ListImageSetVersionsRequest,
    ListImageSetVersionsResponse, ListTagsForResourceRequest, ListTagsForResourceResponse,
    SearchImageSetsRequest, SearchImageSetsResponse, StartDicomImportJobRequest,
    StartDicomImportJobResponse, TagResourceRequest, TagResourceResponse, UntagResourceRequest,
    UntagResourceResponse, UpdateImageSetMetadataRequest, UpdateImageSetMetadataResponse,
};
use healthimaging::{DatastoreId, DicomWeb, Error, HealthImaging, Limits, Result, VersionId};

use super::{Fake, FakeImageSet, id};

#[async_trait]
impl HealthImaging for Fake {
    fn limits(&self) -> Limits {
        Limits { page_size: 50, rate: |_| None, web_rate: None, copy_frames: None }
    }

    async fn count_image_sets(&self, _: DatastoreId) -> Result<Option<ImageSetCount>> {
        Ok(None)
    }

    async fn create_datastore(
        &self,
        request: CreateDatastoreRequest,
    ) -> Result<CreateDatastoreResponse> {
        let name = request.datastore_name.map(String::from).unwrap_or_default();
        self.add_datastore(&name, DatastoreStatus::Active);
        Ok(CreateDatastoreResponse {
            datastore_id: DatastoreId::try_from(id(&name))?,
            datastore_status: DatastoreStatus::Creating,
        })
    }

    async fn get_datastore(&self, request: GetDatastoreRequest) -> Result<GetDatastoreResponse> {
        let state = self.state();
        let found = state.datastores.iter().find(|one| one.datastore_id == request.datastore_id);
        let datastore_properties =
            found.cloned().ok_or_else(|| Error::not_found("no such data store"))?;
        Ok(GetDatastoreResponse { datastore_properties })
    }

    async fn list_datastores(
        &self,
        request: ListDatastoresRequest,
    ) -> Result<ListDatastoresResponse> {
        let wanted = request.datastore_status;
        let all: Vec<_> = self
            .state()
            .datastores
            .iter()
            .filter(|one| wanted.is_none_or(|status| one.datastore_status == status))
            .map(|one| DatastoreSummary {
                datastore_id: one.datastore_id.clone(),
                datastore_name: one.datastore_name.clone(),
                datastore_status: one.datastore_status,
                datastore_arn: None,
                created_at: None,
                updated_at: None,
            })
            .collect();
        let (datastore_summaries, next_token) =
            self.page(&all, request.next_token, request.max_results)?;
        Ok(ListDatastoresResponse { datastore_summaries, next_token })
    }

    async fn delete_datastore(
        &self,
        request: DeleteDatastoreRequest,
    ) -> Result<DeleteDatastoreResponse> {
        self.state().datastores.retain(|one| one.datastore_id != request.datastore_id);
        Ok(DeleteDatastoreResponse {
            datastore_id: request.datastore_id,
            datastore_status: DatastoreStatus::Deleting,
        })
    }

    async fn start_dicom_import_job(
        &self,
        request: StartDicomImportJobRequest,
    ) -> Result<StartDicomImportJobResponse> {
        let job = DicomImportJobProperties {
            job_id: "1".parse()?,
            job_name: "job".to_owned(),
            job_status: JobStatus::Submitted,
            datastore_id: request.datastore_id.clone(),
            data_access_role_arn: None,
            ended_at: None,
            submitted_at: None,
            output_s3_uri: request.input_s3_uri.clone(),
            input_s3_uri: request.input_s3_uri,
            message: None,
            import_configuration: request.import_configuration,
        };
        let started = StartDicomImportJobResponse {
            datastore_id: request.datastore_id,
            job_id: job.job_id.clone(),
            job_status: job.job_status,
            submitted_at: "2026-01-31T12:00:00Z".parse().unwrap(),
        };
        self.state().jobs.push(job);
        Ok(started)
    }

    /// Each look takes the job a step further.
    async fn get_dicom_import_job(
        &self,
        request: GetDicomImportJobRequest,
    ) -> Result<GetDicomImportJobResponse> {
        let mut state = self.state();
        let job = state.jobs.iter_mut().find(|job| job.job_id == request.job_id);
        let job = job.ok_or_else(|| Error::not_found("no such job"))?;
        job.job_status = match job.job_status {
            JobStatus::Submitted => JobStatus::InProgress,
            _ => JobStatus::Completed,
        };
        Ok(GetDicomImportJobResponse { job_properties: job.clone() })
    }

    async fn list_dicom_import_jobs(
        &self,
        _: ListDicomImportJobsRequest,
    ) -> Result<ListDicomImportJobsResponse> {
        Ok(ListDicomImportJobsResponse { job_summaries: Vec::new(), next_token: None })
    }

    async fn search_image_sets(
        &self,
        request: SearchImageSetsRequest,
    ) -> Result<SearchImageSetsResponse> {
        let all: Vec<_> = self
            .state()
            .image_sets
            .iter()
            .filter(|one| {
                one.datastore_id == request.datastore_id
                    && one.properties.image_set_state != ImageSetState::Deleted
            })
            .map(|one| ImageSetsMetadataSummary {
                image_set_id: one.properties.image_set_id.clone(),
                version: Some(1),
                created_at: None,
                updated_at: None,
                last_accessed_at: None,
                storage_tier: None,
                is_primary: Some(true),
                dicom_tags: Some(DicomTags {
                    series_modality: Some(one.modality.to_owned()),
                    patient_id: Some(one.patient_id.to_owned()),
                    patient_name: Some("DOE^JANE".to_owned()),
                    study_date: Some(one.study_date.to_owned()),
                    study_instance_uid: Some(one.study_instance_uid.clone()),
                    study_description: Some(one.study_description.clone()),
                    ..DicomTags::default()
                }),
            })
            .collect();
        let (image_sets_metadata_summaries, next_token) =
            self.page(&all, request.next_token, request.max_results)?;
        let sort = request.search_criteria.sort;
        Ok(SearchImageSetsResponse { image_sets_metadata_summaries, sort, next_token })
    }

    async fn get_image_set(&self, request: GetImageSetRequest) -> Result<GetImageSetResponse> {
        self.with_set(&request.datastore_id, &request.image_set_id, |set| {
            if set.locked_for > 0 {
                set.locked_for -= 1;
                if set.locked_for == 0 {
                    set.properties.image_set_state = ImageSetState::Active;
                    set.properties.message = set.fails_with.map(str::to_owned);
                    set.properties.image_set_workflow_status = Some(match set.fails_with {
                        Some(_) => ImageSetWorkflowStatus::UpdateFailed,
                        None => ImageSetWorkflowStatus::Updated,
                    });
                }
            }
            Ok(GetImageSetResponse {
                datastore_id: request.datastore_id.clone(),
                properties: set.properties.clone(),
                image_set_arn: None,
                last_accessed_at: None,
                storage_tier: None,
            })
        })
    }

    async fn get_image_set_metadata(
        &self,
        request: GetImageSetMetadataRequest,
    ) -> Result<GetImageSetMetadataResponse> {
        self.with_set(&request.datastore_id, &request.image_set_id, |set| {
            let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
            packed.write_all(set.document.to_string().as_bytes()).unwrap();
            Ok(GetImageSetMetadataResponse {
                image_set_metadata: packed.finish().unwrap().into(),
                content_type: "application/json".to_owned(),
                content_encoding: "gzip".to_owned(),
            })
        })
    }

    async fn get_image_frame(
        &self,
        request: GetImageFrameRequest,
    ) -> Result<GetImageFrameResponse> {
        self.with_set(&request.datastore_id, &request.image_set_id, |set| {
            Ok(GetImageFrameResponse {
                image_frame: set.frame.clone().into(),
                content_type: "image/jph".to_owned(),
            })
        })
    }

    async fn list_image_set_versions(
        &self,
        request: ListImageSetVersionsRequest,
    ) -> Result<ListImageSetVersionsResponse> {
        self.with_set(&request.datastore_id, &request.image_set_id, |set| {
            Ok(ListImageSetVersionsResponse {
                image_set_properties_list: vec![set.properties.clone()],
                next_token: None,
            })
        })
    }

    async fn update_image_set_metadata(
        &self,
        request: UpdateImageSetMetadataRequest,
    ) -> Result<UpdateImageSetMetadataResponse> {
        let version = u32::try_from(request.latest_version_id.number() + 1).unwrap();
        self.state().updates = Some(request.updates);
        self.with_set(&request.datastore_id, &request.image_set_id, |set| {
            set.properties.version_id = VersionId::from(version);
            set.properties.image_set_state = ImageSetState::Locked;
            set.properties.image_set_workflow_status = Some(ImageSetWorkflowStatus::Updating);
            set.locked_for = 3;
            Ok(UpdateImageSetMetadataResponse {
                datastore_id: request.datastore_id.clone(),
                image_set_id: request.image_set_id.clone(),
                latest_version_id: set.properties.version_id.clone(),
                image_set_state: set.properties.image_set_state,
                image_set_workflow_status: set.properties.image_set_workflow_status,
                created_at: None,
                updated_at: None,
                message: None,
            })
        })
    }

    /// The copy is the image set that was added last.
    async fn copy_image_set(&self, request: CopyImageSetRequest) -> Result<CopyImageSetResponse> {
        let state = self.state();
        let side = |set: &FakeImageSet| CopiedImageSetProperties {
            image_set_id: set.properties.image_set_id.clone(),
            latest_version_id: set.properties.version_id.clone(),
            image_set_state: None,
            image_set_workflow_status: None,
            created_at: None,
            updated_at: None,
            image_set_arn: None,
        };
        let (Some(source), Some(copy)) = (state.image_sets.first(), state.image_sets.last()) else {
            return Err(Error::not_found("no such image set"));
        };
        Ok(CopyImageSetResponse {
            datastore_id: request.datastore_id,
            source_image_set_properties: side(source),
            destination_image_set_properties: side(copy),
        })
    }

    async fn delete_image_set(
        &self,
        request: DeleteImageSetRequest,
    ) -> Result<DeleteImageSetResponse> {
        self.with_set(&request.datastore_id, &request.image_set_id, |set| {
            set.properties.image_set_state = ImageSetState::Deleted;
            Ok(DeleteImageSetResponse {
                datastore_id: request.datastore_id.clone(),
                image_set_id: request.image_set_id.clone(),
                image_set_state: ImageSetState::Locked,
                image_set_workflow_status: ImageSetWorkflowStatus::Deleting,
            })
        })
    }

    async fn tag_resource(&self, request: TagResourceRequest) -> Result<TagResourceResponse> {
        self.state().tags.entry(request.resource_arn).or_default().extend(request.tags);
        Ok(TagResourceResponse {})
    }

    async fn untag_resource(&self, request: UntagResourceRequest) -> Result<UntagResourceResponse> {
        let mut state = self.state();
        let tags = state.tags.entry(request.resource_arn).or_default();
        tags.retain(|key, _| !request.tag_keys.contains(key));
        Ok(UntagResourceResponse {})
    }

    async fn list_tags_for_resource(
        &self,
        request: ListTagsForResourceRequest,
    ) -> Result<ListTagsForResourceResponse> {
        let tags = self.state().tags.get(&request.resource_arn).cloned().unwrap_or_default();
        Ok(ListTagsForResourceResponse { tags })
    }
}

macro_rules! unsupported {
    ($($(#[$doc:meta])* $effect:ident $operation:ident $api:literal:
        $method:ident($request:ident) -> $response:ident;)*) => {
        #[async_trait]
        impl DicomWeb for Fake {
            $(async fn $method(&self, _: model::$request) -> Result<model::$response> {
                Err(Error::not_supported("the fake has no DICOMweb"))
            })*
        }
    };
}
healthimaging::with_web_operations!(unsupported);
