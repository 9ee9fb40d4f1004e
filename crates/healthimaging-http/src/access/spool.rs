//! Bodies whose signature can be verified only at their end, and that are not used before.

use std::io::{Seek, SeekFrom, Write};

use axum::body::Body;
use bytes::BytesMut;
use futures::stream::TryStreamExt;
use healthimaging::{Error, ErrorKind, Result};
use sha2::{Digest, Sha256};
use tokio::sync::Semaphore;
use tokio_util::io::ReaderStream;

use super::refusal::mismatch;
use crate::content::read_failure;

/// Bytes of an unverified body in memory; a longer one is written to disk.
const IN_MEMORY: usize = 64 << 10;

/// Longest body in bytes.
const LONGEST: u64 = 1 << 30;

/// Concurrent bodies on disk; others wait.
static ON_DISK: Semaphore = Semaphore::const_new(32);

/// Reads and returns the body if `is_right` is true for its SHA-256 in hexadecimal.
///
/// # Errors
/// Those of the sender; `InvalidSignatureException` for a wrong hash; `QuotaExceeded` above 1 GiB.
pub(super) async fn verified(body: Body, is_right: impl FnOnce(&str) -> bool) -> Result<Body> {
    let mut pieces = body.into_data_stream();
    let (mut hash, mut held) = (Sha256::new(), BytesMut::new());
    let check = |hash: Sha256| {
        if is_right(&hex::encode(hash.finalize())) { Ok(()) } else { Err(mismatch()) }
    };
    while held.len() <= IN_MEMORY {
        let Some(piece) = pieces.try_next().await.map_err(read_failure)? else {
            return check(hash).map(|()| Body::from(held.freeze()));
        };
        hash.update(&piece);
        held.extend_from_slice(&piece);
    }
    let permit = ON_DISK.acquire().await.map_err(unspooled)?;
    let mut length = held.len() as u64;
    let mut file =
        write(tokio::task::spawn_blocking(tempfile::tempfile).await, held.freeze()).await?;
    while let Some(piece) = pieces.try_next().await.map_err(read_failure)? {
        length += piece.len() as u64;
        if length > LONGEST {
            return Err(Error::new(
                ErrorKind::QuotaExceeded,
                "a request is limited to 1 GiB; send the files in several requests",
            ));
        }
        hash.update(&piece);
        file = write(Ok(Ok(file)), piece).await?;
    }
    check(hash)?;
    let rewound = tokio::task::spawn_blocking(move || file.seek(SeekFrom::Start(0)).map(|_| file));
    let file = rewound.await.map_err(unspooled)?.map_err(unspooled)?;
    // The permit is released with the body.
    let pieces = ReaderStream::new(tokio::fs::File::from_std(file)).map_ok(move |piece| {
        let _permit = &permit;
        piece
    });
    Ok(Body::from_stream(pieces))
}

type Opened = std::result::Result<std::io::Result<std::fs::File>, tokio::task::JoinError>;

/// Appends to a temporary file.
async fn write(opened: Opened, piece: bytes::Bytes) -> Result<std::fs::File> {
    let mut file = opened.map_err(unspooled)?.map_err(unspooled)?;
    let written = tokio::task::spawn_blocking(move || file.write_all(&piece).map(|()| file));
    written.await.map_err(unspooled)?.map_err(unspooled)
}

fn unspooled(error: impl Into<healthimaging::Source>) -> Error {
    Error::internal(
        "the request could not be written to disk before its signature was verified",
        error,
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use futures::stream;

    /// A body of this length in pieces, with its hash.
    fn body(length: usize) -> (Body, String) {
        let whole: Vec<u8> = (0..=250_u8).cycle().take(length).collect();
        let hash = hex::encode(Sha256::digest(&whole));
        let pieces: Vec<_> = whole
            .chunks(10_000)
            .map(|piece| Ok::<_, Error>(Bytes::copy_from_slice(piece)))
            .collect();
        (Body::from_stream(stream::iter(pieces)), hash)
    }

    #[tokio::test]
    async fn a_body_with_the_right_hash_is_returned_whole() {
        for length in [0, 1, IN_MEMORY, IN_MEMORY + 1, 1_000_000] {
            let (sent, right) = body(length);
            let body = verified(sent, |found| found == right).await.unwrap();
            let bytes = axum::body::to_bytes(body, usize::MAX).await.unwrap();
            assert_eq!(hex::encode(Sha256::digest(&bytes)), right, "{length}");
        }
    }

    #[tokio::test]
    async fn nothing_of_a_body_with_another_hash_is_used() {
        for length in [0, 1, IN_MEMORY + 1] {
            let refused = verified(body(length).0, |_| false).await.unwrap_err();
            assert_eq!(refused.code(), Some("InvalidSignatureException"));
        }
    }
}
