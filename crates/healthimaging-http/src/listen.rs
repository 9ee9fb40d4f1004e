//! Connections: their number, their timeouts and their shutdown.

use std::io;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout_at};
use tokio_io_timeout::TimeoutStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_util::either::Either;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::base_url::Accepted;
use crate::peers::{PeerLimits, PeerSlot};
use crate::remainder::with_remainder;
use crate::tls::Tls;

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
    tls: Option<&Tls>,
    router: Router,
    stop: CancellationToken,
    grace: Duration,
) {
    let acceptor = tls.map(Tls::acceptor);
    let free = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let running = TaskTracker::new();
    let peers = PeerLimits::default();
    while let Some((stream, peer, permit)) = next(&listener, &free, &stop).await {
        let Some(slot) = peers.enter(peer.ip()) else {
            tracing::debug!("a peer has too many connections without an admitted request");
            continue;
        };
        let tls = acceptor.clone();
        running.spawn(connection(stream, tls, router.clone(), stop.clone(), slot, permit));
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
    tls: Option<TlsAcceptor>,
    router: Router,
    stop: CancellationToken,
    slot: PeerSlot,
    _permit: OwnedSemaphorePermit,
) {
    if let Err(error) = serve_requests(stream, tls, router, stop, slot).await {
        tracing::debug!(%error, "a connection failed");
    }
}

/// The first byte of a TLS connection: the type of a handshake record (RFC 8446 §5.1).
const HANDSHAKE: u8 = 22;

/// The answer to a client that does not use TLS where it must.
const TLS_REQUIRED: &str = "HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\nContent-Length: 57\r\n\
    Connection: close\r\n\r\nthis server accepts only TLS: use https:// in its address";

/// Bytes of a request without TLS that are read before the connection closes, so that its answer arrives.
const MOST_REFUSED: u64 = 64 << 10;

type Plain = Pin<Box<TimeoutStream<TcpStream>>>;
type Connection = Either<Plain, Box<TlsStream<Plain>>>;

/// Sets up TLS, if it is required; `None` for a client that does not use it.
async fn secured(mut stream: Plain, tls: Option<TlsAcceptor>) -> io::Result<Option<Connection>> {
    let Some(tls) = tls else { return Ok(Some(Either::Left(stream))) };
    let mut first = [0];
    if stream.get_ref().peek(&mut first).await? == 1 && first == [HANDSHAKE] {
        let stream = tls.accept(stream).await?;
        return Ok(Some(Either::Right(Box::new(stream))));
    }
    stream.write_all(TLS_REQUIRED.as_bytes()).await?;
    stream.shutdown().await?;
    tokio::io::copy(&mut stream.take(MOST_REFUSED), &mut tokio::io::sink()).await?;
    Ok(None)
}

async fn serve_requests(
    stream: TcpStream,
    tls: Option<TlsAcceptor>,
    router: Router,
    stop: CancellationToken,
    slot: PeerSlot,
) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let accepted = Accepted { at: stream.local_addr()?, is_tls: tls.is_some() };
    let slot = slot.shared();
    let mut stream = TimeoutStream::new(stream);
    stream.set_write_timeout(Some(WRITE_TIMEOUT));
    let begun = Instant::now();
    let secured = timeout_at(begun + FIRST_REQUEST_TIMEOUT, secured(Box::pin(stream), tls));
    let Some(stream) = secured.await?? else { return Ok(()) };
    let first_request = CancellationToken::new();
    let begins = first_request.clone();
    let service = TowerToHyperService::new(router);
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_buf_size(LONGEST_HEAD)
        .serve_connection(
            TokioIo::new(stream),
            service_fn(move |mut request: Request<Incoming>| {
                begins.cancel();
                request.extensions_mut().insert(accepted);
                request.extensions_mut().insert(slot.clone());
                service.call(with_remainder(request))
            }),
        );
    let mut connection = pin!(connection);
    let timeout = async {
        if timeout_at(begun + FIRST_REQUEST_TIMEOUT, first_request.cancelled()).await.is_ok() {
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
