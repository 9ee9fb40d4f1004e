//! What a call does to the data; of an update that follows from the request.

use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use crate::error::{Error, Result};
use crate::model::{MetadataUpdates, UpdateImageSetMetadataRequest};

/// What a call does to the data; annotations, layers and confirmation follow from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Effect {
    /// Changes nothing.
    Reads,
    /// Adds or changes, and loses nothing: older versions stay.
    Writes,
    /// Takes something away.
    Destroys,
}

impl Effect {
    /// Returns the word for messages.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Reads => "reads",
            Self::Writes => "writes",
            Self::Destroys => "destroys",
        }
    }
}

impl UpdateImageSetMetadataRequest {
    /// Returns the effect of this update, as [`MetadataUpdates::effect`].
    ///
    /// # Errors
    ///
    /// As [`MetadataUpdates::effect`].
    pub fn effect(&self) -> Result<Effect> {
        self.updates.effect()
    }
}

impl MetadataUpdates {
    /// Returns the effect of an update: [`Effect::Destroys`] if it removes instances or series, or reverts to an
    /// older version; [`Effect::Writes`] if it only sets or removes attributes.
    ///
    /// Every member of the documents counts, also where a key is repeated, because back ends may differ in
    /// which one they read.
    ///
    /// # Errors
    ///
    /// `Validation` if a document is not a JSON object: its effect is unknown.
    pub fn effect(&self) -> Result<Effect> {
        let removable = match self {
            Self::RevertToVersion(_) => return Ok(Effect::Destroys),
            Self::DicomUpdates { removable_attributes: None, .. } => None,
            Self::DicomUpdates { removable_attributes: Some(document), .. } => {
                Some(Node::read("removableAttributes", document)?)
            }
        };
        let removes = removable.is_some_and(|document| {
            let series = document.all(&["Study", "Series"]);
            series.into_iter().flat_map(Node::values).any(Node::removes_series)
        });
        Ok(if removes { Effect::Destroys } else { Effect::Writes })
    }

    /// Whether the update sets or removes the Patient ID (0010,0020) or the Study Instance UID (0020,000D),
    /// which decide whose images these are.
    ///
    /// # Errors
    ///
    /// As [`Self::effect`].
    pub fn moves_images(&self) -> Result<bool> {
        let Self::DicomUpdates { removable_attributes, updatable_attributes } = self else {
            return Ok(false);
        };
        for (name, document) in [
            ("updatableAttributes", updatable_attributes),
            ("removableAttributes", removable_attributes),
        ] {
            let Some(document) = document else { continue };
            let document = Node::read(name, document)?;
            let names = |level, keyword: &str, tag: &str| {
                let levels = document.all(&[level, "DICOM"]);
                let mut members = levels.into_iter().flat_map(Node::members);
                members.any(|(key, _)| key == keyword || key.eq_ignore_ascii_case(tag))
            };
            if names("Patient", "PatientID", "00100020")
                || names("Study", "StudyInstanceUID", "0020000D")
            {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// The objects of a document, with every member, also those of the same name.
#[derive(Debug)]
enum Node {
    Object(Vec<(String, Node)>),
    Other,
}

impl Node {
    fn read(name: &str, document: &[u8]) -> Result<Self> {
        match serde_json::from_slice(document) {
            Ok(object @ Self::Object(_)) => Ok(object),
            // The reader's own words may quote the document.
            Ok(Self::Other) | Err(_) => {
                Err(Error::validation(format!("{name} must be a JSON object")))
            }
        }
    }

    fn members(&self) -> impl Iterator<Item = (&str, &Self)> {
        let members = match self {
            Self::Object(members) => members.as_slice(),
            Self::Other => &[],
        };
        members.iter().map(|(name, node)| (name.as_str(), node))
    }

    fn values(&self) -> impl Iterator<Item = &Self> {
        self.members().map(|(_, node)| node)
    }

    fn named(&self, wanted: &str) -> impl Iterator<Item = &Self> {
        self.members().filter(move |(name, _)| *name == wanted).map(|(_, node)| node)
    }

    /// All nodes at a path.
    fn all(&self, path: &[&str]) -> Vec<&Self> {
        path.iter().fold(vec![self], |nodes, name| {
            nodes.into_iter().flat_map(|node| node.named(name)).collect()
        })
    }

    /// Whether naming a series like this removes it, or instances of it: all but naming attributes.
    fn removes_series(&self) -> bool {
        self.removes(|name, node| match name {
            "DICOM" => !node.is_empty(),
            "Instances" => !node.is_empty() && !node.values().any(Self::removes_instance),
            _ => false,
        })
    }

    fn removes_instance(&self) -> bool {
        self.removes(|name, node| matches!(name, "DICOM" | "DICOMVRs") && !node.is_empty())
    }

    /// A series or an instance stays if it has members, all of which name attributes.
    fn removes(&self, names_attributes: impl Fn(&str, &Self) -> bool) -> bool {
        self.is_empty() || !self.members().all(|(name, node)| names_attributes(name, node))
    }

    fn is_empty(&self) -> bool {
        self.members().next().is_none()
    }
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(source: D) -> Result<Self, D::Error> {
        source.deserialize_any(NodeVisitor)
    }
}

struct NodeVisitor;

impl<'de> Visitor<'de> for NodeVisitor {
    type Value = Node;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Node, A::Error> {
        let mut members = Vec::new();
        while let Some(member) = map.next_entry()? {
            members.push(member);
        }
        Ok(Node::Object(members))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Node, A::Error> {
        while items.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Node::Other)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Node, E> {
        Ok(Node::Other)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Node, E> {
        Ok(Node::Other)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Node, E> {
        Ok(Node::Other)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Node, E> {
        Ok(Node::Other)
    }

    fn visit_str<E>(self, _: &str) -> Result<Node, E> {
        Ok(Node::Other)
    }

    fn visit_unit<E>(self) -> Result<Node, E> {
        Ok(Node::Other)
    }
}
