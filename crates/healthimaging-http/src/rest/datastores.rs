//! Data stores.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::response::Response;
use healthimaging::model::{
    self, CreateDatastoreRequest, DatastoreStatus, DeleteDatastoreRequest, GetDatastoreRequest,
    ListDatastoresRequest, LosslessStorageFormat,
};
use healthimaging::{
    ClientToken, DatastoreId, DatastoreName, HealthImaging, KmsKeyArn, LambdaArn, NextToken,
    ResourceArn, Result, TagKey, TagValue,
};
use serde::Deserialize;

use super::wire::{EpochSeconds, List, wire};
use crate::call::{Call, json};

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct CreateDatastore {
    datastore_name: Option<DatastoreName>,
    client_token: ClientToken,
    tags: Option<BTreeMap<TagKey, TagValue>>,
    kms_key_arn: Option<KmsKeyArn>,
    lambda_authorizer_arn: Option<LambdaArn>,
    lossless_storage_format: Option<LosslessStorageFormat>,
}

wire! {
    Created from model::CreateDatastoreResponse {
        datastore_id: DatastoreId,
        datastore_status: DatastoreStatus,
    }
}

pub(super) async fn create(service: Arc<dyn HealthImaging>, call: Call) -> Result<Response> {
    let body: CreateDatastore = call.body()?;
    let request = CreateDatastoreRequest {
        datastore_name: body.datastore_name,
        client_token: Some(body.client_token),
        tags: body.tags.unwrap_or_default(),
        kms_key_arn: body.kms_key_arn,
        lambda_authorizer_arn: body.lambda_authorizer_arn,
        lossless_storage_format: body.lossless_storage_format,
    };
    json(&Created::from(service.create_datastore(request).await?))
}

wire! {
    Got from model::GetDatastoreResponse {
        datastore_properties: Properties,
    }
}

wire! {
    Properties from model::DatastoreProperties {
        datastore_id: DatastoreId,
        datastore_name: String,
        datastore_status: DatastoreStatus,
        ;
        kms_key_arn: KmsKeyArn,
        lambda_authorizer_arn: LambdaArn,
        lossless_storage_format: LosslessStorageFormat,
        datastore_arn: ResourceArn,
        created_at: EpochSeconds,
        updated_at: EpochSeconds,
    }
}

pub(super) async fn get(service: Arc<dyn HealthImaging>, call: Call) -> Result<Response> {
    let request = GetDatastoreRequest { datastore_id: call.path("datastoreId")? };
    json(&Got::from(service.get_datastore(request).await?))
}

wire! {
    Listed from model::ListDatastoresResponse {
        datastore_summaries: List<Summary>,
        ;
        next_token: NextToken,
    }
}

wire! {
    Summary from model::DatastoreSummary {
        datastore_id: DatastoreId,
        datastore_name: String,
        datastore_status: DatastoreStatus,
        ;
        datastore_arn: ResourceArn,
        created_at: EpochSeconds,
        updated_at: EpochSeconds,
    }
}

pub(super) async fn list(service: Arc<dyn HealthImaging>, call: Call) -> Result<Response> {
    let request = ListDatastoresRequest {
        datastore_status: call.query("datastoreStatus")?,
        next_token: call.query("nextToken")?,
        max_results: call.page_size()?,
    };
    json(&Listed::from(service.list_datastores(request).await?))
}

wire! {
    Deleted from model::DeleteDatastoreResponse {
        datastore_id: DatastoreId,
        datastore_status: DatastoreStatus,
    }
}

pub(super) async fn delete(service: Arc<dyn HealthImaging>, call: Call) -> Result<Response> {
    let request = DeleteDatastoreRequest { datastore_id: call.path("datastoreId")? };
    json(&Deleted::from(service.delete_datastore(request).await?))
}
