//! Which attributes can be set for a patient and for a study, and the values to set.

use dicom_core::dictionary::DataDictionary;
use dicom_dictionary_std::StandardDataDictionary;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use healthimaging::{Error, Result};
use healthimaging_dicom::{InstanceSummary, Level, allows_several_values};

use super::Object;
use super::forms::{self, Strictness};
use crate::document::Contents;
use crate::plan::PlannedChange;

/// Bytes of an update document, at most (`medical-imaging/2023-07-19`).
pub(super) const LONGEST_DOCUMENT: usize = 30_000;

/// Values to set at the Patient and the Study level, by keyword.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Values {
    /// Patient level.
    patient: Object,
    /// Study level.
    study: Object,
}

impl Values {
    /// Values whose level the caller names.
    ///
    /// Errors, all `Validation`: nothing to set, a keyword of another level or of none, a value that
    /// no attribute can have, too much for one update.
    pub fn of_levels(patient: Object, study: Object) -> Result<Self> {
        for keyword in patient.keys() {
            check_level(keyword, Level::Patient)?;
        }
        for keyword in study.keys() {
            check_level(keyword, Level::Study)?;
        }
        Self { patient, study }.checked()
    }

    /// Values that are put where their keywords belong; errors as [`Self::of_levels`] has them.
    pub fn of_keywords(values: Object) -> Result<Self> {
        let mut sorted = Self::default();
        for (keyword, value) in values {
            match Level::of_key(&keyword) {
                Level::Patient => sorted.patient.insert(keyword, value),
                Level::Study => sorted.study.insert(keyword, value),
                _ => return Err(unknown(&keyword, "metadata_updates", "Patient or Study")),
            };
        }
        sorted.checked()
    }

    fn checked(self) -> Result<Self> {
        if self.patient.is_empty() && self.study.is_empty() {
            return Err(Error::validation(
                "there is nothing to set: give at least one attribute, such as PatientName",
            ));
        }
        if self.keywords().any(|keyword| keyword == "StudyInstanceUID") {
            return Err(Error::validation(
                "StudyInstanceUID says which study it is, and cannot be set for a whole study",
            ));
        }
        check_values(self.all())?;
        forms::check_attributes(&self.patient, Strictness::Form)?;
        forms::check_attributes(&self.study, Strictness::Form)?;
        if self.document().to_string().len() > LONGEST_DOCUMENT {
            return Err(Error::validation(format!(
                "one update holds {LONGEST_DOCUMENT} bytes at most; set fewer attributes at once"
            )));
        }
        Ok(self)
    }

    fn all(&self) -> impl Iterator<Item = (&str, &Value)> {
        let both = self.patient.iter().chain(&self.study);
        both.map(|(keyword, value)| (keyword.as_str(), value))
    }

    /// The keywords.
    pub fn keywords(&self) -> impl Iterator<Item = &str> {
        self.all().map(|(keyword, _)| keyword)
    }

    /// The Patient ID (0010,0020) that is set.
    pub(super) fn patient_id(&self) -> Option<&str> {
        self.patient.get("PatientID").and_then(Value::as_str)
    }

    /// The update document (`updatableAttributes`).
    pub(super) fn document(&self) -> Value {
        let mut document = Object::new();
        document.insert("SchemaVersion".to_owned(), json!("1.1"));
        for (level, values) in [("Patient", &self.patient), ("Study", &self.study)] {
            if !values.is_empty() {
                document.insert(level.to_owned(), json!({ "DICOM": values }));
            }
        }
        Value::Object(document)
    }

    /// Whether the service takes them with `force` only: Study ID, sequences, several values.
    pub(super) fn need_force(&self) -> bool {
        self.keywords().any(needs_force)
    }

    /// Whether an image set has them all, and no instance has a value of its own.
    pub(super) fn are_in(&self, contents: &Contents) -> bool {
        if self.instances_with_own(contents) > 0 {
            return false;
        }
        let levels = [(&self.patient, &contents.patient), (&self.study, &contents.study)];
        levels.into_iter().all(|(wanted, found)| {
            wanted.iter().all(|(keyword, value)| same(found.get(keyword), value))
        })
    }

    /// How many instances have another value of one of them than their image set.
    pub(super) fn instances_with_own(&self, contents: &Contents) -> usize {
        let has_own = |instance: &&InstanceSummary| {
            self.keywords().any(|keyword| instance.own(keyword).is_some())
        };
        contents.instances().filter(has_own).count()
    }

    /// What they replace in these image sets; attributes that have the value already are left out.
    pub(super) fn changes(&self, sets: &[Contents]) -> Vec<PlannedChange> {
        let changes = self.all().map(|(keyword, value)| {
            let found = sets.iter().flat_map(|contents| found(contents, keyword));
            PlannedChange {
                attribute: keyword.to_owned(),
                from: found.map(shown).collect(),
                to: Some(shown(value)),
            }
        });
        let is_news = |change: &PlannedChange| {
            change.from.iter().any(|old| Some(old) != change.to.as_ref()) || change.from.is_empty()
        };
        changes.filter(is_news).collect()
    }

    /// The names alone.
    pub(super) fn without_values(&self) -> Self {
        let names = |values: &Object| {
            let names = values.keys().map(|keyword| (keyword.clone(), Value::Null));
            names.collect()
        };
        Self { patient: names(&self.patient), study: names(&self.study) }
    }
}

/// The values of an attribute in an image set: that of its level, and those that instances have of their
/// own.
fn found<'a>(contents: &'a Contents, keyword: &'a str) -> impl Iterator<Item = &'a Value> {
    let level = contents.patient.get(keyword).or_else(|| contents.study.get(keyword));
    let own = contents.instances().filter_map(move |instance| instance.own(keyword));
    std::iter::once(level.unwrap_or(&Value::Null)).chain(own)
}

/// A value as a person reads it.
pub(super) fn shown(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.trim().to_owned(),
        Value::Array(values) if values.iter().any(Value::is_object) => "(sequence)".to_owned(),
        Value::Array(values) => {
            let values: Vec<String> = values.iter().map(shown).collect();
            values.join("\\")
        }
        other => other.to_string(),
    }
}

/// Refuses values that no attribute has.
pub(super) fn check_values<'a>(values: impl Iterator<Item = (&'a str, &'a Value)>) -> Result<()> {
    for (keyword, value) in values {
        if !(value.is_string() || value.is_number() || value.is_array()) {
            return Err(Error::validation(format!(
                "{keyword}: the value must be text, a number, or a list; to remove an attribute \
                 use update_image_set_metadata with removableAttributes"
            )));
        }
    }
    Ok(())
}

/// Whether the service takes an attribute with `force` only: Study ID, sequences, several values.
pub(super) fn needs_force(keyword: &str) -> bool {
    keyword == "StudyID" || keyword.ends_with("Sequence") || allows_several_values(keyword)
}

/// Whether a value is there: padding does not count, nor whether a number is written as text, nor whether one value stands
/// in a list.
pub(super) fn same(found: Option<&Value>, wanted: &Value) -> bool {
    fn parts(value: &Value) -> &[Value] {
        match value {
            Value::Array(parts) => parts,
            Value::Null => &[],
            Value::String(text) if text.trim().is_empty() => &[],
            one => std::slice::from_ref(one),
        }
    }
    fn is_same(found: &Value, wanted: &Value) -> bool {
        match (found, wanted) {
            (Value::Object(found), Value::Object(wanted)) => {
                found.len() == wanted.len()
                    && wanted.iter().all(|(name, value)| same(found.get(name), value))
            }
            (Value::Number(found), Value::Number(wanted)) => found.as_f64() == wanted.as_f64(),
            _ => match (text(found), text(wanted)) {
                (Some(found), Some(wanted)) => found == wanted,
                _ => found == wanted,
            },
        }
    }
    fn text(value: &Value) -> Option<String> {
        match value {
            Value::Null => Some(String::new()),
            Value::String(text) => Some(text.trim().to_owned()),
            Value::Number(number) => Some(number.to_string()),
            _ => None,
        }
    }
    let (found, wanted) = (parts(found.unwrap_or(&Value::Null)), parts(wanted));
    found.len() == wanted.len()
        && found.iter().zip(wanted).all(|(found, wanted)| is_same(found, wanted))
}

fn check_level(keyword: &str, level: Level) -> Result<()> {
    let (argument, other, right) = match level {
        Level::Study => ("study_updates", Level::Patient, "patient_updates"),
        _ => ("patient_updates", Level::Study, "study_updates"),
    };
    match Level::of_key(keyword) {
        found if found == level => Ok(()),
        found if found == other => Err(Error::validation(format!(
            "{keyword} is not an attribute of the {} level; give it in {right}",
            level.name()
        ))),
        _ => Err(unknown(keyword, argument, level.name())),
    }
}

/// A keyword is the caller's own text, which may be a patient's name: it is repeated only if the dictionary has it.
fn unknown(keyword: &str, argument: &str, level: &str) -> Error {
    let is_keyword = StandardDataDictionary.by_name(keyword).is_some();
    let shown = if is_keyword { keyword } else { "a key" };
    Error::validation(format!(
        "{argument}: {shown} is no keyword of the {level} level, such as PatientName or StudyDescription; \
         update_series_metadata sets attributes of series and instances"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_there_however_it_is_written() {
        for (found, wanted) in [
            (json!("A "), json!("A")),
            (json!("5 "), json!(5)),
            (json!(1), json!(1.0)),
            (json!(["A"]), json!("A")),
            (json!(["A", ""]), json!(["A ", null])),
            (Value::Null, json!("")),
            (Value::Null, json!([])),
            (
                json!([{ "CodeValue": "7 ", "CodeMeaning": null }]),
                json!([{ "CodeMeaning": "", "CodeValue": "7" }]),
            ),
        ] {
            assert!(same(Some(&found), &wanted), "{found} {wanted}");
        }
        for (found, wanted) in [
            (json!("A"), json!("B")),
            (json!(["A", "B"]), json!("A")),
            (json!([{ "CodeValue": "7" }]), json!([{ "CodeValue": "8" }])),
            (json!([{ "CodeValue": "7" }]), json!([{}])),
        ] {
            assert!(!same(Some(&found), &wanted), "{found} {wanted}");
        }
    }

    #[test]
    fn an_instance_with_a_value_of_its_own_has_to_be_updated() {
        let contents = |own: Value| -> Contents {
            let document = json!({
                "Patient": {"DICOM": {"PatientSex": "F"}},
                "Study": {"DICOM": {}, "Series": {"1.2": {"Instances": {
                    "1.2.3": {"DICOM": own, "ImageFrames": []},
                    "1.2.4": {"DICOM": {"Rows": 1}},
                }}}},
            });
            Contents::parse(document.to_string().as_bytes()).unwrap()
        };
        let sex = json!({"PatientSex": "F"}).as_object().unwrap().clone();
        let values = Values::of_keywords(sex).unwrap();
        assert!(values.are_in(&contents(json!({"Rows": 1, "WindowCenter": ["1"]}))));
        for own in [json!({"PatientSex": "M"}), json!({"Rows": 1, "PatientSex": null})] {
            assert!(!values.are_in(&contents(own.clone())));
            assert_eq!(values.instances_with_own(&contents(own)), 1);
        }
    }
}
