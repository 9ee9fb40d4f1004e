//! All pages of a DICOMweb search.
#![expect(clippy::unwrap_used, reason = "a test may")]

use std::sync::Mutex;

use async_trait::async_trait;
use healthimaging::model::{
    DicomJson, InstanceMetadataRequest, RetrieveBulkdataRequest, RetrieveBulkdataResponse,
    RetrieveFramesRequest, RetrieveFramesResponse, RetrieveInstanceRequest,
    RetrieveInstanceResponse, SearchDicomRequest, SearchLevel, SeriesMetadataRequest,
    StoreInstancesRequest, StoreInstancesResponse,
};
use healthimaging::{Body, DicomWeb, Error, ErrorKind, Result, SearchBound, search_all};
use serde_json::json;

/// A store of so many studies, which are numbered; it notes the pages that are requested.
#[derive(Debug)]
struct Studies {
    count: u32,
    pages: Mutex<Vec<(u32, Option<u32>)>>,
}

fn nothing<T>() -> Result<T> {
    Err(Error::not_found("nothing here"))
}

#[async_trait]
impl DicomWeb for Studies {
    async fn retrieve_instance(
        &self,
        _: RetrieveInstanceRequest,
    ) -> Result<RetrieveInstanceResponse> {
        nothing()
    }

    async fn retrieve_frames(&self, _: RetrieveFramesRequest) -> Result<RetrieveFramesResponse> {
        nothing()
    }

    async fn retrieve_bulkdata(
        &self,
        _: RetrieveBulkdataRequest,
    ) -> Result<RetrieveBulkdataResponse> {
        nothing()
    }

    async fn instance_metadata(&self, _: InstanceMetadataRequest) -> Result<Body> {
        nothing()
    }

    async fn series_metadata(&self, _: SeriesMetadataRequest) -> Result<Body> {
        nothing()
    }

    async fn search(&self, request: SearchDicomRequest) -> Result<Vec<DicomJson>> {
        self.pages.lock().unwrap().push((request.offset, request.limit));
        let end = request.offset.saturating_add(request.limit.unwrap_or(1000)).min(self.count);
        let number = |number: u32| DicomJson::from_iter([("number".to_owned(), json!(number))]);
        Ok((request.offset..end).map(number).collect())
    }

    async fn store_instances(&self, _: StoreInstancesRequest) -> Result<StoreInstancesResponse> {
        nothing()
    }
}

async fn found(count: u32, most: usize) -> (Result<Vec<u64>>, Vec<(u32, Option<u32>)>) {
    let studies = Studies { count, pages: Mutex::default() };
    let request = SearchDicomRequest::all("0".repeat(32).parse().unwrap(), SearchLevel::Studies);
    let bound = SearchBound { most, advice: "look elsewhere" };
    let even = |study: DicomJson| Ok(study["number"].as_u64().filter(|number| number % 2 == 0));
    let all = search_all(&studies, request, bound, even).await;
    (all, studies.pages.into_inner().unwrap())
}

#[tokio::test]
async fn all_pages_are_read_in_order() {
    for (count, pages) in [(0, 1), (7, 1), (999, 1), (1000, 2), (2001, 3)] {
        let (all, asked) = found(count, 5000).await;
        let expected: Vec<u64> = (0..u64::from(count)).step_by(2).collect();
        assert_eq!(all.unwrap(), expected);
        let starts: Vec<_> = (0..pages).map(|page| (page * 1000, Some(1000))).collect();
        assert_eq!(asked, starts, "{count} results");
    }
}

#[tokio::test]
async fn more_than_the_bound_is_an_error_and_ends_the_search() {
    assert_eq!(found(1500, 1500).await.0.unwrap().len(), 750);
    let (all, asked) = found(5000, 1500).await;
    let refused = all.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Validation);
    assert_eq!(refused.message(), "more than 1500 results match; look elsewhere");
    assert_eq!(asked.len(), 2, "no page after the bound");
}
