//! `serve`: everything over HTTP: MCP, the AWS wire and DICOMweb.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use clap::Args;
use futures::FutureExt;
use healthimaging::model::ListDatastoresRequest;
use healthimaging_http::{AccessKeys, RequestBody, Site, Token};
use healthimaging_tools::{HttpOptions, http_service};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::Outcome;
use crate::backend::{Backend, Keeper};
use crate::config::{BackendKind, Config};
use crate::terminal;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Address and port to listen on; other than loopback needs a token or access keys
    #[arg(long, env = "HEALTHIMAGING_HTTP", value_name = "ADDR", default_value = "127.0.0.1:8730")]
    http: String,

    /// Bearer token that lets a request in, at least 16 characters
    #[arg(long, env = "HEALTHIMAGING_HTTP_TOKEN", value_name = "TOKEN", hide_env_values = true)]
    http_token: Option<String>,

    /// Access key that lets signed requests in, as ID:SECRET; can be given again
    #[arg(
        long,
        env = "HEALTHIMAGING_HTTP_ACCESS_KEYS",
        value_name = "ID:SECRET",
        value_delimiter = ',',
        hide_env_values = true
    )]
    http_access_key: Vec<String>,

    /// Name under which clients reach the server, beside its own address; can be given again
    #[arg(long, env = "HEALTHIMAGING_HTTP_HOST", value_name = "HOST", value_delimiter = ',')]
    http_host: Vec<String>,
}

pub(super) async fn run(config: &Config, arguments: Arguments) -> Result<Outcome> {
    let token = arguments.http_token.filter(|token| !token.is_empty());
    let token = token.as_deref().map(Token::new).transpose()?;
    let mut keys = arguments.http_access_key;
    keys.retain(|key| !key.is_empty());
    let address = resolve(&arguments.http).await?;
    if !address.ip().is_loopback() && token.is_none() && keys.is_empty() {
        bail!(
            "{} can be reached from other machines, so clients must show who they are: set \
             HEALTHIMAGING_HTTP_TOKEN, HEALTHIMAGING_HTTP_ACCESS_KEYS or both, or listen on \
             127.0.0.1",
            arguments.http
        );
    }
    let listener =
        TcpListener::bind(address).await.with_context(|| format!("cannot listen on {address}"))?;
    let address = listener.local_addr().context("the listener has no address")?;

    let backend = Backend::open(config).await?;
    let stop = CancellationToken::new();
    let options = http_options(address, arguments.http_host.clone(), stop.clone());
    let mcp = http_service::<RequestBody>(backend.server(config)?, options);
    let mut site = Site::new(probe(&backend))
        .allow_hosts(arguments.http_host)
        .mount("/mcp", mcp.clone())
        .mount("/mcp/", mcp);
    // AWS has both of its own; here they would lend this server's credentials to whoever calls.
    if config.backend == BackendKind::Local {
        let (service, dicomweb) = (Arc::clone(&backend.service), Arc::clone(&backend.dicomweb));
        site = site.serve_back_end(service, dicomweb);
    }
    if !keys.is_empty() {
        site = site.require_keys(AccessKeys::new(keys.iter().map(String::as_str))?);
    }
    if let Some(token) = token {
        site = site.require(token);
    }
    terminal::note(&directions(address, config));

    let signalled = stop.clone();
    tokio::spawn(async move {
        if let Err(error) = stop_signal().await {
            tracing::error!(%error, "signals cannot be heard");
        }
        tracing::info!("stopping");
        signalled.cancel();
    });
    site.serve(listener, stop).await;
    backend.close().await;
    Ok(Outcome::Done)
}

/// Where clients of each kind find what they look for. The `u@` keeps the `runtime-` that SDKs put
/// before the host of some operations out of the name that they connect to.
fn directions(address: SocketAddr, config: &Config) -> String {
    let mcp = format!("MCP at http://{address}/mcp");
    if config.backend == BackendKind::Aws {
        return mcp;
    }
    let region = config.store_region();
    format!(
        "{mcp}\n\
         AWS API at http://u@{address} for any SDK; boto3 and the AWS CLI also take\n\
         \x20 AWS_ENDPOINT_URL_MEDICAL_IMAGING=http://{address} \
         AWS_DISABLE_HOST_PREFIX_INJECTION=true AWS_REGION={region}\n\
         DICOMweb at http://{address}/datastore/DATASTORE_ID"
    )
}

/// The first address that the text stands for; a port alone means loopback.
async fn resolve(text: &str) -> Result<SocketAddr> {
    let text = match text.strip_prefix(':') {
        Some(port) => format!("127.0.0.1:{port}"),
        None => text.to_owned(),
    };
    tokio::net::lookup_host(&text)
        .await
        .ok()
        .and_then(|mut found| found.next())
        .with_context(|| format!("`{text}` is no address to listen on; write 127.0.0.1:8730"))
}

/// Loopback names, the address itself and those named may be in the `Host` and `Origin` headers.
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

/// Healthy is a back end that can list its data stores, and an embedded store whose files are there.
fn probe(
    backend: &Backend,
) -> impl Fn() -> futures::future::BoxFuture<'static, healthimaging::Result<()>> + use<> {
    let service = Arc::clone(&backend.service);
    let keeper = backend.keeper.clone();
    move || {
        let (service, keeper) = (Arc::clone(&service), keeper.clone());
        async move {
            if let Keeper::Local(store) = &keeper {
                store.check().await?;
            }
            let request = ListDatastoresRequest { max_results: Some(1), ..Default::default() };
            service.list_datastores(request).await.map(drop)
        }
        .boxed()
    }
}

/// Waits for ctrl-c or SIGTERM.
pub(super) async fn stop_signal() -> io::Result<()> {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        let mut terminate = signal(SignalKind::terminate())?;
        tokio::select! {
            interrupted = tokio::signal::ctrl_c() => interrupted,
            _ = terminate.recv() => Ok(()),
        }
    }
    #[cfg(not(unix))]
    tokio::signal::ctrl_c().await
}
