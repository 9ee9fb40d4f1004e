//! Moving studies to another patient: with all attributes of the patient level.

use std::collections::{BTreeMap, BTreeSet};

use futures::{StreamExt as _, TryStreamExt as _, stream};
use serde_json::{Value, json};

use healthimaging::model::ImageSetsMetadataSummary;
use healthimaging::{Error, Result};

use super::{Planner, READ_FOR_VALUES, Values};
use crate::change::Object;
use crate::change::attributes::shown;
use crate::document::{Contents, FETCHED_AT_ONCE};
use crate::find::{self, Criteria, Text, is_primary};
use crate::plan::{Plan, PlannedStudy, counted};

/// Keyword of the attribute that says whose images they are.
const PATIENT_ID: &str = "PatientID";

/// A move of studies to another patient.
#[derive(Debug)]
pub struct Reassignment {
    /// The studies that move.
    pub studies: Criteria,
    /// Patient ID (0010,0020) of the patient that they move to.
    pub to: Text,
    /// Attributes of the patient level that are given: in place of those of the patient, or all if there is no such patient.
    pub given: Object,
}

impl Planner<'_> {
    /// Setting all attributes of the patient level in the image sets of studies: those of another patient, or given ones.
    /// Attributes that the other patient lacks become empty.
    ///
    /// # Errors
    /// `NotFound` if no image set matches; `missing` says what is. `Validation` if there is no such patient and no name is
    /// given, or if the image sets of that patient disagree.
    pub async fn reassignment(
        self,
        action: &str,
        reassignment: Reassignment,
        missing: &str,
    ) -> Result<Plan> {
        let Reassignment { studies, to, given } = reassignment;
        if to.as_str().contains('\\') {
            return Err(Error::validation(
                "to_patient_id: a PatientID has one value, and a backslash separates values",
            ));
        }
        let moved = self.matching(&studies, missing).await?;
        let of_target = Criteria::patient(to.clone());
        let found = find::all(self.service, self.datastore_id, &of_target, find::MOST_EXAMINED);
        let mut target = found.await?.image_sets;
        target.retain(|set| !moved.iter().any(|one| one.image_set_id == set.image_set_id));
        // The primary ones describe the patient.
        if target.iter().any(is_primary) {
            target.retain(is_primary);
        }
        let is_of_target = |set: &ImageSetsMetadataSummary| {
            let id = set.dicom_tags.as_ref().and_then(|tags| tags.patient_id.as_deref());
            id.is_some_and(|id| id.trim() == to.as_str())
        };
        if target.is_empty() && given.is_empty() && moved.iter().all(is_of_target) {
            return Err(Error::validation(
                "nothing would change: the studies are of that patient already, who has no others",
            ));
        }
        let count = target.len();
        let target = self.first_contents(target).await?;
        let source = self.first_contents(moved).await?;
        let mut patient = joined(&target, &given)?;
        if target.is_empty() && !given.contains_key("PatientName") {
            return Err(Error::validation(
                "the data store holds no other image set of the patient to_patient_id: give all attributes of \
                 that patient in patient, with PatientName at least, or correct to_patient_id",
            ));
        }
        patient.extend(given);
        if patient
            .insert(PATIENT_ID.to_owned(), json!(to.as_str()))
            .is_some_and(|id| id.as_str().is_none_or(|id| id.trim() != to.as_str()))
        {
            return Err(Error::validation("patient: PatientID must be that of to_patient_id"));
        }
        let mut cleared = BTreeSet::new();
        for keyword in source.iter().flat_map(|contents| contents.patient.keys()) {
            if !patient.contains_key(keyword) {
                let is_sequence = keyword.ends_with("Sequence");
                let empty = if is_sequence { json!([]) } else { json!("") };
                patient.insert(keyword.clone(), empty);
                cleared.insert(keyword.clone());
            }
        }
        let conflicts = conflicts(&source, &patient);
        let values = Values::of_levels(patient, Object::new())?;
        let mut plan = self.update(action, studies, values, missing).await?;
        self.add_old_values(&mut plan).await?;
        if plan.changes.is_empty() && plan.image_sets.len() <= READ_FOR_VALUES {
            return Err(Error::validation(
                "nothing would change: the studies have all attributes of that patient already",
            ));
        }
        let mut notes = vec![if count == 0 {
            "The data store holds no other image set of that patient: this makes a new patient."
                .to_owned()
        } else {
            format!(
                "The patient exists, with {}; values are those of {}.",
                counted(count, "other image set"),
                if count > target.len() { "the first ones" } else { "all of them" }
            )
        }];
        if !conflicts.is_empty() {
            notes.push(format!(
                "Conflicts: the patients differ in {}. Check that they are one person, or that the study was \
                 under the wrong patient.",
                conflicts.join(", ")
            ));
        }
        if !cleared.is_empty() {
            let names: Vec<String> = cleared.into_iter().collect();
            notes.push(format!("Becomes empty: {}.", names.join(", ")));
        }
        // The plan of the update says less of the target.
        notes.extend(plan.notes.drain(..).filter(|note| !note.contains("with the new PatientID")));
        plan.notes = notes;
        Ok(plan)
    }

    /// Says whether there are image sets of the patient whose ID is set, beside those that are of that patient already.
    pub(super) async fn target_of(
        self,
        values: &Values,
        moved: &[PlannedStudy],
    ) -> Result<Option<String>> {
        let Some(to) = values.patient_id() else { return Ok(None) };
        let Ok(to) = Text::try_from(to) else { return Ok(None) };
        let is_same = |one: &PlannedStudy| {
            one.patient_id.as_deref().is_some_and(|id| id.trim() == to.as_str())
        };
        if moved.iter().any(is_same) {
            return Ok(None);
        }
        let criteria = Criteria::patient(to);
        let found = find::all(self.service, self.datastore_id, &criteria, find::MOST_EXAMINED);
        Ok(Some(match found.await?.image_sets.len() {
            0 => "The data store holds no image set of the patient with the new PatientID."
                .to_owned(),
            count => format!(
                "The patient with the new PatientID exists, with {}; reassign_study also sets the other attributes \
                 of that patient.",
                counted(count, "image set")
            ),
        }))
    }

    async fn first_contents(self, sets: Vec<ImageSetsMetadataSummary>) -> Result<Vec<Contents>> {
        let first = sets.into_iter().take(READ_FOR_VALUES).collect();
        let seen = self.versions_of(first).await?;
        stream::iter(seen)
            .map(|one| Box::pin(self.contents(one.image_set_id, one.version_id)))
            .buffered(FETCHED_AT_ONCE)
            .try_collect()
            .await
    }
}

/// The attributes of a patient in all its image sets; those that are given need not agree.
fn joined(sets: &[Contents], given: &Object) -> Result<Object> {
    let mut found: BTreeMap<&String, BTreeMap<String, &Value>> = BTreeMap::new();
    for (keyword, value) in sets.iter().flat_map(|contents| &contents.patient) {
        if !given.contains_key(keyword) && keyword != PATIENT_ID {
            found.entry(keyword).or_default().insert(value.to_string(), value);
        }
    }
    let mut patient = Object::new();
    let mut disagreeing = Vec::new();
    for (keyword, values) in found {
        let texts: BTreeSet<String> = values.values().map(|value| shown(value)).collect();
        let mut values = values.into_values().filter(|value| !shown(value).is_empty());
        match (texts.iter().filter(|text| !text.is_empty()).count(), values.next()) {
            (0, _) | (_, None) => drop(patient.insert(keyword.clone(), json!(""))),
            (1, Some(value)) => drop(patient.insert(keyword.clone(), value.clone())),
            _ => disagreeing.push(keyword.as_str()),
        }
    }
    if !disagreeing.is_empty() {
        return Err(Error::validation(format!(
            "the image sets of the patient to_patient_id disagree in {}: give them in patient",
            disagreeing.join(", ")
        )));
    }
    Ok(patient)
}

/// Attributes of which both have another value, but for the ID.
fn conflicts(source: &[Contents], patient: &Object) -> Vec<String> {
    let differs = |(keyword, value): &(&String, &Value)| {
        let value = shown(value);
        *keyword != PATIENT_ID
            && !value.is_empty()
            && source.iter().any(|contents| {
                let old = contents.patient.get(*keyword).map(shown).unwrap_or_default();
                !old.is_empty() && old != value
            })
    };
    patient.iter().filter(differs).map(|(keyword, _)| keyword.clone()).collect()
}
