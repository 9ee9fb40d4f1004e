//! What a call does is judged by its arguments; and what a person is asked can be judged by the person.

use std::sync::Arc;

use crate::consent::Person;
use crate::protocol::{Era, TestClient, User, connect, json_text, request};
use healthimaging::ErrorKind;
use healthimaging::model::{
    DatastoreStatus, ImageSetState, ImageSetWorkflowStatus, MetadataUpdates,
};
use healthimaging_testing::Fake;
use healthimaging_tools::{Answer, Ask, Confirm, Consent, Offer, UserReply};
use serde_json::{Value, json};

fn case() -> (Fake, Value) {
    let fake = Fake::default();
    let store = fake.add_datastore("a", DatastoreStatus::Active);
    let set = fake.add_image_set(&store, "s", 3);
    fake.state().image_sets[0].properties.version_id = 2.into();
    (fake, json!({ "datastore_id": store, "image_set_id": set, "latest_version_id": "2" }))
}

fn updating(mut input: Value, kind: &str, level: &Value) -> Value {
    let mut document = json!({ "SchemaVersion": "1.1" });
    document.as_object_mut().unwrap().extend(level.as_object().unwrap().clone());
    input["update_image_set_metadata_updates"] = json!({ "DICOMUpdates": { kind: document } });
    input
}

fn reverting(mut input: Value) -> Value {
    input["update_image_set_metadata_updates"] = json!({ "revertToVersionId": "1" });
    input
}

async fn call(
    fake: &Fake,
    offer: Offer,
    input: Value,
    consent: Consent,
) -> healthimaging::Result<Answer> {
    let server = fake.server(offer, Confirm::Auto);
    let Value::Object(input) = input else { panic!("not an object") };
    server.call("update_image_set_metadata", input, consent).await
}

fn was_sent(fake: &Fake) -> bool {
    fake.state().updates.is_some()
}

fn one_instance() -> Value {
    json!({ "Study": { "Series": { "1.2.3.4": { "Instances": { "1.2.3.4.1": {} } } } } })
}

#[tokio::test]
async fn taking_something_away_is_planned_and_refused_where_nothing_may_be_deleted() {
    let removals = [one_instance(), json!({ "Study": { "Series": { "1.2.3.4": {} } } })];
    let (_, input) = case();
    let mut calls: Vec<Value> =
        removals.map(|removal| updating(input.clone(), "removableAttributes", &removal)).into();
    calls.push(reverting(input));
    for input in calls {
        let (fake, _) = case();
        let planned = call(&fake, Offer::All, input.clone(), Consent::Unavailable).await.unwrap();
        assert!(!was_sent(&fake), "{input}");
        let plan = &planned.structured["plan"];
        // Older versions keep it.
        assert_eq!(plan["cannot_be_undone"], false);
        assert!(plan["notes"].to_string().contains("revertToVersionId 2"), "{plan}");
        let mut confirmed = input.clone();
        confirmed["confirmation_token"] = planned.structured["confirmation_token"].clone();
        let server = fake.server(Offer::All, Confirm::Auto);
        // The token is that of another server.
        let Value::Object(confirmed) = confirmed else { unreachable!() };
        let foreign = server.call("update_image_set_metadata", confirmed, Consent::Unavailable);
        assert_eq!(foreign.await.unwrap_err().kind(), ErrorKind::Validation);

        let refused = call(&fake, Offer::NoDelete, input.clone(), Consent::Given).await;
        let error = refused.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::AccessDenied);
        assert!(error.message().contains("--no-delete"), "{error}");
        assert!(!was_sent(&fake));

        call(&fake, Offer::All, input, Consent::Given).await.unwrap();
        assert!(was_sent(&fake));
    }
}

#[tokio::test]
async fn attributes_are_set_at_once_and_another_patient_is_asked_about() {
    let (fake, input) = case();
    let described = json!({ "Study": { "DICOM": { "StudyDescription": "X" } } });
    let plain = updating(input.clone(), "updatableAttributes", &described);
    call(&fake, Offer::NoDelete, plain.clone(), Consent::Unavailable).await.unwrap();
    assert!(was_sent(&fake));

    for level in [
        json!({ "Patient": { "DICOM": { "PatientID": "MRN-0043", "PatientName": "DOE^JOHN" } } }),
        json!({ "Study": { "DICOM": { "StudyInstanceUID": "1.2.9" } } }),
    ] {
        let (fake, _) = case();
        // Of primary ones, only the whole study gets another patient.
        fake.state().image_sets[0].properties.is_primary = Some(false);
        let mut moving = updating(input.clone(), "updatableAttributes", &level);
        moving["force"] = json!(true);
        let planned = call(&fake, Offer::NoDelete, moving, Consent::Unavailable).await.unwrap();
        assert!(!was_sent(&fake), "{level}");
        assert!(planned.structured.contains_key("confirmation_token"), "{level}");
    }
    // A plan can be had of any update.
    let (fake, _) = case();
    let mut dry = plain;
    dry["dry_run"] = json!(true);
    let planned = call(&fake, Offer::All, dry, Consent::Unavailable).await.unwrap();
    assert!(!was_sent(&fake));
    let expected = json!([{ "attribute": "StudyDescription", "from": ["HEAD"], "to": "X" }]);
    assert_eq!(planned.structured["plan"]["changes"], expected);
}

#[tokio::test]
async fn the_question_names_the_patient_and_the_change() {
    let (fake, input) = case();
    let level =
        json!({ "Patient": { "DICOM": { "PatientID": "MRN-0043", "PatientName": "DOE^JOHN" } } });
    let moving = updating(input.clone(), "updatableAttributes", &level);
    fake.state().image_sets[0].properties.is_primary = Some(false);
    let person = Person::new(UserReply::Agreed, || {});
    let consent = Consent::Ask(Arc::clone(&person) as Arc<dyn Ask>);
    call(&fake, Offer::All, moving, consent).await.unwrap();
    let question = person.question();
    for words in [
        "Patient \"DOE^JANE\" (ID \"MRN-0042\")",
        "of 2026-01-31 \"HEAD\" (CT): 1 image set, 3 instances",
        "PatientID: \"MRN-0042\" becomes \"MRN-0043\"",
        "PatientName: \"DOE^JANE\" becomes \"DOE^JOHN\"",
        "older versions",
    ] {
        assert!(question.contains(words), "{words}: {question}");
    }
    assert!(!question.contains("cannot be undone"), "{question}");

    let person = Person::new(UserReply::Agreed, || {});
    let consent = Consent::Ask(Arc::clone(&person) as Arc<dyn Ask>);
    let (fake, input) = case();
    let removing = updating(input, "removableAttributes", &one_instance());
    call(&fake, Offer::All, removing, consent).await.unwrap();
    assert!(person.question().contains("remove 1 instance of 1 series"), "{}", person.question());
    assert!(person.question().contains("leaves 2"), "{}", person.question());
}

/// 20 lines, whatever the plan; what is not shown is counted.
#[tokio::test]
async fn a_question_has_few_lines() {
    let fake = Fake::default();
    let store = fake.add_datastore("a", DatastoreStatus::Active);
    for number in 0..60 {
        fake.add_image_set(&store, &format!("s{number}"), 1);
        fake.state().image_sets[number].study_instance_uid = format!("1.2.{number}");
    }
    let person = Person::new(UserReply::Declined, || {});
    let consent = Consent::Ask(Arc::clone(&person) as Arc<dyn Ask>);
    let server = fake.server(Offer::All, Confirm::Auto);
    let input = json!({ "datastore_id": store, "patient_id": "MRN-0042" });
    let Value::Object(input) = input else { unreachable!() };
    server.call("delete_patient_studies", input, consent).await.unwrap_err();
    let question = person.question();
    assert!(question.lines().count() <= 20, "{question}");
    assert!(
        question.contains("Image sets (60)") && question.contains("more studies"),
        "{question}"
    );
    assert!(question.ends_with("This cannot be undone."), "{question}");
}

#[tokio::test]
async fn a_question_names_the_criteria_and_counts_a_study_once() {
    let fake = Fake::default();
    let store = fake.add_datastore("a", DatastoreStatus::Active);
    // Two patients share the first study, by mistake.
    for (number, (study, patient)) in
        [("1.2.1", "A"), ("1.2.1", "B"), ("1.2.2", "B")].into_iter().enumerate()
    {
        fake.add_image_set(&store, &format!("s{number}"), 1);
        let set = &mut fake.state().image_sets[number];
        set.study_instance_uid = study.to_owned();
        set.patient_id = patient;
    }
    let person = Person::new(UserReply::Declined, || {});
    let consent = Consent::Ask(Arc::clone(&person) as Arc<dyn Ask>);
    let server = fake.server(Offer::All, Confirm::Auto);
    let input = json!({
        "datastore_id": store, "criteria": { "modality": "CT", "study_date_to": "20260131" }
    });
    let Value::Object(mut input) = input else { unreachable!() };
    let asked = server.call("bulk_delete_by_criteria", input.clone(), consent).await;
    asked.unwrap_err();
    let question = person.question();
    let lines: Vec<&str> = question.lines().take(3).collect();
    assert_eq!(lines[1], r#"Criteria: modality = "CT", study date to 2026-01-31"#, "{question}");
    assert!(lines[2].starts_with("In total: 2 patients, 2 studies, 3 image sets"), "{question}");
    input.insert("dry_run".to_owned(), json!(true));
    let planned = server.call("bulk_delete_by_criteria", input, Consent::Unavailable).await;
    let plan = &planned.unwrap().structured["plan"];
    assert_eq!(plan["criteria"], json!({ "modality": "CT", "study_date_to": "20260131" }));
    assert_eq!((&plan["studies_total"], &plan["studies_entries_total"]), (&json!(2), &json!(3)));
}

/// The client's user, what the answer has to say, and which words it must not.
#[tokio::test]
async fn without_agreement_the_answer_names_the_reason_and_the_next_step() {
    for era in [Era::Old, Era::New] {
        for (user, words) in [
            (User::Declines, "declined"),
            (User::Cancels, "dismissed"),
            (User::Fails, "could not ask"),
        ] {
            // A client of the new era that fails to answer calls no second time.
            if matches!((era, user), (Era::New, User::Fails)) {
                continue;
            }
            let (fake, input) = case();
            let mut input = json!({ "datastore_id": input["datastore_id"], "image_set_id": input["image_set_id"] });
            let client = connect(&fake, Confirm::Auto, era, TestClient::new(user)).await;
            let call = async |input: &Value| {
                client.call_tool(request("delete_image_set", input.clone())).await.unwrap()
            };
            let refused = call(&input).await;
            assert_eq!(refused.is_error, Some(true));
            assert_eq!(refused.structured_content, None);
            let answer = json_text(&refused);
            let message = answer["message"].as_str().unwrap();
            for words in [words, "confirmation_token", "--confirm"] {
                assert!(message.contains(words), "{era:?} {words}: {message}");
            }
            assert_eq!(answer["plan"]["patient_ids"], json!(["MRN-0042"]));
            // The user agreed in the conversation.
            input["confirmation_token"] = answer["confirmation_token"].clone();
            assert_eq!(call(&input).await.is_error, Some(false), "{era:?} {words}");

            // Where only a person's own answer counts there is no token.
            let (fake, _) = case();
            let client = connect(&fake, Confirm::Always, era, TestClient::new(user)).await;
            input.as_object_mut().unwrap().remove("confirmation_token");
            let refused = client.call_tool(request("delete_image_set", input)).await.unwrap();
            let answer = json_text(&refused);
            assert!(answer.get("confirmation_token").is_none());
            assert!(answer["message"].as_str().unwrap().contains("--confirm"));
        }
    }
}

#[tokio::test]
async fn an_update_that_fails_is_an_error_with_the_reason() {
    let (fake, input) = case();
    fake.state().image_sets[0].fails_with = Some("StudyDescription: no good");
    let described = json!({ "Study": { "DICOM": { "StudyDescription": "X" } } });
    let mut input = updating(input, "updatableAttributes", &described);
    input["wait_seconds"] = json!(60);
    let error = call(&fake, Offer::All, input, Consent::Unavailable).await.unwrap_err();
    assert!(error.message().contains("StudyDescription: no good"), "{error}");
    assert!(error.message().contains("UPDATE_FAILED"), "{error}");
    let status = fake.state().image_sets[0].properties.image_set_workflow_status;
    assert_eq!(status, Some(ImageSetWorkflowStatus::UpdateFailed));
}

#[tokio::test]
async fn a_copy_that_is_not_made_primary_is_an_error_with_the_reason() {
    for (is_primary, reason) in
        [(Some(true), None), (Some(false), Some("a rival")), (Some(false), None)]
    {
        let (fake, case) = case();
        fake.add_image_set(case["datastore_id"].as_str().unwrap(), "c", 3);
        let copy_id = {
            let copy = &mut fake.state().image_sets[1].properties;
            (copy.is_primary, copy.message) = (is_primary, reason.map(str::to_owned));
            copy.image_set_id.to_string()
        };
        let mut input = json!({
            "datastore_id": case["datastore_id"], "source_image_set_id": case["image_set_id"],
            "copy_image_set_information": { "sourceImageSet": { "latestVersionId": "2" } },
            "promote_to_primary": true, "wait_seconds": 60
        });
        let server = fake.server(Offer::All, Confirm::Auto);
        let call = async |input: &Value| {
            let input = input.as_object().unwrap().clone();
            server.call("copy_image_set", input, Consent::Unavailable).await
        };
        // The copy locks its source, which is waited for too.
        {
            let source = &mut fake.state().image_sets[0];
            source.properties.image_set_state = ImageSetState::Locked;
            source.locked_for = 3;
        }
        let promoted = call(&input).await;
        if is_primary == Some(true) {
            let copied = promoted.unwrap().structured;
            for side in ["source_image_set_properties", "destination_image_set_properties"] {
                assert_eq!(copied[side]["image_set_state"], "ACTIVE", "{side}");
            }
            continue;
        }
        let error = promoted.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Conflict);
        for words in [&copy_id, "did not make it primary", reason.unwrap_or("no reason")] {
            assert!(error.message().contains(words), "{error}");
        }
        // It was not asked for.
        input["promote_to_primary"] = json!(false);
        call(&input).await.unwrap();
    }
}

#[tokio::test]
async fn values_longer_than_their_representation_are_not_sent() {
    let (fake, input) = case();
    let long = json!({ "Study": { "DICOM": { "StudyDescription": "x".repeat(65) } } });
    let refused = updating(input.clone(), "updatableAttributes", &long);
    let error = call(&fake, Offer::All, refused, Consent::Given).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Validation);
    assert!(error.message().contains("StudyDescription") && error.message().contains("64"));
    assert!(!was_sent(&fake));
    let fits = json!({ "Study": { "DICOM": { "StudyDescription": "x".repeat(64) } } });
    let input = updating(input, "updatableAttributes", &fits);
    call(&fake, Offer::All, input, Consent::Given).await.unwrap();
    assert!(matches!(fake.state().updates, Some(MetadataUpdates::DicomUpdates { .. })));
}
