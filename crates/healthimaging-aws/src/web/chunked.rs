//! `aws-chunked`: a body in chunks that are signed one by one (S3 guide, "Signature calculations: transferring payload in
//! multiple chunks"), so that it is not held in memory.

use bytes::{Bytes, BytesMut};
use futures::stream::{self, BoxStream, StreamExt};
use healthimaging::Result;

use super::sign::Signer;

/// Bytes of a chunk; the last ones may be shorter.
const PIECE: usize = 256 * 1024;
/// `;chunk-signature=`, 64 digits and two line ends.
const AROUND: usize = 17 + 64 + 4;

/// Returns the encoded length of a body.
pub(super) fn encoded_length(length: u64) -> u64 {
    let piece = |size: u64| size + (format!("{size:x}").len() + AROUND) as u64;
    let rest = length % PIECE as u64;
    let last = if rest > 0 { piece(rest) } else { 0 };
    (length / PIECE as u64) * piece(PIECE as u64) + last + piece(0)
}

/// Encodes a body. `seed` is the signature of the headers.
pub(super) fn encode(
    body: BoxStream<'static, Result<Bytes>>,
    signer: Signer,
    seed: String,
) -> BoxStream<'static, Result<Bytes>> {
    struct Encoder {
        body: BoxStream<'static, Result<Bytes>>,
        held: BytesMut,
        signer: Signer,
        signature: String,
        done: bool,
    }

    let start = Encoder { body, held: BytesMut::new(), signer, signature: seed, done: false };
    stream::try_unfold(start, |mut state| async move {
        if state.done {
            return Ok(None);
        }
        while state.held.len() < PIECE {
            match state.body.next().await {
                Some(more) => state.held.extend_from_slice(&more?),
                None => break,
            }
        }
        let size = state.held.len().min(PIECE);
        let piece = state.held.split_to(size).freeze();
        // The last chunk is empty.
        state.done = piece.is_empty();
        state.signature = state.signer.sign_chunk(&piece, &state.signature)?;
        let mut framed = BytesMut::with_capacity(size + 16 + AROUND);
        let head = format!("{size:x};chunk-signature={}\r\n", state.signature);
        framed.extend_from_slice(head.as_bytes());
        framed.extend_from_slice(&piece);
        framed.extend_from_slice(b"\r\n");
        Ok(Some((framed.freeze(), state)))
    })
    .boxed()
}
