//! The protocol over HTTP, as plain clients use it.

use std::convert::Infallible;

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt as _, Full};
use serde_json::{Value, json};
use tower_service::Service;

use healthimaging::model::DatastoreStatus;
use healthimaging_testing::Fake;
use healthimaging_tools::{Confirm, HttpOptions, Offer, http_service};

fn service() -> impl Service<
    Request<Full<Bytes>>,
    Response = Response<BoxBody<Bytes, Infallible>>,
    Error = Infallible,
> + Clone {
    let fake = Fake::default();
    fake.add_datastore("a", DatastoreStatus::Active);
    http_service(fake.server(Offer::All, Confirm::Auto), HttpOptions::default())
}

/// Sends a body; status, session and the body that came back.
async fn post<S>(
    service: &S,
    headers: &[(&str, &str)],
    body: impl Into<Bytes>,
) -> (StatusCode, Option<String>, String, String)
where
    S: Service<
            Request<Full<Bytes>>,
            Response = Response<BoxBody<Bytes, Infallible>>,
            Error = Infallible,
        > + Clone,
{
    let mut request = Request::post("/mcp").header("host", "localhost");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let answer = service.clone().call(request.body(Full::new(body.into())).unwrap()).await.unwrap();
    let text = |name: &str| {
        let value = answer.headers().get(name);
        value.map(|value| value.to_str().unwrap().to_owned())
    };
    let (status, session) = (answer.status(), text("mcp-session-id"));
    let media_type = text("content-type").unwrap_or_default();
    let body = answer.into_body().collect().await.unwrap().to_bytes();
    (status, session, media_type, String::from_utf8(body.to_vec()).unwrap())
}

fn initialize() -> String {
    let params = json!({
        "protocolVersion": "2025-06-18", "capabilities": {},
        "clientInfo": { "name": "test", "version": "1" }
    });
    json!({ "jsonrpc": "2.0", "id": 0, "method": "initialize", "params": params }).to_string()
}

const JSON: (&str, &str) = ("content-type", "application/json");

#[tokio::test]
async fn any_accept_is_answered_and_json_alone_where_events_are_not_asked_for() {
    let plain: [&[(&str, &str)]; 4] = [
        &[JSON],
        &[JSON, ("accept", "*/*")],
        &[JSON, ("accept", "application/json")],
        &[JSON, ("accept", "text/html;q=0.5, application/json;q=0.9")],
    ];
    let service = service();
    for headers in plain {
        let (status, session, media_type, body) = post(&service, headers, initialize()).await;
        assert_eq!((status, &*media_type), (StatusCode::OK, "application/json"), "{headers:?}");
        let greeting: Value = serde_json::from_str(&body).unwrap();
        assert_eq!(greeting["result"]["serverInfo"]["name"], "healthimaging-mcp-server");
        let session = session.unwrap();
        let headers = [headers, &[("mcp-session-id", session.as_str())]].concat();
        let ready = json!({ "jsonrpc": "2.0", "method": "notifications/initialized" });
        let (status, ..) = post(&service, &headers, ready.to_string()).await;
        assert_eq!(status, StatusCode::ACCEPTED);
        // The arguments as text, as some models write them.
        let call = json!({
            "jsonrpc": "2.0", "id": "a", "method": "tools/call",
            "params": { "name": "list_datastores", "arguments": "{}" }
        });
        let (status, _, media_type, body) = post(&service, &headers, call.to_string()).await;
        assert_eq!((status, &*media_type), (StatusCode::OK, "application/json"), "{body}");
        let answer: Value = serde_json::from_str(&body).unwrap();
        assert_eq!(answer["id"], "a");
        let stores = &answer["result"]["structuredContent"]["datastore_summaries"];
        assert_eq!(stores.as_array().unwrap().len(), 1, "{answer}");
    }
    let events = ("accept", "application/json, text/event-stream");
    let (status, _, media_type, _) = post(&service, &[JSON, events], initialize()).await;
    assert_eq!((status, &*media_type), (StatusCode::OK, "text/event-stream"));
    for other in ["text/html", "application/json;q=0"] {
        let (status, ..) = post(&service, &[JSON, ("accept", other)], initialize()).await;
        assert_eq!(status, StatusCode::NOT_ACCEPTABLE, "{other}");
    }
}

#[tokio::test]
async fn invalid_messages_are_400_with_an_error_of_json_rpc() {
    let service = service();
    for (body, code) in [
        ("{", -32700),
        ("", -32700),
        ("hello", -32700),
        ("[]", -32600),
        ("null", -32600),
        (r#"{"jsonrpc":"1.0","id":1,"method":"ping"}"#, -32600),
        (
            r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"x","arguments":"["}}"#,
            -32602,
        ),
        (r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{}}"#, -32602),
    ] {
        let (status, _, media_type, answer) = post(&service, &[JSON], body).await;
        assert_eq!((status, &*media_type), (StatusCode::BAD_REQUEST, "application/json"), "{body}");
        let answer: Value = serde_json::from_str(&answer).unwrap();
        assert_eq!(answer["error"]["code"], code, "{body}: {answer}");
    }
    // Who may not ask learns nothing of that.
    let foreign = [JSON, ("origin", "http://evil.example")];
    assert_eq!(post(&service, &foreign, "{").await.0, StatusCode::FORBIDDEN);
    let (status, ..) = post(&service, &[JSON], vec![b' '; (4 << 20) + 1]).await;
    assert_eq!(status, StatusCode::PAYLOAD_TOO_LARGE);
}

/// Most sessions at once: `sessions.rs`.
const MOST: usize = 256;

#[tokio::test]
async fn the_session_that_is_idle_for_longest_makes_room() {
    let service = service();
    let mut sessions = Vec::new();
    for _ in 0..MOST {
        let (status, session, ..) = post(&service, &[JSON], initialize()).await;
        assert_eq!(status, StatusCode::OK);
        sessions.push(session.unwrap());
    }
    let ping = json!({ "jsonrpc": "2.0", "id": 1, "method": "ping" }).to_string();
    let ready = json!({ "jsonrpc": "2.0", "method": "notifications/initialized" }).to_string();
    let ask = async |session: &str| {
        let headers = [JSON, ("mcp-session-id", session)];
        post(&service, &headers, ready.clone()).await;
        post(&service, &headers, ping.clone()).await.0
    };
    assert_eq!(ask(&sessions[0]).await, StatusCode::OK);
    let (status, newest, ..) = post(&service, &[JSON], initialize()).await;
    assert_eq!(status, StatusCode::OK);
    // The first was used since; the second was not.
    assert_eq!(ask(&sessions[1]).await, StatusCode::NOT_FOUND);
    for alive in [&sessions[0], &sessions[2], &newest.unwrap()] {
        assert_eq!(ask(alive).await, StatusCode::OK);
    }
}
