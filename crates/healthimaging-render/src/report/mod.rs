//! Reports and other instances that are read: structured reports, key object selections, presentation states, and the
//! description of encapsulated documents.
//!
//! All text in them is data of the file.

mod code;
mod content;
mod json;
mod presentation;
mod reference;
mod table;

use healthimaging::{Error, Result};
use serde::Serialize;

pub use code::Code;
pub use content::ContentItem;
use json::{DataSet, text};
pub use reference::Reference;
pub use table::Table;

/// Longest DICOM JSON of a report, in bytes.
pub const LONGEST_REPORT: u64 = 16 << 20;

/// Longest line of text in bytes, about: longer values continue in another one.
const LONGEST_LINE: usize = 2_000;

/// Kind of an instance that is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ReportKind {
    /// A structured report.
    StructuredReport,
    /// A structured report of radiation dose.
    RadiationDoseReport,
    /// A key object selection document.
    KeyObjectSelection,
    /// A presentation state.
    PresentationState,
    /// An encapsulated PDF document.
    EncapsulatedPdf,
    /// An encapsulated CDA document.
    EncapsulatedCda,
    /// An encapsulated STL model.
    EncapsulatedStl,
    /// An encapsulated OBJ model.
    EncapsulatedObj,
    /// An encapsulated MTL file of materials.
    EncapsulatedMtl,
}

impl ReportKind {
    /// Returns the kind of a SOP class (PS3.4 Table B.5-1); `None` for others.
    #[must_use]
    pub fn of_sop_class(uid: &str) -> Option<Self> {
        let uid = uid.trim_end_matches(['\0', ' ']);
        let storage = uid.strip_prefix("1.2.840.10008.5.1.4.1.1.")?;
        Some(match storage {
            "88.59" => Self::KeyObjectSelection,
            "88.67" | "88.68" | "88.73" | "88.74" | "88.75" | "88.76" => Self::RadiationDoseReport,
            "104.1" => Self::EncapsulatedPdf,
            "104.2" => Self::EncapsulatedCda,
            "104.3" => Self::EncapsulatedStl,
            "104.4" => Self::EncapsulatedObj,
            "104.5" => Self::EncapsulatedMtl,
            _ if storage.starts_with("88.") => Self::StructuredReport,
            _ if storage.starts_with("11.") => Self::PresentationState,
            _ => return None,
        })
    }

    /// Returns what it is, for a sentence.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::StructuredReport => "structured report",
            Self::RadiationDoseReport => "radiation dose report",
            Self::KeyObjectSelection => "key object selection",
            Self::PresentationState => "presentation state",
            Self::EncapsulatedPdf => "PDF document",
            Self::EncapsulatedCda => "CDA document",
            Self::EncapsulatedStl => "STL model",
            Self::EncapsulatedObj => "OBJ model",
            Self::EncapsulatedMtl => "MTL file of materials",
        }
    }
}

/// What the root of a report says of it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ReportHeader {
    /// What it is.
    pub kind: ReportKind,
    /// SOP Class UID.
    pub sop_class_uid: String,
    /// Document Title, or else the name of the root concept, of a presentation state its label.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// Content Date, or else Presentation Creation Date.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content_date: Option<String>,
    /// Content Time, or else Presentation Creation Time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content_time: Option<String>,
    /// Completion Flag (0040,A491).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub completion_flag: Option<String>,
    /// Verification Flag (0040,A493).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub verification_flag: Option<String>,
    /// Preliminary Flag (0040,A496).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub preliminary_flag: Option<String>,
    /// Who verified it, with organization and date.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub verifying_observers: Vec<String>,
    /// MIME Type of Encapsulated Document (0042,0012).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mime_type: Option<String>,
    /// Encapsulated Document Length (0042,0015), in bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub document_length: Option<u64>,
}

/// The document that an instance encapsulates.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EncapsulatedDocument {
    /// Its bytes are in the metadata, in base64.
    Inline(String),
    /// It is bulk data; the last part of its URI.
    BulkData(String),
}

/// An instance that is read.
#[derive(Debug, Clone, PartialEq)]
pub struct Report {
    /// What the root says of it.
    pub header: ReportHeader,
    /// Its text, indented by two spaces for each level.
    pub lines: Vec<String>,
    /// Items of its content tree.
    pub items: Vec<ContentItem>,
    /// Its measurements; of dose reports, the events and totals.
    pub tables: Vec<Table>,
    /// What a key object selection or presentation state refers to.
    pub references: Vec<Reference>,
    /// The document that it encapsulates.
    pub document: Option<EncapsulatedDocument>,
}

impl Report {
    /// Reads the first instance of an array of them in the DICOM JSON Model (PS3.18 Annex F).
    ///
    /// # Errors
    /// `NotSupported` when the instance is no report; `Validation` when it nests too deeply; `Internal` when the JSON
    /// is invalid.
    pub fn from_dicom_json(json: &[u8]) -> Result<Self> {
        let root = json::read(json)?;
        let sop_class_uid = text(&root, "00080016").unwrap_or_default();
        let kind = ReportKind::of_sop_class(&sop_class_uid).or_else(|| {
            let has_content = root.contains_key("0040A730");
            has_content.then_some(ReportKind::StructuredReport)
        });
        let Some(kind) = kind else {
            return Err(Error::new(
                healthimaging::ErrorKind::NotSupported,
                "the instance is no report, document, key object selection or presentation state",
            ));
        };
        let mut report = Self {
            header: header(&root, kind, sop_class_uid),
            lines: Vec::new(),
            items: Vec::new(),
            tables: Vec::new(),
            references: Vec::new(),
            document: document(&root),
        };
        match kind {
            ReportKind::StructuredReport
            | ReportKind::RadiationDoseReport
            | ReportKind::KeyObjectSelection => report.read_content(&root),
            ReportKind::PresentationState => {
                let (lines, references) = presentation::read(&root);
                for (level, line) in lines {
                    add_line(&mut report.lines, level, &line);
                }
                report.references = references;
            }
            _ => {}
        }
        Ok(report)
    }

    fn read_content(&mut self, root: &DataSet) {
        let evidence = reference::Evidence::of(root);
        self.items = content::tree(root, &evidence);
        for item in &self.items {
            add_line(&mut self.lines, item.level, &item.line());
        }
        if self.header.kind == ReportKind::RadiationDoseReport {
            self.tables = table::dose(&self.items);
        }
        if self.tables.is_empty() {
            self.tables = vec![table::measurements(&self.items)];
        }
        self.tables.retain(|table| !table.rows.is_empty());
        if self.header.kind == ReportKind::KeyObjectSelection {
            self.references = self.items.iter().filter_map(|item| item.reference.clone()).collect();
        }
    }
}

fn header(root: &DataSet, kind: ReportKind, sop_class_uid: String) -> ReportHeader {
    let first = |tags: &[&str]| tags.iter().find_map(|tag| text(root, tag));
    let observer = |one: &DataSet| {
        let parts = ["0040A075", "0040A027", "0040A030"].iter().filter_map(|tag| text(one, tag));
        parts.collect::<Vec<_>>().join(", ")
    };
    ReportHeader {
        kind,
        sop_class_uid,
        title: first(&["00420010"])
            .or_else(|| Code::of(root, "0040A043").map(|code| code.name().to_owned()))
            .or_else(|| first(&["00700080"])),
        content_date: first(&["00080023", "00700082"]),
        content_time: first(&["00080033", "00700083"]),
        completion_flag: first(&["0040A491"]),
        verification_flag: first(&["0040A493"]),
        preliminary_flag: first(&["0040A496"]),
        verifying_observers: json::items(root, "0040A073").map(observer).collect(),
        mime_type: first(&["00420012"]),
        document_length: first(&["00420015"]).and_then(|length| length.parse().ok()),
    }
}

fn document(root: &DataSet) -> Option<EncapsulatedDocument> {
    let attribute = root.get("00420011")?;
    let member = |name: &str| attribute.get(name).and_then(serde_json::Value::as_str);
    if let Some(base64) = member("InlineBinary") {
        return Some(EncapsulatedDocument::Inline(base64.to_owned()));
    }
    let uri = member("BulkDataURI")?;
    let last = uri.trim_end_matches('/').rsplit('/').next()?;
    Some(EncapsulatedDocument::BulkData(last.to_owned()))
}

/// Adds a line; further lines of its text, and what is too long for one, are marked as continuations.
fn add_line(lines: &mut Vec<String>, level: usize, text: &str) {
    let indent = "  ".repeat(level);
    let mut is_first = true;
    for part in text.split(['\n', '\r', '\u{c}', '\u{85}', '\u{2028}', '\u{2029}']) {
        let mut rest = part.trim_end();
        if rest.is_empty() {
            continue;
        }
        while !rest.is_empty() {
            let end = rest.floor_char_boundary(LONGEST_LINE);
            let (now, then) = rest.split_at(end);
            lines.push(if is_first {
                format!("{indent}{now}")
            } else {
                format!("{indent}  | {now}")
            });
            (rest, is_first) = (then, false);
        }
    }
}
