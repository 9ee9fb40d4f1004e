//! The second seam: what DICOMweb offers beside the 18 operations.

use std::fmt;

use async_trait::async_trait;

use crate::body::Body;
use crate::error::Result;
use crate::model::{
    DicomJson, InstanceMetadataRequest, RetrieveBulkdataRequest, RetrieveBulkdataResponse,
    RetrieveFramesRequest, RetrieveFramesResponse, RetrieveInstanceRequest,
    RetrieveInstanceResponse, SearchDicomRequest, SeriesMetadataRequest, StoreInstancesRequest,
    StoreInstancesResponse,
};

/// DICOMweb (`PS3.18`) as AWS HealthImaging offers it.
///
/// Only primary image sets are seen, unless a retrieval names an image set. What is missing is `NotFound`.
#[async_trait]
pub trait DicomWeb: Send + Sync + fmt::Debug {
    /// One instance as a Part 10 file, with all changes made since its import (WADO-RS).
    ///
    /// A transfer syntax that cannot be made is `NotAcceptable`; the stored one always can.
    async fn retrieve_instance(
        &self,
        request: RetrieveInstanceRequest,
    ) -> Result<RetrieveInstanceResponse>;

    /// Frames of one instance (WADO-RS).
    ///
    /// A transfer syntax that cannot be made is `NotAcceptable`; the stored one always can. Frames
    /// that are not there, or cannot be told apart, are `NotFound`.
    async fn retrieve_frames(
        &self,
        request: RetrieveFramesRequest,
    ) -> Result<RetrieveFramesResponse>;

    /// A large value that the metadata only points at (WADO-RS).
    async fn retrieve_bulkdata(
        &self,
        request: RetrieveBulkdataRequest,
    ) -> Result<RetrieveBulkdataResponse>;

    /// The attributes of one instance, without bulk data (WADO-RS metadata): a JSON array of one data set in
    /// the DICOM JSON Model.
    async fn instance_metadata(&self, request: InstanceMetadataRequest) -> Result<Body>;

    /// The attributes of every instance of a series, by instance number (WADO-RS metadata): a JSON array.
    async fn series_metadata(&self, request: SeriesMetadataRequest) -> Result<Body>;

    /// Studies, series or instances that match (QIDO-RS); an unknown match key is `Validation`.
    async fn search(&self, request: SearchDicomRequest) -> Result<Vec<DicomJson>>;

    /// Stores Part 10 files (STOW-RS); each has its own outcome, and those stored are durable.
    async fn store_instances(
        &self,
        request: StoreInstancesRequest,
    ) -> Result<StoreInstancesResponse>;
}
