//! The DICOM attributes by which image sets are found and summarized.
//!
//! [`ATTRIBUTES`] is the one list of them: a back end's index, the filters of `SearchImageSets`, the match
//! keys of QIDO-RS and the summaries that both return follow from it. [`Matching`] compares values.

mod condition;
mod matching;
mod table;

pub use condition::Condition;
pub use matching::Matching;
pub use table::ATTRIBUTES;

/// The object of the metadata document that holds an attribute (developer guide of AWS HealthImaging,
/// "Metadata normalization").
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum AttributeLevel {
    /// `Patient`.
    Patient,
    /// `Study`.
    Study,
    /// A series.
    Series,
    /// An instance.
    Instance,
}

/// The resources of QIDO-RS, whose results hold an attribute (`PS3.18 §10.6`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum QueryLevel {
    /// Studies.
    Study,
    /// Series.
    Series,
    /// Instances.
    Instance,
}

/// An attribute by which image sets are found or summarized.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Attribute {
    /// Keyword (`PS3.6 §6`), which is its key in the metadata document.
    pub keyword: &'static str,
    /// Group in the upper, element in the lower 16 bits.
    pub tag: u32,
    /// Value representation.
    pub vr: &'static str,
    /// Level of the metadata document that has it.
    pub level: AttributeLevel,
    /// Level of QIDO-RS results that have it.
    pub query_level: QueryLevel,
    /// How its values are compared.
    pub matching: Matching,
    /// Name in the filters and summaries of `SearchImageSets`, if it has one.
    pub wire_name: Option<&'static str>,
    /// Whether image sets are looked up by it, because few have the same value.
    pub is_key: bool,
    /// Whether results of QIDO-RS have it by default (`PS3.18 Tables 10.6.3-3` to `-5`).
    pub is_returned: bool,
    /// Maximum number of characters that the service takes; `None` if only the VR limits it (developer guide
    /// of AWS HealthImaging, "DICOM element constraints").
    pub longest: Option<usize>,
}

impl Attribute {
    /// Returns the attribute of a keyword, or of a tag in eight hexadecimal digits.
    ///
    /// ```
    /// use healthimaging::Attribute;
    ///
    /// assert_eq!(Attribute::named("PatientID"), Attribute::named("00100020"));
    /// assert_eq!(Attribute::named("NoKeyword"), None);
    /// ```
    pub fn named(name: &str) -> Option<&'static Self> {
        let tag = if name.len() == 8 { u32::from_str_radix(name, 16).ok() } else { None };
        ATTRIBUTES.iter().find(|one| one.keyword == name || Some(one.tag) == tag)
    }

    /// Whether the summary of an image set has it: it is a member of `DICOMTags`, or results of QIDO-RS
    /// for studies and series have it.
    pub const fn is_summarized(&self) -> bool {
        self.wire_name.is_some()
            || self.is_returned && !matches!(self.query_level, QueryLevel::Instance)
    }
}
