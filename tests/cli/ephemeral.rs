//! `serve --ephemeral`: a store that ends with the server, and a reset that only such a server has.

use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use crate::http::Served;
use crate::rig::{Rig, stderr, text};

const RESET: &str = "POST /ephemeral/reset";

/// The temporary stores in the folder for temporary files.
fn stores(rig: &Rig) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(rig.folder.path()).unwrap().map(|entry| entry.unwrap().path());
    let is_store = |path: &PathBuf| {
        let name = path.file_name().unwrap().to_str().unwrap();
        name.starts_with("healthimaging-ephemeral-")
    };
    entries.filter(is_store).collect()
}

fn datastores(served: &Served) -> usize {
    let listed = served.answer("GET /datastore", "", b"");
    assert_eq!(listed.status, 200);
    let listed = listed.json();
    let all = listed["datastoreSummaries"].as_array().unwrap().clone();
    all.iter().filter(|one| one["datastoreStatus"] != "DELETED").count()
}

/// Imports two series, as another process that uses the store.
fn fill(rig: &Rig, store: &Path, name: &str) {
    let scans = rig.scans();
    let mut import = Command::new(env!("CARGO_BIN_EXE_healthimaging-mcp-server"));
    import.env_clear().arg("--data-dir").arg(store);
    let imported = import.args(["import", text(&scans), "--datastore", name]).output().unwrap();
    assert!(imported.status.success(), "{}", stderr(&imported));
}

#[test]
fn a_reset_empties_the_store_and_the_end_removes_it() {
    let rig = Rig::new();
    let mut served = Served::start(&rig, &["--ephemeral"]);
    let [store] = &stores(&rig)[..] else { panic!("one temporary store") };
    fill(&rig, store, "one");
    fill(&rig, store, "two");
    assert_eq!(datastores(&served), 2);
    let page = served.answer(RESET, "Origin: http://localhost\r\n", b"");
    assert_eq!(page.status, 403, "{}", page.head);
    assert_eq!(served.answer("GET /ephemeral/reset", "", b"").status, 405);
    assert_eq!(datastores(&served), 2);
    let reset = served.answer(RESET, "", b"");
    assert_eq!(reset.status, 200, "{}", reset.head);
    // Two series in each.
    assert_eq!(reset.json(), json!({ "datastores_deleted": 2, "image_sets_deleted": 4 }));
    assert_eq!(datastores(&served), 0);
    let again = served.answer(RESET, "", b"").json();
    assert_eq!(again, json!({ "datastores_deleted": 0, "image_sets_deleted": 0 }));
    assert!(!rig.path("store").exists());
    #[cfg(unix)]
    {
        served.terminate();
        assert!(stores(&rig).is_empty(), "{:?}", stores(&rig));
    }
}

/// A page of a host that an attacker resolves to this machine names it in `Host` (DNS rebinding).
#[test]
fn a_reset_for_a_public_host_is_refused() {
    let rig = Rig::new();
    let served = Served::start(&rig, &["--ephemeral"]);
    let mut stream = std::net::TcpStream::connect(&served.address).unwrap();
    write!(
        stream,
        "{RESET} HTTP/1.1\r\nHost: evil.example:8730\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 403 "), "{answer}");
}

#[test]
fn a_reset_waits_for_a_running_import() {
    let rig = Rig::new();
    let served = Served::start(&rig, &["--ephemeral"]);
    let [store] = &stores(&rig)[..] else { panic!("one temporary store") };
    let scans = rig.scans();
    let mut import = Command::new(env!("CARGO_BIN_EXE_healthimaging-mcp-server"));
    import.env_clear().arg("--data-dir").arg(store).args(["import", text(&scans)]);
    let mut importing = import.args(["--datastore", "one"]).spawn().unwrap();
    while datastores(&served) == 0 {
        assert!(importing.try_wait().unwrap().is_none_or(|status| status.success()));
    }
    let reset = served.answer(RESET, "", b"");
    assert_eq!(reset.status, 200, "{}", reset.head);
    assert_eq!(datastores(&served), 0);
    // Whether the import found its data store depends on who was first.
    importing.wait().unwrap();
}

/// A terminal that closes sends SIGHUP.
#[cfg(unix)]
#[test]
fn a_closed_terminal_leaves_no_store_behind() {
    let rig = Rig::new();
    let mut served = Served::start(&rig, &["--ephemeral"]);
    assert_eq!(stores(&rig).len(), 1);
    served.end_by("-HUP");
    assert!(stores(&rig).is_empty(), "{:?}", stores(&rig));
}

#[test]
fn only_an_ephemeral_server_has_a_reset_and_clients_must_be_admitted() {
    let rig = Rig::new();
    let lasting = Served::start(&rig, &[]);
    let created =
        lasting.answer("POST /datastore", "", br#"{"datastoreName": "kept", "clientToken": "t"}"#);
    assert_eq!(created.status, 200, "{}", created.head);
    let missing = lasting.answer(RESET, "", b"");
    assert!([403, 404].contains(&missing.status), "{}", missing.head);
    assert_eq!(datastores(&lasting), 1);

    let token = ["--ephemeral", "--http-token", "0123456789abcdef"];
    let guarded = Served::start(&rig, &token);
    assert_eq!(guarded.answer(RESET, "", b"").status, 401);
    let admitted = guarded.answer(RESET, "Authorization: Bearer 0123456789abcdef\r\n", b"");
    assert_eq!(admitted.status, 200, "{}", admitted.head);
    let none: Value = json!({ "datastores_deleted": 0, "image_sets_deleted": 0 });
    assert_eq!(admitted.json(), none);
}

#[test]
fn what_an_ephemeral_store_cannot_be_is_refused() {
    let rig = Rig::new();
    for words in [
        &["serve", "--ephemeral", "--backend", "aws", "--http-token", "0123456789abcdef"][..],
        &["serve", "--ephemeral", "--read-only"],
    ] {
        let refused = rig.run(words);
        assert_eq!(refused.status.code(), Some(2), "{}", stderr(&refused));
        assert!(stderr(&refused).contains("--ephemeral"), "{}", stderr(&refused));
    }
    // A server that cannot listen leaves nothing behind.
    let refused = rig.run(&[
        "serve",
        "--ephemeral",
        "--http",
        "192.0.2.1:1",
        "--http-token",
        "0123456789abcdef",
    ]);
    assert_eq!(refused.status.code(), Some(1), "{}", stderr(&refused));
    assert!(stores(&rig).is_empty());
}
