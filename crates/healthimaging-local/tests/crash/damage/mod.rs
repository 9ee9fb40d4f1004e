//! Bytes on the disk change: that is found by every read and by `verify`, and never served.

mod catalog;
mod packs;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use flate2::read::GzDecoder;
use healthimaging::model::{GetImageFrameRequest, GetImageSetMetadataRequest};
use healthimaging::{DatastoreId, Error, ErrorKind, HealthImaging, ImageFrameId, ImageSetId, Uid};
use healthimaging_local::LocalStore;
use rusqlite::Connection;
use serde_json::Value;
use tempfile::TempDir;

use crate::child::{active_datastore, carry_out};
use crate::deeds::{idle, new_folder};
use crate::plan::Request;
use crate::proof::{Look, files};
use crate::source::Instance;

/// Nothing here is larger.
const LIMIT: u64 = 1 << 24;

/// A store with one image set of one pack.
struct One {
    store: Arc<LocalStore>,
    datastore: DatastoreId,
    set: ImageSetId,
    /// Id and stored bytes of each frame.
    frames: Vec<(String, Vec<u8>)>,
    folder: TempDir,
}

fn instance(number: u32) -> Instance {
    Instance { patient: 1, series: 1, number }
}

impl One {
    /// Two instances, and in their pack a record that nothing names, such as a file leaves that is refused
    /// after its first frame.
    async fn new() -> Self {
        let folder = new_folder();
        let input = folder.path().join("inputs/first");
        std::fs::create_dir(&input).unwrap();
        instance(1).write(&input);
        instance(2).write(&input);
        let one = Self::of(folder, &input).await;
        let bytes = &one.frames[0].1;
        let length = (bytes.len() as u64).to_le_bytes();
        let crc32 = crc32fast::hash(bytes).to_le_bytes();
        let record = [&length[..], &crc32, "f".repeat(32).as_bytes(), bytes].concat();
        let pack = std::fs::read(one.pack()).unwrap();
        std::fs::write(one.pack(), [pack, record].concat()).unwrap();
        one
    }

    async fn of(folder: TempDir, input: &Path) -> Self {
        let store = LocalStore::open(idle(folder.path())).await.unwrap();
        let datastore = active_datastore(&store).await;
        let look = Look { store: &store, datastore: &datastore };
        let request = Request::Import { folder: input.to_owned() };
        carry_out(&store, &datastore, request).await.unwrap();
        look.settle().await;
        let set = look.sets().await.remove(0);
        let mut frames = Vec::new();
        let document = document(&look.packed(&set, 1).await.unwrap());
        for found in instances(&document) {
            for frame in found["ImageFrames"].as_array().into_iter().flatten() {
                let id = frame["ID"].as_str().unwrap().to_owned();
                let bytes = look.frame(&set, &id).await;
                frames.push((id, bytes));
            }
        }
        Self { store, datastore, set, frames, folder }
    }

    fn pack(&self) -> PathBuf {
        let packs = files(&self.folder.path().join("store/packs"));
        assert_eq!(packs.len(), 1);
        packs[0].clone()
    }

    fn catalog(&self) -> Connection {
        Connection::open(self.folder.path().join("store/catalogue.sqlite")).unwrap()
    }

    async fn frame(&self, id: &str) -> Result<Vec<u8>, Error> {
        let request = GetImageFrameRequest {
            datastore_id: self.datastore.clone(),
            image_set_id: self.set.clone(),
            image_frame_id: ImageFrameId::try_from(id).unwrap(),
        };
        let found = self.store.get_image_frame(request).await?;
        Ok(found.image_frame.collect(LIMIT).await?.into())
    }

    /// How many frames are read as they were; the others must be refused.
    async fn sound_frames(&self) -> usize {
        let mut sound = 0;
        for (id, bytes) in &self.frames {
            match self.frame(id).await {
                Ok(served) => {
                    assert!(served == *bytes, "damaged bytes are served");
                    sound += 1;
                }
                Err(error) => assert_reports_damage(&error),
            }
        }
        sound
    }

    async fn damages(&self) -> usize {
        let report = self.store.verify(|_| {}).await.unwrap();
        report.damaged.len()
    }

    async fn metadata(&self) -> Result<Vec<u8>, Error> {
        let request = GetImageSetMetadataRequest {
            datastore_id: self.datastore.clone(),
            image_set_id: self.set.clone(),
            version_id: None,
        };
        let served = self.store.get_image_set_metadata(request).await?;
        Ok(served.image_set_metadata.collect(LIMIT).await?.into())
    }
}

fn assert_reports_damage(error: &Error) {
    assert_eq!(error.kind(), ErrorKind::Internal, "{error:?}");
    let message = error.message();
    let named = ["damaged", "missing", "verify"].map(|word| message.contains(word));
    assert!(named.contains(&true), "{message}");
}

fn document(packed: &[u8]) -> Value {
    serde_json::from_reader(GzDecoder::new(packed)).unwrap()
}

fn instances(document: &Value) -> Vec<&Value> {
    let series = document["Study"]["Series"].as_object().unwrap().values();
    let instances = series.flat_map(|series| series["Instances"].as_object().unwrap().values());
    instances.collect()
}

fn uid(text: &str) -> Uid {
    Uid::try_from(text).unwrap()
}
