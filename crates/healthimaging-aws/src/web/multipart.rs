//! `multipart/related` bodies of Part 10 files (`PS3.18 §8.6.1.2`).

use bytes::{BufMut, Bytes, BytesMut};
use healthimaging::{Error, Result};

/// Body of several files.
pub(super) struct Multipart {
    pub(super) content_type: String,
    pub(super) body: Bytes,
}

/// Joins files with an unpredictable boundary.
pub(super) fn multipart<'a>(files: impl Iterator<Item = &'a Bytes>) -> Result<Multipart> {
    let number = getrandom::u64()
        .map_err(|cause| Error::internal("the random number generator failed", cause))?;
    let boundary = format!("healthimaging-{number:016x}");
    let mut body = BytesMut::new();
    for file in files {
        let head = format!("--{boundary}\r\nContent-Type: application/dicom\r\n\r\n");
        body.reserve(head.len() + file.len() + 2);
        body.put_slice(head.as_bytes());
        body.put_slice(file);
        body.put_slice(b"\r\n");
    }
    body.put_slice(format!("--{boundary}--\r\n").as_bytes());
    Ok(Multipart {
        content_type: format!("multipart/related; type=\"application/dicom\"; boundary={boundary}"),
        body: body.freeze(),
    })
}
