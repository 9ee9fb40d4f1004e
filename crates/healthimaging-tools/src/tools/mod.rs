//! The tools, by subject.
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
mod search;
mod store;
pub(crate) mod tabulate;
mod tags;
mod view;
mod viewer;

use crate::tool::{Subject, ToolEntry};

/// Every tool, by name; a new one is a line here.
pub(crate) const TOOLS: &[ToolEntry] = &[
    ToolEntry::planned::<erase::BulkDeleteByCriteria>(Subject::Erase),
    ToolEntry::planned::<correct::BulkUpdatePatientMetadata>(Subject::Correct),
    ToolEntry::of::<jobs::CancelJob>(Subject::Jobs),
    ToolEntry::of::<compare::CompareImageSets>(Subject::ImageSets),
    ToolEntry::of::<copy::CopyImageSet>(Subject::ImageSets),
    ToolEntry::of::<datastores::CreateDatastore>(Subject::Datastores),
    ToolEntry::planned::<datastores::DeleteDatastore>(Subject::Datastores),
    ToolEntry::planned::<changes::DeleteImageSet>(Subject::ImageSets),
    ToolEntry::planned::<erase::DeleteInstanceInSeries>(Subject::Erase),
    ToolEntry::planned::<erase::DeleteInstanceInStudy>(Subject::Erase),
    ToolEntry::planned::<erase::DeletePatientStudies>(Subject::Erase),
    ToolEntry::planned::<erase::DeleteSeriesByUid>(Subject::Erase),
    ToolEntry::planned::<erase::DeleteStudy>(Subject::Erase),
    ToolEntry::of::<datastores::GetDatastore>(Subject::Datastores),
    ToolEntry::of::<export_jobs::GetDicomExportJob>(Subject::Transfer),
    ToolEntry::of::<import_jobs::GetDicomImportJob>(Subject::Transfer),
    ToolEntry::of::<frames::GetImageFrame>(Subject::ImageSets),
    ToolEntry::of::<image_sets::GetImageSet>(Subject::ImageSets),
    ToolEntry::of::<metadata::GetImageSetMetadata>(Subject::ImageSets),
    ToolEntry::of::<jobs::GetJob>(Subject::Jobs),
    ToolEntry::of::<hierarchy::GetPatientDicomwebStudies>(Subject::Hierarchy),
    ToolEntry::of::<hierarchy::GetPatientSeries>(Subject::Hierarchy),
    ToolEntry::of::<hierarchy::GetPatientStudies>(Subject::Hierarchy),
    ToolEntry::of::<view::GetSeriesContactSheet>(Subject::View),
    ToolEntry::of::<hierarchy::GetSeriesPrimaryImageSet>(Subject::Hierarchy),
    ToolEntry::of::<hierarchy::GetStudyPrimaryImageSets>(Subject::Hierarchy),
    ToolEntry::of::<hierarchy::GetStudySeries>(Subject::Hierarchy),
    ToolEntry::of::<datastores::ListDatastores>(Subject::Datastores),
    ToolEntry::of::<export_jobs::ListDicomExportJobs>(Subject::Transfer),
    ToolEntry::of::<import_jobs::ListDicomImportJobs>(Subject::Transfer),
    ToolEntry::of::<image_sets::ListImageSetVersions>(Subject::ImageSets),
    ToolEntry::of::<jobs::ListJobs>(Subject::Jobs),
    ToolEntry::of::<tags::ListTagsForResource>(Subject::Tags),
    ToolEntry::planned::<correct::ReassignStudy>(Subject::Correct),
    ToolEntry::planned::<erase::RemoveInstanceFromImageSet>(Subject::Erase),
    ToolEntry::planned::<erase::RemoveSeriesFromImageSet>(Subject::Erase),
    ToolEntry::of::<search::SearchByPatientId>(Subject::Search),
    ToolEntry::of::<search::SearchBySeriesUid>(Subject::Search),
    ToolEntry::of::<search::SearchByStudyUid>(Subject::Search),
    ToolEntry::of::<search::SearchImageSets>(Subject::Search),
    ToolEntry::of::<export_jobs::StartDicomExportJob>(Subject::Transfer),
    ToolEntry::of::<import_jobs::StartDicomImportJob>(Subject::Transfer),
    ToolEntry::of::<store::StoreDicomInstances>(Subject::Transfer),
    ToolEntry::of::<datastores::SummarizeDatastore>(Subject::Datastores),
    ToolEntry::of::<tabulate::TabulateAttributes>(Subject::Search),
    ToolEntry::of::<tags::TagResource>(Subject::Tags),
    ToolEntry::of::<tags::UntagResource>(Subject::Tags),
    ToolEntry::conditional::<changes::UpdateImageSetMetadata>(Subject::ImageSets),
    ToolEntry::conditional::<correct::UpdatePatientStudyMetadata>(Subject::Correct),
    ToolEntry::of::<viewer::ViewSeries>(Subject::View),
];
