//! The server as clients of both eras see it.

use std::sync::{Arc, Mutex};

use healthimaging::model::{DatastoreStatus, ImageSetState};
use healthimaging_testing::{Fake, id};
use healthimaging_tools::{Confirm, Offer, ResultForm, Server, serve};
use rmcp::model::{
    ArgumentInfo, CallToolRequestParams, CallToolResult, ClientCapabilities, ClientConfig,
    CompleteRequestParams, CompletionContext, ContentBlock, ElicitRequestParams, ElicitResult,
    ElicitationAction, ErrorCode, Implementation, NumberOrString, ProgressNotificationParam,
    ProgressToken, ProtocolVersion, ReadResourceRequestParams, Reference, RequestMetaObject,
    ResourceContents,
};
use rmcp::service::{
    NotificationContext, RequestContext, RoleClient, RunningService, ServiceError,
};
use rmcp::{ClientHandler, ClientLifecycleMode, ErrorData, ServiceExt as _};
use serde_json::{Value, json};

/// What a client's user does with a question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum User {
    CannotBeAsked,
    Agrees,
    Declines,
    Cancels,
    /// The client answers with an error.
    Fails,
}

#[derive(Debug, Clone)]
pub(crate) struct TestClient {
    user: User,
    pub(crate) questions: Arc<Mutex<Vec<String>>>,
    progress: Arc<Mutex<Vec<f64>>>,
    lists_changed: Arc<Mutex<usize>>,
}

impl TestClient {
    pub(crate) fn new(user: User) -> Self {
        Self {
            user,
            questions: Arc::default(),
            progress: Arc::default(),
            lists_changed: Arc::default(),
        }
    }
}

impl ClientHandler for TestClient {
    fn get_info(&self) -> ClientConfig {
        let capabilities = match self.user {
            User::CannotBeAsked => ClientCapabilities::default(),
            User::Agrees | User::Declines | User::Cancels | User::Fails => {
                ClientCapabilities::builder().enable_elicitation().build()
            }
        };
        ClientConfig::new(capabilities, Implementation::new("test", "1"))
    }

    async fn create_elicitation(
        &self,
        request: ElicitRequestParams,
        _: RequestContext<RoleClient>,
    ) -> Result<ElicitResult, ErrorData> {
        let ElicitRequestParams::FormElicitationParams { message, .. } = request else {
            return Err(ErrorData::invalid_params("not a form", None));
        };
        self.questions.lock().unwrap().push(message);
        Ok(match self.user {
            User::Agrees => {
                ElicitResult::new(ElicitationAction::Accept).with_content(json!({ "agree": true }))
            }
            User::Cancels => ElicitResult::new(ElicitationAction::Cancel),
            User::Fails => return Err(ErrorData::internal_error("no window", None)),
            _ => ElicitResult::new(ElicitationAction::Decline),
        })
    }

    async fn on_progress(
        &self,
        params: ProgressNotificationParam,
        _: NotificationContext<RoleClient>,
    ) {
        self.progress.lock().unwrap().push(params.progress);
    }

    async fn on_resource_list_changed(&self, _: NotificationContext<RoleClient>) {
        *self.lists_changed.lock().unwrap() += 1;
    }
}

#[derive(Debug, Clone, Copy)]
pub(crate) enum Era {
    /// With `initialize`.
    Old,
    /// With `server/discover`.
    New,
}

pub(crate) type Connection = RunningService<RoleClient, TestClient>;

pub(crate) async fn connect(
    fake: &Fake,
    confirm: Confirm,
    era: Era,
    client: TestClient,
) -> Connection {
    connect_to(fake.server(Offer::All, confirm), era, client).await
}

pub(crate) async fn connect_to(server: Server, era: Era, client: TestClient) -> Connection {
    use rmcp::ClientServiceExt as _;
    let (near, far) = tokio::io::duplex(64 * 1024);
    let (input, output) = tokio::io::split(far);
    tokio::spawn(serve(server, input, output));
    match era {
        Era::Old => client.serve(near).await.unwrap(),
        Era::New => {
            let mode = ClientLifecycleMode::Discover {
                preferred_versions: vec![ProtocolVersion::V_2026_07_28],
            };
            client.serve_with_lifecycle(near, mode).await.unwrap()
        }
    }
}

pub(crate) fn request(name: &'static str, arguments: Value) -> CallToolRequestParams {
    let Value::Object(arguments) = arguments else {
        panic!("not an object");
    };
    CallToolRequestParams::new(name).with_arguments(arguments)
}

/// The JSON of the first text block.
pub(crate) fn json_text(result: &CallToolResult) -> Value {
    serde_json::from_str(&result.content[0].as_text().unwrap().text).unwrap()
}

fn one_set() -> (Fake, Value) {
    let fake = Fake::default();
    let store = fake.add_datastore("a", DatastoreStatus::Active);
    let set = fake.add_image_set(&store, "s", 3);
    (fake, json!({ "datastore_id": store, "image_set_id": set }))
}

fn is_there(fake: &Fake) -> bool {
    fake.state().image_sets[0].properties.image_set_state == ImageSetState::Active
}

/// Tools whose answers may have pictures.
const WITH_PICTURES: [&str; 4] =
    ["get_image_frame", "get_report", "get_series_contact_sheet", "view_series"];

#[tokio::test]
async fn both_eras_list_the_tools_in_the_same_order_with_annotations() {
    for era in [Era::Old, Era::New] {
        let fake = Fake::default();
        let client = connect(&fake, Confirm::Auto, era, TestClient::new(User::CannotBeAsked)).await;
        let tools = client.list_all_tools().await.unwrap();
        let names: Vec<&str> = tools.iter().map(|tool| &*tool.name).collect();
        assert!(names.is_sorted());
        assert_eq!(names.len(), Offer::All.tools().count());
        let find = |name| tools.iter().find(|tool| tool.name == name).unwrap();
        let annotations = find("delete_image_set").annotations.clone().unwrap();
        assert_eq!(annotations.destructive_hint, Some(true));
        assert_ne!(annotations.read_only_hint, Some(true));
        let annotations = find("get_image_set").annotations.clone().unwrap();
        assert_eq!(annotations.read_only_hint, Some(true));
        for tool in &tools {
            assert!(tool.title.is_some());
            let has_pictures = WITH_PICTURES.contains(&&*tool.name);
            assert_eq!(tool.output_schema.is_none(), has_pictures, "{}", tool.name);
        }
    }
}

#[tokio::test]
async fn the_list_of_tools_is_small() {
    /// The Python server's answer has 49,039 bytes, measured, for 39 tools without annotations.
    const WHOLE: usize = 62_000;
    /// What clients hand to the model.
    const NAMES_WORDS_INPUTS: usize = 38_000;
    let fake = Fake::default();
    let client =
        connect(&fake, Confirm::Auto, Era::Old, TestClient::new(User::CannotBeAsked)).await;
    let mut list = client.list_tools(None).await.unwrap();
    let whole = serde_json::to_string(&list).unwrap().len();
    for tool in &mut list.tools {
        (tool.title, tool.annotations, tool.output_schema) = (None, None, None);
        tool.meta = None;
    }
    let inputs = serde_json::to_string(&list).unwrap().len();
    println!("{} tools: {whole} bytes, {inputs} that models read", list.tools.len());
    assert!(whole < WHOLE, "{whole}");
    assert!(inputs < NAMES_WORDS_INPUTS, "{inputs}");
}

#[tokio::test]
async fn an_unknown_tool_is_a_protocol_error_and_a_bad_argument_is_not() {
    let (fake, _) = one_set();
    let client =
        connect(&fake, Confirm::Auto, Era::Old, TestClient::new(User::CannotBeAsked)).await;
    let error = client.call_tool(request("no_such_tool", json!({}))).await.unwrap_err();
    let ServiceError::McpError(error) = error else { panic!("{error}") };
    assert_eq!(error.code, ErrorCode::INVALID_PARAMS);

    let result = client.call_tool(request("get_datastore", json!({ "x": 1 }))).await.unwrap();
    assert_eq!(result.is_error, Some(true));
    assert_eq!(json_text(&result)["type"], "validation_error");
    // It would not fit the output schema, which some clients hold it against.
    assert_eq!(result.structured_content, None);

    let input = json!({ "datastore_id": id("none") });
    let result = client.call_tool(request("get_datastore", input)).await.unwrap();
    assert_eq!(json_text(&result)["type"], "not_found");
}

#[tokio::test]
async fn the_user_is_asked_in_both_eras() {
    for era in [Era::Old, Era::New] {
        let (fake, input) = one_set();
        let declining = TestClient::new(User::Declines);
        let client = connect(&fake, Confirm::Auto, era, declining.clone()).await;
        let result = client.call_tool(request("delete_image_set", input.clone())).await.unwrap();
        assert_eq!(result.is_error, Some(true), "{era:?}");
        assert!(is_there(&fake), "{era:?}");
        let questions = declining.questions.lock().unwrap().clone();
        assert_eq!(questions.len(), 1, "{era:?}");
        assert!(questions[0].contains("\"MRN-0042\""), "{era:?}: {}", questions[0]);

        let client = connect(&fake, Confirm::Always, era, TestClient::new(User::Agrees)).await;
        let result = client.call_tool(request("delete_image_set", input)).await.unwrap();
        assert_eq!(result.is_error, Some(false), "{era:?}: {result:?}");
        assert!(!is_there(&fake), "{era:?}");
    }
}

#[tokio::test]
async fn a_forged_state_is_not_consent() {
    let (fake, input) = one_set();
    let client = connect(&fake, Confirm::Auto, Era::New, TestClient::new(User::Declines)).await;
    let mut forged = request("delete_image_set", input);
    forged.request_state = Some("rs1.AAAA.AAAA".to_owned());
    let agreed = json!({ "action": "accept", "content": { "agree": true } });
    forged.input_responses = Some([("agreement".to_owned(), agreed)].into());
    let result = client.call_tool(forged).await.unwrap();
    assert_eq!(result.is_error, Some(true));
    assert!(is_there(&fake));
}

#[tokio::test]
async fn a_client_that_cannot_ask_gets_the_plan_and_a_token() {
    for era in [Era::Old, Era::New] {
        let (fake, mut input) = one_set();
        let client = connect(&fake, Confirm::Auto, era, TestClient::new(User::CannotBeAsked)).await;
        let result = client.call_tool(request("delete_image_set", input.clone())).await.unwrap();
        assert_eq!(result.is_error, Some(false));
        assert!(is_there(&fake));
        let token = result.structured_content.unwrap()["confirmation_token"].clone();
        input["confirmation_token"] = token;
        client.call_tool(request("delete_image_set", input)).await.unwrap();
        assert!(!is_there(&fake));
    }
}

/// Many clients give the model the text alone, some the structured content alone: each is enough to find,
/// plan, confirm and prove a deletion.
#[tokio::test]
async fn a_deletion_passes_with_text_or_structured_content_only() {
    let by_text = |result: CallToolResult| json_text(&result);
    let by_structure = |result: CallToolResult| result.structured_content.unwrap();
    let readers: [(ResultForm, &dyn Fn(CallToolResult) -> Value); 4] = [
        (ResultForm::Both, &by_text),
        (ResultForm::Both, &by_structure),
        (ResultForm::Text, &by_text),
        (ResultForm::Structured, &by_structure),
    ];
    for (form, read) in readers {
        let (fake, _) = one_set();
        let server = fake.server_with(Offer::All, Confirm::Auto, form);
        let client = connect_to(server, Era::Old, TestClient::new(User::CannotBeAsked)).await;
        for tool in client.list_all_tools().await.unwrap() {
            let is_text = form == ResultForm::Text || WITH_PICTURES.contains(&&*tool.name);
            assert_eq!(tool.output_schema.is_none(), is_text, "{form:?}: {}", tool.name);
        }
        let call = async |name, input| read(client.call_tool(request(name, input)).await.unwrap());
        let found = call("search_image_sets", json!({})).await;
        assert_eq!(found["summary"].as_str().unwrap().split(' ').next(), Some("1"), "{found}");
        let mut input = json!({
            "datastore_id": found["datastore_id"],
            "image_set_id": found["image_sets_metadata_summaries"][0]["image_set_id"],
        });
        let planned = call("delete_image_set", input.clone()).await;
        assert!(planned["plan"].is_object(), "{planned}");
        input["confirmation_token"] = planned["confirmation_token"].clone();
        // How long to wait is no part of what was confirmed.
        input["wait_seconds"] = json!("30");
        call("delete_image_set", input.clone()).await;
        assert!(!is_there(&fake), "{form:?}");
        let left = call("search_image_sets", json!({})).await;
        assert_eq!(left["image_sets_metadata_summaries"], json!([]), "{left}");
    }
}

#[tokio::test]
async fn waiting_is_reported_as_progress() {
    let (fake, mut input) = one_set();
    let receiver = TestClient::new(User::CannotBeAsked);
    let client = connect(&fake, Confirm::Auto, Era::Old, receiver.clone()).await;
    input["latest_version_id"] = json!("1");
    let described = json!({
        "SchemaVersion": "1.1", "Study": { "DICOM": { "StudyDescription": "X" } }
    });
    input["update_image_set_metadata_updates"] =
        json!({ "DICOMUpdates": { "updatableAttributes": described } });
    input["wait_seconds"] = json!(30);
    let mut call = request("update_image_set_metadata", input);
    let mut meta = RequestMetaObject::new();
    meta.set_progress_token(ProgressToken(NumberOrString::Number(7)));
    call.meta = Some(meta);
    let result = client.call_tool(call).await.unwrap();
    assert_eq!(result.structured_content.unwrap()["image_set_state"], "ACTIVE");
    let progress = receiver.progress.lock().unwrap().clone();
    assert!(!progress.is_empty());
    assert!(progress.is_sorted());
}

#[tokio::test]
async fn data_stores_and_image_sets_are_resources() {
    for era in [Era::Old, Era::New] {
        let (fake, input) = one_set();
        for number in 0..60 {
            fake.add_datastore(&format!("m{number}"), DatastoreStatus::Active);
        }
        let client = connect(&fake, Confirm::Auto, era, TestClient::new(User::CannotBeAsked)).await;
        let all = client.list_all_resources().await.unwrap();
        assert_eq!(all.len(), 63, "the index, the viewer and 61 data stores");
        assert_eq!(client.list_all_resource_templates().await.unwrap().len(), 7);

        let read =
            async |uri: String| client.read_resource(ReadResourceRequestParams::new(uri)).await;
        let json_of = |contents: &[ResourceContents]| -> Value {
            let [ResourceContents::TextResourceContents { text, .. }] = contents else {
                panic!("not one text");
            };
            serde_json::from_str(text).unwrap()
        };
        let index = read("healthimaging://datastores".to_owned()).await.unwrap();
        let stores = json_of(&index.contents)["datastore_summaries"].as_array().unwrap().len();
        assert_eq!(stores, 61);
        let (store, set) = (input["datastore_id"].as_str().unwrap(), id("s"));
        let base = format!("healthimaging://datastores/{store}/image-sets/{set}");
        let state = read(base.clone()).await.unwrap();
        assert_eq!(json_of(&state.contents)["image_set_state"], "ACTIVE");
        let metadata = read(format!("{base}/metadata")).await.unwrap();
        assert_eq!(json_of(&metadata.contents)["Patient"]["DICOM"]["PatientID"], "MRN-0042");

        let frame = read(format!("{base}/frames/{}", id("f1"))).await.unwrap();
        let [ResourceContents::BlobResourceContents { blob, mime_type, .. }] = &frame.contents[..]
        else {
            panic!("not one blob");
        };
        assert_eq!((blob.as_str(), mime_type.as_deref()), ("/0//UQ==", Some("image/jph")));

        let expected = match era {
            Era::Old => ErrorCode::RESOURCE_NOT_FOUND,
            Era::New => ErrorCode::INVALID_PARAMS,
        };
        for missing in [
            format!("{base}/pixels"),
            format!("{base}/frames/{}/picture?max_size=5", id("f1")),
            format!("{base}/frames/{}/picture?window_center=5", id("f1")),
            format!("{base}/frames/{}/picture?format=bmp", id("f1")),
            "healthimaging://datastores/short".to_owned(),
        ] {
            let ServiceError::McpError(error) = read(missing).await.unwrap_err() else {
                panic!("not a protocol error");
            };
            assert_eq!(error.code, expected, "{era:?}");
        }
    }
}

#[tokio::test]
async fn uncounted_image_sets_are_returned_as_at_least() {
    let fake = Fake::default();
    let store = fake.add_datastore("a", DatastoreStatus::Active);
    let uri = format!("healthimaging://datastores/{store}");
    // Clients keep what they read for a while, so each reads once.
    let counts = async || -> Value {
        let new = TestClient::new(User::CannotBeAsked);
        let client = connect(&fake, Confirm::Auto, Era::Old, new).await;
        let request = ReadResourceRequestParams::new(uri.as_str());
        let read = client.read_resource(request).await.unwrap();
        let [ResourceContents::TextResourceContents { text, .. }] = &read.contents[..] else {
            panic!("not one text");
        };
        serde_json::from_str::<Value>(text).unwrap()["counts"].clone()
    };
    let none = json!({ "image_sets": 0, "primary_image_sets": 0 });
    assert_eq!(counts().await, none);
    for number in 0..500 {
        fake.add_image_set(&store, &format!("s{number}"), 1);
    }
    assert_eq!(counts().await["image_sets"], 500);
    fake.add_image_set(&store, "more", 1);
    fake.state().pages_asked.clear();
    assert_eq!(counts().await["image_sets_at_least"], 500);
    assert_eq!(fake.state().pages_asked.len(), 11, "pages of fifty");
}

#[tokio::test]
async fn ids_are_completed() {
    let (fake, input) = one_set();
    let client =
        connect(&fake, Confirm::Auto, Era::Old, TestClient::new(User::CannotBeAsked)).await;
    let template = "healthimaging://datastores/{datastore_id}/image-sets/{image_set_id}";
    let complete = async |name: &str, value: &str, context: Option<CompletionContext>| {
        let argument = ArgumentInfo::new(name, value);
        let mut params = CompleteRequestParams::new(Reference::for_resource(template), argument);
        params.context = context;
        client.complete(params).await.unwrap().completion.values
    };
    let store = input["datastore_id"].as_str().unwrap().to_owned();
    assert_eq!(complete("datastore_id", "000", None).await, std::slice::from_ref(&store));
    assert!(complete("datastore_id", "zzz", None).await.is_empty());
    let known = CompletionContext::with_arguments([("datastore_id".to_owned(), store)].into());
    assert_eq!(complete("image_set_id", "", Some(known)).await, [id("s")]);
    let ids = [
        ("datastore_id".to_owned(), input["datastore_id"].as_str().unwrap().to_owned()),
        ("image_set_id".to_owned(), id("s")),
    ];
    let known = Some(CompletionContext::with_arguments(ids.into()));
    assert_eq!(complete("version_id", "", known.clone()).await, ["1"]);
    let frames = complete("image_frame_id", "", known).await;
    assert_eq!(frames, [id("f1"), id("f2"), id("f3")]);
}

#[tokio::test]
async fn a_new_data_store_changes_the_list_of_resources() {
    let fake = Fake::default();
    let listener = TestClient::new(User::CannotBeAsked);
    let client = connect(&fake, Confirm::Auto, Era::Old, listener.clone()).await;
    let input = json!({ "datastore_name": "n" });
    client.call_tool(request("create_datastore", input)).await.unwrap();
    client.call_tool(request("list_datastores", json!({}))).await.unwrap();
    assert_eq!(*listener.lists_changed.lock().unwrap(), 1);
}

#[tokio::test]
async fn large_metadata_is_an_outline_with_a_link() {
    let fake = Fake::default();
    let store = fake.add_datastore("a", DatastoreStatus::Active);
    let set = fake.add_image_set(&store, "large", 3000);
    let client =
        connect(&fake, Confirm::Auto, Era::Old, TestClient::new(User::CannotBeAsked)).await;
    let input = json!({ "image_set_id": set });
    let result = client.call_tool(request("get_image_set_metadata", input)).await.unwrap();
    let [ContentBlock::Text(_), ContentBlock::ResourceLink(link)] = &result.content[..] else {
        panic!("not a text and a link: {:?}", result.content);
    };
    let whole = client.read_resource(ReadResourceRequestParams::new(&link.uri)).await.unwrap();
    let [ResourceContents::TextResourceContents { text, .. }] = &whole.contents[..] else {
        panic!("not one text");
    };
    assert_eq!(Some(text.len() as u64), link.size);
}
