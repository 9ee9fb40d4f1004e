//! What the embedded store promises beyond the contract: durability, erasure, sharing, damage seen.

#![expect(clippy::unwrap_used, reason = "a test says that something is wrong by panicking")]

mod damage;
mod erasure;
mod folder;
mod formats;
mod quotas;
mod reopening;
mod sharing;
mod time;

use std::sync::Arc;

use futures::FutureExt;
use futures::future::BoxFuture;
use healthimaging_local::{LocalConfig, LocalStore};
use healthimaging_phantoms::Phantom;
use tokio::runtime::{Builder, Runtime};

use healthimaging_testing::rig::{Backend, Opening, Rig};

/// The settings of the usual store.
fn config(opening: Opening) -> LocalConfig {
    LocalConfig {
        allowed_paths: vec![opening.allowed],
        write_delay: opening.write_delay,
        ..LocalConfig::new(opening.data_dir)
    }
}

fn open(opening: Opening) -> BoxFuture<'static, Backend> {
    async move {
        let store = LocalStore::open(config(opening)).await.unwrap();
        Backend { service: Arc::clone(&store) as _, web: store }
    }
    .boxed()
}

async fn rig() -> Rig {
    Rig::new(open).await
}

/// A slice whose patient is not named anywhere else.
fn slice(number: u32) -> Phantom {
    Phantom::ct()
        .size(64, 64)
        .patient("VERYSECRET^NAME", "VERYSECRET-ID")
        .accession_number("VERYSECRET-A")
        .series_uid("2.25.31")
        .sop_uid(&format!("2.25.31.{number}"))
        .instance_number(number)
}

/// A document that changes the study.
fn study(text: &str) -> serde_json::Value {
    serde_json::json!({"SchemaVersion": 1.1, "Study": {"DICOM": {"StudyDescription": text}}})
}

/// A runtime that can be torn down with all that runs in it, as a dying process is.
fn mortal() -> Runtime {
    Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

/// Runs some work, and drops everything that it left running.
fn live_and_die<T>(work: impl Future<Output = T>) -> T {
    let runtime = mortal();
    let result = runtime.block_on(work);
    runtime.shutdown_background();
    result
}
