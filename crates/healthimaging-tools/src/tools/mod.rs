//! The tools, by what they are about.
#![allow(clippy::doc_markdown, reason = "a model reads these comments, and backticks are bytes")]

mod changes;
mod compare;
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
mod report;
mod search;
mod store;
pub(crate) mod tabulate;
mod tags;
mod transfer;
mod view;
mod viewer;

use crate::tool::{ToolEntry, Toolset};

/// Every tool, by name; a new one is a line here.
pub(crate) const TOOLS: &[ToolEntry] = &[
    ToolEntry::planned::<erase::BulkDeleteByCriteria>(Toolset::Erase),
    ToolEntry::planned::<correct::BulkUpdatePatientMetadata>(Toolset::Correct),
    ToolEntry::of::<jobs::CancelJob>(Toolset::Jobs),
    ToolEntry::of::<compare::CompareImageSets>(Toolset::Analyze),
    ToolEntry::of::<copy::CopyImageSet>(Toolset::Images),
    ToolEntry::of::<datastores::CreateDatastore>(Toolset::Datastores),
    ToolEntry::planned::<datastores::DeleteDatastore>(Toolset::Datastores),
    ToolEntry::planned::<changes::DeleteImageSet>(Toolset::Erase),
    ToolEntry::planned::<erase::DeleteInstanceInSeries>(Toolset::Erase),
    ToolEntry::planned::<erase::DeleteInstanceInStudy>(Toolset::Erase),
    ToolEntry::planned::<erase::DeletePatientStudies>(Toolset::Erase),
    ToolEntry::planned::<erase::DeleteSeriesByUid>(Toolset::Erase),
    ToolEntry::planned::<erase::DeleteStudy>(Toolset::Erase),
    ToolEntry::of::<datastores::GetDatastore>(Toolset::Datastores),
    ToolEntry::of::<export_jobs::GetDicomExportJob>(Toolset::Export),
    ToolEntry::of::<import_jobs::GetDicomImportJob>(Toolset::Import),
    ToolEntry::of::<frames::GetImageFrame>(Toolset::View).always_loaded(),
    ToolEntry::of::<image_sets::GetImageSet>(Toolset::Images),
    ToolEntry::of::<metadata::GetImageSetMetadata>(Toolset::Images).always_loaded(),
    ToolEntry::of::<jobs::GetJob>(Toolset::Jobs).core(),
    ToolEntry::of::<hierarchy::GetPatientDicomwebStudies>(Toolset::Search),
    ToolEntry::of::<hierarchy::GetPatientSeries>(Toolset::Search),
    ToolEntry::of::<hierarchy::GetPatientStudies>(Toolset::Search).core(),
    ToolEntry::of::<report::GetReport>(Toolset::Reports),
    ToolEntry::of::<view::GetSeriesContactSheet>(Toolset::View).always_loaded(),
    ToolEntry::of::<hierarchy::GetSeriesPrimaryImageSet>(Toolset::Search),
    ToolEntry::of::<hierarchy::GetStudyPrimaryImageSets>(Toolset::Search),
    ToolEntry::of::<hierarchy::GetStudySeries>(Toolset::Search).always_loaded(),
    ToolEntry::of::<datastores::ListDatastores>(Toolset::Datastores).always_loaded(),
    ToolEntry::of::<export_jobs::ListDicomExportJobs>(Toolset::Export),
    ToolEntry::of::<import_jobs::ListDicomImportJobs>(Toolset::Import),
    ToolEntry::of::<image_sets::ListImageSetVersions>(Toolset::Images),
    ToolEntry::of::<jobs::ListJobs>(Toolset::Jobs),
    ToolEntry::of::<tags::ListTagsForResource>(Toolset::Tags),
    ToolEntry::planned::<correct::ReassignStudy>(Toolset::Correct),
    ToolEntry::planned::<erase::RemoveInstanceFromImageSet>(Toolset::Erase),
    ToolEntry::planned::<erase::RemoveSeriesFromImageSet>(Toolset::Erase),
    ToolEntry::of::<search::SearchByPatientId>(Toolset::Search),
    ToolEntry::of::<search::SearchBySeriesUid>(Toolset::Search),
    ToolEntry::of::<search::SearchByStudyUid>(Toolset::Search),
    ToolEntry::of::<search::SearchImageSets>(Toolset::Search).always_loaded(),
    ToolEntry::of::<export_jobs::StartDicomExportJob>(Toolset::Export),
    ToolEntry::of::<import_jobs::StartDicomImportJob>(Toolset::Import),
    ToolEntry::of::<store::StoreDicomInstances>(Toolset::Import).core(),
    ToolEntry::of::<datastores::SummarizeDatastore>(Toolset::Analyze),
    ToolEntry::of::<tabulate::TabulateAttributes>(Toolset::Analyze),
    ToolEntry::of::<tags::TagResource>(Toolset::Tags),
    ToolEntry::of::<transfer::TransferStudies>(Toolset::Export),
    ToolEntry::of::<tags::UntagResource>(Toolset::Tags),
    ToolEntry::conditional::<changes::UpdateImageSetMetadata>(Toolset::Correct),
    ToolEntry::conditional::<correct::UpdatePatientStudyMetadata>(Toolset::Correct),
    ToolEntry::conditional::<correct::UpdateSeriesMetadata>(Toolset::Correct),
    ToolEntry::of::<viewer::ViewSeries>(Toolset::View).core(),
];
