//! `docs/tools.md` and the README's table of tools say what the table of tools says.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use healthimaging_tools::{Offer, ToolEntry, Toolset};
use serde_json::{Map, Value};

use crate::glossary::{GLOSSARY, HEAD, TOOLSETS};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Compares a file with its generated text; with `UPDATE` set, writes it.
fn hold(name: &str, wanted: &str) {
    let file = root().join(name);
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&file, wanted).unwrap();
    }
    let found = std::fs::read_to_string(&file).unwrap_or_default();
    assert!(found == wanted, "{name} is not what the code says; run with UPDATE=1");
}

/// The tools of each set, by name.
fn by_toolset() -> BTreeMap<Toolset, Vec<&'static ToolEntry>> {
    let mut toolsets: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for tool in Offer::All.tools() {
        toolsets.entry(tool.toolset).or_default().push(tool);
    }
    toolsets
}

/// The tools that `keep` accepts, in a sentence.
fn names(keep: fn(&ToolEntry) -> bool) -> String {
    let names: Vec<String> = Offer::All
        .tools()
        .filter(|tool| keep(tool))
        .map(|tool| format!("`{}`", tool.name))
        .collect();
    names.join(", ")
}

#[test]
fn the_reference_matches_the_table() {
    let mut text = HEAD.to_owned();
    writeln!(text, "{TOOLSETS}{}.", names(|tool| tool.is_core)).unwrap();
    for (toolset, tools) in by_toolset() {
        write!(text, "\n## Toolset {}\n", toolset.as_str()).unwrap();
        for tool in tools {
            text += &section(tool);
        }
    }
    hold("docs/tools.md", &text);
}

#[test]
fn the_readme_lists_every_tool() {
    const BEGIN: &str = "<!-- tools: written by UPDATE=1 cargo test -p healthimaging-tools -->\n";
    const END: &str = "<!-- end of tools -->";
    let mut table = "| toolset | tools |\n|---|---|\n".to_owned();
    for (toolset, tools) in by_toolset() {
        let names: Vec<String> = tools.iter().map(|tool| format!("`{}`", tool.name)).collect();
        writeln!(table, "| `{}` | {} |", toolset.as_str(), names.join(" · ")).unwrap();
    }
    let readme = std::fs::read_to_string(root().join("README.md")).unwrap();
    let (before, rest) = readme.split_once(BEGIN).unwrap();
    let (_, after) = rest.split_once(END).unwrap();
    hold("README.md", &format!("{before}{BEGIN}{table}{END}{after}"));
}

#[test]
fn the_glossary_explains_what_there_is() {
    let mut known = BTreeSet::new();
    for tool in Offer::All.tools() {
        let definition = tool.definition();
        for name in properties(&definition.input_schema).keys() {
            known.insert(name.clone());
            known.insert(format!("{}.{name}", tool.name));
        }
    }
    for (name, _) in GLOSSARY {
        assert!(known.contains(*name), "there is no argument {name}");
    }
}

fn properties(schema: &Map<String, Value>) -> &Map<String, Value> {
    schema["properties"].as_object().unwrap()
}

fn section(tool: &ToolEntry) -> String {
    let definition = tool.definition();
    let mut text = format!(
        "\n### {}\n{} · {}\n\n{}\n",
        tool.name,
        tool.title,
        tool.effect.as_str(),
        definition.description
    );
    let schema = &definition.input_schema;
    let is_required = |name: &str| {
        let required = schema.get("required").and_then(Value::as_array);
        required.is_some_and(|all| all.iter().any(|one| one == name))
    };
    if properties(schema).is_empty() {
        text += "\nNo arguments.\n";
    } else {
        text += "\n| argument | type | needed | meaning |\n|---|---|---|---|\n";
    }
    for (name, argument) in properties(schema) {
        let needed = is_required(name);
        writeln!(
            text,
            "| `{name}` | {} | {} | {} |",
            kind(argument),
            if needed { "yes" } else { "" },
            meaning(tool, name, argument, needed)
        )
        .unwrap();
    }
    let fields: Vec<String> = properties(&definition.output_schema)
        .iter()
        .map(|(name, field)| format!("`{name}` ({})", shape(field)))
        .collect();
    let example: Value = serde_json::from_str(tool.example).unwrap();
    let example = serde_json::to_string_pretty(&example).unwrap();
    write!(
        text,
        "\nAnswers with {}; [a call and its answer](transcript.md#{}).\n\n```json\n{example}\n```\n",
        fields.join(", "),
        tool.name
    )
    .unwrap();
    text
}

/// What an argument means: the glossary's words, or those of its schema.
fn meaning(tool: &ToolEntry, name: &str, argument: &Value, needed: bool) -> String {
    let find = |wanted: &str| {
        let found = GLOSSARY.iter().find(|(name, _)| *name == wanted);
        found.map(|(_, words)| (*words).to_owned())
    };
    let described = argument["description"].as_str().map(str::to_owned);
    let mut words = find(&format!("{}.{name}", tool.name))
        .or_else(|| find(name))
        .or(described)
        .unwrap_or_else(|| panic!("{}: nothing says what {name} means", tool.name));
    if name == "datastore_id" && !needed {
        words += " Optional when exactly one is active.";
    }
    words.replace('\n', " ").replace('|', "\\|")
}

/// The type of an argument, with its range or words.
fn kind(schema: &Value) -> String {
    if let Some(words) = schema["enum"].as_array() {
        let words: Vec<String> =
            words.iter().map(|word| format!("`{}`", word.as_str().unwrap())).collect();
        return words.join(", ");
    }
    if let Some(branches) = schema["anyOf"].as_array() {
        let kinds: Vec<String> = branches.iter().map(kind).collect();
        return kinds.join(" or ");
    }
    let name = schema["type"].as_str().unwrap_or("any");
    match name {
        "string" => "text".to_owned(),
        "array" => {
            let most = schema["maxItems"].as_u64();
            let most = most.map_or_else(String::new, |most| format!(", at most {most}"));
            format!("list of {}{most}", kind(&schema["items"]))
        }
        "integer" => match (schema["minimum"].as_i64(), schema["maximum"].as_i64()) {
            (Some(low), Some(high)) => format!("integer, {low} to {high}"),
            (Some(low), None) => format!("integer from {low} on"),
            (None, Some(high)) => format!("integer up to {high}"),
            (None, None) => "integer".to_owned(),
        },
        other => other.to_owned(),
    }
}

/// The type of a field of an answer, with the names of the fields in it.
fn shape(schema: &Value) -> String {
    if let Some(inner) = schema["properties"].as_object() {
        let names: Vec<&str> = inner.keys().map(String::as_str).collect();
        return format!("object: {}", names.join(", "));
    }
    match schema["type"].as_str() {
        Some("array") => format!("list of {}", shape(&schema["items"])),
        Some("string") => "text".to_owned(),
        Some(other) => other.to_owned(),
        None => "object".to_owned(),
    }
}
