//! Which tools are selected, by the sets and names of the configuration.

use std::collections::BTreeSet;

use healthimaging::{Error, Result};

use crate::arguments::nearest;
use crate::tool::{ToolEntry, Toolset};
use crate::tools::TOOLS;

/// Every tool.
const ALL: &str = "all";
/// The few tools that most conversations need.
const CORE: &str = "core";

/// The tools that are selected, before their effects are considered; all by default.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Selection(Option<BTreeSet<&'static str>>);

impl Selection {
    /// Selects the tools of the sets and the named ones, without the excluded ones. Without sets, only the
    /// named tools are selected; with neither, all are.
    ///
    /// # Errors
    /// A validation error that lists the known names if one is unknown, and one if no tool is left.
    pub fn new(toolsets: &[String], tools: &[String], excluded: &[String]) -> Result<Self> {
        if toolsets.is_empty() && tools.is_empty() && excluded.is_empty() {
            return Ok(Self::default());
        }
        let mut selected = BTreeSet::new();
        for set in toolsets {
            selected.extend(tools_of(set)?);
        }
        if toolsets.is_empty() && tools.is_empty() {
            selected.extend(TOOLS.iter().map(|tool| tool.name));
        }
        for name in tools {
            selected.insert(known("--tools", name)?);
        }
        for name in excluded {
            selected.remove(known("--exclude-tools", name)?);
        }
        if selected.is_empty() {
            return Err(Error::validation(
                "--toolsets, --tools and --exclude-tools leave no tool: select one",
            ));
        }
        Ok(Self(Some(selected)))
    }

    /// Whether a tool is selected.
    pub fn includes(&self, tool: &ToolEntry) -> bool {
        self.0.as_ref().is_none_or(|selected| selected.contains(tool.name))
    }
}

fn tools_of(set: &str) -> Result<BTreeSet<&'static str>> {
    let toolset = Toolset::ALL.into_iter().find(|one| one.as_str() == set);
    if toolset.is_none() && ![ALL, CORE].contains(&set) {
        let known: Vec<&str> = Toolset::ALL.into_iter().map(Toolset::as_str).collect();
        return Err(Error::validation(format!(
            "--toolsets has an unknown name: use {CORE}, {ALL}, or some of {}",
            known.join(", ")
        )));
    }
    let is_in = |tool: &&ToolEntry| match toolset {
        Some(toolset) => tool.toolset == toolset,
        None => set == ALL || tool.is_core,
    };
    Ok(TOOLS.iter().filter(is_in).map(|tool| tool.name).collect())
}

fn known(flag: &str, name: &str) -> Result<&'static str> {
    if let Some(tool) = TOOLS.iter().find(|tool| tool.name == name) {
        return Ok(tool.name);
    }
    let names: Vec<&str> = TOOLS.iter().map(|tool| tool.name).collect();
    let near = nearest(name, names.iter().copied());
    let near = near.map_or_else(String::new, |near| format!("; perhaps {near} is meant"));
    Err(Error::validation(format!(
        "{flag} has an unknown name{near}: use some of {}",
        names.join(", ")
    )))
}
