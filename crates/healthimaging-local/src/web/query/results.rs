//! Rows of the catalogue as results in DICOM JSON.

use std::str::FromStr;

use dicom_core::{Tag, VR};
use dicom_dictionary_std::tags;
use healthimaging::model::DicomJson;
use healthimaging::{ATTRIBUTES, Attribute, Matching, QueryLevel, path_segment};
use healthimaging_dicom::{Summary, text_attribute};
use rusqlite::types::ValueRef;
use rusqlite::{Connection, Row};
use serde_json::{Value, json};

use super::include;
use super::keys;
use super::own;
use super::{Page, Parents};
use crate::error::Result;
use crate::index::attributes;
use crate::web::retrieve::available_transfer_syntaxes;

/// A study: the attributes of its image set that changed last, and what is counted over all of them.
pub(super) fn study(connection: &Connection, page: &Page<'_>, uid: &str) -> Result<DicomJson> {
    let of_study = attributes::with_value("StudyInstanceUID");
    let mut statement = connection.prepare_cached(&format!(
        "SELECT image_set.* FROM {of_study} AND image_set.is_primary = 1
         ORDER BY found.updated_at DESC, image_set.row"
    ))?;
    let mut rows = statement.query((page.row, uid))?;
    let mut result = DicomJson::new();
    let (mut modalities, mut series, mut instances) = (Vec::<String>::new(), 0_i64, 0_i64);
    let mut first = None;
    while let Some(row) = rows.next()? {
        if first.is_none() {
            first = Some(row.get::<_, i64>("row")?);
            put_columns(&mut result, row, QueryLevel::Study)?;
        }
        modalities.extend(attributes::summary(row)?.remove("Modality"));
        series += row.get::<_, Option<i64>>("series_count")?.unwrap_or(0);
        instances += row.get::<_, Option<i64>>("instance_count")?.unwrap_or(0);
    }
    modalities.sort_unstable();
    modalities.dedup();
    put_modalities(&mut result, &modalities);
    put_online(&mut result);
    put_number(&mut result, tags::NUMBER_OF_STUDY_RELATED_SERIES, VR::IS, series);
    put_number(&mut result, tags::NUMBER_OF_STUDY_RELATED_INSTANCES, VR::IS, instances);
    put_url(&mut result, page, &format!("studies/{}", path_segment(uid)));
    if let Some(set) = first {
        include::add(connection, page, &mut result, set, QueryLevel::Study, None)?;
    }
    Ok(sorted(result))
}

/// A series, which is an image set.
pub(super) fn series(
    connection: &Connection,
    page: &Page<'_>,
    row: &Row<'_>,
    parents: Parents,
) -> Result<DicomJson> {
    let mut result = DicomJson::new();
    let uids = put_levels(connection, page, &mut result, row, parents)?;
    put_columns(&mut result, row, QueryLevel::Series)?;
    let instances: Option<i64> = row.get("instance_count")?;
    let count = tags::NUMBER_OF_SERIES_RELATED_INSTANCES;
    put_number(&mut result, count, VR::IS, instances.unwrap_or(0));
    put_url(
        &mut result,
        page,
        &format!("studies/{}/series/{}", path_segment(&uids.0), path_segment(&uids.1)),
    );
    include::add(connection, page, &mut result, row.get("row")?, QueryLevel::Series, None)?;
    Ok(sorted(result))
}

/// An instance.
pub(super) fn instance(
    connection: &Connection,
    page: &Page<'_>,
    row: &Row<'_>,
    parents: Parents,
) -> Result<DicomJson> {
    let mut result = DicomJson::new();
    let (study, _) = put_levels(connection, page, &mut result, row, parents)?;
    if parents == Parents::Shown {
        put_columns(&mut result, row, QueryLevel::Series)?;
    }
    let series: String = row.get("own_series")?;
    let sop: String = row.get("sop_instance_uid")?;
    put(&mut result, tags::SERIES_INSTANCE_UID, text_attribute(VR::UI, &series));
    put_columns(&mut result, row, QueryLevel::Instance)?;
    put_online(&mut result);
    let [in_study, in_series, segment] = [&study, &series, &sop].map(|uid| path_segment(uid));
    let path = format!("studies/{in_study}/series/{in_series}/instances/{segment}");
    put_url(&mut result, page, &path);
    if parents == Parents::Shown && row.get::<_, Option<u16>>("warning_reason")?.is_some() {
        own::show(connection, page, &mut result, row.get("row")?, (&series, &sop))?;
    }
    let (set, at) = (row.get("row")?, (series.as_str(), sop.as_str()));
    let everything = page.request.include_fields.iter().any(|field| field == "all");
    if parents == Parents::Named || everything || asks_for(page, keys::AVAILABLE_TRANSFER_SYNTAX) {
        put_transfer_syntaxes(connection, page, &mut result, set, at)?;
    }
    include::add(connection, page, &mut result, set, QueryLevel::Instance, Some(at))?;
    Ok(sorted(result))
}

/// The levels above: all of the study where it is to be shown, its UID always.
fn put_levels(
    connection: &Connection,
    page: &Page<'_>,
    result: &mut DicomJson,
    row: &Row<'_>,
    parents: Parents,
) -> Result<(String, String)> {
    let study: String = row.get::<_, Option<String>>("study_instance_uid")?.unwrap_or_default();
    let series = attributes::summary(row)?.remove("SeriesInstanceUID");
    if parents == Parents::Shown {
        put_columns(result, row, QueryLevel::Study)?;
    }
    put(result, tags::STUDY_INSTANCE_UID, text_attribute(VR::UI, &study));
    if asks_for(page, keys::MODALITIES_IN_STUDY) || parents == Parents::Shown {
        let of_study = attributes::with_value("StudyInstanceUID");
        let modalities: Vec<String> = connection
            .prepare_cached(&format!(
                "SELECT DISTINCT image_set.summary ->> 'Modality' AS modality FROM {of_study}
                     AND image_set.is_primary = 1 AND modality IS NOT NULL ORDER BY modality"
            ))?
            .query_map((page.row, &study), |row| row.get(0))?
            .collect::<rusqlite::Result<_>>()?;
        put_modalities(result, &modalities);
    }
    Ok((study, series.unwrap_or_default()))
}

/// Left out where there are none: clients read the first value of it (`PS3.18 §F.2.5` allows this).
fn put_modalities(result: &mut DicomJson, modalities: &[String]) {
    if !modalities.is_empty() {
        put(result, tags::MODALITIES_IN_STUDY, text_attribute(VR::CS, &modalities.join("\\")));
    }
}

/// In which an instance can be retrieved: read from the document, so for all instances of a series or on request.
fn put_transfer_syntaxes(
    connection: &Connection,
    page: &Page<'_>,
    result: &mut DicomJson,
    set: i64,
    (series, sop): (&str, &str),
) -> Result<()> {
    let Some(document) = page.document(connection, set)? else {
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

/// The stored attributes of one level; those without a value are shown empty.
fn put_columns(result: &mut DicomJson, row: &Row<'_>, level: QueryLevel) -> Result<()> {
    let summary =
        if level == QueryLevel::Instance { Summary::new() } else { attributes::summary(row)? };
    let shown = |attribute: &&Attribute| attribute.is_returned && attribute.query_level == level;
    for attribute in ATTRIBUTES.iter().filter(shown) {
        let vr = VR::from_str(attribute.vr).unwrap_or(VR::UN);
        let value = if let Some(column) = keys::column(attribute) {
            of_instance(row, column, vr)?
        } else {
            let text = summary.get(attribute.keyword).map_or("", String::as_str);
            let number = match attribute.matching {
                Matching::Number => attribute.matching.stored(text).first().cloned(),
                _ => None,
            };
            let number = number.and_then(|number| number.parse().ok());
            Some(number.map_or_else(|| text_attribute(vr, text), |number| numbers(vr, number)))
        };
        if let Some(value) = value {
            result.insert(keys::hex_of(attribute), value);
        }
    }
    Ok(())
}

/// An attribute of an instance; one that only some have is left out of the others.
fn of_instance(row: &Row<'_>, column: &str, vr: VR) -> Result<Option<Value>> {
    let column = column.split('.').next_back().unwrap_or(column);
    Ok(match row.get_ref(column)? {
        ValueRef::Text(text) => Some(text_attribute(vr, &String::from_utf8_lossy(text))),
        ValueRef::Integer(number) => Some(numbers(vr, number)),
        _ if matches!(column, "warning_reason" | "number_of_frames") => None,
        _ => Some(text_attribute(vr, "")),
    })
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

/// Everything in the store can be had at once.
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
