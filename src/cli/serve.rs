//! `serve`: MCP and DICOMweb over HTTP; with the embedded store also the AWS API.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use clap::Args;
use futures::FutureExt;
use healthimaging::ReadOnly;
use healthimaging::model::ListDatastoresRequest;
use healthimaging_http::{AccessKeys, HttpServer, RequestBody, Token};
use healthimaging_tools::{HttpOptions, http_service};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::backend::{Backend, BackendHandle};
use crate::config::Config;
#[cfg(feature = "local")]
use crate::ephemeral::{self, Ephemeral, RESET};
use crate::options::BackendKind;
use crate::outcome::{InvalidOption, Outcome};
use crate::stop::stop_signal;
use crate::{idle, terminal};

#[derive(Debug, Args)]
#[command(after_help = VARIABLES)]
pub(super) struct Arguments {
    /// Address to listen on
    #[arg(long, env = "HEALTHIMAGING_HTTP", hide_env = true)]
    #[arg(value_name = "ADDR", default_value = "127.0.0.1:8730")]
    http: String,

    /// Bearer token that clients must send, at least 16 characters
    #[arg(long, env = "HEALTHIMAGING_HTTP_TOKEN", hide_env = true, value_name = "TOKEN")]
    http_token: Option<String>,

    /// Access key with which clients sign requests; repeatable
    #[arg(long, env = "HEALTHIMAGING_HTTP_ACCESS_KEYS", hide_env = true)]
    #[arg(value_name = "ID:SECRET", value_delimiter = ',')]
    http_access_key: Vec<String>,

    /// Another host name of the server; repeatable
    #[arg(long, env = "HEALTHIMAGING_HTTP_HOST", hide_env = true)]
    #[arg(value_name = "HOST", value_delimiter = ',')]
    http_host: Vec<String>,

    /// Allow clients of the AWS back end to store instances
    #[arg(long, env = "HEALTHIMAGING_BRIDGE_WRITE", hide_env = true)]
    bridge_write: bool,

    /// Use a temporary store, removed at the end
    #[cfg(feature = "local")]
    #[arg(long, env = "HEALTHIMAGING_EPHEMERAL", hide_env = true)]
    ephemeral: bool,
}

const VARIABLES: &str = "\
Any address but loopback needs a token or access keys. Environment variables: HEALTHIMAGING_HTTP,
HEALTHIMAGING_HTTP_TOKEN, HEALTHIMAGING_HTTP_ACCESS_KEYS, HEALTHIMAGING_HTTP_HOST,
HEALTHIMAGING_BRIDGE_WRITE and HEALTHIMAGING_EPHEMERAL; keys and hosts are lists separated by commas.

With the AWS back end the server signs requests of DICOMweb clients with its own credentials, so it
always needs a token or access keys, and stores nothing for them without --bridge-write.";

pub(super) async fn run(config: &Config, arguments: Arguments) -> Result<Outcome> {
    #[cfg(feature = "local")]
    if arguments.ephemeral {
        let store = Ephemeral::create(config)?;
        let outcome = serve(&store.config(config), arguments).await;
        let removed = store.remove();
        return outcome.and_then(|outcome| removed.map(|()| outcome));
    }
    serve(config, arguments).await
}

async fn serve(config: &Config, arguments: Arguments) -> Result<Outcome> {
    let token = arguments.http_token.filter(|token| !token.is_empty());
    let token = token.as_deref().map(Token::new).transpose()?;
    let mut keys = arguments.http_access_key;
    keys.retain(|key| !key.is_empty());
    let address = resolve(&arguments.http).await?;
    if config.backend == BackendKind::Aws && token.is_none() && keys.is_empty() {
        bail!(
            "serve: with the AWS back end, DICOMweb and MCP clients use the credentials of this server, so \
             they must authenticate: set HEALTHIMAGING_HTTP_TOKEN, HEALTHIMAGING_HTTP_ACCESS_KEYS or both"
        );
    }
    if !address.ip().is_loopback() && token.is_none() && keys.is_empty() {
        bail!(
            "--http: {} can be reached from other machines, so clients must authenticate: set \
             HEALTHIMAGING_HTTP_TOKEN, HEALTHIMAGING_HTTP_ACCESS_KEYS or both, or listen on \
             127.0.0.1",
            arguments.http
        );
    }
    let listener =
        TcpListener::bind(address).await.with_context(|| format!("cannot listen on {address}"))?;
    let address = listener.local_addr().context("the listener has no address")?;

    // Before the store opens, so that a signal never leaves a temporary one behind.
    let stop = CancellationToken::new();
    let signalled = stop.clone();
    tokio::spawn(async move {
        if let Err(error) = stop_signal().await {
            tracing::error!("{error:#}");
        }
        tracing::info!("stopping");
        signalled.cancel();
    });
    let backend = Backend::open_to_serve(config).await?;
    let options = http_options(address, arguments.http_host.clone(), stop.clone());
    let page = (config.backend == BackendKind::Local).then(|| format!("http://{address}/"));
    let mcp = http_service::<RequestBody>(backend.server(config, page)?, options);
    let mut server = HttpServer::new(probe(&backend))
        .allow_hosts(arguments.http_host)
        .mount("/mcp", mcp.clone())
        .mount("/mcp/", mcp);
    let (service, dicomweb) = (Arc::clone(&backend.service), Arc::clone(&backend.dicomweb));
    let decoder = backend.decoder.clone();
    server = match config.backend {
        BackendKind::Local => server.serve_back_end(service, dicomweb, decoder),
        // Clients of the AWS API sign with credentials of their own, and need no server between.
        BackendKind::Aws if arguments.bridge_write => {
            server.serve_dicomweb(service, dicomweb, decoder)
        }
        BackendKind::Aws => {
            let remedy = "start it with --bridge-write to store instances in AWS HealthImaging";
            let dicomweb = Arc::new(ReadOnly::unless(remedy, dicomweb));
            server.serve_dicomweb(service, dicomweb, decoder)
        }
    };
    #[cfg(feature = "local")]
    if arguments.ephemeral {
        let service = Arc::clone(&backend.service);
        server = server.serve_reset(RESET, move || ephemeral::reset(Arc::clone(&service)).boxed());
    }
    if !keys.is_empty() {
        server = server.require_keys(AccessKeys::new(keys.iter().map(String::as_str))?);
    }
    if let Some(token) = token {
        server = server.require(token);
    }
    terminal::note(&directions(address, config));
    #[cfg(feature = "local")]
    if arguments.ephemeral {
        terminal::note(&format!(
            "Temporary store in {}, removed at the end; POST http://{address}{RESET} empties it",
            config.data_dir.display()
        ));
    }

    idle::watch();
    server.serve(listener, stop).await;
    backend.close().await;
    Ok(Outcome::Done)
}

/// Returns the addresses for clients of each kind. SDKs put `runtime-` before the host of some operations; with `u@` it
/// becomes part of the user name, and the host stays as it is.
fn directions(address: SocketAddr, config: &Config) -> String {
    let common = format!(
        "MCP at http://{address}/mcp\n\
         Start page and viewer at http://{address}/\n\
         DICOMweb at http://{address}/datastore/DATASTORE_ID"
    );
    if config.backend == BackendKind::Aws {
        return common;
    }
    let region = config.store_region();
    format!(
        "{common}\n\
         AWS API at http://u@{address} for any SDK; boto3 and the AWS CLI also take\n\
         \x20 AWS_ENDPOINT_URL_MEDICAL_IMAGING=http://{address} \
         AWS_DISABLE_HOST_PREFIX_INJECTION=true AWS_REGION={region}"
    )
}

/// Resolves a listen address to the first that it stands for; a port alone means loopback.
async fn resolve(text: &str) -> Result<SocketAddr> {
    let text = match text.strip_prefix(':') {
        Some(port) => format!("127.0.0.1:{port}"),
        None => text.to_owned(),
    };
    let found = tokio::net::lookup_host(&text).await.ok().and_then(|mut found| found.next());
    found.with_context(|| {
        InvalidOption(format!(
            "--http: `{text}` is an invalid listen address: use one such as 127.0.0.1:8730"
        ))
    })
}

/// Allows loopback names, the address itself and `named` in the `Host` and `Origin` headers.
fn http_options(address: SocketAddr, named: Vec<String>, stop: CancellationToken) -> HttpOptions {
    let mut options = HttpOptions { shutdown: stop, ..HttpOptions::default() };
    let own = match address.ip() {
        ip if ip.is_unspecified() || ip.is_loopback() => None,
        IpAddr::V4(ip) => Some(ip.to_string()),
        IpAddr::V6(ip) => Some(format!("[{ip}]")),
    };
    for host in own.into_iter().chain(named) {
        for scheme in ["http", "https"] {
            options.allowed_origins.push(format!("{scheme}://{host}:*"));
            options.allowed_origins.push(format!("{scheme}://{host}"));
        }
        options.allowed_hosts.push(host);
    }
    options
}

/// Returns a health check: the back end lists its data stores, and the files of an embedded store are there.
fn probe(
    backend: &Backend,
) -> impl Fn() -> futures::future::BoxFuture<'static, healthimaging::Result<()>> + use<> {
    let service = Arc::clone(&backend.service);
    let handle = backend.handle.clone();
    move || {
        let (service, handle) = (Arc::clone(&service), handle.clone());
        async move {
            match &handle {
                #[cfg(feature = "local")]
                BackendHandle::Local(store) => store.check().await?,
                #[cfg(feature = "aws")]
                BackendHandle::Aws(_) => {}
            }
            let request = ListDatastoresRequest { max_results: Some(1), ..Default::default() };
            service.list_datastores(request).await.map(drop)
        }
        .boxed()
    }
}
