//! The real server with the conformance suite's fixtures around it, over HTTP on loopback.
//!
//! `conformance_server PORT` serves at `/mcp` until it is killed. The back end is one in memory.

use axum::Router;
use axum::body::Body;
use healthimaging::model::DatastoreStatus;
use healthimaging_testing::Fake;
use healthimaging_tools::{Confirm, HttpOptions, Offer, conformance_service};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let port: u16 = std::env::args().nth(1).ok_or("usage: conformance_server PORT")?.parse()?;
    let fake = Fake::default();
    let store = fake.add_datastore("a", DatastoreStatus::Active);
    fake.add_image_set(&store, "s", 3);
    let server = fake.server(Offer::All, Confirm::Auto);
    let service = conformance_service::<Body>(server, HttpOptions::default())?;
    let router = Router::new().route_service("/mcp", service);
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", port)).await?;
    axum::serve(listener, router).await?;
    Ok(())
}
