//! Rows of the catalogue as results in DICOM JSON.

use dicom_core::{Tag, VR};
use dicom_dictionary_std::tags;
use healthimaging::model::DicomJson;
use healthimaging_dicom::text_attribute;
use rusqlite::types::ValueRef;
use rusqlite::{Connection, Row};
use serde_json::{Value, json};

use super::include;
use super::keys::{self, KEYS, Level, Matching};
use super::{Page, Parents};
use crate::error::Result;

/// A study: the attributes of its image set that changed last, and what is counted over all of them.
pub(super) fn study(connection: &Connection, page: &Page<'_>, uid: &str) -> Result<DicomJson> {
    let mut statement = connection.prepare_cached(
        "SELECT * FROM image_set
         WHERE datastore = ?1 AND study_instance_uid = ?2 AND +is_primary = 1 AND state <> 'DELETED'
         ORDER BY updated_at DESC, row",
    )?;
    let mut rows = statement.query((page.row, uid))?;
    let mut result = DicomJson::new();
    let (mut modalities, mut series, mut instances) = (Vec::<String>::new(), 0_i64, 0_i64);
    let mut first = None;
    while let Some(row) = rows.next()? {
        if first.is_none() {
            first = Some(row.get::<_, i64>("row")?);
            put_columns(&mut result, row, Level::Study)?;
        }
        modalities.extend(row.get::<_, Option<String>>("modality")?);
        series += row.get::<_, Option<i64>>("series_count")?.unwrap_or(0);
        instances += row.get::<_, Option<i64>>("instance_count")?.unwrap_or(0);
    }
    modalities.sort_unstable();
    modalities.dedup();
    put(&mut result, tags::MODALITIES_IN_STUDY, text_attribute(VR::CS, &modalities.join("\\")));
    put_online(&mut result);
    put_number(&mut result, tags::NUMBER_OF_STUDY_RELATED_SERIES, VR::IS, series);
    put_number(&mut result, tags::NUMBER_OF_STUDY_RELATED_INSTANCES, VR::IS, instances);
    put_url(&mut result, page, &format!("studies/{uid}"));
    if let Some(set) = first {
        include::add(connection, page, &mut result, set, Level::Study, None)?;
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
    put_columns(&mut result, row, Level::Series)?;
    let instances: Option<i64> = row.get("instance_count")?;
    let count = tags::NUMBER_OF_SERIES_RELATED_INSTANCES;
    put_number(&mut result, count, VR::IS, instances.unwrap_or(0));
    put_url(&mut result, page, &format!("studies/{}/series/{}", uids.0, uids.1));
    include::add(connection, page, &mut result, row.get("row")?, Level::Series, None)?;
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
        put_columns(&mut result, row, Level::Series)?;
    }
    let series: String = row.get("own_series")?;
    let sop: String = row.get("sop_instance_uid")?;
    put(&mut result, tags::SERIES_INSTANCE_UID, text_attribute(VR::UI, &series));
    put_columns(&mut result, row, Level::Instance)?;
    put_online(&mut result);
    put_url(&mut result, page, &format!("studies/{study}/series/{series}/instances/{sop}"));
    let at = Some((series.as_str(), sop.as_str()));
    include::add(connection, page, &mut result, row.get("row")?, Level::Instance, at)?;
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
    let series: Option<String> = row.get("series_instance_uid")?;
    if parents == Parents::Shown {
        put_columns(result, row, Level::Study)?;
    }
    put(result, tags::STUDY_INSTANCE_UID, text_attribute(VR::UI, &study));
    if asks_for(page, tags::MODALITIES_IN_STUDY, "ModalitiesInStudy") || parents == Parents::Shown {
        let modalities: Option<String> = connection
            .prepare_cached(
                r"SELECT group_concat(modality, '\') FROM (
                      SELECT DISTINCT modality FROM image_set
                      WHERE datastore = ?1 AND study_instance_uid = ?2 AND +is_primary = 1
                          AND state <> 'DELETED' ORDER BY modality)",
            )?
            .query_row((page.row, &study), |row| row.get(0))?;
        let modalities = modalities.unwrap_or_default();
        put(result, tags::MODALITIES_IN_STUDY, text_attribute(VR::CS, &modalities));
    }
    Ok((study, series.unwrap_or_default()))
}

fn asks_for(page: &Page<'_>, tag: Tag, keyword: &str) -> bool {
    let named = |name: &String| name == keyword || name.eq_ignore_ascii_case(&keys::hex(tag));
    page.request.include_fields.iter().any(named)
}

/// The stored attributes of one level; those without a value are shown empty.
fn put_columns(result: &mut DicomJson, row: &Row<'_>, level: Level) -> Result<()> {
    let shown =
        |key: &&keys::Key| key.level == level && key.matching != Matching::ModalitiesInStudy;
    for key in KEYS.iter().filter(shown) {
        let column = key.column.split('.').next_back().unwrap_or(key.column);
        let value = match row.get_ref(column)? {
            ValueRef::Text(text) => text_attribute(key.vr, &String::from_utf8_lossy(text)),
            ValueRef::Integer(number) => numbers(key.vr, number),
            _ if key.matching == Matching::Warning || column == "number_of_frames" => continue,
            _ => text_attribute(key.vr, ""),
        };
        put(result, key.tag, value);
    }
    Ok(())
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
    let (host, datastore) = (&page.request.host, &page.request.datastore_id);
    let url = format!("{host}/datastore/{datastore}/{path}");
    put(result, tags::RETRIEVE_URL, text_attribute(VR::UR, &url));
}

fn sorted(mut result: DicomJson) -> DicomJson {
    result.sort_keys();
    result
}
