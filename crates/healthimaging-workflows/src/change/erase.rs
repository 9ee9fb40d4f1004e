//! Erasing a series or an instance from an image set that holds more, older versions and all; or the older versions alone.
//!
//! The rest, or the latest version, is copied to a new image set, the copy is compared, and only then the old one is deleted. A
//! copy can join the primary hierarchy only when the old set has left it, so it is promoted last. At
//! each moment the rest is in at least one image set.

use healthimaging::ImageSetId;

use super::Step;
use super::copies::copy_item;
use super::image_sets::{Halt, ImageSets, Step as Stepped, deleted_during};
use super::run::{Attempts, Done, Run, changed_since};
use crate::work::ItemResult;

impl Run<'_> {
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
            // It may have been made by an earlier run.
            if sets.unlocked(copy).await?.is_none() {
                break deleted_during(copy);
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
