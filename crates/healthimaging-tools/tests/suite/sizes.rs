//! No answer is longer than clients take, and each that is cut says how to get the rest.

use std::collections::BTreeSet;

use crate::protocol::{Era, TestClient, User, connect, request};
use healthimaging::model::DatastoreStatus;
use healthimaging_testing::{Fake, id};
use healthimaging_tools::{Arguments, Confirm, Consent, Offer};
use rmcp::model::{ContentBlock, ReadResourceRequestParams, ResourceContents};
use serde_json::{Map, Value, json};

/// The most bytes of JSON in an answer that was not asked for.
const LONGEST: usize = 60_000;

async fn call(fake: &Fake, tool: &str, input: Value) -> Value {
    let server = fake.server(Offer::All, Confirm::Auto);
    let Value::Object(input) = input else { panic!("not an object") };
    let answer = server.call(tool, input, Consent::Unavailable).await.unwrap();
    Value::Object(answer.structured)
}

fn length(answer: &Value) -> usize {
    answer.to_string().len()
}

#[tokio::test]
async fn lists_end_before_they_are_too_long_and_go_on_exactly_there() {
    let fake = Fake::default();
    let store = fake.add_datastore("a", DatastoreStatus::Active);
    for number in 0..130 {
        fake.add_image_set(&store, &format!("s{number}"), 1);
    }
    for (number, set) in fake.state().image_sets.iter_mut().enumerate() {
        // 3 characters of one byte each in the store, and 9 as they are shown.
        set.study_description =
            if number % 2 == 0 { "A\u{AD}".repeat(300) } else { "B".repeat(900) };
        set.modality = if number % 3 == 0 { "MR" } else { "CT" };
    }
    for (filter, wanted) in [(json!({}), 130), (json!({ "modality": "MR" }), 44)] {
        let (mut seen, mut token) = (Vec::new(), None);
        loop {
            let mut input = filter.clone();
            input["max_results"] = json!(100);
            if let Some(token) = &token {
                input["next_token"] = json!(token);
            }
            let answer = call(&fake, "search_image_sets", input).await;
            assert!(length(&answer) <= LONGEST, "{}", length(&answer));
            let found = answer["image_sets_metadata_summaries"].as_array().unwrap();
            assert!(!found.is_empty());
            seen.extend(found.iter().map(|set| set["image_set_id"].as_str().unwrap().to_owned()));
            token = answer["next_token"].as_str().map(str::to_owned);
            if token.is_none() {
                break;
            }
        }
        assert_eq!(seen.len(), wanted);
        let different: BTreeSet<&String> = seen.iter().collect();
        assert_eq!(different.len(), wanted, "none twice");
    }
}

#[tokio::test]
async fn studies_of_a_patient_come_in_pages_too() {
    let fake = Fake::default();
    let store = fake.add_datastore("a", DatastoreStatus::Active);
    for number in 0..400 {
        fake.add_image_set(&store, &format!("s{number}"), 1);
        fake.state().image_sets[number].study_instance_uid = format!("1.2.{number}");
    }
    let mut input = json!({ "patient_id": "MRN-0042" });
    let (mut seen, mut pages) = (BTreeSet::new(), 0);
    loop {
        let answer = call(&fake, "get_patient_studies", input.clone()).await;
        assert!(length(&answer) <= LONGEST, "{}", length(&answer));
        let studies = answer["studies"].as_array().unwrap();
        seen.extend(studies.iter().map(|one| one["study_instance_uid"].to_string()));
        pages += 1;
        let token = answer["next_token"].clone();
        assert_eq!(token.is_null(), answer["studies_left_out"] == 0);
        if token.is_null() {
            break;
        }
        input["next_token"] = token;
    }
    assert!(pages > 1);
    assert_eq!(seen.len(), 400);
    // Pages of one patient are not those of another.
    for set in &mut fake.state().image_sets {
        set.patient_id = "MRN-0043";
    }
    input["patient_id"] = json!("MRN-0043");
    let server = fake.server(Offer::All, Confirm::Auto);
    let Value::Object(input) = input else { unreachable!() };
    let error = server.call("get_patient_studies", input, Consent::Unavailable).await.unwrap_err();
    assert!(error.message().contains("next_token"), "{error}");
}

fn merge(whole: &mut Value, part: &Value) {
    match (whole, part) {
        (Value::Object(whole), Value::Object(part)) => {
            for (name, inner) in part {
                merge(whole.entry(name).or_insert_with(|| json!({})), inner);
            }
        }
        (whole, part) => whole.clone_from(part),
    }
}

#[tokio::test]
async fn long_metadata_is_an_outline_whose_next_leads_through_all_of_it() {
    let fake = Fake::default();
    let store = fake.add_datastore("a", DatastoreStatus::Active);
    let set = fake.add_image_set(&store, "large", 900);
    let whole = fake.state().image_sets[0].document.clone();
    assert!(length(&whole) > LONGEST);
    let first = call(&fake, "get_image_set_metadata", json!({ "image_set_id": set })).await;
    assert_eq!(first["outline"]["series"][0]["instances"], 900);
    assert_eq!(first["size_bytes"], length(&whole));
    let (mut joined, mut next) = (json!({}), first["next"].clone());
    while next.is_object() {
        let page = call(&fake, "get_image_set_metadata", next).await;
        assert!(length(&page) <= LONGEST);
        assert!(page.get("left_out").is_none());
        merge(&mut joined, &page["metadata"]);
        next = page["next"].clone();
    }
    assert_eq!(joined, whole);
    // Asked for, it comes at once.
    let asked = json!({ "image_set_id": set, "max_bytes": 10_000_000 });
    assert_eq!(call(&fake, "get_image_set_metadata", asked).await["metadata"], whole);
}

#[tokio::test]
async fn members_too_long_for_an_answer_are_named_and_available() {
    let fake = Fake::default();
    let store = fake.add_datastore("a", DatastoreStatus::Active);
    let set = fake.add_image_set(&store, "large", 2);
    let contour = "1\\2\\3".repeat(20_000);
    let path = "/Study/Series/1.2.3.4/Instances/1.2.3.4.1/DICOM/ContourData";
    let parent = path.strip_suffix("/ContourData").unwrap();
    fake.state().image_sets[0].document.pointer_mut(parent).unwrap()["ContourData"] =
        json!(contour);
    let first = call(&fake, "get_image_set_metadata", json!({ "image_set_id": set })).await;
    let (mut left_out, mut next) = (Vec::new(), first["next"].clone());
    while next.is_object() {
        let page = call(&fake, "get_image_set_metadata", next).await;
        assert!(length(&page) <= LONGEST);
        left_out.extend(page["left_out"].as_array().into_iter().flatten().cloned());
        next = page["next"].clone();
    }
    assert_eq!(left_out.len(), 1, "{left_out:?}");
    assert_eq!(
        (&left_out[0]["of"], &left_out[0]["name"]),
        (&json!("1.2.3.4.1"), &json!("ContourData"))
    );
    let asked = json!({
        "image_set_id": set, "attributes": ["ContourData"], "sop_instance_uid": "1.2.3.4.1",
        "max_bytes": 300_000
    });
    let found = call(&fake, "get_image_set_metadata", asked).await;
    assert_eq!(found["metadata"].pointer(path).unwrap(), &json!(contour));
}

/// One value of so many bytes of JSON; the metadata is whole when an answer has room for it.
#[tokio::test]
async fn metadata_is_whole_where_an_answer_has_room_for_it() {
    let fake = Fake::default();
    let store = fake.add_datastore("a", DatastoreStatus::Active);
    let set = fake.add_image_set(&store, "large", 1);
    let dicom = "/Study/Series/1.2.3.4/Instances/1.2.3.4.1/DICOM";
    let ask = async |bytes: usize, more: Value| {
        fake.state().image_sets[0].document.pointer_mut(dicom).unwrap()["ContourData"] =
            json!("1".repeat(bytes - 2));
        let mut asked = json!({ "image_set_id": set });
        asked.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        call(&fake, "get_image_set_metadata", asked).await
    };
    let held =
        |answer: &Value| answer["metadata"].pointer(dicom)?["ContourData"].as_str().map(str::len);
    for (bytes, more) in [
        (57_102, json!({})),
        (59_500, json!({ "max_bytes": 65_000 })),
        (62_000, json!({ "max_bytes": 65_000 })),
        (8_000, json!({ "max_bytes": 10_000 })),
    ] {
        let whole = ask(bytes, more.clone()).await;
        assert_eq!(held(&whole), Some(bytes - 2), "{bytes} {more}: {}", whole["summary"]);
        assert!(
            length(&whole)
                <= more["max_bytes"]
                    .as_u64()
                    .map_or(LONGEST, |most| usize::try_from(most).unwrap())
        );
    }
    // One that does not fit says what it needs, and that is enough.
    let outline = ask(59_500, json!({})).await;
    assert_eq!(held(&outline), None);
    let summary = outline["summary"].as_str().unwrap();
    let (_, rest) = summary.split_once("max_bytes ").unwrap();
    let needed: u64 = rest.split(' ').next().unwrap().parse().unwrap();
    assert!(needed > 60_000, "{summary}");
    assert_eq!(held(&ask(59_500, json!({ "max_bytes": needed })).await), Some(59_498));
    // The length of the answer is enough, and less is not.
    let whole = ask(30_000, json!({})).await;
    let exact = length(&whole);
    assert_eq!(held(&ask(30_000, json!({ "max_bytes": exact })).await), Some(29_998));
    assert_eq!(held(&ask(30_000, json!({ "max_bytes": exact - 1 })).await), None);
    // A page holds it too, where it fits beside the arguments of the next one.
    let mut next = ask(56_000, json!({ "max_bytes": 56_000 })).await["next"].clone();
    next["max_bytes"] = json!(60_000);
    next.as_object_mut().unwrap().shift_remove("next_token");
    assert_eq!(held(&call(&fake, "get_image_set_metadata", next).await), Some(55_998));
}

/// Only what does not fit is left out of a page.
#[tokio::test]
async fn a_page_leaves_out_only_what_does_not_fit() {
    let fake = Fake::default();
    let store = fake.add_datastore("a", DatastoreStatus::Active);
    let set = fake.add_image_set(&store, "large", 3);
    for (number, bytes) in [(1, 50_000), (2, 57_000), (3, 59_000)] {
        let dicom = format!("/Study/Series/1.2.3.4/Instances/1.2.3.4.{number}/DICOM");
        fake.state().image_sets[0].document.pointer_mut(&dicom).unwrap()["ContourData"] =
            json!("1".repeat(bytes));
    }
    let mut next =
        call(&fake, "get_image_set_metadata", json!({ "image_set_id": set })).await["next"].clone();
    let mut left_out = Vec::new();
    while next.is_object() {
        let page = call(&fake, "get_image_set_metadata", next).await;
        assert!(length(&page) <= LONGEST, "{}", length(&page));
        left_out.extend(page["left_out"].as_array().into_iter().flatten().cloned());
        next = page["next"].clone();
    }
    assert_eq!(
        left_out,
        [json!({ "of": "1.2.3.4.3", "name": "ContourData", "size_bytes": 59_002 })]
    );
}

/// What is named counts too.
#[tokio::test]
async fn a_page_that_names_much_still_fits() {
    let fake = Fake::default();
    let store = fake.add_datastore("a", DatastoreStatus::Active);
    let set = fake.add_image_set(&store, "large", 1);
    let dicom = "/Study/Series/1.2.3.4/Instances/1.2.3.4.1/DICOM";
    for number in 0..400 {
        fake.state().image_sets[0].document.pointer_mut(dicom).unwrap()[format!("{number:08X}")] =
            json!("1".repeat(500));
    }
    let mut next =
        call(&fake, "get_image_set_metadata", json!({ "image_set_id": set })).await["next"].clone();
    let mut named = 0;
    while next.is_object() {
        let page = call(&fake, "get_image_set_metadata", next).await;
        assert!(length(&page) <= LONGEST, "{}", length(&page));
        assert!(!page["summary"].as_str().unwrap().contains("cut to fit"), "{}", page["summary"]);
        named += page["left_out"].as_array().map_or(0, Vec::len);
        next = page["next"].clone();
    }
    assert_eq!(named, 50);
}

#[tokio::test]
async fn a_page_belongs_to_one_document_and_one_question() {
    let fake = Fake::default();
    let store = fake.add_datastore("a", DatastoreStatus::Active);
    let set = fake.add_image_set(&store, "large", 900);
    let first = call(&fake, "get_image_set_metadata", json!({ "image_set_id": set })).await;
    let next = first["next"].as_object().unwrap().clone();
    let refused = async |input: Map<String, Value>| {
        let server = fake.server(Offer::All, Confirm::Auto);
        let error = server.call("get_image_set_metadata", input, Consent::Unavailable).await;
        assert!(error.unwrap_err().message().contains("next_token"));
    };
    let mut other: Arguments = next.clone();
    other.insert("level".to_owned(), json!("INSTANCE"));
    refused(other).await;
    fake.state().image_sets[0].document["Patient"]["DICOM"]["PatientName"] = json!("OTHER");
    refused(next).await;
}

#[tokio::test]
async fn attributes_choose_among_frames_and_value_representations_too() {
    let fake = Fake::default();
    let store = fake.add_datastore("a", DatastoreStatus::Active);
    let set = fake.add_image_set(&store, "s", 1);
    let path = "/Study/Series/1.2.3.4/Instances/1.2.3.4.1";
    {
        let document = &mut fake.state().image_sets[0].document;
        let instance = document.pointer_mut(path).unwrap();
        instance["DICOM"]["00091001"] = json!("x");
        instance["DICOM"]["00091002"] = json!("y");
        instance["DICOMVRs"] = json!({ "00091001": "LO", "00091002": "LO" });
    }
    for (attributes, wanted) in [
        (json!(["Rows"]), json!({ "DICOM": { "Rows": 512 } })),
        (
            json!(["(0009,1001)"]),
            json!({ "DICOM": { "00091001": "x" }, "DICOMVRs": { "00091001": "LO" } }),
        ),
        (
            json!(["DICOMVRs"]),
            json!({ "DICOM": {}, "DICOMVRs": { "00091001": "LO", "00091002": "LO" } }),
        ),
        (json!(["ImageFrames"]), json!({ "DICOM": {}, "ImageFrames": [{ "ID": id("f1") }] })),
    ] {
        let asked = json!({ "image_set_id": set, "attributes": attributes });
        let found = call(&fake, "get_image_set_metadata", asked).await;
        assert_eq!(found["metadata"].pointer(path).unwrap(), &wanted, "{attributes}");
    }
}

#[tokio::test]
async fn a_long_stored_frame_is_a_resource_that_can_be_read() {
    let fake = Fake::default();
    let store = fake.add_datastore("a", DatastoreStatus::Active);
    let set = fake.add_image_set(&store, "s", 1);
    fake.state().image_sets[0].frame = vec![7; (1 << 20) + 1];
    let client =
        connect(&fake, Confirm::Auto, Era::Old, TestClient::new(User::CannotBeAsked)).await;
    let input = json!({
        "image_set_id": set, "image_frame_information": { "imageFrameId": id("f1") },
        "format": "stored"
    });
    let result = client.call_tool(request("get_image_frame", input)).await.unwrap();
    let [ContentBlock::Text(_), ContentBlock::ResourceLink(link)] = &result.content[..] else {
        panic!("not a text and a link: {:?}", result.content);
    };
    let read = client.read_resource(ReadResourceRequestParams::new(&link.uri)).await.unwrap();
    let [ResourceContents::BlobResourceContents { blob, .. }] = &read.contents[..] else {
        panic!("not one blob");
    };
    // Four characters for three bytes.
    assert_eq!(blob.len(), ((1 << 20) + 1_usize).div_ceil(3) * 4);
}

/// Claude Code cuts other answers at 25,000 tokens.
#[tokio::test]
async fn tools_that_may_answer_with_more_say_so() {
    let fake = Fake::default();
    let client =
        connect(&fake, Confirm::Auto, Era::Old, TestClient::new(User::CannotBeAsked)).await;
    let tools = client.list_all_tools().await.unwrap();
    let large = tools.iter().filter(|tool| {
        let meta = tool.meta.as_ref();
        meta.is_some_and(|meta| meta.get("anthropic/maxResultSizeChars").is_some())
    });
    let large: Vec<&str> = large.map(|tool| &*tool.name).collect();
    assert_eq!(large, ["get_image_frame", "get_image_set_metadata"]);
}
