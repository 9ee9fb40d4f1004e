//! Whether there is something to export, before a job is started.

use std::pin::pin;

use futures::{StreamExt as _, TryStreamExt as _, stream};

use healthimaging::model::{
    GetImageSetMetadataRequest, ImageSetsMetadataSummary, SearchDicomRequest, SearchLevel,
};
use healthimaging::{Error, HealthImaging, Result, Uid};

use super::Export;
use super::items::MOST_IMAGE_SETS;
use crate::back_end::BackEnd;
use crate::document::{self, FETCHED_AT_ONCE};
use crate::find::{self, Criteria};

/// Non-primary image sets that are searched for an instance; if there are more, the job finds out.
const MOST_READ: usize = 200;

/// What matches the criteria of an export.
#[derive(Default)]
struct Found {
    /// Whether one is exported.
    is_some: bool,
    /// How many others are not primary, and not asked for.
    left_out: u64,
}

impl Export {
    /// Refuses an export that would write nothing; reads until it finds the first image set.
    ///
    /// # Errors
    /// `NotFound` if nothing matches.
    pub(super) async fn check_matches(&self, back_end: &BackEnd) -> Result<()> {
        let mut criteria = self.criteria.clone();
        let found = self.find_any(back_end, &criteria).await?;
        if !found.is_some {
            return Err(self.nothing_matches(found.left_out));
        }
        let Some(sop) = &self.sop_instance_uid else {
            return Ok(());
        };
        match self.primary_place(back_end, sop).await? {
            Some([study, series]) => {
                let is_other = |asked: &Option<Uid>, held: &Uid| {
                    asked.as_ref().is_some_and(|asked| asked != held)
                };
                if !is_other(&criteria.study_instance_uid, &study)
                    && !is_other(&criteria.series_instance_uid, &series)
                {
                    criteria.study_instance_uid = Some(study);
                    criteria.series_instance_uid = Some(series);
                    if self.find_any(back_end, &criteria).await?.is_some {
                        return Ok(());
                    }
                }
            }
            None if !self.include_non_primary => return Err(no_instance()),
            None => {}
        }
        if self.include_non_primary && self.may_hold(back_end, sop).await? {
            return Ok(());
        }
        Err(self.nothing_matches(0))
    }

    async fn find_any(&self, back_end: &BackEnd, criteria: &Criteria) -> Result<Found> {
        let (service, datastore) = (&*back_end.service, &self.datastore_id);
        let mut summaries = pin!(find::candidates(service, datastore, criteria, MOST_IMAGE_SETS));
        let mut found = Found::default();
        while let Some(summary) = summaries.try_next().await? {
            if !criteria.matches(&summary) {
                continue;
            }
            if self.include_non_primary || find::is_primary(&summary) {
                return Ok(Found { is_some: true, ..found });
            }
            found.left_out += 1;
        }
        Ok(found)
    }

    /// Study and series of an instance of the primary hierarchy.
    pub(super) async fn primary_place(
        &self,
        back_end: &BackEnd,
        sop: &Uid,
    ) -> Result<Option<[Uid; 2]>> {
        let request = SearchDicomRequest {
            filters: vec![("SOPInstanceUID".to_owned(), sop.to_string())],
            limit: Some(1),
            ..SearchDicomRequest::all(self.datastore_id.clone(), SearchLevel::Instances(None, None))
        };
        let found = back_end.dicomweb.search(request).await?;
        let uid = |tag: &str| {
            let values = found.first()?.get(tag)?.get("Value")?;
            Uid::try_from(values.get(0)?.as_str()?.to_owned()).ok()
        };
        Ok(uid("0020000D").zip(uid("0020000E")).map(|(study, series)| [study, series]))
    }

    /// Whether one of the first non-primary image sets that match holds an instance, or there are more.
    async fn may_hold(&self, back_end: &BackEnd, sop: &Uid) -> Result<bool> {
        let (service, datastore) = (&*back_end.service, &self.datastore_id);
        let summaries = find::candidates(service, datastore, &self.criteria, MOST_IMAGE_SETS);
        let is_meant = |summary: &ImageSetsMetadataSummary| {
            !find::is_primary(summary) && self.criteria.matches(summary)
        };
        let summaries = summaries.try_filter(|summary| std::future::ready(is_meant(summary)));
        let first: Vec<_> = summaries.take(MOST_READ + 1).try_collect().await?;
        if first.len() > MOST_READ {
            return Ok(true);
        }
        let held = stream::iter(first).map(async |summary| self.holds(service, summary, sop).await);
        held.buffer_unordered(FETCHED_AT_ONCE).try_any(std::future::ready).await
    }

    async fn holds(
        &self,
        service: &dyn HealthImaging,
        summary: ImageSetsMetadataSummary,
        sop: &Uid,
    ) -> Result<bool> {
        let request = GetImageSetMetadataRequest {
            datastore_id: self.datastore_id.clone(),
            image_set_id: summary.image_set_id,
            version_id: None,
        };
        // One that cannot be read is a failure of the job.
        Ok(document::uids(service, request).await.map_or(true, |held| {
            held.series.values().any(|series| series.instances.contains_key(sop.as_str()))
        }))
    }

    /// The error of an export that finds nothing, with how many image sets match that are not primary.
    pub(super) fn nothing_matches(&self, left_out: u64) -> Error {
        let others = match left_out {
            0 => String::new(),
            some => format!(
                "; {some} image sets that match are not primary: include_non_primary exports them too"
            ),
        };
        let nothing = if self.criteria.is_empty() && self.sop_instance_uid.is_none() {
            "the data store has no image set to export"
        } else {
            "nothing in the data store matches"
        };
        Error::not_found(format!("{nothing}, so nothing was exported{others}"))
    }
}

/// The error of an export of an instance that is not in the primary hierarchy.
pub(super) fn no_instance() -> Error {
    Error::not_found(
        "no primary image set holds the instance, so nothing was exported; include_non_primary looks at the others too",
    )
}
