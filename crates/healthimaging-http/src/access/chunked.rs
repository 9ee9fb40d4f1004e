//! `aws-chunked`: a body in chunks, each with a signature over its content and the previous signature.

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

/// Longest line between chunks in bytes.
const LONGEST_LINE: usize = 4096;

/// The chain of chunk signatures, which begins with that of the request.
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

    /// Verifies the signature of a chunk with this hash.
    fn check(&mut self, hash: &str, signature: String) -> Result<()> {
        let rest = format!("{}\n{}\n{hash}", self.last, hex_digest(b""));
        if !self.key.verifies(&self.claim.scoped(ALGORITHM, &rest), &signature) {
            return Err(mismatch());
        }
        self.last = signature;
        Ok(())
    }
}

/// Returns `body` without its framing. A chain verifies the chunks; a `length` is compared with their sum.
pub(super) fn joined(body: Body, chain: Option<Chain>, length: Option<u64>) -> Body {
    let chunks = Chunks {
        chain,
        buffer: BytesMut::new(),
        position: Position::Line,
        hash: Sha256::new(),
        signature: None,
        length,
        seen: 0,
    };
    let start = Some((body.into_data_stream(), chunks));
    Body::from_stream(stream::try_unfold(start, |state| async move {
        let Some((mut pieces, mut chunks)) = state else {
            return Ok::<_, Error>(None);
        };
        loop {
            match chunks.next()? {
                Step::Piece(piece) => return Ok(Some((piece, Some((pieces, chunks))))),
                Step::More => chunks.buffer.extend_from_slice(&more(&mut pieces).await?),
                Step::End => {
                    // Trailers and other data after the last chunk are ignored.
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
    Error::validation(format!("malformed aws-chunked body: {what}"))
}

enum Step {
    Piece(Bytes),
    More,
    End,
}

/// Position in the framing.
enum Position {
    /// At the line before a chunk.
    Line,
    /// In a chunk with this many bytes left.
    Data(u64),
    /// At the line end after a chunk.
    LineEnd,
}

struct Chunks {
    chain: Option<Chain>,
    buffer: BytesMut,
    position: Position,
    hash: Sha256,
    signature: Option<String>,
    length: Option<u64>,
    seen: u64,
}

impl Chunks {
    fn next(&mut self) -> Result<Step> {
        loop {
            match self.position {
                Position::Line => match self.line()? {
                    None => return Ok(Step::More),
                    Some(0) => return self.end(),
                    Some(size) => self.position = Position::Data(size),
                },
                Position::Data(0) => {
                    self.end_of_chunk()?;
                    self.position = Position::LineEnd;
                }
                Position::Data(left) => {
                    if self.buffer.is_empty() {
                        return Ok(Step::More);
                    }
                    let taken = usize::try_from(left).unwrap_or(usize::MAX).min(self.buffer.len());
                    let piece = self.buffer.split_to(taken).freeze();
                    self.position = Position::Data(left - taken as u64);
                    self.seen += taken as u64;
                    if self.chain.is_some() {
                        self.hash.update(&piece);
                    }
                    return Ok(Step::Piece(piece));
                }
                Position::LineEnd => {
                    if self.buffer.len() < 2 {
                        return Ok(Step::More);
                    }
                    if !self.buffer.starts_with(b"\r\n") {
                        return Err(broken("a chunk is longer than its length"));
                    }
                    self.buffer.advance(2);
                    self.position = Position::Line;
                }
            }
        }
    }

    /// Reads the line `SIZE;chunk-signature=SIGNATURE` once it is complete, and returns the size.
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

    /// Verifies the last chunk, which is empty and signed too.
    fn end(&mut self) -> Result<Step> {
        self.end_of_chunk()?;
        if self.length.is_some_and(|length| length != self.seen) {
            return Err(broken("its length differs from x-amz-decoded-content-length"));
        }
        Ok(Step::End)
    }
}
