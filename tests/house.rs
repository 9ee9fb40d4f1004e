//! Rules of the repository: dependencies of crates, sizes of files, and statements of documents.
#![expect(clippy::unwrap_used, reason = "a test may")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// Crate → our crates that it may depend on, tests apart. `ARCHITECTURE.md` explains the arrows.
const ARROWS: &[(&str, &[&str])] = &[
    ("healthimaging", &[]),
    ("healthimaging-image", &[]),
    ("healthimaging-dicom", &["healthimaging", "healthimaging-image"]),
    ("healthimaging-deidentify", &["healthimaging", "healthimaging-dicom", "healthimaging-image"]),
    ("healthimaging-pixels", &["healthimaging", "healthimaging-image"]),
    (
        "healthimaging-render",
        &["healthimaging", "healthimaging-dicom", "healthimaging-image", "healthimaging-pixels"],
    ),
    ("healthimaging-sandbox", &["healthimaging-pixels"]),
    ("healthimaging-objects", &["healthimaging"]),
    ("healthimaging-packs", &["healthimaging"]),
    ("healthimaging-phantoms", &[]),
    ("healthimaging-jobs", &["healthimaging"]),
    ("healthimaging-jobs-sqlite", &["healthimaging", "healthimaging-jobs"]),
    (
        "healthimaging-local",
        &[
            "healthimaging",
            "healthimaging-dicom",
            "healthimaging-image",
            "healthimaging-jobs",
            "healthimaging-jobs-sqlite",
            "healthimaging-objects",
            "healthimaging-packs",
            "healthimaging-pixels",
        ],
    ),
    ("healthimaging-audit", &["healthimaging"]),
    ("healthimaging-aws", &["healthimaging", "healthimaging-objects"]),
    ("healthimaging-client", &["healthimaging"]),
    (
        "healthimaging-workflows",
        &[
            "healthimaging",
            "healthimaging-audit",
            "healthimaging-deidentify",
            "healthimaging-dicom",
            "healthimaging-image",
            "healthimaging-jobs",
            "healthimaging-objects",
            "healthimaging-pixels",
        ],
    ),
    ("healthimaging-redact", &["healthimaging", "healthimaging-deidentify", "healthimaging-dicom"]),
    (
        "healthimaging-tools",
        &[
            "healthimaging",
            "healthimaging-audit",
            "healthimaging-pixels",
            "healthimaging-redact",
            "healthimaging-render",
            "healthimaging-viewer",
            "healthimaging-workflows",
        ],
    ),
    ("healthimaging-viewer", &[]),
    (
        "healthimaging-http",
        &[
            "healthimaging",
            "healthimaging-audit",
            "healthimaging-pixels",
            "healthimaging-render",
            "healthimaging-viewer",
        ],
    ),
    (
        "healthimaging-testing",
        &[
            "healthimaging",
            "healthimaging-aws",
            "healthimaging-http",
            "healthimaging-jobs-sqlite",
            "healthimaging-local",
            "healthimaging-objects",
            "healthimaging-phantoms",
            "healthimaging-pixels",
            "healthimaging-tools",
            "healthimaging-workflows",
        ],
    ),
    (
        "healthimaging-mcp-server",
        &[
            "healthimaging",
            "healthimaging-audit",
            "healthimaging-aws",
            "healthimaging-client",
            "healthimaging-http",
            "healthimaging-jobs",
            "healthimaging-jobs-sqlite",
            "healthimaging-local",
            "healthimaging-objects",
            "healthimaging-phantoms",
            "healthimaging-pixels",
            "healthimaging-redact",
            "healthimaging-sandbox",
            "healthimaging-tools",
            "healthimaging-workflows",
        ],
    ),
];

/// Library → who may name it, tests apart: one crate, but for what wraps system calls.
const OWNERS: &[(&str, &[&str])] = &[
    ("rmcp", &["healthimaging-client", "healthimaging-tools"]),
    ("axum", &["healthimaging-http"]),
    ("rusqlite", &["healthimaging-jobs-sqlite", "healthimaging-local"]),
    ("object_store", &["healthimaging-objects"]),
    ("aws-sdk-medicalimaging", &["healthimaging-aws"]),
    ("fast_image_resize", &["healthimaging-render"]),
    ("font8x8", &["healthimaging-render"]),
    ("charls", &["healthimaging-pixels"]),
    ("hayro", &["healthimaging-pixels"]),
    ("aes-siv", &["healthimaging-redact"]),
    ("jpeg-encoder", &["healthimaging-render"]),
    ("jxl-oxide", &["healthimaging-pixels"]),
    ("aws-lc-rs", &["healthimaging-audit"]),
    ("png", &["healthimaging-render"]),
    ("openjpeg-sys", &["healthimaging-pixels"]),
    ("turbojpeg-sys", &["healthimaging-pixels"]),
    ("rustix", &["healthimaging-objects", "healthimaging-sandbox", "healthimaging-mcp-server"]),
    ("seccompiler", &["healthimaging-sandbox"]),
    ("clap", &["healthimaging-mcp-server"]),
    ("clap_complete", &["healthimaging-mcp-server"]),
    ("anyhow", &["healthimaging-mcp-server"]),
];

const MOST_LINES: usize = 500;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Crate → its direct dependencies, those of tests and builds left out.
fn dependencies() -> BTreeMap<String, BTreeSet<String>> {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--no-deps", "--format-version", "1", "--offline"])
        .current_dir(root())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    let name = |of: &Value| of["name"].as_str().unwrap().to_owned();
    let direct = |package: &Value| {
        let all = package["dependencies"].as_array().unwrap();
        all.iter().filter(|d| d["kind"].is_null()).map(name).collect()
    };
    metadata["packages"].as_array().unwrap().iter().map(|p| (name(p), direct(p))).collect()
}

#[test]
fn crates_import_only_whom_they_may() {
    let found = dependencies();
    let listed: BTreeSet<&str> = ARROWS.iter().map(|(name, _)| *name).collect();
    let existing: BTreeSet<&str> = found.keys().map(String::as_str).collect();
    assert_eq!(existing, listed, "every crate has its arrows in the table");
    for (name, allowed) in ARROWS {
        for dependency in found[*name].iter().filter(|d| existing.contains(d.as_str())) {
            assert!(allowed.contains(&dependency.as_str()), "{name} may not import {dependency}");
        }
    }
}

#[test]
fn each_great_library_is_named_by_one_crate() {
    for (name, dependencies) in dependencies() {
        for (library, owners) in OWNERS {
            assert!(
                owners.contains(&name.as_str()) || !dependencies.contains(*library),
                "{name} may not name {library}; that is for {owners:?}"
            );
        }
    }
}

fn rust_files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() && path.file_name().unwrap() != "target" {
            rust_files(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

#[test]
fn every_file_fits_in_the_head() {
    let mut files = Vec::new();
    for folder in ["src", "crates"] {
        rust_files(&root().join(folder), &mut files);
    }
    assert!(files.len() > 50, "the walk found the sources");
    let is_test = |path: &Path| path.components().any(|part| part.as_os_str() == "tests");
    for path in files.iter().filter(|path| !is_test(path)) {
        let lines = std::fs::read_to_string(path).unwrap().lines().count();
        assert!(lines <= MOST_LINES, "{} has {lines} lines", path.display());
    }
}

/// The texts for people, without those that tests write, the changelog, and what other programs bring.
fn documents() -> Vec<PathBuf> {
    let generated = ["CHANGELOG.md", "tools.md", "transcript.md"];
    let mut found = Vec::new();
    for folder in [root().to_owned(), root().join("docs")] {
        let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        found.extend(files.filter(|path| {
            let name = path.file_name().unwrap().to_str().unwrap();
            path.extension().is_some_and(|extension| extension == "md")
                && !generated.contains(&name)
        }));
    }
    found
}

#[test]
fn documents_and_the_command_line_do_not_personify() {
    let words = [
        "tell",
        "tells",
        "told",
        "hear",
        "hears",
        "heard",
        "lately",
        "whoever",
        "nobody",
        "somebody",
        "oftener",
        "meanwhile",
    ];
    let mut files = documents();
    rust_files(&root().join("src"), &mut files);
    assert!(files.len() > 20, "the walk found the files");
    for path in files {
        let text = std::fs::read_to_string(&path).unwrap().to_lowercase();
        for (number, line) in text.lines().enumerate() {
            let mut found = line.split(|c: char| !c.is_alphanumeric() && c != '_');
            assert!(
                !found.any(|word| words.contains(&word)),
                "{}:{}: {line}",
                path.display(),
                number + 1
            );
        }
    }
}

#[test]
fn architecture_names_files_that_exist() {
    let mut files = Vec::new();
    for folder in ["src", "crates", "tests"] {
        rust_files(&root().join(folder), &mut files);
    }
    let text = std::fs::read_to_string(root().join("ARCHITECTURE.md")).unwrap();
    let named =
        text.split('`').skip(1).step_by(2).filter(|quoted| {
            Path::new(quoted).extension().is_some_and(|extension| extension == "rs")
        });
    let mut count = 0;
    for name in named {
        assert!(files.iter().any(|path| path.ends_with(name)), "ARCHITECTURE.md names {name}");
        count += 1;
    }
    assert!(count > 20, "the names were found");
}

#[test]
fn the_minimum_rust_version_is_the_same_everywhere() {
    let read = |path: &str| std::fs::read_to_string(root().join(path)).unwrap();
    let manifest = read("Cargo.toml");
    let version = manifest.split("rust-version = \"").nth(1).unwrap().split('"').next().unwrap();
    for (path, text) in [
        ("README.md", format!("Rust {version} or newer")),
        ("CONTRIBUTING.md", format!("Rust {version} or newer")),
        ("CHANGELOG.md", format!("minimum Rust version is {version}")),
        ("Dockerfile", format!("rust:{version}-")),
    ] {
        assert!(read(path).contains(&text), "{path} does not say: {text}");
    }
}

/// `path: name of a test`, or a path alone.
#[test]
fn each_promise_of_security_names_tests_that_exist() {
    let security = std::fs::read_to_string(root().join("SECURITY.md")).unwrap();
    let promises = security.split("## What it does not promise").next().unwrap();
    let is_path =
        |quoted: &&str| ["tests/", "crates/", "src/"].iter().any(|at| quoted.starts_with(at));
    let mut named = 0;
    for quoted in promises.split('`').skip(1).step_by(2).filter(is_path) {
        let (path, test) = quoted.split_once(": ").unwrap_or((quoted, ""));
        let content = std::fs::read_to_string(root().join(path));
        let content = content.unwrap_or_else(|_| panic!("SECURITY.md names {path}"));
        assert!(
            test.is_empty() || content.contains(&format!("fn {test}(")),
            "{path} has no {test}"
        );
        named += 1;
    }
    assert!(named > 20, "the tests were found");
}
