//! `serve`: MCP and DICOMweb over HTTP; with the embedded store also the AWS API.

mod credentials;

use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result};
use clap::Args;
use futures::FutureExt;
use healthimaging::model::ListDatastoresRequest;
use healthimaging::{Effect, Limit, Restrictor, Rights, restricted};
use healthimaging_http::{HttpServer, RequestBody, Tls, Viewer};
use healthimaging_tools::{HttpOptions, http_service};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::backend::{Backend, BackendHandle};
use crate::config::Config;
#[cfg(feature = "local")]
use crate::ephemeral::{self, Ephemeral, RESET};
use crate::options::{BackendKind, RedactPhi};
use crate::outcome::{InvalidOption, Outcome};
use crate::stop::stop_signal;
use crate::{idle, terminal};
use credentials::Credentials;

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

    /// File of named tokens and access keys, each with its own rights
    #[arg(long, env = "HEALTHIMAGING_ACCESS_FILE", hide_env = true, value_name = "FILE")]
    access_file: Option<PathBuf>,

    /// Authorization server whose access tokens MCP accepts
    #[arg(long, env = "HEALTHIMAGING_OAUTH_ISSUER", hide_env = true, value_name = "URL")]
    #[arg(requires = "oauth_audience")]
    oauth_issuer: Option<String>,

    /// URI of this server in access tokens
    #[arg(long, env = "HEALTHIMAGING_OAUTH_AUDIENCE", hide_env = true, value_name = "URI")]
    #[arg(requires = "oauth_issuer")]
    oauth_audience: Option<String>,

    /// Keys of the issuer, a file or URL [default: from its metadata]
    #[arg(long, env = "HEALTHIMAGING_OAUTH_JWKS", hide_env = true, value_name = "JWKS")]
    #[arg(requires = "oauth_issuer")]
    oauth_jwks: Option<String>,

    /// Redact for all OAuth callers (or =strict)
    #[arg(long, env = "HEALTHIMAGING_OAUTH_REDACT_PHI", hide_env = true, value_enum)]
    #[arg(value_name = "LEVEL", num_args = 0..=1, require_equals = true)]
    #[arg(default_missing_value = "on", default_value = "off", hide_default_value = true)]
    #[arg(hide_possible_values = true, requires = "oauth_issuer")]
    oauth_redact_phi: RedactPhi,

    /// Certificate for TLS, with intermediate ones, as PEM
    #[arg(long, env = "HEALTHIMAGING_TLS_CERT", hide_env = true, value_name = "FILE")]
    #[arg(requires = "tls_key")]
    tls_cert: Option<PathBuf>,

    /// Key of the certificate, as PEM
    #[arg(long, env = "HEALTHIMAGING_TLS_KEY", hide_env = true, value_name = "FILE")]
    #[arg(requires = "tls_cert")]
    tls_key: Option<PathBuf>,

    /// Another host name of the server; repeatable
    #[arg(long, env = "HEALTHIMAGING_HTTP_HOST", hide_env = true)]
    #[arg(value_name = "HOST", value_delimiter = ',')]
    http_host: Vec<String>,

    /// Allow clients of the AWS back end to store instances
    #[arg(long, env = "HEALTHIMAGING_BRIDGE_WRITE", hide_env = true)]
    bridge_write: bool,

    /// Folder of a web viewer, such as OHIF, to serve at /view/
    #[arg(long, env = "HEALTHIMAGING_VIEWER", hide_env = true, value_name = "DIR")]
    viewer: Option<PathBuf>,

    /// Use a temporary store, removed at the end
    #[cfg(feature = "local")]
    #[arg(long, env = "HEALTHIMAGING_EPHEMERAL", hide_env = true)]
    ephemeral: bool,
}

const VARIABLES: &str = "\
Any address but loopback needs a token, access keys or an access file. Environment variables:
HEALTHIMAGING_HTTP, HEALTHIMAGING_HTTP_TOKEN, HEALTHIMAGING_HTTP_ACCESS_KEYS,
HEALTHIMAGING_ACCESS_FILE, HEALTHIMAGING_OAUTH_ISSUER, HEALTHIMAGING_OAUTH_AUDIENCE,
HEALTHIMAGING_OAUTH_JWKS, HEALTHIMAGING_OAUTH_REDACT_PHI, HEALTHIMAGING_TLS_CERT,
HEALTHIMAGING_TLS_KEY, HEALTHIMAGING_HTTP_HOST, HEALTHIMAGING_BRIDGE_WRITE, HEALTHIMAGING_VIEWER
and HEALTHIMAGING_EPHEMERAL; keys and hosts are lists separated by commas.

--viewer takes the built files of a web viewer, such as node_modules/@ohif/app/dist, with an
index.html. OHIF gets its configuration from this server.

With the AWS back end the server signs requests of DICOMweb clients with its own credentials, so it
always needs one of these too, and stores nothing for them without --bridge-write.";

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
    let credentials = Credentials::read(config, &arguments).await?;
    let tls = tls(&arguments)?;
    let address = resolve(&arguments.http).await?;
    credentials.check(config, &arguments.http, address)?;
    let viewer = arguments.viewer.as_deref().map(open_viewer).transpose()?;
    if viewer.is_some() {
        credentials.check_browser()?;
        if config.redacts() {
            let why = "--viewer cannot be used with --redact-phi: a viewer shows what files hold";
            return Err(InvalidOption(why.to_owned()).into());
        }
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
    let base = format!("{}://{address}", if tls.is_some() { "https" } else { "http" });
    let page = (config.backend == BackendKind::Local).then(|| format!("{base}/"));
    let mcp = http_service::<RequestBody>(backend.server(config, page)?, options);
    let mut server = HttpServer::new(probe(&backend))
        .allow_hosts(arguments.http_host)
        .mount("/mcp", mcp.clone())
        .mount("/mcp/", mcp);
    let redacts = config.redacts();
    // Every other face shows what files hold.
    if !redacts {
        server = serve_back_end(server, &backend, config, arguments.bridge_write);
    }
    #[cfg(feature = "local")]
    if arguments.ephemeral && !redacts {
        let service = Arc::clone(&backend.service);
        server = server.serve_reset(RESET, move || ephemeral::reset(Arc::clone(&service)).boxed());
    }
    server = credentials.require(server);
    if let Some(tls) = tls {
        server = server.secure(tls);
    }
    if redacts {
        terminal::note(&format!(
            "MCP at {base}/mcp\n\
             Tokens stand for what identifies patients; --redact-phi serves nothing else"
        ));
    } else {
        let mut directions = directions(&base, config);
        if let Some(viewer) = viewer {
            server = server.serve_viewer(viewer);
            directions = format!("{directions}\nViewer at {base}/view/");
        }
        terminal::note(&directions);
    }
    #[cfg(feature = "local")]
    if arguments.ephemeral && !redacts {
        terminal::note(&format!(
            "Temporary store in {}, removed at the end; POST {base}{RESET} empties it",
            config.data_dir.display()
        ));
    }

    idle::watch();
    server.serve(listener, stop).await;
    backend.close().await;
    Ok(Outcome::Done)
}

/// Serves the back end to callers with and without limited rights. Clients of the AWS API sign with credentials of their
/// own, and need no server between.
fn serve_back_end(
    server: HttpServer,
    backend: &Backend,
    config: &Config,
    bridge_write: bool,
) -> HttpServer {
    let (service, dicomweb) = (Arc::clone(&backend.service), Arc::clone(&backend.dicomweb));
    let (decoder, restrictor) = (backend.decoder.clone(), backend.restrictor.clone());
    match config.backend {
        BackendKind::Local => {
            server.serve_back_end(service, dicomweb, decoder).restrict_with(restrictor)
        }
        BackendKind::Aws if bridge_write => {
            server.serve_dicomweb(service, dicomweb, decoder).restrict_with(restrictor)
        }
        BackendKind::Aws => {
            let reading = Rights::unlimited().and(Limit::new(
                Effect::Reads,
                "this server is read-only; start it with --bridge-write to store instances in AWS HealthImaging",
            ));
            let (service, dicomweb) = restricted(&reading, (service, dicomweb));
            let both =
                move |rights: &Rights| restrictor.restrict(&rights.clone().and_all(&reading));
            server.serve_dicomweb(service, dicomweb, decoder).restrict_with(Restrictor::new(both))
        }
    }
}

/// Opens the folder of a viewer.
fn open_viewer(folder: &Path) -> Result<Viewer> {
    let invalid = |error: healthimaging::Error| InvalidOption(format!("--viewer: {error}"));
    Ok(Viewer::open(folder).map_err(invalid)?)
}

/// Returns the addresses for clients of each kind. SDKs put `runtime-` before the host of some operations; with `u@` it
/// becomes part of the user name, and the host stays as it is.
fn directions(base: &str, config: &Config) -> String {
    let common = format!(
        "MCP at {base}/mcp\n\
         Start page and viewer at {base}/\n\
         DICOMweb at {base}/datastore/DATASTORE_ID"
    );
    if config.backend == BackendKind::Aws {
        return common;
    }
    let region = config.store_region();
    let sdk = base.replacen("://", "://u@", 1);
    format!(
        "{common}\n\
         AWS API at {sdk} for any SDK; boto3 and the AWS CLI also take\n\
         \x20 AWS_ENDPOINT_URL_MEDICAL_IMAGING={base} \
         AWS_DISABLE_HOST_PREFIX_INJECTION=true AWS_REGION={region}"
    )
}

/// Reads the certificate and the key.
fn tls(arguments: &Arguments) -> Result<Option<Tls>> {
    let (Some(certificate), Some(key)) = (&arguments.tls_cert, &arguments.tls_key) else {
        return Ok(None);
    };
    let opened = Tls::open(certificate, key);
    Ok(Some(opened.map_err(|error| InvalidOption(error.message().to_owned()))?))
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
