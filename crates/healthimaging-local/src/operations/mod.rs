//! The operations, one file per subject; the store calls each by its name in the contract.

pub(crate) mod copied_blobs;
pub(crate) mod copy;
pub(crate) mod datastores;
pub(crate) mod deferred;
pub(crate) mod delete;
pub(crate) mod expiry;
pub(crate) mod handlers;
pub(crate) mod hierarchy;
pub(crate) mod image_sets;
pub(crate) mod import_jobs;
pub(crate) mod paging;
pub(crate) mod search;
pub(crate) mod tags;
pub(crate) mod update;

pub(crate) use copy::copy as copy_image_set;
pub(crate) use datastores::{
    create as create_datastore, delete as delete_datastore, get as get_datastore,
    list as list_datastores,
};
pub(crate) use delete::delete as delete_image_set;
pub(crate) use image_sets::{
    frame as get_image_frame, get as get_image_set, metadata as get_image_set_metadata,
    versions as list_image_set_versions,
};
pub(crate) use import_jobs::{
    get as get_dicom_import_job, list as list_dicom_import_jobs, start as start_dicom_import_job,
};
pub(crate) use search::search as search_image_sets;
pub(crate) use tags::{
    list as list_tags_for_resource, tag as tag_resource, untag as untag_resource,
};
pub(crate) use update::update as update_image_set_metadata;
