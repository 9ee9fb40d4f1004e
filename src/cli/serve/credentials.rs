//! What clients of `serve` authenticate with.

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::{Result, bail};
use futures::FutureExt as _;
use healthimaging_http::{AccessFile, AccessKeys, HttpServer, JwksSource, OAuth, Token};

use super::Arguments;
use crate::backend;
use crate::config::Config;
use crate::options::BackendKind;
use crate::outcome::InvalidOption;

/// The accepted credentials; without any, every client is admitted.
#[derive(Debug)]
pub(super) struct Credentials {
    token: Option<Token>,
    keys: Option<AccessKeys>,
    file: Option<AccessFile>,
    oauth: Option<OAuth>,
}

impl Credentials {
    /// Reads the flags.
    pub(super) async fn read(config: &Config, arguments: &Arguments) -> Result<Self> {
        let token = arguments.http_token.as_deref().filter(|token| !token.is_empty());
        let token = token.map(Token::new).transpose()?;
        let given = arguments.http_access_key.iter().map(String::as_str);
        let given: Vec<&str> = given.filter(|key| !key.is_empty()).collect();
        let keys = if given.is_empty() { None } else { Some(AccessKeys::new(given)?) };
        let file = match &arguments.access_file {
            Some(path) => Some(AccessFile::open(path).map_err(|error| {
                InvalidOption(format!("--access-file {}: {error}", path.display()))
            })?),
            None => None,
        };
        if let (Some(keys), Some(file)) = (&keys, &file)
            && let Some(id) = keys.ids().find(|id| file.has_key(id))
        {
            bail!(InvalidOption(format!(
                "the access key {id} is in --http-access-key and in --access-file: remove one of them"
            )));
        }
        let oauth = oauth(config, arguments).await?;
        Ok(Self { token, keys, file, oauth })
    }

    fn is_none(&self) -> bool {
        self.token.is_none() && self.keys.is_none() && self.file.is_none() && self.oauth.is_none()
    }

    /// Refuses to serve without credentials where others than the user of this machine could reach the data.
    pub(super) fn check(&self, config: &Config, text: &str, address: SocketAddr) -> Result<()> {
        if !self.is_none() {
            return Ok(());
        }
        let remedy = "set HEALTHIMAGING_HTTP_TOKEN, HEALTHIMAGING_HTTP_ACCESS_KEYS or \
                      HEALTHIMAGING_ACCESS_FILE";
        if config.backend == BackendKind::Aws {
            bail!(
                "serve: with the AWS back end, DICOMweb and MCP clients use the credentials of this server, so \
                 they must authenticate: {remedy}"
            );
        }
        if !address.ip().is_loopback() {
            bail!(
                "--http: {text} can be reached from other machines, so clients must authenticate: {remedy}, or \
                 listen on 127.0.0.1"
            );
        }
        Ok(())
    }

    /// Refuses to serve a viewer to browsers that could not sign in: they have a token, or nothing.
    pub(super) fn check_browser(&self) -> Result<()> {
        if self.is_none() || self.token.is_some() || self.file.is_some() || self.oauth.is_some() {
            return Ok(());
        }
        bail!(InvalidOption(
            "--viewer: a browser cannot sign requests with access keys; set HEALTHIMAGING_HTTP_TOKEN too".into()
        ))
    }

    /// Makes a server require them.
    pub(super) fn require(self, mut server: HttpServer) -> HttpServer {
        if let Some(keys) = self.keys {
            server = server.require_keys(keys);
        }
        if let Some(token) = self.token {
            server = server.require(token);
        }
        if let Some(file) = self.file {
            server = server.require_file(file);
        }
        if let Some(oauth) = self.oauth {
            server = server.require_oauth(oauth);
        }
        server
    }
}

/// Largest document of an authorization server in bytes.
const LARGEST_DOCUMENT: usize = 1 << 20;

/// Reads the flags of the authorization server. Its documents are fetched when the first access token is verified.
async fn oauth(config: &Config, arguments: &Arguments) -> Result<Option<OAuth>> {
    let (Some(issuer), Some(audience)) = (&arguments.oauth_issuer, &arguments.oauth_audience)
    else {
        return Ok(None);
    };
    let source = match &arguments.oauth_jwks {
        None => JwksSource::Issuer,
        Some(url) if url.contains("://") => JwksSource::Url(url.clone()),
        Some(path) => JwksSource::File(path.into()),
    };
    let ca_bundle = Arc::new(backend::s3(config).await.ca_bundle);
    let fetch = move |url: String| {
        let ca_bundle = Arc::clone(&ca_bundle);
        async move {
            healthimaging_objects::fetch(&url, ca_bundle.as_deref(), LARGEST_DOCUMENT).await
        }
        .boxed()
    };
    let opened = OAuth::new(issuer, audience, source, Arc::new(fetch))
        .map_err(|error| InvalidOption(error.message().to_owned()))?;
    Ok(Some(opened.redacting(arguments.oauth_redact_phi.level())))
}
