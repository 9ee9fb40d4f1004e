//! A back end in memory: it keeps the contract as far as tests look.

mod contract;
#[cfg(feature = "server")]
mod server;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock};

use healthimaging::model::{
    DatastoreProperties, DatastoreStatus, DicomImportJobProperties, ImageSetProperties,
    ImageSetState, ImageSetWorkflowStatus, LosslessStorageFormat, MetadataUpdates,
};
use healthimaging::{
    DatastoreId, Error, ImageSetId, NextToken, ResourceArn, Result, TagKey, TagValue, VersionId,
};
use serde_json::{Value, json};
use tempfile::TempDir;

/// What the fake holds.
#[derive(Debug, Default)]
#[expect(missing_docs, reason = "named as in the contract")]
pub struct State {
    pub datastores: Vec<DatastoreProperties>,
    pub image_sets: Vec<FakeImageSet>,
    pub jobs: Vec<DicomImportJobProperties>,
    pub tags: BTreeMap<ResourceArn, BTreeMap<TagKey, TagValue>>,
    /// The last update, as it came.
    pub updates: Option<MetadataUpdates>,
    /// Requested page sizes.
    pub pages_asked: Vec<u32>,
}

/// An image set of the fake.
#[derive(Debug)]
#[expect(missing_docs, reason = "named as in the contract")]
pub struct FakeImageSet {
    pub datastore_id: DatastoreId,
    pub properties: ImageSetProperties,
    pub document: Value,
    pub frame: Vec<u8>,
    pub modality: &'static str,
    pub study_date: &'static str,
    pub patient_id: &'static str,
    pub study_instance_uid: String,
    pub study_description: String,
    /// Why its next update fails.
    pub fails_with: Option<&'static str>,
    /// Looks until a lock is seen open.
    pub locked_for: u32,
}

/// A back end in memory; clones share what they hold.
#[derive(Debug, Default, Clone)]
pub struct Fake(
    Arc<Mutex<State>>,
    #[cfg_attr(not(feature = "server"), expect(dead_code, reason = "a server has a folder"))]
    Arc<OnceLock<TempDir>>,
);

/// An id of 32 characters out of a short one.
pub fn id(text: &str) -> String {
    format!("{text:0>32}")
}

impl Fake {
    /// Returns what it holds, to change it.
    pub fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }

    /// Adds a data store and returns its id.
    pub fn add_datastore(&self, short: &str, status: DatastoreStatus) -> String {
        let datastore_id = DatastoreId::try_from(id(short)).unwrap();
        self.state().datastores.push(DatastoreProperties {
            datastore_name: format!("store-{short}"),
            datastore_id,
            datastore_status: status,
            kms_key_arn: None,
            lambda_authorizer_arn: None,
            lossless_storage_format: Some(LosslessStorageFormat::Htj2k),
            datastore_arn: None,
            created_at: None,
            updated_at: None,
        });
        id(short)
    }

    /// Adds an image set of one CT series with `instances` instances, and returns its id.
    pub fn add_image_set(&self, datastore: &str, short: &str, instances: usize) -> String {
        let instances: serde_json::Map<String, Value> = (1..=instances)
            .map(|number| {
                let instance = json!({
                    "DICOM": { "InstanceNumber": number.to_string(), "Rows": 512 },
                    "DICOMVRs": {},
                    "ImageFrames": [{ "ID": id(&format!("f{number}")) }]
                });
                (format!("1.2.3.4.{number}"), instance)
            })
            .collect();
        let document = json!({
            "SchemaVersion": "1.1",
            "Patient": { "DICOM": { "PatientID": "MRN-0042", "PatientName": "DOE^JANE" } },
            "Study": {
                "DICOM": {
                    "StudyInstanceUID": "1.2.3", "StudyDescription": "HEAD", "StudyDate": "20260131"
                },
                "Series": { "1.2.3.4": { "DICOM": { "Modality": "CT" }, "Instances": instances } }
            }
        });
        let properties = ImageSetProperties {
            image_set_id: ImageSetId::try_from(id(short)).unwrap(),
            version_id: VersionId::from(1),
            image_set_state: ImageSetState::Active,
            image_set_workflow_status: Some(ImageSetWorkflowStatus::Created),
            created_at: None,
            updated_at: None,
            deleted_at: None,
            message: None,
            overrides: None,
            is_primary: Some(true),
        };
        self.state().image_sets.push(FakeImageSet {
            datastore_id: DatastoreId::try_from(datastore).unwrap(),
            properties,
            document,
            frame: vec![0xff, 0x4f, 0xff, 0x51],
            modality: "CT",
            study_date: "20260131",
            patient_id: "MRN-0042",
            study_instance_uid: "1.2.3".to_owned(),
            study_description: "HEAD".to_owned(),
            fails_with: None,
            locked_for: 0,
        });
        id(short)
    }

    fn with_set<T>(
        &self,
        datastore: &DatastoreId,
        set: &ImageSetId,
        act: impl FnOnce(&mut FakeImageSet) -> Result<T>,
    ) -> Result<T> {
        let mut state = self.state();
        let found = state
            .image_sets
            .iter_mut()
            .find(|one| one.datastore_id == *datastore && one.properties.image_set_id == *set);
        act(found.ok_or_else(|| Error::not_found("no such image set"))?)
    }

    fn page<T: Clone>(
        &self,
        all: &[T],
        token: Option<NextToken>,
        size: Option<u32>,
    ) -> Result<(Vec<T>, Option<NextToken>)> {
        let size = size.unwrap_or(50);
        self.state().pages_asked.push(size);
        if !(1..=50).contains(&size) {
            return Err(Error::validation("the page size must be from 1 to 50"));
        }
        let start: usize = match token {
            Some(token) => token
                .as_str()
                .parse()
                .map_err(|_| Error::validation("next_token is not one of this listing"))?,
            None => 0,
        };
        let end = (start + size as usize).min(all.len());
        let next = (end < all.len()).then(|| NextToken::try_from(end.to_string()).unwrap());
        Ok((all[start.min(end)..end].to_vec(), next))
    }
}
