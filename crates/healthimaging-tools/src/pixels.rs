//! The pixels of a frame in pieces, for the viewer: a deflate stream (RFC 1951) that is cut, each piece in base64.

use std::collections::VecDeque;
use std::io::Write as _;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use flate2::Compression;
use flate2::write::DeflateEncoder;
use healthimaging::model::{GetImageSetRequest, ImageSetState};
use healthimaging::{
    DatastoreId, Error, HealthImaging, ImageFrameId, ImageSetId, MemoryBudget, MemoryLease, Result,
    Uid,
};
use healthimaging_pixels::Decoder;
use healthimaging_render::{FrameSelector, NativeFrame, RenderError, native};
use serde_json::{Value, json};

use crate::base64_text;
use crate::picture;
use crate::versions::Documents;

/// Longest piece in bytes: 500,000 characters of base64, which hosts pass on.
const LONGEST_PIECE: usize = 375_000;

/// A frame: its data store, image set and ID, and its number where all frames of an instance are stored as one.
pub(crate) type Place = (DatastoreId, ImageSetId, ImageFrameId, Option<u32>);

/// Frames of several pieces that are kept until all pieces were read. Frames have many pieces only if they are large, and
/// the viewer loads three at once.
const KEPT: usize = 4;

/// A frame of which pieces are still to be read.
struct Kept {
    place: Place,
    packed: Arc<Packed>,
    left: usize,
    _lease: MemoryLease,
}

/// A frame, deflated.
struct Packed {
    /// What the pixels are, in JSON.
    description: Value,
    stream: Bytes,
}

impl Packed {
    fn pieces(&self) -> usize {
        self.stream.len().div_ceil(LONGEST_PIECE).max(1)
    }
}

/// The least recently made first.
static KEEP: Mutex<VecDeque<Kept>> = Mutex::new(VecDeque::new());

fn keep() -> MutexGuard<'static, VecDeque<Kept>> {
    KEEP.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Returns a piece of the pixels of a frame, from 0, as JSON. The image set is always read first.
pub(crate) async fn piece(
    documents: Documents<'_>,
    decoder: &Decoder,
    place: Place,
    number: usize,
) -> Result<String> {
    let (datastore_id, image_set_id, frame, frame_number) = &place;
    let service = documents.service;
    let by_id = FrameSelector::Id(frame.clone());
    let mut location = picture::locate(documents, datastore_id, image_set_id, None, &by_id).await?;
    if let Some(frame_number) = frame_number {
        let uid = Uid::try_from(location.sop_instance_uid.as_str())?;
        let by_number = FrameSelector::Number(uid, *frame_number);
        location = picture::locate(documents, datastore_id, image_set_id, None, &by_number).await?;
    }
    let packed = if let Some(packed) = taken(&place) {
        // The frame itself is not asked for, and the service may still describe what was deleted.
        exists(service, datastore_id, image_set_id).await?;
        packed
    } else {
        let owner = (datastore_id, image_set_id);
        let (_, packed) =
            picture::decoded(service, decoder, owner, location, |decoder, location, stored| {
                pack(native(decoder, location, stored)?)
            })
            .await?;
        kept(&place, packed)
    };
    let pieces = packed.pieces();
    let start = number.saturating_mul(LONGEST_PIECE).min(packed.stream.len());
    let end = start.saturating_add(LONGEST_PIECE).min(packed.stream.len());
    if number >= pieces {
        return Err(Error::validation(format!(
            "the frame has {pieces} pieces; chunk is from 0 to {}",
            pieces - 1
        )));
    }
    let mut document = packed.description.clone();
    document["chunk"] = json!(number);
    document["chunks"] = json!(pieces);
    let data = packed.stream.get(start..end).unwrap_or_default();
    document["data"] = Value::String(base64_text::encoded(data));
    Ok(document.to_string())
}

/// Fails if the image set was deleted.
async fn exists(
    service: &dyn HealthImaging,
    datastore_id: &DatastoreId,
    image_set_id: &ImageSetId,
) -> Result<()> {
    let request = GetImageSetRequest {
        datastore_id: datastore_id.clone(),
        image_set_id: image_set_id.clone(),
        version_id: None,
    };
    let found = service.get_image_set(request).await?.properties;
    if found.image_set_state == ImageSetState::Deleted {
        return Err(Error::not_found("the image set was deleted"));
    }
    Ok(())
}

fn pack(frame: NativeFrame) -> std::result::Result<Packed, RenderError> {
    let NativeFrame { description, pixels } = frame;
    // Speed counts: a person waits for the picture.
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::fast());
    let written = encoder.write_all(&pixels).and_then(|()| encoder.finish());
    let stream = written.map_err(|error| RenderError::Encoding(error.to_string()))?.into();
    let description = json!({
        "rows": description.rows,
        "columns": description.columns,
        "samples_per_pixel": description.samples_per_pixel,
        "bits_allocated": description.bits_allocated,
        "bits_stored": description.bits_stored,
        "high_bit": description.high_bit,
        "photometric_interpretation": description.photometric,
        "planar_configuration": 0,
    });
    Ok(Packed { description, stream })
}

/// Takes a frame whose pieces are being read.
fn taken(place: &Place) -> Option<Arc<Packed>> {
    let mut keep = keep();
    let at = keep.iter().position(|one| one.place == *place)?;
    let one = keep.get_mut(at)?;
    one.left -= 1;
    let packed = Arc::clone(&one.packed);
    if one.left == 0 {
        keep.remove(at);
    }
    Some(packed)
}

/// Keeps a frame of several pieces, one of which is read now, if there is memory to spare.
fn kept(place: &Place, packed: Packed) -> Arc<Packed> {
    let packed = Arc::new(packed);
    let left = packed.pieces() - 1;
    if left > 0
        && let Some(lease) = MemoryBudget::process().spare(packed.stream.len() as u64)
    {
        let mut keep = keep();
        keep.retain(|one| one.place != *place);
        if keep.len() == KEPT {
            keep.pop_front();
        }
        let (place, packed) = (place.clone(), Arc::clone(&packed));
        keep.push_back(Kept { place, packed, left, _lease: lease });
    }
    packed
}
