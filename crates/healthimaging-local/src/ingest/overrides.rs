//! Header values that an import reads from DICOM JSON files instead of the DICOM files: those of a study
//! apply to all its instances, and those of a series take precedence.

use dicom_dictionary_std::tags;
use healthimaging::{Result, Uid};
use healthimaging_dicom::{DataSet, MetadataOverride};

/// The overrides of a job.
#[derive(Debug, Default)]
pub(crate) struct Overrides(Vec<Override>);

#[derive(Debug)]
struct Override {
    study: Uid,
    series: Option<Uid>,
    values: MetadataOverride,
}

impl Overrides {
    /// Adds a file; `Validation` if it is invalid, without its values.
    pub(crate) fn add(&mut self, study: Uid, series: Option<Uid>, json: &[u8]) -> Result<()> {
        let values = MetadataOverride::parse(json)?;
        self.0.push(Override { study, series, values });
        // Applied in this order: a study's first.
        self.0.sort_by_key(|one| one.series.is_some());
        Ok(())
    }

    /// Puts the values over those of a file; `Validation` when they would change a UID.
    pub(super) fn apply(&self, data_set: &mut DataSet) -> Result<()> {
        let uid = |tag| data_set.text(tag).unwrap_or_default().to_owned();
        let study = uid(tags::STUDY_INSTANCE_UID);
        let series = uid(tags::SERIES_INSTANCE_UID);
        for one in &self.0 {
            let for_series = one.series.as_ref().is_none_or(|uid| uid.as_str() == series);
            if one.study.as_str() == study && for_series {
                one.values.apply(data_set)?;
            }
        }
        Ok(())
    }
}
