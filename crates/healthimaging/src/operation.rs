//! The 18 operations by name, and what a back end allows of them.

/// An operation of the AWS HealthImaging API.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[expect(missing_docs, reason = "each is the operation of that name in the AWS API reference")]
pub enum Operation {
    CreateDatastore,
    GetDatastore,
    ListDatastores,
    DeleteDatastore,
    StartDicomImportJob,
    GetDicomImportJob,
    ListDicomImportJobs,
    SearchImageSets,
    GetImageSet,
    GetImageSetMetadata,
    GetImageFrame,
    ListImageSetVersions,
    UpdateImageSetMetadata,
    CopyImageSet,
    DeleteImageSet,
    TagResource,
    UntagResource,
    ListTagsForResource,
}

impl Operation {
    /// All of them.
    pub const ALL: [Self; 18] = [
        Self::CreateDatastore,
        Self::GetDatastore,
        Self::ListDatastores,
        Self::DeleteDatastore,
        Self::StartDicomImportJob,
        Self::GetDicomImportJob,
        Self::ListDicomImportJobs,
        Self::SearchImageSets,
        Self::GetImageSet,
        Self::GetImageSetMetadata,
        Self::GetImageFrame,
        Self::ListImageSetVersions,
        Self::UpdateImageSetMetadata,
        Self::CopyImageSet,
        Self::DeleteImageSet,
        Self::TagResource,
        Self::UntagResource,
        Self::ListTagsForResource,
    ];

    /// The name in the AWS API.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::CreateDatastore => "CreateDatastore",
            Self::GetDatastore => "GetDatastore",
            Self::ListDatastores => "ListDatastores",
            Self::DeleteDatastore => "DeleteDatastore",
            Self::StartDicomImportJob => "StartDICOMImportJob",
            Self::GetDicomImportJob => "GetDICOMImportJob",
            Self::ListDicomImportJobs => "ListDICOMImportJobs",
            Self::SearchImageSets => "SearchImageSets",
            Self::GetImageSet => "GetImageSet",
            Self::GetImageSetMetadata => "GetImageSetMetadata",
            Self::GetImageFrame => "GetImageFrame",
            Self::ListImageSetVersions => "ListImageSetVersions",
            Self::UpdateImageSetMetadata => "UpdateImageSetMetadata",
            Self::CopyImageSet => "CopyImageSet",
            Self::DeleteImageSet => "DeleteImageSet",
            Self::TagResource => "TagResource",
            Self::UntagResource => "UntagResource",
            Self::ListTagsForResource => "ListTagsForResource",
        }
    }
}

/// How often an operation may be called.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rate {
    /// Calls a second, sustained.
    pub per_second: f64,
    /// Calls at once after a pause.
    pub burst: u32,
}

/// What a back end allows.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Most items of one page.
    pub page_size: u32,
    /// Allowed rate of an operation; `None` where there is no limit.
    pub rate: fn(Operation) -> Option<Rate>,
    /// Allowed rate of each call of DICOMweb; `None` where there is no limit.
    pub web_rate: Option<Rate>,
}
