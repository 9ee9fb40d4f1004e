//! The viewer and start page: one HTML page, for a browser at `/` and for hosts of MCP Apps.
//!
//! The page has no framework and sends no request to other sites. It runs inside the default policy of MCP Apps and
//! inside [`CONTENT_SECURITY_POLICY`]. This crate holds its bytes; it must know no protocol and do no I/O.
//!
//! Served at `/`, the page uses `mcp` (protocol of 2026-07-28) and `datastore/{id}/…` (DICOMweb), both relative to its
//! own address. As an MCP App it uses the host instead:
//!
//! * The answer of the tool that shows it is a JSON object with `datastore_id` and `image_set_id` (or
//!   `image_set_ids`, or `series`: objects with `image_set_id`), and optionally `series_instance_uid`, `slice` (from 1)
//!   and `window` (`center`, `width`).
//! * `healthimaging://datastores/{id}/image-sets/{id}/metadata` is the metadata document.
//! * `healthimaging://datastores/{id}/image-sets/{id}/frames/{id}/pixels?chunk=N` is a JSON object: `chunk` (from 0),
//!   `chunks`, and `data`, a piece of the frame. All pieces, decoded from base64 and joined, are a deflate stream without
//!   header (RFC 1951) of the native pixels in little endian, as Explicit VR Little Endian has them (PS3.5 §8.2). Where
//!   these differ from the metadata, the first piece also has `rows`, `columns`, `samples_per_pixel`,
//!   `bits_allocated`, `bits_stored`, `high_bit`, `photometric_interpretation` or `planar_configuration`.
//!   Where an instance with several frames has one stored frame, `&frame_number=N` (from 1) selects one.
//! * The tool `get_report` (`datastore_id`, `sop_instance_uid`, `page`) has a page of a PDF as picture and text.
//!
//! ```
//! use healthimaging_viewer::{HEADERS, PAGE};
//!
//! assert!(PAGE.starts_with("<!doctype html>"));
//! assert!(HEADERS.iter().any(|(name, _)| *name == "content-security-policy"));
//! ```

/// The page as HTML.
pub const PAGE: &str = include_str!(concat!(env!("OUT_DIR"), "/viewer.html"));

/// The page as HTML, compressed with gzip.
pub const PAGE_GZIP: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/viewer.html.gz"));

/// Weak entity tag of the page, whatever its encoding.
pub const ETAG: &str = include_str!(concat!(env!("OUT_DIR"), "/etag.txt"));

/// Content-Security-Policy of the page where it is served at `/`.
pub const CONTENT_SECURITY_POLICY: &str = include_str!(concat!(env!("OUT_DIR"), "/policy.txt"));

/// Headers of the page where it is served at `/`, without those of the encoding.
pub const HEADERS: [(&str, &str); 8] = [
    ("content-type", "text/html; charset=utf-8"),
    ("content-security-policy", CONTENT_SECURITY_POLICY),
    ("cache-control", "no-cache"),
    ("etag", ETAG),
    ("referrer-policy", "no-referrer"),
    ("x-content-type-options", "nosniff"),
    ("cross-origin-opener-policy", "same-origin"),
    ("cross-origin-resource-policy", "same-origin"),
];

/// Configuration of OHIF (its `app-config.js`) for a server that has the page at `/` and OHIF at `view/`. It makes a data source
/// of each data store, and authenticates with the token that the page keeps.
pub const OHIF_CONFIG: &str = include_str!("../assets/ohif-config.js");

/// Returns the page with links to another viewer at `view/`. `kind` is `ohif`, in whose addresses it then links to studies, or
/// `other`.
#[must_use]
pub fn page_with_viewer(kind: &str) -> String {
    PAGE.replacen("<html lang=\"en\"", &format!("<html lang=\"en\" data-viewer=\"{kind}\""), 1)
}

/// URI of the page as a resource of MCP Apps.
pub const RESOURCE_URI: &str = "ui://healthimaging/viewer";

/// Media type of the page as a resource of MCP Apps (2026-01-26).
pub const RESOURCE_MEDIA_TYPE: &str = "text/html;profile=mcp-app";
