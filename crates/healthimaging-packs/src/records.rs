//! What packs hold, without a catalog: the records of a file, and whether a pack is on the disk.

use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::Path;

use crate::blob::PackId;
use crate::error::{Error, Result};
use crate::folder::{MAGIC, PackFolder, RECORD_HEADER};
use crate::verify::number;

impl PackFolder {
    /// Whether a pack is on the disk, in its place or in `incoming`.
    pub fn is_there(&self, id: &PackId) -> bool {
        self.path(id).exists() || self.incoming_path(id).exists()
    }

    /// Visits length and CRC-32 of each record of a file, as its headers have them; none if it is not a pack.
    pub fn records_of(&self, path: &Path, visit: &mut dyn FnMut(u64, u32)) -> Result<()> {
        let unreadable = || Error::file("read", path);
        let mut file = self.files.open(path).map_err(|error| Error::opening(error, path))?;
        let end = file.length().map_err(unreadable())?;
        let mut magic = [0; MAGIC.len()];
        if end < magic.len() as u64 {
            return Ok(());
        }
        file.read_exact(&mut magic).map_err(unreadable())?;
        if magic != *MAGIC {
            return Ok(());
        }
        let mut position = magic.len() as u64;
        let mut header = [0; RECORD_HEADER];
        while end.saturating_sub(position) >= header.len() as u64 {
            file.seek(SeekFrom::Start(position)).map_err(unreadable())?;
            file.read_exact(&mut header).map_err(unreadable())?;
            let (length, crc32) = (number(&header[..8]), number(&header[8..12]));
            visit(length, u32::try_from(crc32).unwrap_or(u32::MAX));
            position = (position + header.len() as u64).saturating_add(length);
        }
        Ok(())
    }
}
