//! What image sets, studies and series are found by and summarized with.

use std::collections::{BTreeMap, BTreeSet};

use healthimaging::{ATTRIBUTES, Attribute, AttributeLevel, Matching, QueryLevel};
use serde_json::Value;

use super::index::{count, text};
use super::{Attributes, Document, IndexAttributes};

impl Document {
    /// What searches for image sets, studies and series look at.
    #[must_use]
    pub fn index_attributes(&self) -> IndexAttributes {
        let mut index = IndexAttributes {
            instance_count: count(self.instances().count()),
            frame_count: count(self.instances().map(|found| found.frames.len()).sum()),
            ..IndexAttributes::default()
        };
        let of_sets = |attribute: &&Attribute| attribute.query_level != QueryLevel::Instance;
        for attribute in ATTRIBUTES.iter().filter(of_sets) {
            let key = attribute.keyword;
            let at_level = self.of_level(attribute.level).filter_map(|level| level.get(key));
            let own = self.instances().filter_map(|instance| instance.attributes.get(key));
            for value in at_level.chain(own) {
                index.add_value(attribute, value);
            }
            if attribute.is_summarized() {
                let mut shown: Box<dyn Iterator<Item = &Attributes>> = match attribute.level {
                    AttributeLevel::Instance => {
                        Box::new(self.instances().map(|instance| &instance.attributes))
                    }
                    level => Box::new(self.of_level(level)),
                };
                if let Some(value) = shown.find_map(|attributes| text(attributes, key)) {
                    index.summary.insert(key.to_owned(), value.to_owned());
                }
            }
        }
        index
    }

    /// The objects of a level above the instances.
    fn of_level(&self, level: AttributeLevel) -> impl Iterator<Item = &Attributes> {
        let (one, series) = match level {
            AttributeLevel::Patient => (Some(&self.patient), None),
            AttributeLevel::Study => (Some(&self.study), None),
            AttributeLevel::Series => (None, Some(self.series.values())),
            AttributeLevel::Instance => (None, None),
        };
        one.into_iter().chain(series.into_iter().flatten().map(|series| &series.attributes))
    }
}

impl IndexAttributes {
    /// Adds the forms in which a value of the document is compared.
    pub fn add_value(&mut self, attribute: &Attribute, value: &Value) {
        match value {
            Value::Array(values) => values.iter().for_each(|one| self.add_value(attribute, one)),
            Value::String(text) => self.add_text(attribute, text),
            Value::Number(number) => self.add_text(attribute, &number.to_string()),
            Value::Null | Value::Bool(_) | Value::Object(_) => {}
        }
    }

    fn add_text(&mut self, attribute: &Attribute, text: &str) {
        let forms = attribute.matching.stored(text).into_iter();
        self.values.extend(forms.map(|form| (attribute.tag, form)));
    }

    /// `StudyInstanceUID` of the study level.
    #[must_use]
    pub fn study_instance_uid(&self) -> Option<&str> {
        self.summary.get("StudyInstanceUID").map(String::as_str)
    }

    /// `SeriesNumber` of the series level as a number, where it is one.
    #[must_use]
    pub fn series_number(&self) -> Option<i32> {
        let forms = Matching::Number.stored(self.summary.get("SeriesNumber")?);
        forms.first()?.parse().ok()
    }

    /// Date and time of the study as one text that sorts: `YYYYMMDDHHmmss.FFFFFF`, missing time parts as
    /// zeros; empty without a date.
    #[must_use]
    pub fn study_datetime(&self) -> String {
        let form = |key: &str, matching: Matching| {
            let text = self.summary.get(key)?;
            matching
                .stored(text)
                .into_iter()
                .find(|form| form.starts_with(|c: char| c.is_ascii_digit()))
        };
        let Some(date) = form("StudyDate", Matching::Date) else {
            return String::new();
        };
        let time = form("StudyTime", Matching::Time).unwrap_or_default();
        datetime(&date, &time)
    }
}

/// A date (`YYYYMMDD`) and a time (`HHmmss.FFFFFF`) as one text that sorts; missing parts are zeros.
#[must_use]
pub fn datetime(date: &str, time: &str) -> String {
    let digits = |text: &str| -> String { text.chars().filter(char::is_ascii_digit).collect() };
    let (whole, fraction) = time.split_once('.').unwrap_or((time, ""));
    format!("{:0<8.8}{:0<6.6}.{:0<6.6}", digits(date), digits(whole), digits(fraction))
}

/// What an image set is found by: attribute (group and element side by side) and form of the value.
pub type IndexValues = BTreeSet<(u32, String)>;

/// What an image set is summarized with: keyword and value, without the pad.
pub type Summary = BTreeMap<String, String>;
