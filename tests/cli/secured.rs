//! `serve` with TLS: real clients, clients without TLS, new files, and files that cannot be used.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::{fs, str};

use crate::rig::{Rig, stderr, text};

fn fixture(name: &str) -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "tests/cli/tls", name].iter().collect()
}

/// A server with TLS that ends with the test.
struct Secured {
    child: Child,
    port: String,
}

impl Drop for Secured {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Secured {
    fn start(rig: &Rig) -> Self {
        let (certificate, key) = (rig.path("certificate.pem"), rig.path("key.pem"));
        let words = ["serve", "--http", "127.0.0.1:0", "--tls-cert", text(&certificate)];
        let mut command = rig.command(&[&words[..], &["--tls-key", text(&key)]].concat());
        let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let said = lines.map(Result::unwrap).find_map(|line| {
            Some(
                line.split_once("MCP at https://127.0.0.1:")?.1.trim_end_matches("/mcp").to_owned(),
            )
        });
        Self { child, port: said.unwrap() }
    }

    /// The answer to curl, which trusts one certificate.
    fn curl(&self, trusted: &str, path: &str, words: &[&str]) -> Output {
        let mut curl = Command::new("curl");
        curl.args([
            "-sS",
            "--max-time",
            "20",
            "--noproxy",
            "*",
            "--cacert",
            text(&fixture(trusted)),
        ]);
        curl.args(words).arg(format!("https://localhost:{}{path}", self.port));
        curl.output().unwrap()
    }
}

fn copied(rig: &Rig, certificate: &str, key: &str) {
    fs::copy(fixture(certificate), rig.path("certificate.pem")).unwrap();
    fs::copy(fixture(key), rig.path("key.pem")).unwrap();
}

#[test]
fn real_clients_use_tls_and_new_files_count_from_the_next_connection() {
    let rig = Rig::new();
    copied(&rig, "certificate.pem", "key.pem");
    let served = Secured::start(&rig);
    for version in ["--tlsv1.2", "--tlsv1.3"] {
        let healthy =
            served.curl("certificate.pem", "/healthz", &[version, "-w", "%{http_version}"]);
        assert!(healthy.status.success(), "{}", stderr(&healthy));
        assert_eq!(str::from_utf8(&healthy.stdout).unwrap(), "{\"status\":\"ok\"}1.1");
    }
    let stranger = served.curl("renewed.pem", "/healthz", &[]);
    // The exit code of curl for a certificate that it does not trust.
    assert_eq!(stranger.status.code(), Some(60), "{}", stderr(&stranger));

    // URLs in answers are https.
    let scans = rig.scans();
    assert!(rig.run(&["import", text(&scans), "--datastore", "main"]).status.success());
    let studies = served.curl("certificate.pem", "/datastore/main/studies", &[]);
    let studies = String::from_utf8(studies.stdout).unwrap();
    assert!(
        studies.contains(&format!("https://localhost:{}/datastore/", served.port)),
        "{studies}"
    );

    // A client without TLS is answered.
    let mut plain = TcpStream::connect(format!("127.0.0.1:{}", served.port)).unwrap();
    write!(plain, "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    let mut answer = String::new();
    plain.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 400 ") && answer.contains("use https://"), "{answer}");
    let length = answer.split_once("\r\n\r\n").unwrap().1.len();
    assert!(answer.contains(&format!("Content-Length: {length}\r\n")), "{answer}");

    // Files that do not belong together change nothing; those that do are used.
    fs::copy(fixture("renewed.pem"), rig.path("certificate.pem")).unwrap();
    assert!(served.curl("certificate.pem", "/healthz", &[]).status.success());
    fs::copy(fixture("renewed.key.pem"), rig.path("key.pem")).unwrap();
    let renewed = served.curl("renewed.pem", "/healthz", &[]);
    assert!(renewed.status.success(), "{}", stderr(&renewed));
}

#[test]
fn certificates_that_cannot_be_used_are_start_errors() {
    let rig = Rig::new();
    for (certificate, key, said) in [
        ("certificate.pem", "renewed.key.pem", "not the key of"),
        ("expired.pem", "expired.key.pem", "has expired"),
        ("key.pem", "key.pem", "certificate"),
    ] {
        copied(&rig, certificate, key);
        let files = (rig.path("certificate.pem"), rig.path("key.pem"));
        let words = ["serve", "--tls-cert", text(&files.0), "--tls-key", text(&files.1)];
        let refused = rig.run(&words);
        assert_eq!(refused.status.code(), Some(2), "{}", stderr(&refused));
        assert!(stderr(&refused).contains(said), "{}", stderr(&refused));
    }
    let alone = rig.run(&["serve", "--tls-cert", text(&rig.path("certificate.pem"))]);
    assert_eq!(alone.status.code(), Some(2));
    assert!(stderr(&alone).contains("--tls-key"), "{}", stderr(&alone));
}
