//! What a call may use: the back end, the way to report progress, and the end of patience.

use std::sync::{Arc, OnceLock};

use async_trait::async_trait;
use tokio::sync::broadcast;
use tokio_util::sync::CancellationToken;

use healthimaging::model::{DatastoreStatus, ListDatastoresRequest};
use healthimaging::{DatastoreId, DicomWeb, Error, HealthImaging, Result};
use healthimaging_workflows::{BackEnd, Ledger};

/// Hears how far a long call is.
#[async_trait]
pub(crate) trait Progress: Send + Sync {
    /// `done` only grows; `message` holds no patient data.
    async fn report(&self, done: f64, total: Option<f64>, message: String);
}

/// What a call may use.
pub(crate) struct Context {
    ledger: Ledger,
    progress: Option<Arc<dyn Progress>>,
    cancelled: CancellationToken,
    datastores_changed: broadcast::Sender<()>,
    chosen: OnceLock<DatastoreId>,
}

impl Context {
    pub(crate) fn new(
        ledger: Ledger,
        progress: Option<Arc<dyn Progress>>,
        cancelled: CancellationToken,
        datastores_changed: broadcast::Sender<()>,
    ) -> Self {
        Self {
            ledger,
            progress,
            cancelled,
            datastores_changed,
            chosen: OnceLock::new(),
        }
    }

    /// Tells whoever listens that data stores came or went.
    pub(crate) fn announce_datastores(&self) {
        // Nobody may be listening, which is no error.
        let _ = self.datastores_changed.send(());
    }

    /// The 18 operations.
    pub(crate) fn service(&self) -> &dyn HealthImaging {
        &*self.back_end().service
    }

    /// DICOMweb.
    pub(crate) fn dicomweb(&self) -> &dyn DicomWeb {
        &*self.back_end().dicomweb
    }

    /// Both.
    pub(crate) fn back_end(&self) -> &BackEnd {
        &self.ledger.tools().back_end
    }

    /// The jobs of this program.
    pub(crate) fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// Ends when the caller no longer waits.
    pub(crate) fn cancelled(&self) -> &CancellationToken {
        &self.cancelled
    }

    /// Tells the caller how far the work is, where it wants to know.
    pub(crate) async fn report(&self, done: f64, total: Option<f64>, message: String) {
        if let Some(progress) = &self.progress {
            progress.report(done, total, message).await;
        }
    }

    /// The data store that was named, or the only one that is active.
    pub(crate) async fn datastore(&self, named: Option<DatastoreId>) -> Result<DatastoreId> {
        if let Some(named) = named {
            return Ok(named);
        }
        let request = ListDatastoresRequest {
            datastore_status: Some(DatastoreStatus::Active),
            next_token: None,
            max_results: Some(2),
        };
        let active = self.service().list_datastores(request).await?;
        match &active.datastore_summaries[..] {
            [only] if active.next_token.is_none() => Ok(self
                .chosen
                .get_or_init(|| only.datastore_id.clone())
                .clone()),
            [] if active.next_token.is_none() => Err(Error::validation(
                "no data store is active; make one with create_datastore, then name it in \
                 datastore_id",
            )),
            _ => Err(Error::validation(
                "several data stores are active; name one in datastore_id (list_datastores lists \
                 them)",
            )),
        }
    }

    /// The data store that was chosen because none was named.
    pub(crate) fn chosen_datastore(&self) -> Option<&DatastoreId> {
        self.chosen.get()
    }
}
