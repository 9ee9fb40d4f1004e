//! Where in the primary hierarchy the instances of an image set belong.

use healthimaging::Error;

use crate::catalog::Reader;
use crate::catalog::content;
use crate::catalog::image_sets::{self, ImageSetRow, PrimarySet};
use crate::config::Grouping;
use crate::documents::{OpenDocument, unpack_at_once};
use crate::error::{Result, StoreError};

/// The primary image set that instances of `set` belong into; `None` when a new one has to be made.
///
/// Fails with `Conflict` when the set disagrees with the primary sets of its study in one of the
/// attributes that group.
pub(crate) fn primary_place(
    reader: &Reader,
    set: &ImageSetRow,
    grouping: Grouping,
) -> Result<Option<ImageSetRow>> {
    if set.is_primary {
        return Err(Error::validation("the image set is primary already").into());
    }
    let document = document_of(reader, set)?;
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
        for PrimarySet { set: primary, study, series_instance_uid } in
            image_sets::primaries(reader, set.datastore, study)?
        {
            if study != key.study {
                return Err(conflict().into());
            }
            if series_instance_uid == key.series.series_instance_uid {
                let held = document_of(reader, &primary)?;
                let other = held.group_key(series);
                if other.is_some_and(|other| other.series != key.series) {
                    return Err(conflict().into());
                }
                if grouping == Grouping::Strict
                    && held.strict_group_key(series) != document.strict_group_key(series)
                {
                    return Err(Error::conflict(
                        "the image set disagrees with the primary image set of its series at the \
                         Patient, Study or Series level; update it first",
                    )
                    .into());
                }
                primary.check_unlocked()?;
                place = Some(primary);
            }
        }
    }
    Ok(place)
}

fn document_of(reader: &Reader, set: &ImageSetRow) -> Result<OpenDocument> {
    let stored = content::latest(reader, set)?
        .ok_or_else(|| StoreError::Damaged("an image set has no metadata".to_owned()))?;
    unpack_at_once(&stored)
}
