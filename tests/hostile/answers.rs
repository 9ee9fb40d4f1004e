//! A service that sends more than it declares.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};

use crate::{Rig, check_memory};

/// A gzip stream of `count` times a text between two others.
fn packed(before: &str, text: &str, count: usize, after: &str) -> Vec<u8> {
    let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
    packed.write_all(before.as_bytes()).unwrap();
    let block = text.repeat(1 << 16);
    for _ in 0..count.div_ceil(1 << 16) {
        packed.write_all(block.as_bytes()).unwrap();
    }
    packed.write_all(after.as_bytes()).unwrap();
    packed.finish().unwrap()
}

/// Answers every request with these bytes, as a metadata document.
fn serve(listener: &TcpListener, body: &[u8]) {
    for stream in listener.incoming() {
        let _ = answer(stream.unwrap(), body);
    }
}

fn answer(mut stream: TcpStream, body: &[u8]) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut length = 0;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let line = line.trim_end().to_ascii_lowercase();
        if let Some(value) = line.strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
        if line.is_empty() {
            break;
        }
    }
    reader.take(length).read_to_end(&mut Vec::new())?;
    write!(
        stream,
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Encoding: gzip\r\n\
         Content-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    )?;
    stream.write_all(body)
}

/// What the tool says of a document that a service sends.
fn refusal(body: Vec<u8>) -> Value {
    let rig = Rig::new();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || serve(&listener, &body));
    let arguments = json!({ "datastore_id": "0".repeat(32), "image_set_id": "1".repeat(32) });
    let output = rig
        .command(&["--backend", "aws", "call", "get_image_set_metadata"])
        .arg(arguments.to_string())
        .env("AWS_REGION", "us-east-1")
        .env("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
        .env("AWS_SECRET_ACCESS_KEY", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY")
        .env("AWS_ENDPOINT_URL_MEDICAL_IMAGING", format!("http://{address}"))
        .output()
        .unwrap();
    check_memory();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(1), "{said}{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_str(&said).unwrap()
}

#[test]
fn a_document_that_unpacks_to_hundreds_of_megabytes_is_refused() {
    let bomb = packed("{\"a\":\"", "                ", 1 << 24, "\"}");
    assert!(bomb.len() < 16 << 20);
    let said = refusal(bomb).to_string();
    assert!(said.contains("too large"), "{said}");
}

#[test]
fn a_document_deeper_than_any_stack_is_refused() {
    let said = refusal(packed("{\"Study\":", "[", 1 << 22, "")).to_string();
    assert!(said.contains("not a whole document"), "{said}");
}
