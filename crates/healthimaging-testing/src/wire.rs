//! The AWS back end over our own HTTP face over a local store: the genuine SDK, every signature checked.

use std::net::SocketAddr;
use std::sync::Arc;

use futures::FutureExt;
use healthimaging_aws::{Aws, AwsConfig};
use healthimaging_http::{AccessKeys, HttpServer};
use healthimaging_local::LocalStore;
use healthimaging_objects::S3Credentials;
use healthimaging_pixels::Decoder;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

const ID: &str = "AKIDEXAMPLE";
const SECRET: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";

/// Serves a store for as long as the test runs, and returns the address.
pub async fn serve(store: Arc<LocalStore>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let key = format!("{ID}:{SECRET}");
    let server = HttpServer::new(|| async { Ok(()) }.boxed())
        .serve_back_end(Arc::clone(&store) as _, store, Decoder::in_process())
        .require_keys(AccessKeys::new([key.as_str()]).unwrap());
    tokio::spawn(server.serve(listener, CancellationToken::new()));
    address
}

/// Opens the AWS back end on a served store.
pub async fn open_at(address: SocketAddr) -> Arc<Aws> {
    let config = AwsConfig {
        region: Some("us-east-1".to_owned()),
        endpoint_url: Some(format!("http://{address}")),
        credentials: Some(S3Credentials {
            access_key_id: ID.to_owned(),
            secret_access_key: SECRET.to_owned(),
            session_token: None,
        }),
        ..AwsConfig::default()
    };
    Aws::open(config).await.unwrap()
}

/// Serves a store for as long as the test runs, and opens the AWS back end on it.
pub async fn over_the_wire(store: Arc<LocalStore>) -> Arc<Aws> {
    open_at(serve(store).await).await
}
