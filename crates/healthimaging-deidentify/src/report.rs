//! What was done, by attribute: tags, keywords and counts, never values.

use std::collections::BTreeMap;

use dicom_core::Tag;
use dicom_core::dictionary::DataDictionary;
use dicom_dictionary_std::StandardDataDictionary;
use serde::{Deserialize, Serialize};

use crate::pixels::PixelDecision;

/// What became of an attribute.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Removed.
    Removed,
    /// Its value was removed.
    Emptied,
    /// Replaced by a dummy value or a pseudonym.
    Replaced,
    /// Replaced by a new UID.
    NewUid,
    /// Moved by the number of days of the patient.
    DateShifted,
    /// Examined and, where it named a person, reworded.
    Cleaned,
    /// Kept, because an option says so.
    Kept,
    /// Set, because the profile requires it.
    Set,
}

/// An attribute in a report.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AttributeReport {
    /// Tag, such as `(0010,0010)`. Private attributes are counted by group, as `(0029,xxxx)`, curves and overlays as
    /// `(50xx,xxxx)` and `(60xx,xxxx)`.
    pub tag: String,
    /// Keyword, such as `PatientName`; absent where the dictionary has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keyword: Option<&'static str>,
    /// What was done.
    pub outcome: Outcome,
    /// How often, nested data sets included.
    pub count: u64,
}

/// Report of one instance, or the sum of several.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Report {
    /// Names of the options in force.
    pub options: Vec<&'static str>,
    /// Instances that this report covers.
    pub instances: u64,
    /// Instances with pixels or documents that are held back.
    pub held_back: u64,
    /// Instances with pixels to blank.
    pub blanked: u64,
    counts: BTreeMap<(Subject, Outcome), u64>,
}

/// What a line is about. Few distinct ones exist, so a report stays small whatever a file holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Subject {
    Standard(Tag),
    Unknown(u16),
    Curve,
    Overlay,
    Private(u16),
}

impl Subject {
    fn of(tag: Tag) -> Self {
        let group = tag.group();
        match group {
            _ if group % 2 == 1 => Self::Private(group),
            0x5000..=0x50FF => Self::Curve,
            0x6000..=0x60FF => Self::Overlay,
            _ if StandardDataDictionary.by_tag(tag).is_some() || crate::row(tag).is_some() => {
                Self::Standard(tag)
            }
            _ => Self::Unknown(group),
        }
    }
}

impl Report {
    pub(crate) fn note(&mut self, tag: Tag, outcome: Outcome) {
        *self.counts.entry((Subject::of(tag), outcome)).or_default() += 1;
    }

    pub(crate) fn note_pixels(&mut self, decision: &PixelDecision) {
        match decision {
            PixelDecision::Hold(_) => self.held_back += 1,
            PixelDecision::Blank(_) => self.blanked += 1,
            PixelDecision::Absent | PixelDecision::Pass => {}
        }
    }

    /// Adds another report, for a summary of many instances. The options are those of the first.
    pub fn add(&mut self, other: &Self) {
        if self.options.is_empty() {
            self.options.clone_from(&other.options);
        }
        self.instances += other.instances;
        self.held_back += other.held_back;
        self.blanked += other.blanked;
        for (key, count) in &other.counts {
            *self.counts.entry(*key).or_default() += count;
        }
    }

    /// Returns the attributes, in the order of their tags.
    pub fn attributes(&self) -> Vec<AttributeReport> {
        let lines = self.counts.iter().map(|((subject, outcome), count)| {
            let (tag, keyword) = match subject {
                Subject::Standard(tag) => {
                    let entry = StandardDataDictionary.by_tag(*tag);
                    let tag = format!("({:04X},{:04X})", tag.group(), tag.element());
                    (tag, entry.map(|entry| entry.alias))
                }
                Subject::Unknown(group) | Subject::Private(group) => {
                    (format!("({group:04X},xxxx)"), None)
                }
                Subject::Curve => ("(50xx,xxxx)".to_owned(), None),
                Subject::Overlay => ("(60xx,xxxx)".to_owned(), None),
            };
            AttributeReport { tag, keyword, outcome: *outcome, count: *count }
        });
        lines.collect()
    }
}

impl Serialize for Report {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use serde::ser::SerializeStruct as _;
        let mut map = serializer.serialize_struct("Report", 7)?;
        map.serialize_field("profile", "basic")?;
        map.serialize_field("options", &self.options)?;
        map.serialize_field("table", crate::TABLE_SOURCE)?;
        map.serialize_field("instances", &self.instances)?;
        map.serialize_field("held_back", &self.held_back)?;
        map.serialize_field("blanked", &self.blanked)?;
        map.serialize_field("attributes", &self.attributes())?;
        map.end()
    }
}
