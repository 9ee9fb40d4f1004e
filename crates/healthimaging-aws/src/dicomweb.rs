//! The operations of DICOMweb, over the DICOMweb host.

use async_trait::async_trait;
use healthimaging::model::{
    DicomJson, InstanceMetadataRequest, RetrieveBulkdataRequest, RetrieveBulkdataResponse,
    RetrieveFramesRequest, RetrieveFramesResponse, RetrieveInstanceRequest,
    RetrieveInstanceResponse, SearchDicomRequest, SeriesMetadataRequest, StoreInstancesRequest,
    StoreInstancesResponse,
};
use healthimaging::{Body, DicomWeb, Result};

use crate::client::Aws;
use crate::web::{frames, retrieve, search, store};

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
        store::store(self, &self.web, request).await
    }
}
