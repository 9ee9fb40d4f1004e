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

use super::{moment_maybe, part, told, told_maybe, word, word_maybe};

pub(crate) fn tags(tags: BTreeMap<TagKey, TagValue>) -> HashMap<String, String> {
    tags.into_iter().map(|(key, value)| (key.into(), value.into())).collect()
}

pub(crate) fn listed_tags(tags: HashMap<String, String>) -> Result<ListTagsForResourceResponse> {
    let tags = tags
        .into_iter()
        .map(|(key, value)| Ok((told(key)?, told(value)?)))
        .collect::<Result<_>>()?;
    Ok(ListTagsForResourceResponse { tags })
}

pub(crate) fn created(output: CreateDatastoreOutput) -> Result<CreateDatastoreResponse> {
    Ok(CreateDatastoreResponse {
        datastore_id: told(output.datastore_id)?,
        datastore_status: word(output.datastore_status.as_str())?,
    })
}

pub(crate) fn deleted(output: DeleteDatastoreOutput) -> Result<DeleteDatastoreResponse> {
    Ok(DeleteDatastoreResponse {
        datastore_id: told(output.datastore_id)?,
        datastore_status: word(output.datastore_status.as_str())?,
    })
}

pub(crate) fn got(output: GetDatastoreOutput) -> Result<GetDatastoreResponse> {
    let found = part(output.datastore_properties, "datastoreProperties")?;
    Ok(GetDatastoreResponse {
        datastore_properties: DatastoreProperties {
            datastore_id: told(found.datastore_id)?,
            datastore_name: found.datastore_name,
            datastore_status: word(found.datastore_status.as_str())?,
            kms_key_arn: told_maybe(found.kms_key_arn)?,
            lambda_authorizer_arn: told_maybe(found.lambda_authorizer_arn)?,
            lossless_storage_format: word_maybe(found.lossless_storage_format),
            datastore_arn: told_maybe(found.datastore_arn)?,
            created_at: moment_maybe(found.created_at)?,
            updated_at: moment_maybe(found.updated_at)?,
        },
    })
}

pub(crate) fn listed(output: ListDatastoresOutput) -> Result<ListDatastoresResponse> {
    let found = output.datastore_summaries.unwrap_or_default();
    Ok(ListDatastoresResponse {
        datastore_summaries: found.into_iter().map(summary).collect::<Result<_>>()?,
        next_token: told_maybe(output.next_token)?,
    })
}

fn summary(found: sdk::DatastoreSummary) -> Result<DatastoreSummary> {
    Ok(DatastoreSummary {
        datastore_id: told(found.datastore_id)?,
        datastore_name: found.datastore_name,
        datastore_status: word(found.datastore_status.as_str())?,
        datastore_arn: told_maybe(found.datastore_arn)?,
        created_at: moment_maybe(found.created_at)?,
        updated_at: moment_maybe(found.updated_at)?,
    })
}
