//! The tools, by subject.
#![allow(
    clippy::doc_markdown,
    reason = "a model reads these comments, and marks are bytes"
)]

mod changes;
mod copy;
mod correct;
mod datastores;
mod erase;
mod export_jobs;
mod frames;
mod hierarchy;
mod image_sets;
mod import_jobs;
mod jobs;
mod metadata;
mod search;
mod store;
mod tags;

use crate::tool::ToolEntry;

/// Every tool there is, by name; a new one is a line here.
pub(crate) const TOOLS: &[ToolEntry] = &[
    ToolEntry::planned::<erase::BulkDeleteByCriteria>(),
    ToolEntry::planned::<correct::BulkUpdatePatientMetadata>(),
    ToolEntry::of::<jobs::CancelJob>(),
    ToolEntry::of::<copy::CopyImageSet>(),
    ToolEntry::of::<datastores::CreateDatastore>(),
    ToolEntry::planned::<datastores::DeleteDatastore>(),
    ToolEntry::planned::<changes::DeleteImageSet>(),
    ToolEntry::planned::<erase::DeleteInstanceInSeries>(),
    ToolEntry::planned::<erase::DeleteInstanceInStudy>(),
    ToolEntry::planned::<erase::DeletePatientStudies>(),
    ToolEntry::planned::<erase::DeleteSeriesByUid>(),
    ToolEntry::planned::<erase::DeleteStudy>(),
    ToolEntry::of::<datastores::GetDatastore>(),
    ToolEntry::of::<export_jobs::GetDicomExportJob>(),
    ToolEntry::of::<import_jobs::GetDicomImportJob>(),
    ToolEntry::of::<frames::GetImageFrame>(),
    ToolEntry::of::<image_sets::GetImageSet>(),
    ToolEntry::of::<metadata::GetImageSetMetadata>(),
    ToolEntry::of::<jobs::GetJob>(),
    ToolEntry::of::<hierarchy::GetPatientDicomwebStudies>(),
    ToolEntry::of::<hierarchy::GetPatientSeries>(),
    ToolEntry::of::<hierarchy::GetPatientStudies>(),
    ToolEntry::of::<hierarchy::GetSeriesPrimaryImageSet>(),
    ToolEntry::of::<hierarchy::GetStudyPrimaryImageSets>(),
    ToolEntry::of::<datastores::ListDatastores>(),
    ToolEntry::of::<export_jobs::ListDicomExportJobs>(),
    ToolEntry::of::<import_jobs::ListDicomImportJobs>(),
    ToolEntry::of::<image_sets::ListImageSetVersions>(),
    ToolEntry::of::<jobs::ListJobs>(),
    ToolEntry::of::<tags::ListTagsForResource>(),
    ToolEntry::planned::<erase::RemoveInstanceFromImageSet>(),
    ToolEntry::planned::<erase::RemoveSeriesFromImageSet>(),
    ToolEntry::of::<search::SearchByPatientId>(),
    ToolEntry::of::<search::SearchBySeriesUid>(),
    ToolEntry::of::<search::SearchByStudyUid>(),
    ToolEntry::of::<search::SearchImageSets>(),
    ToolEntry::of::<export_jobs::StartDicomExportJob>(),
    ToolEntry::of::<import_jobs::StartDicomImportJob>(),
    ToolEntry::of::<store::StoreDicomInstances>(),
    ToolEntry::of::<tags::TagResource>(),
    ToolEntry::of::<tags::UntagResource>(),
    ToolEntry::of::<changes::UpdateImageSetMetadata>(),
    ToolEntry::of::<correct::UpdatePatientStudyMetadata>(),
];
