//! DICOM Part 10 files to and from the image set metadata document; no storage.
//!
//! * In: [`read_part10`] reads a file up to its pixels; [`Document::new_instance`] parts what it read
//!   into the levels of the document, and [`Document::add`] puts it there. A [`MetadataOverride`]
//!   of the import job replaces values before that.
//! * Kept: [`Document::to_json`] is the document as the service sends it. What that form cannot express,
//!   [`Document::details`] holds for [`Document::from_json`].
//! * In parts: [`Document::around_instances`] and [`Instance::write_members`] write the document some
//!   instances at a time.
//! * Read in part: [`DocumentText`] finds an instance by its UID and parses it alone.
//! * Asked: [`SplitInstance::group_key`], [`Document::index_attributes`] and
//!   [`Document::instance_index`] are what grouping and searching look at.
//! * Changed: [`UpdateDocuments`] carries out `UpdateImageSetMetadata`; [`CopySelection`] and
//!   [`Document::join`] serve `CopyImageSet`.
//! * Out: [`write_part10`] makes a file again, [`InstanceJson`] the metadata for DICOMweb.
//!
//! It opens no file, names no codec and keeps no state.
//!
//! ```
//! use std::io::Cursor;
//!
//! use healthimaging_dicom::{Document, ReadLimits, read_part10};
//! use healthimaging_phantoms::Phantom;
//!
//! let file = Phantom::ct().patient("DOE^JANE", "MRN-1").build();
//! let part10 = read_part10(Cursor::new(file), &ReadLimits::default())?;
//! let mut document = Document::default();
//! document.add(Document::new_instance(&part10.meta, part10.data_set));
//! assert_eq!(document.patient["PatientName"], "DOE^JANE");
//! # Ok::<(), healthimaging_dicom::ReadError>(())
//! ```

mod charset;
mod data_set;
mod document;
mod json;
mod metadata_override;
mod read;
mod update;
mod write;

pub use data_set::{DataSet, Element, Value};
pub use document::{
    Attributes, BulkElement, BulkValue, ChecksumType, Document, DocumentText, FirstValues,
    FrameChecksum, GroupKey, ImageFrame, IndexAttributes, IndexValues, Instance, InstanceDetails,
    InstanceIndex, InstanceOrder, InstanceSummary, InstanceText, Level, Series, SeriesKey,
    SplitInstance, StudyKey, Summary, allows_several_values, datetime, key_of_json,
};
pub use json::{InstanceJson, text_attribute};
pub use metadata_override::MetadataOverride;
pub use read::{
    Encapsulation, ExtendedOffsets, Fragment, FrameError, Part10, Part10Header, PixelData,
    PixelLayout, ReadError, ReadLimits, ReadWarning, SopUids, read_header, read_media_directory,
    read_part10, read_sop_uids,
};
pub use update::{
    CopySelection, LevelConflicts, UpdateDocuments, UpdateFailure, UpdateRules, has_form,
};
pub use write::{
    BulkReader, FrameIterator, InstanceToWrite, PixelOverrides, PixelSource, StoredBytes,
    check_part10, write_part10,
};
