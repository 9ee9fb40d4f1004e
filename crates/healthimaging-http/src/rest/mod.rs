//! The AWS API: the 18 operations as the SDKs and the AWS CLI call them.
//!
//! Paths, names and codes are those of the service model `medical-imaging/2023-07-19`. Requests are routed by path only, so
//! that the hosts of the control plane and of the data plane (`runtime-`) are one.

mod changes;
mod datastores;
mod image_sets;
mod import_jobs;
mod search;
mod tags;
mod wire;

use std::sync::Arc;

use axum::Router;
use axum::routing::{get, post};
use healthimaging::HealthImaging;

use crate::call::Operation;

/// Routes of all operations.
pub(crate) fn routes(service: Arc<dyn HealthImaging>) -> Router {
    let operation = Operation(service);
    Router::new()
        .route(
            "/datastore",
            post(operation.run(datastores::create)).get(operation.run(datastores::list)),
        )
        .route(
            "/datastore/{datastoreId}",
            get(operation.run(datastores::get)).delete(operation.run(datastores::delete)),
        )
        .route(
            "/startDICOMImportJob/datastore/{datastoreId}",
            post(operation.run(import_jobs::start)),
        )
        .route(
            "/getDICOMImportJob/datastore/{datastoreId}/job/{jobId}",
            get(operation.run(import_jobs::get)),
        )
        .route(
            "/listDICOMImportJobs/datastore/{datastoreId}",
            get(operation.run(import_jobs::list)),
        )
        .route("/datastore/{datastoreId}/searchImageSets", post(operation.run(search::search)))
        .nest("/datastore/{datastoreId}/imageSet/{imageSetId}", image_set(&operation))
        .route(
            // An ARN contains slashes, which most clients encode.
            "/tags/{*resourceArn}",
            post(operation.run(tags::tag))
                .delete(operation.run(tags::untag))
                .get(operation.run(tags::list)),
        )
}

/// Routes of the operations on an image set.
fn image_set(operation: &Operation<dyn HealthImaging>) -> Router {
    Router::new()
        .route("/getImageSet", post(operation.run(image_sets::get)))
        .route("/getImageSetMetadata", post(operation.run(image_sets::metadata)))
        .route("/getImageFrame", post(operation.run(image_sets::frame)))
        .route("/listImageSetVersions", post(operation.run(image_sets::versions)))
        .route("/updateImageSetMetadata", post(operation.run(changes::update)))
        .route("/copyImageSet", post(operation.run(changes::copy)))
        .route("/deleteImageSet", post(operation.run(changes::delete)))
}
