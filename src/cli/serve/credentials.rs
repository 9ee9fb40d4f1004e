//! What clients of `serve` authenticate with.

use std::net::SocketAddr;

use anyhow::{Result, bail};
use healthimaging_http::{AccessFile, AccessKeys, HttpServer, Token};

use super::Arguments;
use crate::config::Config;
use crate::options::BackendKind;
use crate::outcome::InvalidOption;

/// The accepted credentials; without any, every client is admitted.
#[derive(Debug)]
pub(super) struct Credentials {
    token: Option<Token>,
    keys: Option<AccessKeys>,
    file: Option<AccessFile>,
}

impl Credentials {
    /// Reads the flags.
    pub(super) fn read(arguments: &Arguments) -> Result<Self> {
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
        Ok(Self { token, keys, file })
    }

    fn is_none(&self) -> bool {
        self.token.is_none() && self.keys.is_none() && self.file.is_none()
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
        server
    }
}
