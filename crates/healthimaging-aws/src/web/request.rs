//! Requests: signature, transport, retries, errors.

use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use aws_config::SdkConfig;
use aws_smithy_http_client::Connector;
use aws_smithy_runtime_api::client::http::{HttpConnector, HttpConnectorSettings};
use aws_smithy_runtime_api::http::Response;
use aws_smithy_types::body::SdkBody;
use aws_types::request_id::RequestId;
use bytes::Bytes;
use futures::stream::{BoxStream, TryStreamExt};
use healthimaging::{Body, DatastoreId, Error, Outage, Result, retry_read};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, header};
use http_body::Frame;
use http_body_util::StreamBody;
use serde_json::Value;
use sync_wrapper::SyncStream;
use tower_http::timeout::TimeoutBody;

use super::chunked;
use super::sign::{Payload, Signer};
use crate::credentials::Keys;
use crate::network::Network;
use crate::{convert, error};

const CONNECT: Duration = Duration::from_secs(4);
/// Timeout of the response to a read, and of each piece of its body.
const READ: Duration = Duration::from_mins(1);
/// Timeout of a store of up to a gigabyte.
const STORE: Duration = Duration::from_mins(15);
/// Longest error response in bytes.
const ERROR_BODY: u64 = 64 * 1024;

/// Client of the DICOMweb host.
pub(crate) struct Web {
    /// Created with the first request, since it reads the certificates of the system.
    connector: OnceLock<Connector>,
    network: Network,
    base: String,
    region: String,
    keys: Arc<Keys>,
}

/// Body of a request.
pub(super) enum Sent {
    /// The whole body.
    Whole(Bytes),
    /// A stream of this length.
    Streamed(BoxStream<'static, Result<Bytes>>, u64),
}

/// A response, of any status if the caller reads it.
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) headers: HeaderMap,
    pub(super) body: Body,
}

impl Answer {
    /// Returns the media type.
    pub(super) fn media(&self) -> Option<&str> {
        self.headers.get(header::CONTENT_TYPE)?.to_str().ok()
    }
}

impl Web {
    pub(crate) fn new(
        sdk: &SdkConfig,
        network: Network,
        region: &str,
        endpoint: Option<&str>,
        keys: Arc<Keys>,
    ) -> Self {
        let base = match endpoint {
            Some(url) => url.trim_end_matches('/').to_owned(),
            None => host(
                region,
                sdk.use_fips().unwrap_or_default(),
                sdk.use_dual_stack().unwrap_or_default(),
            ),
        };
        Self { connector: OnceLock::new(), network, base, region: region.to_owned(), keys }
    }

    fn connector(&self) -> &Connector {
        self.connector.get_or_init(|| {
            let settings = HttpConnectorSettings::builder();
            self.network.connector(&settings.connect_timeout(CONNECT).build())
        })
    }

    /// Sends a read, with retries if the network or the service fails.
    pub(super) async fn get(
        &self,
        datastore: &DatastoreId,
        path: &str,
        accept: &str,
    ) -> Result<Answer> {
        retry_read(async || match self.get_once(datastore, path, accept).await {
            // The credentials are read again and may have been renewed.
            Err(error) if error.code().is_some_and(error::is_expired) => {
                self.get_once(datastore, path, accept).await
            }
            answer => answer,
        })
        .await
    }

    async fn get_once(&self, datastore: &DatastoreId, path: &str, accept: &str) -> Result<Answer> {
        let mut request = self.request(Method::GET, datastore, path, accept)?;
        let signer = Signer::new(self.keys.get().await?, &self.region);
        signer.sign(&mut request, Payload::Whole(&[]))?;
        let answer = self.send(request, READ).await?;
        if (200..300).contains(&answer.status) {
            return Ok(answer);
        }
        Err(self.refusal(answer).await)
    }

    /// Converts an error response.
    pub(super) async fn refusal(&self, answer: Answer) -> Error {
        self.keys.note(refusal(answer).await)
    }

    /// Sends a store, and returns its response of any status: error responses contain outcomes too.
    pub(super) async fn post(
        &self,
        datastore: &DatastoreId,
        path: &str,
        content_type: &str,
        sent: Sent,
    ) -> Result<Answer> {
        let mut request = self.request(Method::POST, datastore, path, "application/dicom+json")?;
        request.headers_mut().insert(header::CONTENT_TYPE, value(content_type)?);
        let signer = Signer::new(self.keys.get().await?, &self.region);
        match sent {
            Sent::Whole(bytes) => {
                signer.sign(&mut request, Payload::Whole(&bytes))?;
                *request.body_mut() = SdkBody::from(bytes);
            }
            Sent::Streamed(body, length) => {
                let headers = request.headers_mut();
                headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("aws-chunked"));
                let decoded = HeaderName::from_static("x-amz-decoded-content-length");
                headers.insert(decoded, length.into());
                headers.insert(header::CONTENT_LENGTH, chunked::encoded_length(length).into());
                let seed = signer.sign(&mut request, Payload::Chunked)?;
                let pieces = chunked::encode(body, signer, seed);
                // Bodies of the SDK must be `Sync`.
                let frames = SyncStream::new(pieces.map_ok(Frame::data));
                *request.body_mut() = SdkBody::from_body_1_x(StreamBody::new(frames));
            }
        }
        self.send(request, STORE).await
    }

    fn request(
        &self,
        method: Method,
        datastore: &DatastoreId,
        path: &str,
        accept: &str,
    ) -> Result<Request<SdkBody>> {
        let agent = concat!("healthimaging-mcp-server/", env!("CARGO_PKG_VERSION"));
        Request::builder()
            .method(method)
            .uri(format!("{}/datastore/{datastore}{path}", self.base))
            .header(header::ACCEPT, value(accept)?)
            .header(header::USER_AGENT, agent)
            .body(SdkBody::empty())
            .map_err(|cause| Error::internal("the request could not be made", cause))
    }

    async fn send(&self, request: Request<SdkBody>, timeout: Duration) -> Result<Answer> {
        let request = request
            .try_into()
            .map_err(|cause| Error::internal("the request could not be made", cause))?;
        let answer = tokio::time::timeout(timeout, self.connector().call(request));
        let answer: Response = answer.await.map_err(|_| late())?.map_err(error::of_connector)?;
        let answer = answer
            .try_into_http1x()
            .map_err(|cause| Error::internal("the response could not be read", cause))?;
        let (parts, body) = answer.into_parts();
        let length = body.content_length();
        Ok(Answer {
            status: parts.status.as_u16(),
            headers: parts.headers,
            body: convert::response_body(TimeoutBody::new(READ, body), length),
        })
    }
}

impl fmt::Debug for Web {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Web").field("base", &self.base).finish_non_exhaustive()
    }
}

/// Returns the DICOMweb host of a region, with the prefixes and suffixes of the SDK.
fn host(region: &str, fips: bool, dual_stack: bool) -> String {
    let fips = if fips { "-fips" } else { "" };
    let suffix = if dual_stack { "api.aws" } else { "amazonaws.com" };
    format!("https://dicom-medical-imaging{fips}.{region}.{suffix}")
}

fn value(text: &str) -> Result<HeaderValue> {
    HeaderValue::from_str(text).map_err(|cause| Error::internal("invalid header value", cause))
}

fn late() -> Error {
    error::late("DICOMweb of AWS HealthImaging did not respond in time; try again")
}

async fn refusal(answer: Answer) -> Error {
    let code = answer
        .headers
        .get("x-amzn-errortype")
        .and_then(|value| value.to_str().ok())
        .map(str::to_owned);
    let request_id = request_id(&answer.headers);
    let retry_after = retry_after(&answer.headers);
    let body = answer.body.collect(ERROR_BODY).await.unwrap_or_default();
    let body: Value = serde_json::from_slice(&body).unwrap_or_default();
    let text = |name: &str| body.get(name).and_then(Value::as_str);
    let code = code.as_deref().or_else(|| text("__type"));
    // `namespace#Code` in bodies, `Code:http://…` in headers.
    let code =
        code.and_then(|code| code.rsplit('#').next()).and_then(|code| code.split(':').next());
    let message = text("message").or_else(|| text("Message"));
    // DICOMweb of AWS throttles with 503.
    let status = if answer.status == 503 { 429 } else { answer.status };
    let mut error = error::of_response(code, message, status);
    if status == 429 {
        error = error.with_outage(Outage::Unavailable(retry_after));
    }
    match request_id {
        Some(id) => error.with_request_id(id),
        None => error,
    }
}

/// Returns the seconds of `Retry-After`; a date is ignored.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers.get(header::RETRY_AFTER)?.to_str().ok()?.parse().ok()?;
    Some(Duration::from_secs(seconds))
}

fn request_id(headers: &HeaderMap) -> Option<String> {
    let headers = aws_smithy_runtime_api::http::Headers::try_from(headers.clone()).ok()?;
    headers.request_id().map(str::to_owned)
}
