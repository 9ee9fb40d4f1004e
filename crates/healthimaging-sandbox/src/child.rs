//! The life of a child: frames come in, pixels go out, until the pipe ends.

use std::io::{self, Read, Write};

use healthimaging_pixels::{
    CodecError, DecodedFrame, PdfError, PdfPart, SourceFrame, decode_guarded, read_pdf, warm_up,
};

use crate::allowance::Allowance;
use crate::limits::Limits;
use crate::message::{
    PdfHeader, PdfResponse, Pixels, READY, Response, Task, read_bytes, read_header, write,
};

/// Decodes frames from stdin until it ends. First gives up all rights that decoding does not need.
///
/// # Errors
/// Failures of the pipes, and rights that the system could not remove.
pub fn serve() -> io::Result<()> {
    serve_with(decode_guarded)
}

/// As [`serve`], with another decoder.
///
/// # Errors
/// As [`serve`].
pub fn serve_with(
    decode: impl Fn(&SourceFrame<'_>) -> Result<DecodedFrame, CodecError>,
) -> io::Result<()> {
    warm_up();
    let limits = Limits::enter()?;
    let (mut from, mut to) = (io::stdin().lock(), io::stdout().lock());
    to.write_all(READY)?;
    to.flush()?;
    answer(&decode, &limits, &mut from, &mut to)
}

fn answer(
    decode: &impl Fn(&SourceFrame<'_>) -> Result<DecodedFrame, CodecError>,
    limits: &Limits,
    from: &mut impl Read,
    to: &mut impl Write,
) -> io::Result<()> {
    while let Some(task) = read_header::<Task<'_>>(from)? {
        let request = match task {
            Task::Frame(request) => request,
            Task::Pdf(part, length) => {
                answer_pdf(limits, from, to, part, length)?;
                continue;
            }
        };
        let allowed = limits.allow(&Allowance::of(&request.shape, request.length));
        let data = read_bytes(from, request.length)?;
        let decoded = match allowed {
            Ok(()) => decode(&request.source(&data)),
            Err(error) => Err(CodecError::NoDecoder(format!("its limits cannot be set: {error}"))),
        };
        let (response, pixels): (Response, _) = match decoded {
            Err(error) => (Err(error), Vec::new()),
            Ok(DecodedFrame { pixels, photometric }) => {
                let length = pixels.len() as u64;
                let header = Pixels { photometric, length };
                (Ok(header), pixels)
            }
        };
        write(to, &response, &pixels)?;
    }
    Ok(())
}

fn answer_pdf(
    limits: &Limits,
    from: &mut impl Read,
    to: &mut impl Write,
    part: PdfPart,
    length: u64,
) -> io::Result<()> {
    let allowed = limits.allow(&Allowance::of_pdf(length));
    let data = read_bytes(from, length)?;
    let read = match allowed {
        Ok(()) => read_pdf(&data, part),
        Err(error) => Err(PdfError::Failed(format!("its limits cannot be set: {error}"))),
    };
    let (response, bytes): (PdfResponse, _) = match read {
        Err(error) => (Err(error), Vec::new()),
        Ok(content) => {
            let mut bytes = serde_json::to_vec(&content.texts)?;
            let texts_length = bytes.len() as u64;
            let size = content.picture.as_ref().map(|picture| (picture.rows, picture.columns));
            bytes.extend(content.picture.into_iter().flat_map(|picture| picture.rgb));
            (Ok(PdfHeader { page_count: content.page_count, texts_length, size }), bytes)
        }
    };
    write(to, &response, &bytes)
}
