//! Children whose decoders do what they may not, fail or never end: what the server makes of it.
//!
//! The test is its own child: what it is started with names what its decoder does.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::process::{ExitCode, abort, exit};
use std::time::Duration;

use healthimaging_pixels::{
    CodecError, DecodedFrame, FrameShape, IsolatedDecoder, PixelRepresentation,
    PlanarConfiguration, SourceFrame,
};
use healthimaging_sandbox::{Children, serve_with, this_binary};

type Decode = fn(&SourceFrame<'_>) -> Result<DecodedFrame, CodecError>;

/// What a child can be asked for, and what its decoder does.
const DECODERS: &[(&str, Decode)] = &[
    ("decode", answer),
    ("thread", |source| {
        let _ = std::thread::Builder::new().spawn(|| ());
        answer(source)
    }),
    ("file", |source| {
        let _ = std::fs::read("/proc/cpuinfo");
        answer(source)
    }),
    ("socket", |source| {
        let _ = std::net::UdpSocket::bind("127.0.0.1:0");
        answer(source)
    }),
    ("program", |source| {
        let _ = std::process::Command::new("/bin/true").status();
        answer(source)
    }),
    ("abort", |_| abort()),
    ("end", |_| exit(0)),
    ("damaged", |_| Err(CodecError::Malformed("as ever".to_owned()))),
    ("memory", |source| {
        // More than a frame of this size may take, and used.
        let mut taken = Vec::new();
        loop {
            taken.push(vec![taken.len().to_le_bytes()[0] | 1; 1 << 20]);
            if taken.len() == 1 << 16 {
                return answer(source);
            }
        }
    }),
    ("endless", |_| {
        loop {
            std::hint::spin_loop();
        }
    }),
];

#[expect(clippy::unnecessary_wraps, reason = "it stands for a decoder")]
fn answer(source: &SourceFrame<'_>) -> Result<DecodedFrame, CodecError> {
    let pixels = source.data.to_vec();
    Ok(DecodedFrame { pixels, photometric: source.photometric.to_owned() })
}

fn main() -> ExitCode {
    let asked = std::env::args().nth(1).unwrap_or_default();
    if let Some((_, decoder)) = DECODERS.iter().find(|(name, _)| *name == asked) {
        let served = serve_with(decoder);
        return if served.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE };
    }
    answers_and_damage_come_back();
    a_refused_system_call_is_a_fault_of_the_server();
    a_child_that_dies_twice_or_takes_too_much_is_no_damage();
    a_child_that_cannot_start_is_a_fault_of_the_server();
    ExitCode::SUCCESS
}

fn outcome(children: &Children) -> Result<DecodedFrame, CodecError> {
    children.decode(&SourceFrame {
        transfer_syntax: "1.2.840.10008.1.2.4.90",
        shape: FrameShape {
            rows: 2,
            columns: 3,
            samples_per_pixel: 1,
            bits_allocated: 8,
            bits_stored: 8,
            representation: PixelRepresentation::Unsigned,
        },
        photometric: "MONOCHROME2",
        planar: PlanarConfiguration::Interleaved,
        data: &[1, 2, 3, 4, 5, 6],
    })
}

fn of(decoder: &str) -> Result<DecodedFrame, CodecError> {
    outcome(&Children::new(this_binary().unwrap(), decoder))
}

fn answers_and_damage_come_back() {
    let children = Children::new(this_binary().unwrap(), "decode");
    for _ in 0..3 {
        assert_eq!(outcome(&children).unwrap().pixels, [1, 2, 3, 4, 5, 6]);
    }
    let damaged = of("damaged").unwrap_err();
    assert!(matches!(damaged, CodecError::Malformed(_)) && !damaged.is_fault(), "{damaged}");
}

fn a_refused_system_call_is_a_fault_of_the_server() {
    if !cfg!(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64"))) {
        return;
    }
    for call in ["thread", "file", "socket", "program"] {
        let refused = of(call).unwrap_err();
        assert_eq!(refused, CodecError::ForbiddenCall, "{call}");
        assert!(refused.is_fault());
        assert!(refused.to_string().starts_with("this server could not decode the frame ("));
        let kind = healthimaging_kind(refused);
        assert_eq!(kind, "server_error");
    }
}

fn a_child_that_dies_twice_or_takes_too_much_is_no_damage() {
    for death in ["abort", "end", "memory"] {
        let lost = of(death).unwrap_err();
        assert!(matches!(lost, CodecError::Crashed), "{death}: {lost:?}");
        assert!(!lost.is_fault(), "the frame is kept as received");
        assert_eq!(healthimaging_kind(lost), "server_error");
    }
    let children = Children::new(this_binary().unwrap(), "endless");
    let late = outcome(&children.with_patience(Duration::from_millis(500))).unwrap_err();
    assert!(matches!(late, CodecError::TookTooLong(_)) && !late.is_fault(), "{late:?}");
    assert_eq!(healthimaging_kind(late), "server_error");
}

fn a_child_that_cannot_start_is_a_fault_of_the_server() {
    // No such program; programs that end, or speak, or do neither, before they are ready.
    for (program, argument) in [
        ("/no/such/program", ""),
        ("/bin/false", ""),
        ("/bin/true", ""),
        ("/bin/echo", "no decoder at all"),
        ("/bin/sleep", "1000"),
    ] {
        let children = Children::new(program, argument);
        let none = outcome(&children.with_patience(Duration::from_millis(500))).unwrap_err();
        assert!(matches!(none, CodecError::NoDecoder(_)) && none.is_fault(), "{program}: {none:?}");
        assert_eq!(healthimaging_kind(none), "server_error");
    }
}

/// The public type of the error that callers see.
fn healthimaging_kind(error: CodecError) -> &'static str {
    healthimaging::Error::from(error).kind().public_type().as_str()
}
