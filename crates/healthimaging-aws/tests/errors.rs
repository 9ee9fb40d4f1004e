//! Errors of AWS and of the network, with what to do: the SDK and our DICOMweb client
//! against stubs with responses as AWS documents them.
#![expect(clippy::unwrap_used, reason = "a test may")]

mod stub;

use std::time::Duration;

use healthimaging::model::{
    DeleteImageSetRequest, GetImageSetRequest, ListDatastoresRequest, SearchDicomRequest,
    SearchLevel,
};
use healthimaging::{DicomWeb, Error, ErrorKind, HealthImaging, PublicType};
use healthimaging_aws::{Aws, AwsConfig};
use tokio::net::TcpListener;

use stub::open;

/// Longer than all attempts of a call.
const TIMEOUT: Duration = Duration::from_hours(1);

const REQUEST_ID: &str = "0b1c2d3e-0001-4000-8000-00000000abcd";

async fn answering(answer: String) -> String {
    stub::stub(answer).await.0
}

/// An error as the service writes it.
fn refusal(status: u16, code: &str, message: &str) -> String {
    let body = serde_json::json!({ "message": message }).to_string();
    format!(
        "HTTP/1.1 {status} Refused\r\nx-amzn-RequestId: {REQUEST_ID}\r\nx-amzn-ErrorType: {code}\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    )
}

async fn by_sdk(aws: &Aws) -> Error {
    let asked = aws.list_datastores(ListDatastoresRequest::default());
    tokio::time::timeout(TIMEOUT, asked).await.unwrap().unwrap_err()
}

async fn by_dicomweb(aws: &Aws) -> Error {
    let request = SearchDicomRequest::all("0".repeat(32).parse().unwrap(), SearchLevel::Studies);
    tokio::time::timeout(TIMEOUT, aws.search(request)).await.unwrap().unwrap_err()
}

#[tokio::test]
async fn what_the_service_refuses_has_a_kind_the_request_id_and_what_to_do() {
    let cases = [
        // The texts are those of AWS's shared authentication layer.
        (
            403,
            "AccessDeniedException",
            "User: arn:aws:iam::123456789012:user/x is not authorized to perform: medical-imaging:ListDatastores",
            ErrorKind::AccessDenied,
            "docs/iam",
        ),
        (
            403,
            "ExpiredTokenException",
            "The security token included in the request is expired",
            ErrorKind::Credentials,
            "aws sso login",
        ),
        (
            403,
            "UnrecognizedClientException",
            "The security token included in the request is invalid.",
            ErrorKind::Credentials,
            "AWS_PROFILE",
        ),
        (
            403,
            "InvalidSignatureException",
            "Signature expired: 20260101T000000Z is now earlier than 20260101T000500Z",
            ErrorKind::Credentials,
            "clock",
        ),
        (
            403,
            "RequestTimeTooSkewed",
            "The difference between the request time and the current time is too large.",
            ErrorKind::Credentials,
            "clock",
        ),
        (
            403,
            "InvalidSignatureException",
            "Credential should be scoped to a valid region.",
            ErrorKind::Credentials,
            "the region",
        ),
        (
            400,
            "ValidationException",
            "maxResults is too large",
            ErrorKind::Validation,
            "maxResults",
        ),
        (
            402,
            "ServiceQuotaExceededException",
            "too many data stores",
            ErrorKind::QuotaExceeded,
            "too many",
        ),
        (404, "ResourceNotFoundException", "no such data store", ErrorKind::NotFound, "no such"),
        (409, "ConflictException", "the image set is locked", ErrorKind::Conflict, "locked"),
        (429, "ThrottlingException", "Rate exceeded", ErrorKind::Throttled, "Rate exceeded"),
    ];
    for (status, code, message, kind, says) in cases {
        let aws = open(answering(refusal(status, code, message)).await).await;
        for error in [by_sdk(&aws).await, by_dicomweb(&aws).await] {
            assert_eq!(error.kind(), kind, "{code}: {error:?}");
            assert_eq!(error.request_id(), Some(REQUEST_ID), "{code}");
            assert_eq!(error.code(), Some(code));
            assert!(error.message().contains(says), "{code}: {error}");
        }
    }
}

#[tokio::test]
async fn a_fault_of_the_service_keeps_its_request_id() {
    let aws = open(answering(refusal(500, "InternalServerException", "oh")).await).await;
    for error in [by_sdk(&aws).await, by_dicomweb(&aws).await] {
        assert_eq!(error.kind(), ErrorKind::Service, "{error:?}");
        assert_eq!(error.request_id(), Some(REQUEST_ID));
        assert_eq!(error.kind().public_type(), PublicType::ServiceError);
    }
}

#[tokio::test]
async fn an_answer_without_a_code_is_read_by_its_status() {
    let bare = |status: u16| {
        format!("HTTP/1.1 {status} X\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
    };
    for (status, kind) in [
        (401, ErrorKind::Credentials),
        (403, ErrorKind::AccessDenied),
        (404, ErrorKind::NotFound),
        (429, ErrorKind::Throttled),
    ] {
        let aws = open(answering(bare(status)).await).await;
        for error in [by_sdk(&aws).await, by_dicomweb(&aws).await] {
            assert_eq!(error.kind(), kind, "{status}: {error:?}");
            assert!(!error.message().is_empty());
        }
    }
}

#[tokio::test]
async fn an_unreachable_endpoint_is_named_with_what_to_check() {
    let free = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = free.local_addr().unwrap();
    drop(free);
    let aws = open(format!("http://{address}")).await;
    for error in [by_sdk(&aws).await, by_dicomweb(&aws).await] {
        assert_eq!(error.kind(), ErrorKind::Service, "{error:?}");
        assert!(error.message().contains("--endpoint-url"), "{error}");
    }
}

#[tokio::test]
async fn a_host_without_an_address_may_be_of_a_wrong_region() {
    // RFC 2606: no name below `.invalid` exists.
    let aws = open("http://medical-imaging.invalid".to_owned()).await;
    for error in [by_sdk(&aws).await, by_dicomweb(&aws).await] {
        assert_eq!(error.kind(), ErrorKind::Service, "{error:?}");
        assert!(error.message().contains("region"), "{error}");
    }
}

/// The paused clock advances while all tasks wait.
#[tokio::test(start_paused = true)]
async fn a_service_that_never_answers_is_given_up() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let mut held = Vec::new();
        loop {
            held.push(listener.accept().await.unwrap());
        }
    });
    let aws = open(format!("http://{address}")).await;
    for error in [by_sdk(&aws).await, by_dicomweb(&aws).await] {
        assert_eq!(error.kind(), ErrorKind::Service, "{error:?}");
        assert!(error.message().contains("in time"), "{error}");
    }
    let request = DeleteImageSetRequest {
        datastore_id: "0".repeat(32).parse().unwrap(),
        image_set_id: "0".repeat(32).parse().unwrap(),
    };
    let error = aws.delete_image_set(request).await.unwrap_err();
    assert!(error.message().contains("not known"), "{error}");
}

#[tokio::test]
async fn an_answer_of_another_shape_is_a_fault_of_the_service() {
    let answer = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\
                  Connection: close\r\n\r\n[]";
    let aws = open(answering(answer.to_owned()).await).await;
    let request = GetImageSetRequest {
        datastore_id: "0".repeat(32).parse().unwrap(),
        image_set_id: "0".repeat(32).parse().unwrap(),
        version_id: None,
    };
    let Err(error) = aws.get_image_set(request).await else {
        panic!("an array is no image set");
    };
    assert_eq!(error.kind(), ErrorKind::Service, "{error:?}");
}

#[tokio::test]
async fn settings_that_cannot_work_are_refused_before_a_call() {
    let config = AwsConfig {
        region: Some("us-east-1".to_owned()),
        endpoint_url: Some("no url".to_owned()),
        ..AwsConfig::default()
    };
    let error = Aws::open(config).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Validation);
    assert!(error.message().contains("AWS_ENDPOINT_URL_MEDICAL_IMAGING"));
}
