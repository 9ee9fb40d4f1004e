//! Bodies of responses that a blocking writer makes, at the pace of the reader.

use std::io::{self, BufWriter, Write};

use bytes::Bytes;
use futures::StreamExt;
use healthimaging::{Body, Result};
use tokio::sync::mpsc;

/// Bytes in one piece.
const PIECE: usize = 256 << 10;
/// Pieces that wait for the reader at most.
const WAITING: usize = 4;

/// Runs `write` in a blocking thread; what it writes becomes the body, its error the body's end. `length` is
/// in bytes, where it is known.
pub(crate) fn body_of<F>(length: Option<u64>, write: F) -> Body
where
    F: FnOnce(&mut dyn Write) -> Result<()> + Send + 'static,
{
    let (sender, mut receiver) = mpsc::channel::<Result<Bytes>>(WAITING);
    tokio::task::spawn_blocking(move || {
        let mut out = BufWriter::with_capacity(PIECE, Pieces(sender.clone()));
        let written = write(&mut out).and_then(|()| {
            let flushed = out.flush();
            flushed.map_err(|error| {
                healthimaging::Error::internal("the reader closed the connection", error)
            })
        });
        if let Err(error) = written {
            // A reader that closed the connection needs no error.
            let _ = sender.blocking_send(Err(error));
        }
    });
    let pieces = futures::stream::poll_fn(move |context| receiver.poll_recv(context));
    Body::from_stream(pieces.boxed(), length)
}

struct Pieces(mpsc::Sender<Result<Bytes>>);

impl Write for Pieces {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0
            .blocking_send(Ok(Bytes::copy_from_slice(bytes)))
            .map_err(|_| io::Error::from(io::ErrorKind::BrokenPipe))?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
