//! Content trees of structured reports (PS3.3 §C.17.3).

use std::fmt::Write as _;

use serde::Serialize;

use super::code::Code;
use super::json::{DataSet, item, items, joined, text, texts};
use super::reference::{Evidence, Reference};

const CONTENT: &str = "0040A730";
const CONCEPT_NAME: &str = "0040A043";
const CONCEPT_CODE: &str = "0040A168";

/// Coordinates in a line of text; the item has all of them.
const SHOWN_COORDINATES: usize = 8;

/// An item of a content tree.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ContentItem {
    /// Position in the tree, such as `1.2.3` (PS3.3 §C.17.3.2.5); the root is `1`.
    pub position: String,
    /// Relationship Type (0040,A010); the root has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub relationship: Option<String>,
    /// Value Type (0040,A040).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value_type: Option<String>,
    /// Concept Name Code Sequence (0040,A043).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<Code>,
    /// The value as text, unless it is a code or a reference. Of a NUM, the number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
    /// The value of a CODE.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<Code>,
    /// Unit of a NUM.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unit: Option<Code>,
    /// Why a NUM has no value, or what qualifies it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub qualifier: Option<Code>,
    /// The object that an IMAGE, COMPOSITE or WAVEFORM refers to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reference: Option<Reference>,
    /// Coordinates of an SCOORD or SCOORD3D, or times of a TCOORD.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub coordinates: Vec<String>,
    /// Position of the item that a relationship by reference leads to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refers_to: Option<String>,
    /// Template of a CONTAINER, such as `DCMR 1500`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub template: Option<String>,
    /// Depth in the tree; the root has 0.
    #[serde(skip)]
    pub(super) level: usize,
    /// Index of the item above.
    #[serde(skip)]
    pub(super) parent: Option<usize>,
}

/// Lists the items of a tree, each before those below it. Relationships by reference are named, not followed.
pub(super) fn tree(root: &DataSet, evidence: &Evidence) -> Vec<ContentItem> {
    let mut found: Vec<ContentItem> = Vec::new();
    let mut waiting = vec![(root, "1".to_owned(), 0, None)];
    while let Some((node, position, level, parent)) = waiting.pop() {
        let below: Vec<&DataSet> = items(node, CONTENT).collect();
        for (index, item) in below.into_iter().enumerate().rev() {
            let position = format!("{position}.{}", index + 1);
            waiting.push((item, position, level + 1, Some(found.len())));
        }
        found.push(read(node, evidence, position, level, parent));
    }
    found
}

fn read(
    node: &DataSet,
    evidence: &Evidence,
    position: String,
    level: usize,
    parent: Option<usize>,
) -> ContentItem {
    let value_type = text(node, "0040A040");
    let kind = value_type.as_deref().unwrap_or_default();
    let measured = item(node, "0040A300");
    let numbers = |measured: &DataSet| joined(measured, "0040A30A", " \\ ");
    let value = match kind {
        "TEXT" => text(node, "0040A160"),
        "NUM" => measured.and_then(numbers),
        "DATE" => text(node, "0040A121"),
        "TIME" => text(node, "0040A122"),
        "DATETIME" => text(node, "0040A120"),
        "PNAME" => text(node, "0040A123"),
        "UIDREF" => text(node, "0040A124"),
        "SCOORD" | "SCOORD3D" => text(node, "00700023"),
        "TCOORD" => text(node, "0040A130"),
        _ => None,
    };
    let coordinates: Vec<String> = match kind {
        "SCOORD" | "SCOORD3D" => texts(node, "00700022").map(Into::into).collect(),
        "TCOORD" => ["0040A132", "0040A138", "0040A13A"]
            .iter()
            .flat_map(|tag| texts(node, tag))
            .map(Into::into)
            .collect(),
        _ => Vec::new(),
    };
    let template = item(node, "0040A504").and_then(|template| {
        let resource = text(template, "00080105").unwrap_or_default();
        let identifier = text(template, "0040DB00")?;
        Some(format!("{resource} {identifier}").trim_start().to_owned())
    });
    ContentItem {
        name: Code::of(node, CONCEPT_NAME),
        code: Code::of(node, CONCEPT_CODE).filter(|_| kind == "CODE"),
        unit: measured.and_then(|measured| Code::of(measured, "004008EA")),
        qualifier: Code::of(node, "0040A301"),
        reference: item(node, "00081199").map(|referred| Reference::of(referred, evidence)),
        refers_to: joined(node, "0040DB73", "."),
        relationship: text(node, "0040A010"),
        value_type,
        position,
        value,
        coordinates,
        template,
        level,
        parent,
    }
}

impl ContentItem {
    /// The value as a person reads it; empty where there is none.
    pub(super) fn shown(&self) -> String {
        let value = match (&self.code, &self.value) {
            (Some(code), _) => code.to_string(),
            (None, Some(value)) => value.clone(),
            (None, None) => String::new(),
        };
        let unit = self.unit.as_ref().filter(|_| self.value.is_some()).map(Code::unit);
        let qualifier = self.qualifier.as_ref().map(|qualifier| format!("({qualifier})"));
        let parts = [value, unit.unwrap_or_default().to_owned(), qualifier.unwrap_or_default()];
        let parts: Vec<String> = parts.into_iter().filter(|part| !part.is_empty()).collect();
        let mut shown = parts.join(" ");
        if let Some(reference) = &self.reference {
            shown = reference.to_string();
        }
        if !self.coordinates.is_empty() {
            let some = self.coordinates.iter().take(SHOWN_COORDINATES);
            let some: Vec<&str> = some.map(String::as_str).collect();
            // Writing to a String cannot fail.
            let _ = write!(shown, " {}", some.join(", "));
            let more = self.coordinates.len() - some.len();
            if more > 0 {
                let _ = write!(shown, ", and {more} more numbers");
            }
        }
        if let Some(position) = &self.refers_to {
            shown = format!("refers to item {position}");
        }
        shown
    }

    /// The line of the item: its name and value.
    pub(super) fn line(&self) -> String {
        let shown = self.shown();
        let name = match (&self.name, &self.value_type) {
            (Some(name), _) => name.to_string(),
            (None, Some(value_type)) => value_type.clone(),
            (None, None) => String::new(),
        };
        match (name.is_empty(), shown.is_empty()) {
            (true, _) => shown,
            (false, true) => name,
            (false, false) => format!("{name}: {shown}"),
        }
    }
}
