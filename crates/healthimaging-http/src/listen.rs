//! Connections: their number, their timeouts and their shutdown.

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
use tokio_io_timeout::TimeoutStream;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::base_url::Accepted;
use crate::peers::{PeerLimits, PeerSlot};
use crate::remainder::with_remainder;

/// Concurrent connections; others wait. A slow reader occupies one of the 512 threads for blocking work, so the limit is
/// lower than that.
const MAX_CONNECTIONS: usize = 256;

/// Timeout of an idle connection, and of the head of a request.
const HEAD_TIMEOUT: Duration = Duration::from_secs(75);

/// Timeout of the first request of a connection.
const FIRST_REQUEST_TIMEOUT: Duration = Duration::from_secs(5);

/// Longest head of a request in bytes; those of presigned requests are the longest.
const LONGEST_HEAD: usize = 128 << 10;

/// Pause after a failed accept, as when no file handles are left.
const PAUSE: Duration = Duration::from_millis(100);

/// Timeout of a write: the reader accepts no byte.
const WRITE_TIMEOUT: Duration = Duration::from_mins(1);

/// Serves `router` until `stop` is cancelled; running requests have `grace` more time.
pub(crate) async fn serve(
    listener: TcpListener,
    router: Router,
    stop: CancellationToken,
    grace: Duration,
) {
    let free = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let running = TaskTracker::new();
    let peers = PeerLimits::default();
    while let Some((stream, peer, permit)) = next(&listener, &free, &stop).await {
        let Some(slot) = peers.enter(peer.ip()) else {
            tracing::debug!("a peer has too many connections without an admitted request");
            continue;
        };
        running.spawn(connection(stream, router.clone(), stop.clone(), slot, permit));
    }
    drop(listener);
    running.close();
    if tokio::time::timeout(grace, running.wait()).await.is_err() {
        tracing::warn!("aborted requests that ran longer than the grace period");
    }
}

/// Returns the next connection, once the limit allows one; `None` after `stop`.
async fn next(
    listener: &TcpListener,
    free: &Arc<Semaphore>,
    stop: &CancellationToken,
) -> Option<(TcpStream, SocketAddr, OwnedSemaphorePermit)> {
    let accepted = async {
        let permit = Arc::clone(free).acquire_owned().await.ok()?;
        loop {
            match listener.accept().await {
                Ok((stream, peer)) => return Some((stream, peer, permit)),
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

async fn connection(
    stream: TcpStream,
    router: Router,
    stop: CancellationToken,
    slot: PeerSlot,
    _permit: OwnedSemaphorePermit,
) {
    if let Err(error) = serve_requests(stream, router, stop, slot).await {
        tracing::debug!(%error, "a connection failed");
    }
}

async fn serve_requests(
    stream: TcpStream,
    router: Router,
    stop: CancellationToken,
    slot: PeerSlot,
) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let accepted = Accepted(stream.local_addr()?);
    let slot = slot.shared();
    let mut stream = TimeoutStream::new(stream);
    stream.set_write_timeout(Some(WRITE_TIMEOUT));
    let first_request = CancellationToken::new();
    let begins = first_request.clone();
    let service = TowerToHyperService::new(router);
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_buf_size(LONGEST_HEAD)
        .serve_connection(
            TokioIo::new(Box::pin(stream)),
            service_fn(move |mut request: Request<Incoming>| {
                begins.cancel();
                request.extensions_mut().insert(accepted);
                request.extensions_mut().insert(slot.clone());
                service.call(with_remainder(request))
            }),
        );
    let mut connection = pin!(connection);
    let timeout = async {
        if tokio::time::timeout(FIRST_REQUEST_TIMEOUT, first_request.cancelled()).await.is_ok() {
            std::future::pending::<()>().await;
        }
    };
    let ended = tokio::select! {
        () = timeout => return Err(io::ErrorKind::TimedOut.into()),
        ended = connection.as_mut() => ended,
        () = stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    ended.map_err(io::Error::other)
}
