//! Erasing a series or an instance from an image set that holds more, older versions and all; or the older versions alone.
//!
//! The rest, or the latest version, is copied to a new image set, the copy is compared, and only then the old one is deleted. A
//! copy can join the primary hierarchy only when the old set has left it, so it is promoted last. At
//! each moment the rest is in at least one image set.

use healthimaging::{Error, ErrorKind, ImageSetId};
use serde_json::Value;

use super::image_sets::{Copy, Halt, ImageSets, Step as Stepped, deleted_during};
use super::part::{Without, everything, instances_of};
use super::run::{Attempts, Done, Run, changed_since};
use super::update::study_of;
use super::{Action, Step};
use crate::document::Contents;
use crate::find::{self, Criteria};
use crate::work::ItemResult;

impl Run<'_> {
    /// Whether an earlier run has copied the rest, and died before it deleted the image set.
    pub(super) fn is_half_erased(&self, step: &Step) -> bool {
        matches!(step.action, Action::Erase { .. } | Action::Renew { .. } | Action::Replace { .. })
            && self.recorded(&copy_item(step)).is_some()
    }

    /// Puts a copy of the rest in the place of the image set.
    pub(super) async fn erase(
        &self,
        step: &Step,
        primary: bool,
        known: &[ImageSetId],
    ) -> Stepped<Done> {
        let copy = match self.recorded(&copy_item(step)) {
            Some(copy) => copy,
            None => match self.copy_rest(step, known).await? {
                Some(copy) => copy,
                None => return Err(changed_since(&step.image_set_id).into()),
            },
        };
        // From here on stopping half-way would leave the study with a hole, or with two copies.
        let sets = self.sets.finishing();
        self.delete_source(&sets, step, &copy).await?;
        let place = if primary { self.promote(&sets, step, copy).await? } else { copy };
        let done = Done::new(ItemResult::Deleted).with("versions", step.version_id.number());
        Ok(done.with("replaced_by", place.as_str()))
    }

    /// What an earlier run recorded of this step: the copy, or the place of its instances.
    pub(super) fn recorded(&self, item: &str) -> Option<ImageSetId> {
        let outcome = self.journal.outcome_of(item)?;
        if outcome.error.is_some() {
            return None;
        }
        outcome.image_set_id
    }

    /// Copies the rest, and records the copy; nothing when there is no rest to copy any more.
    pub(super) async fn copy_rest(
        &self,
        step: &Step,
        known: &[ImageSetId],
    ) -> Stepped<Option<ImageSetId>> {
        let id = &step.image_set_id;
        let Some(now) = self.sets.unlocked(id).await? else {
            return Ok(None);
        };
        if now.version_id != step.version_id {
            return Ok(None);
        }
        let contents = self.sets.contents(id, &now.version_id).await?;
        let copies_all = matches!(step.action, Action::Renew { .. } | Action::Replace { .. });
        let rest = if copies_all {
            everything(&contents)
        } else {
            let Without::Rest { rest, .. } = self.part()?.taken_from(&contents) else {
                return Ok(None);
            };
            rest
        };
        let criteria = Criteria::study(study_of(&contents)?);
        // A selection has at most 260,000 characters, which name some 3,700 instances.
        let how = Copy { selection: (!copies_all).then_some(&rest), promote: false };
        let mut attempts = Attempts::at(id);
        let copy = loop {
            // One may be there from a killed run, or from a call whose answer was lost.
            if let Some(copy) = self.left_over(&criteria, &rest, known).await? {
                break copy;
            }
            match self.sets.copy(id, &now.version_id, how).await {
                Ok(copy) => break copy,
                Err(halt) => attempts.again(beyond_quota(halt))?,
            }
            // A copy that is being made locks its source, and is found only when it is made.
            self.sets.unlocked(id).await?;
        };
        let sets = self.sets.finishing();
        if !is_whole(&sets, &copy, &rest, &contents).await? {
            sets.delete_own(&copy).await?;
            return Err(Error::new(
                ErrorKind::Service,
                "the copy is not whole; it was deleted again, and the image set is as it was",
            )
            .into());
        }
        let done = Done::new(ItemResult::Copied).with("copied_from", id.as_str());
        self.record_as(copy_item(step), &copy, done).await?;
        Ok(Some(copy))
    }

    /// The copy that a killed run made and could not record.
    async fn left_over(
        &self,
        criteria: &Criteria,
        rest: &Value,
        known: &[ImageSetId],
    ) -> Stepped<Option<ImageSetId>> {
        let (service, datastore) = (self.sets.service, self.sets.datastore_id);
        let found = find::all(service, datastore, criteria, find::MOST_EXAMINED).await?;
        for set in found.image_sets {
            let id = set.image_set_id;
            if set.is_primary == Some(true) || known.contains(&id) {
                continue;
            }
            match content(&self.sets, &id).await {
                Ok(Some(held)) if held == *rest => return Ok(Some(id)),
                Err(Halt::Stopped) => return Err(Halt::Stopped),
                // What cannot be read is no copy of ours.
                Ok(_) | Err(Halt::Failed(_)) => {}
            }
        }
        Ok(None)
    }

    /// Puts the copy into the primary hierarchy and takes it away; the image set that holds its instances
    /// there.
    pub(super) async fn promote(
        &self,
        sets: &ImageSets<'_>,
        step: &Step,
        copy: ImageSetId,
    ) -> Stepped<ImageSetId> {
        let item = place_item(step);
        let place = match self.recorded(&item) {
            Some(place) => place,
            None => promoted(sets, &copy).await.map_err(|halt| not_promoted(halt, &copy))?,
        };
        let done = Done::new(ItemResult::Copied).with("copied_from", copy.as_str());
        self.record_as(item, &place, done).await?;
        // Once it is promoted there are two of it; where the service moved it there is one.
        if place != copy {
            sets.delete_own(&copy).await?;
        }
        Ok(place)
    }

    /// Deletes the image set, unless it has changed since it was copied; where it stays, the copy goes.
    pub(super) async fn delete_source(
        &self,
        sets: &ImageSets<'_>,
        step: &Step,
        copy: &ImageSetId,
    ) -> Stepped<()> {
        let id = &step.image_set_id;
        let mut attempts = Attempts::at(id);
        let refused = loop {
            match sets.unlocked(id).await? {
                None => return Ok(()),
                Some(now) if now.version_id != step.version_id => break changed_since(id),
                Some(_) => {}
            }
            match sets.delete(id).await {
                Ok(()) => return Ok(()),
                Err(halt) => match attempts.again(halt) {
                    Ok(()) => {}
                    Err(Halt::Failed(error)) => break error,
                    Err(Halt::Stopped) => return Err(Halt::Stopped),
                },
            }
        };
        // The copy goes only when it is sure that the image set stays: its deletion may be under way.
        if sets.unlocked(id).await?.is_none() {
            return Ok(());
        }
        sets.delete_own(copy).await?;
        Err(refused.into())
    }
}

/// The primary image set that has taken a copy in.
async fn promoted(sets: &ImageSets<'_>, copy: &ImageSetId) -> Stepped<ImageSetId> {
    let mut attempts = Attempts::at(copy);
    loop {
        let now = sets.unlocked(copy).await?;
        let now = now.ok_or_else(|| deleted_during(copy))?;
        if now.is_primary == Some(true) {
            return Ok(copy.clone());
        }
        let contents = sets.contents(copy, &now.version_id).await?;
        if let Some(place) = primary_place(sets, &contents).await? {
            return Ok(place);
        }
        let how = Copy { selection: None, promote: true };
        match sets.copy(copy, &now.version_id, how).await {
            Ok(place) => return Ok(place),
            // The primary image set that it has to join may be locked for a moment.
            Err(halt) => attempts.again(halt)?,
        }
    }
}

/// The primary image set that holds all instances of another.
async fn primary_place(sets: &ImageSets<'_>, contents: &Contents) -> Stepped<Option<ImageSetId>> {
    let mut criteria = Criteria::study(study_of(contents)?);
    criteria.is_primary = Some(true);
    let found = find::all(sets.service, sets.datastore_id, &criteria, find::MOST_EXAMINED).await?;
    let wanted = instances_of(contents);
    for set in found.image_sets {
        let Some(now) = sets.unlocked(&set.image_set_id).await? else {
            continue;
        };
        let held = sets.contents(&set.image_set_id, &now.version_id).await?;
        if instances_of(&held).is_superset(&wanted) {
            return Ok(Some(set.image_set_id));
        }
    }
    Ok(None)
}

/// The error of a first copy, with what to do about a quota: frames of one copy are 1,000 unless it was raised.
fn beyond_quota(halt: Halt) -> Halt {
    match halt {
        Halt::Failed(error) if error.kind() == ErrorKind::QuotaExceeded => {
            let advice = "nothing was changed. Request a higher quota from AWS (frames of one copy), then call again";
            Halt::Failed(Error::new(error.kind(), format!("{}: {advice}", error.message())))
        }
        other => other,
    }
}

/// The error of a copy that could not be promoted.
fn not_promoted(halt: Halt, copy: &ImageSetId) -> Halt {
    match halt {
        Halt::Stopped => Halt::Stopped,
        Halt::Failed(error) => Halt::Failed(Error::new(
            error.kind(),
            format!(
                "the image set is erased, and what was to stay is safe in image set {copy}, but could not be made \
                 primary: {}. Try copy_image_set with promote_to_primary on it",
                error.message()
            ),
        )),
    }
}

/// The item of the journal under which a copy is recorded.
pub(super) fn copy_item(step: &Step) -> String {
    format!("{}/copy", step.image_set_id)
}

/// The item under which the place of the copy in the primary hierarchy is recorded.
pub(super) fn place_item(step: &Step) -> String {
    format!("{}/primary", step.image_set_id)
}

/// The instances that an image set holds now, as `copiableAttributes` names them; `None` when it is gone.
async fn content(sets: &ImageSets<'_>, id: &ImageSetId) -> Stepped<Option<Value>> {
    let Some(now) = sets.unlocked(id).await? else {
        return Ok(None);
    };
    let contents = sets.contents(id, &now.version_id).await?;
    Ok(Some(everything(&contents)))
}

/// Whether a copy holds these instances, of the same patient and study as the source.
async fn is_whole(
    sets: &ImageSets<'_>,
    copy: &ImageSetId,
    rest: &Value,
    source: &Contents,
) -> Stepped<bool> {
    let Some(now) = sets.unlocked(copy).await? else {
        return Ok(false);
    };
    let held = sets.contents(copy, &now.version_id).await?;
    Ok(everything(&held) == *rest
        && held.patient_id() == source.patient_id()
        && held.study_instance_uid() == source.study_instance_uid())
}
