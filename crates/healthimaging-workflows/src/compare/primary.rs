//! Why an image set is not primary.
//!
//! Image sets of a study are primary if they agree in seven attributes: Patient ID and the four of the study with all
//! primary image sets of the study, Series Number with that of the series.

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value, json};

use healthimaging::model::ImageSetsMetadataSummary;
use healthimaging::{DatastoreId, Error, HealthImaging, ImageSetId, Result, Uid};

use super::Version;
use crate::document::Level;
use crate::find::{self, Criteria, MOST_EXAMINED};

/// The attributes that must agree, with their levels. The UIDs decide with which image sets.
const GROUPING: [(Level, &str); 5] = [
    (Level::Patient, "PatientID"),
    (Level::Study, "StudyDate"),
    (Level::Study, "AccessionNumber"),
    (Level::Study, "StudyID"),
    (Level::Series, "SeriesNumber"),
];

/// The attribute that an update sets only if it is forced.
const FORCED: &str = "StudyID";

/// Why an image set is not primary, and what makes it so.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[schemars(inline)]
pub struct NotPrimary {
    /// The primary image set that it is compared with: of its series, or else of its study.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub primary_image_set_id: Option<ImageSetId>,
    /// Whether that one is of the same series.
    pub is_same_series: bool,
    /// Attributes in which they have to agree and do not.
    pub conflicts: Vec<Conflict>,
    /// Instances that the primary image set has too; the copy that is made primary replaces them.
    pub instances_in_both: usize,
    /// Why, in a sentence.
    pub reason: String,
    /// Calls that make it primary, in order.
    pub calls: Vec<Value>,
}

/// An attribute that conflicts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(inline)]
pub struct Conflict {
    /// Its level.
    pub level: Level,
    /// Its keyword.
    pub attribute: String,
    /// Value of the image set; empty where it has none.
    pub value: String,
    /// Value of the primary image set; empty where it has none.
    pub primary_value: String,
}

/// Compares an image set with the primary ones of its series and study. The second value is the primary one that it was
/// compared with.
///
/// # Errors
/// `Validation` for a primary image set.
pub async fn not_primary(
    service: &dyn HealthImaging,
    set: &Version,
) -> Result<(NotPrimary, Option<Version>)> {
    if set.properties.is_primary == Some(true) {
        return Err(Error::validation(
            "the image set is primary; to compare it, name version_id, other_image_set_id or \
             other_datastore_id",
        ));
    }
    let levels = set.document.levels();
    let series = levels.series.keys().next().map(String::as_str).unwrap_or_default();
    let of_series = match Uid::try_from(series) {
        Ok(series) => primary_of(service, &set.datastore_id, Criteria::series(series)).await?,
        Err(_) => None,
    };
    let is_same_series = of_series.is_some();
    let found = match (of_series, levels.study_instance_uid().map(Uid::try_from)) {
        (None, Some(Ok(study))) => {
            primary_of(service, &set.datastore_id, Criteria::study(study)).await?
        }
        (found, _) => found,
    };
    let Some(found) = found else {
        let reason = "There is no primary image set of its study: it is a copy, or the primary one \
                      was deleted.";
        let not_primary = NotPrimary {
            primary_image_set_id: None,
            is_same_series: false,
            conflicts: Vec::new(),
            instances_in_both: 0,
            reason: reason.to_owned(),
            calls: calls(set, &[]),
        };
        return Ok((not_primary, None));
    };
    let id = found.image_set_id;
    let primary = Version::fetch(service, set.datastore_id.clone(), id, None).await?;
    let conflicts = conflicts(set, &primary, is_same_series.then_some(series));
    let instances_in_both = in_both(set, &primary);
    let reason = reason(&conflicts, is_same_series, instances_in_both);
    let not_primary = NotPrimary {
        primary_image_set_id: Some(primary.properties.image_set_id.clone()),
        is_same_series,
        calls: calls(set, &conflicts),
        conflicts,
        instances_in_both,
        reason,
    };
    Ok((not_primary, Some(primary)))
}

async fn primary_of(
    service: &dyn HealthImaging,
    datastore_id: &DatastoreId,
    mut criteria: Criteria,
) -> Result<Option<ImageSetsMetadataSummary>> {
    criteria.is_primary = Some(true);
    let found = find::all(service, datastore_id, &criteria, MOST_EXAMINED).await?;
    Ok(found.image_sets.into_iter().next())
}

fn conflicts(set: &Version, primary: &Version, series: Option<&str>) -> Vec<Conflict> {
    let conflicting = |(level, attribute): &(Level, &str)| {
        let value = value_at(set, *level, series, attribute)?;
        let primary_value = value_at(primary, *level, series, attribute)?;
        (value != primary_value).then(|| Conflict {
            level: *level,
            attribute: (*attribute).to_owned(),
            value,
            primary_value,
        })
    };
    GROUPING.iter().filter_map(conflicting).collect()
}

/// A value without padding; `None` of a level that is not compared.
fn value_at(set: &Version, level: Level, series: Option<&str>, attribute: &str) -> Option<String> {
    let levels = set.document.levels();
    let attributes = match level {
        Level::Patient => &levels.patient,
        Level::Study => &levels.study,
        _ => &levels.series.get(series?)?.attributes,
    };
    Some(match attributes.get(attribute) {
        Some(Value::String(text)) => text.trim().to_owned(),
        Some(Value::Null) | None => String::new(),
        Some(other) => other.to_string(),
    })
}

fn in_both(set: &Version, primary: &Version) -> usize {
    let of_primary = &primary.document.levels().series;
    let held = |(uid, series): (&String, &healthimaging_dicom::Series<_>)| {
        let Some(other) = of_primary.get(uid) else { return 0 };
        series.instances.keys().filter(|uid| other.instances.contains_key(*uid)).count()
    };
    set.document.levels().series.iter().map(held).sum()
}

fn reason(conflicts: &[Conflict], is_same_series: bool, instances_in_both: usize) -> String {
    let other = if is_same_series { "series" } else { "study" };
    if conflicts.is_empty() {
        let held = match instances_in_both {
            0 => "",
            _ => " The primary one has instances of it already.",
        };
        return format!(
            "It agrees with the primary image set of its {other} in all attributes that decide: it is a \
             copy, or was corrected since.{held}"
        );
    }
    let names: Vec<&str> = conflicts.iter().map(|one| one.attribute.as_str()).collect();
    format!(
        "It differs from the primary image set of its {other} in {}. The calls set the values of the primary one: if \
         those are wrong, correct the primary one instead.",
        names.join(", ")
    )
}

/// The calls that make an image set primary: an update of what conflicts, and a copy that is promoted.
fn calls(set: &Version, conflicts: &[Conflict]) -> Vec<Value> {
    let mut version = set.properties.version_id.number();
    let mut calls = Vec::new();
    if !conflicts.is_empty() {
        let (mut patient, mut study, mut of_series) = (Map::new(), Map::new(), Map::new());
        for Conflict { level, attribute, primary_value, .. } in conflicts {
            let attributes = match level {
                Level::Patient => &mut patient,
                Level::Study => &mut study,
                _ => &mut of_series,
            };
            attributes.insert(attribute.clone(), Value::from(primary_value.as_str()));
        }
        let mut document = json!({ "SchemaVersion": "1.1" });
        if !patient.is_empty() {
            document["Patient"] = json!({ "DICOM": patient });
        }
        if !study.is_empty() {
            document["Study"] = json!({ "DICOM": study });
        }
        if let (false, Some(uid)) =
            (of_series.is_empty(), set.document.levels().series.keys().next())
        {
            document["Study"]["Series"] = json!({ uid: { "DICOM": of_series } });
        }
        let mut arguments = json!({
            "datastore_id": set.datastore_id,
            "image_set_id": set.properties.image_set_id,
            "latest_version_id": set.properties.version_id,
            "update_image_set_metadata_updates": {
                "DICOMUpdates": { "updatableAttributes": document }
            },
            "wait_seconds": 60,
        });
        if conflicts.iter().any(|one| one.attribute == FORCED) {
            arguments["force"] = json!(true);
        }
        calls.push(json!({ "tool": "update_image_set_metadata", "arguments": arguments }));
        version += 1;
    }
    calls.push(json!({ "tool": "copy_image_set", "arguments": {
        "datastore_id": set.datastore_id,
        "source_image_set_id": set.properties.image_set_id,
        "copy_image_set_information": {
            "sourceImageSet": { "latestVersionId": version.to_string() }
        },
        "promote_to_primary": true,
        "wait_seconds": 60,
    } }));
    calls
}
