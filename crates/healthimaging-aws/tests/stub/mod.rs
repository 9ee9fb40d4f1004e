//! A server with the same response to every request, which records the requests.

use std::sync::{Arc, Mutex};

use healthimaging_aws::{Aws, AwsConfig};
use healthimaging_objects::S3Credentials;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

/// Method and target of each request, as `GET /datastore`.
pub(crate) type Asked = Arc<Mutex<Vec<String>>>;

/// Serves for as long as the test runs; where, and what was asked.
pub(crate) async fn stub(answer: String) -> (String, Asked) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let asked = Asked::default();
    let noted = Arc::clone(&asked);
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let (answer, noted) = (answer.clone(), Arc::clone(&noted));
            tokio::spawn(async move {
                let mut seen = Vec::new();
                while !seen.windows(4).any(|end| end == b"\r\n\r\n") {
                    let mut piece = [0; 4096];
                    let Ok(length @ 1..) = stream.read(&mut piece).await else {
                        return;
                    };
                    seen.extend_from_slice(&piece[..length]);
                }
                let head = String::from_utf8_lossy(&seen).into_owned();
                let line = head.lines().next().unwrap_or_default();
                let target = line.trim_end_matches(" HTTP/1.1").to_owned();
                noted.lock().unwrap().push(target);
                // A caller that is gone needs no answer.
                let _ = stream.write_all(answer.as_bytes()).await;
                let _ = stream.shutdown().await;
            });
        }
    });
    (format!("http://{address}"), asked)
}

/// The AWS back end on that endpoint.
pub(crate) async fn open(endpoint: String) -> Arc<Aws> {
    let config = AwsConfig {
        region: Some("us-east-1".to_owned()),
        endpoint_url: Some(endpoint),
        credentials: Some(S3Credentials {
            access_key_id: "AKIDEXAMPLE".to_owned(),
            secret_access_key: "SECRET".to_owned(),
            session_token: None,
        }),
        ..AwsConfig::default()
    };
    Aws::open(config).await.unwrap()
}
