//! What was found as results in DICOM JSON.

use std::str::FromStr;

use dicom_core::{Tag, VR};
use dicom_dictionary_std::tags;
use healthimaging::model::DicomJson;
use healthimaging::{ATTRIBUTES, Attribute, Matching, QueryLevel, path_segment};
use healthimaging_dicom::{Summary, text_attribute};
use serde_json::{Value, json};

use super::include;
use super::keys;
use super::own;
use super::{Page, Parents};
use crate::catalog::SqlValue;
use crate::catalog::dicom_search::{self, FoundInstance, FoundSet};
use crate::error::Result;
use crate::web::retrieve::available_transfer_syntaxes;

/// A study: the attributes of its image set that changed last, and counts over all of them.
pub(super) fn study(page: &Page<'_>, uid: &str) -> Result<DicomJson> {
    let sets = dicom_search::sets_of_study(page.reader, page.datastore, uid)?;
    let mut result = DicomJson::new();
    if let Some(first) = sets.first() {
        put_summary(&mut result, &first.summary, QueryLevel::Study);
    }
    let modalities = sets.iter().filter_map(|set| set.summary.get("Modality"));
    let mut modalities: Vec<String> = modalities.cloned().collect();
    modalities.sort_unstable();
    modalities.dedup();
    put_modalities(&mut result, &modalities);
    put_online(&mut result);
    let (series, instances) =
        (sets.iter().map(|set| set.series_count), sets.iter().map(|set| set.instance_count));
    put_number(&mut result, tags::NUMBER_OF_STUDY_RELATED_SERIES, VR::IS, series.sum());
    put_number(&mut result, tags::NUMBER_OF_STUDY_RELATED_INSTANCES, VR::IS, instances.sum());
    put_url(&mut result, page, &format!("studies/{}", path_segment(uid)));
    if let Some(set) = sets.first() {
        include::add(page, &mut result, set.row, QueryLevel::Study, None)?;
    }
    Ok(sorted(result))
}

/// A series, which is an image set.
pub(super) fn series(page: &Page<'_>, set: &FoundSet, parents: Parents) -> Result<DicomJson> {
    let mut result = DicomJson::new();
    put_levels(page, &mut result, set, parents)?;
    put_summary(&mut result, &set.summary, QueryLevel::Series);
    let count = tags::NUMBER_OF_SERIES_RELATED_INSTANCES;
    put_number(&mut result, count, VR::IS, set.instance_count);
    let series = set.summary.get("SeriesInstanceUID").map_or("", String::as_str);
    let [study, series] = [&set.study_instance_uid, series].map(path_segment);
    put_url(&mut result, page, &format!("studies/{study}/series/{series}"));
    include::add(page, &mut result, set.row, QueryLevel::Series, None)?;
    Ok(sorted(result))
}

/// An instance.
pub(super) fn instance(
    page: &Page<'_>,
    found: &FoundInstance,
    parents: Parents,
) -> Result<DicomJson> {
    let FoundInstance { set, series_instance_uid: series, sop_instance_uid: sop, .. } = found;
    let mut result = DicomJson::new();
    put_levels(page, &mut result, set, parents)?;
    if parents == Parents::Shown {
        put_summary(&mut result, &set.summary, QueryLevel::Series);
    }
    put(&mut result, tags::SERIES_INSTANCE_UID, text_attribute(VR::UI, series));
    put_instance(&mut result, found);
    put_online(&mut result);
    let uids = [&set.study_instance_uid, series, sop].map(|uid| path_segment(uid));
    let [in_study, in_series, segment] = uids;
    let path = format!("studies/{in_study}/series/{in_series}/instances/{segment}");
    put_url(&mut result, page, &path);
    let at = (series.as_str(), sop.as_str());
    if parents == Parents::Shown && found.has_warning() {
        own::show(page, &mut result, set.row, at)?;
    }
    let everything = page.request.include_fields.iter().any(|field| field == "all");
    if parents == Parents::Named || everything || asks_for(page, keys::AVAILABLE_TRANSFER_SYNTAX) {
        put_transfer_syntaxes(page, &mut result, set.row, at)?;
    }
    include::add(page, &mut result, set.row, QueryLevel::Instance, Some(at))?;
    Ok(sorted(result))
}

/// The levels above: all of the study where it is to be shown, its UID always.
fn put_levels(
    page: &Page<'_>,
    result: &mut DicomJson,
    set: &FoundSet,
    parents: Parents,
) -> Result<()> {
    let study = &set.study_instance_uid;
    if parents == Parents::Shown {
        put_summary(result, &set.summary, QueryLevel::Study);
    }
    put(result, tags::STUDY_INSTANCE_UID, text_attribute(VR::UI, study));
    if asks_for(page, keys::MODALITIES_IN_STUDY) || parents == Parents::Shown {
        let modalities = dicom_search::modalities(page.reader, page.datastore, study)?;
        put_modalities(result, &modalities);
    }
    Ok(())
}

/// Left out where there are none: clients read the first value of it (`PS3.18 §F.2.5` allows this).
fn put_modalities(result: &mut DicomJson, modalities: &[String]) {
    if !modalities.is_empty() {
        put(result, tags::MODALITIES_IN_STUDY, text_attribute(VR::CS, &modalities.join("\\")));
    }
}

/// In which an instance can be retrieved: read from the document, so for all instances of a series or on request.
fn put_transfer_syntaxes(
    page: &Page<'_>,
    result: &mut DicomJson,
    set: i64,
    (series, sop): (&str, &str),
) -> Result<()> {
    let Some(document) = page.document(set)? else {
        return Ok(());
    };
    if let Some(instance) = document.instance(series, sop) {
        let available = available_transfer_syntaxes(instance).join("\\");
        put(result, tags::AVAILABLE_TRANSFER_SYNTAX_UID, text_attribute(VR::UI, &available));
    }
    Ok(())
}

fn asks_for(page: &Page<'_>, named: (Tag, &str)) -> bool {
    page.request.include_fields.iter().any(|name| keys::is(name, named))
}

/// Attributes of one level that every result of it shows.
fn returned(level: QueryLevel) -> impl Iterator<Item = (&'static Attribute, VR)> {
    let returned = ATTRIBUTES.iter().filter(move |one| one.is_returned && one.query_level == level);
    returned.map(|attribute| (attribute, VR::from_str(attribute.vr).unwrap_or(VR::UN)))
}

/// The attributes of a study or series; those without a value are shown empty.
fn put_summary(result: &mut DicomJson, summary: &Summary, level: QueryLevel) {
    for (attribute, vr) in returned(level) {
        let text = summary.get(attribute.keyword).map_or("", String::as_str);
        let number = match attribute.matching {
            Matching::Number => attribute.matching.stored(text).first().cloned(),
            _ => None,
        };
        let number = number.and_then(|number| number.parse().ok());
        let value = number.map_or_else(|| text_attribute(vr, text), |number| numbers(vr, number));
        result.insert(keys::hex_of(attribute), value);
    }
}

/// The attributes of an instance; one that only some have is left out of the others.
fn put_instance(result: &mut DicomJson, found: &FoundInstance) {
    for (attribute, vr) in returned(QueryLevel::Instance) {
        let value = match found.values.get(attribute.keyword) {
            Some(SqlValue::Text(text)) => text_attribute(vr, text),
            Some(SqlValue::Integer(number)) => numbers(vr, *number),
            _ if matches!(attribute.keyword, "WarningReason" | "NumberOfFrames") => continue,
            _ => text_attribute(vr, ""),
        };
        result.insert(keys::hex_of(attribute), value);
    }
}

fn put(result: &mut DicomJson, tag: Tag, value: Value) {
    result.insert(keys::hex(tag), value);
}

fn numbers(vr: VR, number: i64) -> Value {
    json!({ "vr": vr.to_string(), "Value": [number] })
}

fn put_number(result: &mut DicomJson, tag: Tag, vr: VR, number: i64) {
    put(result, tag, numbers(vr, number));
}

/// Everything in the store is online.
fn put_online(result: &mut DicomJson) {
    put(result, tags::INSTANCE_AVAILABILITY, text_attribute(VR::CS, "ONLINE"));
}

fn put_url(result: &mut DicomJson, page: &Page<'_>, path: &str) {
    let url = format!("/datastore/{}/{path}", page.request.datastore_id);
    put(result, tags::RETRIEVE_URL, text_attribute(VR::UR, &url));
}

fn sorted(mut result: DicomJson) -> DicomJson {
    result.sort_keys();
    result
}
