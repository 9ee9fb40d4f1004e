//! Image sets: state, versions, metadata, frames.

use std::sync::Arc;

use bytes::Bytes;
use chrono::TimeDelta;
use futures::stream::{self, StreamExt};
use healthimaging::model::{
    GetImageFrameRequest, GetImageFrameResponse, GetImageSetMetadataRequest,
    GetImageSetMetadataResponse, GetImageSetRequest, GetImageSetResponse, ImageSetProperties,
    ImageSetState, ListImageSetVersionsRequest, ListImageSetVersionsResponse, Overrides,
    StorageTier,
};
use healthimaging::{Body, DatastoreId, Error};
use healthimaging_packs::{BlobKind, BlobLocation};
use healthimaging_pixels::{jp2_header, jp2_header_length};

use super::paging::{self, Position};
use crate::catalog::Reader;
use crate::catalog::content::StoredContent;
use crate::catalog::documents::{check, is_current};
use crate::catalog::image_sets::{self, ImageSetRow, VersionRow};
use crate::catalog::packs;
use crate::catalog::{blocks, content, datastores};
use crate::clock::Millis;
use crate::documents::Name;
use crate::error::Result;
use crate::shared::{Shared, SharedStore};

/// A set that has not been read for this time is in the archive tier, as in AWS.
const UNTIL_ARCHIVE: TimeDelta = TimeDelta::days(30);

/// The state of an image set; of a deleted one too, while its tombstone stands.
pub(crate) async fn get(
    shared: &SharedStore,
    request: GetImageSetRequest,
) -> Result<GetImageSetResponse> {
    let (datastore, id) = (request.datastore_id.clone(), request.image_set_id.clone());
    let (set, version) = shared
        .catalog
        .read(move |reader| {
            let datastore = datastores::find_active(reader, &datastore)?;
            let set = image_sets::find(reader, datastore.row, &id)?;
            let wanted = request.version_id.map_or(u64::from(set.latest_version), |id| id.number());
            let version = image_sets::version(reader, set.row, wanted)?;
            Ok((set, version))
        })
        .await?;
    let last_accessed = last_accessed(shared, &set);
    Ok(GetImageSetResponse {
        image_set_arn: Some(shared.config.image_set_arn(&request.datastore_id, &set.id)?),
        datastore_id: request.datastore_id,
        last_accessed_at: Some(last_accessed.into()),
        storage_tier: Some(storage_tier(shared, &set)),
        properties: properties(&set, version),
    })
}

/// When an image set was last read or, if it never was, made.
pub(crate) fn last_accessed(shared: &Shared, set: &ImageSetRow) -> Millis {
    shared.caches.accesses.last(set.row, set.last_accessed_at).unwrap_or(set.created_at)
}

/// The tier that AWS would keep an image set in.
pub(crate) fn storage_tier(shared: &Shared, set: &ImageSetRow) -> StorageTier {
    if last_accessed(shared, set) < shared.now().minus(UNTIL_ARCHIVE) {
        StorageTier::ArchiveInstantAccess
    } else {
        StorageTier::FrequentAccess
    }
}

/// The properties of a version. The latest one has the state of the set itself: locked while the
/// set is copied from or deleted, without a new version.
fn properties(set: &ImageSetRow, version: VersionRow) -> ImageSetProperties {
    let latest = version.version == set.latest_version;
    let (state, workflow, updated_at) = if latest {
        (set.state, set.workflow, set.updated_at)
    } else {
        (version.state, version.workflow, version.updated_at)
    };
    ImageSetProperties {
        image_set_id: set.id.clone(),
        version_id: version.version.into(),
        image_set_state: state,
        image_set_workflow_status: Some(workflow),
        created_at: Some(set.created_at.into()),
        updated_at: Some(updated_at.into()),
        deleted_at: set.deleted_at.map(Into::into),
        message: version.message,
        overrides: version.forced.then_some(Overrides { forced: true }),
        is_primary: Some(set.is_primary),
    }
}

/// A page of versions, newest first.
pub(crate) async fn versions(
    shared: &SharedStore,
    request: ListImageSetVersionsRequest,
) -> Result<ListImageSetVersionsResponse> {
    let size = paging::page_size(request.max_results)?;
    let query =
        ("ListImageSetVersions", request.datastore_id.clone(), request.image_set_id.clone());
    let after: Option<Position<()>> = paging::after(request.next_token.as_ref(), &query)?;
    let (set, mut rows) = shared
        .catalog
        .read(move |reader| {
            let datastore = datastores::find_active(reader, &request.datastore_id)?;
            let set = image_sets::find(reader, datastore.row, &request.image_set_id)?;
            let before = after.map(|place| place.row);
            let rows = image_sets::versions(reader, set.row, before, size + 1)?;
            Ok((set, rows))
        })
        .await?;
    let next_token =
        paging::cut(&mut rows, size, &query, |row| Position { key: (), row: row.version.into() })?;
    Ok(ListImageSetVersionsResponse {
        image_set_properties_list: rows.into_iter().map(|row| properties(&set, row)).collect(),
        next_token,
    })
}

/// The metadata document of a version; while a write is under way, that of the last good one.
pub(crate) async fn metadata(
    shared: &SharedStore,
    request: GetImageSetMetadataRequest,
) -> Result<GetImageSetMetadataResponse> {
    let at = shared.now();
    let (datastore, id) = (request.datastore_id.clone(), request.image_set_id.clone());
    let (row, holder, stored) = shared
        .catalog
        .read(move |reader| {
            let set = image_sets::find_in(reader, &request.datastore_id, &request.image_set_id)?;
            let wanted = request.version_id.map_or(u64::from(set.latest_version), |id| id.number());
            let version = image_sets::version(reader, set.row, wanted)?;
            let holder = version.content_version.ok_or_else(|| nothing_yet(&set))?;
            if blocks::count(reader, set.row, holder)?.is_some() {
                return Ok((set.row, holder, None));
            }
            let stored = content::held(reader, set.row, holder)?;
            check(&stored)?;
            Ok((set.row, holder, Some(stored)))
        })
        .await?;
    shared.caches.accesses.note(row, at);
    let name = (id, holder);
    let served_name = shared.caches.documents.served_name(&name);
    let document = match stored {
        Some(stored) if is_current(&stored) => stored.document.into(),
        Some(stored) => served(shared, stored, datastore, name).await?.into(),
        // Read when the body is read: a caller that has the content of this name needs no more of it.
        None => {
            let shared = Arc::clone(shared);
            let read = async move {
                let (in_datastore, of_set) = (datastore.clone(), name.0.clone());
                let read = move |reader: &Reader| {
                    let set = image_sets::find_in(reader, &in_datastore, &of_set)?;
                    content::held(reader, set.row, holder)
                };
                let stored = shared.catalog.read(read).await?;
                Ok(served(&shared, stored, datastore, name).await?)
            };
            Body::from_stream(stream::once(read).boxed(), None)
        }
    };
    Ok(GetImageSetMetadataResponse {
        image_set_metadata: document.named(served_name),
        content_type: "application/json".to_owned(),
        content_encoding: "gzip".to_owned(),
    })
}

/// A document of an earlier form, or in blocks, as it is served.
async fn served(
    shared: &SharedStore,
    stored: StoredContent,
    datastore: DatastoreId,
    name: Name,
) -> Result<Bytes> {
    let shared = Arc::clone(shared);
    let convert = move || shared.caches.documents.served(&stored, &datastore, name);
    tokio::task::spawn_blocking(convert).await?
}

fn nothing_yet(set: &ImageSetRow) -> Error {
    if set.state == ImageSetState::Locked {
        Error::conflict(format!(
            "the image set is still being made ({}); wait until it is ACTIVE",
            set.workflow
        ))
    } else {
        Error::not_found("the image set has no content, because making it failed; delete it")
    }
}

/// A stored frame.
pub(crate) async fn frame(
    shared: &SharedStore,
    request: GetImageFrameRequest,
) -> Result<GetImageFrameResponse> {
    let at = shared.now();
    let task = Arc::clone(shared);
    let (row, place, image_frame) = tokio::task::spawn_blocking(move || {
        let found = task.catalog.read_blocking(|reader| find_frame(reader, &request))?;
        let body = as_served(&task, &found.1).or_else(|error| {
            // A deletion may have come between; then the frame is not there, rather than damaged.
            let again = |reader: &Reader| find_frame(reader, &request);
            task.catalog.read_blocking(again).and(Err(error))
        })?;
        Result::<_>::Ok((found.0, found.1, body))
    })
    .await??;
    shared.caches.accesses.note(row, at);
    let syntax = place.transfer_syntax.as_deref();
    Ok(GetImageFrameResponse {
        image_frame,
        content_type: healthimaging_pixels::content_type(syntax).to_owned(),
    })
}

/// The frame as AWS serves it: HTJ2K in a JP2 file. Blocks.
fn as_served(shared: &Shared, at: &BlobLocation) -> Result<Body> {
    let length = at.transfer_syntax.as_deref().map_or(0, jp2_header_length);
    // Pixel data kept whole, as received, begins with an item and not with a codestream.
    shared.blobs.body(at, |start| {
        let header = if length > 0 { jp2_header(start) } else { None };
        header.unwrap_or_default()
    })
}

fn find_frame(reader: &Reader, request: &GetImageFrameRequest) -> Result<(i64, BlobLocation)> {
    let set = image_sets::find_in(reader, &request.datastore_id, &request.image_set_id)?;
    packs::blob(reader, set.row, &request.image_frame_id)?
        .filter(|blob| blob.kind == BlobKind::Frame)
        .map(|blob| (set.row, blob))
        .ok_or_else(|| Error::not_found("the image set has no frame with this imageFrameId").into())
}
