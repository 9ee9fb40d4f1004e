//! Transfer of studies into another data store, of this or of the other back end: each instance is retrieved, stored,
//! read back and compared. The source is not changed.

mod chunk;
mod estimate;
mod facts;
mod report;

use std::pin::pin;

use futures::{StreamExt as _, TryStreamExt as _};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use healthimaging::model::{
    DatastoreStatus, GetDatastoreRequest, GetImageSetMetadataRequest, ImageSetsMetadataSummary,
};
use healthimaging::{
    DatastoreId, Error, ErrorKind, HealthImaging, Result, datastore_named, is_datastore_name,
    retry_read,
};

use crate::deidentify::Deidentify;
use crate::document;
use crate::find::{self, Criteria, MOST_EXAMINED};
use crate::imports;
use crate::peers::{Peer, Side};
use crate::work::{Journal, Tools};

use chunk::{Chunks, Item};

pub use estimate::{Estimate, estimate};
pub use report::OlderVersions;

/// The tool that starts transfers; their jobs are listed by its name, also those started from the command line.
pub const TOOL: &str = "transfer_studies";

/// What to transfer, and where to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Transfer {
    /// From which data store.
    pub from: End,
    /// Into which data store.
    pub to: End,
    /// Which image sets; all primary ones, when empty.
    pub criteria: Criteria,
    /// How the instances are de-identified; not at all, when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deidentify: Option<Deidentify>,
}

/// A data store at one end of a transfer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct End {
    /// The data store.
    pub datastore_id: DatastoreId,
    /// Its back end, if it is not that of the process that accepted the job.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub side: Option<Side>,
    /// Which one that is.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub key: String,
}

impl End {
    /// Finds a data store by its ID or its name, which `aws:` or `local:` may precede; `argument` names it in errors.
    ///
    /// # Errors
    /// `Validation` for text that is neither; `NotFound` for a data store that does not exist; `Conflict` for one that is
    /// not active; `NotSupported` if this process has only one back end.
    pub async fn named(tools: &Tools, argument: &str, named: &str) -> Result<Self> {
        let (side, name) = match named.split_once(':') {
            Some(("aws", name)) => (Some(Side::Aws), name),
            Some(("local", name)) => (Some(Side::Local), name),
            Some(_) => {
                return Err(Error::validation(format!(
                    "{argument}: only aws: and local: may precede the ID or name of a data store, which has no colon"
                )));
            }
            None => (None, named),
        };
        Self::find(tools, side, name).await.map_err(|error| {
            Error::new(error.kind(), format!("{argument}: {}", error.message())).with_source(error)
        })
    }

    async fn find(tools: &Tools, side: Option<Side>, named: &str) -> Result<Self> {
        let Peer { key, back_end } = tools.peers.get(side, &tools.back_end).await?;
        let service = &*back_end.service;
        let datastore_id = match DatastoreId::try_from(named) {
            Ok(id) => id,
            Err(_) if is_datastore_name(named) => datastore_named(service, named).await?,
            Err(error) => return Err(error),
        };
        let request = GetDatastoreRequest { datastore_id: datastore_id.clone() };
        let found = service.get_datastore(request).await?.datastore_properties;
        if found.datastore_status != DatastoreStatus::Active {
            return Err(Error::conflict(format!(
                "data store {datastore_id} is {}; both data stores must be ACTIVE",
                found.datastore_status
            )));
        }
        let side = side.filter(|_| !tools.peers.is_own(side));
        Ok(Self { datastore_id, side, key })
    }

    /// Its back end, in this process.
    async fn open(&self, tools: &Tools) -> Result<Peer> {
        let peer = tools.peers.get(self.side, &tools.back_end).await?;
        if peer.key != self.key {
            // Another process may have the right one.
            return Err(Error::new(
                ErrorKind::AccessDenied,
                "the other back end of this server is not the one that the transfer began with",
            ));
        }
        Ok(peer)
    }
}

impl Transfer {
    /// Refuses a transfer from a data store into itself.
    ///
    /// # Errors
    /// `Validation` for that, and for criteria that are never possible.
    pub fn check(&self) -> Result<()> {
        self.criteria.check()?;
        if self.from == self.to {
            return Err(Error::validation(
                "from_datastore and to_datastore are the same data store",
            ));
        }
        Ok(())
    }

    /// Whether a back end of AWS takes part that is not that of the process.
    pub(crate) fn uses_aws(&self) -> bool {
        [&self.from, &self.to].iter().any(|end| end.side == Some(Side::Aws))
    }

    /// What an ended job keeps on disk: nothing that may be patient data.
    pub(crate) fn redacted(self) -> Self {
        Self { criteria: Criteria::default(), ..self }
    }
}

/// The primary image sets that are transferred, and the others that match.
struct Selected {
    image_sets: Vec<ImageSetsMetadataSummary>,
    non_primary: u64,
}

impl Selected {
    async fn find(service: &dyn HealthImaging, transfer: &Transfer) -> Result<Self> {
        let from = &transfer.from.datastore_id;
        let found = find::all(service, from, &transfer.criteria, MOST_EXAMINED).await?;
        let (image_sets, others): (Vec<_>, Vec<_>) =
            found.image_sets.into_iter().partition(find::is_primary);
        if image_sets.is_empty() {
            return Err(nothing_matches(others.len()));
        }
        Ok(Self { image_sets, non_primary: others.len() as u64 })
    }
}

fn nothing_matches(non_primary: usize) -> Error {
    let others = match non_primary {
        0 => String::new(),
        count => {
            format!("; {count} image sets match that are not primary, compare_image_sets says why")
        }
    };
    Error::not_found(format!(
        "no primary image set of the data store matches, so nothing is transferred{others}"
    ))
}

/// Checks that there is something to transfer; reads until it finds the first image set.
///
/// # Errors
/// `NotFound` if nothing matches.
pub async fn check_matches(transfer: &Transfer, tools: &Tools) -> Result<()> {
    let from = transfer.from.open(tools).await?.back_end;
    let (criteria, datastore_id) = (&transfer.criteria, &transfer.from.datastore_id);
    let found = find::candidates(&*from.service, datastore_id, criteria, MOST_EXAMINED);
    let mut found = pin!(found);
    let mut others = 0;
    while let Some(set) = found.try_next().await? {
        match (criteria.matches(&set), find::is_primary(&set)) {
            (true, true) => return Ok(()),
            (true, false) => others += 1,
            (false, _) => {}
        }
    }
    Err(nothing_matches(others))
}

/// Carries it out, or what is left of it.
pub(crate) async fn run(
    transfer: &Transfer,
    tools: &Tools,
    journal: &dyn Journal,
) -> Result<Map<String, Value>> {
    if journal.is_called_off() {
        return report::report(journal, None).await;
    }
    let from = transfer.from.open(tools).await?.back_end;
    let to = transfer.to.open(tools).await?.back_end;
    let instances = transfer.deidentify.as_ref();
    let instances = instances.map(|deidentify| deidentify.open(tools)).transpose()?;
    let not_ended = imports::count_not_ended(&*from.service, &transfer.from.datastore_id).await;
    let selected = Selected::find(&*from.service, transfer).await?;
    let of_summaries = selected.image_sets.iter().map(|set| {
        let tags = set.dicom_tags.as_ref();
        tags.and_then(|tags| tags.number_of_study_related_instances).map_or(0, u64::from)
    });
    journal.expect(of_summaries.sum());
    let mut total = 0;
    let chunks = Chunks::new(transfer, (&from, &to), tools, journal, instances);
    for set in &selected.image_sets {
        if journal.cancelled().is_cancelled() {
            return report::report(journal, Some(&selected)).await;
        }
        let id = &set.image_set_id;
        let request = GetImageSetMetadataRequest {
            datastore_id: transfer.from.datastore_id.clone(),
            image_set_id: id.clone(),
            version_id: None,
        };
        let read = retry_read(|| document::uids(&*from.service, request.clone())).await;
        let content = match read {
            Ok(content) => content,
            Err(error) => {
                total += 1;
                chunks.unreadable(id, &error).await?;
                continue;
            }
        };
        let items = Item::all(id, &content, transfer.deidentify.is_some());
        total += items.len() as u64;
        chunks.transfer(items).await?;
    }
    journal.expect(total);
    let mut report = report::report(journal, Some(&selected)).await?;
    report.extend(not_ended.map(|count| (imports::NOT_ENDED.to_owned(), count.into())));
    Ok(report)
}

/// Walks over the outcomes of a job.
async fn outcomes<F: FnMut(crate::work::ItemOutcome)>(
    journal: &dyn Journal,
    mut each: F,
) -> Result<()> {
    let mut outcomes = pin!(journal.outcomes().fuse());
    while let Some(outcome) = outcomes.try_next().await? {
        each(outcome);
    }
    Ok(())
}
