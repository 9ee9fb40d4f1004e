//! Data stores: create, get, summarize, list, delete.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use healthimaging::model::{
    CreateDatastoreRequest, CreateDatastoreResponse, DatastoreStatus, DeleteDatastoreRequest,
    DeleteDatastoreResponse, GetDatastoreRequest, GetDatastoreResponse, ListDatastoresRequest,
    ListDatastoresResponse, LosslessStorageFormat, SearchCriteria, SearchImageSetsRequest,
};
use healthimaging::{
    ClientToken, DatastoreId, DatastoreName, Error, KmsKeyArn, LambdaArn, NextToken, Page, Result,
    TagKey, TagValue,
};

use healthimaging_workflows::overview::{self, FailedImports, Overview};
use healthimaging_workflows::{Plan, counted};

use super::hierarchy::uncancelled;
use crate::answer::Reply;
use crate::arguments::{MaxResults, WaitSeconds, Within};
use crate::context::Context;
use crate::listing;
use crate::resources::count;
use crate::tool::{Effect, PlannedTool, Tool};
use crate::wait;

/// Create a data store, which holds image sets. It is ready when it is ACTIVE.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CreateDatastore {
    /// Letters, digits, ._/#-
    datastore_name: Option<DatastoreName>,
    /// Encryption key
    kms_key_arn: Option<KmsKeyArn>,
    /// Key to value
    #[serde(default)]
    tags: BTreeMap<TagKey, TagValue>,
    /// Default HTJ2K
    lossless_storage_format: Option<LosslessStorageFormat>,
    /// Authorizer of DICOMweb tokens
    lambda_authorizer_arn: Option<LambdaArn>,
    /// Idempotency token
    client_token: Option<ClientToken>,
    wait_seconds: Option<WaitSeconds>,
}

impl Tool for CreateDatastore {
    const NAME: &'static str = "create_datastore";
    const TITLE: &'static str = "Create data store";
    const EXAMPLE: &'static str = r#"{"datastore_name": "radiology", "wait_seconds": 60}"#;
    const EFFECT: Effect = Effect::Writes;
    type Output = CreateDatastoreResponse;

    async fn call(self, context: &Context) -> Result<Reply<Self::Output>> {
        let request = CreateDatastoreRequest {
            datastore_name: self.datastore_name,
            client_token: self.client_token,
            tags: self.tags,
            kms_key_arn: self.kms_key_arn,
            lambda_authorizer_arn: self.lambda_authorizer_arn,
            lossless_storage_format: self.lossless_storage_format,
        };
        let mut made = context.service().create_datastore(request).await?;
        if let Some(wait) = context.wait_for_write(self.wait_seconds) {
            made.datastore_status = await_creation(context, &made.datastore_id, wait).await?;
        }
        context.announce_datastores();
        let text = format!("Data store {} is {}.", made.datastore_id, made.datastore_status);
        Ok(Reply::new(made, text))
    }
}

async fn await_creation(
    context: &Context,
    datastore_id: &DatastoreId,
    wait: WaitSeconds,
) -> Result<DatastoreStatus> {
    let look = async || {
        let request = GetDatastoreRequest { datastore_id: datastore_id.clone() };
        let found = context.service().get_datastore(request).await?;
        Ok(found.datastore_properties.datastore_status)
    };
    let made = |status: &DatastoreStatus| *status != DatastoreStatus::Creating;
    wait::until(context, wait, "data store is being created", made, look).await
}

/// Get the properties of a data store, and counts of its image sets.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct GetDatastore {
    /// ID or name
    datastore_id: Option<DatastoreId>,
}

/// A data store.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct FoundDatastore {
    #[serde(flatten)]
    found: GetDatastoreResponse,
    /// Exact, or at least so many.
    #[serde(skip_serializing_if = "Option::is_none")]
    counts: Option<Map<String, Value>>,
}

impl Tool for GetDatastore {
    const NAME: &'static str = "get_datastore";
    const TITLE: &'static str = "Get data store";
    const EXAMPLE: &'static str = r#"{"datastore_id": "0f1e2d3c4b5a69788796a5b4c3d2e1f0"}"#;
    const EFFECT: Effect = Effect::Reads;
    type Output = FoundDatastore;

    async fn call(self, context: &Context) -> Result<Reply<Self::Output>> {
        let datastore_id = context.datastore(self.datastore_id).await?;
        let service = context.service();
        let request = GetDatastoreRequest { datastore_id: datastore_id.clone() };
        let found = service.get_datastore(request).await?;
        let properties = &found.datastore_properties;
        let is_active = properties.datastore_status == DatastoreStatus::Active;
        let counts = if is_active { Some(count::of(service, &datastore_id).await?) } else { None };
        let text =
            format!("Data store {} is {}.", properties.datastore_id, properties.datastore_status);
        Ok(Reply::new(FoundDatastore { found, counts }, text))
    }
}

/// Summarize a data store: counts and bytes by modality, patient, study month and transfer syntax; the largest, newest
/// and non-primary image sets; failed imports.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SummarizeDatastore {
    /// ID or name
    datastore_id: Option<DatastoreId>,
    /// Patients and months to list; default 10
    top: Option<MaxResults>,
    /// Newest image sets whose bytes are read; default 1000
    max_measured: Option<MostMeasured>,
}

/// Image sets whose bytes are read unless the call asks for more.
const MEASURED: usize = 1_000;

/// How many image sets are measured.
type MostMeasured = Within<0, 200_000>;

/// What a data store holds.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct DatastoreSummary {
    #[serde(flatten)]
    overview: Overview,
    #[serde(flatten)]
    failed_imports: FailedImports,
}

impl Tool for SummarizeDatastore {
    const NAME: &'static str = "summarize_datastore";
    const TITLE: &'static str = "Summarize data store";
    const EXAMPLE: &'static str =
        r#"{"datastore_id": "0f1e2d3c4b5a69788796a5b4c3d2e1f0", "top": 20}"#;
    const EFFECT: Effect = Effect::Reads;
    type Output = DatastoreSummary;

    async fn call(self, context: &Context) -> Result<Reply<Self::Output>> {
        let datastore_id = context.datastore(self.datastore_id).await?;
        let top = self.top.map_or(10, |top| top.get() as usize);
        let most = self.max_measured.map_or(MEASURED, |most| most.get() as usize);
        let service = context.service();
        let objects = &context.ledger().tools().objects;
        let failed_imports = overview::failed_imports(service, objects, &datastore_id).await?;
        let read = overview::overview(service, &datastore_id, top, most);
        let overview = uncancelled(context, read).await?;
        let measured = if overview.image_sets_measured == overview.image_sets {
            "All were measured.".to_owned()
        } else {
            format!(
                "Only the newest {} were measured: bytes, transfer syntaxes and the largest are theirs; patients are \
                 ordered by instances.",
                overview.image_sets_measured
            )
        };
        let text = format!(
            "{} ({} not primary) of {} and {}: {}. {measured} {}.",
            counted(overview.image_sets, "image set"),
            overview.non_primary_image_sets,
            counted(overview.patients, "patient"),
            counted(overview.studies, "study"),
            counted(usize::try_from(overview.instances).unwrap_or(usize::MAX), "instance"),
            failed_imports.summary(),
        );
        Ok(Reply::new(DatastoreSummary { overview, failed_imports }, text))
    }
}

/// List data stores, newest first.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ListDatastores {
    /// Only data stores with this status
    #[serde(alias = "status")]
    datastore_status: Option<DatastoreStatus>,
    /// 1 to 100; default 50
    max_results: Option<MaxResults>,
    next_token: Option<NextToken>,
}

impl Tool for ListDatastores {
    const NAME: &'static str = "list_datastores";
    const TITLE: &'static str = "List data stores";
    const EXAMPLE: &'static str = r#"{"datastore_status": "ACTIVE"}"#;
    const EFFECT: Effect = Effect::Reads;
    type Output = ListDatastoresResponse;

    async fn call(self, context: &Context) -> Result<Reply<Self::Output>> {
        let service = context.service();
        let page_size = service.limits().page_size;
        let fetch = async |next_token, page_size| {
            let request = ListDatastoresRequest {
                datastore_status: self.datastore_status,
                next_token,
                max_results: Some(page_size),
            };
            let page = service.list_datastores(request).await?;
            Ok(Page { items: page.datastore_summaries, next_token: page.next_token })
        };
        let page =
            listing::join(self.max_results, self.next_token, page_size, |_| true, fetch).await?;
        let next = page.next_token.as_ref();
        let text = listing::summary(page.items.len(), "data store", next);
        let output =
            ListDatastoresResponse { datastore_summaries: page.items, next_token: page.next_token };
        Ok(Reply::new(output, text))
    }
}

/// Delete an empty data store permanently.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct DeleteDatastore {
    /// ID or name
    datastore_id: DatastoreId,
}

impl PlannedTool for DeleteDatastore {
    const NAME: &'static str = "delete_datastore";
    const TITLE: &'static str = "Delete data store";
    const EXAMPLE: &'static str = r#"{"datastore_id": "0f1e2d3c4b5a69788796a5b4c3d2e1f0"}"#;
    const EFFECT: Effect = Effect::Destroys;
    type Output = DeleteDatastoreResponse;

    async fn plan(&self, context: &Context) -> Result<Plan> {
        let datastore_id = self.datastore_id.clone();
        let service = context.service();
        let request = GetDatastoreRequest { datastore_id: datastore_id.clone() };
        let properties = service.get_datastore(request).await?.datastore_properties;
        let status = properties.datastore_status;
        if matches!(status, DatastoreStatus::Deleting | DatastoreStatus::Deleted) {
            return Err(Error::conflict(format!("data store {datastore_id} is {status} already")));
        }
        if status == DatastoreStatus::Active {
            let request = SearchImageSetsRequest {
                datastore_id: datastore_id.clone(),
                search_criteria: SearchCriteria::default(),
                next_token: None,
                max_results: Some(1),
            };
            let found = service.search_image_sets(request).await?;
            if !found.image_sets_metadata_summaries.is_empty() {
                return Err(Error::conflict(format!(
                    "data store {datastore_id} still holds image sets; delete them first, because \
                     only an empty data store can be deleted"
                )));
            }
        }
        let action = format!("delete the empty data store {datastore_id} permanently");
        let mut plan = Plan::new(action, datastore_id);
        plan.notes.push(format!("Its name is {}.", properties.datastore_name));
        Ok(plan)
    }

    async fn carry_out(self, plan: Plan, context: &Context) -> Result<Reply<Self::Output>> {
        let request = DeleteDatastoreRequest { datastore_id: plan.datastore_id };
        let deleted = context.service().delete_datastore(request).await?;
        context.announce_datastores();
        let text = format!("Data store {} is {}.", deleted.datastore_id, deleted.datastore_status);
        Ok(Reply::new(deleted, text))
    }
}
