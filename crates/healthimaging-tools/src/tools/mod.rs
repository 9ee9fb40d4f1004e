//! The tools, by subject.

mod changes;
mod datastores;
mod export_jobs;
mod frames;
mod image_sets;
mod import_jobs;
mod metadata;
mod search;
mod tags;

use crate::tool::ToolEntry;

/// Every tool there is, by name; a new one is a line here.
pub(crate) const TOOLS: &[ToolEntry] = &[
    ToolEntry::of::<changes::CopyImageSet>(),
    ToolEntry::of::<datastores::CreateDatastore>(),
    ToolEntry::planned::<datastores::DeleteDatastore>(),
    ToolEntry::planned::<changes::DeleteImageSet>(),
    ToolEntry::of::<datastores::GetDatastore>(),
    ToolEntry::of::<export_jobs::GetDicomExportJob>(),
    ToolEntry::of::<import_jobs::GetDicomImportJob>(),
    ToolEntry::of::<frames::GetImageFrame>(),
    ToolEntry::of::<image_sets::GetImageSet>(),
    ToolEntry::of::<metadata::GetImageSetMetadata>(),
    ToolEntry::of::<datastores::ListDatastores>(),
    ToolEntry::of::<export_jobs::ListDicomExportJobs>(),
    ToolEntry::of::<import_jobs::ListDicomImportJobs>(),
    ToolEntry::of::<image_sets::ListImageSetVersions>(),
    ToolEntry::of::<tags::ListTagsForResource>(),
    ToolEntry::of::<search::SearchImageSets>(),
    ToolEntry::of::<export_jobs::StartDicomExportJob>(),
    ToolEntry::of::<import_jobs::StartDicomImportJob>(),
    ToolEntry::of::<tags::TagResource>(),
    ToolEntry::of::<tags::UntagResource>(),
    ToolEntry::of::<changes::UpdateImageSetMetadata>(),
];
