//! The tree that documents of changes share with the metadata document.

use std::collections::BTreeMap;

use dicom_core::{Tag, VR};
use healthimaging::{Error, Result, read_json};
use serde_json::{Map, Value};

use crate::document::levels::Level;
use crate::document::split::is_pixel_data;
use crate::document::{Document, dictionary};

/// Names that are never updated, wherever they stand.
const NEVER: [&str; 9] = [
    "SchemaVersion",
    "DatastoreID",
    "ImageSetID",
    "Checksum",
    "Width",
    "Height",
    "MinPixelValue",
    "MaxPixelValue",
    "FrameSizeInBytes",
];

/// A document of changes.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Tree {
    pub(super) patient: Vec<Change>,
    pub(super) study: Vec<Change>,
    pub(super) series: BTreeMap<String, SeriesNode>,
}

/// A series, by its UID.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct SeriesNode {
    pub(super) changes: Vec<Change>,
    pub(super) instances: BTreeMap<String, InstanceNode>,
    pub(super) extent: Extent,
}

/// An instance, by its UID.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct InstanceNode {
    pub(super) changes: Vec<Change>,
    pub(super) vrs: BTreeMap<String, VR>,
    pub(super) extent: Extent,
}

/// Meaning of a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Extent {
    /// `{}`: the whole series or instance.
    Whole,
    /// What is listed in it.
    #[default]
    Listed,
}

/// One attribute.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Change {
    /// The key as given.
    pub(super) key: String,
    /// Its tag; `None` when the key is neither a keyword nor eight hexadecimal digits.
    pub(super) tag: Option<Tag>,
    pub(super) value: Value,
}

/// Reads a document of changes called `what`.
pub(super) fn parse_tree(what: &str, json: &[u8]) -> Result<Tree> {
    let parsed: Value = read_json(what, json)?;
    let root = Node { what, place: "the document" };
    let mut members = root.members(parsed)?;
    check_version(what, members.remove("SchemaVersion").as_ref())?;
    let mut tree = Tree::default();
    for (name, value) in members {
        match name.as_str() {
            "Patient" => tree.patient = patient(what, value)?,
            "Study" => (tree.study, tree.series) = study(what, value)?,
            _ => return Err(root.unknown(&name, "SchemaVersion, Patient and Study")),
        }
    }
    Ok(tree)
}

fn check_version(what: &str, version: Option<&Value>) -> Result<()> {
    let known = match version {
        Some(Value::String(text)) => text == "1.1",
        Some(Value::Number(number)) => number.as_f64() == Some(1.1),
        _ => false,
    };
    if known {
        return Ok(());
    }
    Err(Error::validation(format!("{what} must have the SchemaVersion 1.1")))
}

fn patient(what: &str, value: Value) -> Result<Vec<Change>> {
    let node = Node { what, place: "Patient" };
    let mut changes = Vec::new();
    for (name, value) in node.members(value)? {
        match name.as_str() {
            "DICOM" => changes = node.changes(value, Level::Patient)?,
            _ => return Err(node.unknown(&name, "DICOM")),
        }
    }
    Ok(changes)
}

fn study(what: &str, value: Value) -> Result<(Vec<Change>, BTreeMap<String, SeriesNode>)> {
    let node = Node { what, place: "Study" };
    let (mut changes, mut series) = (Vec::new(), BTreeMap::new());
    for (name, value) in node.members(value)? {
        match name.as_str() {
            "DICOM" => changes = node.changes(value, Level::Study)?,
            "Series" => {
                let all = Node { what, place: "Series" };
                for (uid, value) in all.members(value)? {
                    series.insert(uid, series_node(what, value)?);
                }
            }
            _ => return Err(node.unknown(&name, "DICOM and Series")),
        }
    }
    Ok((changes, series))
}

fn series_node(what: &str, value: Value) -> Result<SeriesNode> {
    let node = Node { what, place: "a series" };
    let members = node.members(value)?;
    let mut read = SeriesNode { extent: extent(&members), ..SeriesNode::default() };
    for (name, value) in members {
        match name.as_str() {
            "DICOM" => read.changes = node.changes(value, Level::Series)?,
            "Instances" => {
                let all = Node { what, place: "Instances" };
                for (uid, value) in all.members(value)? {
                    read.instances.insert(uid, instance_node(what, value)?);
                }
            }
            _ => return Err(node.unknown(&name, "DICOM and Instances")),
        }
    }
    Ok(read)
}

fn instance_node(what: &str, value: Value) -> Result<InstanceNode> {
    let node = Node { what, place: "an instance" };
    let members = node.members(value)?;
    let mut read = InstanceNode { extent: extent(&members), ..InstanceNode::default() };
    for (name, value) in members {
        match name.as_str() {
            "DICOM" => read.changes = node.changes(value, Level::Instance)?,
            "DICOMVRs" => read.vrs = vrs(&node, value)?,
            _ => return Err(node.unknown(&name, "DICOM and DICOMVRs")),
        }
    }
    Ok(read)
}

fn extent(members: &Map<String, Value>) -> Extent {
    if members.is_empty() { Extent::Whole } else { Extent::Listed }
}

fn vrs(node: &Node<'_>, value: Value) -> Result<BTreeMap<String, VR>> {
    let mut vrs = BTreeMap::new();
    for (key, vr) in node.members(value)? {
        let tag = dictionary::tag(&key).filter(|tag| dictionary::keyword(*tag).is_none());
        let vr = vr.as_str().and_then(|vr| vr.parse::<VR>().ok());
        let (Some(tag), Some(vr)) = (tag, vr) else {
            return Err(Error::validation(format!(
                "{}: DICOMVRs must name tags of eight hexadecimal digits without a keyword, and a VR \
                 for each",
                node.what
            )));
        };
        vrs.insert(dictionary::hex(tag), vr);
    }
    Ok(vrs)
}

/// A place in the document, for messages.
struct Node<'a> {
    what: &'a str,
    place: &'a str,
}

impl Node<'_> {
    fn members(&self, value: Value) -> Result<Map<String, Value>> {
        if let Value::Object(members) = value {
            return Ok(members);
        }
        let Self { what, place } = self;
        Err(Error::validation(format!("{what}: {place} must be a JSON object")))
    }

    /// The name is not repeated: where a UID stands in the wrong place, it would be patient data.
    fn unknown(&self, name: &str, allowed: &str) -> Error {
        let Self { what, place } = self;
        let never = NEVER.contains(&name) || name == "ImageFrames" || name == "ChecksumType";
        if never || name == "StoredTransferSyntaxUID" {
            return Error::validation(format!("{what}: {name} cannot be changed"));
        }
        Error::validation(format!(
            "{what}: {place} may hold {allowed}, nothing else; Study is not keyed by its UID and \
             Series stands inside Study"
        ))
    }

    fn changes(&self, value: Value, level: Level) -> Result<Vec<Change>> {
        let what = self.what;
        let mut changes = Vec::new();
        for (key, value) in self.members(value)? {
            let tag = dictionary::tag(&key);
            if NEVER.contains(&key.as_str()) || tag.is_some_and(is_fixed) {
                return Err(Error::validation(format!("{what}: {key} cannot be changed")));
            }
            let own = tag.map(Level::of).filter(|own| *own != level);
            if let Some(own) = own {
                let (own, given) = (own.name(), level.name());
                let key = shown(&key);
                return Err(Error::validation(format!(
                    "{what}: {key} belongs to the {own} level, not to the {given} level"
                )));
            }
            if tag.is_some() && changes.iter().any(|other: &Change| other.tag == tag) {
                let key = shown(&key);
                return Err(Error::validation(format!("{what}: {key} is given twice")));
            }
            changes.push(Change { key, tag, value });
        }
        Ok(changes)
    }
}

/// Pixel data, and group 0002, which describes the file as it was received.
fn is_fixed(tag: Tag) -> bool {
    is_pixel_data(tag) || tag.group() == 0x0002
}

/// A key in a message: only if it is a keyword or a tag, since free text may be patient data.
pub(super) fn shown(key: &str) -> &str {
    if dictionary::tag(key).is_some() { key } else { "an attribute" }
}

impl Tree {
    pub(super) fn check_targets<I>(&self, document: &Document<I>) -> Result<()> {
        for (series_uid, node) in &self.series {
            let Some(series) = document.series.get(series_uid) else {
                return Err(Error::validation(NO_SERIES));
            };
            if node.instances.keys().any(|uid| !series.instances.contains_key(uid)) {
                return Err(Error::validation(NO_INSTANCE));
            }
        }
        Ok(())
    }
}

pub(super) const NO_SERIES: &str =
    "a series that the request names is not in the image set: its metadata lists those that are";
pub(super) const NO_INSTANCE: &str =
    "an instance that the request names is not in the image set: its metadata lists those that are";
