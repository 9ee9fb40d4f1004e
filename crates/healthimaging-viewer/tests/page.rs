//! The page as built: its size, its policy, and that its scripts show text as text.
#![expect(clippy::unwrap_used, reason = "a test may")]

use std::io::Read;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flate2::read::{DeflateDecoder, GzDecoder};
use healthimaging_viewer::{CONTENT_SECURITY_POLICY, HEADERS, PAGE, PAGE_GZIP};
use sha2::{Digest, Sha256};

/// What is between the first `start` and the next `end`.
fn between<'a>(text: &'a str, start: &str, end: &str) -> &'a str {
    text.split_once(start).unwrap().1.split_once(end).unwrap().0
}

fn script() -> String {
    let packed = between(PAGE, "<script id=\"packed\" type=\"text/plain\">", "</script>");
    let packed = STANDARD.decode(packed).unwrap();
    let mut text = String::new();
    DeflateDecoder::new(packed.as_slice()).read_to_string(&mut text).unwrap();
    text
}

#[test]
fn the_page_is_small_and_whole() {
    assert!(PAGE.len() <= 60_000, "{} bytes", PAGE.len());
    let mut unpacked = String::new();
    GzDecoder::new(PAGE_GZIP).read_to_string(&mut unpacked).unwrap();
    assert_eq!(unpacked, PAGE);
    assert!(script().contains("class View extends Stack"));
}

#[test]
fn the_policy_names_each_inline_script_and_style() {
    let scripts = PAGE.split("<script>").skip(1);
    let scripts = scripts.map(|from| from.split_once("</script>").unwrap().0.to_owned());
    let inline: Vec<String> =
        scripts.chain([between(PAGE, "<style>", "</style>").to_owned(), script()]).collect();
    assert_eq!(inline.len(), 4);
    for text in inline {
        let hash = STANDARD.encode(Sha256::digest(text.as_bytes()));
        assert!(CONTENT_SECURITY_POLICY.contains(&format!("'sha256-{hash}'")), "{text:.60}");
    }
    assert!(!CONTENT_SECURITY_POLICY.contains("unsafe"), "{CONTENT_SECURITY_POLICY}");
    assert!(HEADERS.iter().all(|(_, value)| value.is_ascii() && !value.contains('\n')));
}

#[test]
fn no_request_goes_to_other_sites_and_no_text_becomes_markup() {
    let script = script();
    for forbidden in [
        "innerHTML",
        "outerHTML",
        "insertAdjacentHTML",
        "document.write",
        "DOMParser",
        "eval(",
        "new Function",
        "srcdoc",
        "import(",
    ] {
        assert!(!script.contains(forbidden), "{forbidden}");
    }
    let schemes = script.match_indices("://").map(|(at, _)| &script[..at]);
    for before in schemes {
        let is_known = before.ends_with("healthimaging")
            || script[before.len()..].starts_with("://www.w3.org/2000/svg'");
        assert!(is_known, "an address of another site: {}", &before[before.len() - 40..]);
    }
    assert!(!PAGE.contains("src=\"http"));
}
