//! Opens the back end that the configuration names.

use std::sync::Arc;

use anyhow::{Context, Result};
use futures::TryStreamExt;
use healthimaging::model::{DatastoreStatus, DatastoreSummary, ListDatastoresRequest};
use healthimaging::{DicomWeb, HealthImaging, Page, ReadOnly, sweep};
use healthimaging_local::{LocalConfig, LocalStore};

use healthimaging_objects::{Objects, ObjectsConfig};
use healthimaging_tools::{Confirm, Offer, Server, ServerOptions};
use healthimaging_workflows::{BackEnd, Ledger, LedgerConfig, Tools};

use crate::config::{self, Config};

/// More data stores than this are not looked through for a name.
const MOST_DATASTORES: usize = 10_000;

/// Which tools the configuration leaves.
pub(crate) fn offer(config: &Config) -> Offer {
    match (config.read_only, config.no_delete) {
        (true, _) => Offer::ReadOnly,
        (false, true) => Offer::NoDelete,
        (false, false) => Offer::All,
    }
}

/// An open back end.
#[derive(Debug, Clone)]
pub(crate) struct Backend {
    /// The embedded store itself, for what the contract lacks.
    pub(crate) store: Arc<LocalStore>,
    /// The 18 operations, guarded.
    pub(crate) service: Arc<dyn HealthImaging>,
    /// DICOMweb, guarded.
    pub(crate) dicomweb: Arc<dyn DicomWeb>,
    /// The jobs of this program, over both.
    pub(crate) ledger: Ledger,
}

impl Backend {
    /// Opens the embedded store; with `--read-only`, every write is refused beneath the tools too.
    pub(crate) async fn open(config: &Config) -> Result<Self> {
        let mut local = LocalConfig::new(&config.data_dir);
        local.region.clone_from(&config.region);
        local.account_id = config.account_id.to_string();
        local.allowed_paths.clone_from(&config.allowed_paths);
        local.s3.clone_from(&config.s3);
        local.run_jobs = !config.read_only;
        let folder = config.data_dir.display();
        let store = LocalStore::open(local)
            .await
            .with_context(|| format!("the embedded store in {folder} does not open"))?;
        tracing::info!(%folder, chosen = config.chosen, "serving from the embedded store");
        let service: Arc<dyn HealthImaging> = Arc::clone(&store) as _;
        let dicomweb: Arc<dyn DicomWeb> = Arc::clone(&store) as _;
        let (service, dicomweb): (Arc<dyn HealthImaging>, Arc<dyn DicomWeb>) = if config.read_only {
            (
                Arc::new(ReadOnly::new(service)),
                Arc::new(ReadOnly::new(dicomweb)),
            )
        } else {
            (service, dicomweb)
        };
        let tools = Tools {
            back_end: BackEnd {
                service: Arc::clone(&service),
                dicomweb: Arc::clone(&dicomweb),
            },
            objects: Objects::new(ObjectsConfig {
                allowed_paths: config.allowed_paths.clone(),
                s3: config.s3.clone(),
                download_dir: None,
            }),
        };
        let ledger = LedgerConfig {
            folder: config.data_dir.join("ledger"),
            back_end: "local".to_owned(),
            run_jobs: !config.read_only,
        };
        Ok(Self {
            store,
            service,
            dicomweb,
            ledger: Ledger::open(ledger, tools)?,
        })
    }

    /// A server of tools over it.
    pub(crate) fn server(&self, config: &Config) -> Result<Server> {
        let options = ServerOptions {
            offer: offer(config),
            confirm: match config.confirm {
                config::Confirm::Auto => Confirm::Auto,
                config::Confirm::Always => Confirm::Always,
                config::Confirm::Never => Confirm::Never,
            },
            backend: config.chosen.clone(),
        };
        Ok(Server::new(self.ledger.clone(), options)?)
    }

    /// Ends it: what was acknowledged is finished or left for the next one to finish.
    pub(crate) async fn close(self) {
        self.ledger.close().await;
        self.store.close().await;
    }

    /// All data stores that are active.
    pub(crate) async fn active_datastores(&self) -> Result<Vec<DatastoreSummary>> {
        let pages = sweep(MOST_DATASTORES, |next_token| async {
            let request = ListDatastoresRequest {
                datastore_status: Some(DatastoreStatus::Active),
                next_token,
                max_results: None,
            };
            let page = self.service.list_datastores(request).await?;
            Ok(Page {
                items: page.datastore_summaries,
                next_token: page.next_token,
            })
        });
        Ok(pages.try_collect().await?)
    }
}
