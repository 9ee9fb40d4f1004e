//! The way to AWS: certificates and proxies.

use std::io::Write as _;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Output};

use crate::rig::{Rig, stderr, stdout, text};
use crate::stub::{Stub, certificate, json, proxy};

fn stub() -> Stub {
    Stub::https(|_| json(200, "", r#"{"datastoreSummaries":[]}"#))
}

fn listing(rig: &Rig, endpoint: &str) -> Command {
    let mut command = rig.command(&["--backend", "aws", "--endpoint-url", endpoint]);
    command
        .args(["call", "list_datastores"])
        .env("HOME", rig.folder.path())
        .env("AWS_REGION", "us-east-1")
        .env("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
        .env("AWS_SECRET_ACCESS_KEY", "secret");
    command
}

fn all(output: &Output) -> String {
    stdout(output) + &stderr(output)
}

#[test]
fn a_certificate_authority_of_its_own_is_named_or_trusted() {
    let (rig, stub) = (Rig::new(), stub());
    let endpoint = format!("https://127.0.0.1:{}", stub.port);
    let untrusted = listing(&rig, &endpoint).output().unwrap();
    assert_eq!(untrusted.status.code(), Some(1));
    let said = stdout(&untrusted);
    assert!(said.contains("service_error"), "{said}");
    assert!(said.contains("TLS certificate") && said.contains("AWS_CA_BUNDLE"), "{said}");
    assert_eq!(stub.heads().len(), 0);

    let trusted = listing(&rig, &endpoint).env("AWS_CA_BUNDLE", certificate()).output().unwrap();
    assert_eq!(trusted.status.code(), Some(0), "{}", all(&trusted));
    let config = rig.path("config");
    std::fs::write(&config, format!("[default]\nca_bundle = {}\n", certificate().display()))
        .unwrap();
    let trusted = listing(&rig, &endpoint).env("AWS_CONFIG_FILE", &config).output().unwrap();
    assert_eq!(trusted.status.code(), Some(0), "{}", all(&trusted));

    // It is made out to 127.0.0.1 and localhost.
    let (port, _) = proxy(stub.port);
    let mut command = listing(&rig, "https://elsewhere.invalid");
    command.env("AWS_CA_BUNDLE", certificate()).env("HTTPS_PROXY", format!("127.0.0.1:{port}"));
    let said = stdout(&command.output().unwrap());
    assert!(said.contains("for another host"), "{said}");
}

#[test]
fn an_endpoint_that_does_not_speak_tls_is_named() {
    let rig = Rig::new();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let answered = stream.unwrap().write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n");
            answered.unwrap();
        }
    });
    let output = listing(&rig, &format!("https://127.0.0.1:{port}")).output().unwrap();
    let said = stdout(&output);
    assert!(said.contains("TLS with the endpoint failed"), "{said}");
}

#[test]
fn a_bundle_that_cannot_be_used_is_named() {
    let rig = Rig::new();
    let run = |bundle: &Path| {
        let mut command = listing(&rig, "https://127.0.0.1:1");
        let output = command.env("AWS_CA_BUNDLE", bundle).output().unwrap();
        assert_eq!(output.status.code(), Some(1));
        stderr(&output)
    };
    let missing = rig.path("missing.pem");
    let said = run(&missing);
    assert!(
        said.contains(&format!(
            "AWS_CA_BUNDLE: the certificates of {} cannot be read",
            text(&missing)
        )),
        "{said}"
    );
    let empty = rig.path("empty.pem");
    std::fs::write(&empty, "no certificate\n").unwrap();
    assert!(run(&empty).contains("are missing"), "{}", run(&empty));
    let broken = rig.path("broken.pem");
    std::fs::write(&broken, "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
        .unwrap();
    assert!(run(&broken).contains("cannot be used"), "{}", run(&broken));
}

#[test]
fn a_proxy_is_used_without_a_scheme_too_and_named_where_it_cannot_be() {
    let (rig, stub) = (Rig::new(), stub());
    let endpoint = format!("https://localhost:{}", stub.port);
    let (port, connections) = proxy(stub.port);
    for url in [format!("127.0.0.1:{port}"), format!("http://127.0.0.1:{port}")] {
        let before = *connections.lock().unwrap();
        let mut command = listing(&rig, &endpoint);
        command.env("AWS_CA_BUNDLE", certificate()).env("HTTPS_PROXY", &url);
        let output = command.output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{url}: {}", all(&output));
        assert_eq!(*connections.lock().unwrap(), before + 1, "{url}");
    }
    for url in ["proxy.example:3128/", "socks5://proxy.example:1080", "user:SECRET@", "/proxy"] {
        let output = listing(&rig, &endpoint).env("HTTPS_PROXY", url).output().unwrap();
        let said = all(&output);
        assert!(said.contains("HTTPS_PROXY is not the URL of an HTTP proxy"), "{url}: {said}");
        assert!(!said.contains("SECRET"), "{said}");
    }
}
