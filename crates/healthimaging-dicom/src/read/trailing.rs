//! The end of the root data set of a file, and what follows its pixel data.

use std::io::{Read, Seek};

use dicom_core::Tag;
use dicom_core::dictionary::DataDictionary;
use dicom_dictionary_std::StandardDataDictionary;

use super::elements::{Close, Place, Walk};
use super::header::{Header, ITEM, read_header};
use super::{ReadError, ReadWarning};

/// How much is read at a time.
const CHUNK: usize = 4096;

impl<S: Read + Seek> Walk<'_, S> {
    /// The next header, or `None` where the root has ended and other bytes begin.
    pub(super) fn next_header(
        &mut self,
        place: &Place,
        previous: Tag,
    ) -> Result<Option<Header>, ReadError> {
        let start = self.stream.position();
        if place.close == Close::File && self.zeros_here()? {
            return self.trailing(start);
        }
        let read = read_header(self.stream, place.encoding, place.end);
        if place.close != Close::File {
            return read.map(Some);
        }
        let trailing = match &read {
            Ok(header) => {
                let left = place.end.saturating_sub(self.stream.position());
                let fits = header.length.is_none_or(|length| length <= left);
                self.found.pixels.is_some() && !(fits && is_element(header, previous))
            }
            Err(ReadError::Io(_)) => false,
            Err(_) => self.found.pixels.is_some(),
        };
        if trailing { self.trailing(start) } else { read.map(Some) }
    }

    /// Whether padding begins here: there is no element (0000,0000) of length 0.
    fn zeros_here(&mut self) -> Result<bool, ReadError> {
        let left = self.stream.left();
        let mut bytes = [0; 8];
        let head = usize::try_from(left).ok().and_then(|left| bytes.get_mut(..left));
        let start = self.stream.position();
        match head {
            Some(short) => self.stream.read_exact(short)?,
            None => self.stream.read_exact(&mut bytes)?,
        }
        self.stream.seek_to(start)?;
        Ok(bytes == [0; 8])
    }

    /// Ends the data set at `start`, before the end of the file.
    fn trailing(&mut self, start: u64) -> Result<Option<Header>, ReadError> {
        self.stream.seek_to(start)?;
        let length = self.stream.left();
        let mut are_zero = true;
        let mut chunk = [0; CHUNK];
        while are_zero && self.stream.left() > 0 {
            let wanted = usize::try_from(self.stream.left()).unwrap_or(CHUNK).min(CHUNK);
            let bytes = chunk.get_mut(..wanted).unwrap_or_default();
            self.stream.read_exact(bytes)?;
            are_zero = bytes.iter().all(|&byte| byte == 0);
        }
        self.warn(ReadWarning::TrailingBytes { position: start, length, are_zero });
        self.stream.seek_to(self.stream.length())?;
        Ok(None)
    }
}

/// Whether a header behind the pixel data is one: in the order of tags, or of an element that is known,
/// or a delimiter that stands alone. Anything else may be bytes that look like it.
fn is_element(header: &Header, previous: Tag) -> bool {
    if header.is_delimiter() {
        return header.tag != ITEM && header.length == Some(0);
    }
    header.tag > previous || StandardDataDictionary.by_tag(header.tag).is_some()
}
