//! Data stores and tags.

use std::collections::{BTreeMap, HashMap};

use aws_sdk_medicalimaging::operation::create_datastore::CreateDatastoreOutput;
use aws_sdk_medicalimaging::operation::delete_datastore::DeleteDatastoreOutput;
use aws_sdk_medicalimaging::operation::get_datastore::GetDatastoreOutput;
use aws_sdk_medicalimaging::operation::list_datastores::ListDatastoresOutput;
use aws_sdk_medicalimaging::types as sdk;
use healthimaging::model::{
    CreateDatastoreResponse, DatastoreProperties, DatastoreSummary, DeleteDatastoreResponse,
    GetDatastoreResponse, ListDatastoresResponse, ListTagsForResourceResponse,
};
use healthimaging::{Result, TagKey, TagValue};

use super::{known_value, optional_timestamp, parse, parse_optional, parse_value, required};

pub(crate) fn tags(tags: BTreeMap<TagKey, TagValue>) -> HashMap<String, String> {
    tags.into_iter().map(|(key, value)| (key.into(), value.into())).collect()
}

pub(crate) fn listed_tags(tags: HashMap<String, String>) -> Result<ListTagsForResourceResponse> {
    let tags = tags
        .into_iter()
        .map(|(key, value)| Ok((parse(key)?, parse(value)?)))
        .collect::<Result<_>>()?;
    Ok(ListTagsForResourceResponse { tags })
}

pub(crate) fn created(output: CreateDatastoreOutput) -> Result<CreateDatastoreResponse> {
    Ok(CreateDatastoreResponse {
        datastore_id: parse(output.datastore_id)?,
        datastore_status: parse_value(output.datastore_status.as_str())?,
    })
}

pub(crate) fn deleted(output: DeleteDatastoreOutput) -> Result<DeleteDatastoreResponse> {
    Ok(DeleteDatastoreResponse {
        datastore_id: parse(output.datastore_id)?,
        datastore_status: parse_value(output.datastore_status.as_str())?,
    })
}

pub(crate) fn got(output: GetDatastoreOutput) -> Result<GetDatastoreResponse> {
    let found = required(output.datastore_properties, "datastoreProperties")?;
    Ok(GetDatastoreResponse {
        datastore_properties: DatastoreProperties {
            datastore_id: parse(found.datastore_id)?,
            datastore_name: found.datastore_name,
            datastore_status: parse_value(found.datastore_status.as_str())?,
            kms_key_arn: parse_optional(found.kms_key_arn)?,
            lambda_authorizer_arn: parse_optional(found.lambda_authorizer_arn)?,
            lossless_storage_format: known_value(found.lossless_storage_format),
            datastore_arn: parse_optional(found.datastore_arn)?,
            created_at: optional_timestamp(found.created_at)?,
            updated_at: optional_timestamp(found.updated_at)?,
        },
    })
}

pub(crate) fn listed(output: ListDatastoresOutput) -> Result<ListDatastoresResponse> {
    let found = output.datastore_summaries.unwrap_or_default();
    Ok(ListDatastoresResponse {
        datastore_summaries: found.into_iter().map(summary).collect::<Result<_>>()?,
        next_token: parse_optional(output.next_token)?,
    })
}

fn summary(found: sdk::DatastoreSummary) -> Result<DatastoreSummary> {
    Ok(DatastoreSummary {
        datastore_id: parse(found.datastore_id)?,
        datastore_name: found.datastore_name,
        datastore_status: parse_value(found.datastore_status.as_str())?,
        datastore_arn: parse_optional(found.datastore_arn)?,
        created_at: optional_timestamp(found.created_at)?,
        updated_at: optional_timestamp(found.updated_at)?,
    })
}
