//! What a tool would do, found out by reading only.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use serde_json::{Map, Value, json};

use healthimaging::{DatastoreId, Error, ImageSetId, Result, VersionId, fingerprint};

use crate::change::Change;
use crate::document::Contents;
use crate::find::Criteria;
use crate::traces::Traces;

/// Most entries of a list that a plan shows; all of them count for its fingerprint.
const SHOWN: usize = 100;

/// Most studies that a plan shows.
const STUDIES_SHOWN: usize = 40;

/// Most lines of a question to a person; the rest is counted.
const LINES: usize = 20;

/// What would be done: what, how many, whose.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Plan {
    /// What would be done, in a sentence without patient data.
    pub action: String,
    /// In which data store.
    pub datastore_id: DatastoreId,
    /// The criteria of the caller that select the image sets.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub criteria: Option<Box<Criteria>>,
    /// What would be changed or erased, each in the version that was seen.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub image_sets: Vec<PlannedImageSet>,
    /// What they hold, a study at a time.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub studies: Vec<PlannedStudy>,
    /// The series or instance that is removed from the image sets.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub removes: Option<PlannedPart>,
    /// Values that change.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub changes: Vec<PlannedChange>,
    /// Whose images they are: Patient ID (0010,0020).
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub patient_ids: BTreeSet<String>,
    /// Study Instance UID (0020,000D) of the studies they belong to.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub study_instance_uids: BTreeSet<String>,
    /// What to know before agreeing.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
    /// Whether no older version keeps what goes.
    pub cannot_be_undone: bool,
    /// How it would be done, where a job does it.
    #[serde(skip)]
    pub change: Option<Change>,
    /// What the deletion does not reach, if that was looked for.
    #[serde(skip)]
    pub traces: Option<Traces>,
}

/// An image set in the version that was seen when the plan was made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PlannedImageSet {
    /// Which one.
    pub image_set_id: ImageSetId,
    /// Its latest version.
    pub version_id: VersionId,
    /// Number of its instances, or of those that are removed from it, where that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instances: Option<usize>,
    /// What would be done to it, where the plan does several things.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub action: Option<&'static str>,
}

/// A study of which image sets would be changed or erased.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct PlannedStudy {
    /// Study Instance UID (0020,000D).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub study_instance_uid: Option<String>,
    /// Patient ID (0010,0020).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub patient_id: Option<String>,
    /// Patient's Name (0010,0010).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub patient_name: Option<String>,
    /// Study Date (0008,0020).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub study_date: Option<String>,
    /// Study Description (0008,1030).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub study_description: Option<String>,
    /// Modalities (0008,0060).
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub modalities: BTreeSet<String>,
    /// How many image sets of it are affected.
    pub image_sets: usize,
    /// Number of their instances, or of those that are removed, where that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instances: Option<usize>,
}

/// A series or an instance that is removed from image sets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PlannedPart {
    /// Series Instance UID (0020,000E).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub series_instance_uid: Option<String>,
    /// SOP Instance UID (0008,0018); none for a whole series.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sop_instance_uid: Option<String>,
    /// Modality (0008,0060) of the series.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub modality: Option<String>,
    /// Series Description (0008,103E).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub series_description: Option<String>,
}

/// A value that changes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PlannedChange {
    /// Keyword of the attribute.
    pub attribute: String,
    /// The values that there are; an image set without one has the empty text.
    pub from: BTreeSet<String>,
    /// The value that there will be; none where the attribute is removed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
}

impl PlannedStudy {
    /// What the document of one image set says.
    pub fn of(contents: &Contents) -> Self {
        let text = |level: &Map<String, Value>, keyword: &str| {
            level.get(keyword).and_then(Value::as_str).map(|text| text.trim().to_owned())
        };
        let (patient, study) = (&contents.patient, &contents.study);
        let modalities = contents.series.values().filter_map(|series| series.text("Modality"));
        Self {
            study_instance_uid: text(study, "StudyInstanceUID"),
            patient_id: text(patient, "PatientID"),
            patient_name: text(patient, "PatientName"),
            study_date: text(study, "StudyDate"),
            study_description: text(study, "StudyDescription"),
            modalities: modalities.map(str::to_owned).collect(),
            image_sets: 1,
            instances: Some(contents.instances().count()),
        }
    }

    /// In a line, for a person.
    fn line(&self) -> String {
        let mut parts = vec![format!(
            "Patient {} (ID {}), study",
            quoted(self.patient_name.as_deref().unwrap_or_default()),
            quoted(self.patient_id.as_deref().unwrap_or_default())
        )];
        parts.extend(self.study_date.as_ref().map(|date| format!("of {}", day(date))));
        parts.extend(self.study_description.as_deref().map(quoted));
        if !self.modalities.is_empty() {
            let modalities: Vec<&str> = self.modalities.iter().map(String::as_str).collect();
            parts.push(format!("({})", plain(&modalities.join(", "))));
        }
        let mut held = vec![counted(self.image_sets, "image set")];
        held.extend(self.instances.map(|instances| counted(instances, "instance")));
        format!("{}: {}", parts.join(" "), held.join(", "))
    }
}

impl PlannedPart {
    /// One line of a question.
    fn line(&self) -> String {
        let named = [("instance", &self.sop_instance_uid), ("series", &self.series_instance_uid)];
        let named = named
            .into_iter()
            .filter_map(|(what, uid)| uid.as_deref().map(|uid| format!("{what} {}", plain(uid))));
        let named = named.collect::<Vec<_>>().join(" of ");
        let modality = self.modality.as_deref().map(plain);
        let about = modality.into_iter().chain(self.series_description.as_deref().map(quoted));
        let about: Vec<String> = about.collect();
        let about =
            if about.is_empty() { String::new() } else { format!(" ({})", about.join(", ")) };
        format!("Removed: {named}{about}")
    }
}

impl PlannedChange {
    /// In a line, for a person.
    fn line(&self) -> String {
        const OLD: usize = 3;
        let old: Vec<String> = self.from.iter().take(OLD).map(|value| quoted(value)).collect();
        let more = match self.from.len().saturating_sub(OLD) {
            0 => String::new(),
            more => format!(" and {more} other values"),
        };
        let (name, old) = (&self.attribute, old.join(", "));
        match &self.to {
            Some(to) => format!("{name}: {old}{more} becomes {}", quoted(to)),
            None => format!("{name}: {old}{more} is removed"),
        }
    }
}

/// A date as people read it, where it is one.
fn day(date: &str) -> String {
    match (date.get(..4), date.get(4..6), date.get(6..8)) {
        (Some(year), Some(month), Some(day)) if date.len() == 8 => {
            plain(&format!("{year}-{month}-{day}"))
        }
        _ => quoted(date),
    }
}

/// A count with its noun in singular or plural: `1 study`, `2 studies`, `2 series`.
#[must_use]
pub fn counted(count: usize, noun: &str) -> String {
    match noun.strip_suffix('y') {
        _ if count == 1 || noun.ends_with('s') => format!("{count} {noun}"),
        Some(stem) => format!("{count} {stem}ies"),
        None => format!("{count} {noun}s"),
    }
}

impl Plan {
    /// A plan that names nothing yet.
    pub fn new(action: impl Into<String>, datastore_id: DatastoreId) -> Self {
        Self {
            action: action.into(),
            datastore_id,
            criteria: None,
            image_sets: Vec::new(),
            studies: Vec::new(),
            removes: None,
            changes: Vec::new(),
            patient_ids: BTreeSet::new(),
            study_instance_uids: BTreeSet::new(),
            notes: Vec::new(),
            cannot_be_undone: true,
            change: None,
            traces: None,
        }
    }

    /// Adds whose images image sets hold, a study of a patient at a time.
    pub fn add_studies(&mut self, of_sets: impl IntoIterator<Item = PlannedStudy>) {
        let key = |of: &PlannedStudy| {
            (of.study_instance_uid.clone(), of.patient_id.clone(), of.patient_name.clone())
        };
        let known = self.studies.iter().enumerate();
        let mut known: BTreeMap<_, usize> = known.map(|(at, of)| (key(of), at)).collect();
        for of in of_sets {
            self.patient_ids.extend(of.patient_id.clone());
            self.study_instance_uids.extend(of.study_instance_uid.clone());
            let at = *known.entry(key(&of)).or_insert(self.studies.len());
            match self.studies.get_mut(at) {
                Some(study) => {
                    study.image_sets += of.image_sets;
                    study.instances = study.instances.zip(of.instances).map(|(a, b)| a + b);
                    study.modalities.extend(of.modalities);
                }
                None => self.studies.push(of),
            }
        }
    }

    /// The image sets of the plan, each in the version that was seen.
    pub fn versions(&self) -> BTreeSet<(&str, &str)> {
        let sets = self.image_sets.iter();
        sets.map(|set| (set.image_set_id.as_str(), set.version_id.as_str())).collect()
    }

    /// SHA-256 of the plan: two plans with the same one are the same.
    pub fn fingerprint(&self) -> Result<String> {
        let value = serde_json::to_value((self, &self.change)).map_err(unwritable)?;
        Ok(fingerprint(&value))
    }

    /// The plan as it is shown: long lists are cut, and counted.
    pub fn shown(&self) -> Result<Map<String, Value>> {
        let Value::Object(mut shown) = serde_json::to_value(self).map_err(unwritable)? else {
            return Err(unwritable("not an object"));
        };
        let lists = [
            ("image_sets", SHOWN),
            ("studies", STUDIES_SHOWN),
            ("changes", SHOWN),
            ("patient_ids", SHOWN),
            ("study_instance_uids", SHOWN),
        ];
        for (name, longest) in lists {
            let Some(Value::Array(list)) = shown.get_mut(name) else {
                continue;
            };
            let total = list.len();
            list.truncate(longest);
            shown.insert(format!("{name}_total"), json!(total));
        }
        // The list has an entry for each patient of a study.
        let studies = self.studies_total();
        if studies < self.studies.len() {
            shown.insert("studies_total".to_owned(), json!(studies));
            shown.insert("studies_entries_total".to_owned(), json!(self.studies.len()));
        }
        if let Some(instances) = self.instances_total() {
            shown.insert("instances_total".to_owned(), json!(instances));
        }
        Ok(shown)
    }

    fn studies_total(&self) -> usize {
        let uids = self.studies.iter().map(|study| &study.study_instance_uid);
        uids.collect::<BTreeSet<_>>().len()
    }

    fn instances_total(&self) -> Option<usize> {
        let instances: Option<usize> = self.image_sets.iter().map(|set| set.instances).sum();
        instances.filter(|_| !self.image_sets.is_empty())
    }

    /// In a line, for a person.
    fn totals(&self) -> String {
        let patients: BTreeSet<_> = self.studies.iter().map(|study| &study.patient_id).collect();
        let mut totals = vec![
            counted(patients.len(), "patient"),
            counted(self.studies_total(), "study"),
            counted(self.image_sets.len(), "image set"),
        ];
        totals.extend(self.instances_total().map(|instances| counted(instances, "instance")));
        format!("In total: {}", totals.join(", "))
    }

    /// The question to a person: whose images they are, what changes and what stays, in at most 20 lines.
    pub fn question(&self) -> String {
        const NAMED: usize = 3;
        let mut head = vec![format!("Agree to {}?", self.action)];
        head.extend(self.criteria.as_deref().map(criteria_line));
        if self.criteria.is_some() || self.studies.len() > 1 {
            head.push(self.totals());
        }
        let mut end: Vec<String> = self.removes.iter().map(PlannedPart::line).collect();
        if !self.image_sets.is_empty() {
            let ids = self.image_sets.iter().map(|set| set.image_set_id.as_str());
            let ids: Vec<&str> = ids.take(NAMED).collect();
            let more = match self.image_sets.len().saturating_sub(NAMED) {
                0 => String::new(),
                more => format!(" and {more} more"),
            };
            let total = self.image_sets.len();
            end.push(format!("Image sets ({total}): {}{more}", ids.join(", ")));
        }
        end.extend(self.notes.iter().cloned());
        if self.cannot_be_undone {
            end.push("This cannot be undone.".to_owned());
        }
        let room = LINES.saturating_sub(head.len() + end.len());
        let changes = self.changes.iter().map(PlannedChange::line).collect();
        let changes = some(changes, room / 2, "more attributes");
        let studies = self.studies.iter().map(PlannedStudy::line).collect();
        let rest = if self.studies_total() < self.studies.len() {
            "more entries, one for each patient of a study"
        } else {
            "more studies"
        };
        let studies = some(studies, room - changes.len(), rest);
        let mut lines = head;
        lines.extend(studies.into_iter().chain(changes).chain(end));
        lines.truncate(LINES);
        lines.join("\n")
    }
}

/// Criteria in a line, for a person: `Criteria: modality = "CT", study date to 2020-01-01`.
fn criteria_line(criteria: &Criteria) -> String {
    let text = |value: &Value| match value {
        Value::String(text) => quoted(text),
        other => other.to_string(),
    };
    let mut parts = Vec::new();
    for (name, value) in json!(criteria).as_object().into_iter().flatten() {
        let name = name.replace('_', " ");
        match value {
            Value::String(date) if name.starts_with("study date") => {
                parts.push(format!("{name} {}", day(date)));
            }
            Value::Object(ends) => {
                parts.extend(ends.iter().filter(|(_, value)| !value.is_null()).map(
                    |(end, value)| format!("{name} {} {}", end.replace('_', " "), text(value)),
                ));
            }
            value => parts.push(format!("{name} = {}", text(value))),
        }
    }
    format!("Criteria: {}", parts.join(", "))
}

/// So many lines, the last of which counts what is left out.
fn some(mut lines: Vec<String>, most: usize, rest: &str) -> Vec<String> {
    if lines.len() > most {
        let kept = most.saturating_sub(1);
        let beyond = lines.len() - kept;
        lines.truncate(kept);
        lines.push(format!("and {beyond} {rest}"));
    }
    lines
}

fn unwritable(cause: impl Into<healthimaging::Source>) -> Error {
    Error::internal("the plan could not be written as JSON", cause)
}

/// Text out of a DICOM file, so that it cannot pass for a sentence of ours.
fn quoted(text: &str) -> String {
    format!("\"{}\"", plain(text))
}

fn plain(text: &str) -> String {
    const LONGEST: usize = 64;
    text.chars().filter(|c| !c.is_control() && *c != '"').take(LONGEST).collect()
}
