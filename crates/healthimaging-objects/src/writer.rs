//! Objects while they are written.

use bytes::Bytes;
use healthimaging::{Error, Result};

use crate::bucket::Upload;
use crate::folder::Draft;
use crate::listing::blocking;

/// Writer of an object, which becomes visible as a whole when it is finished.
///
/// A large object is not held in memory. After an error, the writer can only be abandoned.
#[derive(Debug)]
pub struct ObjectWriter(Target);

#[derive(Debug)]
enum Target {
    Draft(Option<Draft>),
    Upload(Upload),
}

impl ObjectWriter {
    pub(crate) fn draft(draft: Draft) -> Self {
        Self(Target::Draft(Some(draft)))
    }

    pub(crate) fn upload(upload: Upload) -> Self {
        Self(Target::Upload(upload))
    }

    /// Appends a piece.
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

    /// Makes the object visible. It is durable when this returns.
    pub async fn finish(self) -> Result<()> {
        match self.0 {
            Target::Upload(upload) => upload.finish().await,
            Target::Draft(draft) => {
                let draft = draft.ok_or_else(broken)?;
                blocking(move || draft.finish()).await
            }
        }
    }

    /// Removes what was written. Dropping the writer does so for a file, not for an upload in parts.
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
    Error::internal("an object cannot be written after an error", "broken")
}
