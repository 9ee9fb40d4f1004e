//! Table E.1-1 of PS3.15, and the rows that this project adds, read from the data files of this crate.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use dicom_core::Tag;

use crate::options::{Profile, ProfileOption};

/// Source and edition of the table.
pub const TABLE_SOURCE: &str = "DICOM PS3.15 Table E.1-1, edition 2025 (extracted 2025-01-28)";

const STANDARD: &str = include_str!("../data/table_e1_1.tsv");
const SUPPLEMENT: &str = include_str!("../data/supplement.tsv");

/// Options in the order of the columns behind the action of the Basic Profile.
const COLUMNS: [ProfileOption; 10] = [
    ProfileOption::RetainSafePrivate,
    ProfileOption::RetainUids,
    ProfileOption::RetainDeviceIdentity,
    ProfileOption::RetainInstitutionIdentity,
    ProfileOption::RetainPatientCharacteristics,
    ProfileOption::RetainFullDates,
    ProfileOption::RetainModifiedDates,
    ProfileOption::CleanDescriptors,
    ProfileOption::CleanStructuredContent,
    ProfileOption::CleanGraphics,
];

/// What is done with an attribute.
///
/// Compound codes are resolved to the action that keeps the instance conformant whatever Type the attribute has in its
/// IOD: `X/Z` to [`Action::Empty`]; `X/D`, `Z/D` and `X/Z/D` to [`Action::Dummy`]; `X/Z/U*` to [`Action::NewUid`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// D: replace by a dummy value of the same VR.
    Dummy,
    /// Z: replace by a value of zero length.
    Empty,
    /// X: remove.
    Remove,
    /// K: keep; the items of a sequence are processed.
    Keep,
    /// C: clean, keeping the meaning.
    Clean,
    /// U: replace by the new UID of the same original UID; the items of a sequence are processed.
    NewUid,
}

impl Action {
    fn parse(code: &str) -> Option<Self> {
        Some(match code {
            "D" | "X/D" | "Z/D" | "X/Z/D" => Self::Dummy,
            "Z" | "X/Z" => Self::Empty,
            "X" => Self::Remove,
            "K" => Self::Keep,
            "C" => Self::Clean,
            "U" | "X/Z/U*" => Self::NewUid,
            _ => return None,
        })
    }
}

/// A row of the table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// Name of the attribute.
    pub name: &'static str,
    /// Action of the Basic Profile.
    pub basic: Action,
    options: Vec<(ProfileOption, Action)>,
}

impl Row {
    /// Returns the action under a profile. Where several options apply, cleaning has precedence over keeping.
    pub fn action(&self, profile: &Profile) -> Action {
        let mut chosen = None;
        for (option, action) in &self.options {
            if profile.has(*option) && chosen != Some(Action::Clean) {
                chosen = Some(*action);
            }
        }
        chosen.unwrap_or(self.basic)
    }
}

static TABLE: LazyLock<BTreeMap<Tag, Row>> = LazyLock::new(|| {
    let rows = STANDARD.lines().chain(SUPPLEMENT.lines());
    rows.filter_map(parse_row).collect()
});

/// Returns the row of an attribute; `None` where it has none. Private attributes, curves and overlays have rules
/// for whole groups instead.
pub fn row(tag: Tag) -> Option<&'static Row> {
    TABLE.get(&tag)
}

fn parse_row(line: &'static str) -> Option<(Tag, Row)> {
    let mut fields = line.split('\t');
    let tag = parse_tag(fields.next()?)?;
    let name = fields.next()?;
    let basic = Action::parse(fields.next()?)?;
    let options = COLUMNS.into_iter().zip(fields);
    let options = options.filter_map(|(option, code)| Some((option, Action::parse(code)?)));
    Some((tag, Row { name, basic, options: options.collect() }))
}

fn parse_tag(text: &str) -> Option<Tag> {
    let (group, element) = text.strip_prefix('(')?.strip_suffix(')')?.split_once(',')?;
    Some(Tag(u16::from_str_radix(group, 16).ok()?, u16::from_str_radix(element, 16).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Rows for whole groups, which [`crate::graphics`] and [`crate::private`] carry out.
    const PATTERNS: [&str; 4] =
        ["(50XX,XXXX)", "(60XX,4000)", "(60XX,3000)", "(GGGG,EEEE) WHERE GGGG IS ODD"];

    fn data_lines(file: &'static str) -> impl Iterator<Item = &'static str> {
        file.lines().filter(|line| line.starts_with('('))
    }

    #[test]
    fn every_row_of_the_standard_is_read() {
        let patterns: Vec<_> = data_lines(STANDARD)
            .filter(|line| parse_row(line).is_none())
            .map(|line| line.split('\t').next().unwrap())
            .collect();
        assert_eq!(patterns, PATTERNS);
        assert_eq!(data_lines(STANDARD).count(), 621);
        assert!(data_lines(SUPPLEMENT).all(|line| parse_row(line).is_some()));
        let all = data_lines(STANDARD).count() - PATTERNS.len() + data_lines(SUPPLEMENT).count();
        assert_eq!(TABLE.len(), all, "no attribute has two rows");
    }

    #[test]
    fn every_code_is_known_and_every_row_is_whole() {
        for line in data_lines(STANDARD).chain(data_lines(SUPPLEMENT)) {
            let fields: Vec<_> = line.split('\t').collect();
            assert_eq!(fields.len(), 3 + COLUMNS.len(), "{line}");
            for code in fields[2..].iter().filter(|code| !code.is_empty()) {
                assert!(Action::parse(code).is_some(), "{line}");
            }
        }
    }

    #[test]
    fn columns_are_in_the_order_of_the_options() {
        for file in [STANDARD, SUPPLEMENT] {
            let header = file.lines().find(|line| line.starts_with("tag\t")).unwrap();
            let columns: Vec<_> = header.split('\t').skip(3).collect();
            assert_eq!(
                columns,
                [
                    "safe_private",
                    "uids",
                    "device_identity",
                    "institution_identity",
                    "patient_characteristics",
                    "full_dates",
                    "modified_dates",
                    "clean_descriptors",
                    "clean_structured_content",
                    "clean_graphics"
                ]
            );
        }
    }

    #[test]
    fn cleaning_has_precedence_over_keeping() {
        // Date of Last Calibration: K under device identity, C under modified dates.
        let date = row(Tag(0x0018, 0x1200)).unwrap();
        let action = |options: &[&str]| date.action(&Profile::parse("basic", options).unwrap());
        assert_eq!(action(&[]), Action::Remove);
        assert_eq!(action(&["retain-device-identity"]), Action::Keep);
        assert_eq!(action(&["retain-device-identity", "retain-modified-dates"]), Action::Clean);
    }
}
