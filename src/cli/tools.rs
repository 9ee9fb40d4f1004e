//! `tools`: lists the tools.

use anyhow::Result;
use healthimaging_tools::{Schemas, ToolEntry};
use serde_json::{Value, json};

use crate::backend;
use crate::config::Config;
use crate::outcome::Outcome;
use crate::terminal;

/// Prints a line for each tool, or all of them as one JSON array.
pub(super) fn run(config: &Config) -> Result<Outcome> {
    let options = backend::server_options(config);
    let tools = options.tools();
    if terminal::is_json() {
        let all: Vec<Value> = tools.map(|tool| document(tool, options.schemas)).collect();
        terminal::result(&serde_json::to_string_pretty(&all)?)?;
        return Ok(Outcome::Done);
    }
    for tool in tools {
        let description = tool.definition().description.replace('\n', " ");
        let first = description.split_once(". ").map_or(description.as_str(), |(first, _)| first);
        terminal::result(&format!("{:30} {:9} {first}", tool.name, tool.effect.as_str()))?;
    }
    Ok(Outcome::Done)
}

fn document(tool: &ToolEntry, schemas: Schemas) -> Value {
    let definition = tool.definition();
    let mut document = json!({
        "name": tool.name,
        "title": tool.title,
        "toolset": tool.toolset.as_str(),
        "effect": tool.effect.as_str(),
        "description": definition.description,
        "input_schema": definition.input_schema,
    });
    if schemas == Schemas::Full {
        document["output_schema"] = Value::Object(definition.output_schema);
    }
    document
}
