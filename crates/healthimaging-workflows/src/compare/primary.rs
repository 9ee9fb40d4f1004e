//! Why an image set is not primary.
//!
//! Image sets of a study are primary if they agree in seven attributes: Patient ID and the four of the study with all
//! primary image sets of the study, Series Number with that of the series.

use std::collections::{BTreeSet, HashSet};

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use healthimaging::model::{DicomTags, ImageSetState, ImageSetsMetadataSummary};
use healthimaging::{DatastoreId, Error, HealthImaging, ImageSetId, Result, Uid};
use healthimaging_dicom::{InstanceSummary, Series};

use super::Version;
use super::resolve::{self, Case};
use crate::document::{Contents, Level};
use crate::find::{self, Criteria, MOST_EXAMINED};

/// The attributes that must agree, with their levels. The UIDs decide with which image sets.
const GROUPING: [(Level, &str); 5] = [
    (Level::Patient, "PatientID"),
    (Level::Study, "StudyDate"),
    (Level::Study, "AccessionNumber"),
    (Level::Study, "StudyID"),
    (Level::Series, "SeriesNumber"),
];

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
    /// Attributes of the patient level that differ, by keyword.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub patient_differs_in: Vec<String>,
    /// Instances that the primary image set has too.
    pub instances_in_both: usize,
    /// Why, and what the calls do.
    pub reason: String,
    /// Calls that make its instances primary and delete it, in order. None if nothing that can be called resolves it.
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
    let primaries = match levels.study_instance_uid().map(Uid::try_from) {
        Some(Ok(study)) => {
            let criteria = Criteria { is_primary: Some(true), ..Criteria::study(study) };
            find::all(service, &set.datastore_id, &criteria, MOST_EXAMINED).await?.image_sets
        }
        _ => Vec::new(),
    };
    let of_series =
        primaries.iter().find(|one| tag(one, |tags| tags.series_instance_uid.as_ref()) == series);
    let is_same_series = of_series.is_some();
    let primary = match of_series.or(primaries.first()) {
        Some(found) => {
            let (datastore_id, id) = (set.datastore_id.clone(), found.image_set_id.clone());
            Some(Version::fetch(service, datastore_id, id, None).await?)
        }
        None => None,
    };
    let found = primary.as_ref();
    let case = Case {
        set,
        primary: found,
        is_same_series,
        conflicts: found.map_or_else(Vec::new, |primary| {
            conflicts(set, primary, is_same_series.then_some(series))
        }),
        patient_differs_in: found.map_or_else(Vec::new, |primary| patient_differs(set, primary)),
        only_here: only_here(set, found),
        disagreeing: disagreeing(&primaries),
        is_busy: [Some(set), found].into_iter().flatten().any(is_locked),
    };
    let (reason, calls) = resolve::resolve(service, &case).await?;
    let instances = levels.instances().count();
    let not_primary = NotPrimary {
        primary_image_set_id: found.map(|primary| primary.properties.image_set_id.clone()),
        is_same_series,
        instances_in_both: instances - case.only_here.len(),
        conflicts: case.conflicts,
        patient_differs_in: case.patient_differs_in,
        reason,
        calls,
    };
    Ok((not_primary, primary))
}

fn is_locked(version: &Version) -> bool {
    version.properties.image_set_state == ImageSetState::Locked
}

/// A value of a summary, trimmed; empty where there is none.
fn tag<'a>(
    set: &'a ImageSetsMetadataSummary,
    of: impl Fn(&'a DicomTags) -> Option<&'a String>,
) -> &'a str {
    set.dicom_tags.as_ref().and_then(of).map_or("", |text| text.trim())
}

/// Returns an attribute of a summary.
type Get = fn(&DicomTags) -> Option<&String>;

/// The attributes of [`GROUPING`] above the series.
const OF_STUDY: [(&str, Get); 4] = [
    ("PatientID", |tags| tags.patient_id.as_ref()),
    ("StudyDate", |tags| tags.study_date.as_ref()),
    ("AccessionNumber", |tags| tags.accession_number.as_ref()),
    ("StudyID", |tags| tags.study_id.as_ref()),
];

/// The attributes in which the primary image sets of a study disagree with each other; updates of single ones do that.
fn disagreeing(primaries: &[ImageSetsMetadataSummary]) -> Vec<&'static str> {
    let differs = |(_, of): &(&str, Get)| {
        primaries.windows(2).any(|pair| tag(&pair[0], of) != tag(&pair[1], of))
    };
    OF_STUDY.into_iter().filter(differs).map(|(name, _)| name).collect()
}

/// The attributes in which an image set disagrees with the primary ones of its study, but for one that is to go: they keep
/// it from becoming primary.
///
/// # Errors
/// Those of a search; `Conflict` if the image set names no study.
pub(crate) async fn obstacles(
    service: &dyn HealthImaging,
    datastore_id: &DatastoreId,
    contents: &Contents,
    except: &ImageSetId,
) -> Result<Vec<&'static str>> {
    let study = contents.study_instance_uid().and_then(|uid| Uid::try_from(uid.trim()).ok());
    let study =
        study.ok_or_else(|| Error::conflict("the metadata of the image set names no study"))?;
    let criteria = Criteria { is_primary: Some(true), ..Criteria::study(study) };
    let found = find::all(service, datastore_id, &criteria, MOST_EXAMINED).await?.image_sets;
    let others: Vec<_> = found.into_iter().filter(|one| one.image_set_id != *except).collect();
    let text = |name: &str| {
        let value = contents.patient.get(name).or_else(|| contents.study.get(name));
        text_of(value)
    };
    let differs = |(name, of): &(&str, Get)| {
        let own = text(name);
        others.iter().any(|other| tag(other, of) != own)
    };
    let mut names: Vec<&str> = OF_STUDY.into_iter().filter(differs).map(|(name, _)| name).collect();
    let series_differs = |(uid, series): (&String, &Series<InstanceSummary>)| {
        let own = text_of(series.attributes.get("SeriesNumber")).parse::<i64>().ok();
        let of_series = others.iter().filter_map(|other| other.dicom_tags.as_ref());
        let mut of_series =
            of_series.filter(|tags| tags.series_instance_uid.as_deref() == Some(uid.as_str()));
        of_series.any(|tags| tags.series_number.map(i64::from) != own)
    };
    if contents.series.iter().any(series_differs) {
        names.push("SeriesNumber");
    }
    Ok(names)
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
    Some(text_of(attributes.get(attribute)))
}

fn text_of(value: Option<&Value>) -> String {
    match value {
        Some(Value::String(text)) => text.trim().to_owned(),
        Some(Value::Null) | None => String::new(),
        Some(other) => other.to_string(),
    }
}

/// Keywords of the patient level of which the two have different values; absent and empty are the same.
fn patient_differs(set: &Version, primary: &Version) -> Vec<String> {
    let (own, other) = (&set.document.levels().patient, &primary.document.levels().patient);
    let keywords: BTreeSet<&String> = own.keys().chain(other.keys()).collect();
    let differs = |keyword: &&String| text_of(own.get(*keyword)) != text_of(other.get(*keyword));
    keywords.into_iter().filter(differs).cloned().collect()
}

/// Series and SOP Instance UIDs of the instances that the primary image set lacks.
fn only_here<'a>(set: &'a Version, primary: Option<&Version>) -> Vec<(&'a str, &'a str)> {
    let held: HashSet<&str> = primary
        .iter()
        .flat_map(|primary| primary.document.levels().series.values())
        .flat_map(|series| series.instances.keys().map(String::as_str))
        .collect();
    let series = set.document.levels().series.iter();
    let all = series.flat_map(|(series, content)| {
        content.instances.keys().map(move |uid| (series.as_str(), uid.as_str()))
    });
    all.filter(|(_, uid)| !held.contains(uid)).collect()
}
