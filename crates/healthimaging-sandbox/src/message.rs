//! Messages between a server and its children over two pipes: a length, a header in JSON, bytes.

use std::borrow::Cow;
use std::io::{self, Read, Write};

use healthimaging_pixels::{
    CodecError, FrameShape, PdfError, PdfPart, PlanarConfiguration, SourceFrame,
};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// Written by a child as soon as it can decode; one that ends before did not start.
pub(crate) const READY: &[u8] = b"decoder ready\n";

/// The longest header.
const LONGEST_HEADER: u32 = 64 << 10;

/// A frame to be decoded; its bytes follow.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Request<'a> {
    pub(crate) transfer_syntax: Cow<'a, str>,
    pub(crate) shape: FrameShape,
    pub(crate) photometric: Cow<'a, str>,
    pub(crate) planar: PlanarConfiguration,
    pub(crate) length: u64,
}

impl<'a> Request<'a> {
    pub(crate) fn of(source: &SourceFrame<'a>) -> Self {
        Self {
            transfer_syntax: source.transfer_syntax.into(),
            shape: source.shape,
            photometric: source.photometric.into(),
            planar: source.planar,
            length: source.data.len() as u64,
        }
    }

    pub(crate) fn source(&'a self, data: &'a [u8]) -> SourceFrame<'a> {
        SourceFrame {
            transfer_syntax: &self.transfer_syntax,
            shape: self.shape,
            photometric: &self.photometric,
            planar: self.planar,
            data,
        }
    }
}

/// What a child is asked for; bytes follow.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Task<'a> {
    /// A frame to be decoded.
    Frame(Request<'a>),
    /// A PDF document of so many bytes to be read.
    Pdf(PdfPart, u64),
}

/// The outcome for a PDF document; texts as JSON and pixels follow, if there are any.
pub(crate) type PdfResponse = Result<PdfHeader, PdfError>;

/// What was read of a PDF document.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct PdfHeader {
    pub(crate) page_count: u32,
    pub(crate) texts_length: u64,
    /// Rows and columns of the picture.
    pub(crate) size: Option<(u32, u32)>,
}

/// The outcome; the pixels follow, if there are any.
pub(crate) type Response = Result<Pixels, CodecError>;

/// Pixels that follow.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Pixels {
    pub(crate) photometric: String,
    pub(crate) length: u64,
}

/// Writes a header and the bytes that belong to it.
pub(crate) fn write(to: &mut impl Write, header: &impl Serialize, bytes: &[u8]) -> io::Result<()> {
    let header = serde_json::to_vec(header)?;
    let length = u32::try_from(header.len()).map_err(|_| io::ErrorKind::InvalidInput)?;
    to.write_all(&[&length.to_le_bytes()[..], &header].concat())?;
    to.write_all(bytes)?;
    to.flush()
}

/// Reads a header; `None` at the end of the stream.
pub(crate) fn read_header<T: DeserializeOwned>(from: &mut impl Read) -> io::Result<Option<T>> {
    let mut length = [0; 4];
    if from.read(&mut length[..1])? == 0 {
        return Ok(None);
    }
    from.read_exact(&mut length[1..])?;
    let length = u32::from_le_bytes(length);
    if length > LONGEST_HEADER {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let mut header = vec![0; length as usize];
    from.read_exact(&mut header)?;
    Ok(Some(serde_json::from_slice(&header)?))
}

/// Reads the bytes that a header announced; memory that is not there is an error.
pub(crate) fn read_bytes(from: &mut impl Read, length: u64) -> io::Result<Vec<u8>> {
    let length = usize::try_from(length).map_err(|_| io::ErrorKind::OutOfMemory)?;
    let mut bytes = Vec::new();
    bytes.try_reserve_exact(length).map_err(|_| io::ErrorKind::OutOfMemory)?;
    from.take(length as u64).read_to_end(&mut bytes)?;
    if bytes.len() < length {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use healthimaging_pixels::PixelRepresentation;

    fn source(data: &[u8]) -> SourceFrame<'_> {
        SourceFrame {
            transfer_syntax: "1.2.840.10008.1.2.4.90",
            shape: FrameShape {
                rows: 2,
                columns: 3,
                samples_per_pixel: 1,
                bits_allocated: 16,
                bits_stored: 12,
                representation: PixelRepresentation::Signed,
            },
            photometric: "MONOCHROME2",
            planar: PlanarConfiguration::Interleaved,
            data,
        }
    }

    #[test]
    fn a_frame_arrives_as_it_was_sent() {
        let mut pipe = Vec::new();
        write(&mut pipe, &Request::of(&source(&[1, 2, 3])), &[1, 2, 3]).unwrap();
        let mut pipe = &pipe[..];
        let request = read_header::<Request<'_>>(&mut pipe).unwrap().unwrap();
        let data = read_bytes(&mut pipe, request.length).unwrap();
        let (sent, received) = (source(&[1, 2, 3]), request.source(&data));
        assert_eq!(format!("{received:?}"), format!("{sent:?}"));
        assert_eq!(received.data, sent.data);
        assert!(read_header::<Request<'_>>(&mut pipe).unwrap().is_none());
    }

    #[test]
    fn what_is_cut_short_or_announced_too_long_is_an_error() {
        let kind = |mut pipe: &[u8]| read_header::<Response>(&mut pipe).unwrap_err().kind();
        assert_eq!(kind(&[1, 0]), io::ErrorKind::UnexpectedEof);
        assert_eq!(kind(&[4, 0, 0, 0, b'{']), io::ErrorKind::UnexpectedEof);
        assert_eq!(kind(&[0xff; 4]), io::ErrorKind::InvalidData);
        assert_eq!(read_bytes(&mut &[1][..], 2).unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
        assert_eq!(
            read_bytes(&mut &[1][..], u64::MAX).unwrap_err().kind(),
            io::ErrorKind::OutOfMemory
        );
    }
}
