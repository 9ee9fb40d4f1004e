//! Data stores: create, show, list, delete.

use healthimaging::model::{
    CreateDatastoreRequest, CreateDatastoreResponse, DatastoreProperties, DatastoreStatus,
    DatastoreSummary, DeleteDatastoreRequest, DeleteDatastoreResponse, GetDatastoreRequest,
    GetDatastoreResponse, ListDatastoresRequest, ListDatastoresResponse, LosslessStorageFormat,
};
use healthimaging::{DatastoreId, DatastoreName, Error, JobId};
use serde_json::json;

use super::deferred;
use super::paging::{self, Position};
use crate::catalog::client_tokens::{self, Repeat};
use crate::catalog::datastores::{self, DatastoreRow, NewDatastore};
use crate::catalog::writes::{self, Work};
use crate::catalog::{Tx, tags};
use crate::clock::Millis;
use crate::error::Result;
use crate::quotas::within;
use crate::shared::{Shared, SharedStore};

/// Creates a data store: `CREATING` now, `ACTIVE` soon.
pub(crate) async fn create(
    shared: &SharedStore,
    request: CreateDatastoreRequest,
) -> Result<CreateDatastoreResponse> {
    let at = shared.now();
    let owner = shared.lifecycle.process.clone();
    let quota = shared.config.quotas.datastores;
    let (answer, work) =
        shared.catalog.write(move |tx| create_in(tx, &request, quota, &owner, at)).await?;
    deferred::spawn(shared, work);
    Ok(answer)
}

/// The data store of this name, which is made if there is none; in one transaction, so that concurrent calls
/// make one.
pub(crate) async fn find_or_create(
    shared: &SharedStore,
    name: DatastoreName,
) -> Result<DatastoreId> {
    let at = shared.now();
    let owner = shared.lifecycle.process.clone();
    let quota = shared.config.quotas.datastores;
    let (id, work) = shared
        .catalog
        .write(move |tx| match &datastores::named(tx, name.as_str())?[..] {
            [] => {
                let request = CreateDatastoreRequest {
                    datastore_name: Some(name),
                    ..CreateDatastoreRequest::default()
                };
                let (made, work) = create_in(tx, &request, quota, &owner, at)?;
                Ok((made.datastore_id, work))
            }
            [only] => Ok((only.id.clone(), None)),
            several => Err(Error::conflict(format!(
                "{} data stores have this name; name one by its datastore_id",
                several.len()
            ))
            .into()),
        })
        .await?;
    deferred::spawn(shared, work);
    Ok(id)
}

fn create_in(
    tx: &Tx<'_>,
    request: &CreateDatastoreRequest,
    quota: u64,
    owner: &str,
    at: Millis,
) -> Result<(CreateDatastoreResponse, Option<JobId>)> {
    let tags: Vec<_> =
        request.tags.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
    let repeat = Repeat::new(
        "CreateDatastore",
        "",
        request.client_token.as_ref(),
        &json!([
            request.datastore_name,
            tags,
            request.kms_key_arn,
            request.lambda_authorizer_arn,
            request.lossless_storage_format,
        ]),
    );
    let id = match client_tokens::earlier(tx, &repeat, at)? {
        Some(earlier) => {
            return Ok((
                CreateDatastoreResponse {
                    datastore_id: earlier.try_into()?,
                    datastore_status: DatastoreStatus::Creating,
                },
                None,
            ));
        }
        None => DatastoreId::random()?,
    };
    within(quota, datastores::count(tx)? + 1, "data stores")?;
    let row = datastores::insert(
        tx,
        &NewDatastore {
            name: request
                .datastore_name
                .as_ref()
                .map_or_else(|| id.to_string(), ToString::to_string),
            id: id.clone(),
            kms_key_arn: request.kms_key_arn.clone(),
            lambda_authorizer_arn: request.lambda_authorizer_arn.clone(),
            format: request.lossless_storage_format.unwrap_or(LosslessStorageFormat::Htj2k),
        },
        at,
    )?;
    tags::write(tx, &tags::datastore_key(&id), &request.tags)?;
    client_tokens::record(tx, &repeat, id.as_str(), at)?;
    let work = writes::insert(tx, owner, &Work::CreateDatastore { row }, at)?;
    let answer =
        CreateDatastoreResponse { datastore_id: id, datastore_status: DatastoreStatus::Creating };
    Ok((answer, Some(work)))
}

/// All about a data store, also a deleted one while its tombstone stands.
pub(crate) async fn get(
    shared: &SharedStore,
    request: GetDatastoreRequest,
) -> Result<GetDatastoreResponse> {
    let id = request.datastore_id;
    let found = shared.catalog.read(move |reader| datastores::find(reader, &id)).await?;
    Ok(GetDatastoreResponse {
        datastore_properties: DatastoreProperties {
            datastore_arn: Some(shared.config.datastore_arn(&found.id)?),
            datastore_id: found.id,
            datastore_name: found.name,
            datastore_status: found.status,
            kms_key_arn: found.kms_key_arn,
            lambda_authorizer_arn: found.lambda_authorizer_arn,
            lossless_storage_format: Some(found.format),
            created_at: Some(found.created_at.into()),
            updated_at: Some(found.updated_at.into()),
        },
    })
}

/// A page of data stores, newest first.
pub(crate) async fn list(
    shared: &SharedStore,
    request: ListDatastoresRequest,
) -> Result<ListDatastoresResponse> {
    let size = paging::page_size(request.max_results)?;
    let status = request.datastore_status;
    let query = ("ListDatastores", status);
    let after: Option<Position<i64>> = paging::after(request.next_token.as_ref(), &query)?;
    let mut rows = shared
        .catalog
        .read(move |reader| {
            let after = after.map(|place| (place.key, place.row));
            datastores::page(reader, status, after, size + 1)
        })
        .await?;
    let next_token = paging::cut(&mut rows, size, &query, |row| Position {
        key: row.created_at.0,
        row: row.row,
    })?;
    Ok(ListDatastoresResponse {
        datastore_summaries: rows
            .into_iter()
            .map(|row| summary(shared, row))
            .collect::<Result<_>>()?,
        next_token,
    })
}

fn summary(shared: &Shared, found: DatastoreRow) -> Result<DatastoreSummary> {
    Ok(DatastoreSummary {
        datastore_arn: Some(shared.config.datastore_arn(&found.id)?),
        datastore_id: found.id,
        datastore_name: found.name,
        datastore_status: found.status,
        created_at: Some(found.created_at.into()),
        updated_at: Some(found.updated_at.into()),
    })
}

/// Deletes an empty data store: `DELETING` now, `DELETED` soon.
pub(crate) async fn delete(
    shared: &SharedStore,
    request: DeleteDatastoreRequest,
) -> Result<DeleteDatastoreResponse> {
    let at = shared.now();
    let owner = shared.lifecycle.process.clone();
    let id = request.datastore_id.clone();
    let work = shared
        .catalog
        .write(move |tx| {
            let found = datastores::find(tx, &id)?;
            if found.status != DatastoreStatus::Active {
                return Err(Error::conflict(format!(
                    "the data store is {}; only an ACTIVE one can be deleted",
                    found.status
                ))
                .into());
            }
            datastores::check_empty(tx, &found)?;
            datastores::set_status(tx, found.row, DatastoreStatus::Deleting, at)?;
            writes::insert(tx, &owner, &Work::DeleteDatastore { row: found.row }, at)
        })
        .await?;
    deferred::spawn(shared, Some(work));
    Ok(DeleteDatastoreResponse {
        datastore_id: request.datastore_id,
        datastore_status: DatastoreStatus::Deleting,
    })
}
