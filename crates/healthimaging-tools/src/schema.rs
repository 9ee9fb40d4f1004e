//! Schemas as models read them: inlined, without `null`, without top-level alternatives, and small.

use healthimaging::VersionId;
use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, SchemaGenerator};
use serde_json::{Map, Value, json};

use crate::tool::{Definition, SUMMARY};

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
        // The comment's line breaks mean nothing.
        Some(Value::String(text)) => text.replace('\n', " "),
        _ => String::new(),
    };
    // Some clients need the key even where there are no arguments.
    input_schema.entry("properties").or_insert_with(|| json!({}));
    let mut output_schema = schema_of::<O>(Flow::Out);
    add_properties(&mut output_schema, [(SUMMARY, json!({ "type": "string" }))]);
    Definition { description, input_schema, output_schema }
}

/// The definition of a tool that is confirmed first: two arguments more, and an answer that may be
/// the plan.
pub(crate) fn planned_definition<I: JsonSchema, O: JsonSchema>() -> Definition {
    let mut definition = definition::<I, O>();
    add_properties(
        &mut definition.input_schema,
        [
            ("dry_run", json!({ "type": "boolean", "description": "Plan only" })),
            (
                "confirmation_token",
                json!({ "type": "string", "description": "From the plan, once the user agreed" }),
            ),
        ],
    );
    // The plan comes before the deed, and then the deed's fields are missing.
    definition.output_schema.remove("required");
    add_properties(
        &mut definition.output_schema,
        [
            ("plan", json!({ "type": "object" })),
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
    let mut schema = whole_schema_of::<T>(flow);
    tidy(&mut schema, flow, 0);
    match schema {
        Value::Object(schema) => schema,
        _ => Map::new(),
    }
}

/// The schema as it is derived, every part in its place.
fn whole_schema_of<T: JsonSchema>(flow: Flow) -> Value {
    let settings = SchemaSettings::draft2020_12().with(|settings| {
        settings.inline_subschemas = true;
        settings.meta_schema = None;
    });
    let settings = match flow {
        Flow::In => settings.for_deserialize(),
        Flow::Out => settings.for_serialize(),
    };
    settings.into_generator().into_root_schema_for::<T>().to_value()
}

/// The schema of an input as it is derived, with everything that [`definition`] leaves out.
pub(crate) fn whole_input_schema<T: JsonSchema>() -> Value {
    whole_schema_of::<T>(Flow::In)
}

/// The schema of a member, also where an object is one of several alternatives.
pub(crate) fn member<'a>(schema: &'a Value, name: &str) -> Option<&'a Value> {
    let schema = only_branch(schema);
    property(schema, name)
        .or_else(|| branches(schema)?.iter().find_map(|branch| property(branch, name)))
}

/// The one type that a schema allows, `null` apart.
pub(crate) fn only_type(schema: &Value) -> Option<&str> {
    match schema.get("type")? {
        Value::String(name) => Some(name),
        Value::Array(names) => {
            let mut names = names.iter().filter_map(Value::as_str).filter(|name| *name != "null");
            names.next().filter(|_| names.next().is_none())
        }
        _ => None,
    }
}

/// Whether a schema is that of a version id.
pub(crate) fn is_version_id(schema: &Value) -> bool {
    let pattern = VersionId::json_schema(&mut SchemaGenerator::default());
    schema.get("pattern").is_some_and(|found| Some(found) == pattern.get("pattern"))
}

/// Where arguments have a list in the place of something else.
pub(crate) fn list_for_object<T: JsonSchema>(arguments: &Map<String, Value>) -> Option<String> {
    // Most calls have no list, and need no schema.
    if !arguments.values().any(has_list) {
        return None;
    }
    let schema = whole_schema_of::<T>(Flow::In);
    let mut places = arguments.iter();
    places.find_map(|(name, value)| misplaced_list(property(&schema, name)?, value, name))
}

fn has_list(value: &Value) -> bool {
    match value {
        Value::Array(_) => true,
        Value::Object(object) => object.values().any(has_list),
        _ => false,
    }
}

fn property<'a>(schema: &'a Value, name: &str) -> Option<&'a Value> {
    schema.get("properties")?.get(name)
}

fn misplaced_list(schema: &Value, value: &Value, path: &str) -> Option<String> {
    let schema = only_branch(schema);
    match value {
        Value::Array(_) if !takes_list(schema) => Some(path.to_owned()),
        Value::Array(items) => {
            let of_items = schema.get("items")?;
            let mut items = items.iter().enumerate();
            items.find_map(|(at, item)| misplaced_list(of_items, item, &format!("{path}[{at}]")))
        }
        Value::Object(object) => object.iter().find_map(|(name, inner)| {
            misplaced_list(property(schema, name)?, inner, &format!("{path}.{name}"))
        }),
        _ => None,
    }
}

/// Alternatives of a schema.
fn branches(schema: &Value) -> Option<&Vec<Value>> {
    ["anyOf", "oneOf"].into_iter().find_map(|key| schema.get(key)?.as_array())
}

/// What may be left out is this or `null`.
pub(crate) fn only_branch(schema: &Value) -> &Value {
    let is_null = |branch: &&Value| branch.get("type") == Some(&json!("null"));
    let Some(branches) = branches(schema) else {
        return schema;
    };
    let mut others = branches.iter().filter(|branch| !is_null(branch));
    match (others.next(), others.next()) {
        (Some(only), None) => only,
        _ => schema,
    }
}

fn takes_list(schema: &Value) -> bool {
    match (schema.get("type"), branches(schema)) {
        (Some(Value::String(name)), _) => name == "array",
        (Some(Value::Array(names)), _) => names.contains(&json!("array")),
        (_, Some(branches)) => branches.iter().any(takes_list),
        _ => true,
    }
}

/// Deepest level of an input that is told property by property; what is deeper, its description names.
const DEEPEST_INPUT: usize = 2;

/// From this level on the properties of an output are left out: the model sees them in the answer.
const DEEPEST_OUTPUT: usize = 1;

/// Goes through a schema and all schemas in it; `depth` counts the properties on the way.
fn tidy(schema: &mut Value, flow: Flow, depth: usize) {
    let Value::Object(object) = schema else {
        return;
    };
    open_pattern_properties(object);
    // Before anything is trimmed that the joining looks at.
    drop_null(object);
    join_constants(object);
    join_single_property_objects(object);
    match flow {
        Flow::In => trim_input(object, depth),
        Flow::Out => trim_output(object, depth),
    }
    object.remove("title");
    if let Some(Value::Object(properties)) = object.get_mut("properties") {
        properties.values_mut().for_each(|property| tidy(property, flow, depth + 1));
    }
    for key in ["items", "additionalProperties"] {
        if let Some(inner) = object.get_mut(key) {
            tidy(inner, flow, depth.max(1));
        }
    }
    for key in ["oneOf", "anyOf", "allOf"] {
        if let Some(Value::Array(branches)) = object.get_mut(key) {
            for branch in branches {
                tidy(branch, flow, depth);
            }
        }
    }
    if flow == Flow::In && depth > DEEPEST_INPUT {
        for key in
            ["properties", "required", "minProperties", "maxProperties", "additionalProperties"]
        {
            object.remove(key);
        }
    }
}

/// The arguments themselves are described; what is in them has the API's names, which say enough.
fn trim_input(object: &mut Map<String, Value>, depth: usize) {
    if depth > 1 {
        object.remove("description");
    }
    // Every object refuses what it does not know; saying it once is enough.
    if depth > 0 && object.get("additionalProperties").is_some_and(Value::is_boolean) {
        object.remove("additionalProperties");
    }
    if depth > 1 {
        object.remove("required");
    }
    // Zero, nothing, empty: what else would be meant by leaving it out.
    object.remove("default");
    object.remove("format");
    // Ids, UIDs and days are known by their names, and checked when they are read.
    object.remove("pattern");
}

fn trim_output(object: &mut Map<String, Value>, depth: usize) {
    const OF_NO_USE: [&str; 9] = [
        "additionalProperties",
        "default",
        "description",
        "enum",
        "format",
        "maximum",
        "minimum",
        "pattern",
        "uniqueItems",
    ];
    for key in OF_NO_USE {
        object.remove(key);
    }
    if object.contains_key("oneOf") {
        // An enumeration whose words are described.
        object.remove("oneOf");
        object.insert("type".to_owned(), json!("string"));
    }
    if depth > 0 {
        object.remove("required");
    }
    if depth >= DEEPEST_OUTPUT {
        object.remove("properties");
    }
}

/// A map whose keys have a pattern is a map; the keys are checked when they are read.
fn open_pattern_properties(object: &mut Map<String, Value>) {
    if let Some(Value::Object(patterns)) = object.shift_remove("patternProperties") {
        let value = patterns.into_values().next().unwrap_or_else(|| json!({}));
        object.insert("additionalProperties".to_owned(), value);
    }
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
            && branch.get("required").and_then(Value::as_array).is_some_and(|all| all.len() == 1);
        if !single {
            return;
        }
        joined.extend(properties.clone());
    }
    object.remove("oneOf");
    object.insert("type".to_owned(), json!("object"));
    object.insert("properties".to_owned(), Value::Object(joined));
    object.insert("minProperties".to_owned(), json!(1));
    object.insert("maxProperties".to_owned(), json!(1));
    object.insert("additionalProperties".to_owned(), json!(false));
}
