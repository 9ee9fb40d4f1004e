//! Schemas as models read them: inlined, without `null`, without alternatives at the top, and small.

use schemars::generate::SchemaSettings;
use schemars::transform::{RecursiveTransform, Transform, transform_subschemas};
use schemars::{JsonSchema, Schema};
use serde_json::{Map, Value, json};

/// Member of every answer that summarizes it in a sentence.
pub const SUMMARY: &str = "summary";

/// Definition of a tool, as clients list it.
#[derive(Debug, Clone)]
pub struct Definition {
    /// What the model reads.
    pub description: String,
    /// JSON schema of the arguments.
    pub input_schema: Map<String, Value>,
    /// JSON schema of the structured answer.
    pub output_schema: Map<String, Value>,
}

/// Which way data flows, and with it how much a schema states.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Flow {
    /// To the tool: everything that helps to call it correctly.
    In,
    /// From the tool: names and types; every byte is paid for in every conversation.
    Out,
}

/// Returns the definition of a tool that acts when it is called.
pub(crate) fn definition<I: JsonSchema, O: JsonSchema>() -> Definition {
    let mut input_schema = published::<I>(Flow::In);
    let description = match input_schema.shift_remove("description") {
        // The comment's line breaks mean nothing.
        Some(Value::String(text)) => text.replace('\n', " "),
        _ => String::new(),
    };
    // Some clients need the key even where there are no arguments.
    input_schema.entry("properties").or_insert_with(|| json!({}));
    let mut output_schema = published::<O>(Flow::Out);
    add_properties(&mut output_schema, [(SUMMARY, json!({ "type": "string" }))]);
    Definition { description, input_schema, output_schema }
}

/// Returns the definition of a tool that is confirmed first: two arguments more, and an answer that may be
/// the plan.
pub(crate) fn planned_definition<I: JsonSchema, O: JsonSchema>() -> Definition {
    let mut definition = definition::<I, O>();
    add_properties(
        &mut definition.input_schema,
        [
            ("dry_run", json!({ "type": "boolean", "description": "Plan only" })),
            // The answer that shows a plan explains it.
            ("confirmation_token", json!({ "type": "string" })),
        ],
    );
    // A plan is answered without the members that describe what was done.
    definition.output_schema.shift_remove("required");
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
        properties.extend(added.map(|(name, value)| (name.to_owned(), value)));
    }
}

/// Returns the schema as clients get it.
fn published<T: JsonSchema>(flow: Flow) -> Map<String, Value> {
    let mut schema = simple::<T>(flow);
    Trim { flow, depth: 0 }.transform(&mut schema);
    schema.as_object_mut().map(std::mem::take).unwrap_or_default()
}

/// Returns the schema with every constraint, inlined and simplified.
fn simple<T: JsonSchema>(flow: Flow) -> Schema {
    let settings = SchemaSettings::draft2020_12().with(|settings| {
        settings.inline_subschemas = true;
        settings.meta_schema = None;
    });
    let settings = match flow {
        Flow::In => settings.for_deserialize(),
        Flow::Out => settings.for_serialize(),
    };
    let settings = settings.with_transform(RecursiveTransform(simplify));
    settings.into_generator().into_root_schema_for::<T>()
}

/// Returns the schema of an input with the constraints that [`definition`] leaves out.
pub(crate) fn whole_input_schema<T: JsonSchema>() -> Value {
    simple::<T>(Flow::In).to_value()
}

/// Returns the schema of a member.
pub(crate) fn member<'a>(schema: &'a Value, name: &str) -> Option<&'a Value> {
    schema.get("properties")?.get(name)
}

/// Merges what clients handle badly: `null`, alternatives of one type, maps whose keys have a pattern.
fn simplify(schema: &mut Schema) {
    let Some(object) = schema.as_object_mut() else { return };
    object.retain(|key, _| !["title", "default", "format"].contains(&key.as_str()));
    // Keys are checked when they are read.
    if let Some(Value::Object(patterns)) = object.shift_remove("patternProperties") {
        let value = patterns.into_values().next().unwrap_or_else(|| json!({}));
        object.insert("additionalProperties".to_owned(), value);
    }
    drop_null(object);
    let Some(Value::Array(branches)) = object.get("oneOf") else { return };
    let merged = if let Some(words) = each(branches, words) {
        json!({ "type": "string", "enum": words.concat() })
    } else if let Some(properties) = each(branches, only_property) {
        let properties: Map<String, Value> = properties.into_iter().flatten().collect();
        json!({
            "type": "object", "properties": properties, "minProperties": 1, "maxProperties": 1,
            "additionalProperties": false
        })
    } else {
        return;
    };
    object.shift_remove("oneOf");
    if let Value::Object(merged) = merged {
        object.extend(merged);
    }
}

/// An optional argument need not be `null` too, and some clients refuse a list of types.
fn drop_null(object: &mut Map<String, Value>) {
    if let Some(Value::Array(types)) = object.get_mut("type") {
        types.retain(|name| name != "null");
        if let [only] = &mut types[..] {
            let only = only.take();
            object.insert("type".to_owned(), only);
        }
    }
    if let Some(Value::Array(values)) = object.get_mut("enum") {
        values.retain(|value| !value.is_null());
    }
    for key in ["anyOf", "oneOf"] {
        let Some(Value::Array(branches)) = object.get_mut(key) else { continue };
        branches.retain(|branch| branch.get("type") != Some(&json!("null")));
        if let [Value::Object(only)] = &mut branches[..] {
            let only = std::mem::take(only);
            object.shift_remove(key);
            for (name, value) in only {
                object.entry(name).or_insert(value);
            }
        }
    }
}

/// What each branch is; `None` when one of them is something else.
fn each<T>(branches: &[Value], what: fn(&Value) -> Option<T>) -> Option<Vec<T>> {
    branches.iter().map(what).collect()
}

/// Words of a branch that is one constant, with a description, or several.
fn words(branch: &Value) -> Option<Vec<Value>> {
    let several = branch.get("enum").and_then(Value::as_array).cloned();
    several.or_else(|| Some(vec![branch.get("const")?.clone()]))
}

/// Properties of a branch that is an object of exactly one property.
fn only_property(branch: &Value) -> Option<Map<String, Value>> {
    let is_required = branch.get("required")?.as_array()?.len() == 1;
    let properties = branch.get("properties")?.as_object()?;
    (is_required && properties.len() == 1).then(|| properties.clone())
}

/// Deepest schema in an input that names its properties; a description names what is deeper.
const DEEPEST_INPUT: usize = 3;

/// Leaves out what a reader does not need, by how deep a schema is in the whole.
struct Trim {
    flow: Flow,
    depth: usize,
}

impl Transform for Trim {
    fn transform(&mut self, schema: &mut Schema) {
        if let Some(object) = schema.as_object_mut() {
            object.retain(|key, value| self.keeps(key, value));
        }
        self.depth += 1;
        transform_subschemas(self, schema);
        self.depth -= 1;
    }
}

impl Trim {
    fn keeps(&self, key: &str, value: &Value) -> bool {
        match (self.flow, key) {
            // Ids, UIDs and days are known by their names, and checked when they are read.
            (Flow::In, "pattern") => false,
            // The arguments are described; what is in them has the API's names.
            (Flow::In, "description" | "required") => self.depth <= 1,
            // Every object refuses unknown members; once is enough.
            (Flow::In, "additionalProperties") if value.is_boolean() => self.depth == 0,
            (
                Flow::In,
                "properties" | "additionalProperties" | "minProperties" | "maxProperties",
            ) => self.depth <= DEEPEST_INPUT,
            (Flow::In, _) => true,
            // The model sees the members in the answer.
            (Flow::Out, "properties" | "required") => self.depth == 0,
            (Flow::Out, _) => ["type", "items", "anyOf"].contains(&key),
        }
    }
}
