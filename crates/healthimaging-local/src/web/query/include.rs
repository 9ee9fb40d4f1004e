//! Attributes beyond the usual ones (`includefield`), out of the document.

use dicom_core::dictionary::DataDictionary;
use dicom_dictionary_std::StandardDataDictionary;
use healthimaging::QueryLevel;
use healthimaging::model::DicomJson;
use healthimaging_dicom::{Attributes, Document};

use super::Page;
use super::keys;
use crate::documents::large_attributes;
use crate::error::Result;
use crate::web::metadata::BulkDataUrls;

/// A larger attribute is left out of results, in bytes of memory: in them it takes several times as much.
const LARGEST: usize = 1 << 20;

/// Adds the requested attributes that the result lacks; unknown ones are left out (`PS3.18 §8.3.4.3`), and
/// large ones.
///
/// `at` names series and instance; the first ones, when absent.
pub(super) fn add(
    page: &Page<'_>,
    result: &mut DicomJson,
    set: i64,
    level: QueryLevel,
    at: Option<(&str, &str)>,
) -> Result<()> {
    let fields = &page.request.include_fields;
    let everything = fields.iter().any(|field| field == "all");
    let wanted: Vec<String> = fields.iter().filter_map(|field| tag_of(field)).collect();
    let lacking = wanted.iter().any(|tag| !result.contains_key(tag));
    if !everything && !lacking {
        return Ok(());
    }
    let Some(document) = page.document(set)? else {
        return Ok(());
    };
    let Some((series, sop)) = place(&document, at) else {
        return Ok(());
    };
    let within = tags_up_to(&document, &series, level);
    let large = large_attributes(&document, &series, &sop, LARGEST);
    let large: Vec<String> = large.filter_map(tag_of).collect();
    let holds = |tags: &[String], tag: &str| tags.iter().any(|one| one == tag);
    let more = place_of(page).attributes(&document, &series, &sop, |tag| {
        let of_level = within.as_ref().is_none_or(|tags| holds(tags, tag));
        let fits = of_level && !holds(&large, tag);
        fits && (everything || holds(&wanted, tag)) && !result.contains_key(tag)
    })?;
    page.lease(&more);
    result.extend(more);
    Ok(())
}

pub(super) fn place_of<'a>(page: &'a Page<'_>) -> BulkDataUrls<'a> {
    BulkDataUrls { datastore: &page.request.datastore_id, image_set: None }
}

fn place(document: &Document, at: Option<(&str, &str)>) -> Option<(String, String)> {
    if let Some((series, sop)) = at {
        return Some((series.to_owned(), sop.to_owned()));
    }
    let (uid, series) = document.series.first_key_value()?;
    Some((uid.clone(), series.instances.keys().next()?.clone()))
}

/// Tags of a level and those above; `None` for instances, which show everything.
fn tags_up_to(document: &Document, series: &str, level: QueryLevel) -> Option<Vec<String>> {
    let mut levels: Vec<&Attributes> = vec![&document.patient, &document.study];
    match level {
        QueryLevel::Instance => return None,
        QueryLevel::Series => {
            levels.extend(document.series.get(series).map(|series| &series.attributes));
        }
        QueryLevel::Study => {}
    }
    Some(levels.iter().flat_map(|level| level.keys()).filter_map(|key| tag_of(key)).collect())
}

/// Eight upper-case hexadecimal digits for a keyword or for such digits.
pub(super) fn tag_of(name: &str) -> Option<String> {
    if name.len() == 8 && name.chars().all(|c| c.is_ascii_hexdigit()) {
        return Some(name.to_ascii_uppercase());
    }
    StandardDataDictionary.by_name(name).map(|entry| keys::hex(entry.tag.inner()))
}
