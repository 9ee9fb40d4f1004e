//! TLS: a certificate and its key from files, which are read again when they change.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use healthimaging::{Error, Result};
use parking_lot::Mutex;
use rustls::client::verify_server_cert_signed_by_trust_anchor;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, UnixTime};
use rustls::server::{ClientHello, ParsedCertificate, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{CertificateError, RootCertStore, ServerConfig};
use tokio_rustls::TlsAcceptor;

use crate::stamp::Stamp;

/// A certificate with its key, for TLS 1.2 and 1.3. New files are used from the next connection on; files that cannot be used
/// change nothing.
#[derive(Debug, Clone)]
pub struct Tls {
    config: Arc<ServerConfig>,
}

impl Tls {
    /// Reads the certificate, with the intermediate ones behind it, and the key; both as PEM.
    ///
    /// # Errors
    /// `Validation`, which names the file, if one cannot be read, has no certificate or key, if they are not of each other,
    /// or if the certificate is not valid at this time.
    pub fn open(certificate: impl Into<PathBuf>, key: impl Into<PathBuf>) -> Result<Self> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let files = Files { certificate: certificate.into(), key: key.into() };
        let state = State { seen: files.stamps(), current: Arc::new(files.load(&provider)?) };
        let own = Own { files, provider: Arc::clone(&provider), state: Mutex::new(state) };
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| Error::internal("TLS cannot be set up", error))?
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(own));
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self { config: Arc::new(config) })
    }

    pub(crate) fn acceptor(&self) -> TlsAcceptor {
        TlsAcceptor::from(Arc::clone(&self.config))
    }
}

#[derive(Debug)]
struct Files {
    certificate: PathBuf,
    key: PathBuf,
}

type Stamps = [Option<Stamp>; 2];

impl Files {
    fn stamps(&self) -> Stamps {
        [Stamp::at(&self.certificate), Stamp::at(&self.key)]
    }

    fn load(&self, provider: &CryptoProvider) -> Result<CertifiedKey> {
        let at_certificate = |why: &str| invalid("certificate", &self.certificate, why);
        let chain: std::result::Result<Vec<_>, _> =
            CertificateDer::pem_file_iter(&self.certificate).and_then(Iterator::collect);
        let chain = chain.map_err(|error| at_certificate(&pem_failure(&error)))?;
        let Some(first) = chain.first() else {
            return Err(at_certificate("it has no certificate"));
        };
        check_validity(first, provider).map_err(|why| at_certificate(&why))?;
        let at_key = |why: &str| invalid("key", &self.key, why);
        let key = PrivateKeyDer::from_pem_file(&self.key)
            .map_err(|error| at_key(&pem_failure(&error)))?;
        let key = provider.key_provider.load_private_key(key);
        let key = key.map_err(|_| at_key("its kind of key is not supported, or it is damaged"))?;
        let certified = CertifiedKey::new(chain, key);
        certified.keys_match().map_err(|_| {
            let of = self.certificate.display();
            at_key(&format!("it is not the key of the certificate in {of}"))
        })?;
        Ok(certified)
    }
}

fn invalid(what: &str, path: &Path, why: &str) -> Error {
    Error::validation(format!("the TLS {what} in {} cannot be used: {why}", path.display()))
}

fn pem_failure(error: &rustls::pki_types::pem::Error) -> String {
    use rustls::pki_types::pem::Error as PemError;
    match error {
        PemError::Io(error) => error.to_string(),
        PemError::NoItemsFound => "it has no such section in PEM".to_owned(),
        _ => "it is not PEM".to_owned(),
    }
}

/// Rejects a certificate outside of its time. The verifier checks that before it looks for an issuer, of which it has none here.
fn check_validity(
    certificate: &CertificateDer<'_>,
    provider: &CryptoProvider,
) -> std::result::Result<(), String> {
    let parsed =
        ParsedCertificate::try_from(certificate).map_err(|_| "it is not an X.509 certificate")?;
    let verified = verify_server_cert_signed_by_trust_anchor(
        &parsed,
        &RootCertStore::empty(),
        &[],
        UnixTime::now(),
        provider.signature_verification_algorithms.all,
    );
    match verified {
        Err(rustls::Error::InvalidCertificate(
            CertificateError::Expired | CertificateError::ExpiredContext { .. },
        )) => Err("it has expired".to_owned()),
        Err(rustls::Error::InvalidCertificate(
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. },
        )) => Err("it is not valid yet".to_owned()),
        _ => Ok(()),
    }
}

/// Presents the certificate of the files.
struct Own {
    files: Files,
    provider: Arc<CryptoProvider>,
    state: Mutex<State>,
}

struct State {
    seen: Stamps,
    current: Arc<CertifiedKey>,
}

impl ResolvesServerCert for Own {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let mut state = self.state.lock();
        let now = self.files.stamps();
        let is_settled = now.iter().flatten().all(Stamp::is_settled);
        if now != state.seen || !is_settled {
            match self.files.load(&self.provider) {
                Ok(loaded) => {
                    if loaded.cert != state.current.cert {
                        tracing::info!("the TLS certificate was read again");
                    }
                    state.current = Arc::new(loaded);
                }
                Err(error) if now != state.seen => {
                    tracing::error!("the TLS certificate before it stays in use: {error}");
                }
                Err(_) => {}
            }
            state.seen = now;
        }
        Some(Arc::clone(&state.current))
    }
}

impl fmt::Debug for Own {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Own").field("files", &self.files).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fixture(name: &str) -> PathBuf {
        [env!("CARGO_MANIFEST_DIR"), "../../tests/cli/tls", name].iter().collect()
    }

    #[test]
    fn files_that_cannot_be_used_are_named_with_the_reason() {
        let open = |certificate: &str, key: &str| Tls::open(fixture(certificate), fixture(key));
        assert!(open("certificate.pem", "key.pem").is_ok());
        for (certificate, key, file, why) in [
            ("missing.pem", "key.pem", "missing.pem", "No such file"),
            ("certificate.pem", "missing.pem", "missing.pem", "No such file"),
            ("key.pem", "key.pem", "key.pem", "has no"),
            ("certificate.pem", "certificate.pem", "certificate.pem", "has no such section"),
            ("../main.rs", "key.pem", "main.rs", "has no"),
            ("certificate.pem", "renewed.key.pem", "renewed.key.pem", "not the key of"),
            ("expired.pem", "expired.key.pem", "expired.pem", "expired"),
            ("early.pem", "early.key.pem", "early.pem", "not valid yet"),
        ] {
            let error = open(certificate, key).unwrap_err();
            assert!(error.message().contains(file), "{certificate} {key}: {error}");
            assert!(error.message().contains(why), "{certificate} {key}: {error}");
        }
    }
}
