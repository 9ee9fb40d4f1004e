//! Deleting a whole image set.

use super::Step;
use super::image_sets::Step as Stepped;
use super::part::Without;
use super::run::{Attempts, Done, Run, changed_since};
use crate::work::ItemResult;

impl Run<'_> {
    /// Deletes an image set, with all its versions; one that is gone is deleted.
    pub(super) async fn delete(&self, step: &Step) -> Stepped<Done> {
        let id = &step.image_set_id;
        let mut attempts = Attempts::at(id);
        loop {
            let Some(now) = self.looking(&attempts).unlocked(id).await? else {
                return Ok(Done::new(ItemResult::Deleted));
            };
            if now.version_id != step.version_id && !self.is_still_meant(step).await? {
                return Err(changed_since(id).into());
            }
            match self.sets.delete(id).await {
                Ok(()) => {
                    let versions = now.version_id.number();
                    return Ok(Done::new(ItemResult::Deleted).with("versions", versions));
                }
                Err(halt) => attempts.again(halt)?,
            }
        }
    }

    /// Whether an image set that has changed is still to be deleted as a whole.
    async fn is_still_meant(&self, step: &Step) -> Stepped<bool> {
        let id = &step.image_set_id;
        if !self.is_target(id).await? {
            return Ok(false);
        }
        let Some(part) = &self.change.part else {
            return Ok(true);
        };
        let Some(now) = self.sets.latest(id).await? else {
            return Ok(true);
        };
        let contents = self.sets.contents(id, &now.version_id).await?;
        Ok(part.taken_from(&contents) == Without::Nothing)
    }
}
