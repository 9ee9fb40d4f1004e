//! The values of one patient as they are shown.

use dicom_core::{Tag, VR};
use dicom_dictionary_std::tags;
use healthimaging_deidentify::{Cleaner, is_time, is_well_known, shift_date_times, shift_dates};
use serde_json::{Map, Value};

use crate::Redactor;
use crate::attributes::{self, Treatment};
use crate::token::trimmed;

/// Class of the tokens of UIDs: references lead from one attribute to another, so all have the same.
pub(crate) const UID: &str = "uid";
/// Items that are nested deeper are withheld.
const MAX_DEPTH: usize = 64;

/// Shows the values of one patient.
pub(crate) struct Patient<'a> {
    redactor: &'a Redactor,
    /// Days by which dates move; without a Patient ID, dates are withheld.
    days: Option<i64>,
    cleaner: Cleaner,
}

impl<'a> Patient<'a> {
    /// A patient of whom these values are known.
    pub(crate) fn new<'v>(
        redactor: &'a Redactor,
        patient_id: Option<&str>,
        values: impl IntoIterator<Item = (Tag, VR, &'v str)>,
    ) -> Self {
        let patient_id = patient_id.map(trimmed).filter(|id| !id.is_empty());
        Self {
            redactor,
            days: patient_id.map(|id| redactor.key.date_shift(id)),
            cleaner: Cleaner::of(values, redactor.rules.profile()),
        }
    }

    /// Returns what is shown of one value; `None` if it is withheld.
    pub(crate) fn text(&self, tag: Tag, vr: VR, text: &str) -> Option<String> {
        if trimmed(text).is_empty() {
            return Some(text.to_owned());
        }
        match self.redactor.rules.treatment(tag, vr) {
            Treatment::Shown => Some(text.to_owned()),
            Treatment::Scrubbed => Some(self.cleaner.scrub(text)),
            Treatment::Cleaned => self.cleaner.clean(vr, text),
            Treatment::Token => self.redactor.seal(tag, text),
            Treatment::Uid => self.redactor.uids(text),
            Treatment::Date => shift_dates(text, self.days?),
            Treatment::DateTime => shift_date_times(text, self.days?),
            Treatment::Time => is_time(text).then(|| text.to_owned()),
            Treatment::Items | Treatment::Withheld => None,
        }
    }

    /// Returns attributes as they are shown; keys are keywords or tags.
    pub(crate) fn attributes(
        &self,
        attributes: Map<String, Value>,
        depth: usize,
    ) -> Map<String, Value> {
        let shown = attributes.into_iter().filter_map(|(name, value)| {
            let tag = attributes::tag(&name)?;
            let value = self.value(tag, attributes::vr(tag), value, depth)?;
            Some((name, value))
        });
        shown.collect()
    }

    /// Returns a value of a metadata document as it is shown.
    fn value(&self, tag: Tag, vr: VR, value: Value, depth: usize) -> Option<Value> {
        let treatment = self.redactor.rules.treatment(tag, vr);
        match value {
            Value::Null => Some(Value::Null),
            Value::String(text) if is_binary(vr) => {
                // Numbers may be written as text; any other text may be anything.
                let is_number = text.parse::<f64>().is_ok();
                (treatment == Treatment::Shown && (is_number || is_bytes(vr)))
                    .then_some(Value::String(text))
            }
            Value::String(text) => self.text(tag, vr, &text).map(Value::String),
            Value::Array(items) => {
                let items = items.into_iter();
                let shown: Vec<Value> =
                    items.filter_map(|item| self.value(tag, vr, item, depth)).collect();
                (treatment != Treatment::Withheld).then_some(Value::Array(shown))
            }
            Value::Object(item) if vr == VR::SQ => (treatment == Treatment::Items
                && depth < MAX_DEPTH)
                .then(|| Value::Object(self.attributes(item, depth + 1))),
            // The groups of a name, and references to large values.
            Value::Object(groups) => {
                let groups = groups.into_iter();
                let shown: Map<String, Value> = groups
                    .filter_map(|(name, value)| Some((name, self.value(tag, vr, value, depth)?)))
                    .collect();
                (treatment != Treatment::Withheld).then_some(Value::Object(shown))
            }
            Value::Number(number) => match treatment {
                Treatment::Shown | Treatment::Scrubbed | Treatment::Cleaned => {
                    Some(Value::Number(number))
                }
                Treatment::Token => self.redactor.seal(tag, &number.to_string()).map(Value::String),
                _ => None,
            },
            Value::Bool(_) => None,
        }
    }

    /// Returns a data set of the DICOM JSON Model (PS3.18 Annex F) as it is shown.
    pub(crate) fn data_set(
        &self,
        data_set: Map<String, Value>,
        depth: usize,
    ) -> Map<String, Value> {
        let shown = data_set.into_iter().filter_map(|(digits, element)| {
            let tag = attributes::tag(&digits)?;
            let Value::Object(element) = element else { return None };
            Some((digits, Value::Object(self.element(tag, element, depth)?)))
        });
        shown.collect()
    }

    fn element(
        &self,
        tag: Tag,
        mut element: Map<String, Value>,
        depth: usize,
    ) -> Option<Map<String, Value>> {
        let stated = element.get("vr").and_then(Value::as_str);
        let known = attributes::vr(tag);
        let stated: VR = stated.and_then(|vr| vr.parse().ok()).unwrap_or(known);
        // A file may state any VR; the dictionary decides where it has one.
        let vr = if known == VR::UN { stated } else { known };
        let treatment = self.redactor.rules.treatment(tag, vr);
        if let Some(uri) = element.get_mut("BulkDataURI") {
            // The value itself is never returned.
            *uri = Value::String(self.redactor.uri(uri.as_str()?));
            return Some(element);
        }
        if element.contains_key("InlineBinary") {
            return (treatment == Treatment::Shown).then_some(element);
        }
        let Some(Value::Array(values)) = element.shift_remove("Value") else {
            return (treatment != Treatment::Withheld).then_some(element);
        };
        if treatment == Treatment::Withheld {
            return None;
        }
        let shown = values.into_iter().filter_map(|value| match value {
            Value::Object(item) if vr == VR::SQ => (treatment == Treatment::Items
                && depth < MAX_DEPTH)
                .then(|| Value::Object(self.data_set(item, depth + 1))),
            // Retrieve URL (0008,1190) leads to the study by its UID.
            Value::String(uri) if vr == VR::UR => Some(Value::String(self.redactor.uri(&uri))),
            value => self.value(tag, vr, value, depth),
        });
        let shown: Vec<Value> = shown.collect();
        element.insert("Value".to_owned(), Value::Array(shown));
        Some(element)
    }
}

fn is_bytes(vr: VR) -> bool {
    matches!(vr, VR::OB | VR::OW | VR::OF | VR::OD | VR::OL | VR::OV)
}

fn is_binary(vr: VR) -> bool {
    is_bytes(vr)
        || matches!(vr, VR::AT | VR::US | VR::SS | VR::UL | VR::SL | VR::UV | VR::SV)
        || matches!(vr, VR::FL | VR::FD)
}

/// Adds the texts of attributes and their items, each with its tag and VR.
pub(crate) fn texts<'v>(attributes: &'v Map<String, Value>, to: &mut Vec<(Tag, VR, &'v str)>) {
    for (name, value) in attributes {
        if let Some(tag) = attributes::tag(name) {
            texts_of(tag, attributes::vr(tag), value, to);
        }
    }
}

fn texts_of<'v>(tag: Tag, vr: VR, value: &'v Value, to: &mut Vec<(Tag, VR, &'v str)>) {
    match value {
        Value::String(text) => to.push((tag, vr, text)),
        Value::Array(values) => values.iter().for_each(|value| texts_of(tag, vr, value, to)),
        Value::Object(members) => match members.get("Value") {
            Some(values) => texts_of(tag, vr, values, to),
            None if vr == VR::SQ => texts(members, to),
            None => members.values().for_each(|value| texts_of(tag, vr, value, to)),
        },
        _ => {}
    }
}

/// The Patient ID (0010,0020) of attributes, or of a data set of DICOM JSON.
pub(crate) fn patient_id(attributes: &Map<String, Value>) -> Option<&str> {
    let in_json = || attributes.get("00100020")?.get("Value")?.get(0)?.as_str();
    attributes.get("PatientID").and_then(Value::as_str).or_else(in_json)
}

impl Redactor {
    /// Returns the token of a value of an attribute.
    pub(crate) fn seal(&self, tag: Tag, value: &str) -> Option<String> {
        self.tokens.seal(&class(tag), value)
    }

    /// Returns tokens in place of UIDs; those of definitions stay.
    pub(crate) fn uids(&self, text: &str) -> Option<String> {
        let shown = text.split('\\').map(|uid| self.uid(uid));
        shown.collect::<Option<Vec<_>>>().map(|uids| uids.join("\\"))
    }

    pub(crate) fn uid(&self, uid: &str) -> Option<String> {
        let uid = trimmed(uid);
        if uid.is_empty() || is_well_known(uid) {
            return Some(uid.to_owned());
        }
        self.tokens.seal(UID, uid)
    }
}

/// Class of the tokens of an attribute.
pub(crate) fn class(tag: Tag) -> String {
    if attributes::vr(tag) == VR::UI {
        return UID.to_owned();
    }
    format!("{:04x}{:04x}", tag.group(), tag.element())
}

/// Whether values of the attribute are dates.
pub(crate) fn is_date(tag: Tag) -> bool {
    matches!(attributes::vr(tag), VR::DA | VR::DT) || tag == tags::STUDY_DATE
}
