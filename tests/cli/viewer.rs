//! `serve --viewer`: the static files of a web viewer, beside the routes of the server.

use std::path::PathBuf;

use crate::http::{Answer, Served};
use crate::rig::{Rig, stderr, text};

const TOKEN: &str = "a-token-of-the-viewer";

/// A server with the files of a viewer that looks as OHIF does.
struct Rigged {
    rig: Rig,
    served: Served,
}

fn dist(rig: &Rig) -> PathBuf {
    let dist = rig.path("dist");
    std::fs::create_dir_all(dist.join("assets")).unwrap();
    let page = "<!doctype html><title>OHIF Viewer</title><script>window.PUBLIC_URL='/'</script>\
                <script src=\"/app-config.js\"></script><script defer src=\"/app.bundle.js\"></script>";
    for (name, content) in [
        ("index.html", page),
        ("app.bundle.js", "identity"),
        ("app.bundle.js.gz", "compressed"),
        ("app-config.js", "of the package"),
        ("decoder.wasm", "\0asm"),
        ("assets/logo.svg", "<svg/>"),
        (".env", "hidden"),
        ("healthz", "of the viewer"),
        ("metrics", "of the viewer"),
        ("datastore", "of the viewer"),
    ] {
        std::fs::write(dist.join(name), content).unwrap();
    }
    std::fs::write(rig.path("secret.txt"), "secret").unwrap();
    dist
}

impl Rigged {
    fn new(words: &[&str]) -> Self {
        let rig = Rig::new();
        let dist = dist(&rig);
        #[cfg(unix)]
        {
            std::os::unix::fs::symlink(rig.path("secret.txt"), dist.join("linked.txt")).unwrap();
            std::os::unix::fs::symlink(rig.path(""), dist.join("up")).unwrap();
            std::os::unix::fs::symlink(dist.join("decoder.wasm"), dist.join("same.wasm")).unwrap();
        }
        let served = Served::start(&rig, &[words, &["--viewer", text(&dist)]].concat());
        Self { rig, served }
    }

    fn get(&self, path: &str, headers: &str) -> Answer {
        self.served.answer(&format!("GET {path}"), headers, b"")
    }
}

const PAGE: &str = "Accept: text/html\r\n";

#[test]
fn files_have_types_tags_and_the_headers_of_an_isolated_page() {
    let it = Rigged::new(&[]);
    for (path, media, body) in [
        ("/view/", "text/html; charset=utf-8", &b"<!doctype html>"[..]),
        ("/view/app.bundle.js", "text/javascript", b"identity"),
        ("/view/decoder.wasm", "application/wasm", b"\0asm"),
        ("/view/assets/logo.svg", "image/svg+xml", b"<svg/>"),
        // The published build of OHIF requests its files at the root.
        ("/app.bundle.js", "text/javascript", b"identity"),
        ("/assets/logo.svg", "image/svg+xml", b"<svg/>"),
    ] {
        let answer = it.get(path, "");
        assert_eq!((answer.status, answer.header("content-type")), (200, Some(media)), "{path}");
        assert!(answer.body.starts_with(body), "{path}");
        for (name, value) in [
            ("cross-origin-opener-policy", "same-origin"),
            ("cross-origin-embedder-policy", "require-corp"),
            ("x-content-type-options", "nosniff"),
        ] {
            assert_eq!(answer.header(name), Some(value), "{path}");
        }
        let tag = answer.header("etag").unwrap();
        let again = it.get(path, &format!("If-None-Match: {tag}\r\n"));
        assert_eq!((again.status, again.body.len()), (304, 0), "{path}");
    }
    let packed = it.get("/app.bundle.js", "Accept-Encoding: br, gzip\r\n");
    assert_eq!(
        (packed.header("content-encoding"), &packed.body[..]),
        (Some("gzip"), &b"compressed"[..])
    );
    let policy = it.get("/view/", "").header("content-security-policy").unwrap().to_owned();
    // `printf "window.PUBLIC_URL='/'" | openssl sha256 -binary | base64`
    assert!(policy.contains("'sha256-HduPiktadII+Ke0c0x0RDAVGFJI6aQ6PhDHdHF3LX+w='"), "{policy}");
    assert!(policy.starts_with("default-src 'self'; script-src 'self' blob: "), "{policy}");
    assert!(!policy.contains("http") && !policy.contains("script-src 'unsafe-inline'"), "{policy}");
}

#[test]
fn addresses_of_the_viewer_are_its_page_and_those_of_the_server_stay() {
    let it = Rigged::new(&[]);
    for path in ["/view/viewer/0123?StudyInstanceUIDs=1.2.3", "/view/index.html", "/view/a/b"] {
        assert_eq!(it.get(path, PAGE).status, 200, "{path}");
    }
    for path in ["/view/absent.js", "/view/viewer"] {
        assert_eq!(it.get(path, "Accept: */*\r\n").status, 404, "{path}");
    }
    let moved = it.get("/view?a=b", PAGE);
    assert_eq!((moved.status, moved.header("location")), (308, Some("/view/?a=b")));
    assert_eq!(it.served.answer("POST /view/", "", b"").status, 405);
    // A file never stands in for a route of the server.
    for path in ["/healthz", "/metrics", "/datastore"] {
        let answer = it.get(path, "");
        assert_ne!(answer.body, b"of the viewer", "{path}");
        assert_eq!(answer.status, 200, "{path}");
    }
    let start = it.get("/", "Accept: text/html\r\n");
    assert!(
        String::from_utf8_lossy(&start.body).contains("<html lang=\"en\" data-viewer=\"ohif\">")
    );
    let config = it.get("/app-config.js", "");
    assert!(
        String::from_utf8_lossy(&config.body).contains("routerBasename"),
        "ours, not of the package"
    );
}

#[test]
fn nothing_outside_of_the_folder_is_served() {
    let it = Rigged::new(&[]);
    for path in [
        "/view/../secret.txt",
        "/view/%2e%2e/secret.txt",
        "/view/..%2fsecret.txt",
        "/view/assets/../../secret.txt",
        "/view/%2e%2e%5csecret.txt",
        "/view//etc/passwd",
        "/view/%2fetc%2fpasswd",
        "/view/linked.txt",
        "/view/up/secret.txt",
        "/view/.env",
        "/view/secret.txt%00.js",
        "/view/assets",
        "/..%2fsecret.txt",
        "/linked.txt",
        "/up/secret.txt",
        "/.env",
        "//etc/passwd",
    ] {
        let answer = it.get(path, "");
        assert_eq!(answer.status, 404, "{path}: {}", String::from_utf8_lossy(&answer.body));
    }
    assert_eq!(it.get("/view/same.wasm", "").status, if cfg!(unix) { 200 } else { 404 });
    drop(it.rig);
}

/// The files hold no data; what the viewer requests then needs the token.
#[test]
fn files_are_public_and_data_is_not() {
    let it = Rigged::new(&["--http-token", TOKEN]);
    assert_eq!(it.get("/view/", PAGE).status, 200);
    assert_eq!(it.get("/app-config.js", "").status, 200);
    assert_eq!(it.get("/datastore/name/studies", "").status, 401);
    assert_eq!(it.get("/absent.js", "").status, 403);
}

#[test]
fn a_folder_that_is_no_viewer_is_refused_before_a_store_is_created() {
    let rig = Rig::new();
    std::fs::create_dir(rig.path("empty")).unwrap();
    let gone = rig.path("gone");
    let empty = rig.path("empty");
    let dist = dist(&rig);
    let file = dist.join("index.html");
    let keys = ["--http-access-key", "AKIDEXAMPLE:a-secret-of-the-test"];
    for (folder, words, expected) in [
        (&gone, &[][..], "cannot be read"),
        (&empty, &[], "has no index.html"),
        (&file, &[], "has no index.html"),
        (&dist, &keys, "a browser cannot sign requests"),
    ] {
        let start = ["serve", "--http", "127.0.0.1:0", "--viewer", text(folder)];
        let output = rig.run(&[&start[..], words].concat());
        assert_eq!(output.status.code(), Some(2), "{}", stderr(&output));
        let error = stderr(&output);
        assert!(error.contains("--viewer: ") && error.contains(expected), "{error}");
        assert!(!rig.path("store").exists());
    }
}
