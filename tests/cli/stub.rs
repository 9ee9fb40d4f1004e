//! A server on loopback that answers every request by its head, over HTTP or TLS, and a proxy before it.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::thread;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

/// An answer with a JSON body.
pub(crate) fn json(status: u16, headers: &str, body: &str) -> String {
    format!(
        "HTTP/1.1 {status} X\r\n{headers}Content-Type: application/json\r\nContent-Length: {}\r\n\
         Connection: close\r\n\r\n{body}",
        body.len()
    )
}

/// The certificate of the TLS server, for 127.0.0.1 and localhost; it signs itself.
pub(crate) fn certificate() -> PathBuf {
    tls("certificate.pem")
}

fn tls(name: &str) -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "tests/cli/tls", name].iter().collect()
}

/// Serves for as long as the test runs.
pub(crate) struct Stub {
    pub(crate) port: u16,
    /// The heads of the requests.
    heads: Arc<Mutex<Vec<String>>>,
}

impl Stub {
    pub(crate) fn http(answer: impl Fn(&str) -> String + Send + Sync + 'static) -> Self {
        Self::start(answer, |stream, serve| serve(&mut { stream }))
    }

    pub(crate) fn https(answer: impl Fn(&str) -> String + Send + Sync + 'static) -> Self {
        let certificate = CertificateDer::from_pem_file(certificate()).unwrap();
        let key = PrivateKeyDer::from_pem_file(tls("key.pem")).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate], key)
            .unwrap();
        let config = Arc::new(config);
        Self::start(answer, move |stream, serve| {
            let connection = ServerConnection::new(Arc::clone(&config)).unwrap();
            let mut stream = StreamOwned::new(connection, stream);
            serve(&mut stream);
            stream.conn.send_close_notify();
            // A caller that is gone needs no farewell.
            let _ = stream.flush();
        })
    }

    fn start(
        answer: impl Fn(&str) -> String + Send + Sync + 'static,
        open: impl Fn(TcpStream, &mut dyn FnMut(&mut dyn Stream)) + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let heads = Arc::new(Mutex::new(Vec::new()));
        let noted = Arc::clone(&heads);
        let shared = Arc::new((answer, open));
        thread::spawn(move || {
            for stream in listener.incoming() {
                let (stream, noted, shared) =
                    (stream.unwrap(), Arc::clone(&noted), Arc::clone(&shared));
                thread::spawn(move || {
                    let (answer, open) = &*shared;
                    open(stream, &mut |stream| {
                        let Some(head) = head(stream) else { return };
                        let answer = answer(&head);
                        noted.lock().unwrap().push(head);
                        let _ = stream.write_all(answer.as_bytes());
                    });
                });
            }
        });
        Self { port, heads }
    }

    pub(crate) fn heads(&self) -> Vec<String> {
        self.heads.lock().unwrap().clone()
    }
}

pub(crate) trait Stream: Read + Write {}

impl<T: Read + Write> Stream for T {}

/// The head of a request whose body is left unread; none of a caller that hung up.
fn head(stream: &mut dyn Stream) -> Option<String> {
    let mut seen = Vec::new();
    while !seen.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).ok()?;
        seen.extend_from_slice(&byte);
    }
    Some(String::from_utf8_lossy(&seen).into_owned())
}

/// A proxy that leads whatever it is asked to connect to (`CONNECT`) to a port of this machine; how often.
pub(crate) fn proxy(target: u16) -> (u16, Arc<Mutex<usize>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let count = Arc::new(Mutex::new(0));
    let counted = Arc::clone(&count);
    thread::spawn(move || {
        for stream in listener.incoming() {
            let (mut near, counted) = (stream.unwrap(), Arc::clone(&counted));
            thread::spawn(move || {
                let Some(head) = head(&mut near) else { return };
                assert!(head.starts_with("CONNECT "), "{head}");
                let mut far = TcpStream::connect(("127.0.0.1", target)).unwrap();
                *counted.lock().unwrap() += 1;
                near.write_all(b"HTTP/1.1 200 Connected\r\n\r\n").unwrap();
                let (mut from, mut to) = (near.try_clone().unwrap(), far.try_clone().unwrap());
                thread::spawn(move || std::io::copy(&mut from, &mut to));
                let _ = std::io::copy(&mut far, &mut near);
            });
        }
    });
    (port, count)
}
