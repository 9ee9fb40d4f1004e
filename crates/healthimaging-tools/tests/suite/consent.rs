//! Nothing is destroyed without consent, and consent is to one plan alone.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use healthimaging::ErrorKind;
use healthimaging::model::{DatastoreStatus, ImageSetState};
use healthimaging_testing::Fake;
use healthimaging_tools::{Arguments, Ask, Confirm, Consent, Offer, Server, UserReply};
use serde_json::{Value, json};

struct Case {
    fake: Fake,
    server: Server,
    arguments: Arguments,
}

fn case(confirm: Confirm) -> Case {
    let fake = Fake::default();
    let store = fake.add_datastore("a", DatastoreStatus::Active);
    let set = fake.add_image_set(&store, "s", 7);
    let server = fake.server(Offer::All, confirm);
    let mut arguments = Arguments::new();
    arguments.insert("datastore_id".to_owned(), json!(store));
    arguments.insert("image_set_id".to_owned(), json!(set));
    Case { fake, server, arguments }
}

impl Case {
    fn with(&self, name: &str, value: Value) -> Arguments {
        let mut arguments = self.arguments.clone();
        arguments.insert(name.to_owned(), value);
        arguments
    }

    async fn delete(&self, arguments: Arguments, consent: Consent) -> healthimaging::Result<Value> {
        let answer = self.server.call("delete_image_set", arguments, consent).await?;
        Ok(Value::Object(answer.structured))
    }

    fn is_there(&self) -> bool {
        self.fake.state().image_sets[0].properties.image_set_state == ImageSetState::Active
    }
}

/// A person with a fixed answer, who may do something else first.
pub(crate) struct Person {
    reply: UserReply,
    first: Box<dyn Fn() + Send + Sync>,
    question: Mutex<String>,
}

impl Person {
    /// The question that was put.
    pub(crate) fn question(&self) -> String {
        self.question.lock().unwrap().clone()
    }

    pub(crate) fn new(reply: UserReply, first: impl Fn() + Send + Sync + 'static) -> Arc<Self> {
        Arc::new(Self { reply, first: Box::new(first), question: Mutex::default() })
    }
}

#[async_trait]
impl Ask for Person {
    async fn ask(&self, question: &str) -> healthimaging::Result<UserReply> {
        question.clone_into(&mut self.question.lock().unwrap());
        (self.first)();
        Ok(self.reply)
    }
}

#[tokio::test]
async fn without_anyone_to_ask_the_plan_comes_with_a_token_and_the_token_acts() {
    let case = case(Confirm::Auto);
    let planned = case.delete(case.arguments.clone(), Consent::Unavailable).await.unwrap();
    assert!(case.is_there());
    assert_eq!(planned["plan"]["patient_ids"], json!(["MRN-0042"]));
    assert_eq!(planned["plan"]["image_sets"][0]["instances"], 7);
    assert!(!planned["plan"]["action"].as_str().unwrap().contains("MRN"));
    let token = planned["confirmation_token"].clone();
    let done = case.delete(case.with("confirmation_token", token), Consent::Unavailable).await;
    assert_eq!(done.unwrap()["image_set_workflow_status"], "DELETING");
    assert!(!case.is_there());
}

#[tokio::test]
async fn a_token_is_good_for_its_tool_arguments_and_plan_alone() {
    let case = case(Confirm::Auto);
    let planned = case.delete(case.arguments.clone(), Consent::Unavailable).await.unwrap();
    let token = planned["confirmation_token"].clone();

    let store = case.arguments["datastore_id"].as_str().unwrap().to_owned();
    let other = case.fake.add_image_set(&store, "t", 1);
    let mut elsewhere = case.with("confirmation_token", token.clone());
    elsewhere.insert("image_set_id".to_owned(), json!(other));
    let error = case.delete(elsewhere, Consent::Unavailable).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Validation);
    assert!(
        error.message().contains("does not belong to this tool and these arguments"),
        "{error}"
    );

    // Of a server that started later.
    let restarted = case.fake.server(Offer::All, Confirm::Auto);
    let foreign = case.with("confirmation_token", token.clone());
    let called = restarted.call("delete_image_set", foreign, Consent::Unavailable).await;
    let error = called.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Validation);
    for words in ["another server process", "restarted", "without confirmation_token"] {
        assert!(error.message().contains(words), "{error}");
    }

    let mut forged = token.as_str().unwrap().to_owned();
    forged.push('A');
    let forged = case.with("confirmation_token", json!(forged));
    let error = case.delete(forged, Consent::Unavailable).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Validation);

    case.fake.state().image_sets[0].properties.version_id = 2.into();
    let stale = case.with("confirmation_token", token);
    let error = case.delete(stale, Consent::Unavailable).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
    assert!(case.is_there());
}

#[tokio::test]
async fn a_dry_run_changes_nothing_and_gives_no_token_even_with_consent() {
    let case = case(Confirm::Never);
    let planned = case.delete(case.with("dry_run", json!(true)), Consent::Given).await.unwrap();
    assert!(planned.get("confirmation_token").is_none());
    assert_eq!(planned["plan"]["image_sets"].as_array().unwrap().len(), 1);
    assert!(case.is_there());
}

#[tokio::test]
async fn always_refuses_if_the_user_cannot_be_asked_token_or_not() {
    let case = case(Confirm::Always);
    let error = case.delete(case.arguments.clone(), Consent::Unavailable).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::AccessDenied);
    assert!(case.is_there());
}

#[tokio::test]
async fn never_acts_at_once() {
    let case = case(Confirm::Never);
    case.delete(case.arguments.clone(), Consent::Unavailable).await.unwrap();
    assert!(!case.is_there());
}

#[tokio::test]
async fn a_person_is_asked_whose_images_they_are_and_may_decline() {
    let case = case(Confirm::Auto);
    let person = Person::new(UserReply::Declined, || {});
    let consent = Consent::Ask(Arc::clone(&person) as Arc<dyn Ask>);
    let error = case.delete(case.arguments.clone(), consent).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::AccessDenied);
    assert!(case.is_there());
    assert!(person.question.lock().unwrap().contains("\"MRN-0042\""));

    let consent = Consent::Ask(Person::new(UserReply::Agreed, || {}));
    case.delete(case.arguments.clone(), consent).await.unwrap();
    assert!(!case.is_there());
}

#[tokio::test]
async fn what_changes_while_the_person_thinks_is_not_deleted() {
    let case = case(Confirm::Auto);
    let fake = case.fake.clone();
    let person = Person::new(UserReply::Agreed, move || {
        fake.state().image_sets[0].properties.version_id = 2.into();
    });
    let error = case.delete(case.arguments.clone(), Consent::Ask(person)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
    assert!(case.is_there());
}

#[tokio::test]
async fn one_version_alone_cannot_be_deleted() {
    let case = case(Confirm::Never);
    let error = case.delete(case.with("version_id", json!("1")), Consent::Given).await.unwrap_err();
    assert!(error.message().contains("all its versions"), "{}", error.message());
    assert!(case.is_there());
}

#[tokio::test]
async fn a_data_store_with_image_sets_is_not_even_planned() {
    let case = case(Confirm::Never);
    let mut arguments = case.arguments.clone();
    arguments.shift_remove("image_set_id");
    let outcome = case.server.call("delete_datastore", arguments.clone(), Consent::Given).await;
    assert_eq!(outcome.unwrap_err().kind(), ErrorKind::Conflict);
    case.delete(case.arguments.clone(), Consent::Given).await.unwrap();
    case.server.call("delete_datastore", arguments, Consent::Given).await.unwrap();
    assert!(case.fake.state().datastores.is_empty());
}
