//! Removing a series or an instance from an image set that holds more.

use healthimaging::model::{ImageSetProperties, ImageSetWorkflowStatus};
use healthimaging::{Error, ErrorKind};

use super::Step;
use super::image_sets::{Halt, NO_REASON, Step as Stepped, Update, deleted_meanwhile};
use super::part::Without;
use super::run::{ATTEMPTS, Done, Run, changed_since, restless};
use crate::work::ItemResult;

impl Run<'_> {
    /// Removes the part, giving a new version; where it is not there any more nothing is done.
    pub(super) async fn remove(&self, step: &Step) -> Stepped<Done> {
        let (id, part) = (&step.image_set_id, self.part()?);
        for _ in 0..ATTEMPTS {
            let now = self.sets.unlocked(id).await?;
            let now = now.ok_or_else(|| deleted_meanwhile(id))?;
            let contents = self.sets.contents(id, &now.version_id).await?;
            let removal = match part.taken_from(&contents) {
                Without::Same => {
                    return Ok(keeping(Done::new(ItemResult::Unchanged), &now));
                }
                // What else it held went away meanwhile; its older versions were not meant to go.
                Without::Nothing => return Err(changed_since(id).into()),
                Without::Rest { removal, .. } => removal,
            };
            let update = Update {
                remove: Some(&removal),
                ..Update::default()
            };
            match self.sets.update(id, &now.version_id, update).await {
                Ok(made) => {
                    check_updated(&made)?;
                    return Ok(keeping(Done::new(ItemResult::Removed), &made));
                }
                Err(Halt::Failed(error)) if error.kind() == ErrorKind::Conflict => {}
                Err(halt) => return Err(halt),
            }
        }
        Err(restless(id).into())
    }
}

/// The truth about erasure: every version before this one keeps the part.
fn keeping(done: Done, latest: &ImageSetProperties) -> Done {
    done.with("version_id", latest.version_id.as_str())
        .with("older_versions_keep_it", true)
        .with(
            "older_versions",
            latest.version_id.number().saturating_sub(1),
        )
}

/// A version that could not be made says so in its status.
pub(super) fn check_updated(made: &ImageSetProperties) -> Stepped<()> {
    if made.image_set_workflow_status != Some(ImageSetWorkflowStatus::UpdateFailed) {
        return Ok(());
    }
    let why = made.message.as_deref().unwrap_or(NO_REASON);
    Err(Error::validation(format!(
        "the service did not make the change (UPDATE_FAILED): {why}"
    ))
    .into())
}
