//! `aws-chunked`: a body in chunks, each with its signature, each signature bound to the one before.

use axum::body::{Body, BodyDataStream};
use bytes::{Buf, Bytes, BytesMut};
use futures::stream::{self, TryStreamExt};
use healthimaging::{Error, Result};
use sha2::{Digest, Sha256};

use super::canonical::hex_digest;
use super::claim::Claim;
use super::keys::SigningKey;
use super::refusal::mismatch;
use crate::content::read_failure;

const ALGORITHM: &str = "AWS4-HMAC-SHA256-PAYLOAD";

/// Longest line between chunks.
const LONGEST_LINE: usize = 4096;

/// The signatures of the chunks, from that of the request on.
pub(super) struct Chain {
    claim: Claim,
    key: SigningKey,
    last: String,
}

impl Chain {
    pub(super) fn new(claim: Claim, key: SigningKey) -> Self {
        let last = claim.signature.clone();
        Self { claim, key, last }
    }

    /// Checks the signature of a chunk with this hash.
    fn check(&mut self, hash: &str, signature: String) -> Result<()> {
        let rest = format!("{}\n{}\n{hash}", self.last, hex_digest(b""));
        if !self.key.signed(&self.claim.scoped(ALGORITHM, &rest), &signature) {
            return Err(mismatch());
        }
        self.last = signature;
        Ok(())
    }
}

/// The chunks of `body` joined: `length` bytes, where that is known; checked when there is a chain.
pub(super) fn joined(body: Body, chain: Option<Chain>, length: Option<u64>) -> Body {
    let chunks = Chunks {
        chain,
        buffer: BytesMut::new(),
        at: At::Line,
        hash: Sha256::new(),
        signature: None,
        length,
        seen: 0,
    };
    let state = Some((body.into_data_stream(), chunks));
    Body::from_stream(stream::try_unfold(state, |state| async move {
        let Some((mut pieces, mut chunks)) = state else {
            return Ok::<_, Error>(None);
        };
        loop {
            match chunks.next()? {
                Step::Piece(piece) => return Ok(Some((piece, Some((pieces, chunks))))),
                Step::More => chunks.buffer.extend_from_slice(&more(&mut pieces).await?),
                Step::End => {
                    // Trailers, and whatever else is behind the last chunk, mean nothing here.
                    while pieces.try_next().await.map_err(read_failure)?.is_some() {}
                    return Ok(None);
                }
            }
        }
    }))
}

async fn more(pieces: &mut BodyDataStream) -> Result<Bytes> {
    pieces.try_next().await.map_err(read_failure)?.ok_or_else(|| broken("it ends within a chunk"))
}

fn broken(what: &str) -> Error {
    Error::validation(format!("the aws-chunked body is malformed: {what}"))
}

enum Step {
    Piece(Bytes),
    More,
    End,
}

/// What comes next.
enum At {
    /// The line that a chunk begins with.
    Line,
    /// This many bytes of a chunk.
    Data(u64),
    /// The line end behind a chunk.
    LineEnd,
}

struct Chunks {
    chain: Option<Chain>,
    buffer: BytesMut,
    at: At,
    hash: Sha256,
    signature: Option<String>,
    length: Option<u64>,
    seen: u64,
}

impl Chunks {
    fn next(&mut self) -> Result<Step> {
        loop {
            match self.at {
                At::Line => match self.line()? {
                    None => return Ok(Step::More),
                    Some(0) => return self.end(),
                    Some(size) => self.at = At::Data(size),
                },
                At::Data(0) => {
                    self.end_of_chunk()?;
                    self.at = At::LineEnd;
                }
                At::Data(left) => {
                    if self.buffer.is_empty() {
                        return Ok(Step::More);
                    }
                    let taken = usize::try_from(left).unwrap_or(usize::MAX).min(self.buffer.len());
                    let piece = self.buffer.split_to(taken).freeze();
                    self.at = At::Data(left - taken as u64);
                    self.seen += taken as u64;
                    if self.chain.is_some() {
                        self.hash.update(&piece);
                    }
                    return Ok(Step::Piece(piece));
                }
                At::LineEnd => {
                    if self.buffer.len() < 2 {
                        return Ok(Step::More);
                    }
                    if !self.buffer.starts_with(b"\r\n") {
                        return Err(broken("a chunk is longer than its length"));
                    }
                    self.buffer.advance(2);
                    self.at = At::Line;
                }
            }
        }
    }

    /// Reads `SIZE;chunk-signature=SIGNATURE`, when it is there as a whole: the size.
    fn line(&mut self) -> Result<Option<u64>> {
        let Some(end) = memchr::memmem::find(&self.buffer, b"\r\n") else {
            if self.buffer.len() > LONGEST_LINE {
                return Err(broken("a chunk does not begin with its length"));
            }
            return Ok(None);
        };
        let line = self.buffer.split_to(end);
        self.buffer.advance(2);
        let line = std::str::from_utf8(&line).unwrap_or_default();
        let (size, extension) = line.split_once(';').unwrap_or((line, ""));
        self.signature = extension.trim().strip_prefix("chunk-signature=").map(str::to_owned);
        let size = u64::from_str_radix(size.trim(), 16);
        size.map(Some).map_err(|_| broken("a chunk does not begin with its length in hexadecimal"))
    }

    fn end_of_chunk(&mut self) -> Result<()> {
        let hash = std::mem::take(&mut self.hash);
        match &mut self.chain {
            None => Ok(()),
            Some(chain) => {
                let signature = self.signature.take().ok_or_else(mismatch)?;
                chain.check(&hex::encode(hash.finalize()), signature)
            }
        }
    }

    /// The empty chunk is signed too.
    fn end(&mut self) -> Result<Step> {
        self.end_of_chunk()?;
        if self.length.is_some_and(|length| length != self.seen) {
            return Err(broken("it is not as long as x-amz-decoded-content-length says"));
        }
        Ok(Step::End)
    }
}
