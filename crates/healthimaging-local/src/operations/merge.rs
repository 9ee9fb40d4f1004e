//! What a copy must agree with to join another image set or the primary hierarchy.

use healthimaging::Error;
use healthimaging_dicom::{Attributes, Document, Series};
use rusqlite::Connection;
use serde_json::Value;

use crate::error::{Result, StoreError};
use crate::index::content;
use crate::index::image_sets::{self, Force, ImageSetRow, PrimarySet};
use crate::ingest::content::unpack;

/// The primary image set that instances of `set` belong into; `None` when a new one has to be made.
///
/// Fails with `Conflict` when the set disagrees with the primary sets of its study in one of the
/// attributes that group.
pub(crate) fn primary_place(
    connection: &Connection,
    set: &ImageSetRow,
) -> Result<Option<ImageSetRow>> {
    if set.is_primary {
        return Err(Error::validation("the image set is primary already").into());
    }
    let document = document_of(connection, set)?;
    let conflict = || {
        Error::conflict(
            "the image set disagrees with the primary image sets of its study in StudyDate, \
             AccessionNumber, PatientID, StudyID or SeriesNumber; update it first",
        )
    };
    let mut place = None;
    for series in document.series.keys() {
        let key = document
            .group_key(series)
            .ok_or_else(|| StoreError::Damaged("a series has no group".to_owned()))?;
        let study = &key.study.study_instance_uid;
        for PrimarySet {
            set: primary,
            study,
            series_instance_uid,
        } in image_sets::primaries(connection, set.datastore, study)?
        {
            if study != key.study {
                return Err(conflict().into());
            }
            if series_instance_uid == key.series.series_instance_uid {
                let other = document_of(connection, &primary)?.group_key(series);
                if other.is_some_and(|other| other.series != key.series) {
                    return Err(conflict().into());
                }
                primary.check_unlocked()?;
                place = Some(primary);
            }
        }
    }
    Ok(place)
}

fn document_of(connection: &Connection, set: &ImageSetRow) -> Result<Document> {
    let version = image_sets::version(connection, set.row, set.latest_version.into())?;
    let stored = content::stored(connection, set.row, &version)?
        .ok_or_else(|| StoreError::Damaged("an image set has no metadata".to_owned()))?;
    unpack(&stored)
}

/// `destination` with the instances of `added`.
///
/// Patient, study and series metadata must agree; with force they need not, and the destination's stay.
pub(crate) fn merged(mut destination: Document, added: Document, force: Force) -> Result<Document> {
    if force == Force::No {
        agree("Patient", &destination.patient, &added.patient)?;
        agree("Study", &destination.study, &added.study)?;
    }
    for (uid, series) in added.series {
        let into = series_for(&mut destination, &uid, &series, force)?;
        for (sop, instance) in series.instances {
            if into.instances.insert(sop, instance).is_some() {
                return Err(invalid(
                    "an instance with the same SOPInstanceUID is in SourceImageSet and \
                     DestinationImageSet",
                ));
            }
        }
    }
    Ok(destination)
}

fn series_for<'a>(
    destination: &'a mut Document,
    uid: &str,
    series: &Series,
    force: Force,
) -> Result<&'a mut Series> {
    let only = destination.series.len() == 1;
    let same = destination.series.contains_key(uid);
    let into = match force {
        Force::No => destination.series.get_mut(uid),
        Force::Yes if same => destination.series.get_mut(uid),
        Force::Yes if only => destination.series.values_mut().next(),
        Force::Yes => None,
    };
    let into = into
        .ok_or_else(|| invalid("Series of SourceImageSet and DestinationImageSet don't match."))?;
    if force == Force::No {
        agree("Series", &into.attributes, &series.attributes)?;
    }
    Ok(into)
}

/// Compares attributes, padding and missing ones against empty ones aside.
fn agree(level: &str, one: &Attributes, other: &Attributes) -> Result<()> {
    let value = |attributes: &Attributes, keyword: &str| match attributes.get(keyword) {
        None => Value::Null,
        Some(Value::String(text)) if text.trim().is_empty() => Value::Null,
        Some(Value::String(text)) => Value::String(text.trim().to_owned()),
        Some(value) => value.clone(),
    };
    for keyword in one.keys().chain(other.keys()) {
        if value(one, keyword) != value(other, keyword) {
            return Err(invalid(&format!(
                "{keyword} of the {level} level of SourceImageSet and DestinationImageSet don't \
                 match; use force to keep that of the destination"
            )));
        }
    }
    Ok(())
}

/// The service's own style of such messages, with its two spaces.
fn invalid(message: &str) -> StoreError {
    Error::validation(format!("INVALID_REQUEST:  {message}")).into()
}
