//! The keys of an authorization server (RFC 7517): fetched when they are needed, and cached.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures::future::BoxFuture;
use healthimaging::{Error, Result};
use jsonwebtoken::jwk::{JwkSet, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey};
use parking_lot::RwLock;
use serde::Deserialize;
use tokio::sync::Mutex;

use super::oauth::{ALGORITHMS, check_url};

/// How long fetched keys are used without looking for others.
const FRESH: Duration = Duration::from_mins(10);

/// Shortest time between two fetches, so that tokens with unknown keys cannot cause load.
const PAUSE: Duration = Duration::from_secs(30);

/// Gets the content at a URL.
pub type Fetch = Arc<dyn Fn(String) -> BoxFuture<'static, Result<Bytes>> + Send + Sync>;

/// Where the keys are.
#[derive(Debug, Clone)]
pub enum JwksSource {
    /// Where the metadata of the issuer says.
    Issuer,
    /// At this URL.
    Url(String),
    /// In this file.
    File(PathBuf),
}

/// Why there is no key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum KeyFailure {
    /// The issuer has no such key.
    Unknown,
    /// The keys cannot be fetched.
    Unavailable,
}

/// The keys of an issuer.
pub(super) struct Jwks {
    issuer: String,
    source: JwksSource,
    fetch: Fetch,
    known: RwLock<Option<Known>>,
    /// When the keys were last asked for, and whether that succeeded.
    asked: Mutex<Option<(Instant, bool)>>,
}

struct Known {
    keys: Arc<Vec<Key>>,
    at: Instant,
}

/// A key for signatures.
struct Key {
    id: Option<String>,
    algorithm: Option<Algorithm>,
    key: DecodingKey,
}

/// The members of the metadata of an authorization server (RFC 8414) that are read.
#[derive(Deserialize)]
struct Metadata {
    issuer: String,
    jwks_uri: String,
}

impl Jwks {
    pub(super) fn new(issuer: &str, source: JwksSource, fetch: Fetch) -> Result<Self> {
        let known = match &source {
            JwksSource::File(path) => {
                Some(Known { keys: Arc::new(read(path)?), at: Instant::now() })
            }
            JwksSource::Issuer | JwksSource::Url(_) => None,
        };
        Ok(Self {
            issuer: issuer.to_owned(),
            source,
            fetch,
            known: RwLock::new(known),
            asked: Mutex::default(),
        })
    }

    /// Returns the key of this ID for an algorithm; without an ID, the only one for it.
    pub(super) async fn key(
        &self,
        id: Option<&str>,
        algorithm: Algorithm,
    ) -> std::result::Result<DecodingKey, KeyFailure> {
        let found = |keys: &[Key]| {
            let mut fitting = keys.iter().filter(|key| key.fits(id, algorithm));
            let first = fitting.next()?;
            (id.is_some() || fitting.next().is_none()).then(|| first.key.clone())
        };
        let known = self.known.read().as_ref().map(|known| (Arc::clone(&known.keys), known.at));
        let here = known.as_ref().and_then(|(keys, _)| found(keys));
        let is_fresh = known.as_ref().is_some_and(|(_, at)| at.elapsed() < FRESH);
        if let (Some(key), true) = (&here, is_fresh) {
            return Ok(key.clone());
        }
        match (self.refreshed().await, here) {
            (Ok(keys), _) => found(&keys).ok_or(KeyFailure::Unknown),
            // The issuer does not answer: its known keys stay valid.
            (Err(_), Some(key)) => Ok(key),
            (Err(failure), None) => Err(failure),
        }
    }

    /// Fetches the keys, unless that was done a moment ago; concurrent requests wait for the same answer.
    async fn refreshed(&self) -> std::result::Result<Arc<Vec<Key>>, KeyFailure> {
        let mut asked = self.asked.lock().await;
        if let Some((at, is_done)) = *asked
            && at.elapsed() < PAUSE
        {
            let known = self.known.read().as_ref().map(|known| Arc::clone(&known.keys));
            return known.filter(|_| is_done).ok_or(KeyFailure::Unavailable);
        }
        let fetched = self.fetched().await;
        *asked = Some((Instant::now(), fetched.is_ok()));
        match fetched {
            Ok(keys) => {
                let keys = Arc::new(keys);
                *self.known.write() = Some(Known { keys: Arc::clone(&keys), at: Instant::now() });
                Ok(keys)
            }
            Err(error) => {
                tracing::error!(?error, "the keys of the authorization server are not available");
                Err(KeyFailure::Unavailable)
            }
        }
    }

    async fn fetched(&self) -> Result<Vec<Key>> {
        let url = match &self.source {
            JwksSource::File(path) => return read(path),
            JwksSource::Url(url) => url.clone(),
            JwksSource::Issuer => self.discovered().await?,
        };
        parsed(&(self.fetch)(url).await?)
    }

    /// Asks the issuer for the address of its keys (RFC 8414 §3, `OpenID` Connect Discovery §4).
    async fn discovered(&self) -> Result<String> {
        let mut last = None;
        for url in metadata_urls(&self.issuer) {
            let metadata = (self.fetch)(url).await.and_then(|text| {
                serde_json::from_slice::<Metadata>(&text).map_err(|error| {
                    Error::internal("the metadata of the issuer is invalid", error)
                })
            });
            match metadata {
                Ok(metadata) if metadata.issuer == self.issuer => {
                    check_url("jwks_uri of the metadata of the issuer", &metadata.jwks_uri)?;
                    return Ok(metadata.jwks_uri);
                }
                Ok(_) => last = Some(Error::validation("the metadata names another issuer")),
                Err(error) => last = Some(error),
            }
        }
        Err(last.unwrap_or_else(|| Error::validation("the issuer is not a URL")))
    }
}

impl fmt::Debug for Jwks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Jwks").field("source", &self.source).finish_non_exhaustive()
    }
}

impl Key {
    fn fits(&self, id: Option<&str>, algorithm: Algorithm) -> bool {
        self.key.family() == algorithm.family()
            && self.algorithm.is_none_or(|own| own == algorithm)
            && (id.is_none() || self.id.as_deref() == id)
    }
}

/// Where the metadata of an issuer may be.
fn metadata_urls(issuer: &str) -> Vec<String> {
    let Some((scheme, rest)) = issuer.split_once("://") else { return Vec::new() };
    let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
    let path = path.trim_end_matches('/');
    let path = if path.is_empty() { String::new() } else { format!("/{path}") };
    vec![
        format!("{scheme}://{host}/.well-known/oauth-authorization-server{path}"),
        format!("{scheme}://{host}{path}/.well-known/openid-configuration"),
    ]
}

fn read(path: &Path) -> Result<Vec<Key>> {
    let invalid = |why: &str| {
        Error::validation(format!("the keys in {} cannot be used: {why}", path.display()))
    };
    let text = fs::read(path).map_err(|error| invalid(&error.to_string()))?;
    parsed(&text).map_err(|error| invalid(error.message()))
}

/// Reads the keys for signatures of the accepted algorithms; others are ignored.
fn parsed(text: &[u8]) -> Result<Vec<Key>> {
    #[derive(Deserialize)]
    struct Raw {
        keys: Vec<serde_json::Value>,
    }
    let Raw { keys } = serde_json::from_slice(text)
        .map_err(|error| Error::validation("it is not a JSON Web Key Set").with_source(error))?;
    // Keys of unknown kinds are no error (RFC 7517 §5).
    let set = JwkSet {
        keys: keys.into_iter().filter_map(|key| serde_json::from_value(key).ok()).collect(),
    };
    let usable = set
        .keys
        .iter()
        .filter(|jwk| matches!(jwk.common.public_key_use, None | Some(PublicKeyUse::Signature)));
    let keys: Vec<Key> = usable
        .filter_map(|jwk| {
            let named = jwk.common.key_algorithm.map(|named| named.to_string().parse());
            let algorithm: Option<Algorithm> = named.transpose().ok()?;
            let key = DecodingKey::from_jwk(jwk).ok()?;
            let is_accepted = ALGORITHMS.iter().any(|one| one.family() == key.family());
            let id = jwk.common.key_id.clone();
            is_accepted.then_some(Key { id, algorithm, key })
        })
        .collect();
    if keys.is_empty() {
        return Err(Error::validation("it has no public key for RS256, ES256 or EdDSA"));
    }
    Ok(keys)
}
