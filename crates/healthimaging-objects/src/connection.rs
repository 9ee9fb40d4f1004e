//! The HTTP client of `s3://`: that of the AWS SDK, so that the program has one, with one way to read proxies.

use std::error::Error as StdError;
use std::io;
use std::sync::OnceLock;
use std::time::Duration;

use async_trait::async_trait;
use aws_smithy_http_client::Connector;
use aws_smithy_http_client::proxy::ProxyConfig;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_http_client::tls::{Provider, TlsContext, TrustStore};
use aws_smithy_runtime_api::client::http::{HttpConnector as _, HttpConnectorSettings};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest as SdkRequest;
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_types::body::SdkBody;
use bytes::Bytes;
use futures::{StreamExt, stream};
use healthimaging::{Error, ErrorKind};
use http_body::Frame;
use http_body_util::{BodyExt, Limited, StreamBody};
use object_store::ClientOptions;
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpResponse,
    HttpResponseBody, HttpService,
};
use tokio::time::timeout;

type BoxError = Box<dyn StdError + Send + Sync>;

/// Time to connect.
const CONNECT: Duration = Duration::from_secs(5);
/// Time to the head of an answer, and between two parts of its body.
const READ: Duration = Duration::from_secs(30);

/// Returns a connector that uses the proxies of the environment, and trusts the given certificates in PEM instead of those of the
/// system.
pub fn http_connector(settings: &HttpConnectorSettings, ca_bundle: Option<&[u8]>) -> Connector {
    let mut builder = Connector::builder()
        .connector_settings(settings.clone())
        .proxy_config(ProxyConfig::from_env())
        .tls_provider(Provider::Rustls(CryptoMode::AwsLc));
    if let Some(pem) = ca_bundle {
        let trusted = TrustStore::empty().with_pem_certificate(pem);
        if let Ok(context) = TlsContext::builder().with_trust_store(trusted).build() {
            builder = builder.tls_context(context);
        }
    }
    builder.build()
}

/// Returns the content at a URL, of at most `most` bytes; with certificates in PEM it trusts them, instead of those of the system.
///
/// # Errors
/// `Service` if there is no answer in time, or another status than 200.
pub async fn fetch(
    url: &str,
    ca_bundle: Option<&[u8]>,
    most: usize,
) -> healthimaging::Result<Bytes> {
    let failed = |error: BoxError| {
        Error::new(ErrorKind::Service, "the address could not be read").with_source(error)
    };
    let settings =
        HttpConnectorSettings::builder().connect_timeout(CONNECT).read_timeout(READ).build();
    let mut request = SdkRequest::get(url).map_err(|error| failed(error.into()))?;
    request.headers_mut().insert("accept", "application/json");
    let read = async {
        let response = http_connector(&settings, ca_bundle).call(request).await;
        let response = response.map_err(|error| failed(error.into()))?;
        if response.status().as_u16() != 200 {
            return Err(failed(format!("status {}", response.status().as_u16()).into()));
        }
        let body = Limited::new(response.into_body(), most).collect().await;
        Ok(body.map_err(failed)?.to_bytes())
    };
    timeout(READ, read).await.map_err(|error| failed(error.into()))?
}

/// Connects to S3; with certificates in PEM it trusts them, instead of those of the system.
#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) ca_bundle: Option<Vec<u8>>,
}

impl HttpConnector for Connection {
    fn connect(&self, _: &ClientOptions) -> object_store::Result<HttpClient> {
        let client = Client { ca_bundle: self.ca_bundle.clone(), connector: OnceLock::default() };
        Ok(HttpClient::new(client))
    }
}

#[derive(Debug)]
struct Client {
    ca_bundle: Option<Vec<u8>>,
    /// Made with the first request: it reads the certificates of the system.
    connector: OnceLock<Connector>,
}

impl Client {
    fn connector(&self) -> &Connector {
        self.connector.get_or_init(|| {
            let settings = HttpConnectorSettings::builder()
                .connect_timeout(CONNECT)
                .read_timeout(READ)
                .build();
            http_connector(&settings, self.ca_bundle.as_deref())
        })
    }
}

#[async_trait]
impl HttpService for Client {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let unsendable = |error| HttpError::new(HttpErrorKind::Unknown, error);
        let request = request.map(SdkBody::from_body_1_x);
        let request = SdkRequest::try_from(request).map_err(unsendable)?;
        let response = self.connector().call(request).await.map_err(failed)?;
        let response = response
            .try_into_http1x()
            .map_err(|error| HttpError::new(HttpErrorKind::Decode, error))?;
        Ok(response.map(|body| HttpResponseBody::new(StreamBody::new(parts(body)))))
    }
}

/// The parts of a body, each within [`READ`].
fn parts(
    body: SdkBody,
) -> impl futures::Stream<Item = Result<Frame<Bytes>, HttpError>> + Send + 'static {
    let interrupted = |error| HttpError::new_boxed(HttpErrorKind::Interrupted, error);
    stream::try_unfold(body, move |mut body| async move {
        match timeout(READ, body.frame()).await {
            Err(elapsed) => Err(HttpError::new(HttpErrorKind::Timeout, elapsed)),
            Ok(None) => Ok(None),
            Ok(Some(frame)) => Ok(Some((frame.map_err(interrupted)?, body))),
        }
    })
    .fuse()
}

/// The failure of a request, which is repeated if it was not sent, or if that is harmless.
fn failed(error: ConnectorError) -> HttpError {
    let kind = if error.is_timeout() {
        HttpErrorKind::Timeout
    } else if was_not_connected(&error) {
        HttpErrorKind::Connect
    } else if error.is_io() || error.is_other() {
        HttpErrorKind::Interrupted
    } else {
        HttpErrorKind::Unknown
    };
    HttpError::new(kind, error)
}

fn was_not_connected(error: &ConnectorError) -> bool {
    let first: &(dyn StdError + 'static) = error;
    std::iter::successors(Some(first), |&cause| cause.source())
        .filter_map(|cause| cause.downcast_ref::<io::Error>())
        .any(|error| error.kind() == io::ErrorKind::ConnectionRefused)
}
