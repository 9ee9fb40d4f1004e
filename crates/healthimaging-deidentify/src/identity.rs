//! What identifies the people of a data set, and texts without it.
//!
//! Rules cannot prove that free text is clean. Cleaning replaces what the data set itself says about people (names,
//! identifiers, institutions), and what has the form of a date, number, address or UID; README.md says so.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::LazyLock;

use aho_corasick::AhoCorasick;
use dicom_core::{Tag, VR};
use dicom_dictionary_std::tags;
use healthimaging_dicom::{DataSet, Value};
use regex::Regex;

use crate::options::Profile;
use crate::table::{Action, row};

/// What stands for text that was removed.
const MASK: &str = "***";
/// Names shorter than this are found as whole words only.
const LONG: usize = 6;
/// A data set that names more is not cleaned but replaced: no person has so many names.
const MOST_NAMES: usize = 2000;
const LONGEST_NAME: usize = 64;
/// Nested deeper, data sets are removed, so their names need not be known.
pub(crate) const MAX_DEPTH: usize = 128;

/// Attributes of the patient and the order, whose values are also looked for in attributes without an action.
const OF_PATIENT: [Tag; 10] = [
    tags::PATIENT_NAME,
    tags::PATIENT_ID,
    Tag(0x0010, 0x1000), // Other Patient IDs, retired
    tags::OTHER_PATIENT_NAMES,
    tags::PATIENT_BIRTH_NAME,
    tags::PATIENT_MOTHER_BIRTH_NAME,
    Tag(0x0010, 0x1090), // Medical Record Locator, retired
    tags::ACCESSION_NUMBER,
    tags::ADMISSION_ID,
    tags::REFERRING_PHYSICIAN_NAME,
];

/// Names and identifiers of a data set.
#[derive(Debug)]
pub(crate) struct Identity {
    /// All of them; `None` when there are too many to clean a text.
    names: Option<AhoCorasick>,
    /// The long ones of the patient.
    of_patient: Option<AhoCorasick>,
}

#[derive(Debug, Default)]
struct Found {
    names: BTreeSet<String>,
    of_patient: BTreeSet<String>,
    overflow: bool,
}

impl Identity {
    /// Collects the values of a data set and its items that a profile does not retain.
    pub(crate) fn of(data_set: &DataSet, profile: &Profile) -> Self {
        let mut found = Found::default();
        found.collect(data_set, profile, 0);
        Self::new(&found)
    }

    /// Collects values that are not in a data set.
    pub(crate) fn of_values<'a>(
        values: impl IntoIterator<Item = (Tag, VR, &'a str)>,
        profile: &Profile,
    ) -> Self {
        let mut found = Found::default();
        for (tag, vr, text) in values {
            found.element(tag, vr, text, profile);
        }
        Self::new(&found)
    }

    fn new(found: &Found) -> Self {
        let build = |names: &BTreeSet<String>| {
            AhoCorasick::builder().ascii_case_insensitive(true).build(names).ok()
        };
        let names = if found.overflow { None } else { build(&found.names) };
        Self { names, of_patient: build(&found.of_patient) }
    }

    /// Cleans a text of a VR; `None` when it has to be replaced as a whole.
    pub(crate) fn clean<'a>(&self, vr: VR, text: &'a str) -> Option<Cow<'a, str>> {
        let names = self.names.as_ref()?;
        let mut ranges = matches(names, text);
        for pattern in PATTERNS.iter() {
            ranges.extend(pattern.find_iter(text).map(|found| found.range()));
        }
        ranges.extend(telephone_numbers(text));
        let cleaned = masked(text, ranges);
        Some(match cleaned {
            Cow::Owned(text) => Cow::Owned(shortened(vr, text)),
            same @ Cow::Borrowed(_) => same,
        })
    }

    /// Returns a text of an attribute without an action, without the long names of the patient.
    pub(crate) fn scrub<'a>(&self, text: &'a str) -> Cow<'a, str> {
        match &self.of_patient {
            Some(names) => masked(text, matches(names, text)),
            None => Cow::Borrowed(text),
        }
    }

    /// Reports whether bytes hold a long name of the patient.
    pub(crate) fn is_in(&self, bytes: &[u8]) -> bool {
        self.of_patient.as_ref().is_some_and(|names| names.is_match(bytes))
    }
}

impl Found {
    fn collect(&mut self, data_set: &DataSet, profile: &Profile, depth: usize) {
        if depth > MAX_DEPTH {
            return;
        }
        for (tag, element) in &data_set.elements {
            match &element.value {
                Value::Items(items) => {
                    for item in items {
                        self.collect(item, profile, depth + 1);
                    }
                }
                Value::Text(text) => self.element(*tag, element.vr, text, profile),
                _ => {}
            }
        }
    }

    fn element(&mut self, tag: Tag, vr: VR, text: &str, profile: &Profile) {
        let is_name = vr == VR::PN;
        let is_retained = || {
            let action = row(tag).map(|row| row.action(profile));
            matches!(action, None | Some(Action::Keep | Action::Clean))
        };
        let is_label = matches!(vr, VR::LO | VR::SH | VR::AE | VR::UC);
        let of_patient = is_name || OF_PATIENT.contains(&tag);
        if !of_patient && (!is_label || is_retained()) {
            return;
        }
        for value in text.split('\\') {
            self.add(value, of_patient);
            // The words of an identifier are often those of a project or an organ.
            let is_part = |part: &&str| is_name || part.bytes().any(|byte| byte.is_ascii_digit());
            if of_patient {
                for part in parts_of_name(value).filter(is_part) {
                    self.add(part, of_patient);
                }
                // An identifier is also written without its separators.
                let joined: String =
                    value.chars().filter(|letter| letter.is_alphanumeric()).collect();
                if !is_name && joined.len() < value.len() && is_part(&joined.as_str()) {
                    self.add(&joined, of_patient);
                }
            }
        }
    }

    fn add(&mut self, name: &str, of_patient: bool) {
        let name = name.trim_matches(|letter: char| !letter.is_alphanumeric());
        let letters = name.chars().count();
        if letters < 2 || letters < 3 && !name.chars().all(char::is_alphabetic) {
            return;
        }
        // A longer name is found by its start.
        let name: String = name.chars().take(LONGEST_NAME).collect();
        if self.names.len() >= MOST_NAMES {
            self.overflow = true;
            return;
        }
        // The search ignores the case of ASCII only.
        for form in [name.to_uppercase(), name.to_lowercase(), name] {
            if of_patient && letters >= LONG {
                self.of_patient.insert(form.clone());
            }
            self.names.insert(form);
        }
    }
}

/// The words of a name, without prefix and suffix (`PS3.5 §6.2.1`): titles are everywhere.
fn parts_of_name(name: &str) -> impl Iterator<Item = &str> {
    let components = name.split('=').flat_map(|group| group.split('^').take(3));
    components.flat_map(|component| component.split([' ', ',', '_', '-', '.']))
}

/// Where names are: long ones anywhere, short ones as whole words.
fn matches(names: &AhoCorasick, text: &str) -> Vec<Range<usize>> {
    let is_word_end = |letter: Option<char>| !letter.is_some_and(char::is_alphanumeric);
    let found = names.find_overlapping_iter(text).map(|found| found.range());
    found
        .filter(|range| {
            let name = text.get(range.clone()).unwrap_or_default();
            name.chars().count() >= LONG
                || is_word_end(
                    text.get(..range.start).and_then(|before| before.chars().next_back()),
                ) && is_word_end(text.get(range.end..).and_then(|after| after.chars().next()))
        })
        .collect()
}

fn masked(text: &str, mut ranges: Vec<Range<usize>>) -> Cow<'_, str> {
    if ranges.is_empty() {
        return Cow::Borrowed(text);
    }
    ranges.sort_by_key(|range| (range.start, range.end));
    let mut cleaned = String::with_capacity(text.len());
    let mut done = 0;
    for range in ranges {
        if range.start >= done {
            cleaned.push_str(text.get(done..range.start).unwrap_or_default());
            cleaned.push_str(MASK);
        }
        done = done.max(range.end);
    }
    cleaned.push_str(text.get(done..).unwrap_or_default());
    Cow::Owned(cleaned)
}

/// Cuts each value to the length that its VR allows: a mask may be longer than what it replaces.
fn shortened(vr: VR, text: String) -> String {
    let most = match vr {
        VR::SH | VR::AE | VR::CS => 16,
        VR::LO | VR::PN => 64,
        _ => return text,
    };
    let values = text.split('\\').map(|value| value.chars().take(most).collect::<String>());
    values.collect::<Vec<_>>().join("\\")
}

static PATTERNS: LazyLock<Vec<Regex>> = LazyLock::new(|| {
    let months = "(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*";
    let patterns = [
        // UIDs, and IP addresses.
        r"[0-9]+(?:\.[0-9]+){3,}".to_owned(),
        // Dates.
        r"\b[0-9]{4}[-./][0-9]{1,2}[-./][0-9]{1,2}\b".to_owned(),
        r"\b[0-9]{1,2}[-./][0-9]{1,2}[-./](?:[0-9]{4}|[0-9]{2})\b".to_owned(),
        format!(r"(?i)\b[0-9]{{1,2}}(?:st|nd|rd|th)?[-. ]{{0,2}}{months}[-., ]{{0,2}}(?:[0-9]{{4}}|[0-9]{{2}})\b"),
        format!(r"(?i)\b{months}[-. ]{{0,2}}[0-9]{{1,2}}(?:st|nd|rd|th)?[-., ]{{1,2}}[0-9]{{4}}\b"),
        format!(r"(?i)\b{months}[-., ]{{1,2}}[0-9]{{4}}\b"),
        // Numbers of patients, orders and telephones, and dates without separators.
        r"[0-9]{5,}".to_owned(),
        // Addresses.
        r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+".to_owned(),
        r"(?i)\b[a-z][a-z0-9+.-]{1,10}://\S+".to_owned(),
        // People with a title.
        r"\b(?:Dr|DR|Prof|PROF|Mr|Mrs|Ms|Miss|Herr|Frau|Dott|Mme|Sr|Sra)\.?[ \t]+(?:(?:Dr|med|Prof)\.?[ \t]+)*\p{Lu}[\p{L}'’.-]*(?:[ \t]+\p{Lu}[\p{L}'’.-]*){0,3}".to_owned(),
        // Ages.
        r"(?i)\b[0-9]{1,3}[ -]?(?:y/?o|yrs?|years?)(?:[ -]?old)?\b".to_owned(),
    ];
    patterns.iter().filter_map(|pattern| Regex::new(pattern).ok()).collect()
});

static GROUPED: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r"\+?\(?[0-9]+\)?(?:[ ./()-]{1,2}[0-9]+)+").ok());

/// Digits in groups, seven or more in all.
fn telephone_numbers(text: &str) -> Vec<Range<usize>> {
    let Some(grouped) = GROUPED.as_ref() else { return Vec::new() };
    let is_long = |found: &regex::Match<'_>| {
        let has_decimals = found.as_str().contains('.');
        let digits = found.as_str().bytes().filter(u8::is_ascii_digit).count();
        digits >= 7 && !has_decimals
    };
    grouped.find_iter(text).filter(is_long).map(|found| found.range()).collect()
}

#[cfg(test)]
mod tests {
    use healthimaging_dicom::Element;

    use super::*;

    fn identity() -> Identity {
        let text = |vr, text: &str| Element { vr, value: Value::Text(text.to_owned()) };
        let mut data_set = DataSet::default();
        data_set.elements.insert(tags::PATIENT_NAME, text(VR::PN, "Müller^Li^Ann^Dr=山田^太郎"));
        data_set.elements.insert(tags::PATIENT_ID, text(VR::LO, "MRN-4711"));
        data_set.elements.insert(tags::INSTITUTION_NAME, text(VR::LO, "St. Elsewhere"));
        Identity::of(&data_set, &Profile::default())
    }

    #[test]
    fn known_names_are_masked() {
        let clean = |text: &str| identity().clean(VR::LT, text).unwrap().into_owned();
        assert_eq!(clean("CT of MÜLLER, Li"), "CT of ***, ***");
        assert_eq!(clean("xmüllerx listed mrn-4711"), "x***x listed ***");
        assert_eq!(clean("at st. elsewhere: 太郎"), "at ***: ***");
        // The identifier without its separator, or with another one.
        assert_eq!(clean("scan of MRN4711, mrn 4711"), "scan of ***, mrn ***");
        assert_eq!(clean("CT THORAX/ABD 5.0 B30f, 120 kV"), "CT THORAX/ABD 5.0 B30f, 120 kV");
    }

    #[test]
    fn what_looks_like_a_date_number_or_address_is_masked() {
        let clean = |text: &str| identity().clean(VR::LT, text).unwrap().into_owned();
        for text in [
            "2004-01-19",
            "19.1.2004",
            "1/19/04",
            "20040119",
            "19 Jan 2004",
            "January 19, 2004",
            "Jan 2004",
            "1.2.840.113619.2.1",
            "a.b@example.org",
            "https://pacs/x?y",
            "0123456",
            "+49 (0)30 123-456",
            "Dr. Anna Schmidt",
            "Dr Schmidt",
            "45 y/o",
            "63-year-old",
        ] {
            assert_eq!(clean(&format!("x {text} y")), "x *** y", "{text}");
        }
        for text in ["T1 TSE 0.5 mm", "3.0 x 3.0 x 5.0", "MR 1.5T", "10 20 30", "may enhance"] {
            assert_eq!(clean(text), text);
        }
    }

    #[test]
    fn words_of_an_identifier_are_no_names() {
        let mut data_set = DataSet::default();
        let value = Value::Text("STUDY-PROSTATE-01-0001234".to_owned());
        data_set.elements.insert(tags::PATIENT_ID, Element { vr: VR::LO, value });
        let identity = Identity::of(&data_set, &Profile::default());
        assert_eq!(identity.scrub("PROSTATE"), "PROSTATE");
        assert_eq!(identity.scrub("no 0001234, study-prostate-01-0001234"), "no ***, ***");
    }

    #[test]
    fn attributes_without_an_action_lose_long_names_only() {
        let identity = identity();
        assert_eq!(identity.scrub("of Müller, Li, 20040119"), "of ***, Li, 20040119");
        assert!(identity.is_in(b"\0\0mrn-4711\0"));
        assert!(!identity.is_in(b"Li"));
    }

    #[test]
    fn a_masked_value_fits_its_vr() {
        let text = "Li Li Li Li Li Li";
        assert!(identity().clean(VR::SH, text).unwrap().chars().count() <= 16);
    }

    #[test]
    fn too_many_names_are_not_cleaned() {
        let names = (0..MOST_NAMES).map(|number| format!("Name{number}")).collect::<Vec<_>>();
        let mut data_set = DataSet::default();
        let element = Element { vr: VR::PN, value: Value::Text(names.join("\\")) };
        data_set.elements.insert(tags::OTHER_PATIENT_NAMES, element);
        assert!(Identity::of(&data_set, &Profile::default()).clean(VR::LO, "text").is_none());
    }
}
