//! Pacing: the rates that are allowed, and what throttling answers change. Time is tokio's paused clock.
#![expect(clippy::unwrap_used, reason = "a test may")]

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use futures::StreamExt;
use futures::future::join_all;
use futures::stream;
use healthimaging::model::{
    DicomJson, InstanceMetadataRequest, RetrieveBulkdataRequest, RetrieveBulkdataResponse,
    RetrieveFramesRequest, RetrieveFramesResponse, RetrieveInstanceRequest,
    RetrieveInstanceResponse, SearchDicomRequest, SearchLevel, SeriesMetadataRequest,
    StoreInstancesRequest, StoreInstancesResponse,
};
use healthimaging::{Body, DicomWeb, Error, ErrorKind, Limits, Pace, Paced, Rate, Result};
use tokio::time::Instant;

/// Ten calls a second, two at once.
const LIMITS: Limits = Limits {
    page_size: 50,
    rate: |_| None,
    web_rate: Some(Rate { per_second: 10.0, burst: 2 }),
    copy_frames: None,
};

/// Notes when it is called, and throttles the first calls.
#[derive(Debug)]
struct Service {
    began: Instant,
    throttled: usize,
    calls: Mutex<Vec<(u32, Duration)>>,
}

impl Service {
    fn new(throttled: usize) -> Arc<Self> {
        Arc::new(Self { began: Instant::now(), throttled, calls: Mutex::default() })
    }

    fn called(&self, number: u32) -> Result<()> {
        let mut calls = self.calls.lock().unwrap();
        calls.push((number, self.began.elapsed()));
        if calls.len() > self.throttled {
            Ok(())
        } else {
            Err(Error::new(ErrorKind::Throttled, "slow down"))
        }
    }

    /// The numbers of the calls, and when each came, in milliseconds.
    fn calls(&self) -> Vec<(u32, u128)> {
        let calls = self.calls.lock().unwrap();
        calls.iter().map(|(number, at)| (*number, at.as_millis())).collect()
    }
}

#[async_trait]
impl DicomWeb for Service {
    async fn retrieve_instance(
        &self,
        _: RetrieveInstanceRequest,
    ) -> Result<RetrieveInstanceResponse> {
        Err(Error::not_found("nothing here"))
    }

    async fn retrieve_frames(&self, _: RetrieveFramesRequest) -> Result<RetrieveFramesResponse> {
        Err(Error::not_found("nothing here"))
    }

    async fn retrieve_bulkdata(
        &self,
        _: RetrieveBulkdataRequest,
    ) -> Result<RetrieveBulkdataResponse> {
        Err(Error::not_found("nothing here"))
    }

    async fn instance_metadata(&self, _: InstanceMetadataRequest) -> Result<Body> {
        Ok(Vec::new().into())
    }

    async fn series_metadata(&self, _: SeriesMetadataRequest) -> Result<Body> {
        Ok(Vec::new().into())
    }

    async fn search(&self, request: SearchDicomRequest) -> Result<Vec<DicomJson>> {
        self.called(request.offset).map(|()| Vec::new())
    }

    async fn store_instances(&self, _: StoreInstancesRequest) -> Result<StoreInstancesResponse> {
        self.called(0)?;
        Err(Error::not_found("nothing here"))
    }
}

fn search(number: u32) -> SearchDicomRequest {
    SearchDicomRequest {
        offset: number,
        ..SearchDicomRequest::all("0".repeat(32).parse().unwrap(), SearchLevel::Studies)
    }
}

fn paced(service: &Arc<Service>, pace: &Arc<Pace>) -> Paced<Service> {
    Paced::new(Arc::clone(service), Arc::clone(pace))
}

#[tokio::test(start_paused = true)]
async fn calls_beyond_the_burst_come_at_the_rate_in_their_order() {
    let service = Service::new(0);
    let paced = paced(&service, &Arc::new(Pace::new(&LIMITS, 1.0)));
    for answer in join_all((0..5).map(|number| paced.search(search(number)))).await {
        answer.unwrap();
    }
    let calls = service.calls();
    assert_eq!(calls, [(0, 0), (1, 0), (2, 100), (3, 200), (4, 300)]);
}

#[tokio::test(start_paused = true)]
async fn a_factor_changes_the_rate_and_a_pause_fills_the_burst() {
    let service = Service::new(0);
    let paced = paced(&service, &Arc::new(Pace::new(&LIMITS, 0.5)));
    for number in 0..3 {
        paced.search(search(number)).await.unwrap();
    }
    tokio::time::sleep(Duration::from_mins(1)).await;
    paced.search(search(3)).await.unwrap();
    let calls = service.calls();
    assert_eq!(calls, [(0, 0), (1, 200), (2, 400), (3, 60_400)]);
}

#[tokio::test(start_paused = true)]
async fn all_that_share_a_pace_share_its_rates() {
    let service = Service::new(0);
    let pace = Arc::new(Pace::new(&LIMITS, 1.0));
    let (one, other) = (paced(&service, &pace), paced(&service, &pace));
    one.search(search(0)).await.unwrap();
    other.search(search(1)).await.unwrap();
    one.search(search(2)).await.unwrap();
    assert_eq!(service.calls(), [(0, 0), (1, 0), (2, 100)]);
    // Other calls have rates of their own.
    let metadata = InstanceMetadataRequest {
        datastore_id: "0".repeat(32).parse().unwrap(),
        study_instance_uid: "1.2".parse().unwrap(),
        series_instance_uid: "1.3".parse().unwrap(),
        sop_instance_uid: "1.4".parse().unwrap(),
        image_set_id: None,
    };
    let before = Instant::now();
    one.instance_metadata(metadata).await.unwrap();
    assert_eq!(before.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn a_throttled_read_is_made_again_and_what_follows_is_slower() {
    let service = Service::new(1);
    let paced = paced(&service, &Arc::new(Pace::new(&LIMITS, 1.0)));
    paced.search(search(0)).await.unwrap();
    for number in 1..5 {
        paced.search(search(number)).await.unwrap();
    }
    let calls = service.calls();
    // Half a second of pause fills the burst at half the rate; then pieces come slower than ten a second.
    let pause = calls[1].1;
    assert!((500..=1000).contains(&pause), "half a second, and jitter: {pause}");
    assert_eq!(calls[..3], [(0, 0), (0, pause), (1, pause)]);
    let between: Vec<u128> = calls[2..].windows(2).map(|two| two[1].1 - two[0].1).collect();
    assert!(between.iter().all(|gap| (100..=200).contains(gap)), "{between:?}");
    assert!(between[0] > 150 && between.is_sorted_by(|a, b| a >= b), "{between:?}");
}

#[tokio::test(start_paused = true)]
async fn a_read_that_stays_throttled_ends_with_the_error() {
    let service = Service::new(100);
    let paced = paced(&service, &Arc::new(Pace::new(&LIMITS, 1.0)));
    let error = paced.search(search(0)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Throttled);
    assert_eq!(service.calls().len(), 8);
}

#[tokio::test(start_paused = true)]
async fn a_store_is_sent_once() {
    let service = Service::new(100);
    let paced = paced(&service, &Arc::new(Pace::new(&LIMITS, 1.0)));
    let request = StoreInstancesRequest {
        datastore_id: "0".repeat(32).parse().unwrap(),
        study_instance_uid: None,
        instances: stream::empty().boxed(),
    };
    let error = paced.store_instances(request).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Throttled);
    assert_eq!(service.calls().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn who_gives_up_waiting_takes_no_turn() {
    let service = Service::new(0);
    let paced = paced(&service, &Arc::new(Pace::new(&LIMITS, 1.0)));
    for number in 0..2 {
        paced.search(search(number)).await.unwrap();
    }
    let patience = Duration::from_millis(10);
    tokio::time::timeout(patience, paced.search(search(2))).await.unwrap_err();
    paced.search(search(3)).await.unwrap();
    assert_eq!(service.calls(), [(0, 0), (1, 0), (3, 100)]);
}
