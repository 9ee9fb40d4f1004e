//! What an instance has otherwise than its image set: its result shows its own.

use healthimaging::model::DicomJson;

use super::Page;
use super::include::{place_of, tag_of};
use crate::error::Result;

/// Puts the instance's own values in the place of those of the image set, and none where it has none.
///
/// Only instances with a warning can differ: others need not be looked at.
pub(super) fn show(
    page: &Page<'_>,
    result: &mut DicomJson,
    set: i64,
    (series, sop): (&str, &str),
) -> Result<()> {
    let Some(document) = page.document(set)? else {
        return Ok(());
    };
    let differing = document.differing(series, sop).into_iter();
    let differing: Vec<String> = differing.filter_map(tag_of).collect();
    if differing.is_empty() {
        return Ok(());
    }
    let is_own = |tag: &str| result.contains_key(tag) && differing.iter().any(|one| one == tag);
    let mut all = place_of(page).attributes(&document, series, sop, is_own)?;
    for tag in differing {
        let Some(shown) = result.get_mut(&tag) else {
            continue;
        };
        match all.remove(&tag) {
            Some(own) => *shown = own,
            None => {
                if let Some(attribute) = shown.as_object_mut() {
                    attribute.remove("Value");
                }
            }
        }
    }
    Ok(())
}
