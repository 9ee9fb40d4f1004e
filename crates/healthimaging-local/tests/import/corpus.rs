//! Real files, when `HEALTHIMAGING_CORPUS` names a folder of them.

use std::collections::BTreeSet;
use std::path::Path;

use crate::fixture::Fixture;

/// Every file gets exactly one outcome, and everything that is said to be stored can be read.
#[tokio::test(flavor = "multi_thread")]
async fn every_file_of_a_corpus_has_an_outcome_and_can_be_read_back() {
    let Some(corpus) = std::env::var_os("HEALTHIMAGING_CORPUS") else {
        println!("did not run: HEALTHIMAGING_CORPUS names no folder");
        return;
    };
    let fixture = Fixture::new().await;
    let summary = fixture.import(Path::new(&corpus)).await;
    if let Some(out) = std::env::var_os("HEALTHIMAGING_CORPUS_REPORT") {
        let from = summary.output_s3_uri.as_str().strip_prefix("file://").unwrap();
        copy(Path::new(from), Path::new(&out));
    }
    let success = Fixture::lines(&summary, "SUCCESS/success.ndjson");
    let failure = Fixture::lines(&summary, "FAILURE/failure.ndjson");
    let keys: BTreeSet<_> =
        success.iter().chain(&failure).map(|line| line["inputFile"].as_str().unwrap()).collect();
    let total = usize::try_from(summary.progress.files_total.unwrap()).unwrap();
    assert_eq!(keys.len(), total);
    assert_eq!(success.len() + failure.len(), total);
    assert_eq!(summary.progress.files_done, total as u64);
    let faults: Vec<_> = failure
        .iter()
        .filter(|line| line["exception"]["exceptionType"] == "InternalServerException")
        .collect();
    assert!(faults.is_empty(), "{faults:?}");
    let mut frames = 0;
    for set in fixture.image_sets().await {
        let metadata = fixture.metadata(&set.image_set_id).await;
        for series in metadata["Study"]["Series"].as_object().unwrap().values() {
            for instance in series["Instances"].as_object().unwrap().values() {
                for frame in instance["ImageFrames"].as_array().unwrap() {
                    let id = frame["ID"].as_str().unwrap();
                    let bytes = fixture.frame(&set.image_set_id, id).await.unwrap();
                    assert_eq!(bytes.len() as u64, frame["FrameSizeInBytes"]);
                    frames += 1;
                }
            }
        }
    }
    println!("{:?}, {frames} frames read back", summary.progress);
    fixture.store.close().await;
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &to);
        } else {
            std::fs::copy(entry.path(), to).unwrap();
        }
    }
}
