//! Values of a series and its instances: which attributes can be set, and what of them an image set lacks.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use dicom_core::dictionary::{DataDictionary as _, DataDictionaryEntry};
use dicom_dictionary_std::StandardDataDictionary;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use healthimaging::{Error, Result, Uid};
use healthimaging_dicom::{DocumentText, Level};

use super::Object;
use super::attributes::{LONGEST_DOCUMENT, check_values, needs_force, same, shown};
use super::forms::{self, STORED_FORM, Strictness};
use crate::document;
use crate::plan::PlannedChange;

/// Bytes of one update that instances take: the default quota of the service for an update is 10 KB.
const INSTANCES: usize = 9_000;

/// Different old values that a plan shows of an attribute; the rest is counted.
const OLD_VALUES: usize = 10;

/// Attributes that identify an object: no update of a series changes what it is.
const IDENTIFIERS: [&str; 4] =
    ["StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "SOPClassUID"];

/// Attributes in which the instances of a series differ: one value for all of them would destroy their order.
const OF_ONE_INSTANCE: [&str; 4] =
    ["InstanceNumber", "ImagePositionPatient", "SliceLocation", "TemporalPositionIdentifier"];

/// Last group of the elements that describe files, commands and media.
const LAST_GROUP_OF_FILES: u16 = 0x0006;
/// Group of the pixel data.
const PIXELS: u16 = 0x7FE0;

/// Values to set in a series: at the Series level, and in its instances.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SeriesValues {
    /// Which series; none in what stays of a job that has ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    series_instance_uid: Option<Uid>,
    /// The only instance that gets the values of the Instance level; all of the series, if none is named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sop_instance_uid: Option<Uid>,
    /// Series level.
    series: Object,
    /// Instance level.
    instance: Object,
}

/// What an image set lacks of the values.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Lacking {
    /// The next update (`updatableAttributes`).
    pub(super) document: Value,
    /// Whether values of the Series level are among it.
    pub(super) sets_series: bool,
}

impl SeriesValues {
    /// Values that are put where their keywords belong.
    ///
    /// # Errors
    /// `Validation` for nothing to set, a keyword of another level or of none, an attribute that an update must not change,
    /// and a value that the attribute cannot have.
    pub fn new(series: Uid, instance: Option<Uid>, values: Object) -> Result<Self> {
        let mut sorted = Self {
            series_instance_uid: Some(series),
            sop_instance_uid: instance,
            series: Object::new(),
            instance: Object::new(),
        };
        for (keyword, value) in values {
            match settable_level(&keyword)? {
                Level::Series => sorted.series.insert(keyword, value),
                _ => sorted.instance.insert(keyword, value),
            };
        }
        if sorted.series.is_empty() && sorted.instance.is_empty() {
            return Err(Error::validation(
                "there is nothing to set: give at least one attribute, such as SeriesDescription",
            ));
        }
        if sorted.sop_instance_uid.is_some() && sorted.instance.is_empty() {
            return Err(Error::validation(
                "sop_instance_uid selects an instance for attributes of the Instance level, and none is given",
            ));
        }
        check_values(sorted.all())?;
        forms::check_attributes(&sorted.series, Strictness::Form)?;
        forms::check_attributes(&sorted.instance, Strictness::Form)?;
        let size = |values: &Object| json!({ "DICOM": values }).to_string().len();
        // Beside them are the names of the levels, and two UIDs.
        if size(&sorted.series) + size(&sorted.instance) + 300 > LONGEST_DOCUMENT {
            return Err(Error::validation(format!(
                "one update holds {LONGEST_DOCUMENT} bytes at most; set fewer attributes at once"
            )));
        }
        Ok(sorted)
    }

    fn all(&self) -> impl Iterator<Item = (&str, &Value)> {
        let both = self.series.iter().chain(&self.instance);
        both.map(|(keyword, value)| (keyword.as_str(), value))
    }

    /// Whether it sets an attribute.
    pub(super) fn sets(&self, keyword: &str) -> bool {
        self.series.contains_key(keyword) || self.instance.contains_key(keyword)
    }

    /// Refuses one value for all of several instances, of an attribute in which they differ.
    ///
    /// # Errors
    /// `Validation`.
    pub(super) fn check_instances(&self, count: usize) -> Result<()> {
        let keyword = OF_ONE_INSTANCE.iter().find(|keyword| self.instance.contains_key(**keyword));
        match keyword {
            Some(keyword) if self.sop_instance_uid.is_none() && count > 1 => {
                Err(Error::validation(format!(
                    "{keyword} differs between the {count} instances of the series: name one of them by sop_instance_uid"
                )))
            }
            _ => Ok(()),
        }
    }

    /// Whether the service takes them with `force` only.
    pub(super) fn need_force(&self) -> bool {
        self.all().any(|(keyword, _)| needs_force(keyword))
    }

    /// The series.
    ///
    /// # Errors
    /// `Internal` for what stays of a job that has ended.
    pub(super) fn series(&self) -> Result<&Uid> {
        let series = self.series_instance_uid.as_ref();
        series.ok_or_else(|| Error::internal("the job does not name its series", "no series"))
    }

    /// The only instance that gets values.
    pub(super) fn instance(&self) -> Option<&Uid> {
        self.sop_instance_uid.as_ref()
    }

    fn is_for(&self, sop_uid: &str) -> bool {
        let only = self.sop_instance_uid.as_ref();
        !self.instance.is_empty() && only.is_none_or(|only| only.as_str() == sop_uid)
    }

    /// What an image set lacks; `None` if it has all values, and no instance has another one of its own.
    ///
    /// # Errors
    /// `Conflict` if the image set does not hold the series; `Service` if an instance is not in the form of a document.
    pub(super) async fn lacking(&self, document: &Arc<DocumentText>) -> Result<Option<Lacking>> {
        let (values, document) = (self.clone(), Arc::clone(document));
        let bytes = document.text().len();
        document::beside_others(bytes, move || values.find_lacking(&document)).await
    }

    fn find_lacking(&self, document: &DocumentText) -> Result<Option<Lacking>> {
        let uid = self.series()?;
        let series = document.levels().series.get(uid.as_str());
        let series =
            series.ok_or_else(|| Error::conflict("the image set does not hold the series"))?;
        let (mut instances, mut bytes, mut has_own) = (Object::new(), 0, false);
        for (sop_uid, text) in &series.instances {
            let is_for = self.is_for(sop_uid);
            if !is_for && self.series.is_empty() {
                continue;
            }
            let Named { attributes } = text.parse()?;
            has_own |= self.series.keys().any(|keyword| attributes.contains_key(keyword));
            if is_for && !are_in(&self.instance, &attributes) {
                let node = json!({ "DICOM": self.instance });
                let size = sop_uid.len() + node.to_string().len() + 4;
                if instances.is_empty() || bytes + size <= INSTANCES {
                    bytes += size;
                    instances.insert(sop_uid.clone(), node);
                }
            }
        }
        let mut node = Object::new();
        let sets_series =
            !self.series.is_empty() && (has_own || !are_in(&self.series, &series.attributes));
        if sets_series {
            node.insert("DICOM".to_owned(), json!(self.series));
        }
        if !instances.is_empty() {
            node.insert("Instances".to_owned(), json!(instances));
        }
        let document =
            json!({ "SchemaVersion": "1.1", "Study": { "Series": { uid.as_str(): node } } });
        Ok((!node.is_empty()).then_some(Lacking { document, sets_series }))
    }

    /// What the values replace in these documents; attributes that have the value already are left out.
    pub(super) async fn changes(
        &self,
        documents: Vec<Arc<DocumentText>>,
    ) -> Result<Vec<PlannedChange>> {
        let values = self.clone();
        let bytes = documents.iter().map(|document| document.text().len()).sum();
        document::beside_others(bytes, move || values.find_changes(&documents)).await
    }

    fn find_changes(&self, documents: &[Arc<DocumentText>]) -> Result<Vec<PlannedChange>> {
        let mut old: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
        let uid = self.series()?;
        let series = documents.iter().filter_map(|one| one.levels().series.get(uid.as_str()));
        for series in series {
            for keyword in self.series.keys() {
                let value = series.attributes.get(keyword).unwrap_or(&Value::Null);
                old.entry(keyword).or_default().insert(shown(value));
            }
            for (sop_uid, text) in &series.instances {
                let Named { attributes } = text.parse()?;
                for keyword in self.series.keys() {
                    if let Some(own) = attributes.get(keyword) {
                        old.entry(keyword).or_default().insert(shown(own));
                    }
                }
                for keyword in self.instance.keys().filter(|_| self.is_for(sop_uid)) {
                    let value = attributes.get(keyword).unwrap_or(&Value::Null);
                    old.entry(keyword).or_default().insert(shown(value));
                }
            }
        }
        let changes = self.all().map(|(keyword, value)| {
            let from = old.remove(keyword).unwrap_or_default();
            PlannedChange { attribute: keyword.to_owned(), from, to: Some(shown(value)) }
        });
        let is_news =
            |change: &PlannedChange| change.from.iter().any(|old| Some(old) != change.to.as_ref());
        Ok(changes.filter(is_news).map(some).collect())
    }

    /// The names alone.
    pub(super) fn without_values(&self) -> Self {
        let names =
            |values: &Object| values.keys().map(|keyword| (keyword.clone(), Value::Null)).collect();
        Self {
            series_instance_uid: None,
            sop_instance_uid: None,
            series: names(&self.series),
            instance: names(&self.instance),
        }
    }
}

/// The attributes of an instance.
#[derive(Deserialize)]
struct Named {
    #[serde(rename = "DICOM", default)]
    attributes: Object,
}

fn are_in(wanted: &Object, found: &Object) -> bool {
    wanted.iter().all(|(keyword, value)| same(found.get(keyword), value))
}

/// The first old values, and how many there are besides.
fn some(mut change: PlannedChange) -> PlannedChange {
    let beyond = change.from.len().saturating_sub(OLD_VALUES);
    if beyond > 0 {
        change.from = change.from.into_iter().take(OLD_VALUES).collect();
        change.from.insert(format!("and {beyond} other values"));
    }
    change
}

/// The level of a keyword that can be set in a series.
fn settable_level(keyword: &str) -> Result<Level> {
    let Some(tag) = StandardDataDictionary.by_name(keyword).map(DataDictionaryEntry::tag) else {
        return Err(Error::validation(
            "metadata_updates: a key is no keyword of the DICOM standard, such as SeriesDescription; private elements \
             are set with update_image_set_metadata and force",
        ));
    };
    let refuse = |why: &str| Err(Error::validation(format!("{keyword} {why}")));
    if IDENTIFIERS.contains(&keyword) {
        return refuse("says which object it is, and stays as it is");
    }
    if tag.group() <= LAST_GROUP_OF_FILES {
        return refuse("describes the file as it was received, and stays as it is");
    }
    if tag.group() == PIXELS || STORED_FORM.contains(&keyword) {
        return refuse("describes how pixels or text are stored, and stays as it is");
    }
    match Level::of_key(keyword) {
        level @ (Level::Patient | Level::Study) => refuse(&format!(
            "is an attribute of the {} level: update_patient_study_metadata sets it in all image sets of the study",
            level.name()
        )),
        level => Ok(level),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(values: Value) -> Result<SeriesValues> {
        let Value::Object(values) = values else { panic!("not an object") };
        SeriesValues::new("1.2".parse().unwrap(), None, values)
    }

    fn document(laterality: &Value, instances: &Value) -> DocumentText {
        let document = json!({
            "Patient": { "DICOM": {} },
            "Study": { "DICOM": {}, "Series": { "1.2": {
                "DICOM": { "Laterality": laterality }, "Instances": instances
            } } }
        });
        DocumentText::read(document.to_string().into()).unwrap()
    }

    fn instances(count: usize, comments: &Value) -> Value {
        let one = json!({ "DICOM": { "ImageComments": comments } });
        let all = (0..count).map(|number| (format!("1.2.{number:04}"), one.clone()));
        Value::Object(all.collect())
    }

    #[test]
    fn what_is_lacking_comes_in_updates_that_the_service_takes() {
        let values = values(json!({ "Laterality": "L", "ImageComments": "left" })).unwrap();
        let (mut set, mut updates) = (BTreeSet::new(), 0);
        loop {
            let mut all = instances(500, &json!("right"));
            for uid in &set {
                all[uid] = json!({ "DICOM": { "ImageComments": "left " } });
            }
            let laterality = if updates == 0 { json!("R") } else { json!("L") };
            let lacking = values.find_lacking(&document(&laterality, &all)).unwrap();
            let Some(Lacking { document, sets_series }) = lacking else { break };
            assert_eq!(sets_series, updates == 0);
            assert!(document.to_string().len() <= 10_000);
            let series = &document["Study"]["Series"]["1.2"];
            assert_eq!(series["DICOM"].is_object(), updates == 0);
            set.extend(series["Instances"].as_object().unwrap().keys().cloned());
            updates += 1;
        }
        assert_eq!(set.len(), 500);
        assert!(updates > 1);
    }

    #[test]
    fn an_instance_with_a_value_of_its_own_lacks_the_value_of_the_series() {
        let values = values(json!({ "Laterality": "L" })).unwrap();
        let plain = document(&json!("L"), &instances(2, &Value::Null));
        assert_eq!(values.find_lacking(&plain).unwrap(), None);
        let mut own = instances(2, &Value::Null);
        own["1.2.0001"]["DICOM"]["Laterality"] = json!("R");
        let own = document(&json!("L"), &own);
        assert!(values.find_lacking(&own).unwrap().unwrap().sets_series);
        let changes = values.find_changes(&[Arc::new(own)]).unwrap();
        assert_eq!(changes[0].from, BTreeSet::from(["L".to_owned(), "R".to_owned()]));
    }

    #[test]
    fn only_attributes_of_a_series_that_can_change_are_taken() {
        for (wrong, words) in [
            (json!({}), "nothing to set"),
            (json!({ "NoSuchKeyword": "x" }), "no keyword"),
            (json!({ "PatientName": "X" }), "update_patient_study_metadata"),
            (json!({ "StudyDescription": "X" }), "update_patient_study_metadata"),
            (json!({ "SeriesInstanceUID": "1.2" }), "stays as it is"),
            (json!({ "StudyInstanceUID": "1.2" }), "stays as it is"),
            (json!({ "SOPClassUID": "1.2" }), "stays as it is"),
            (json!({ "TransferSyntaxUID": "1.2" }), "the file as it was received"),
            (json!({ "Rows": 7 }), "how pixels"),
            (json!({ "PixelData": "AAAA" }), "how pixels"),
            (json!({ "NumberOfFrames": "7" }), "how pixels"),
            (json!({ "Laterality": "left" }), "Laterality: a value of VR CS"),
            (json!({ "SeriesDate": "20230230" }), "SeriesDate"),
            (json!({ "SeriesDescription": "x".repeat(65) }), "at most 64"),
            (json!({ "SeriesDescription": null }), "must be text"),
            (json!({ "SeriesDescription": {} }), "must be text"),
            (json!({ "ImageComments": "x".repeat(10_241) }), "at most 10240"),
        ] {
            let message = values(wrong.clone()).unwrap_err().message().to_owned();
            assert!(message.contains(words), "{wrong}: {message}");
        }
        let comments = json!({ "Laterality": "L" }).as_object().unwrap().clone();
        let series = || "1.2".parse().unwrap();
        let only = SeriesValues::new(series(), Some("1.2.3".parse().unwrap()), comments);
        assert!(only.unwrap_err().message().contains("sop_instance_uid"));
    }
}
