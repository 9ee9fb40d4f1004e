//! Differences of two metadata documents: attributes, instances, frames.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value};

use healthimaging::{MemoryBudget, Result};
use healthimaging_dicom::{InstanceText, Series};

use super::Version;
use crate::document::{self, Level};

/// Differences that are listed at most; equal ones of many instances are one.
const LISTED: usize = 5_000;

/// UIDs that are listed at most.
const UIDS: usize = 20;

/// Longest value that is shown, in bytes of JSON.
const LONGEST: usize = 300;

/// Members and attributes that follow from how a data store keeps frames, and how texts were encoded in the file: values of texts are
/// compared decoded, and samples by the checksums of frames.
const OF_STORAGE: [&str; 4] =
    ["ChecksumType", "PlanarConfiguration", "SpecificCharacterSet", "StoredTransferSyntaxUID"];

/// Group of file meta information (PS3.10 7.1), which describes the file that was stored.
const FILE_META: u16 = 0x0002;

/// What differs between two documents.
#[derive(Debug, Clone, Default, PartialEq, Serialize, JsonSchema)]
#[schemars(inline)]
pub struct Differences {
    /// Attributes that differ, from the patient level down.
    #[serde(skip)]
    pub attributes: Vec<Difference>,
    /// Attributes that differ and are not listed.
    #[serde(skip_serializing_if = "is_zero")]
    pub attributes_not_listed: usize,
    /// Instances in both.
    pub instances_in_both: usize,
    /// Instances only in the old one.
    pub instances_removed: usize,
    /// Instances only in the new one.
    pub instances_added: usize,
    /// SOP Instance UIDs of the first ones of each.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub removed: Vec<String>,
    /// SOP Instance UIDs of the first ones of each.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub added: Vec<String>,
    /// Frames of the instances in both, by number, whose checksum is equal.
    pub frames_equal: usize,
    /// Frames of the instances in both that differ, or that only one has.
    pub frames_different: usize,
    /// SOP Instance UIDs of the first instances with such frames.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub instances_with_different_frames: Vec<String>,
    /// Instances in both that differ in how they are stored: file meta information, transfer syntax. No difference of content.
    #[serde(skip_serializing_if = "is_zero")]
    pub instances_stored_differently: usize,
    /// The attributes in which those differ.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub stored_differently_in: BTreeSet<String>,
}

/// An attribute that differs.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[schemars(inline)]
pub struct Difference {
    /// Level at which it is.
    pub level: Level,
    /// UID of the series or, at the instance level, of the first instance.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub of: Option<String>,
    /// How many instances have this difference.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instances: Option<usize>,
    /// Keyword, or tag.
    pub attribute: String,
    /// Value in the old one; absent where it has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub old: Option<Value>,
    /// Value in the new one; absent where it has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub new: Option<Value>,
}

impl Differences {
    /// Whether nothing differs.
    pub fn is_empty(&self) -> bool {
        self.attributes.is_empty()
            && self.instances_removed + self.instances_added + self.frames_different == 0
    }
}

/// Compares two documents. Frames are compared by the checksums of their pixels, or of their bytes where they are kept as
/// received.
///
/// # Errors
/// `Service` if an instance is not in the form of a document.
pub async fn differences(old: &Version, new: &Version) -> Result<Differences> {
    let (old, new) = (Arc::clone(&old.document), Arc::clone(&new.document));
    let bytes = old.text().len() + new.text().len();
    // Instances are parsed two at a time.
    let lease = MemoryBudget::process().work(bytes as u64).await;
    document::beside_others(bytes, move || {
        let _lease = lease;
        let mut found = Found::default();
        let (old, new) = (old.levels(), new.levels());
        found.level(Level::Patient, None, &old.patient, &new.patient);
        found.level(Level::Study, None, &old.study, &new.study);
        let series: BTreeSet<&String> = old.series.keys().chain(new.series.keys()).collect();
        let nothing = Series { attributes: Map::new(), instances: BTreeMap::new() };
        for uid in series {
            let (old, new) = (old.series.get(uid), new.series.get(uid));
            let in_both = old.is_some() && new.is_some();
            let (old, new) = (old.unwrap_or(&nothing), new.unwrap_or(&nothing));
            let of_instances = found.instances(old, new)?;
            if in_both {
                found.series(uid, old, new, &of_instances);
            }
        }
        Ok(found.finish())
    })
    .await
}

/// Differences while they are found; those of instances by attribute and values.
#[derive(Default)]
struct Found {
    all: Differences,
    of_instances: BTreeMap<(String, String, String), Difference>,
}

impl Found {
    fn level(&mut self, level: Level, of: Option<&String>, old: &Object, new: &Object) {
        for (attribute, old, new) in differing(old, new) {
            self.attribute(level, of, attribute, (old, new));
        }
    }

    /// The Series level: without the values that instances have in both documents, whatever their level there.
    fn series(
        &mut self,
        uid: &String,
        old: &Series<InstanceText>,
        new: &Series<InstanceText>,
        of_instances: &OfInstances,
    ) {
        for (attribute, old, new) in differing(&old.attributes, &new.attributes) {
            if of_instances.count == 0 || of_instances.changed.contains(attribute) {
                self.attribute(Level::Series, Some(uid), attribute, (old, new));
            }
        }
    }

    fn attribute(
        &mut self,
        level: Level,
        of: Option<&String>,
        attribute: &str,
        (old, new): (Option<&Value>, Option<&Value>),
    ) {
        let (of, attribute) = (of.cloned(), attribute.to_owned());
        let (old, new) = (old.map(shown), new.map(shown));
        self.all.attributes.push(Difference { level, of, instances: None, attribute, old, new });
    }

    /// The instances of a series.
    fn instances(
        &mut self,
        old: &Series<InstanceText>,
        new: &Series<InstanceText>,
    ) -> Result<OfInstances> {
        let mut found = OfInstances::default();
        let above = (&old.attributes, &new.attributes);
        for (uid, one) in &old.instances {
            match new.instances.get(uid) {
                Some(other) => {
                    found.count += 1;
                    found.changed.extend(self.instance(uid, above, one, other)?);
                }
                None => add(uid, &mut self.all.instances_removed, &mut self.all.removed),
            }
        }
        for uid in new.instances.keys().filter(|uid| !old.instances.contains_key(*uid)) {
            add(uid, &mut self.all.instances_added, &mut self.all.added);
        }
        Ok(found)
    }

    /// One instance in both documents, with the attributes of its series in each. Returns those of the series whose values are
    /// different for it.
    fn instance(
        &mut self,
        uid: &str,
        (old_above, new_above): (&Object, &Object),
        old: &InstanceText,
        new: &InstanceText,
    ) -> Result<Vec<String>> {
        self.all.instances_in_both += 1;
        let (mut old, mut new): (Object, Object) = (old.parse()?, new.parse()?);
        let frames = |one: &mut Object| match one.shift_remove(FRAMES) {
            Some(Value::Array(frames)) => frames,
            _ => Vec::new(),
        };
        self.frames(uid, &frames(&mut old), &frames(&mut new));
        let attributes = |one: &mut Object| match one.shift_remove("DICOM") {
            Some(Value::Object(attributes)) => attributes,
            _ => Object::new(),
        };
        let (old_attributes, new_attributes) = (attributes(&mut old), attributes(&mut new));
        let mut is_stored_differently = false;
        // Beside the attributes are the transfer syntax of the frames and value representations.
        for (old, new) in [(&old_attributes, &new_attributes), (&old, &new)] {
            for (attribute, old, new) in differing(old, new) {
                let old_value = old.or_else(|| old_above.get(attribute));
                let new_value = new.or_else(|| new_above.get(attribute));
                if old_value == new_value {
                    // The same value at another level.
                } else if is_of_storage(attribute) || is_color_transform(attribute, [old, new]) {
                    is_stored_differently = true;
                    self.all.stored_differently_in.insert(attribute.to_owned());
                } else {
                    self.instance_attribute(uid, attribute, old, new);
                }
            }
        }
        self.all.instances_stored_differently += usize::from(is_stored_differently);
        let changed = differing(old_above, new_above).filter(|(attribute, old, new)| {
            let old = old_attributes.get(*attribute).or(*old);
            old != new_attributes.get(*attribute).or(*new)
        });
        Ok(changed.map(|(attribute, _, _)| attribute.to_owned()).collect())
    }

    fn instance_attribute(
        &mut self,
        uid: &str,
        attribute: &str,
        old: Option<&Value>,
        new: Option<&Value>,
    ) {
        let text = |value: Option<&Value>| value.map(Value::to_string).unwrap_or_default();
        let key = (attribute.to_owned(), text(old), text(new));
        if let Some(Difference { instances: Some(count), .. }) = self.of_instances.get_mut(&key) {
            *count += 1;
        } else if self.of_instances.len() < LISTED {
            let difference = Difference {
                level: Level::Instance,
                of: Some(uid.to_owned()),
                instances: Some(1),
                attribute: attribute.to_owned(),
                old: old.map(shown),
                new: new.map(shown),
            };
            self.of_instances.insert(key, difference);
        } else {
            self.all.attributes_not_listed += 1;
        }
    }

    fn frames(&mut self, uid: &str, old: &[Value], new: &[Value]) {
        let equal = old.iter().zip(new).filter(|(old, new)| checksum(old) == checksum(new)).count();
        let different = old.len().max(new.len()) - equal;
        self.all.frames_equal += equal;
        self.all.frames_different += different;
        if different > 0 && self.all.instances_with_different_frames.len() < UIDS {
            self.all.instances_with_different_frames.push(uid.to_owned());
        }
    }

    fn finish(self) -> Differences {
        let Self { mut all, of_instances } = self;
        all.attributes.extend(of_instances.into_values());
        all
    }
}

/// The instances of a series in both documents.
#[derive(Default)]
struct OfInstances {
    count: usize,
    /// Attributes of the Series level whose values are different for some of them.
    changed: BTreeSet<String>,
}

type Object = Map<String, Value>;

const FRAMES: &str = "ImageFrames";

/// Attributes of which only one object has a value, or that have different values, by name.
fn differing<'a>(
    old: &'a Object,
    new: &'a Object,
) -> impl Iterator<Item = (&'a str, Option<&'a Value>, Option<&'a Value>)> {
    let names: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
    names.into_iter().filter_map(|name| {
        let (old, new) = (old.get(name), new.get(name));
        (old != new).then_some((name.as_str(), old, new))
    })
}

/// A value, shortened if it is long.
fn shown(value: &Value) -> Value {
    let text = value.to_string();
    if text.len() <= LONGEST {
        return value.clone();
    }
    let start: String = text.chars().take(LONGEST / 2).collect();
    Value::String(format!("{start}… ({} bytes)", text.len()))
}

/// Whether an attribute says how an instance was received or is stored.
fn is_of_storage(attribute: &str) -> bool {
    OF_STORAGE.contains(&attribute)
        || document::tag_of(attribute).is_some_and(|tag| tag.group() == FILE_META)
}

/// Whether the Photometric Interpretation differs only by the reversible color transform of JPEG 2000 (PS3.5 8.2.4): which of
/// both it is follows from how the data store received the pixels, and decoded they are the same.
fn is_color_transform(attribute: &str, values: [Option<&Value>; 2]) -> bool {
    let is_one = |value: Option<&Value>| {
        value.and_then(Value::as_str).is_some_and(|text| ["RGB", "YBR_RCT"].contains(&text.trim()))
    };
    attribute == "PhotometricInterpretation" && values.into_iter().all(is_one)
}

fn add(uid: &str, count: &mut usize, listed: &mut Vec<String>) {
    *count += 1;
    if listed.len() < UIDS {
        listed.push(uid.to_owned());
    }
}

/// Checksum of a frame in its full resolution, which is the last one that is listed.
fn checksum(frame: &Value) -> Option<&Value> {
    let all = frame.get("PixelDataChecksumFromBaseToFullResolution")?.as_array()?;
    all.last()?.get("Checksum")
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
fn is_zero(count: &usize) -> bool {
    *count == 0
}
