//! An object that is being written.

use bytes::Bytes;
use healthimaging::{Error, Result};

use crate::bucket::Upload;
use crate::folder::Draft;
use crate::place::blocking;

/// An object that is being written; nobody sees it before it is finished, and then whole.
///
/// Pieces of a large one do not stay in memory. After an error it can only be abandoned.
#[derive(Debug)]
pub struct Writing(Target);

#[derive(Debug)]
enum Target {
    Draft(Option<Draft>),
    Upload(Upload),
}

impl Writing {
    pub(crate) fn draft(draft: Draft) -> Self {
        Self(Target::Draft(Some(draft)))
    }

    pub(crate) fn upload(upload: Upload) -> Self {
        Self(Target::Upload(upload))
    }

    /// Adds a piece.
    pub async fn write(&mut self, piece: Bytes) -> Result<()> {
        match &mut self.0 {
            Target::Upload(upload) => upload.write(piece).await,
            Target::Draft(slot) => {
                let mut draft = slot.take().ok_or_else(broken)?;
                let draft = blocking(move || draft.write(&piece).map(|()| draft)).await?;
                *slot = Some(draft);
                Ok(())
            }
        }
    }

    /// Puts the object in its place; durable when this returns.
    pub async fn finish(self) -> Result<()> {
        match self.0 {
            Target::Upload(upload) => upload.finish().await,
            Target::Draft(draft) => {
                let draft = draft.ok_or_else(broken)?;
                blocking(move || draft.finish()).await
            }
        }
    }

    /// Leaves nothing behind. A draft that is only dropped does so too; an upload in parts does not.
    pub async fn abandon(self) -> Result<()> {
        match self.0 {
            Target::Upload(upload) => upload.abandon().await,
            Target::Draft(draft) => {
                blocking(move || {
                    drop(draft);
                    Ok(())
                })
                .await
            }
        }
    }
}

fn broken() -> Error {
    Error::internal("an object cannot be written on after an error", "broken")
}
