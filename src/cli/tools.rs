//! `tools`: lists the tools.

use anyhow::Result;
use clap::Args;
use healthimaging_tools::ToolEntry;
use serde_json::{Value, json};

use crate::backend;
use crate::config::Config;
use crate::outcome::Outcome;
use crate::terminal;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Print names, descriptions and schemas as JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn run(config: &Config, arguments: &Arguments) -> Result<Outcome> {
    let tools = backend::offer(config).tools();
    if arguments.json {
        let all: Vec<Value> = tools.map(document).collect();
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

fn document(tool: &ToolEntry) -> Value {
    let definition = tool.definition();
    json!({
        "name": tool.name,
        "title": tool.title,
        "effect": tool.effect.as_str(),
        "description": definition.description,
        "input_schema": definition.input_schema,
        "output_schema": definition.output_schema,
    })
}
