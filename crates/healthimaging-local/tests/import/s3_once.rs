//! Objects of S3 are fetched once, for their headers and to be stored together: against an object store of
//! these tests that counts bytes.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use healthimaging::ObjectUri;
use healthimaging::model::JobStatus;
use healthimaging_objects::{S3Config, S3Credentials, StaticS3Credentials};
use healthimaging_phantoms::{Phantom, TransferSyntax, VR, tags};

use crate::fixture::Fixture;

/// An object, and what it becomes once it was read.
struct Object {
    content: Vec<u8>,
    later: Option<Vec<u8>>,
}

#[derive(Default)]
struct Bucket {
    objects: BTreeMap<String, Object>,
    /// Bytes of objects that were sent.
    sent: u64,
    /// Requests for them.
    requests: usize,
}

/// As much of S3 as an import asks for: `ListObjectsV2`, and `GetObject` with Range and If-Match.
struct Server {
    bucket: Arc<Mutex<Bucket>>,
    address: SocketAddr,
}

impl Server {
    fn start() -> Self {
        let bucket = Arc::new(Mutex::new(Bucket::default()));
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let served = Arc::clone(&bucket);
        thread::spawn(move || {
            for stream in listener.incoming() {
                let bucket = Arc::clone(&served);
                thread::spawn(move || serve(&stream.unwrap(), &bucket));
            }
        });
        Self { bucket, address }
    }

    fn put(&self, key: &str, content: Vec<u8>) -> u64 {
        let length = content.len() as u64;
        let object = Object { content, later: None };
        self.bucket.lock().unwrap().objects.insert(key.to_owned(), object);
        length
    }

    /// Settings that lead to it; any credentials will do.
    fn settings(&self) -> S3Config {
        S3Config {
            region: None,
            ca_bundle: None,
            endpoint: Some(format!("http://{}", self.address)),
            credentials: Some(Arc::new(StaticS3Credentials(S3Credentials {
                access_key_id: "test".to_owned(),
                secret_access_key: "test".to_owned(),
                session_token: None,
            }))),
        }
    }

    /// Bytes sent, and requests for objects.
    fn counts(&self) -> (u64, usize) {
        let bucket = self.bucket.lock().unwrap();
        (bucket.sent, bucket.requests)
    }

    /// A store that imported everything.
    async fn import(&self) -> (Fixture, healthimaging_local::ImportSummary) {
        let s3 = self.settings();
        let fixture = Fixture::with(|mut config| {
            config.s3 = s3;
            config
        })
        .await;
        let prefix = ObjectUri::try_from("s3://bucket/in/".to_owned()).unwrap();
        let imported = fixture.store.import_objects(&fixture.datastore, &prefix, |_| ());
        let summary = imported.await.unwrap();
        assert_eq!(summary.status, JobStatus::Completed, "{summary:?}");
        (fixture, summary)
    }
}

/// Answers the requests of a connection.
fn serve(stream: &TcpStream, bucket: &Mutex<Bucket>) {
    let mut reader = BufReader::new(stream);
    loop {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            if reader.read_line(&mut head).unwrap_or(0) == 0 {
                return;
            }
        }
        let header = |name: &str| {
            head.lines().find_map(|line| {
                let (found, value) = line.split_once(':')?;
                found.eq_ignore_ascii_case(name).then(|| value.trim().to_owned())
            })
        };
        let length = header("content-length").map_or(0, |length| length.parse().unwrap());
        reader.by_ref().take(length).read_to_end(&mut Vec::new()).unwrap();
        let path = head.split(' ').nth(1).unwrap();
        let answer = match path.strip_prefix("/bucket/").filter(|key| !key.starts_with('?')) {
            Some(key) => object(key, header("range"), header("if-match"), bucket),
            None => listing(bucket),
        };
        if { stream }.write_all(&answer).is_err() {
            return;
        }
    }
}

fn listing(bucket: &Mutex<Bucket>) -> Vec<u8> {
    let mut lines = String::new();
    for (key, object) in &bucket.lock().unwrap().objects {
        write!(
            lines,
            "<Contents><Key>{key}</Key><LastModified>2025-01-01T00:00:00.000Z</LastModified>\
             <Size>{}</Size></Contents>",
            object.content.len()
        )
        .unwrap();
    }
    let body = format!(
        "<?xml version=\"1.0\"?><ListBucketResult><IsTruncated>false</IsTruncated>{lines}\
         </ListBucketResult>"
    );
    answer("200 OK", "", body.as_bytes())
}

fn object(
    key: &str,
    range: Option<String>,
    if_match: Option<String>,
    bucket: &Mutex<Bucket>,
) -> Vec<u8> {
    let mut bucket = bucket.lock().unwrap();
    bucket.requests += 1;
    let object = bucket.objects.get_mut(key).unwrap();
    let content = object.content.clone();
    let version = format!("\"{:x}\"", crc(&content));
    if if_match.is_some_and(|wanted| wanted != version) {
        return answer("412 Precondition Failed", "", b"");
    }
    if let Some(later) = object.later.take() {
        object.content = later;
    }
    let common = format!("ETag: {version}\r\nLast-Modified: Wed, 01 Jan 2025 00:00:00 GMT\r\n");
    let Some(range) = range else {
        bucket.sent += content.len() as u64;
        return answer("200 OK", &common, &content);
    };
    let (first, last) = range.strip_prefix("bytes=").unwrap().split_once('-').unwrap();
    let first: usize = first.parse().unwrap();
    let last = last.parse::<usize>().unwrap().min(content.len() - 1);
    let part = &content[first..=last];
    bucket.sent += part.len() as u64;
    let headers = format!("{common}Content-Range: bytes {first}-{last}/{}\r\n", content.len());
    answer("206 Partial Content", &headers, part)
}

/// An entity tag for a content.
fn crc(content: &[u8]) -> u64 {
    content.iter().fold(7, |sum, &byte| sum.wrapping_mul(31).wrapping_add(byte.into()))
}

fn answer(status: &str, headers: &str, body: &[u8]) -> Vec<u8> {
    let length = body.len();
    let head = format!("HTTP/1.1 {status}\r\n{headers}Content-Length: {length}\r\n\r\n");
    [head.as_bytes(), body].concat()
}

#[tokio::test]
async fn each_byte_is_fetched_once() {
    let server = Server::start();
    let ct = |number: u32| {
        Phantom::ct().size(256, 256).instance_number(number).sop_uid(&format!("2.25.7.{number}"))
    };
    let mut stored = 0;
    for number in 1..=6 {
        stored += server.put(&format!("in/{number}"), ct(number).build());
    }
    // A header of more than is fetched at first; a small object; and one that has to be inflated.
    let long = "long ".repeat(8_000);
    let long = ct(7).with(tags::IMAGE_COMMENTS, VR::LT, long).build();
    stored += server.put("in/7", long);
    stored += server.put("in/8", ct(8).size(16, 16).build());
    let deflated = ct(9).transfer_syntax(TransferSyntax::DeflatedExplicitVrLittleEndian);
    stored += server.put("in/9", deflated.build());
    let (fixture, summary) = server.import().await;
    assert_eq!((summary.progress.files_done, summary.progress.refused), (9, 0), "{summary:?}");
    let (sent, requests) = server.counts();
    assert_eq!(sent, stored, "bytes fetched for {stored} bytes stored");
    assert!(requests <= 2 * 9 + 2, "{requests}");
    assert_eq!(fixture.image_sets().await.len(), 1);
}

#[tokio::test]
async fn an_object_that_changes_between_the_readings_is_not_mixed() {
    let server = Server::start();
    let ct = |seed| Phantom::ct().size(256, 256).sop_uid("2.25.7.1").seed(seed).build();
    let (first, second) = (ct(1), ct(2));
    assert_eq!(first.len(), second.len());
    let length = server.put("in/1", first);
    server.bucket.lock().unwrap().objects.get_mut("in/1").unwrap().later = Some(second.clone());
    let (fixture, _) = server.import().await;
    let (sent, _) = server.counts();
    assert_eq!(sent, length + (16 << 10), "its start, and all of it anew");

    let alone = Fixture::new().await;
    alone.import(&alone.put("second.dcm", &second)).await;
    let (found, expected) = (checksum(&fixture).await, checksum(&alone).await);
    assert_eq!(found, expected);
}

/// The checksum of the pixels of the only frame.
async fn checksum(fixture: &Fixture) -> serde_json::Value {
    let set = fixture.image_sets().await.remove(0).image_set_id;
    let document = fixture.metadata(&set).await;
    let series = document["Study"]["Series"].as_object().unwrap().values().next().unwrap();
    let instance = series["Instances"].as_object().unwrap().values().next().unwrap();
    let frame = &instance["ImageFrames"][0];
    frame["PixelDataChecksumFromBaseToFullResolution"].clone()
}

#[tokio::test]
async fn what_is_not_dicom_is_refused_after_its_first_bytes() {
    let server = Server::start();
    server.put("in/large.bin", vec![1; 1 << 20]);
    server.put("in/empty", Vec::new());
    let (_, summary) = server.import().await;
    assert_eq!(summary.progress.refused, 2, "{summary:?}");
    let failed: Vec<&str> = summary.refused.failed.iter().map(|file| &file.key[..]).collect();
    assert_eq!(failed, ["in/empty", "in/large.bin"]);
    assert_eq!(server.counts().0, 16 << 10);
}
