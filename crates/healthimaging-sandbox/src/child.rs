//! The life of a child: frames come in, pixels go out, until the pipe ends.

use std::io::{self, Read, Write};

use healthimaging_pixels::{DecodedFrame, decode_guarded};

use crate::allowance::Allowance;
use crate::limits::Limits;
use crate::message::{Pixels, Request, Response, read_bytes, read_header, write};

/// Decodes frames that come on stdin until it ends. First gives up whatever decoding does not need.
///
/// # Errors
/// What is wrong with the pipes, and what the system would not give up.
pub fn serve() -> io::Result<()> {
    let limits = Limits::enter()?;
    answer(&limits, &mut io::stdin().lock(), &mut io::stdout().lock())
}

fn answer(limits: &Limits, from: &mut impl Read, to: &mut impl Write) -> io::Result<()> {
    while let Some(request) = read_header::<Request<'_>>(from)? {
        limits.allow(&Allowance::of(&request.shape, request.length))?;
        let data = read_bytes(from, request.length)?;
        let (response, pixels): (Response, _) = match decode_guarded(&request.source(&data)) {
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
