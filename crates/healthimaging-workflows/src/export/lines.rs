//! Files of lines of JSON.

use serde::Serialize;

use healthimaging::Result;
use healthimaging_objects::ObjectWriter;

/// Bytes of lines that are written together.
const TOGETHER: usize = 256 << 10;

/// A file of lines of JSON.
pub(super) struct Lines {
    writing: ObjectWriter,
    waiting: Vec<u8>,
}

impl Lines {
    pub(super) fn of(writing: ObjectWriter) -> Self {
        Self { writing, waiting: Vec::new() }
    }

    pub(super) async fn add<T: Serialize>(&mut self, line: &T) -> Result<()> {
        // These shapes have no map keys or numbers that JSON cannot hold.
        self.waiting.extend(serde_json::to_vec(line).unwrap_or_default());
        self.waiting.push(b'\n');
        if self.waiting.len() < TOGETHER {
            return Ok(());
        }
        let waiting = std::mem::take(&mut self.waiting);
        self.writing.write(waiting.into()).await
    }

    pub(super) async fn finish(mut self) -> Result<()> {
        self.writing.write(self.waiting.into()).await?;
        self.writing.finish().await
    }
}
