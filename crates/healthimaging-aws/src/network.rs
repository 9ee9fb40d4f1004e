//! The HTTP client, its trusted certificates and its proxy.

use std::sync::Arc;

use aws_smithy_http_client::Connector;
use aws_smithy_runtime_api::client::connector_metadata::ConnectorMetadata;
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnectorSettings, SharedHttpClient, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use healthimaging::{Error, Result};
use healthimaging_objects::http_connector;
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;

use crate::shared_files::{SharedFiles, variable};

/// Variables of the proxy, in the order of their precedence.
const PROXIES: [&str; 6] =
    ["HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"];

/// Settings of connections.
#[derive(Debug, Clone, Default)]
pub(crate) struct Network {
    /// Trusted certificates in PEM, instead of those of the system.
    bundle: Option<Arc<[u8]>>,
}

impl Network {
    /// Reads `AWS_CA_BUNDLE`, or `ca_bundle` of the profile, and checks the proxies of the environment.
    ///
    /// # Errors
    /// `Validation` for an invalid bundle or proxy.
    pub(crate) fn read(files: &SharedFiles) -> Result<Self> {
        for name in PROXIES {
            if variable(name).is_some_and(|url| !is_proxy(&url)) {
                // The URL may contain a password.
                return Err(Error::validation(format!(
                    "{name} is not the URL of an HTTP proxy: write it as http://host:port"
                )));
            }
        }
        let named = match (variable("AWS_CA_BUNDLE"), files.setting("ca_bundle")) {
            (Some(path), _) => Some(("AWS_CA_BUNDLE".to_owned(), path)),
            (None, Some(path)) => {
                Some((files.place(files.selected(), "ca_bundle"), path.to_owned()))
            }
            (None, None) => None,
        };
        let bundle = named.map(|(place, path)| read_bundle(&place, &path)).transpose()?;
        Ok(Self { bundle })
    }

    /// Returns the trusted certificates in PEM, if they replace those of the system.
    pub(crate) fn bundle(&self) -> Option<&Arc<[u8]>> {
        self.bundle.as_ref()
    }

    /// Returns a connector with these settings.
    pub(crate) fn connector(&self, settings: &HttpConnectorSettings) -> Connector {
        http_connector(settings, self.bundle.as_deref())
    }

    /// Returns the HTTP client of the SDK.
    pub(crate) fn client(&self) -> impl HttpClient + 'static {
        let network = self.clone();
        let builder = aws_smithy_http_client::Builder::new();
        LazyClient(builder.build_with_connector_fn(move |settings, _| match settings {
            Some(settings) => network.connector(settings),
            None => network.connector(&HttpConnectorSettings::default()),
        }))
    }
}

/// HTTP client that reads the certificates of the system with the first call, and not when it is created: that takes longer
/// than the rest of a start.
#[derive(Debug)]
struct LazyClient(SharedHttpClient);

impl HttpClient for LazyClient {
    fn http_connector(
        &self,
        settings: &HttpConnectorSettings,
        components: &RuntimeComponents,
    ) -> SharedHttpConnector {
        self.0.http_connector(settings, components)
    }

    fn connector_metadata(&self) -> Option<ConnectorMetadata> {
        self.0.connector_metadata()
    }
}

/// Returns whether the HTTP client supports a proxy URL, whose scheme is optional. It ignores others.
fn is_proxy(url: &str) -> bool {
    url.parse::<http::Uri>().is_ok_and(|uri| {
        matches!(uri.scheme_str(), None | Some("http" | "https")) && uri.authority().is_some()
    })
}

/// Reads a file of certificates, which must all be valid.
fn read_bundle(place: &str, path: &str) -> Result<Arc<[u8]>> {
    let wrong =
        |what: String| Error::validation(format!("{place}: the certificates of {path} {what}"));
    let pem = std::fs::read(path).map_err(|error| wrong(format!("cannot be read: {error}")))?;
    let mut trusted = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(&pem) {
        let certificate = certificate.map_err(|error| wrong(format!("are not PEM: {error:?}")))?;
        trusted.add(certificate).map_err(|error| wrong(format!("cannot be used: {error}")))?;
    }
    if trusted.is_empty() {
        return Err(wrong("are missing: the file must contain PEM certificates".to_owned()));
    }
    Ok(pem.into())
}
