//! Files and requests that ask for much memory: within the bound, imported, or refused with a reason.

use std::io::{BufRead, BufReader, BufWriter, Read, Seek, SeekFrom, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::thread;

use healthimaging_phantoms::{Phantom, PrimitiveValue, TransferSyntax, VR, tags};
use serde_json::json;

use crate::streams::{pixels, shape, slice};
use crate::{Rig, check_memory};

/// Why a file is refused that has too many elements, items or values.
const TOO_MUCH: &str = "take more than 268435456 bytes of memory";

/// The header of an element in explicit VR little endian (PS3.5 §7.1.2).
fn header(group: u16, number: u16, vr: [u8; 2], length: usize) -> Vec<u8> {
    let mut header = [group.to_le_bytes(), number.to_le_bytes()].concat();
    header.extend(vr);
    if matches!(&vr, b"OB" | b"OW" | b"SQ" | b"UC" | b"UN") {
        header.extend([0, 0]);
        header.extend(u32::try_from(length).unwrap().to_le_bytes());
    } else {
        header.extend(u16::try_from(length).unwrap().to_le_bytes());
    }
    header
}

/// An element, whose length is a multiple of two.
fn element(group: u16, number: u16, vr: [u8; 2], value: &[u8]) -> Vec<u8> {
    [&header(group, number, vr, value.len()), value].concat()
}

/// A file without pixels, to which private elements of group 6001 can be appended.
fn report() -> Vec<u8> {
    [Phantom::report().build(), element(0x6001, 0x0010, *b"LO", b"TESTS ")].concat()
}

/// Writes a file of much the same, of which this process never has more than a piece: what it has in memory
/// counts for the processes that it starts.
fn put(rig: &Rig, name: &str, head: &[u8], piece: &[u8], times: usize, tail: &[u8]) {
    let file = std::fs::File::create(rig.input().join(name)).unwrap();
    let mut file = BufWriter::new(file);
    file.write_all(head).unwrap();
    (0..times).for_each(|_| file.write_all(piece).unwrap());
    file.write_all(tail).unwrap();
    file.flush().unwrap();
}

/// Whether the exported file of the one instance in the store ends with so many times a piece, behind the
/// header of a value.
fn is_exported(rig: &Rig, header: &[u8], piece: &[u8], times: usize) -> bool {
    let out = rig.folder.path().join("out");
    let output = rig.command(&["export", "--out", out.to_str().unwrap()]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    check_memory();
    let mut file = std::fs::File::open(only_file(&out).unwrap()).unwrap();
    let length = i64::try_from(header.len() + piece.len() * times).unwrap();
    file.seek(SeekFrom::End(-length)).unwrap();
    let mut file = BufReader::new(file);
    let mut found = vec![0; header.len()];
    file.read_exact(&mut found).unwrap();
    let mut next = vec![0; piece.len()];
    found == header
        && (0..times).all(|_| {
            file.read_exact(&mut next).unwrap();
            next == piece
        })
}

fn only_file(folder: &Path) -> Option<PathBuf> {
    let mut entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.find_map(|path| {
        if path.is_dir() {
            return only_file(&path);
        }
        path.extension().is_some_and(|extension| extension == "dcm").then_some(path)
    })
}

#[test]
fn a_value_of_millions_of_characters_is_bulk_data() {
    let rig = Rig::new();
    let (characters, times) = (b"a\\".repeat(50_000), 400);
    let header = header(0x6001, 0x1010, *b"UC", characters.len() * times);
    put(&rig, "characters.dcm", &[&report()[..], &header].concat(), &characters, times, b"");
    rig.import().check(1, 0, 0);
    assert!(rig.is_sound());
    assert!(is_exported(&rig, &header, &characters, times));
}

#[test]
fn millions_of_values_of_a_vr_that_has_no_bulk_data_are_refused() {
    let rig = Rig::new();
    // Image Type (0008,0008), a code string, before SOP Class UID.
    let file = Phantom::report()
        .transfer_syntax(TransferSyntax::ImplicitVrLittleEndian)
        .without(tags::IMAGE_TYPE)
        .build();
    let class = file.windows(4).position(|bytes| bytes == [8, 0, 0x16, 0]).unwrap();
    let header = [&[8, 0, 8, 0], &40_000_000_u32.to_le_bytes()[..]].concat();
    let head = [&file[..class], &header].concat();
    put(&rig, "codes.dcm", &head, &b"A\\".repeat(50_000), 400, &file[class..]);
    let imported = rig.import();
    imported.check(0, 1, 0);
    assert!(imported.said.contains(TOO_MUCH), "{}", imported.said);
}

#[test]
fn a_value_of_200_megabytes_goes_in_and_out() {
    let rig = Rig::new();
    let (bytes, times) = (vec![7; 1_000_000], 200);
    let header = header(0x6001, 0x1010, *b"UN", bytes.len() * times);
    put(&rig, "value.dcm", &[&report()[..], &header].concat(), &bytes, times, b"");
    rig.import().check(1, 0, 0);
    assert!(rig.is_sound());
    assert!(is_exported(&rig, &header, &bytes, times));
}

#[test]
fn many_values_of_a_megabyte_are_mostly_bulk_data() {
    let rig = Rig::new();
    let bytes = vec![7; 1_000_000];
    let file = std::fs::File::create(rig.input().join("values.dcm")).unwrap();
    let mut file = BufWriter::new(file);
    file.write_all(&report()).unwrap();
    for number in 0x1000..0x1000 + 200 {
        file.write_all(&element(0x6001, number, *b"UN", &bytes)).unwrap();
    }
    drop(file);
    rig.import().check(1, 0, 0);
    assert!(rig.is_sound());
}

/// Puts a file with a sequence of so many items (PS3.5 §7.5).
fn put_sequence(rig: &Rig, name: &str, head: &[u8], items: usize) {
    let value = element(0x0008, 0x0100, *b"SH", b"a ");
    let length = u32::try_from(value.len()).unwrap().to_le_bytes();
    let item = [&[0xFE, 0xFF, 0x00, 0xE0][..], &length, &value].concat();
    let header = header(0x6001, 0x1010, *b"SQ", item.len() * items);
    put(rig, name, &[head, &header].concat(), &item, items, b"");
}

#[test]
fn sequences_go_in_up_to_what_memory_holds_and_out_item_by_item() {
    let rig = Rig::new();
    let report = Phantom::report().study_uid("2.25.1").series_uid("2.25.2").sop_uid("2.25.3");
    let creator = element(0x6001, 0x0010, *b"LO", b"TESTS ");
    put_sequence(&rig, "many.dcm", &[report.build(), creator].concat(), 200_000);
    put_sequence(&rig, "too_many.dcm", &self::report(), 600_000);
    let imported = rig.import();
    imported.check(1, 1, 0);
    assert!(imported.said.contains(TOO_MUCH), "{}", imported.said);
    assert!(rig.is_sound());
    // The document takes 600 bytes an item, 115 MiB, once for both readers and without anything as large
    // beside it.
    let series = "2.25.1/series/2.25.2";
    let paths = ["metadata", "instances/2.25.3", "instances?includefield=all"];
    let paths = paths.map(|path| format!("{series}/{path}"));
    let paths = paths.each_ref().map(String::as_str);
    let lengths = read_at_once(&rig, &paths, 200);
    // An item is {"00080100":{"vr":"SH","Value":["a"]}}, or a header, an element of 10 bytes and a delimiter.
    assert!(lengths[0] > 38 * 200_000 && lengths[1] > 26 * 200_000, "{lengths:?}");
}

/// Puts a file with one native frame.
fn put_frame(rig: &Rig, rows: u32, columns: u32, number: usize) {
    let head = slice(&shape(rows, columns), number).without_pixels().build();
    let row = pixels(&shape(1, columns));
    let times = usize::try_from(rows).unwrap();
    let header = header(0x7FE0, 0x0010, *b"OW", row.len() * times);
    put(rig, &format!("{number}.dcm"), &[head, header].concat(), &row, times, b"");
}

#[test]
fn large_frames_are_transcoded_one_at_a_time_and_larger_ones_kept() {
    let rig = Rig::new();
    // The largest detectors of mammography.
    for number in 0..3 {
        put_frame(&rig, 5928, 4728, number);
    }
    rig.import().check(3, 0, 0);
    let rig = Rig::new();
    put_frame(&rig, 12_000, 9_000, 1);
    rig.import().check(1, 0, 1);
    assert!(rig.is_sound());
}

/// Bytes of the body of a request, whose status is 200.
fn get(address: &str, path: &str) -> u64 {
    let mut stream = TcpStream::connect(address).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n").unwrap();
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line).unwrap();
    assert!(line.starts_with("HTTP/1.1 200"), "{line}");
    std::io::copy(&mut reader.by_ref(), &mut std::io::sink()).unwrap()
}

/// Reads paths at the same time from a server of their own, which takes less than `most` MiB; returns the
/// bytes of each answer.
fn read_at_once(rig: &Rig, paths: &[&str], most: i64) -> Vec<u64> {
    let stores = rig.call("list_datastores", &json!({}));
    let datastore = stores["datastore_summaries"][0]["datastore_id"].as_str().unwrap();
    let mut command = rig.command(&["serve", "--http", "127.0.0.1:0"]);
    let mut server = command.stderr(Stdio::piped()).spawn().unwrap();
    let lines = BufReader::new(server.stderr.take().unwrap()).lines();
    let address = lines.map(Result::unwrap).find_map(|line| {
        Some(line.split_once("MCP at http://")?.1.trim_end_matches("/mcp").to_owned())
    });
    let address = &address.unwrap();
    let lengths: Vec<u64> = thread::scope(|scope| {
        let read = |path| move || get(address, &format!("/datastore/{datastore}/studies/{path}"));
        let reads: Vec<_> = paths.iter().map(|path| scope.spawn(read(path))).collect();
        reads.into_iter().map(|read| read.join().unwrap()).collect()
    });
    let status = std::fs::read_to_string(format!("/proc/{}/status", server.id())).unwrap();
    server.kill().unwrap();
    server.wait().unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    let peak: i64 = peak.trim().trim_end_matches(" kB").parse().unwrap();
    assert!(peak >> 10 < most, "the server took {} MiB", peak >> 10);
    lengths
}

#[test]
fn eight_reads_of_the_metadata_of_a_large_series_at_once() {
    let rig = Rig::new();
    let values = element(0x6001, 0x1010, *b"UC", &b"a\\".repeat(30_000));
    let creator = element(0x6001, 0x0010, *b"LO", b"TESTS ");
    for number in 1..=16 {
        let file = Phantom::report()
            .study_uid("2.25.1")
            .series_uid("2.25.2")
            .sop_uid(&format!("2.25.3.{number}"))
            .with(tags::INSTANCE_NUMBER, VR::IS, PrimitiveValue::from(number.to_string()))
            .build();
        rig.put(&format!("{number}.dcm"), &[&file[..], &creator, &values].concat());
    }
    rig.import().check(16, 0, 0);
    let lengths = read_at_once(&rig, &["2.25.1/series/2.25.2/metadata"; 8], 250);
    assert!(lengths.iter().all(|length| *length > 16 * 30_000 * 4), "{lengths:?}");
}
