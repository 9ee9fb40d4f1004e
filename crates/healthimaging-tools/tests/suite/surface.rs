//! The face that clients see: pinned by files, held to rules, and kept small.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use healthimaging_testing::Fake;
use healthimaging_tools::{Confirm, Effect, Offer, ToolEntry};
use serde_json::{Value, json};

fn snapshots() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("snapshots")
}

fn tools() -> Vec<&'static ToolEntry> {
    Fake::default().server(Offer::All, Confirm::Auto).tools().collect()
}

fn shown(tool: &ToolEntry) -> Value {
    let definition = tool.definition();
    json!({
        "name": tool.name,
        "title": tool.title,
        "effect": format!("{:?}", tool.effect),
        "description": definition.description,
        "inputSchema": definition.input_schema,
        "outputSchema": definition.output_schema,
    })
}

#[test]
fn each_tool_matches_its_snapshot() {
    let update = std::env::var_os("UPDATE").is_some();
    let mut wrong = Vec::new();
    let mut expected = BTreeSet::new();
    for tool in tools() {
        let file = snapshots().join(format!("{}.json", tool.name));
        let text = serde_json::to_string_pretty(&shown(tool)).unwrap() + "\n";
        if update {
            std::fs::create_dir_all(snapshots()).unwrap();
            std::fs::write(&file, text).unwrap();
        } else if std::fs::read_to_string(&file).ok().as_deref() != Some(&text) {
            wrong.push(tool.name);
        }
        expected.insert(format!("{}.json", tool.name));
    }
    assert!(wrong.is_empty(), "changed: {wrong:?}; if that is meant, run with UPDATE=1");
    let found: BTreeSet<String> = std::fs::read_dir(snapshots())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    assert_eq!(found, expected, "snapshots without a tool");
}

/// Every schema in a schema, the outermost first.
fn visit(schema: &Value, at: &str, see: &mut dyn FnMut(&str, &Value)) {
    see(at, schema);
    match schema {
        Value::Object(object) => {
            for (key, inner) in object {
                visit(inner, &format!("{at}/{key}"), see);
            }
        }
        Value::Array(items) => items.iter().for_each(|inner| visit(inner, at, see)),
        _ => {}
    }
}

#[test]
fn schemas_are_such_as_every_client_reads() {
    for tool in tools() {
        let definition = tool.definition();
        for schema in [definition.input_schema, definition.output_schema] {
            assert_eq!(schema["type"], "object", "{}", tool.name);
            for alternatives in ["anyOf", "oneOf", "allOf"] {
                assert!(!schema.contains_key(alternatives), "{}: {alternatives}", tool.name);
            }
            visit(&Value::Object(schema), tool.name, &mut |at, inner| {
                let Value::Object(object) = inner else { return };
                assert!(!object.contains_key("$ref"), "{at}: $ref");
                assert!(!object.contains_key("$defs"), "{at}: $defs");
                let is_list = object.get("type").is_some_and(Value::is_array);
                assert!(!is_list, "{at}: more than one type");
                assert_ne!(object.get("type"), Some(&json!("null")), "{at}: null");
            });
        }
    }
}

#[test]
fn inputs_refuse_what_they_do_not_know_and_are_described() {
    let mut last = "";
    for tool in tools() {
        let definition = tool.definition();
        assert_eq!(definition.input_schema["additionalProperties"], false, "{}", tool.name);
        assert!((20..=400).contains(&definition.description.len()), "{}", tool.name);
        assert!(!definition.description.contains('\n'), "{}", tool.name);
        assert!(!tool.title.is_empty());
        assert!(last < tool.name, "{last} comes before {}", tool.name);
        last = tool.name;
        let properties = definition.input_schema["properties"].as_object().unwrap();
        for (name, property) in properties {
            let words = property["description"].as_str().unwrap_or_default();
            // The names of UIDs are the keywords of DICOM; of the others, the reference has a sentence.
            let is_named = name.ends_with("_instance_uid")
                || ["confirmation_token", "next_token", "wait_seconds"].contains(&name.as_str());
            assert!(is_named || !words.is_empty(), "{}: {name} has no description", tool.name);
        }
        let asks =
            properties.contains_key("dry_run") && properties.contains_key("confirmation_token");
        if tool.effect == Effect::Destroys {
            assert!(asks, "{} destroys and does not ask", tool.name);
            let required = definition.input_schema["required"].as_array().unwrap();
            assert!(required.contains(&json!("datastore_id")), "{}", tool.name);
        }
    }
}

#[test]
fn each_tool_has_an_example_that_it_reads() {
    for tool in tools() {
        let Ok(Value::Object(example)) = serde_json::from_str(tool.example) else {
            panic!("{}: the example is not an object", tool.name);
        };
        let schema = Value::Object(tool.definition().input_schema);
        let validator = jsonschema::validator_for(&schema).unwrap();
        if let Err(error) = validator.validate(&Value::Object(example.clone())) {
            panic!("{}: {error}", tool.name);
        }
        if let Err(error) = tool.check(example) {
            panic!("{}: {error}", tool.name);
        }
    }
}

/// Clients validate arguments before they send them.
#[test]
fn every_filter_of_a_search_fits_the_schema() {
    let search = tools().into_iter().find(|tool| tool.name == "search_image_sets").unwrap();
    let schema = Value::Object(search.definition().input_schema);
    let validator = jsonschema::validator_for(&schema).unwrap();
    let equal = |value: Value| json!({ "values": [value], "operator": "EQUAL" });
    let between = |low: Value, high: Value| json!({ "values": [low, high], "operator": "BETWEEN" });
    let filters = [
        equal(json!({ "DICOMPatientId": "P" })),
        equal(json!({ "DICOMAccessionNumber": "A" })),
        equal(json!({ "DICOMStudyId": "S" })),
        equal(json!({ "DICOMStudyInstanceUID": "1.2.3" })),
        equal(json!({ "DICOMSeriesInstanceUID": "1.2.3" })),
        equal(json!({ "isPrimary": true })),
        between(json!({ "createdAt": 1_700_000_000 }), json!({ "createdAt": 1_800_000_000.5 })),
        between(json!({ "updatedAt": 1_700_000_000 }), json!({ "updatedAt": 1_800_000_000 })),
        between(
            json!({ "DICOMStudyDateAndTime": { "DICOMStudyDate": "20230101" } }),
            json!({ "DICOMStudyDateAndTime": { "DICOMStudyDate": "20231231", "DICOMStudyTime": "120000.000" } }),
        ),
    ];
    for filter in filters {
        let arguments = json!({ "search_criteria": { "filters": [filter] } });
        if let Err(error) = validator.validate(&arguments) {
            panic!("{arguments}: {error}");
        }
        let Value::Object(arguments) = arguments else { unreachable!() };
        search.check(arguments).unwrap();
    }
    let two_keys = json!({ "DICOMPatientId": "P", "DICOMStudyId": "S" });
    let arguments = json!({ "search_criteria": { "filters": [equal(two_keys)] } });
    let Value::Object(arguments) = arguments else { unreachable!() };
    assert!(search.check(arguments).is_err());
}
