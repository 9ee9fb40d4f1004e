//! Connections: how many, how long they may be silent, and how they end.

use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::base_url::Accepted;
use crate::peers::{Newcomer, Newcomers};
use crate::timeouts::Patient;

/// Connections at once; more wait until one ends. A slow reader holds a thread of the 512 that the
/// runtime has for blocking work, so there are fewer connections than that.
const MOST_CONNECTIONS: usize = 256;

/// How long a connection may wait for its next request, and a request's head may take.
const HEAD_TIME: Duration = Duration::from_secs(75);

/// How long a connection may take to its first request.
const FIRST_REQUEST: Duration = Duration::from_secs(5);

/// Longest head of a request in bytes; presigned requests have the longest.
const LONGEST_HEAD: usize = 128 << 10;

/// A pause after an accept that failed, as it does when no file handles are left.
const PAUSE: Duration = Duration::from_millis(100);

/// Serves `router` until `stop` is cancelled; running requests are then given `grace`.
pub(crate) async fn serve(
    listener: TcpListener,
    router: Router,
    stop: CancellationToken,
    grace: Duration,
) {
    let free = Arc::new(Semaphore::new(MOST_CONNECTIONS));
    let running = TaskTracker::new();
    let newcomers = Newcomers::default();
    while let Some((stream, peer, place)) = next(&listener, &free, &stop).await {
        let Some(newcomer) = newcomers.enter(peer.ip()) else {
            tracing::debug!("a peer has its share of connections that were not let in");
            continue;
        };
        running.spawn(converse(stream, router.clone(), stop.clone(), newcomer, place));
    }
    drop(listener);
    running.close();
    if tokio::time::timeout(grace, running.wait()).await.is_err() {
        tracing::warn!("requests still running after the grace period are dropped");
    }
}

/// The next connection, once there is a place for it; `None` when it is time to stop.
async fn next(
    listener: &TcpListener,
    free: &Arc<Semaphore>,
    stop: &CancellationToken,
) -> Option<(TcpStream, SocketAddr, OwnedSemaphorePermit)> {
    let accepted = async {
        let place = Arc::clone(free).acquire_owned().await.ok()?;
        loop {
            match listener.accept().await {
                Ok((stream, peer)) => return Some((stream, peer, place)),
                Err(error) => {
                    tracing::warn!(%error, "a connection could not be accepted");
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    };
    tokio::select! {
        () = stop.cancelled() => None,
        accepted = accepted => accepted,
    }
}

async fn converse(
    stream: TcpStream,
    router: Router,
    stop: CancellationToken,
    newcomer: Newcomer,
    _place: OwnedSemaphorePermit,
) {
    if let Err(error) = talk(stream, router, stop, newcomer).await {
        tracing::debug!(%error, "a connection ended early");
    }
}

async fn talk(
    stream: TcpStream,
    router: Router,
    stop: CancellationToken,
    newcomer: Newcomer,
) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let accepted = Accepted(stream.local_addr()?);
    let newcomer = newcomer.of_connection();
    let begun = CancellationToken::new();
    let is_begun = begun.clone();
    let service = TowerToHyperService::new(router);
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIME)
        .max_buf_size(LONGEST_HEAD)
        .serve_connection(
            TokioIo::new(Patient::new(stream)),
            service_fn(move |mut request: Request<Incoming>| {
                is_begun.cancel();
                request.extensions_mut().insert(accepted);
                request.extensions_mut().insert(newcomer.clone());
                service.call(request)
            }),
        );
    let mut connection = pin!(connection);
    let late = async {
        if tokio::time::timeout(FIRST_REQUEST, begun.cancelled()).await.is_ok() {
            std::future::pending::<()>().await;
        }
    };
    let ended = tokio::select! {
        () = late => return Err(io::ErrorKind::TimedOut.into()),
        ended = connection.as_mut() => ended,
        () = stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    ended.map_err(io::Error::other)
}
