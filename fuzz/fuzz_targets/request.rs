//! What a request brings before anyone looks at it: signature, chunks, multipart.
#![no_main]

use axum::body::{Body, Bytes};
use futures::executor::block_on;
use futures::stream;
use healthimaging_http::fuzzing;
use libfuzzer_sys::fuzz_target;

/// Cuts the input into pieces, as a network does.
fn body(data: &[u8], piece: usize) -> Body {
    let pieces: Vec<_> = data.chunks(piece.max(1)).map(Bytes::copy_from_slice).collect();
    Body::from_stream(stream::iter(pieces.into_iter().map(Ok::<_, std::io::Error>)))
}

fuzz_target!(|data: &[u8]| {
    let Some((&[kind, piece], data)) = data.split_first_chunk() else {
        return;
    };
    let piece = usize::from(piece);
    match kind % 3 {
        0 => {
            // However a body is cut, its parts are the same.
            let whole = block_on(fuzzing::parts(body(data, data.len()), "b"));
            let cut = block_on(fuzzing::parts(body(data, piece), "b"));
            assert_eq!(whole.ok(), cut.ok());
        }
        1 => {
            let whole = block_on(fuzzing::unsigned_chunks(body(data, data.len())));
            let cut = block_on(fuzzing::unsigned_chunks(body(data, piece)));
            assert_eq!(whole, cut);
        }
        _ => {
            let mut lines = data.split(|byte| *byte == b'\n');
            let uri = lines.next().unwrap_or_default();
            let mut request = http::Request::builder().method("POST").uri(uri);
            for line in lines {
                if let Some(at) = line.iter().position(|byte| *byte == b':') {
                    request = request.header(&line[..at], &line[at + 1..]);
                }
            }
            if let Ok(request) = request.body(body(data, piece)) {
                let _ = block_on(fuzzing::admit(
                    request,
                    "AKIDEXAMPLE:wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY",
                ));
            }
        }
    }
});
