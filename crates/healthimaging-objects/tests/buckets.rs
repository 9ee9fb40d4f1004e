//! `s3://` locations. Runs when `HEALTHIMAGING_TEST_S3` is the endpoint of an object store with an empty
//! bucket `healthimaging-test`, such as moto's, which takes any credentials.

#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]
#![expect(clippy::print_stdout, reason = "a test that did not run says so")]

use std::io::Read;
use std::sync::Arc;

use bytes::Bytes;
use healthimaging::{ErrorKind, ObjectUri};
use healthimaging_objects::{
    Listed, Objects, ObjectsConfig, S3Config, S3Credentials, StaticS3Credentials,
};

fn objects() -> Option<Objects> {
    let endpoint = std::env::var("HEALTHIMAGING_TEST_S3").ok();
    if endpoint.is_none() {
        println!("did not run: HEALTHIMAGING_TEST_S3 names no endpoint");
    }
    let credentials = S3Credentials {
        access_key_id: "test".to_owned(),
        secret_access_key: "test".to_owned(),
        session_token: None,
    };
    Some(Objects::new(ObjectsConfig {
        s3: S3Config {
            region: None,
            endpoint: Some(endpoint?),
            ca_bundle: None,
            credentials: Some(Arc::new(StaticS3Credentials(credentials))),
        },
        ..ObjectsConfig::default()
    }))
}

fn uri(text: &str) -> ObjectUri {
    ObjectUri::try_from(text).unwrap()
}

#[tokio::test]
async fn objects_are_written_listed_and_read_below_a_prefix() {
    let Some(objects) = objects() else { return };
    let place = objects.location(&uri("s3://healthimaging-test/in/")).unwrap();
    for number in 0..1_050 {
        let name = format!("d/{number:04} é+&.dcm");
        place.write(&name, Bytes::from(name.clone())).await.unwrap();
    }
    place.write("empty", Bytes::new()).await.unwrap();
    let beside = objects.location(&uri("s3://healthimaging-test/in-other")).unwrap();
    beside.write("x", Bytes::from_static(b"x")).await.unwrap();

    let listed = place.list().await.unwrap();
    assert_eq!(listed.len(), 1_051, "more than a page of S3, and nothing from beside");
    assert_eq!(listed[0].key(), "in/d/0000 é+&.dcm");
    let Listed::Object(entry) = &listed[1_049] else {
        panic!("{:?} should be readable", listed[1_049]);
    };
    let mut content = String::new();
    place.fetch(entry).await.unwrap().read_to_string(&mut content).unwrap();
    assert_eq!(content, "d/1049 é+&.dcm");
    assert_eq!(entry.size, content.len() as u64);
    assert_eq!(place.read("empty", 10).await.unwrap(), b"");
    let error = place.read("missing", 10).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    let prefix = objects.location(&uri("s3://healthimaging-test/in-o")).unwrap();
    assert_eq!(prefix.list().await.unwrap().len(), 1, "a prefix is any beginning of a key");
}

#[tokio::test]
async fn a_large_object_is_written_in_parts() {
    let Some(objects) = objects() else { return };
    let place = objects.location(&uri("s3://healthimaging-test/large/")).unwrap();
    let piece = Bytes::from(vec![7; 3 << 20]);
    let mut writing = place.create("whole").await.unwrap();
    for _ in 0..7 {
        writing.write(piece.clone()).await.unwrap();
    }
    writing.finish().await.unwrap();
    let written = place.read("whole", 64 << 20).await.unwrap();
    assert_eq!(written.len(), 21 << 20);
    assert!(written.iter().all(|byte| *byte == 7));

    let mut dropped = place.create("dropped").await.unwrap();
    for _ in 0..7 {
        dropped.write(piece.clone()).await.unwrap();
    }
    dropped.abandon().await.unwrap();
    let error = place.read("dropped", 64 << 20).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
}

#[tokio::test]
async fn a_missing_bucket_is_not_found() {
    let Some(objects) = objects() else { return };
    let place = objects.location(&uri("s3://healthimaging-none/")).unwrap();
    assert_eq!(place.list().await.unwrap_err().kind(), ErrorKind::NotFound);
}
