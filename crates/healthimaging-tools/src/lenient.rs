//! Converts arguments as models send them to the types of the schema: an object or list as JSON text,
//! `"5"` and `5.0` for an integer, an integer for a version id, `""` for an absent option.
//!
//! Only the JSON type of a value changes, so a call never affects more than was meant.

use healthimaging::{VersionId, read_json};
use schemars::{JsonSchema, SchemaGenerator};
use serde_json::{Map, Number, Value};

use crate::arguments::Arguments;
use crate::schema;

/// Arguments that select the form of an answer or how long a call waits. In any other argument `""` is a
/// value, which is refused if it is invalid: it may select what a call affects.
const EMPTY_IS_ABSENT: [&str; 12] = [
    "auto_window",
    "client_token",
    "count",
    "format",
    "job_name",
    "max_results",
    "max_size",
    "next_token",
    "wait_seconds",
    "window_center",
    "window_function",
    "window_width",
];

/// Largest integer up to which a float is exact.
const EXACT: f64 = 9_007_199_254_740_992.0;

/// Converts arguments to the types of the input `T`. What cannot be converted stays, and the parser
/// refuses it.
pub(crate) fn normalize<T: JsonSchema>(arguments: &mut Arguments) {
    arguments.retain(|name, value| {
        value.as_str() != Some("") || !EMPTY_IS_ABSENT.contains(&name.as_str())
    });
    if !arguments.values().any(may_change) {
        return;
    }
    let schema = schema::whole_input_schema::<T>();
    normalize_members(&schema, arguments);
}

/// Whether a value may need the schema; most calls do not.
fn may_change(value: &Value) -> bool {
    match value {
        Value::String(text) => {
            let first = text.trim_start().bytes().next();
            first.is_some_and(|byte| matches!(byte, b'{' | b'[' | b'-' | b'0'..=b'9' | b't' | b'f'))
        }
        Value::Number(_) | Value::Object(_) | Value::Array(_) => true,
        Value::Null | Value::Bool(_) => false,
    }
}

fn normalize_members(schema: &Value, object: &mut Map<String, Value>) {
    for (name, value) in object {
        if let Some(schema) = schema::member(schema, name) {
            normalize_value(schema, value);
        }
    }
}

fn normalize_value(schema: &Value, value: &mut Value) {
    if let Some(converted) = converted(schema, value) {
        *value = converted;
    }
    match value {
        Value::Object(object) => normalize_members(schema, object),
        Value::Array(items) => {
            if let Some(of_items) = schema.get("items") {
                for item in items {
                    normalize_value(of_items, item);
                }
            }
        }
        _ => {}
    }
}

/// Returns the value as the type of the schema; `None` if it has it already, or cannot have it.
fn converted(schema: &Value, value: &Value) -> Option<Value> {
    match (schema.get("type")?.as_str()?, value) {
        ("object" | "array", Value::String(text)) => {
            let parsed: Value = read_json("argument", text.as_bytes()).ok()?;
            (parsed.is_object() || parsed.is_array()).then_some(parsed)
        }
        ("integer", Value::String(text)) => text.trim().parse::<i64>().ok().map(Value::from),
        ("integer", Value::Number(number)) if number.is_f64() => {
            let number = number.as_f64().filter(|n| n.fract() == 0.0 && n.abs() < EXACT)?;
            #[expect(clippy::cast_possible_truncation, reason = "integral, and below 2^53")]
            Some(Value::from(number as i64))
        }
        ("number", Value::String(text)) => {
            Number::from_f64(text.trim().parse().ok()?).map(Value::Number)
        }
        ("boolean", Value::String(text)) => text.trim().parse::<bool>().ok().map(Value::Bool),
        // Some answers of the service show versions as integers.
        ("string", Value::Number(number)) if is_version_id(schema) => {
            let integral = number.as_u64().or_else(|| {
                let number =
                    number.as_f64().filter(|n| n.fract() == 0.0 && (0.0..EXACT).contains(n))?;
                #[expect(
                    clippy::cast_possible_truncation,
                    clippy::cast_sign_loss,
                    reason = "integral, not negative, and below 2^53"
                )]
                Some(number as u64)
            })?;
            Some(Value::from(integral.to_string()))
        }
        _ => None,
    }
}

fn is_version_id(schema: &Value) -> bool {
    let of_versions = VersionId::json_schema(&mut SchemaGenerator::default());
    schema.get("pattern").is_some_and(|pattern| Some(pattern) == of_versions.get("pattern"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[derive(JsonSchema)]
    #[expect(dead_code, reason = "only its schema is used")]
    struct Input {
        search_criteria: Option<Criteria>,
        values: Option<Vec<i64>>,
        max_results: Option<u32>,
        window_center: Option<f64>,
        primary_only: Option<bool>,
        version_id: Option<VersionId>,
        patient_id: Option<String>,
        anything: Option<Value>,
    }

    #[derive(JsonSchema)]
    #[expect(dead_code, reason = "only its schema is used")]
    struct Criteria {
        limit: Option<i32>,
        name: Option<String>,
    }

    fn normalized(arguments: Value) -> Value {
        let Value::Object(mut arguments) = arguments else { panic!("not an object") };
        normalize::<Input>(&mut arguments);
        Value::Object(arguments)
    }

    #[test]
    fn values_take_the_type_of_the_schema() {
        for (sent, meant) in [
            (json!({ "search_criteria": "{}" }), json!({ "search_criteria": {} })),
            (
                json!({ "search_criteria": "{\"limit\": \"5\"}" }),
                json!({ "search_criteria": { "limit": 5 } }),
            ),
            (json!({ "values": "[1, 2.0, \"3\"]" }), json!({ "values": [1, 2, 3] })),
            (json!({ "max_results": "5" }), json!({ "max_results": 5 })),
            (json!({ "max_results": 5.0 }), json!({ "max_results": 5 })),
            (json!({ "window_center": "-40.5" }), json!({ "window_center": -40.5 })),
            (json!({ "primary_only": "true" }), json!({ "primary_only": true })),
            (json!({ "version_id": 3 }), json!({ "version_id": "3" })),
            (json!({ "version_id": 3.0 }), json!({ "version_id": "3" })),
            (json!({ "max_results": "" }), json!({})),
        ] {
            assert_eq!(normalized(sent.clone()), meant, "{sent}");
        }
    }

    #[test]
    fn what_may_choose_what_is_affected_stays_as_it_was_sent() {
        for sent in [
            json!({ "patient_id": "" }),
            json!({ "patient_id": 42 }),
            json!({ "patient_id": "[1]" }),
            json!({ "anything": "{}" }),
            json!({ "anything": "5" }),
            json!({ "max_results": "many" }),
            json!({ "max_results": 5.5 }),
            json!({ "version_id": -1 }),
            json!({ "search_criteria": "" }),
            json!({ "search_criteria": { "name": "" } }),
            json!({ "primary_only": "" }),
            json!({ "search_criteria": "{" }),
            json!({ "search_criteria": "{\"limit\": 5, \"limit\": 6}" }),
        ] {
            assert_eq!(normalized(sent.clone()), sent);
        }
    }
}
