//! Parses messages of clients, or refuses them with the errors of JSON-RPC.

use healthimaging::read_json;
use rmcp::model::{ErrorCode, ErrorData, RequestId};
use serde::de::IgnoredAny;
use serde_json::{Map, Value, json};

/// A UTF-8 byte order mark, which JSON parsers may ignore (RFC 8259 section 8.1).
const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

/// Why a message is refused.
#[derive(Debug, PartialEq)]
pub(crate) struct Refusal {
    /// Id of the request, if there is one.
    pub(crate) id: Option<Value>,
    code: ErrorCode,
    message: &'static str,
}

impl Refusal {
    /// The message is not one of JSON-RPC.
    pub(crate) fn invalid_request(message: &Value) -> Self {
        Self {
            id: message.get("id").filter(|id| id.is_string() || id.is_i64()).cloned(),
            code: ErrorCode::INVALID_REQUEST,
            message: "the message is not a request, a notification or a response of JSON-RPC 2.0; \
                      send one message at a time",
        }
    }

    /// The arguments of a call are invalid.
    fn invalid_params(message: &Value, wanted: &'static str) -> Self {
        Self { code: ErrorCode::INVALID_PARAMS, message: wanted, ..Self::invalid_request(message) }
    }

    /// The message is too long.
    pub(crate) fn too_long() -> Self {
        Self {
            id: None,
            code: ErrorCode::INVALID_REQUEST,
            message: "the message is too long for this server",
        }
    }

    /// The error of JSON-RPC.
    pub(crate) fn error(&self) -> ErrorData {
        ErrorData::new(self.code, self.message, None)
    }

    /// The id in the type of the protocol.
    pub(crate) fn request_id(&self) -> Option<RequestId> {
        serde_json::from_value(self.id.clone()?).ok()
    }

    /// The response as JSON.
    pub(crate) fn document(&self) -> Value {
        json!({
            "jsonrpc": "2.0",
            "id": self.id,
            "error": { "code": self.code.0, "message": self.message },
        })
    }
}

/// Returns what the parameters of a request must have, if they do not: the protocol library answers that there is no such
/// method.
fn wanted_params(message: &Value) -> Option<&'static str> {
    let at = |pointer: &str| message.pointer(pointer);
    let is_text = |pointer: &str| at(pointer).is_some_and(Value::is_string);
    let is_object = |pointer: &str| at(pointer).is_some_and(Value::is_object);
    let (is_valid, wanted) = match message.get("method").and_then(Value::as_str)? {
        "prompts/get" => (
            is_text("/params/name")
                && at("/params/arguments").is_none_or(|given| given.is_object() || given.is_null()),
            "params must have name, the name of a prompt, as text, and arguments, if any, as an object",
        ),
        "resources/read" => {
            (is_text("/params/uri"), "params must have uri, the URI of a resource, as text")
        }
        "completion/complete" => (
            (is_text("/params/ref/name") || is_text("/params/ref/uri"))
                && matches!(
                    at("/params/ref/type").and_then(Value::as_str),
                    Some("ref/prompt" | "ref/resource")
                )
                && is_object("/params/argument")
                && is_text("/params/argument/name")
                && is_text("/params/argument/value"),
            "params must have ref, a ref/prompt with name or a ref/resource with uri, and argument with name and value \
             as text",
        ),
        _ => return None,
    };
    (!is_valid).then_some(wanted)
}

/// Parses a message. The arguments of a tool may be JSON text, as some models write them.
pub(crate) fn parse(text: &[u8]) -> Result<Value, Refusal> {
    let text = text.strip_prefix(BYTE_ORDER_MARK).unwrap_or(text);
    let mut message: Value = serde_json::from_slice(text).map_err(|_| Refusal {
        id: None,
        code: ErrorCode::PARSE_ERROR,
        message: "the message is not JSON",
    })?;
    if !message.is_object() {
        return Err(Refusal::invalid_request(&message));
    }
    let is_call = message.get("method").and_then(Value::as_str) == Some("tools/call");
    if read_json::<IgnoredAny>("message", text).is_err() {
        let refusal = if is_call {
            Refusal::invalid_params(&message, "arguments must have each member once")
        } else {
            let wanted = "the message must have each member once";
            Refusal { message: wanted, ..Refusal::invalid_request(&message) }
        };
        return Err(refusal);
    }
    if !is_call {
        return match wanted_params(&message) {
            Some(wanted) => Err(Refusal::invalid_params(&message, wanted)),
            None => Ok(message),
        };
    }
    if let Some(arguments) = message.pointer_mut("/params/arguments")
        && let Some(text) = arguments.as_str()
    {
        let parsed = match text.trim() {
            "" => Ok(Map::new()),
            text => read_json("arguments", text.as_bytes()),
        };
        let Ok(object) = parsed else {
            let wanted = "arguments must be a JSON object that has each member once";
            return Err(Refusal::invalid_params(&message, wanted));
        };
        *arguments = Value::Object(object);
    }
    // Otherwise the protocol library answers that there is no such method.
    if !message.pointer("/params/name").is_some_and(Value::is_string) {
        let wanted = "params must have name, the name of a tool, as text";
        return Err(Refusal::invalid_params(&message, wanted));
    }
    let arguments = message.pointer("/params/arguments");
    if !arguments.is_none_or(|arguments| arguments.is_object() || arguments.is_null()) {
        return Err(Refusal::invalid_params(&message, "arguments must be a JSON object"));
    }
    Ok(message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(arguments: &Value) -> Value {
        json!({
            "jsonrpc": "2.0", "id": 7, "method": "tools/call",
            "params": { "name": "list_datastores", "arguments": arguments }
        })
    }

    #[test]
    fn arguments_may_be_text() {
        for (sent, meant) in [
            (json!("{}"), json!({})),
            (json!(""), json!({})),
            (json!(" {\"max_results\": 5}"), json!({ "max_results": 5 })),
            (json!({ "a": "{}" }), json!({ "a": "{}" })),
        ] {
            let read = parse(call(&sent).to_string().as_bytes()).unwrap();
            assert_eq!(read["params"]["arguments"], meant);
        }
        for wrong in ["[]", "x", "{", "null", r#"{"a": 1, "a": 2}"#] {
            let refusal = parse(call(&json!(wrong)).to_string().as_bytes()).unwrap_err();
            assert_eq!(refusal.document()["error"]["code"], -32602, "{wrong}");
            assert_eq!(refusal.document()["id"], 7);
        }
    }

    #[test]
    fn calls_without_a_name_or_an_object_of_arguments_are_refused() {
        let params = |params: Value| {
            let mut call = call(&json!({}));
            call["params"] = params;
            parse(call.to_string().as_bytes())
        };
        for (wrong, named) in [
            (json!({}), "name"),
            (json!({ "name": 7 }), "name"),
            (json!([]), "name"),
            (json!({ "name": "list_datastores", "arguments": [] }), "arguments"),
            (json!({ "name": "list_datastores", "arguments": 7 }), "arguments"),
        ] {
            let refusal = params(wrong.clone()).unwrap_err().document();
            assert_eq!((&refusal["error"]["code"], &refusal["id"]), (&json!(-32602), &json!(7)));
            assert!(refusal["error"]["message"].as_str().unwrap().contains(named), "{wrong}");
        }
        for right in [
            json!({ "name": "list_datastores" }),
            json!({ "name": "list_datastores", "arguments": null }),
        ] {
            assert!(params(right).is_ok());
        }
    }

    /// Readers differ in which of two members they take.
    #[test]
    fn arguments_with_a_member_twice_are_refused() {
        let twice = call(&json!({ "StudyID": "7", "ID": "8" }))
            .to_string()
            .replace("\"ID\"", "\"StudyID\"");
        let refusal = parse(twice.as_bytes()).unwrap_err().document();
        assert_eq!((&refusal["error"]["code"], &refusal["id"]), (&json!(-32602), &json!(7)));
        assert!(refusal["error"]["message"].as_str().unwrap().contains("once"));
    }

    #[test]
    fn a_message_with_a_member_twice_is_refused() {
        let twice = br#"{"jsonrpc":"2.0","id":1,"method":"tools/list","method":"ping"}"#;
        let refusal = parse(twice).unwrap_err().document();
        assert_eq!((&refusal["error"]["code"], &refusal["id"]), (&json!(-32600), &json!(1)));
    }

    #[test]
    fn invalid_messages_get_the_errors_of_json_rpc() {
        for garbage in ["not json", "{", "[[[[", "\u{1}", "{} {}"] {
            let document = parse(garbage.as_bytes()).unwrap_err().document();
            assert_eq!(
                (&document["error"]["code"], &document["id"]),
                (&json!(-32700), &json!(null))
            );
        }
        for other in ["null", "[]", "7", "\u{feff}\"x\""] {
            assert_eq!(parse(other.as_bytes()).unwrap_err().document()["error"]["code"], -32600);
        }
        assert!(parse("\u{feff}{}".as_bytes()).is_ok());
    }
}
