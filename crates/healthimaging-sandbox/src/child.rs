//! The life of a child: frames come in, pixels go out, until the pipe ends.

use std::io::{self, Read, Write};

use healthimaging_pixels::{CodecError, DecodedFrame, SourceFrame, decode_guarded, warm_up};

use crate::allowance::Allowance;
use crate::limits::Limits;
use crate::message::{Pixels, READY, Request, Response, read_bytes, read_header, write};

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
    while let Some(request) = read_header::<Request<'_>>(from)? {
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
