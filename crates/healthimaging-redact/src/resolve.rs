//! Tokens of requests, back to the values that they stand for.

use dicom_core::Tag;
use healthimaging::{Error, Result, Uid};
use healthimaging_deidentify::{is_well_known, shift_date_times, shift_dates};
use serde_json::{Map, Value};

use crate::attributes::{self, Treatment, of_member};
use crate::patient::{class, is_date};
use crate::token::{class_of, trimmed};
use crate::{PATH, Redactor, UID};

/// Members that hold a first and a last date, which are compared with shifted ones.
const DATES: [&str; 4] =
    ["study_date_from", "study_date_to", "study_date_and_time", "DICOMStudyDateAndTime"];
/// What stands in texts for names that were removed.
const MASK: &str = "***";
/// Members that locate files.
const PATHS: [&str; 3] = ["input_s3_uri", "output_s3_uri", "paths"];

/// Returns the error for a value where a token has to be.
pub(crate) fn not_a_token(name: &str, text: &str) -> Error {
    let name = known(name);
    let attribute = of_member(&name).and_then(keyword).unwrap_or("ATTRIBUTE");
    let what = match class_of(text) {
        Some(_) => "the token is unknown, or belongs to another attribute",
        None => "this server shows and takes tokens only",
    };
    Error::validation(format!(
        "{name}: {what} (--redact-phi). Use a token from an answer; a person gets that of a known value with \
         `healthimaging-mcp-server redact-token {attribute} VALUE`"
    ))
}

/// A name for an error: it is the caller's own text, and repeated only where it looks like one.
fn known(name: &str) -> String {
    let is_plain =
        name.len() <= 64 && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    if is_plain { name.to_owned() } else { "a member".to_owned() }
}

fn keyword(tag: Tag) -> Option<&'static str> {
    use dicom_core::dictionary::{DataDictionary as _, DataDictionaryEntry as _};
    let entry = dicom_dictionary_std::StandardDataDictionary.by_tag(tag)?;
    Some(entry.alias())
}

impl Redactor {
    /// Returns the value of a token; `name` is the argument or attribute that has it.
    ///
    /// # Errors
    /// `Validation` for a token of another attribute or key, and for any other text.
    pub fn value(&self, name: &str, token: &str) -> Result<String> {
        let tag = of_member(name).ok_or_else(|| not_a_token(name, token))?;
        self.open(tag, name, token)
    }

    fn open(&self, tag: Tag, name: &str, token: &str) -> Result<String> {
        self.tokens.open(&class(tag), token).ok_or_else(|| not_a_token(name, token))
    }

    /// Returns the UID of a token. UIDs that the standard registers stand for themselves.
    pub(crate) fn real_uid(&self, name: &str, uid: &Uid) -> Result<Uid> {
        Uid::try_from(self.real_uid_text(name, uid.as_str())?)
    }

    pub(crate) fn real_uid_text(&self, name: &str, text: &str) -> Result<String> {
        if is_well_known(trimmed(text)) {
            return Ok(text.to_owned());
        }
        self.tokens.open(UID, text).ok_or_else(|| not_a_token(name, text))
    }

    /// Puts the values of tokens into arguments, an update document or the request of a job: what is named after an
    /// attribute must be a token of it. Other texts stay, so that a token cannot be opened as another attribute.
    ///
    /// # Errors
    /// `Validation`, with the name of the member.
    pub fn resolve(&self, value: &mut Value) -> Result<()> {
        match value {
            Value::Array(items) => items.iter_mut().try_for_each(|item| self.resolve(item)),
            Value::Object(members) => self.resolve_members(members),
            _ => Ok(()),
        }
    }

    fn resolve_members(&self, members: &mut Map<String, Value>) -> Result<()> {
        for (name, value) in members.iter_mut() {
            if DATES.contains(&name.as_str()) {
                // Compared with what is shown, or read as shifted by `resolve_criteria`.
                continue;
            }
            if PATHS.contains(&name.as_str()) {
                self.resolve_paths(value);
            } else if let ("Series" | "Instances", Value::Object(parts)) =
                (name.as_str(), &mut *value)
            {
                // Parts of a document by their UIDs.
                for (uid, mut part) in std::mem::take(parts) {
                    self.resolve(&mut part)?;
                    parts.insert(self.real_uid_text(name, &uid)?, part);
                }
            } else if let Some(tag) = of_member(name) {
                self.resolve_attribute(tag, name, value)?;
            } else {
                self.resolve(value)?;
            }
        }
        Ok(())
    }

    fn resolve_attribute(&self, tag: Tag, name: &str, value: &mut Value) -> Result<()> {
        match value {
            Value::Array(items) => {
                items.iter_mut().try_for_each(|item| self.resolve_attribute(tag, name, item))
            }
            Value::Object(_) => self.resolve(value),
            Value::String(text) if trimmed(text).is_empty() => Ok(()),
            Value::String(text) => {
                match self.rules.treatment(tag, attributes::vr(tag)) {
                    Treatment::Uid => *text = self.real_uid_text(name, text)?,
                    Treatment::Token | Treatment::Date | Treatment::DateTime => {
                        *text = self.open(tag, name, text)?;
                    }
                    _ if text.contains(MASK) => {
                        return Err(Error::validation(format!(
                            "{}: the text has *** where a name was removed, and would be written so; write it without, \
                             or leave the attribute out",
                            known(name)
                        )));
                    }
                    // Other texts can be written, and are not compared.
                    _ => {}
                }
                Ok(())
            }
            Value::Number(_) => match self.rules.treatment(tag, attributes::vr(tag)) {
                Treatment::Token => Err(not_a_token(name, "")),
                _ => Ok(()),
            },
            Value::Null | Value::Bool(_) => Ok(()),
        }
    }

    /// Puts locations of files into arguments that have tokens of them.
    pub fn open_paths(&self, arguments: &mut Value) {
        let Value::Object(members) = arguments else { return };
        let paths = members.iter_mut().filter(|(name, _)| PATHS.contains(&name.as_str()));
        paths.for_each(|(_, value)| self.resolve_paths(value));
    }

    fn resolve_paths(&self, value: &mut Value) {
        match value {
            Value::Array(items) => items.iter_mut().for_each(|item| self.resolve_paths(item)),
            Value::String(text) => {
                if let Some(path) = self.tokens.open(PATH, text) {
                    *text = path;
                }
            }
            _ => {}
        }
    }

    /// Puts values into the criteria of a job, which are compared with the values of the back end.
    ///
    /// # Errors
    /// As [`Self::resolve`]; also for dates without the token of the one patient by whose shift they are read, and for
    /// descriptions, since a comparison with the text of the files would show what is masked in them.
    pub fn resolve_criteria(&self, criteria: &mut Map<String, Value>) -> Result<()> {
        self.resolve_members(criteria)?;
        if ["study_description", "DICOMStudyDescription"]
            .iter()
            .any(|name| criteria.contains_key(*name))
        {
            return Err(Error::validation(
                "study_description: descriptions are not compared by jobs with --redact-phi; select the studies by \
                 study_instance_uid",
            ));
        }
        let patient = criteria.get("patient_id").or_else(|| criteria.get("DICOMPatientId"));
        let patient = patient.and_then(Value::as_str).map(str::to_owned);
        for name in DATES {
            if let Some(value) = criteria.get_mut(name) {
                let patient = patient.as_deref().ok_or_else(|| dates_need_patient(name))?;
                self.unshift(name, trimmed(patient), value)?;
            }
        }
        Ok(())
    }

    fn unshift(&self, name: &str, patient: &str, value: &mut Value) -> Result<()> {
        let days = -self.key.date_shift(patient);
        match value {
            Value::String(text) => {
                let moved = shift_dates(text, days).or_else(|| shift_date_times(text, days));
                *text = moved.ok_or_else(|| {
                    Error::validation(format!("{}: the date is out of range", known(name)))
                })?;
                Ok(())
            }
            Value::Object(span) => {
                span.values_mut().try_for_each(|end| self.unshift(name, patient, end))
            }
            _ => Ok(()),
        }
    }

    /// Returns the token of a value that a person knows.
    ///
    /// # Errors
    /// `Validation` for an attribute that does not exist or is shown as it is, and for an empty value.
    pub fn token(&self, attribute: &str, value: &str) -> Result<String> {
        let unknown = || {
            Error::validation(
                "ATTRIBUTE: use the keyword or tag of a DICOM attribute, such as PatientID or 00100020",
            )
        };
        let tag = attributes::tag(attribute).ok_or_else(unknown)?;
        let treatment = self.rules.treatment(tag, attributes::vr(tag));
        let has_tokens = matches!(treatment, Treatment::Token | Treatment::Uid) || is_date(tag);
        if !has_tokens {
            return Err(Error::validation(
                "ATTRIBUTE: --redact-phi shows this attribute without tokens; arguments take its value",
            ));
        }
        if trimmed(value).is_empty() {
            return Err(Error::validation("VALUE: give the value of the attribute"));
        }
        self.seal(tag, value).ok_or_else(|| Error::internal("a token could not be made", "AES-SIV"))
    }
}

/// Returns the error for dates that would be compared with those of all patients.
pub(crate) fn dates_need_patient(name: &str) -> Error {
    Error::validation(format!(
        "{}: with --redact-phi the dates of each patient are shifted by another number of days, so a date is accepted \
         only beside the token of one patient, study or series",
        known(name)
    ))
}
