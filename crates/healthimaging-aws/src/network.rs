//! The way to AWS: one HTTP client, the certificates that it trusts, and the proxy of the environment.

use std::sync::Arc;

use aws_smithy_http_client::Connector;
use aws_smithy_http_client::proxy::ProxyConfig;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_http_client::tls::{Provider, TlsContext, TrustStore};
use aws_smithy_runtime_api::client::connector_metadata::ConnectorMetadata;
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnectorSettings, SharedHttpClient, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use healthimaging::{Error, Result};
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;

use crate::shared_files::{SharedFiles, variable};

/// The variables that name a proxy, in the order in which they are read.
const PROXIES: [&str; 6] =
    ["HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"];

/// How connections are made.
#[derive(Debug, Clone, Default)]
pub(crate) struct Network {
    /// Certificates in PEM that are trusted in place of those of the system.
    bundle: Option<Arc<[u8]>>,
}

impl Network {
    /// Reads `AWS_CA_BUNDLE`, or `ca_bundle` of the profile, and checks the proxies of the environment. Either is a
    /// `Validation` error where it cannot work.
    pub(crate) fn read(files: &SharedFiles) -> Result<Self> {
        for name in PROXIES {
            if variable(name).is_some_and(|url| !is_proxy(&url)) {
                // It may hold a password.
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

    /// The certificates that are trusted in place of those of the system, in PEM.
    pub(crate) fn bundle(&self) -> Option<&Arc<[u8]>> {
        self.bundle.as_ref()
    }

    /// Makes connections.
    pub(crate) fn connector(&self, settings: &HttpConnectorSettings) -> Connector {
        let mut builder = Connector::builder()
            .connector_settings(settings.clone())
            .proxy_config(ProxyConfig::from_env())
            .tls_provider(Provider::Rustls(CryptoMode::AwsLc));
        if let Some(bundle) = &self.bundle {
            let trusted = TrustStore::empty().with_pem_certificate(bundle.to_vec());
            if let Ok(context) = TlsContext::builder().with_trust_store(trusted).build() {
                builder = builder.tls_context(context);
            }
        }
        builder.build()
    }

    /// The HTTP client of the SDK.
    pub(crate) fn client(&self) -> impl HttpClient + 'static {
        let network = self.clone();
        let builder = aws_smithy_http_client::Builder::new();
        WhenNeeded(builder.build_with_connector_fn(move |settings, _| match settings {
            Some(settings) => network.connector(settings),
            None => network.connector(&HttpConnectorSettings::default()),
        }))
    }
}

/// Reads the certificates of the system with the first call, and not when a client is made: it takes longer
/// than all the rest of a start.
#[derive(Debug)]
struct WhenNeeded(SharedHttpClient);

impl HttpClient for WhenNeeded {
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

/// Whether the HTTP client understands it; one that it does not understand it ignores. A scheme may be missing.
fn is_proxy(url: &str) -> bool {
    url.parse::<http::Uri>().is_ok_and(|uri| {
        matches!(uri.scheme_str(), None | Some("http" | "https")) && uri.authority().is_some()
    })
}

/// Reads a file of certificates, each of which has to be usable.
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
        return Err(wrong("are missing: the file has to hold PEM certificates".to_owned()));
    }
    Ok(pem.into())
}
