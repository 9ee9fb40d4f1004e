//! What the tools do, called without a protocol over a back end in memory.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use healthimaging::ErrorKind;
use healthimaging::model::{DatastoreStatus, ImageSetState, MetadataUpdates};
use healthimaging_testing::{Fake, id};
use healthimaging_tools::{
    Answer, Arguments, Confirm, Consent, FrameFormat, Offer, ServerOptions, error_document,
};
use serde_json::{Value, json};

type Outcome = healthimaging::Result<Answer>;

fn arguments(value: Value) -> Arguments {
    match value {
        Value::Object(object) => object,
        other => panic!("not an object: {other}"),
    }
}

async fn call(fake: &Fake, name: &str, input: Value) -> Outcome {
    let server = fake.server(Offer::All, Confirm::Auto);
    server.call(name, arguments(input), Consent::Unavailable).await
}

fn one_store() -> (Fake, String) {
    let fake = Fake::default();
    let store = fake.add_datastore("a", DatastoreStatus::Active);
    (fake, store)
}

#[tokio::test]
async fn pages_of_fifty_are_joined_and_the_token_goes_on_where_they_end() {
    let (fake, store) = one_store();
    for number in 0..130 {
        fake.add_image_set(&store, &format!("s{number}"), 1);
    }
    let mut seen = Vec::new();
    let mut token = Value::Null;
    for expected in [70, 60] {
        let mut input = json!({ "datastore_id": store, "max_results": 70 });
        if let Some(token) = token.as_str() {
            input["next_token"] = json!(token);
        }
        let answer = call(&fake, "search_image_sets", input).await.unwrap();
        let found = answer.structured["image_sets_metadata_summaries"].as_array().unwrap().clone();
        assert_eq!(found.len(), expected);
        seen.extend(found.iter().map(|one| one["image_set_id"].as_str().unwrap().to_owned()));
        token = answer.structured.get("next_token").cloned().unwrap_or_default();
    }
    assert_eq!(token, Value::Null);
    let wanted: Vec<String> = (0..130).map(|number| id(&format!("s{number}"))).collect();
    assert_eq!(seen, wanted);
    assert_eq!(fake.state().pages_asked, [50, 20, 50, 20]);
}

#[tokio::test]
async fn max_results_outside_1_to_100_is_refused() {
    let (fake, store) = one_store();
    for wrong in [json!(0), json!(101), json!(-1), json!("ten"), json!(1.5)] {
        let input = json!({ "datastore_id": store, "max_results": wrong });
        let error = call(&fake, "search_image_sets", input).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Validation, "{wrong}");
        assert!(error.message().contains("max_results"), "{}", error.message());
    }
}

#[tokio::test]
async fn frames_are_numbered_from_1() {
    let (fake, store) = one_store();
    let set = fake.add_image_set(&store, "s", 1);
    let input = json!({ "image_set_id": set, "sop_instance_uid": "1.2.3.4.1", "frame_number": 0 });
    let error = call(&fake, "get_image_frame", input).await.unwrap_err();
    assert_eq!(error.message(), "frame_number starts at 1");
}

#[tokio::test]
async fn input_errors_name_the_field_and_do_not_repeat_the_value() {
    let (fake, _) = one_store();
    let cases = [
        (json!({ "datastore": "x" }), "perhaps `datastore_id` is meant. Expected `datastore_id`"),
        (json!({ "DOE^JANE": "x" }), "unknown member; expected `datastore_id`"),
        (json!({ "dataStoreID": "x" }), "perhaps `datastore_id` is meant"),
        (json!({ "datastore_id": 5 }), "datastore_id"),
        (json!({ "datastore_id": "DOE^JANE" }), "datastore_id must have 32 characters"),
    ];
    for (input, part) in cases {
        let error = call(&fake, "get_datastore", input).await.unwrap_err();
        let document = error_document(&error);
        assert_eq!(document["error"], true);
        assert_eq!(document["type"], "validation_error");
        let message = document["message"].as_str().unwrap();
        assert!(message.contains(part), "{message}");
        assert!(!message.contains("DOE"), "{message}");
    }
    let error = call(&fake, "list_datastores", json!({ "status": "DOE^JANE" })).await.unwrap_err();
    assert!(error.message().contains("CREATE_FAILED"), "{}", error.message());
    assert!(!error.message().contains("DOE"), "{}", error.message());
    for (filter, near) in [
        ("DICOMPatientID", "perhaps `DICOMPatientId` is meant. Expected one of"),
        ("study_instance_uid", "perhaps `DICOMStudyInstanceUID` is meant. Expected one of"),
        ("DOE^JANE", "unknown variant; expected one of"),
    ] {
        let criteria =
            json!({ "filters": [{ "operator": "EQUAL", "values": [{ (filter): "DOE^JANE" }] }] });
        let input = json!({ "search_criteria": criteria });
        let error = call(&fake, "search_image_sets", input).await.unwrap_err();
        assert!(error.message().contains(near), "{}", error.message());
        assert!(!error.message().contains("DOE"), "{}", error.message());
    }
    for (input, words) in [
        (
            json!({ "patient_id": "DOE^JANE" }),
            "perhaps `search_criteria.filters[].values[].DICOMPatientId` is meant. Expected one of",
        ),
        (json!({ "modality": ["DOE^JANE"] }), "`modality` must be text, not a list"),
        (json!({ "search_criteria": ["DOE^JANE"] }), "`search_criteria` must be an object, not a"),
    ] {
        let error = call(&fake, "search_image_sets", input).await.unwrap_err();
        assert!(error.message().contains(words), "{}", error.message());
        assert!(!error.message().contains("DOE"), "{}", error.message());
    }
    for (tool, message) in [
        ("search_imagesets", "unknown tool; perhaps search_image_sets is meant, or list the tools"),
        ("DOE^JANE", "unknown tool; list the tools"),
    ] {
        let error = call(&fake, tool, json!({})).await.unwrap_err();
        assert_eq!(error.message(), message);
    }
    let error = call(&fake, "get_image_set", json!({})).await.unwrap_err();
    assert!(error.message().contains("missing field `image_set_id`"), "{}", error.message());
}

#[tokio::test]
async fn a_status_filters_under_both_names() {
    let (fake, _) = one_store();
    let broken = fake.add_datastore("b", DatastoreStatus::CreateFailed);
    for name in ["datastore_status", "status"] {
        let answer =
            call(&fake, "list_datastores", json!({ name: "CREATE_FAILED" })).await.unwrap();
        let found = answer.structured["datastore_summaries"].as_array().unwrap();
        assert_eq!(found.len(), 1);
        assert_eq!(found[0]["datastore_id"], json!(broken));
    }
}

#[tokio::test]
async fn the_only_active_data_store_may_be_left_out_and_is_named() {
    let (fake, store) = one_store();
    fake.add_datastore("b", DatastoreStatus::Deleted);
    fake.add_image_set(&store, "s", 1);
    let answer = call(&fake, "search_image_sets", json!({})).await.unwrap();
    assert_eq!(answer.structured["datastore_id"], json!(store));
    assert!(answer.summary().contains(&store));

    let one = fake.add_datastore("c", DatastoreStatus::Active);
    let error = call(&fake, "search_image_sets", json!({})).await.unwrap_err();
    let message = error.message();
    let (start, names) = message.split_once(": ").unwrap();
    assert!(start.starts_with("several data stores"), "{message}");
    assert!(["store-a, store-c", "store-c, store-a"].contains(&names), "{message}");
    // A name that two have identifies neither.
    let other = fake.add_datastore("c", DatastoreStatus::Active);
    let error = call(&fake, "search_image_sets", json!({})).await.unwrap_err();
    for id in [&one, &other] {
        assert!(error.message().contains(id.as_str()), "{}", error.message());
    }
    let error = call(&fake, "delete_image_set", json!({ "image_set_id": id("s") })).await;
    assert!(error.unwrap_err().message().contains("datastore_id"));
}

#[tokio::test]
async fn a_data_store_is_found_by_its_name_and_its_arn() {
    let (fake, store) = one_store();
    let other = fake.add_datastore("other", DatastoreStatus::Active);
    fake.add_image_set(&other, "s", 1);
    let arn = format!("arn:aws:medical-imaging:us-east-1:123456789012:datastore/{other}");
    for named in ["store-other", &arn] {
        let input = json!({ "datastore_id": named });
        let answer = call(&fake, "search_image_sets", input).await.unwrap();
        let found = answer.structured["image_sets_metadata_summaries"].as_array().unwrap().len();
        assert_eq!(found, 1, "{named}");
    }
    // A name that nothing has, with what there is; nothing is read as a name that is nearly an id.
    let refusal = async |named: &str| {
        let input = json!({ "datastore_id": named });
        let error = call(&fake, "search_image_sets", input).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Validation);
        error.message().to_owned()
    };
    let unknown = refusal("no-such-store").await;
    assert!(unknown.contains("store-a, store-other"), "{unknown}");
    assert!(!unknown.contains("no-such-store"), "{unknown}");
    let upper_case = "ABCDEF0123456789ABCDEF0123456789";
    fake.state().datastores[0].datastore_name = upper_case.to_owned();
    assert!(refusal(upper_case).await.contains("pattern"));
    assert!(!refusal("").await.contains("there are"));
    // Two of one name.
    fake.state().datastores[0].datastore_name = "store-other".to_owned();
    let several = refusal("store-other").await;
    assert!(several.contains(&store) && several.contains(&other), "{several}");
}

#[tokio::test]
async fn metadata_comes_decoded_whole_in_part_or_in_outline() {
    let (fake, store) = one_store();
    let small = fake.add_image_set(&store, "small", 2);
    let input = json!({ "image_set_id": small });
    let answer = call(&fake, "get_image_set_metadata", input).await.unwrap();
    let metadata = &answer.structured["metadata"];
    assert_eq!(metadata["Patient"]["DICOM"]["PatientName"], "DOE^JANE");
    assert!(!answer.summary().contains("DOE"), "{}", answer.summary());

    let input = json!({
        "image_set_id": small, "sop_instance_uid": "1.2.3.4.2", "attributes": ["Rows"]
    });
    let answer = call(&fake, "get_image_set_metadata", input).await.unwrap();
    let metadata = &answer.structured["metadata"];
    assert_eq!(metadata["Patient"]["DICOM"], json!({}));
    let instances = &metadata["Study"]["Series"]["1.2.3.4"]["Instances"];
    assert_eq!(instances.as_object().unwrap().len(), 1);
    assert_eq!(instances["1.2.3.4.2"]["DICOM"], json!({ "Rows": 512 }));

    let input = json!({ "image_set_id": small, "level": "SERIES" });
    let answer = call(&fake, "get_image_set_metadata", input).await.unwrap();
    let series = &answer.structured["metadata"]["Study"]["Series"]["1.2.3.4"];
    assert_eq!(*series, json!({ "DICOM": { "Modality": "CT" } }));

    let input = json!({ "image_set_id": small, "series_instance_uid": "1.9" });
    let error = call(&fake, "get_image_set_metadata", input).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);

    let large = fake.add_image_set(&store, "large", 3000);
    let input = json!({ "image_set_id": large });
    let answer = call(&fake, "get_image_set_metadata", input).await.unwrap();
    assert!(!answer.structured.contains_key("metadata"));
    let outline = &answer.structured["outline"];
    assert_eq!(outline["series"][0]["instances"], 3000);
    assert_eq!(outline["series"][0]["frames"], 3000);
    assert_eq!(outline["patient"]["PatientID"], "MRN-0042");
    let uri = &answer.links[0].uri;
    assert_eq!(*uri, format!("healthimaging://datastores/{store}/image-sets/{large}/metadata"));
}

#[tokio::test]
async fn a_stored_frame_comes_as_base64_and_a_long_one_as_a_resource() {
    let (fake, store) = one_store();
    let set = fake.add_image_set(&store, "s", 1);
    let input = json!({
        "image_set_id": set, "image_frame_information": { "imageFrameId": id("f1") },
        "format": "stored"
    });
    let answer = call(&fake, "get_image_frame", input.clone()).await.unwrap();
    assert_eq!(answer.structured["image_frame_blob"], "/0//UQ==");
    assert_eq!(answer.structured["content_type"], "image/jph");
    // 1 MiB is answered, one byte more is not.
    fake.state().image_sets[0].frame = vec![7; 1 << 20];
    let answer = call(&fake, "get_image_frame", input.clone()).await.unwrap();
    let blob = answer.structured["image_frame_blob"].as_str().unwrap();
    assert_eq!(STANDARD.decode(blob).unwrap().len(), 1 << 20);
    fake.state().image_sets[0].frame.push(7);
    let answer = call(&fake, "get_image_frame", input).await.unwrap();
    assert!(!answer.structured.contains_key("image_frame_blob"));
    assert_eq!(answer.structured["resource_uri"], answer.links[0].uri);
    assert_eq!(answer.structured["size_bytes"], (1 << 20) + 1);
    assert_eq!((answer.links[0].size, &*answer.links[0].media_type), ((1 << 20) + 1, "image/jph"));
}

/// For programs, which want the bytes and name no format.
#[tokio::test]
async fn a_server_may_answer_with_stored_frames_unless_asked_for_pictures() {
    let (fake, store) = one_store();
    let set = fake.add_image_set(&store, "s", 1);
    let options = ServerOptions { frame_format: FrameFormat::Stored, ..ServerOptions::default() };
    let server = fake.server_of(options);
    let frame =
        json!({ "image_set_id": set, "image_frame_information": { "imageFrameId": id("f1") } });
    let call = async |format: Option<&str>| {
        let mut input = arguments(frame.clone());
        input.extend(format.map(|format| ("format".to_owned(), json!(format))));
        server.call("get_image_frame", input, Consent::Unavailable).await
    };
    assert_eq!(call(None).await.unwrap().structured["image_frame_blob"], "/0//UQ==");
    // It has no pixels.
    call(Some("png")).await.unwrap_err();
}

#[tokio::test]
async fn an_update_takes_documents_in_any_form_and_waits_for_the_end() {
    let (fake, store) = one_store();
    let set = fake.add_image_set(&store, "s", 1);
    let document =
        json!({ "SchemaVersion": "1.1", "Study": { "DICOM": { "StudyDescription": "7" } } });
    let text = document.to_string();
    let forms = [document.clone(), json!(text), json!(STANDARD.encode(&text))];
    for (version, written) in (1..).zip(forms) {
        let input = json!({
            "image_set_id": set,
            "latest_version_id": version.to_string(),
            "update_image_set_metadata_updates": { "DICOMUpdates": { "updatableAttributes": written } },
            "wait_seconds": 60
        });
        let answer = call(&fake, "update_image_set_metadata", input).await.unwrap();
        assert_eq!(answer.structured["image_set_state"], "ACTIVE");
        assert_eq!(answer.structured["image_set_workflow_status"], "UPDATED");
        assert_eq!(answer.structured["latest_version_id"], (version + 1).to_string());
        let Some(MetadataUpdates::DicomUpdates { updatable_attributes: Some(bytes), .. }) =
            fake.state().updates.clone()
        else {
            panic!("no document was sent");
        };
        assert_eq!(serde_json::from_slice::<Value>(&bytes).unwrap(), document);
    }
    let both = json!({
        "DICOMUpdates": { "updatableAttributes": document }, "revertToVersionId": "1"
    });
    fake.state().updates = None;
    let twice = r#"{"SchemaVersion": "1.1", "Study": {"DICOM": {"StudyID": "7", "StudyID": "8"}}}"#;
    let with = |document: Value| json!({ "DICOMUpdates": { "updatableAttributes": document } });
    let (twice, encoded) = (with(json!(twice)), with(json!(STANDARD.encode(twice))));
    for wrong in [both, json!({}), json!({ "DICOMUpdates": {} }), twice, encoded] {
        let input = json!({
            "image_set_id": set, "latest_version_id": "4", "update_image_set_metadata_updates": wrong
        });
        let error = call(&fake, "update_image_set_metadata", input).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Validation);
    }
    assert!(fake.state().updates.is_none());
}

#[tokio::test]
async fn an_import_is_awaited_and_no_longer_than_asked() {
    let (fake, store) = one_store();
    let mut input = json!({ "datastore_id": store, "input_s3_uri": "s3://bucket/scans/" });
    let answer = call(&fake, "start_dicom_import_job", input.clone()).await.unwrap();
    assert_eq!(answer.structured["job_status"], "SUBMITTED");
    fake.state().jobs.clear();
    input["wait_seconds"] = json!(600);
    let answer = call(&fake, "start_dicom_import_job", input.clone()).await.unwrap();
    assert_eq!(answer.structured["job_status"], "COMPLETED");
    input["wait_seconds"] = json!(601);
    let error = call(&fake, "start_dicom_import_job", input).await.unwrap_err();
    assert!(error.message().contains("wait_seconds must be from 0 to 600"));
}

#[tokio::test]
async fn tags_go_on_and_off() {
    let (fake, store) = one_store();
    let arn = format!("arn:aws:medical-imaging:us-east-1:123456789012:datastore/{store}");
    let input = json!({ "resource_arn": arn, "tags": { "Project": "alpha", "Team": "x" } });
    let answer = call(&fake, "tag_resource", input).await.unwrap();
    assert_eq!(answer.structured["success"], true);
    let input = json!({ "resource_arn": arn, "tag_keys": ["Team"] });
    call(&fake, "untag_resource", input).await.unwrap();
    let answer =
        call(&fake, "list_tags_for_resource", json!({ "resource_arn": arn })).await.unwrap();
    assert_eq!(answer.structured["tags"], json!({ "Project": "alpha" }));
}

#[tokio::test]
async fn the_gates_take_tools_off_the_offer() {
    let (fake, store) = one_store();
    let set = fake.add_image_set(&store, "s", 1);
    let names = |offer| -> Vec<&str> {
        let server = fake.server(offer, Confirm::Never);
        server.tools().map(|tool| tool.name).collect()
    };
    assert!(names(Offer::All).contains(&"delete_image_set"));
    assert!(names(Offer::NoDelete).contains(&"update_image_set_metadata"));
    assert!(!names(Offer::NoDelete).iter().any(|name| name.contains("delete")));
    let readers = ["compare_", "get_", "list_", "search_", "summarize_", "tabulate_", "view_"];
    let read_only = names(Offer::ReadOnly);
    assert!(read_only.iter().all(|name| readers.iter().any(|begin| name.starts_with(begin))));
    let server = fake.server(Offer::NoDelete, Confirm::Never);
    let input = arguments(json!({ "datastore_id": store, "image_set_id": set }));
    let error = server.call("delete_image_set", input, Consent::Given).await.unwrap_err();
    assert!(error.message().contains("--no-delete"), "{}", error.message());
    assert_eq!(fake.state().image_sets[0].properties.image_set_state, ImageSetState::Active);
}

#[tokio::test]
async fn what_the_service_cannot_filter_by_is_sieved_over_all_pages() {
    let (fake, store) = one_store();
    for number in 0..130 {
        fake.add_image_set(&store, &format!("s{number}"), 1);
    }
    for (position, date) in [(3, "20260101"), (77, "20260102"), (129, "20260103")] {
        let set = &mut fake.state().image_sets[position];
        (set.modality, set.study_date) = ("MR", date);
    }
    let search = async |input: Value| -> Vec<String> {
        let answer = call(&fake, "search_image_sets", input).await.unwrap();
        let found = answer.structured["image_sets_metadata_summaries"].as_array().unwrap();
        found.iter().map(|one| one["image_set_id"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(search(json!({ "modality": "mr" })).await, [id("s3"), id("s77"), id("s129")]);
    let span = json!({ "study_date_from": "20260102", "study_date_to": "20260103" });
    assert_eq!(search(span).await, [id("s77"), id("s129")]);
    assert!(search(json!({ "modality": "MR", "body_part": "HEAD" })).await.is_empty());

    let first = json!({ "modality": "MR", "max_results": 2 });
    let answer = call(&fake, "search_image_sets", first).await.unwrap();
    assert_eq!(answer.structured["image_sets_metadata_summaries"].as_array().unwrap().len(), 2);
    let next = json!({ "modality": "MR", "next_token": answer.structured["next_token"] });
    assert_eq!(search(next).await, [id("s129")]);

    let error = call(&fake, "search_image_sets", json!({ "study_date_from": "2026-01-02" })).await;
    assert!(error.unwrap_err().message().contains("YYYYMMDD"));
}

#[tokio::test]
async fn a_token_of_a_search_works_only_with_the_arguments_that_chose_what_is_listed() {
    let (fake, store) = one_store();
    let other_store = fake.add_datastore("b", DatastoreStatus::Active);
    for number in 0..5 {
        fake.add_image_set(&store, &format!("s{number}"), 1);
    }
    let first = json!({ "datastore_id": store, "modality": "CT", "max_results": 2 });
    let answer = call(&fake, "search_image_sets", first).await.unwrap();
    let token = &answer.structured["next_token"];
    let with = |name: &str, value: Value| {
        let mut input = json!({ "datastore_id": store, "modality": "CT", "next_token": token });
        input[name] = value;
        input
    };
    for (name, value) in [
        ("datastore_id", json!(other_store)),
        ("modality", json!("MR")),
        ("modality", Value::Null),
        ("body_part", json!("HEAD")),
        ("study_date_from", json!("20260101")),
        ("study_date_to", json!("20260101")),
        ("primary_only", json!(true)),
        ("search_criteria", json!({ "sort": { "sortOrder": "ASC", "sortField": "createdAt" } })),
    ] {
        let error = call(&fake, "search_image_sets", with(name, value)).await.unwrap_err();
        assert!(error.message().contains("next_token"), "{name}: {error}");
    }
    let rest = call(&fake, "search_image_sets", with("max_results", json!(3))).await.unwrap();
    let found = rest.structured["image_sets_metadata_summaries"].as_array().unwrap();
    assert_eq!(found.len(), 3);
}
