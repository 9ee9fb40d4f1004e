//! DICOMweb as AWS offers it: signed HTTPS to a host of its own, over the SDK's HTTP client.

mod chunked;
mod multipart;
mod part10;
mod request;
mod retrieve;
mod search;
mod sign;
mod store;

use async_trait::async_trait;
use healthimaging::model::{
    DicomJson, InstanceMetadataRequest, RetrieveBulkdataRequest, RetrieveBulkdataResponse,
    RetrieveFramesRequest, RetrieveFramesResponse, RetrieveInstanceRequest,
    RetrieveInstanceResponse, SearchDicomRequest, SeriesMetadataRequest, StoreInstancesRequest,
    StoreInstancesResponse,
};
use healthimaging::{DicomWeb, Error, Result};

use crate::config::Aws;

pub(crate) use request::Web;

#[async_trait]
impl DicomWeb for Aws {
    async fn retrieve_instance(
        &self,
        request: RetrieveInstanceRequest,
    ) -> Result<RetrieveInstanceResponse> {
        retrieve::instance(&self.web, request).await
    }

    async fn retrieve_frames(&self, _: RetrieveFramesRequest) -> Result<RetrieveFramesResponse> {
        Err(Error::not_supported(
            "frames of AWS HealthImaging are read one by one, with get_image_frame",
        ))
    }

    async fn retrieve_bulkdata(
        &self,
        _: RetrieveBulkdataRequest,
    ) -> Result<RetrieveBulkdataResponse> {
        Err(Error::not_supported(
            "large values of AWS HealthImaging are read with the whole instance",
        ))
    }

    async fn instance_metadata(&self, request: InstanceMetadataRequest) -> Result<DicomJson> {
        retrieve::instance_metadata(&self.web, &request).await
    }

    async fn series_metadata(&self, request: SeriesMetadataRequest) -> Result<Vec<DicomJson>> {
        retrieve::series_metadata(&self.web, &request).await
    }

    async fn search(&self, request: SearchDicomRequest) -> Result<Vec<DicomJson>> {
        search::search(&self.web, &request).await
    }

    async fn store_instances(
        &self,
        request: StoreInstancesRequest,
    ) -> Result<StoreInstancesResponse> {
        store::store(self, request).await
    }
}
