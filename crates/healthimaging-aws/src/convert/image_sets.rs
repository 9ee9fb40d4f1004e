//! Image sets: state, versions, metadata, frames, change, copy, deletion.

use aws_sdk_medicalimaging::operation::copy_image_set::CopyImageSetOutput;
use aws_sdk_medicalimaging::operation::delete_image_set::DeleteImageSetOutput;
use aws_sdk_medicalimaging::operation::get_image_frame::GetImageFrameOutput;
use aws_sdk_medicalimaging::operation::get_image_set::GetImageSetOutput;
use aws_sdk_medicalimaging::operation::get_image_set_metadata::GetImageSetMetadataOutput;
use aws_sdk_medicalimaging::operation::list_image_set_versions::ListImageSetVersionsOutput;
use aws_sdk_medicalimaging::operation::update_image_set_metadata::UpdateImageSetMetadataOutput;
use aws_sdk_medicalimaging::primitives::Blob;
use aws_sdk_medicalimaging::types as sdk;
use bytes::Bytes;
use healthimaging::Result;
use healthimaging::model::{
    CopiedImageSetProperties, CopyImageSetInformation, CopyImageSetResponse,
    DeleteImageSetResponse, GetImageFrameResponse, GetImageSetMetadataResponse,
    GetImageSetResponse, ImageSetProperties, ListImageSetVersionsResponse, MetadataUpdates,
    Overrides, UpdateImageSetMetadataResponse,
};

use super::{
    body, known_value, optional_timestamp, parse, parse_optional, parse_value, required, unbuilt,
};

fn overrides(found: Option<sdk::Overrides>) -> Option<Overrides> {
    let forced = found?.forced?;
    Some(Overrides { forced })
}

pub(crate) fn got(output: GetImageSetOutput) -> Result<GetImageSetResponse> {
    Ok(GetImageSetResponse {
        datastore_id: parse(output.datastore_id)?,
        properties: ImageSetProperties {
            image_set_id: parse(output.image_set_id)?,
            version_id: parse(output.version_id)?,
            image_set_state: parse_value(output.image_set_state.as_str())?,
            image_set_workflow_status: known_value(output.image_set_workflow_status),
            created_at: optional_timestamp(output.created_at)?,
            updated_at: optional_timestamp(output.updated_at)?,
            deleted_at: optional_timestamp(output.deleted_at)?,
            message: output.message,
            overrides: overrides(output.overrides),
            is_primary: output.is_primary,
        },
        image_set_arn: parse_optional(output.image_set_arn)?,
        last_accessed_at: optional_timestamp(output.last_accessed_at)?,
        storage_tier: known_value(output.storage_tier),
    })
}

pub(crate) fn versions(output: ListImageSetVersionsOutput) -> Result<ListImageSetVersionsResponse> {
    let found = output.image_set_properties_list;
    Ok(ListImageSetVersionsResponse {
        image_set_properties_list: found.into_iter().map(version).collect::<Result<_>>()?,
        next_token: parse_optional(output.next_token)?,
    })
}

fn version(found: sdk::ImageSetProperties) -> Result<ImageSetProperties> {
    Ok(ImageSetProperties {
        image_set_id: parse(found.image_set_id)?,
        version_id: parse(found.version_id)?,
        image_set_state: parse_value(found.image_set_state.as_str())?,
        image_set_workflow_status: known_value(found.image_set_workflow_status),
        created_at: optional_timestamp(found.created_at)?,
        updated_at: optional_timestamp(found.updated_at)?,
        deleted_at: optional_timestamp(found.deleted_at)?,
        message: found.message,
        overrides: overrides(found.overrides),
        is_primary: found.is_primary,
    })
}

pub(crate) fn metadata(output: GetImageSetMetadataOutput) -> GetImageSetMetadataResponse {
    GetImageSetMetadataResponse {
        image_set_metadata: body(output.image_set_metadata_blob),
        content_type: output.content_type.unwrap_or_else(|| "application/json".to_owned()),
        content_encoding: output.content_encoding.unwrap_or_else(|| "gzip".to_owned()),
    }
}

pub(crate) fn frame(output: GetImageFrameOutput) -> GetImageFrameResponse {
    GetImageFrameResponse {
        image_frame: body(output.image_frame_blob),
        content_type: output.content_type.unwrap_or_else(|| "application/octet-stream".to_owned()),
    }
}

pub(crate) fn updates(asked: MetadataUpdates) -> sdk::MetadataUpdates {
    let blob = |document: Option<Bytes>| document.map(|bytes| Blob::new(bytes.to_vec()));
    match asked {
        MetadataUpdates::DicomUpdates { removable_attributes, updatable_attributes } => {
            sdk::MetadataUpdates::DicomUpdates(
                sdk::DicomUpdates::builder()
                    .set_removable_attributes(blob(removable_attributes))
                    .set_updatable_attributes(blob(updatable_attributes))
                    .build(),
            )
        }
        MetadataUpdates::RevertToVersion(version) => {
            sdk::MetadataUpdates::RevertToVersionId(version.into())
        }
    }
}

pub(crate) fn updated(
    output: UpdateImageSetMetadataOutput,
) -> Result<UpdateImageSetMetadataResponse> {
    Ok(UpdateImageSetMetadataResponse {
        datastore_id: parse(output.datastore_id)?,
        image_set_id: parse(output.image_set_id)?,
        latest_version_id: parse(output.latest_version_id)?,
        image_set_state: parse_value(output.image_set_state.as_str())?,
        image_set_workflow_status: known_value(output.image_set_workflow_status),
        created_at: optional_timestamp(output.created_at)?,
        updated_at: optional_timestamp(output.updated_at)?,
        message: output.message,
    })
}

pub(crate) fn copy_information(
    asked: CopyImageSetInformation,
) -> Result<sdk::CopyImageSetInformation> {
    let part = asked.source_image_set.dicom_copies.map(|copies| {
        sdk::MetadataCopies::builder()
            .copiable_attributes(copies.copiable_attributes)
            .build()
            .map_err(unbuilt)
    });
    let source = sdk::CopySourceImageSetInformation::builder()
        .latest_version_id(asked.source_image_set.latest_version_id)
        .set_dicom_copies(part.transpose()?)
        .build()
        .map_err(unbuilt)?;
    let destination = asked.destination_image_set.map(|destination| {
        sdk::CopyDestinationImageSet::builder()
            .image_set_id(destination.image_set_id)
            .latest_version_id(destination.latest_version_id)
            .build()
            .map_err(unbuilt)
    });
    Ok(sdk::CopyImageSetInformation::builder()
        .source_image_set(source)
        .set_destination_image_set(destination.transpose()?)
        .build())
}

/// The SDK has one type for each side, with the same fields.
macro_rules! copied_side {
    ($found:expr) => {{
        let found = $found;
        CopiedImageSetProperties {
            image_set_id: parse(found.image_set_id)?,
            latest_version_id: parse(found.latest_version_id)?,
            image_set_state: known_value(found.image_set_state),
            image_set_workflow_status: known_value(found.image_set_workflow_status),
            created_at: optional_timestamp(found.created_at)?,
            updated_at: optional_timestamp(found.updated_at)?,
            image_set_arn: parse_optional(found.image_set_arn)?,
        }
    }};
}

pub(crate) fn copied(output: CopyImageSetOutput) -> Result<CopyImageSetResponse> {
    let source = required(output.source_image_set_properties, "sourceImageSetProperties")?;
    let destination =
        required(output.destination_image_set_properties, "destinationImageSetProperties")?;
    Ok(CopyImageSetResponse {
        datastore_id: parse(output.datastore_id)?,
        source_image_set_properties: copied_side!(source),
        destination_image_set_properties: copied_side!(destination),
    })
}

pub(crate) fn deleted(output: DeleteImageSetOutput) -> Result<DeleteImageSetResponse> {
    Ok(DeleteImageSetResponse {
        datastore_id: parse(output.datastore_id)?,
        image_set_id: parse(output.image_set_id)?,
        image_set_state: parse_value(output.image_set_state.as_str())?,
        image_set_workflow_status: parse_value(output.image_set_workflow_status.as_str())?,
    })
}
