//! The IAM policies in docs/iam name exactly the actions that the code calls.
#![expect(clippy::unwrap_used, reason = "a test may")]

mod stub;

use std::collections::BTreeSet;
use std::path::Path;

use futures::{StreamExt, stream};
use healthimaging::model::{
    InstanceMetadataRequest, RetrieveBulkdataRequest, RetrieveFramesRequest,
    RetrieveInstanceRequest, SearchDicomRequest, SearchLevel, SeriesMetadataRequest,
    StoreInstancesRequest, TransferSyntaxChoice,
};
use healthimaging::{DatastoreId, DicomWeb, Operation, Uid};
use healthimaging_aws::Aws;
use serde_json::Value;

fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
}

/// The actions of a service that a policy allows.
fn allowed(policy: &str, service: &str) -> BTreeSet<String> {
    let path = root().join("docs/iam").join(policy);
    let policy: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let statements = policy["Statement"].as_array().unwrap();
    let actions = statements.iter().flat_map(|statement| {
        assert_eq!(statement["Effect"], "Allow");
        statement["Action"].as_array().unwrap()
    });
    let prefix = format!("{service}:");
    let own = actions.filter_map(|action| action.as_str().unwrap().strip_prefix(&prefix));
    own.map(str::to_owned).collect()
}

/// The operations that are called by the SDK: `self.client.get_image_set()` is `GetImageSet`.
fn called() -> BTreeSet<String> {
    let source = root().join("crates/healthimaging-aws/src/service.rs");
    let source = std::fs::read_to_string(source).unwrap();
    let plain: String = source.split_whitespace().collect();
    let calls = plain.split("self.client.").skip(1);
    calls
        .map(|call| {
            let words = call.split('(').next().unwrap().split('_');
            words
                .map(|word| match word {
                    "dicom" => "DICOM".to_owned(),
                    word => word[..1].to_uppercase() + &word[1..],
                })
                .collect()
        })
        .collect()
}

fn names(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

#[test]
fn the_full_policy_allows_what_is_called_and_nothing_else() {
    let all: BTreeSet<String> =
        Operation::ALL.iter().map(|operation| operation.name().to_owned()).collect();
    assert_eq!(called(), all, "the contract's operations");
    assert_eq!(allowed("full.json", "medical-imaging"), called());
    // The role of an import is handed on.
    assert_eq!(allowed("full.json", "iam"), names(&["PassRole"]));
}

#[test]
fn the_read_only_policy_allows_what_reads() {
    let reads =
        |name: &&String| ["Get", "List", "Search"].iter().any(|verb| name.starts_with(verb));
    let called = called();
    let wanted: BTreeSet<String> = called.iter().filter(reads).cloned().collect();
    assert_eq!(allowed("read-only.json", "medical-imaging"), wanted);
}

/// Actions of DICOMweb and what their requests look like (developer guide, "Using DICOMweb").
const DICOMWEB: [(&str, &str); 13] = [
    ("StoreDICOM", "POST /studies"),
    ("StoreDICOMStudy", "POST /studies/1"),
    ("GetDICOMInstance", "GET /studies/1/series/2/instances/3"),
    ("GetDICOMInstanceMetadata", "GET /studies/1/series/2/instances/3/metadata"),
    ("GetDICOMSeriesMetadata", "GET /studies/1/series/2/metadata"),
    ("GetDICOMInstanceFrames", "GET /studies/1/series/2/instances/3/frames/1"),
    ("GetDICOMBulkdata", "GET /studies/1/series/2/instances/3/bulkdata/b"),
    ("SearchDICOMStudies", "GET /studies"),
    ("SearchDICOMSeries", "GET /studies/1/series"),
    ("SearchDICOMInstances", "GET /studies/1/series/2/instances"),
    ("SearchDICOMStudyInstances", "GET /studies/1/instances"),
    ("SearchDICOMAllSeries", "GET /series"),
    ("SearchDICOMAllInstances", "GET /instances"),
];

/// Makes every call of DICOMweb; each is refused.
async fn call_all(aws: &Aws) {
    let datastore: DatastoreId = "0".repeat(32).parse().unwrap();
    let uid = |text: &str| text.parse::<Uid>().unwrap();
    for study in [None, Some(uid("1"))] {
        let file = healthimaging::Body::from(b"DICM".to_vec());
        let request = StoreInstancesRequest {
            datastore_id: datastore.clone(),
            study_instance_uid: study,
            instances: stream::iter([Ok(file)]).boxed(),
        };
        // Nothing is asked of the answers.
        let _ = aws.store_instances(request).await;
    }
    let _ = aws
        .retrieve_instance(RetrieveInstanceRequest {
            datastore_id: datastore.clone(),
            study_instance_uid: uid("1"),
            series_instance_uid: uid("2"),
            sop_instance_uid: uid("3"),
            image_set_id: None,
            transfer_syntax: TransferSyntaxChoice::Stored,
        })
        .await;
    let _ = aws
        .instance_metadata(InstanceMetadataRequest {
            datastore_id: datastore.clone(),
            study_instance_uid: uid("1"),
            series_instance_uid: uid("2"),
            sop_instance_uid: uid("3"),
            image_set_id: None,
        })
        .await;
    let _ = aws
        .series_metadata(SeriesMetadataRequest {
            datastore_id: datastore.clone(),
            study_instance_uid: uid("1"),
            series_instance_uid: uid("2"),
            image_set_id: None,
        })
        .await;
    let _ = aws
        .retrieve_frames(RetrieveFramesRequest {
            datastore_id: datastore.clone(),
            study_instance_uid: uid("1"),
            series_instance_uid: uid("2"),
            sop_instance_uid: uid("3"),
            image_set_id: None,
            frames: vec![1],
            transfer_syntax: TransferSyntaxChoice::Stored,
            enough: None,
            is_whole: false,
        })
        .await;
    let _ = aws
        .retrieve_bulkdata(RetrieveBulkdataRequest {
            datastore_id: datastore.clone(),
            study_instance_uid: uid("1"),
            series_instance_uid: uid("2"),
            sop_instance_uid: uid("3"),
            image_set_id: None,
            bulkdata_id: "b".to_owned(),
        })
        .await;
    for level in [
        SearchLevel::Studies,
        SearchLevel::Series(None),
        SearchLevel::Series(Some(uid("1"))),
        SearchLevel::Instances(None, None),
        SearchLevel::Instances(Some(uid("1")), None),
        SearchLevel::Instances(Some(uid("1")), Some(uid("2"))),
    ] {
        let request = SearchDicomRequest::all(datastore.clone(), level);
        let _ = aws.search(request).await;
    }
}

#[tokio::test]
async fn the_dicomweb_policy_allows_what_is_called_and_nothing_else() {
    let refusal = "HTTP/1.1 404 X\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
    let (endpoint, asked) = stub::stub(refusal.to_owned()).await;
    call_all(&*stub::open(endpoint).await).await;
    let prefix = format!(" /datastore/{}", "0".repeat(32));
    let mut actions = BTreeSet::new();
    for target in asked.lock().unwrap().iter() {
        let target = target.replace(&prefix, " ");
        let target = target.split('?').next().unwrap();
        let known = DICOMWEB.iter().find(|(_, request)| *request == target);
        let (action, _) = known.unwrap_or_else(|| panic!("{target} is no action"));
        actions.insert((*action).to_owned());
    }
    assert_eq!(allowed("dicomweb.json", "medical-imaging"), actions);
}
