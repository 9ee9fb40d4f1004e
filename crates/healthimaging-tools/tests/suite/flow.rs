//! How much a conversation of lines holds: unread answers do not pile up.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::time::timeout;

use healthimaging_testing::Fake;
use healthimaging_tools::{Confirm, Offer, serve};

/// Bytes that a pipe holds.
const PIPE: usize = 4096;

fn request(id: u32, method: &str, params: &Value) -> String {
    json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params }).to_string() + "\n"
}

/// Time stands still while anything can go on, so that the wait ends exactly when nothing can.
#[tokio::test(start_paused = true)]
async fn a_client_that_does_not_read_is_not_read_either() {
    const ASKED: u32 = 1_000;
    let (near_in, far_in) = tokio::io::duplex(PIPE);
    let (far_out, near_out) = tokio::io::duplex(PIPE);
    tokio::spawn(serve(Fake::default().server(Offer::All, Confirm::Auto), far_in, far_out));
    let (mut input, mut output) = (near_in, BufReader::new(near_out).lines());
    let greeting = json!({
        "protocolVersion": "2025-06-18", "capabilities": {},
        "clientInfo": { "name": "test", "version": "1" }
    });
    input.write_all(request(0, "initialize", &greeting).as_bytes()).await.unwrap();
    output.next_line().await.unwrap().unwrap();
    input
        .write_all(b"{\"jsonrpc\":\"2.0\",\"method\":\"notifications/initialized\"}\n")
        .await
        .unwrap();
    let mut sent = 0;
    for id in 1..=ASKED {
        let line = request(id, "tools/list", &json!({}));
        let written = timeout(Duration::from_mins(1), input.write_all(line.as_bytes())).await;
        if written.is_err() {
            break;
        }
        sent = id;
    }
    // 64 are open, and the pipe and a buffer of 8 KiB hold some 70 bytes each of the others.
    assert!((64..64 + 200).contains(&sent), "{sent}");
    // Once it is read, it reads on.
    for _ in 0..sent {
        let line = output.next_line().await.unwrap().unwrap();
        let message: Value = serde_json::from_str(&line).unwrap();
        assert!(message["result"]["tools"].is_array(), "{message}");
    }
}
