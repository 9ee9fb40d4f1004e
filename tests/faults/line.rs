//! A line that is bad in ways that a test chooses: a proxy between a client of ours and our HTTP face.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::stream;
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt as _, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response, header};
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};

/// What becomes of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// It passes.
    None,
    /// It passes, late.
    Delay(Duration),
    /// It is refused with 429, as one too many.
    Throttle,
    /// It is refused with this status, 500 or 503.
    Status(u16),
    /// The connection is cut before it is passed on.
    CutBefore,
    /// The connection is cut once it was answered, with nothing of the answer.
    CutAfter,
    /// The connection is cut in the middle of the answer's body.
    CutMidBody,
    /// Half of the body of the answer is passed on as if it was all.
    Half,
    /// The answer is JSON of another shape.
    OtherJson,
    /// The answer is no JSON.
    NoJson,
}

/// Says what becomes of a request, by its path.
pub(crate) type Script = Arc<dyn Fn(&str) -> Fault + Send + Sync>;

type AnyError = Box<dyn std::error::Error + Send + Sync>;
type Answer = Response<BoxBody<Bytes, AnyError>>;

/// Puts such a line before a server, for as long as the test runs; its address.
pub(crate) async fn bad_line(server: SocketAddr, script: Script) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let script = Arc::clone(&script);
            let service = service_fn(move |request| {
                let fault = script(request.uri().path());
                pass(request, server, fault)
            });
            let connection = hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service);
            // That it ends badly is what it is for.
            tokio::spawn(async { drop(connection.await) });
        }
    });
    address
}

async fn pass(
    request: Request<Incoming>,
    server: SocketAddr,
    fault: Fault,
) -> Result<Answer, AnyError> {
    match fault {
        Fault::Throttle => return Ok(refusal(429, "ThrottlingException")),
        Fault::Status(status) => return Ok(refusal(status, "InternalServerException")),
        Fault::CutBefore => return Err("cut".into()),
        Fault::Delay(delay) => tokio::time::sleep(delay).await,
        _ => {}
    }
    let stream = TokioIo::new(TcpStream::connect(server).await?);
    let (mut sender, connection) = hyper::client::conn::http1::handshake(stream).await?;
    tokio::spawn(async { drop(connection.await) });
    let (mut head, body) = sender.send_request(request).await?.into_parts();
    if matches!(fault, Fault::None | Fault::Delay(_)) {
        return Ok(Response::from_parts(head, body.map_err(Into::into).boxed()));
    }
    let body = body.collect().await?.to_bytes();
    let changed = match fault {
        Fault::Half => body.slice(..body.len() / 2),
        Fault::OtherJson => Bytes::from_static(b"\"neither an object nor a list\""),
        Fault::NoJson => Bytes::from_static(b"<html>a proxy says hello</html>"),
        Fault::CutMidBody => {
            let half = Frame::data(body.slice(..body.len() / 2));
            let pieces = stream::iter([Ok(half), Err(AnyError::from("cut"))]);
            return Ok(Response::from_parts(head, StreamBody::new(pieces).boxed()));
        }
        _ => return Err("cut".into()),
    };
    head.headers.insert(header::CONTENT_LENGTH, changed.len().into());
    Ok(Response::from_parts(head, whole(changed)))
}

fn refusal(status: u16, kind: &str) -> Answer {
    Response::builder()
        .status(status)
        .header("x-amzn-errortype", kind)
        .header(header::CONTENT_TYPE, "application/json")
        .body(whole(Bytes::from_static(b"{\"message\": \"not now\"}")))
        .unwrap()
}

fn whole(bytes: Bytes) -> BoxBody<Bytes, AnyError> {
    Full::new(bytes).map_err(|never: Infallible| match never {}).boxed()
}
