//! Decoding child processes: what they cannot do, and that a crash loses only one frame.

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::process::{Command, Stdio};
use std::time::Duration;

use healthimaging_pixels::{IsolatedDecoder, PdfError, PdfPart, decode, read_pdf};
use healthimaging_sandbox::Children;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::streams::{JPEG_2000, jpeg_2000, pixels, shape, slice, source};
use crate::{PROGRAM, Rig, children_of};

const COMMAND: &str = "decode-frames";

#[test]
fn a_child_answers_as_the_decoder_of_this_process_does() {
    let children = Children::new(PROGRAM, COMMAND);
    let shape = shape(40, 30);
    let stream = jpeg_2000(&shape);
    let decoded = children.decode(&source(shape, &stream)).unwrap();
    assert_eq!(decoded.pixels, pixels(&shape));
    assert_eq!(decoded.photometric, "MONOCHROME2");
    for damaged in [&stream[..60], b"", &[0; 500]] {
        let here = decode(&source(shape, damaged)).unwrap_err();
        assert_eq!(children.decode(&source(shape, damaged)).unwrap_err(), here);
    }
    // The child is the same, and as good as before.
    assert_eq!(children.decode(&source(shape, &stream)).unwrap(), decoded);
}

/// A PDF document of a page with this content and these resources, without a table of its objects, which readers then
/// search for.
fn pdf(content: &str, resources: &str, more: &str) -> Vec<u8> {
    let length = content.len();
    format!(
        "%PDF-1.7\n1 0 obj << /Type /Catalog /Pages 2 0 R >> endobj\n\
         2 0 obj << /Type /Pages /Kids [3 0 R] /Count 1 >> endobj\n\
         3 0 obj << /Type /Page /Parent 2 0 R /MediaBox [0 0 200 100] /Contents 4 0 R \
         /Resources << {resources} >> >> endobj\n\
         4 0 obj << /Length {length} >> stream\n{content}\nendstream endobj\n{more}\n\
         trailer << /Root 1 0 R /Size 9 >>\n%%EOF\n"
    )
    .into_bytes()
}

#[test]
fn a_pdf_document_is_read_in_a_child_within_its_limits() {
    let children = Children::new(PROGRAM, COMMAND).with_patience(Duration::from_secs(10));
    let font = "/Font << /F1 << /Type /Font /Subtype /Type1 /BaseFont /Times-Roman >> >>";
    let plain = pdf("BT /F1 12 Tf 10 50 Td (All clear) Tj ET", font, "");
    let page = PdfPart::Page(1, 300);
    let read = children.read_pdf(&plain, page).unwrap();
    assert_eq!(read.texts, ["All clear"]);
    let picture = read.picture.as_ref().unwrap();
    assert_eq!((picture.columns, picture.rows), (300, 150));
    assert_eq!(read, read_pdf(&plain, page).unwrap());

    // A form that draws itself, twice each time.
    let form = "5 0 obj << /Type /XObject /Subtype /Form /BBox [0 0 9 9] /Resources << /XObject << /X 5 0 R >> >> \
                /Length 11 >> stream\n/X Do /X Do\nendstream endobj";
    let looped = pdf("/X Do", "/XObject << /X 5 0 R >>", form);
    // An array in an array in an array.
    let deep = pdf(&format!("{}{}", "[".repeat(200_000), "]".repeat(200_000)), "", "");
    let wide = plain_text(&plain).replace("[0 0 200 100]", "[0 0 1e30 1]");
    let huge = plain_text(&plain).replace("[0 0 200 100]", "[0 0 1e9 1e9]");
    for hostile in [looped, deep, wide.into_bytes(), huge.into_bytes(), b"%PDF-1.7".to_vec()] {
        // What it is read as is of no matter; that it ends, and the next one is read, is.
        for part in [page, PdfPart::Text(1)] {
            let _ = children.read_pdf(&hostile, part);
        }
        assert_eq!(children.read_pdf(&plain, page).unwrap(), read);
    }
    assert_eq!(children.read_pdf(b"none", page), Err(PdfError::Malformed));
    assert_eq!(children.read_pdf(&plain, PdfPart::Text(2)), Err(PdfError::NoSuchPage(1)));
}

fn plain_text(document: &[u8]) -> String {
    String::from_utf8(document.to_vec()).unwrap()
}

/// What the system says of a child that has decoded a frame.
#[test]
fn a_child_has_no_files_no_environment_and_no_system_calls_to_spare() {
    let mut child = Command::new(PROGRAM)
        .arg(COMMAND)
        .env_clear()
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    // No frame at all, so that the answer is an error.
    let request = br#"{"Frame":{"transfer_syntax":"1.2.840.10008.1.2.4.90","shape":{"rows":9,"columns":9,"samples_per_pixel":1,"bits_allocated":8,"bits_stored":8,"representation":"Unsigned"},"photometric":"","planar":"Interleaved","length":0}}"#;
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(&u32::try_from(request.len()).unwrap().to_le_bytes()).unwrap();
    stdin.write_all(request).unwrap();
    let mut answer = [0; b"decoder ready\n".len() + 4];
    let mut stdout = child.stdout.take().unwrap();
    stdout.read_exact(&mut answer).unwrap();

    let about =
        |name: &str| std::fs::read_to_string(format!("/proc/{}/{name}", child.id())).unwrap();
    let status = about("status");
    let says = |text: &str| assert!(status.contains(text), "no {text:?} in {status}");
    says("NoNewPrivs:\t1");
    says("Seccomp:\t2");
    says("Threads:\t1");
    let limits = about("limits");
    let limit = |name: &str| {
        let line = limits.lines().find(|line| line.starts_with(name)).unwrap();
        let soft = line[26..].split_whitespace().next().unwrap();
        soft.parse::<u64>().unwrap()
    };
    assert_eq!(limit("Max core file size"), 0);
    assert_eq!(limit("Max file size"), 0);
    assert_eq!(limit("Max open files"), 3);
    assert_eq!(limit("Max processes"), 0);
    assert!(limit("Max data size") < 300 << 20);
    assert!(limit("Max cpu time") < 100);

    drop(stdin);
    assert_eq!(child.wait().unwrap().code(), Some(0), "it ends with its server");
}

#[test]
fn a_decoder_that_does_not_start_is_ended_and_no_fault_of_the_frame() {
    let shape = shape(40, 30);
    let stream = jpeg_2000(&shape);
    let hanging = Children::new("/bin/sleep", "1000").with_patience(Duration::from_millis(300));
    let late = hanging.decode(&source(shape, &stream)).unwrap_err();
    assert!(late.is_fault(), "{late}");
    assert_eq!(children_of(std::process::id()).iter().filter(|id| is_sleep(**id)).count(), 0);
}

fn is_sleep(id: u32) -> bool {
    std::fs::read_to_string(format!("/proc/{id}/comm")).is_ok_and(|name| name.trim() == "sleep")
}

#[test]
fn an_import_whose_decoders_are_killed_goes_on() {
    let rig = Rig::new();
    let shape = shape(200, 200);
    let stream = jpeg_2000(&shape);
    let files = 30;
    for number in 0..files {
        let file = slice(&shape, number).encapsulated(JPEG_2000, vec![stream.clone(); 4]);
        let frames = healthimaging_phantoms::tags::NUMBER_OF_FRAMES;
        let file = file.with(frames, healthimaging_phantoms::VR::IS, "4");
        rig.put(&format!("{number}.dcm"), &file.build());
    }
    let mut import = rig
        .command(&["import", rig.input().to_str().unwrap()])
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // Every third: one that is lost twice before it is ready is a fault of the server.
    let (mut seen, mut killed) = (BTreeSet::new(), 0);
    while import.try_wait().unwrap().is_none() {
        for id in children_of(import.id()) {
            if seen.insert(id) && seen.len() % 3 == 1 {
                let id = Pid::from_raw(i32::try_from(id).unwrap());
                killed += i32::from(kill(id, Signal::SIGKILL).is_ok());
            }
        }
        std::thread::yield_now();
    }
    let output = import.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(killed > 0, "the import ended too soon: {said}");
    assert_eq!(output.status.code(), Some(0), "{said}");
    assert!(said.contains(&format!("{files} imported, 0 failed")), "{said}");
    assert!(rig.is_sound());
}
