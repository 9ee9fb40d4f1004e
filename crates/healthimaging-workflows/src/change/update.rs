//! Setting values: in one image set, or in all primary image sets of a study at once.

use std::collections::BTreeMap;

use healthimaging::{Error, ImageSetId, Uid, VersionId};

use super::Step;
use super::image_sets::{ImageSets, Step as Stepped, Update, deleted_during};
use super::remove::check_updated;
use super::run::{Attempts, Done, Run, changed_since};
use crate::document::Contents;
use crate::find::{self, Criteria};
use crate::work::ItemResult;

impl Run<'_> {
    /// Sets the values in one image set; where they are set already nothing is done.
    pub(super) async fn update(&self, step: &Step) -> Stepped<Done> {
        let (id, values) = (&step.image_set_id, self.values()?);
        let document = values.document();
        let mut attempts = Attempts::at(id);
        loop {
            let sets = self.looking(&attempts);
            let now = sets.unlocked(id).await?;
            let now = now.ok_or_else(|| deleted_during(id))?;
            let contents = sets.contents(id, &now.version_id).await?;
            if values.are_in(&contents) {
                return Ok(as_version(found_done(step, &now.version_id), &now.version_id));
            }
            if attempts.is_first()
                && now.version_id != step.version_id
                && !self.is_target(id).await?
            {
                return Err(changed_since(id).into());
            }
            let update =
                Update { set: Some(&document), force: values.need_force(), ..Update::default() };
            match self.sets.update(id, &now.version_id, update).await {
                Ok(made) => {
                    check_updated(&made)?;
                    return Ok(as_version(ItemResult::Updated, &made.version_id));
                }
                Err(halt) => attempts.again(halt)?,
            }
        }
    }

    /// Sets the values in all primary image sets of a study, in one write: all or none.
    ///
    /// Records the others; what became of the one that the write goes through is returned.
    pub(super) async fn update_study(&self, step: &Step, others: &[ImageSetId]) -> Stepped<Done> {
        let (id, values) = (&step.image_set_id, self.values()?);
        let document = values.document();
        let mut attempts = Attempts::at(id);
        loop {
            let sets = self.looking(&attempts);
            let now = sets.unlocked(id).await?;
            let now = now.ok_or_else(|| deleted_during(id))?;
            let contents = sets.contents(id, &now.version_id).await?;
            let before = primaries(&sets, &contents).await?;
            if now.is_primary != Some(true) || !before.contains_key(id) {
                return Err(changed_since(id).into());
            }
            if self.all_have_values(&sets, &before).await? {
                let result = found_done(step, &now.version_id);
                return self.record_study(id, others, result, before).await;
            }
            if attempts.is_first()
                && now.version_id != step.version_id
                && !self.is_target(id).await?
            {
                return Err(changed_since(id).into());
            }
            let update = Update {
                set: Some(&document),
                force: values.need_force(),
                whole_study: true,
                ..Update::default()
            };
            match self.sets.update(id, &now.version_id, update).await {
                Ok(made) => {
                    check_updated(&made)?;
                    // The study is changed: that is recorded even when the job is cancelled now.
                    let after = primaries(&self.sets.finishing(), &contents).await?;
                    return self.record_study(id, others, ItemResult::Updated, after).await;
                }
                Err(halt) => attempts.again(halt)?,
            }
        }
    }

    async fn all_have_values(
        &self,
        sets: &ImageSets<'_>,
        versions: &BTreeMap<ImageSetId, VersionId>,
    ) -> Stepped<bool> {
        let values = self.values()?;
        for (id, version) in versions {
            if !values.are_in(&sets.contents(id, version).await?) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    async fn record_study(
        &self,
        id: &ImageSetId,
        others: &[ImageSetId],
        result: ItemResult,
        mut versions: BTreeMap<ImageSetId, VersionId>,
    ) -> Stepped<Done> {
        let own = versions.remove(id);
        for other in others {
            if !versions.contains_key(other) {
                self.record(other, Done::failed(&changed_since(other))).await?;
            }
        }
        for (other, version) in &versions {
            self.record(other, as_version(result, version)).await?;
        }
        let own = own.ok_or_else(|| deleted_during(id))?;
        Ok(as_version(result, &own))
    }
}

/// The primary image sets of the study of an image set, none of them locked, with their versions.
async fn primaries(
    sets: &ImageSets<'_>,
    contents: &Contents,
) -> Stepped<BTreeMap<ImageSetId, VersionId>> {
    let mut criteria = Criteria::study(study_of(contents)?);
    criteria.is_primary = Some(true);
    let found = find::all(sets.service, sets.datastore_id, &criteria, find::MOST_EXAMINED);
    let mut primaries = BTreeMap::new();
    for set in found.await?.image_sets {
        if let Some(now) = sets.unlocked(&set.image_set_id).await? {
            primaries.insert(set.image_set_id, now.version_id);
        }
    }
    Ok(primaries)
}

/// Values that are there already: a version that came since the plan is that of an earlier run, or of a
/// write whose answer was lost.
pub(super) fn found_done(step: &Step, latest: &VersionId) -> ItemResult {
    if latest.number() > step.version_id.number() {
        ItemResult::Updated
    } else {
        ItemResult::Unchanged
    }
}

pub(super) fn as_version(result: ItemResult, version: &VersionId) -> Done {
    Done::new(result).with("version_id", version.as_str())
}

/// Study Instance UID (0020,000D) of an image set.
pub(super) fn study_of(contents: &Contents) -> Result<Uid, Error> {
    let missing = || Error::conflict("the metadata of the image set names no study");
    Uid::try_from(contents.study_instance_uid().ok_or_else(missing)?)
}
