//! One call: signed, sent, its answer or its error.

use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use aws_config::SdkConfig;
use aws_smithy_http_client::Connector;
use aws_smithy_runtime_api::client::http::{HttpConnector, HttpConnectorSettings};
use aws_smithy_runtime_api::http::Response;
use aws_smithy_types::body::SdkBody;
use aws_types::request_id::RequestId;
use bytes::Bytes;
use futures::stream::{BoxStream, Stream, StreamExt};
use healthimaging::{Body, DatastoreId, Error, ErrorKind, Result};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, header};
use http_body::Frame;
use http_body_util::StreamBody;
use serde_json::Value;

use super::chunked;
use super::sign::{Payload, Signer};
use crate::credentials::Keys;
use crate::network::Network;
use crate::{convert, error};

const CONNECT: Duration = Duration::from_secs(4);
/// Until the answer to a read begins, and between two pieces of its body.
const READ: Duration = Duration::from_mins(1);
/// Until a store of up to a gigabyte is answered.
const STORE: Duration = Duration::from_mins(15);
/// Reads are tried this often when the network or the service fails.
const TRIES: u32 = 3;
/// The pause before a second try; doubled before the next.
const PAUSE: Duration = Duration::from_millis(200);
/// An error has few words.
const ERROR_BODY: u64 = 64 * 1024;

/// The way to the DICOMweb host.
pub(crate) struct Web {
    /// Made with the first call: it reads the certificates of the system.
    connector: OnceLock<Connector>,
    network: Network,
    base: String,
    region: String,
    keys: Arc<Keys>,
}

/// What to send.
pub(super) enum Sent {
    /// All of it at once.
    Whole(Bytes),
    /// Piece by piece, of this length.
    Streamed(BoxStream<'static, Result<Bytes>>, u64),
}

/// A successful answer, or one that a caller reads whatever its status.
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) headers: HeaderMap,
    pub(super) body: Body,
}

impl Answer {
    /// The media type.
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

    /// Reads; tried again when the network or the service fails.
    pub(super) async fn get(
        &self,
        datastore: &DatastoreId,
        path: &str,
        accept: &str,
    ) -> Result<Answer> {
        let (mut pause, mut tries, mut is_renewed) = (PAUSE, 1, false);
        loop {
            let error = match self.get_once(datastore, path, accept).await {
                Ok(answer) => return Ok(answer),
                Err(error) => error,
            };
            // The credentials are read again, and may have been renewed.
            if error.code().is_some_and(error::is_expired) && !is_renewed {
                is_renewed = true;
                continue;
            }
            if error.kind() != ErrorKind::Service || tries == TRIES {
                return Err(error);
            }
            tracing::debug!(%error, "reading again");
            tokio::time::sleep(pause).await;
            pause *= 2;
            tries += 1;
        }
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

    /// The error in a response.
    pub(super) async fn refusal(&self, answer: Answer) -> Error {
        self.keys.heed(refusal(answer).await)
    }

    /// Sends; the answer is handed out whatever its status, since a store tells its outcomes in refusals too.
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
                let pieces = Exclusive(Mutex::new(pieces)).map(|piece| piece.map(Frame::data));
                *request.body_mut() = SdkBody::from_body_1_x(StreamBody::new(pieces));
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

    async fn send(&self, request: Request<SdkBody>, patience: Duration) -> Result<Answer> {
        let request = request
            .try_into()
            .map_err(|cause| Error::internal("the request could not be made", cause))?;
        let answer = tokio::time::timeout(patience, self.connector().call(request));
        let answer: Response = answer.await.map_err(|_| late())?.map_err(error::of_connector)?;
        let answer = answer
            .try_into_http1x()
            .map_err(|cause| Error::internal("the answer cannot be read", cause))?;
        let (parts, body) = answer.into_parts();
        Ok(Answer {
            status: parts.status.as_u16(),
            headers: parts.headers,
            body: patient(convert::sdk_body(body)),
        })
    }
}

impl fmt::Debug for Web {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Web").field("base", &self.base).finish_non_exhaustive()
    }
}

/// The DICOMweb host of a region, named as the hosts of the SDK are.
fn host(region: &str, fips: bool, dual_stack: bool) -> String {
    let fips = if fips { "-fips" } else { "" };
    let suffix = if dual_stack { "api.aws" } else { "amazonaws.com" };
    format!("https://dicom-medical-imaging{fips}.{region}.{suffix}")
}

fn value(text: &str) -> Result<HeaderValue> {
    HeaderValue::from_str(text)
        .map_err(|cause| Error::internal("a header cannot be written", cause))
}

fn late() -> Error {
    Error::new(
        ErrorKind::Service,
        "DICOMweb of AWS HealthImaging did not answer in time; try again",
    )
}

/// The body, with an error instead of waiting for ever for its next piece.
fn patient(body: Body) -> Body {
    let length = body.length();
    let pieces = futures::stream::unfold(Some(body.into_stream()), async |stream| {
        let mut stream = stream?;
        match tokio::time::timeout(READ, stream.next()).await {
            Ok(Some(piece)) => Some((piece, Some(stream))),
            Ok(None) => None,
            Err(_) => Some((Err(late()), None)),
        }
    });
    // Fused, since who looks at the beginning may have seen the end.
    Body::from_stream(pieces.fuse().boxed(), length)
}

async fn refusal(answer: Answer) -> Error {
    let code = answer
        .headers
        .get("x-amzn-errortype")
        .and_then(|value| value.to_str().ok())
        .map(str::to_owned);
    let request_id = request_id(&answer.headers);
    let body = answer.body.collect(ERROR_BODY).await.unwrap_or_default();
    let body: Value = serde_json::from_slice(&body).unwrap_or_default();
    let text = |name: &str| body.get(name).and_then(Value::as_str);
    let code = code.as_deref().or_else(|| text("__type"));
    // `namespace#Code` in bodies, `Code:http://…` in headers.
    let code =
        code.and_then(|code| code.rsplit('#').next()).and_then(|code| code.split(':').next());
    let message = text("message").or_else(|| text("Message"));
    // 503 is how DICOMweb of AWS throttles.
    let status = if answer.status == 503 { 429 } else { answer.status };
    let error = error::of_answer(code, message, status);
    match request_id {
        Some(id) => error.with_request_id(id),
        None => error,
    }
}

fn request_id(headers: &HeaderMap) -> Option<String> {
    let headers = aws_smithy_runtime_api::http::Headers::try_from(headers.clone()).ok()?;
    headers.request_id().map(str::to_owned)
}

/// Percent-encodes a part of a path or of a query.
pub(super) fn encode(text: &str) -> String {
    use std::fmt::Write;
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            // Writing to a string cannot fail.
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
    encoded
}

/// A stream that the SDK's body type may hold, which asks that it can be shared; it never is.
struct Exclusive<S>(Mutex<S>);

impl<S: Stream + Unpin> Stream for Exclusive<S> {
    type Item = S::Item;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<S::Item>> {
        let stream = self.0.get_mut().unwrap_or_else(PoisonError::into_inner);
        stream.poll_next_unpin(context)
    }
}
