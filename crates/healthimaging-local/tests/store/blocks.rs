//! Image sets whose documents are stored in blocks: they are what they would be if they were stored whole.

use std::collections::BTreeMap;
use std::io::Read;

use flate2::read::GzDecoder;
use healthimaging::model::{
    DeleteImageSetRequest, GetImageSetMetadataRequest, InstanceMetadataRequest, MetadataUpdates,
    SeriesMetadataRequest,
};
use healthimaging::{DicomWeb, ErrorKind, HealthImaging, ImageSetId, Uid};
use healthimaging_phantoms::Phantom;
use rusqlite::Connection;
use serde_json::{Value, json};

use crate::deletion::{bytes_of, contains};
use crate::fixture::{Fixture, instances};

const STUDY: &str = "2.25.7";
const SERIES: &str = "2.25.7.1";

fn uid(text: &str) -> Uid {
    Uid::try_from(text).unwrap()
}

fn sop(number: u32) -> String {
    format!("{SERIES}.{number}")
}

/// A slice; every ninth differs from its image set.
fn slice(number: u32) -> Vec<u8> {
    let name = if number % 9 == 8 { "Other^Name" } else { "Synthetic^Name" };
    Phantom::ct()
        .size(8, 8)
        .patient(name, "P-7")
        .study_uid(STUDY)
        .series_uid(SERIES)
        .sop_uid(&sop(number))
        .series_number(1)
        .instance_number(number)
        .build()
}

/// The numbers 1 to `count`, each once, in an order without order.
fn mixed(count: u32) -> Vec<u32> {
    (1..=count).map(|number| number * 89 % (count + 1)).collect()
}

fn slices(numbers: &[u32]) -> Vec<Vec<u8>> {
    numbers.iter().map(|number| slice(*number)).collect()
}

/// A document without what is new in each data store.
fn comparable(mut document: Value) -> Value {
    document["DatastoreID"].take();
    document["ImageSetID"].take();
    for series in document["Study"]["Series"].as_object_mut().unwrap().values_mut() {
        for instance in series["Instances"].as_object_mut().unwrap().values_mut() {
            for frame in instance["ImageFrames"].as_array_mut().unwrap() {
                frame["ID"].take();
            }
        }
    }
    document
}

impl Fixture {
    async fn check(&self, set: &ImageSetId, numbers: &[u32]) {
        let bytes = self.metadata_bytes(set, None).await.unwrap();
        // A decoder of one member, which leaves what is behind it.
        let mut decoder = GzDecoder::new(&bytes[..]);
        let mut text = String::new();
        decoder.read_to_string(&mut text).unwrap();
        assert!(decoder.into_inner().is_empty());
        let document: Value = serde_json::from_str(&text).unwrap();
        let found: Vec<String> = instances(&document).into_iter().map(|(uid, _)| uid).collect();
        let mut sorted = numbers.to_vec();
        sorted.sort_unstable();
        assert_eq!(found, sorted.iter().map(|number| sop(*number)).collect::<Vec<_>>());
        let report = self.store.verify(|_| ()).await.unwrap();
        assert_eq!(report.damaged, []);

        let request = SeriesMetadataRequest {
            datastore_id: self.datastore.clone(),
            study_instance_uid: uid(STUDY),
            series_instance_uid: uid(SERIES),
            image_set_id: None,
        };
        let listed = self.store.series_metadata(request).await.unwrap();
        let listed = listed.collect(1 << 26).await.unwrap();
        let listed: Vec<Value> = serde_json::from_slice(&listed).unwrap();
        let number = |one: &Value| one["00200013"]["Value"][0].as_i64().unwrap();
        assert_eq!(
            listed.iter().map(number).collect::<Vec<_>>(),
            sorted.iter().map(|number| i64::from(*number)).collect::<Vec<_>>()
        );
        for listed in listed.iter().step_by(37) {
            let number = u32::try_from(number(listed)).unwrap();
            assert_eq!(self.instance(number).await.unwrap(), *listed);
            let name = if number % 9 == 8 { "Other^Name" } else { "Synthetic^Name" };
            assert_eq!(listed["00100010"]["Value"][0]["Alphabetic"], name);
        }
        let error = self.instance(99_999).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound);
        assert!(error.message().contains("no instance"), "{}", error.message());
    }

    async fn instance(&self, number: u32) -> healthimaging::Result<Value> {
        let request = InstanceMetadataRequest {
            datastore_id: self.datastore.clone(),
            study_instance_uid: uid(STUDY),
            series_instance_uid: uid(SERIES),
            sop_instance_uid: uid(&sop(number)),
            image_set_id: None,
        };
        let found = self.store.instance_metadata(request).await?.collect(1 << 20).await?;
        Ok(serde_json::from_slice::<Value>(&found).unwrap()[0].take())
    }

    fn catalog(&self) -> Connection {
        Connection::open(self.folder.path().join("catalogue.sqlite")).unwrap()
    }

    fn count(&self, rows: &str) -> u32 {
        let sql = format!("SELECT count(*) FROM {rows}");
        self.catalog().query_row(&sql, [], |row| row.get(0)).unwrap()
    }

    async fn update(&self, set: &ImageSetId, updates: MetadataUpdates) {
        let latest = self.get(set).await.unwrap().properties.version_id.number();
        let latest = u32::try_from(latest).unwrap();
        let request = self.update_request(set, latest, updates);
        self.store.update_image_set_metadata(request).await.unwrap();
        let found = self.settled(set).await.properties;
        assert_eq!(found.message, None);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_series_that_grows_is_as_if_it_had_come_at_once() {
    let numbers = mixed(400);
    let at_once = Fixture::new().await;
    let whole = at_once.import_one_set(&slices(&numbers)).await;
    at_once.check(&whole, &numbers).await;

    let grown = Fixture::new().await;
    let set = grown.import_one_set(&slices(&numbers[..30])).await;
    assert_eq!(grown.count("document_block"), 0, "a small one is stored whole");
    let mut done = 30;
    let mut versions = BTreeMap::from([(1, 30)]);
    for (version, count) in (2..).zip([90, 1, 20, 1, 1, 130, 1, 5, 121]) {
        grown.import(&slices(&numbers[done..done + count])).await;
        done += count;
        versions.insert(version, done);
        if version % 3 == 2 {
            grown.check(&set, &numbers[..done]).await;
        }
    }
    assert_eq!(done, numbers.len());
    grown.check(&set, &numbers).await;
    assert!(grown.count("document_block WHERE end_version IS NULL") > 3);
    assert!(grown.count("document_block WHERE instance_count > 150") == 0);
    let expected = comparable(at_once.metadata(&whole, None).await);
    let found = comparable(grown.metadata(&set, None).await);
    // As text: the order of the instances counts too.
    let texts = [&found, &expected].map(Value::to_string);
    assert!(texts[0] == texts[1]);
    for (version, count) in versions {
        let document = grown.metadata(&set, Some(version)).await;
        assert_eq!(instances(&document).len(), count, "{version}");
    }
    let tags = |mut sets: Vec<healthimaging::model::ImageSetsMetadataSummary>| {
        sets.remove(0).dicom_tags.unwrap()
    };
    assert_eq!(tags(grown.all().await), tags(at_once.all().await));
}

#[tokio::test(flavor = "multi_thread")]
async fn one_instance_more_writes_one_block() {
    let fixture = Fixture::new().await;
    let numbers: Vec<u32> = (1..=401).collect();
    let set = fixture.import_one_set(&slices(&numbers[..399])).await;
    assert_eq!(fixture.count("document_block"), 4);
    fixture.import(&slices(&numbers[400..])).await;
    assert_eq!(fixture.count("document_block WHERE first_version = 2"), 1);
    assert_eq!(fixture.count("document_block WHERE end_version IS NOT NULL"), 0);
    // Between two others, it belongs to the block that is there.
    fixture.import(&slices(&numbers[399..400])).await;
    assert_eq!(fixture.count("document_block WHERE first_version = 3"), 1);
    assert_eq!(fixture.count("document_block WHERE end_version IS NOT NULL"), 1);
    fixture.check(&set, &numbers).await;
}

/// Instances behind all others, one or a few in a request: what is written for one of them is small, and so is the number of
/// blocks.
#[tokio::test(flavor = "multi_thread")]
async fn instances_at_the_end_are_written_with_few_others() {
    for (steps, most_blocks) in
        [(vec![1; 110], 4), (vec![5; 50], 6), ([1, 20, 3, 40, 15].repeat(3), 6)]
    {
        let count = 40 + steps.iter().sum::<usize>();
        let numbers: Vec<u32> = (1..).take(count).collect();
        let at_once = Fixture::new().await;
        let whole = at_once.import_one_set(&slices(&numbers)).await;
        let fixture = Fixture::new().await;
        let set = fixture.import_one_set(&slices(&numbers[..40])).await;
        let mut done = 40;
        for step in &steps {
            fixture.import(&slices(&numbers[done..done + step])).await;
            done += step;
        }
        fixture.check(&set, &numbers).await;
        let expected = comparable(at_once.metadata(&whole, None).await).to_string();
        let found = comparable(fixture.metadata(&set, None).await).to_string();
        assert!(found == expected, "{steps:?}");
        let blocks = fixture.count("document_block WHERE end_version IS NULL");
        assert!(blocks <= most_blocks, "{blocks} blocks, {steps:?}");
        let sum = "SELECT sum(instance_count) FROM document_block WHERE first_version > 1";
        let written: u32 = fixture.catalog().query_row(sum, [], |row| row.get(0)).unwrap();
        let joined = u32::try_from(count - 40).unwrap();
        assert!(written <= 14 * joined, "{written} instances written for {joined}, {steps:?}");
        let version = u32::try_from(steps.len() / 2).unwrap();
        let half = 40 + steps.iter().take(steps.len() / 2 - 1).sum::<usize>();
        assert_eq!(instances(&fixture.metadata(&set, Some(version)).await).len(), half);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_changes_a_document_in_blocks_keeps_its_versions() {
    let fixture = Fixture::new().await;
    let numbers = mixed(200);
    let set = fixture.import_one_set(&slices(&numbers[..150])).await;
    fixture.import(&slices(&numbers[150..160])).await;
    let served = |version| {
        let (fixture, set) = (&fixture, &set);
        async move { fixture.metadata_bytes(set, Some(version)).await.unwrap() }
    };
    let before = [served(1).await, served(2).await];

    let study = json!({"SchemaVersion": 1.1, "Study": {"DICOM": {"StudyDescription": "NEW"}}});
    let updates = MetadataUpdates::DicomUpdates {
        removable_attributes: None,
        updatable_attributes: Some(study.to_string().into()),
    };
    fixture.update(&set, updates).await;
    fixture.check(&set, &numbers[..160]).await;
    // An instance that replaces another.
    fixture.import(&slices(&numbers[3..4])).await;
    fixture.check(&set, &numbers[..160]).await;
    fixture.import(&slices(&numbers[160..170])).await;
    fixture.check(&set, &numbers[..170]).await;
    let document = fixture.metadata(&set, None).await;
    assert_eq!(document["Study"]["DICOM"]["StudyDescription"], "NEW");

    // Version 6 shows version 1 again, and instances join that.
    fixture.update(&set, MetadataUpdates::RevertToVersion(1.into())).await;
    fixture.check(&set, &numbers[..150]).await;
    let joined = [&numbers[..150], &numbers[190..]].concat();
    fixture.import(&slices(&numbers[190..])).await;
    fixture.check(&set, &joined).await;
    fixture.import(&slices(&numbers[180..190])).await;
    fixture.check(&set, &[&numbers[..150], &numbers[180..]].concat()).await;
    assert_eq!([served(1).await, served(2).await], before);
    let sixth = fixture.metadata(&set, Some(6)).await;
    assert_eq!(sixth, fixture.metadata(&set, Some(1)).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_document_is_named_by_its_content_and_read_when_its_body_is() {
    let fixture = Fixture::new().await;
    let numbers = mixed(200);
    for first in [50, 150] {
        let set = fixture.import_one_set(&slices(&numbers[..first])).await;
        let body = async |version: Option<u32>| {
            let request = GetImageSetMetadataRequest {
                datastore_id: fixture.datastore.clone(),
                image_set_id: set.clone(),
                version_id: version.map(Into::into),
            };
            fixture.store.get_image_set_metadata(request).await.unwrap().image_set_metadata
        };
        let name = async |version| body(version).await.name().unwrap().to_string();
        let before = name(None).await;
        assert_eq!(name(Some(1)).await, before);
        let unread = body(None).await;
        fixture.import(&slices(&numbers[first..=first])).await;
        assert_ne!(name(None).await, before);
        assert_eq!(name(Some(1)).await, before);
        // The body is of the version that was the latest when it was asked for.
        let held = unread.collect(1 << 26).await.unwrap();
        assert_eq!(held, fixture.metadata_bytes(&set, Some(1)).await.unwrap());
        fixture.update(&set, MetadataUpdates::RevertToVersion(1.into())).await;
        assert_eq!(name(None).await, before, "a version that shows older content");

        let unread = body(None).await;
        let request = DeleteImageSetRequest {
            datastore_id: fixture.datastore.clone(),
            image_set_id: set.clone(),
        };
        fixture.store.delete_image_set(request).await.unwrap();
        fixture.settled(&set).await;
        if first > 100 {
            let error = unread.collect(1 << 26).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::NotFound);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_of_a_deleted_large_image_set_is_left_on_the_disk() {
    let fixture = Fixture::new().await;
    let numbers = mixed(200);
    let set = fixture.import_one_set(&slices(&numbers[..190])).await;
    fixture.import(&slices(&numbers[190..])).await;
    let mut traces = vec![SERIES.into(), b"Synthetic^Name".to_vec()];
    {
        let catalog = fixture.catalog();
        let mut rows =
            catalog.prepare("SELECT document, details FROM document_block_content").unwrap();
        let stored = |row: &rusqlite::Row<'_>| Ok([row.get(0)?, row.get::<_, Vec<u8>>(1)?]);
        for stored in rows.query_map([], stored).unwrap() {
            let middle = |bytes: Vec<u8>| bytes[bytes.len() / 2..][..30].to_vec();
            traces.extend(stored.unwrap().map(middle));
        }
    }
    let before = bytes_of(fixture.folder.path());
    // A few may be cut by the end of a page.
    let found = traces.iter().filter(|trace| contains(&before, trace)).count();
    assert!(traces.len() > 7 && found > 5, "{found} of {}", traces.len());
    let request = DeleteImageSetRequest {
        datastore_id: fixture.datastore.clone(),
        image_set_id: set.clone(),
    };
    fixture.store.delete_image_set(request).await.unwrap();
    fixture.settled(&set).await;
    fixture.store.close().await;
    for table in ["document_block", "document_block_content", "instance"] {
        assert_eq!(fixture.count(table), 0, "{table}");
    }
    let on_disk = bytes_of(fixture.folder.path());
    assert!(traces.iter().all(|trace| !contains(&on_disk, trace)));
}

#[tokio::test(flavor = "multi_thread")]
async fn damage_of_a_block_is_reported() {
    let fixture = Fixture::new().await;
    let numbers: Vec<u32> = (1..=250).collect();
    let set = fixture.import_one_set(&slices(&numbers)).await;
    for (spoil, mend) in [
        ("document_block SET instance_count = instance_count + 1", "instance_count - 1"),
        ("document_block SET frame_count = frame_count + 1", "frame_count - 1"),
        ("document_block SET length = length + 1", "length - 1"),
        ("document_block SET crc32 = crc32 - 1", "crc32 + 1"),
        ("document_block SET first_number = first_number - 1", "first_number + 1"),
        ("document_block_content SET document_crc32 = document_crc32 - 1", "document_crc32 + 1"),
        ("document_block_content SET details_crc32 = details_crc32 - 1", "details_crc32 + 1"),
        ("image_set_version SET blocks = blocks + 1", "blocks - 1"),
        ("instance SET block = block + 1", "block - 1"),
    ] {
        fixture.catalog().execute(&format!("UPDATE {spoil}"), []).unwrap();
        let report = fixture.store.verify(|_| ()).await.unwrap();
        assert_ne!(report.damaged, [], "{spoil}");
        let (set, _) = spoil.split_once(" = ").unwrap();
        fixture.catalog().execute(&format!("UPDATE {set} = {mend}"), []).unwrap();
        let report = fixture.store.verify(|_| ()).await.unwrap();
        assert_eq!(report.damaged, [], "{mend}");
    }
    let catalog = fixture.catalog();
    let stored: Vec<u8> = catalog
        .query_row("SELECT document FROM document_block_content", [], |row| row.get(0))
        .unwrap();
    for at in (0..stored.len()).step_by(stored.len() / 20) {
        let mut bytes = stored.clone();
        bytes[at] ^= 1 << (at % 8);
        let update = "UPDATE document_block_content SET document = ?1 WHERE block = 1";
        catalog.execute(update, [&bytes]).unwrap();
        let error = fixture.metadata_bytes(&set, None).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Internal, "byte {at}");
        let error = fixture.instance(1).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Internal, "byte {at}");
        catalog.execute(update, [&stored]).unwrap();
    }
    fixture.check(&set, &numbers).await;
}
