//! DICOM Part 10 files to and from the image set metadata document; no storage.
//!
//! The face of the document's half:
//!
//! ```text
//! Document::new_instance(meta: &DataSet, data_set: &DataSet) -> SplitInstance
//! SplitInstance::group_key(&self) -> GroupKey
//! Document::add(&mut self, split: SplitInstance)
//! Document::group_key(&self, series_uid: &str) -> Option<GroupKey>
//! Document::index_attributes(&self) -> IndexAttributes
//! Document::instance_index(&self) -> impl Iterator<Item = InstanceIndex>
//! Document::to_json(&self, datastore_id: &DatastoreId, image_set_id: &ImageSetId) -> Vec<u8>
//! Document::from_json(json: &[u8], details: BTreeMap<String, InstanceDetails>) -> Result<Document>
//! Document::details(&self) -> BTreeMap<String, InstanceDetails>
//! Document::instance(&self, series_uid: &str, sop_uid: &str) -> Option<&Instance>
//! UpdateDocuments::parse(updatable: Option<&[u8]>, removable: Option<&[u8]>) -> Result<UpdateDocuments>
//! UpdateDocuments::apply(&self, document: &mut Document, rules: &UpdateRules) -> Result<(), UpdateFailure>
//! UpdateDocuments::is_study_wide_only(&self) -> bool
//! CopySelection::parse(copiable_attributes: &str) -> Result<CopySelection>
//! CopySelection::select(&self, document: &Document) -> Result<Document>
//! dicom_json(document, series_uid, sop_uid, bulk: &dyn Fn(&ApartValue) -> String) -> Result<serde_json::Map>
//! write_part10(source: &InstanceToWrite, pixels: PixelSource, apart: &mut ApartReader, out: &mut dyn Write) -> Result<()>
//! ```

mod charset;
mod data_set;
mod document;
mod json;
mod read;
mod update;
mod write;

pub use data_set::{DataSet, Element, Value};
pub use document::{
    ApartElement, ApartValue, Attributes, ChecksumType, Document, FrameChecksum, GroupKey,
    ImageFrame, IndexAttributes, Instance, InstanceDetails, InstanceIndex, Series, SeriesKey,
    SplitInstance, StudyKey,
};
pub use json::dicom_json;
pub use read::{
    ByteOrder, Encapsulation, ExtendedOffsets, Fragment, FrameError, Part10, PixelData,
    PixelDescription, PixelLayout, PixelRepresentation, PlanarConfiguration, ReadError, ReadLimits,
    ReadWarning, read_part10,
};
pub use update::{CopySelection, LevelConflicts, UpdateDocuments, UpdateFailure, UpdateRules};
pub use write::{
    ApartReader, FrameIterator, InstanceToWrite, PixelOverrides, PixelSource, write_part10,
};
