//! `multipart/related` (RFC 2046, RFC 2387, `PS3.18 §8.6.1.2`), read and written as a stream.
//!
//! No library reads it in bounded memory: they buffer the preamble, the headers of a part, or everything that has arrived.

use std::hash::{BuildHasher, Hash, RandomState};
use std::sync::{Arc, LazyLock};

use axum::body::BodyDataStream;
use axum::response::Response;
use bytes::{Buf, Bytes, BytesMut};
use futures::stream::{self, BoxStream, StreamExt, TryStreamExt};
use healthimaging::{Body, Error, ErrorKind, Result, random_hex};
use http::HeaderMap;
use memchr::memmem::{Finder, find};
use tokio::sync::Mutex;

use super::part::Part;
use crate::byte_range::ranged;
use crate::content::{read_failure, streamed};

/// Longest headers of a part in bytes.
const MAX_HEAD: usize = 16 << 10;

/// Returns a response of these parts.
pub(super) async fn response(
    media: &str,
    parts: BoxStream<'static, Result<Part>>,
) -> Result<Response> {
    let boundary = random_hex()?;
    let end = end(&boundary);
    let of_parts = boundary.clone();
    let pieces = parts.map(move |part| {
        let Part { media, location, body } = part?;
        let before = stream::iter([Ok(head(&of_parts, &media, &location))]);
        let line_end = stream::iter([Ok(Bytes::from_static(b"\r\n"))]);
        Result::<_>::Ok(before.chain(body.into_stream()).chain(line_end))
    });
    // The first part is read before the response begins, so that an immediate failure is an error.
    let mut pieces = pieces.try_flatten().boxed();
    let mut first = Vec::with_capacity(2);
    for _ in 0..2 {
        first.extend(pieces.next().await.transpose()?.map(Ok));
    }
    let whole = stream::iter(first).chain(pieces).chain(stream::iter([Ok(end)]));
    streamed(Body::from_stream(whole.boxed(), None), &content_type(media, &boundary)).await
}

/// Returns a response of one part, or the requested range of it. The boundary of a subject does not change while this process
/// runs, so that ranges of several requests fit together.
pub(super) async fn single(
    asked: &HeaderMap,
    subject: &impl Hash,
    media: &str,
    part: Part,
) -> Result<Response> {
    // The boundary must not be predictable: a part could contain it.
    static KEYS: LazyLock<[RandomState; 2]> = LazyLock::new(Default::default);
    let [high, low] =
        KEYS.each_ref().map(|key| key.hash_one((subject, &part.media, &part.location)));
    let boundary = format!("{high:016x}{low:016x}");
    let head = head(&boundary, &part.media, &part.location);
    let end = [b"\r\n", &end(&boundary)[..]].concat();
    let length = part.body.length().map(|length| length + (head.len() + end.len()) as u64);
    // An immediate failure is an error, and not a response that is cut off.
    let mut rest = part.body.into_stream();
    let first = rest.next().await.transpose()?.unwrap_or_default();
    let pieces = stream::iter([Ok(head), Ok(first)]).chain(rest);
    let whole = pieces.chain(stream::iter([Ok(end.into())])).boxed();
    let body = Body::from_stream(whole, length);
    ranged(asked, body, &content_type(media, &boundary)).await
}

/// Returns the delimiter and headers before the content of a part.
fn head(boundary: &str, media: &str, location: &str) -> Bytes {
    format!("--{boundary}\r\nContent-Type: {media}\r\nContent-Location: {location}\r\n\r\n").into()
}

/// Returns the delimiter after the last part.
fn end(boundary: &str) -> Bytes {
    format!("--{boundary}--\r\n").into()
}

fn content_type(media: &str, boundary: &str) -> String {
    format!("multipart/related; type=\"{media}\"; boundary={boundary}")
}

/// Returns the parts of a body, one after the other.
pub(crate) fn parts(body: BodyDataStream, boundary: &str) -> BoxStream<'static, Result<Body>> {
    let parser = Parser {
        input: body,
        // The first delimiter may have no line end before it.
        buffer: Bytes::from_static(b"\r\n"),
        delimiter: Finder::new(&format!("\r\n--{boundary}")).into_owned(),
        position: Position::Part,
    };
    let parser = Arc::new(Mutex::new(parser));
    stream::try_unfold(parser, |parser| async move {
        if !parser.lock().await.next_part().await? {
            return Ok(None);
        }
        let of_part = Arc::clone(&parser);
        let pieces = stream::try_unfold(of_part, |parser| async move {
            let piece = parser.lock().await.piece().await?;
            Ok(piece.map(|piece| (piece, parser)))
        });
        Ok(Some((Body::from_stream(pieces.boxed(), None), parser)))
    })
    .boxed()
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Position {
    /// In a part, or in the preamble, which is ignored.
    Part,
    /// Before the headers of a part.
    Headers,
    /// After the last delimiter.
    End,
}

struct Parser {
    input: BodyDataStream,
    /// What has arrived and is not returned yet.
    buffer: Bytes,
    delimiter: Finder<'static>,
    position: Position,
}

impl Parser {
    /// Advances to the content of the next part; returns `false` if there is none.
    async fn next_part(&mut self) -> Result<bool> {
        while self.piece().await?.is_some() {}
        if self.position == Position::End {
            // Data after the last delimiter is ignored, but is part of the request.
            while self.input.try_next().await.map_err(read_failure)?.is_some() {}
            return Ok(false);
        }
        self.headers().await?;
        self.position = Position::Part;
        Ok(true)
    }

    /// Returns the next bytes of the part; `None` at the delimiter after it.
    async fn piece(&mut self) -> Result<Option<Bytes>> {
        if self.position != Position::Part {
            return Ok(None);
        }
        loop {
            if let Some(end) = self.delimiter.find(&self.buffer) {
                if end > 0 {
                    return Ok(Some(self.buffer.split_to(end)));
                }
                self.buffer.advance(self.delimiter.needle().len());
                self.end_of_delimiter().await?;
                return Ok(None);
            }
            let sure = self.buffer.len() - self.begun_delimiter();
            if sure > 0 {
                return Ok(Some(self.buffer.split_to(sure)));
            }
            self.more().await?;
        }
    }

    /// Bytes at the end of the buffer that may be the beginning of a delimiter.
    fn begun_delimiter(&self) -> usize {
        let delimiter = self.delimiter.needle();
        let longest = self.buffer.len().min(delimiter.len().saturating_sub(1));
        (1..=longest)
            .rev()
            .find(|length| {
                delimiter.get(..*length).is_some_and(|start| self.buffer.ends_with(start))
            })
            .unwrap_or_default()
    }

    /// Reads the rest of the line of a delimiter: two hyphens end the body; blanks and a line end begin a part.
    async fn end_of_delimiter(&mut self) -> Result<()> {
        while self.buffer.len() < 2 {
            self.more().await?;
        }
        if self.buffer.starts_with(b"--") {
            self.position = Position::End;
            // The body may end here.
            while self.buffer.len() == 2
                && let Some(piece) = self.input.try_next().await.map_err(read_failure)?
            {
                self.join(piece);
            }
            return match self.buffer.get(2) {
                None | Some(b' ' | b'\t' | b'\r' | b'\n') => Ok(()),
                Some(_) => Err(malformed("text follows the last boundary on its line")),
            };
        }
        self.position = Position::Headers;
        while !self.buffer.starts_with(b"\r\n") {
            match self.buffer.first() {
                Some(b' ' | b'\t') => self.buffer.advance(1),
                Some(b'\r') | None if self.buffer.len() < 2 => self.more().await?,
                _ => return Err(malformed("text follows a boundary on its line")),
            }
        }
        Ok(())
    }

    /// Skips the headers: the type of a part is recognized by its content.
    async fn headers(&mut self) -> Result<()> {
        loop {
            if let Some(end) = find(&self.buffer, b"\r\n\r\n") {
                self.buffer.advance(end + 4);
                return Ok(());
            }
            if self.buffer.len() > MAX_HEAD {
                return Err(malformed("the headers of a part are longer than 16 KiB"));
            }
            self.more().await?;
        }
    }

    async fn more(&mut self) -> Result<()> {
        let piece = self.input.try_next().await.map_err(read_failure)?;
        self.join(piece.ok_or_else(|| malformed("the body ends before its last boundary"))?);
        Ok(())
    }

    /// Adds a piece of the body to what is not returned yet.
    fn join(&mut self, piece: Bytes) {
        self.buffer = if self.buffer.is_empty() {
            piece
        } else {
            let mut joined = BytesMut::with_capacity(self.buffer.len() + piece.len());
            joined.extend_from_slice(&self.buffer);
            joined.extend_from_slice(&piece);
            joined.freeze()
        };
    }
}

fn malformed(what: &str) -> Error {
    Error::new(ErrorKind::BadRequest, format!("malformed multipart body: {what}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::body::Body as HttpBody;

    /// The parts of `text`, which arrives in pieces of this size.
    async fn read(text: &str, size: usize) -> Result<Vec<String>> {
        let pieces: Vec<_> = text
            .as_bytes()
            .chunks(size)
            .map(|piece| Ok::<_, Error>(Bytes::copy_from_slice(piece)))
            .collect();
        let body = HttpBody::from_stream(stream::iter(pieces)).into_data_stream();
        let mut found = parts(body, "b");
        let mut texts = Vec::new();
        while let Some(part) = found.next().await {
            let bytes = part?.collect(1 << 20).await?;
            texts.push(String::from_utf8(bytes.to_vec()).unwrap());
        }
        Ok(texts)
    }

    #[tokio::test]
    async fn parts_are_found_whatever_the_pieces_of_the_body() {
        let text = "preamble\r\n--b\r\nContent-Type: application/dicom\r\n\r\none\r\n--\r\n--b  \r\n\r\n\
                    \r\n--b\r\nA: b\r\nC: d\r\n\r\nthree\r\n--b--\r\nepilogue\r\n--b\r\n";
        for size in 1..=text.len() {
            let found = read(text, size).await.unwrap();
            assert_eq!(found, ["one\r\n--", "", "three"], "in pieces of {size}");
        }
    }

    #[tokio::test]
    async fn what_only_begins_like_the_last_boundary_ends_no_part_in_silence() {
        for (text, is_whole) in [
            ("--b\r\n\r\none\r\n--b--", true),
            ("--b\r\n\r\none\r\n--b-- \r\n", true),
            ("--b\r\n\r\none\r\n--b--\nepilogue", true),
            ("--b\r\n\r\none\r\n--b--x and more\r\n--b--\r\n", false),
            ("--b\r\n\r\none\r\n--b-x\r\n--b--\r\n", false),
        ] {
            for size in 1..=text.len() {
                let found = read(text, size).await;
                assert_eq!(found.is_ok(), is_whole, "{text} in pieces of {size}");
                if let Err(error) = found {
                    assert_eq!(error.kind(), ErrorKind::BadRequest);
                }
            }
        }
    }

    async fn one_part(range: Option<&str>) -> (HeaderMap, Bytes) {
        let asked = range.map(|range| (http::header::RANGE, range.parse().unwrap()));
        let body = Body::from(Bytes::from_static(b"a frame"));
        let part = Part { media: "a/b; c=d".to_owned(), location: "http://d/1".to_owned(), body };
        let answer = single(&asked.into_iter().collect(), &"1.2.3", "a/b", part).await;
        let (head, body) = answer.unwrap().into_parts();
        (head.headers, axum::body::to_bytes(body, 1000).await.unwrap())
    }

    #[tokio::test]
    async fn ranges_of_one_part_fit_together() {
        let (headers, whole) = one_part(None).await;
        let (_, boundary) =
            headers["content-type"].to_str().unwrap().split_once("boundary=").unwrap();
        let expected = format!(
            "--{boundary}\r\nContent-Type: a/b; c=d\r\nContent-Location: http://d/1\r\n\r\na frame\r\n--{boundary}--\r\n"
        );
        assert_eq!(whole, expected);
        assert_eq!(headers["content-length"], whole.len().to_string());
        let (first, begun) = one_part(Some("bytes=0-69")).await;
        let (rest, ended) = one_part(Some("bytes=70-")).await;
        assert_eq!([begun, ended].concat(), whole);
        assert_eq!(first["content-range"], format!("bytes 0-69/{}", whole.len()));
        assert_eq!(first["content-type"], rest["content-type"]);
    }

    #[tokio::test]
    async fn malformed_bodies_are_rejected() {
        for text in [
            "",
            "--b\r\n\r\nno end",
            "--b\r\n\r\none\r\n--bother\r\n\r\n\r\n--b--",
            "--b\r\nno end of headers",
            &format!("--b\r\nA: {}\r\n\r\none\r\n--b--", "x".repeat(20_000)),
        ] {
            let refused = read(text, 100).await.unwrap_err();
            assert_eq!(refused.kind(), ErrorKind::BadRequest, "{text}");
        }
    }
}
