//! Schemas as models read them: inlined, without `null`, without top-level alternatives, and small.

use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

use crate::plan::Plan;
use crate::tool::Definition;

/// Which way data flows, and with it how much a schema has to say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Flow {
    /// To the tool: all that helps to call it rightly.
    In,
    /// From the tool: names and types; every byte is paid for in every conversation.
    Out,
}

/// The definition of a tool that acts when it is called.
pub(crate) fn definition<I: JsonSchema, O: JsonSchema>() -> Definition {
    let mut input_schema = schema_of::<I>(Flow::In);
    let description = match input_schema.remove("description") {
        Some(Value::String(text)) => text,
        _ => String::new(),
    };
    // Some clients need the key even where there are no arguments.
    input_schema
        .entry("properties")
        .or_insert_with(|| json!({}));
    Definition {
        description,
        input_schema,
        output_schema: schema_of::<O>(Flow::Out),
    }
}

/// The definition of a tool that is confirmed first: two arguments more, and an answer that may be
/// the plan.
pub(crate) fn planned_definition<I: JsonSchema, O: JsonSchema>() -> Definition {
    let mut definition = definition::<I, O>();
    add_properties(
        &mut definition.input_schema,
        [
            (
                "dry_run",
                json!({ "type": "boolean", "description": "Only return the plan." }),
            ),
            (
                "confirmation_token",
                json!({
                    "type": "string",
                    "description": "From the plan, once the user has agreed to it."
                }),
            ),
        ],
    );
    // The plan comes before the deed, and then the deed's fields are missing.
    definition.output_schema.remove("required");
    add_properties(
        &mut definition.output_schema,
        [
            ("plan", Value::Object(schema_of::<Plan>(Flow::Out))),
            ("confirmation_token", json!({ "type": "string" })),
        ],
    );
    definition
}

fn add_properties<const N: usize>(schema: &mut Map<String, Value>, added: [(&str, Value); N]) {
    let properties = schema.entry("properties").or_insert_with(|| json!({}));
    if let Value::Object(properties) = properties {
        for (name, value) in added {
            properties.insert(name.to_owned(), value);
        }
    }
}

fn schema_of<T: JsonSchema>(flow: Flow) -> Map<String, Value> {
    let settings = SchemaSettings::draft2020_12().with(|settings| {
        settings.inline_subschemas = true;
        settings.meta_schema = None;
    });
    let settings = match flow {
        Flow::In => settings.for_deserialize(),
        Flow::Out => settings.for_serialize(),
    };
    let mut schema = settings
        .into_generator()
        .into_root_schema_for::<T>()
        .to_value();
    tidy(&mut schema, flow);
    match schema {
        Value::Object(schema) => schema,
        _ => Map::new(),
    }
}

/// Goes through a schema and all schemas in it.
fn tidy(schema: &mut Value, flow: Flow) {
    let Value::Object(object) = schema else {
        return;
    };
    object.remove("title");
    if flow == Flow::Out {
        for key in [
            "description",
            "pattern",
            "minimum",
            "maximum",
            "additionalProperties",
        ] {
            object.remove(key);
        }
    }
    if object
        .get("format")
        .is_some_and(|format| format != "date-time")
    {
        object.remove("format");
    }
    for key in ["properties", "patternProperties"] {
        if let Some(Value::Object(properties)) = object.get_mut(key) {
            properties
                .values_mut()
                .for_each(|property| tidy(property, flow));
        }
    }
    for key in ["items", "additionalProperties", "propertyNames"] {
        if let Some(inner) = object.get_mut(key) {
            tidy(inner, flow);
        }
    }
    for key in ["oneOf", "anyOf", "allOf"] {
        if let Some(Value::Array(branches)) = object.get_mut(key) {
            branches.iter_mut().for_each(|branch| tidy(branch, flow));
        }
    }
    drop_null(object);
    join_constants(object);
    join_single_property_objects(object);
}

/// An argument that may be left out need not be `null` too; some clients refuse a list of types.
fn drop_null(object: &mut Map<String, Value>) {
    if let Some(Value::Array(types)) = object.get_mut("type") {
        types.retain(|name| name != "null");
        if let [only] = &types[..] {
            let only = only.clone();
            object.insert("type".to_owned(), only);
        }
    }
    if let Some(Value::Array(values)) = object.get_mut("enum") {
        values.retain(|value| !value.is_null());
    }
    if object.get("default").is_some_and(Value::is_null) {
        object.remove("default");
    }
    for key in ["anyOf", "oneOf"] {
        let Some(Value::Array(branches)) = object.get_mut(key) else {
            continue;
        };
        branches.retain(|branch| branch.get("type") != Some(&json!("null")));
        if let [Value::Object(only)] = &branches[..] {
            let only = only.clone();
            object.remove(key);
            for (name, value) in only {
                object.entry(name).or_insert(value);
            }
        }
    }
}

/// `oneOf` constants with a description each is `enum` in fewer bytes.
fn join_constants(object: &mut Map<String, Value>) {
    let Some(Value::Array(branches)) = object.get("oneOf") else {
        return;
    };
    let words: Option<Vec<Value>> = branches
        .iter()
        .map(|branch| match (branch.get("const"), branch.get("enum")) {
            (Some(word), _) => Some(vec![word.clone()]),
            (None, Some(Value::Array(words))) => Some(words.clone()),
            _ => None,
        })
        .collect::<Option<Vec<_>>>()
        .map(|lists| lists.concat());
    if let Some(words) = words {
        object.remove("oneOf");
        object.insert("type".to_owned(), json!("string"));
        object.insert("enum".to_owned(), Value::Array(words));
    }
}

/// `oneOf` objects of one property each is one object that has exactly one of the properties.
fn join_single_property_objects(object: &mut Map<String, Value>) {
    let Some(Value::Array(branches)) = object.get("oneOf") else {
        return;
    };
    let mut joined = Map::new();
    for branch in branches {
        let Some(Value::Object(properties)) = branch.get("properties") else {
            return;
        };
        let single = properties.len() == 1
            && branch
                .get("required")
                .and_then(Value::as_array)
                .is_some_and(|all| all.len() == 1);
        if !single {
            return;
        }
        for (name, property) in properties {
            let mut property = property.clone();
            if let (Some(property), Some(description)) =
                (property.as_object_mut(), branch.get("description"))
            {
                property
                    .entry("description")
                    .or_insert_with(|| description.clone());
            }
            joined.insert(name.clone(), property);
        }
    }
    object.remove("oneOf");
    object.insert("type".to_owned(), json!("object"));
    object.insert("properties".to_owned(), Value::Object(joined));
    object.insert("minProperties".to_owned(), json!(1));
    object.insert("maxProperties".to_owned(), json!(1));
    object.insert("additionalProperties".to_owned(), json!(false));
}
