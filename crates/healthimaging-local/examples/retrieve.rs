//! Imports a folder into a new store and writes every instance back as a Part 10 file:
//! `retrieve FOLDER OUT`. Prints a line of JSON a file; other programs compare them with the originals.
#![expect(clippy::print_stdout, reason = "its output is what it is for")]

use std::error::Error;
use std::path::{Path, PathBuf};

use futures::TryStreamExt;
use healthimaging::model::{
    CreateDatastoreRequest, DatastoreStatus, GetDatastoreRequest, GetImageSetMetadataRequest,
    RetrieveInstanceRequest, SearchCriteria, SearchImageSetsRequest, TransferSyntaxChoice,
};
use healthimaging::{
    DatastoreId, DicomWeb, ErrorKind, HealthImaging, ImageSetId, Page, Uid, sweep,
};
use healthimaging_local::{LocalConfig, LocalStore};
use serde_json::{Value, json};

type Outcome<T> = Result<T, Box<dyn Error>>;

const EXPLICIT_LITTLE_ENDIAN: &str = "1.2.840.10008.1.2.1";
const DOCUMENT_LIMIT: u64 = 1 << 30;

#[tokio::main]
async fn main() -> Outcome<()> {
    let mut arguments = std::env::args_os().skip(1).map(PathBuf::from);
    let (Some(folder), Some(out)) = (arguments.next(), arguments.next()) else {
        return Err("usage: retrieve FOLDER OUT".into());
    };
    std::fs::create_dir_all(&out)?;
    let data = tempfile::tempdir()?;
    let store = LocalStore::open(LocalConfig::new(data.path())).await?;
    let made = store.create_datastore(CreateDatastoreRequest::default()).await?;
    until_active(&store, &made.datastore_id).await?;
    let summary = store.import_paths(&made.datastore_id, &[folder], |_| {}).await?;
    eprintln_summary(&summary);
    let mut number = 0;
    for set in image_sets(&store, &made.datastore_id).await? {
        for (study, series, sop) in instances(&store, &made.datastore_id, &set).await? {
            number += 1;
            let request = |transfer_syntax| RetrieveInstanceRequest {
                datastore_id: made.datastore_id.clone(),
                study_instance_uid: study.clone(),
                series_instance_uid: series.clone(),
                sop_instance_uid: sop.clone(),
                image_set_id: Some(set.clone()),
                transfer_syntax,
            };
            let stored = out.join(format!("{number:05}-stored.dcm"));
            let syntax = write(&store, request(TransferSyntaxChoice::Stored), &stored).await?;
            print(&sop, &set, &stored, &syntax);
            let plain = TransferSyntaxChoice::Uid(EXPLICIT_LITTLE_ENDIAN.parse()?);
            let file = out.join(format!("{number:05}-plain.dcm"));
            match write(&store, request(plain), &file).await {
                Ok(syntax) => print(&sop, &set, &file, &syntax),
                Err(error) if is_not_acceptable(error.as_ref()) => {}
                Err(error) => return Err(error),
            }
        }
    }
    store.close().await;
    Ok(())
}

#[expect(clippy::print_stderr, reason = "a note beside the output")]
fn eprintln_summary(summary: &impl std::fmt::Debug) {
    eprintln!("{summary:?}");
}

fn print(sop: &Uid, set: &ImageSetId, file: &Path, syntax: &str) {
    let line = json!({ "sop": sop, "image_set": set, "file": file, "transfer_syntax": syntax });
    println!("{line}");
}

fn is_not_acceptable(error: &(dyn Error + 'static)) -> bool {
    let ours = error.downcast_ref::<healthimaging::Error>();
    ours.is_some_and(|error| error.kind() == ErrorKind::NotAcceptable)
}

/// A new data store is `CREATING` for a moment.
async fn until_active(store: &LocalStore, datastore: &DatastoreId) -> Outcome<()> {
    loop {
        let request = GetDatastoreRequest { datastore_id: datastore.clone() };
        let found = store.get_datastore(request).await?.datastore_properties;
        if found.datastore_status == DatastoreStatus::Active {
            return Ok(());
        }
        tokio::task::yield_now().await;
    }
}

async fn image_sets(store: &LocalStore, datastore: &DatastoreId) -> Outcome<Vec<ImageSetId>> {
    let found = sweep(1_000_000, |next_token| async move {
        let request = SearchImageSetsRequest {
            datastore_id: datastore.clone(),
            search_criteria: SearchCriteria::default(),
            next_token,
            max_results: None,
        };
        let found = store.search_image_sets(request).await?;
        let items = found.image_sets_metadata_summaries;
        Ok(Page { items, next_token: found.next_token })
    });
    Ok(found.map_ok(|summary| summary.image_set_id).try_collect().await?)
}

/// Study, series and instance of everything in an image set.
async fn instances(
    store: &LocalStore,
    datastore: &DatastoreId,
    set: &ImageSetId,
) -> Outcome<Vec<(Uid, Uid, Uid)>> {
    let request = GetImageSetMetadataRequest {
        datastore_id: datastore.clone(),
        image_set_id: set.clone(),
        version_id: None,
    };
    let found = store.get_image_set_metadata(request).await?;
    let zipped = found.image_set_metadata.collect(DOCUMENT_LIMIT).await?;
    let mut source =
        serde_json::Deserializer::from_reader(flate2::read::GzDecoder::new(&zipped[..]));
    source.disable_recursion_limit();
    let document: Value = serde::Deserialize::deserialize(&mut source)?;
    let study = document["Study"]["DICOM"]["StudyInstanceUID"].as_str().unwrap_or_default();
    let mut found = Vec::new();
    for (series, content) in document["Study"]["Series"].as_object().into_iter().flatten() {
        for sop in content["Instances"].as_object().into_iter().flatten().map(|(sop, _)| sop) {
            match (study.trim().parse(), series.parse(), sop.parse()) {
                (Ok(study), Ok(series), Ok(sop)) => found.push((study, series, sop)),
                _ => eprintln_summary(&"an instance with a malformed UID was left out"),
            }
        }
    }
    Ok(found)
}

async fn write(
    store: &LocalStore,
    request: RetrieveInstanceRequest,
    file: &Path,
) -> Outcome<String> {
    let retrieved = store.retrieve_instance(request).await?;
    let bytes = retrieved.instance.collect(u64::MAX).await?;
    std::fs::write(file, bytes)?;
    Ok(retrieved.transfer_syntax_uid)
}
