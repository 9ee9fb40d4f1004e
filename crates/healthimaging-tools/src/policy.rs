//! What the operator of a server forbids, whatever flags and credentials allow.

use std::collections::BTreeSet;

use healthimaging::{Effect, Error, ErrorKind, Limit, Result, Rights, read_json};
use healthimaging_workflows::Plan;
use serde::Deserialize;

use crate::tool::{ToolEntry, Toolset};
use crate::tools::TOOLS;

/// A policy; by default it forbids nothing.
#[derive(Debug, Clone, Default)]
pub struct Policy {
    forbidden: BTreeSet<&'static str>,
    rights: Rights,
    most: MostImageSets,
}

/// The members of a policy file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    #[serde(default)]
    forbidden_tools: Vec<String>,
    datastores: Option<Vec<String>>,
    #[serde(default)]
    forbidden_datastores: Vec<String>,
    #[serde(default)]
    most_image_sets: MostImageSets,
}

/// The most image sets that one call may affect.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct MostImageSets {
    delete: Option<usize>,
    update: Option<usize>,
    export: Option<usize>,
}

impl Policy {
    /// Parses a policy file.
    ///
    /// # Errors
    /// `Validation` for anything but a JSON object with these members, for an unknown tool, and for empty names.
    pub fn parse(text: &[u8]) -> Result<Self> {
        let document: Document = read_json("policy", text)?;
        let forbidden = document.forbidden_tools.iter().map(|name| {
            let known = TOOLS.iter().find(|tool| tool.name == name);
            known.map(|tool| tool.name).ok_or_else(|| {
                Error::validation(format!(
                    "invalid policy: forbidden_tools has a name that is none of a tool ({} of them are known)",
                    TOOLS.len()
                ))
            })
        });
        let forbidden = forbidden.collect::<Result<_>>()?;
        let named = document.datastores.iter().flatten().chain(&document.forbidden_datastores);
        if named.clone().any(String::is_empty) {
            return Err(Error::validation("invalid policy: a data store has an empty name"));
        }
        let rights = if document.datastores.is_none() && document.forbidden_datastores.is_empty() {
            Rights::unlimited()
        } else {
            let limit = Limit::new(Effect::Destroys, "the policy of this server forbids this");
            let limit = limit.except(document.forbidden_datastores);
            Rights::unlimited().and(match document.datastores {
                Some(only) => limit.only(only),
                None => limit,
            })
        };
        Ok(Self { forbidden, rights, most: document.most_image_sets })
    }

    /// The data stores that it allows.
    pub fn rights(&self) -> &Rights {
        &self.rights
    }

    /// Whether it forbids a tool.
    pub(crate) fn forbids(&self, tool: &ToolEntry) -> bool {
        self.forbidden.contains(tool.name)
    }

    /// Whether a call of a tool has a largest number of image sets.
    pub(crate) fn limits(&self, tool: &ToolEntry) -> bool {
        self.most_of(tool).is_some()
    }

    fn most_of(&self, tool: &ToolEntry) -> Option<usize> {
        match tool.toolset {
            Toolset::Correct => self.most.update,
            Toolset::Export => self.most.export,
            _ => self.most.delete,
        }
    }

    /// The most image sets of an export or a transfer.
    pub(crate) fn most_exported(&self) -> Option<usize> {
        self.most.export
    }

    /// Refuses a plan for more image sets than the policy allows.
    pub(crate) fn check(&self, tool: &ToolEntry, plan: &Plan) -> Result<()> {
        match self.most_of(tool) {
            Some(most) if plan.image_sets.len() > most => {
                Err(too_many(plan.image_sets.len(), most))
            }
            _ => Ok(()),
        }
    }
}

/// The error of a call that would affect too many image sets.
pub(crate) fn too_many(count: usize, most: usize) -> Error {
    Error::new(
        ErrorKind::AccessDenied,
        format!(
            "the policy of this server allows {most} image sets for such a call, and this one is about {count}: nothing was \
             changed. Select fewer"
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_policy_is_checked() {
        for fine in [
            "{}",
            r#"{"forbidden_tools": ["delete_study"], "datastores": ["main"]}"#,
            r#"{"forbidden_datastores": ["main"], "most_image_sets": {"delete": 0, "export": 5}}"#,
        ] {
            assert!(Policy::parse(fine.as_bytes()).is_ok(), "{fine}");
        }
        for wrong in [
            "",
            "[]",
            r#"{"forbidden_tool": []}"#,
            r#"{"forbidden_tools": ["delete_everything"]}"#,
            r#"{"datastores": "main"}"#,
            r#"{"datastores": [""]}"#,
            r#"{"most_image_sets": {"deletes": 1}}"#,
            r#"{"most_image_sets": {"delete": -1}}"#,
            r#"{"forbidden_tools": [], "forbidden_tools": []}"#,
        ] {
            let error = Policy::parse(wrong.as_bytes()).err().unwrap();
            assert!(error.message().contains("policy"), "{wrong}: {error}");
        }
    }
}
