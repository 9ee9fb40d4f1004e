//! Removing a series or an instance from an image set that holds more.

use healthimaging::Error;
use healthimaging::model::{ImageSetProperties, ImageSetWorkflowStatus};

use super::Step;
use super::image_sets::{NO_REASON, Step as Stepped, Update, deleted_during};
use super::part::Without;
use super::run::{Attempts, Done, Run, changed_since};
use crate::work::ItemResult;

impl Run<'_> {
    /// Removes the part, giving a new version; where it is not there any more nothing is done.
    pub(super) async fn remove(&self, step: &Step) -> Stepped<Done> {
        let (id, part) = (&step.image_set_id, self.part()?);
        let mut attempts = Attempts::at(id);
        loop {
            let sets = self.looking(&attempts);
            let now = sets.unlocked(id).await?;
            let now = now.ok_or_else(|| deleted_during(id))?;
            let contents = sets.contents(id, &now.version_id).await?;
            let removal = match part.taken_from(&contents) {
                // A version that came since the plan is that of an earlier run, or of a write whose answer
                // was lost.
                Without::Same if now.version_id.number() > step.version_id.number() => {
                    return Ok(keeping(Done::new(ItemResult::Removed), &now));
                }
                Without::Same => {
                    return Ok(keeping(Done::new(ItemResult::Unchanged), &now));
                }
                // Its other content was removed since the plan; its older versions were not to be deleted.
                Without::Nothing => return Err(changed_since(id).into()),
                Without::Rest { removal, .. } => removal,
            };
            let update = Update { remove: Some(&removal), ..Update::default() };
            match self.sets.update(id, &now.version_id, update).await {
                Ok(made) => {
                    check_updated(&made)?;
                    return Ok(keeping(Done::new(ItemResult::Removed), &made));
                }
                Err(halt) => attempts.again(halt)?,
            }
        }
    }
}

/// The truth about erasure: every version before this one keeps the part.
fn keeping(done: Done, latest: &ImageSetProperties) -> Done {
    done.with("version_id", latest.version_id.as_str())
        .with("older_versions_keep_it", true)
        .with("older_versions", latest.version_id.number().saturating_sub(1))
}

/// A version that could not be made says so in its status.
pub(super) fn check_updated(made: &ImageSetProperties) -> Stepped<()> {
    if made.image_set_workflow_status != Some(ImageSetWorkflowStatus::UpdateFailed) {
        return Ok(());
    }
    let why = made.message.as_deref().unwrap_or(NO_REASON);
    Err(Error::validation(format!("the service did not make the change (UPDATE_FAILED): {why}"))
        .into())
}
