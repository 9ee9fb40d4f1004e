//! What makes the instances of an image set primary: calls that are checked before they are proposed.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde_json::{Map, Value, json};

use healthimaging::model::{MetadataUpdates, UpdateImageSetMetadataRequest};
use healthimaging::{HealthImaging, Result, Uid};

use super::Version;
use super::differences::differences;
use super::primary::Conflict;
use crate::change::planning::{Planner, Reassignment};
use crate::change::{forms, one_update};
use crate::document::Level;
use crate::find::{Criteria, Text};
use crate::plan::counted;

/// The attribute that an update sets only if it is forced.
const FORCED: &str = "StudyID";

/// An image set that is not primary, with what was found.
pub(super) struct Case<'a> {
    pub(super) set: &'a Version,
    /// The primary one of its series, or else of its study.
    pub(super) primary: Option<&'a Version>,
    pub(super) is_same_series: bool,
    pub(super) conflicts: Vec<Conflict>,
    /// Keywords of the patient level that differ.
    pub(super) patient_differs_in: Vec<String>,
    /// Series and SOP Instance UIDs of the instances that the primary one lacks.
    pub(super) only_here: Vec<(&'a str, &'a str)>,
    /// Attributes in which the primary image sets of the study disagree with each other.
    pub(super) disagreeing: Vec<&'static str>,
    /// Whether one of the two is locked.
    pub(super) is_busy: bool,
}

/// Returns why the image set is not primary, and the calls that resolve it; no calls if none can succeed.
///
/// # Errors
/// Those of reading.
pub(super) async fn resolve(
    service: &dyn HealthImaging,
    case: &Case<'_>,
) -> Result<(String, Vec<Value>)> {
    let why = case.why();
    if let Some(obstacle) = case.obstacle() {
        return Ok((format!("{why} {obstacle}"), Vec::new()));
    }
    let Some(primary) = case.primary else {
        let calls = vec![case.promote(0), case.delete()];
        return Ok((format!("{why} The calls make a primary copy and delete this one."), calls));
    };
    let all = case.set.document.levels().instances().count();
    if case.only_here.is_empty() {
        let is_of_another_patient = case.conflicts.iter().any(|one| one.level == Level::Patient);
        if is_of_another_patient && differences(primary, case.set).await?.frames_different > 0 {
            let doubt = "The primary one has instances with the same UIDs, of another patient and with other pixels. Look at both \
                         before one of the two image sets is deleted; no call is proposed.";
            return Ok((format!("{why} {doubt}"), Vec::new()));
        }
        let held = "The primary image set holds all of its instances. The call deletes this image set, with the values and \
                    frames in which it differs from the primary one (see attributes and counts).";
        return Ok((format!("{why} {held}"), vec![case.delete()]));
    }
    let mut calls = Vec::new();
    let (patient, others): (Vec<&Conflict>, Vec<&Conflict>) =
        case.conflicts.iter().partition(|one| one.level == Level::Patient);
    let is_reassigned = !patient.is_empty() || !case.patient_differs_in.is_empty();
    let checked = async {
        if is_reassigned {
            calls.push(case.reassign(service, primary).await?);
        }
        if !others.is_empty() {
            calls.push(case.update(service, &others, calls.len() as u64).await?);
        }
        Ok(())
    };
    if let Err(error) = checked.await {
        let error: healthimaging::Error = error;
        let reason = format!("{why} Nothing that can be called resolves it: {}.", error.message());
        return Ok((reason, Vec::new()));
    }
    calls.push(case.promote(calls.len() as u64));
    calls.push(case.delete());
    let mut reason = why;
    if is_reassigned || !others.is_empty() {
        reason.push_str(
            " The calls set the values of the primary one: if those are wrong, correct the primary one instead.",
        );
    }
    if is_reassigned {
        reason.push_str(" reassign_study acts on all image sets of the study.");
    }
    let held = all - case.only_here.len();
    if held > 0 {
        let note = format!(
            " The primary one has {} of it already; the calls keep those of the primary one.",
            counted(held, "instance")
        );
        reason.push_str(&note);
    }
    reason.push_str(" The last call deletes this image set.");
    Ok((reason, calls))
}

impl Case<'_> {
    /// Why it is not primary, in a sentence.
    fn why(&self) -> String {
        if self.primary.is_none() {
            return "There is no primary image set of its study: it is a copy, or the primary one was \
                    deleted."
                .to_owned();
        }
        let other = if self.is_same_series { "series" } else { "study" };
        if self.conflicts.is_empty() {
            return format!(
                "It agrees with the primary image set of its {other} in all attributes that decide: it is a \
                 copy, or was corrected since."
            );
        }
        let names: Vec<&str> = self.conflicts.iter().map(|one| one.attribute.as_str()).collect();
        let mut why = format!(
            "It differs from the primary image set of its {other} in {}.",
            names.join(", ")
        );
        let beside: Vec<&str> = self
            .patient_differs_in
            .iter()
            .map(String::as_str)
            .filter(|keyword| *keyword != "PatientID")
            .collect();
        if !beside.is_empty() {
            let verb = if beside.len() == 1 { "differs" } else { "differ" };
            let note = format!(" Of the patient, {} {verb} too.", beside.join(", "));
            why.push_str(&note);
        }
        why
    }

    /// What no call of ours resolves.
    fn obstacle(&self) -> Option<String> {
        if self.is_busy {
            return Some(
                "It, or the primary one, is locked by another write: ask again when it is ACTIVE."
                    .to_owned(),
            );
        }
        if self.set.document.levels().series.len() != 1 {
            return Some(
                "It holds several series, which have a primary image set each: copy each series by itself \
                 (copiableAttributes), and ask about the copies."
                    .to_owned(),
            );
        }
        let has_id = |primary: &Version| {
            let id = primary.document.levels().patient.get("PatientID").and_then(Value::as_str);
            id.is_some_and(|id| !id.trim().is_empty())
        };
        if !self.patient_differs_in.is_empty() && !self.primary.is_some_and(has_id) {
            return Some(
                "The primary one has no PatientID, so that no patient can be copied from it: reassign the study with \
                 reassign_study to the right patient first, and ask again."
                    .to_owned(),
            );
        }
        if self.disagreeing.is_empty() {
            return None;
        }
        Some(format!(
            "The primary image sets of its study disagree with each other in {}: nothing can become primary in that \
             study before update_patient_study_metadata or reassign_study sets one value in all of it. Ask again then.",
            self.disagreeing.join(", ")
        ))
    }

    /// Moves the study to the patient of the primary image set, with all attributes of the patient level.
    async fn reassign(&self, service: &dyn HealthImaging, primary: &Version) -> Result<Value> {
        let mut patient = Map::new();
        for (keyword, value) in &primary.document.levels().patient {
            let value = if value.is_null() { json!("") } else { value.clone() };
            patient.insert(keyword.clone(), value);
        }
        let to = patient.shift_remove("PatientID").unwrap_or_default();
        let to = Text::try_from(to.as_str().unwrap_or_default().trim())?;
        let study = self.set.document.levels().study_instance_uid().unwrap_or_default();
        let study = Uid::try_from(study)?;
        let planner = Planner { service, datastore_id: &self.set.datastore_id };
        let reassignment = Reassignment {
            studies: Criteria::study(study.clone()),
            to: to.clone(),
            given: patient.clone(),
        };
        planner.reassignment("", reassignment, "the study was deleted").await?;
        Ok(json!({ "tool": "reassign_study", "arguments": {
            "datastore_id": self.set.datastore_id,
            "study_instance_uid": study,
            "to_patient_id": to,
            "patient": patient,
            "wait_seconds": 60,
        } }))
    }

    /// Sets the values of the primary image set, `later` versions after the one that was read.
    async fn update(
        &self,
        service: &dyn HealthImaging,
        conflicts: &[&Conflict],
        later: u64,
    ) -> Result<Value> {
        let (mut study, mut of_series) = (Map::new(), Map::new());
        for Conflict { level, attribute, primary_value, .. } in conflicts {
            let attributes = if *level == Level::Study { &mut study } else { &mut of_series };
            attributes.insert(attribute.clone(), Value::from(primary_value.as_str()));
        }
        let mut document = json!({ "SchemaVersion": "1.1" });
        if !study.is_empty() {
            document["Study"] = json!({ "DICOM": study });
        }
        if let (false, Some(uid)) =
            (of_series.is_empty(), self.set.document.levels().series.keys().next())
        {
            document["Study"]["Series"] = json!({ uid: { "DICOM": of_series } });
        }
        let properties = &self.set.properties;
        let is_forced = conflicts.iter().any(|one| one.attribute == FORCED);
        let request = UpdateImageSetMetadataRequest {
            datastore_id: self.set.datastore_id.clone(),
            image_set_id: properties.image_set_id.clone(),
            latest_version_id: properties.version_id.clone(),
            force: is_forced,
            include_study_image_sets: false,
            updates: MetadataUpdates::DicomUpdates {
                updatable_attributes: Some(Bytes::from(document.to_string())),
                removable_attributes: None,
            },
        };
        forms::check(&request.updates, is_forced)?;
        one_update::plan(service, &request).await?;
        let mut arguments = json!({
            "datastore_id": self.set.datastore_id,
            "image_set_id": properties.image_set_id,
            "latest_version_id": (properties.version_id.number() + later).to_string(),
            "update_image_set_metadata_updates": {
                "DICOMUpdates": { "updatableAttributes": document }
            },
            "wait_seconds": 60,
        });
        if is_forced {
            arguments["force"] = json!(true);
        }
        Ok(json!({ "tool": "update_image_set_metadata", "arguments": arguments }))
    }

    /// Copies the instances that the primary image set lacks into the primary hierarchy.
    fn promote(&self, later: u64) -> Value {
        let properties = &self.set.properties;
        let mut source =
            json!({ "latestVersionId": (properties.version_id.number() + later).to_string() });
        if self.only_here.len() < self.set.document.levels().instances().count() {
            let mut of_series: BTreeMap<&str, Map<String, Value>> = BTreeMap::new();
            for (series, uid) in &self.only_here {
                of_series.entry(series).or_default().insert((*uid).to_owned(), json!({}));
            }
            let series: Map<String, Value> = of_series
                .into_iter()
                .map(|(uid, instances)| (uid.to_owned(), json!({ "Instances": instances })))
                .collect();
            let document = json!({ "SchemaVersion": "1.1", "Study": { "Series": series } });
            source["DICOMCopies"] = json!({ "copiableAttributes": document.to_string() });
        }
        json!({ "tool": "copy_image_set", "arguments": {
            "datastore_id": self.set.datastore_id,
            "source_image_set_id": properties.image_set_id,
            "copy_image_set_information": { "sourceImageSet": source },
            "promote_to_primary": true,
            "wait_seconds": 60,
        } })
    }

    fn delete(&self) -> Value {
        json!({ "tool": "delete_image_set", "arguments": {
            "datastore_id": self.set.datastore_id,
            "image_set_id": self.set.properties.image_set_id,
            "wait_seconds": 60,
        } })
    }
}
