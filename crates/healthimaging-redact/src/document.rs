//! Metadata documents, results of searches and DICOM JSON as they are shown.

use std::io::{Read as _, Write as _};

use dicom_core::VR;
use dicom_dictionary_std::tags;
use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use healthimaging::model::{DicomJson, DicomTags};
use healthimaging::{Error, ErrorKind, Result};
use serde_json::{Map, Value};

use crate::patient::{Patient, patient_id, texts};
use crate::{Redactor, attributes};

/// Longest document, in bytes of JSON; parsed, it takes several times as much memory.
const LONGEST: u64 = 64 << 20;

/// Members of an instance that hold no attribute.
const OF_INSTANCE: [&str; 2] = ["ImageFrames", "StoredTransferSyntaxUID"];

impl Redactor {
    /// Returns a metadata document as it is shown, compressed as it was.
    pub(crate) fn document(&self, packed: &[u8], is_gzip: bool) -> Result<Vec<u8>> {
        let document = read(packed, is_gzip)?;
        let shown = serde_json::to_vec(&self.shown_document(document))
            .map_err(|error| Error::internal("the metadata could not be written", error))?;
        if !is_gzip {
            return Ok(shown);
        }
        let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
        packed
            .write_all(&shown)
            .and_then(|()| packed.finish())
            .map_err(|error| Error::internal("the metadata could not be written", error))
    }

    /// Returns a metadata document as it is shown.
    pub(crate) fn shown_document(&self, mut document: Map<String, Value>) -> Map<String, Value> {
        let taken = |level: Option<&mut Value>| {
            let dicom = level.and_then(|level| level.as_object_mut()?.shift_remove("DICOM"));
            match dicom {
                Some(Value::Object(dicom)) => dicom,
                _ => Map::new(),
            }
        };
        let of_patient = taken(document.get_mut("Patient"));
        let of_study = taken(document.get_mut("Study"));
        let series = document
            .get_mut("Study")
            .and_then(|study| study.as_object_mut()?.shift_remove("Series"));
        let series = match series {
            Some(Value::Object(series)) => series,
            _ => Map::new(),
        };
        let mut values = Vec::new();
        texts(&of_patient, &mut values);
        texts(&of_study, &mut values);
        for one in series.values() {
            texts_of_level(one, &mut values);
        }
        let patient = Patient::new(self, patient_id(&of_patient), values);
        let mut shown_series: Vec<(String, Value)> = series
            .into_iter()
            .filter_map(|(uid, one)| Some((self.uid(&uid)?, self.series(&patient, one)?)))
            .collect();
        // Their order is that of the UIDs.
        shown_series.sort_by(|(one, _), (other, _)| one.cmp(other));
        let mut shown = Map::new();
        for name in ["SchemaVersion", "DatastoreID", "ImageSetID"] {
            if let Some(value) = document.shift_remove(name) {
                shown.insert(name.to_owned(), value);
            }
        }
        let mut study = object("DICOM", patient.attributes(of_study, 0));
        study.insert("Series".to_owned(), shown_series.into_iter().collect());
        shown.insert(
            "Patient".to_owned(),
            object("DICOM", patient.attributes(of_patient, 0)).into(),
        );
        shown.insert("Study".to_owned(), study.into());
        shown
    }

    fn series(&self, patient: &Patient<'_>, series: Value) -> Option<Value> {
        let Value::Object(mut series) = series else { return None };
        let mut shown = Map::new();
        if let Some(Value::Object(dicom)) = series.shift_remove("DICOM") {
            shown.insert("DICOM".to_owned(), patient.attributes(dicom, 0).into());
        }
        if let Some(Value::Object(instances)) = series.shift_remove("Instances") {
            let instances = instances
                .into_iter()
                .filter_map(|(uid, one)| Some((self.uid(&uid)?, instance(patient, one)?)));
            shown.insert("Instances".to_owned(), instances.collect());
        }
        Some(shown.into())
    }

    /// Returns data sets of the DICOM JSON Model as they are shown.
    pub(crate) fn data_sets(&self, data_sets: Vec<DicomJson>) -> Vec<DicomJson> {
        data_sets.into_iter().map(|one| self.data_set(one)).collect()
    }

    fn data_set(&self, data_set: DicomJson) -> DicomJson {
        let mut values = Vec::new();
        texts(&data_set, &mut values);
        let patient = Patient::new(self, patient_id(&data_set), values);
        patient.data_set(data_set, 0)
    }

    /// Returns the attributes of a search result as they are shown.
    pub(crate) fn summary(&self, found: &DicomTags) -> DicomTags {
        let texts = [
            (tags::PATIENT_ID, &found.patient_id),
            (tags::PATIENT_NAME, &found.patient_name),
            (tags::ACCESSION_NUMBER, &found.accession_number),
            (tags::STUDY_ID, &found.study_id),
        ];
        let values = texts
            .into_iter()
            .filter_map(|(tag, value)| Some((tag, attributes::vr(tag), value.as_deref()?)));
        let patient = Patient::new(self, found.patient_id.as_deref(), values);
        let show = |tag, value: &Option<String>| {
            let vr: VR = attributes::vr(tag);
            patient.text(tag, vr, value.as_deref()?)
        };
        DicomTags {
            patient_id: show(tags::PATIENT_ID, &found.patient_id),
            patient_name: show(tags::PATIENT_NAME, &found.patient_name),
            patient_birth_date: show(tags::PATIENT_BIRTH_DATE, &found.patient_birth_date),
            patient_sex: show(tags::PATIENT_SEX, &found.patient_sex),
            study_instance_uid: show(tags::STUDY_INSTANCE_UID, &found.study_instance_uid),
            study_id: show(tags::STUDY_ID, &found.study_id),
            study_description: show(tags::STUDY_DESCRIPTION, &found.study_description),
            number_of_study_related_series: found.number_of_study_related_series,
            number_of_study_related_instances: found.number_of_study_related_instances,
            accession_number: show(tags::ACCESSION_NUMBER, &found.accession_number),
            series_instance_uid: show(tags::SERIES_INSTANCE_UID, &found.series_instance_uid),
            series_modality: show(tags::MODALITY, &found.series_modality),
            series_body_part: show(tags::BODY_PART_EXAMINED, &found.series_body_part),
            series_number: found.series_number,
            study_date: show(tags::STUDY_DATE, &found.study_date),
            study_time: show(tags::STUDY_TIME, &found.study_time),
        }
    }
}

/// Unpacks and parses a metadata document.
pub(crate) fn read(packed: &[u8], is_gzip: bool) -> Result<Map<String, Value>> {
    let unreadable = |cause: std::io::Error| {
        Error::new(ErrorKind::Service, "the metadata is not a whole gzip stream").with_source(cause)
    };
    let mut text = Vec::new();
    if is_gzip {
        let limited = GzDecoder::new(packed).take(LONGEST + 1);
        { limited }.read_to_end(&mut text).map_err(unreadable)?;
    } else {
        text.extend_from_slice(packed);
    }
    if text.len() as u64 > LONGEST {
        return Err(Error::validation("the metadata is too large to be shown with --redact-phi"));
    }
    serde_json::from_slice(&text).map_err(|error| {
        Error::new(ErrorKind::Service, "the metadata is invalid").with_source(error)
    })
}

fn instance(patient: &Patient<'_>, instance: Value) -> Option<Value> {
    let Value::Object(mut instance) = instance else { return None };
    let mut shown = Map::new();
    if let Some(Value::Object(dicom)) = instance.shift_remove("DICOM") {
        shown.insert("DICOM".to_owned(), patient.attributes(dicom, 0).into());
    }
    for name in OF_INSTANCE {
        if let Some(value) = instance.shift_remove(name) {
            shown.insert(name.to_owned(), value);
        }
    }
    Some(shown.into())
}

/// Texts of a level and the levels below it.
fn texts_of_level<'v>(level: &'v Value, to: &mut Vec<(dicom_core::Tag, VR, &'v str)>) {
    let Some(level) = level.as_object() else { return };
    if let Some(dicom) = level.get("DICOM").and_then(Value::as_object) {
        texts(dicom, to);
    }
    if let Some(instances) = level.get("Instances").and_then(Value::as_object) {
        instances.values().for_each(|one| texts_of_level(one, to));
    }
}

fn object(name: &str, value: Map<String, Value>) -> Map<String, Value> {
    std::iter::once((name.to_owned(), Value::Object(value))).collect()
}
