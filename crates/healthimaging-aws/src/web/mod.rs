//! DICOMweb as AWS offers it: signed HTTPS to a host of its own, over the SDK's HTTP client.

mod chunked;
mod frames;
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
use healthimaging::{Body, DicomWeb, Result};

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

    async fn retrieve_frames(
        &self,
        request: RetrieveFramesRequest,
    ) -> Result<RetrieveFramesResponse> {
        frames::frames(&self.web, request).await
    }

    async fn retrieve_bulkdata(
        &self,
        request: RetrieveBulkdataRequest,
    ) -> Result<RetrieveBulkdataResponse> {
        frames::bulkdata(&self.web, &request).await
    }

    async fn instance_metadata(&self, request: InstanceMetadataRequest) -> Result<Body> {
        retrieve::instance_metadata(&self.web, &request).await
    }

    async fn series_metadata(&self, request: SeriesMetadataRequest) -> Result<Body> {
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
