//! A viewer of another project, such as OHIF: static files of a folder, with a configuration for this server.
//!
//! The files hold no data, so they need no token; what the viewer then requests does.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::UNIX_EPOCH;

use axum::body::Body;
use axum::extract::{MatchedPath, RawQuery, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Redirect, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use healthimaging::{Error, Result};
use http::header::{self, HeaderName, HeaderValue};
use http::{HeaderMap, Method, StatusCode};
use percent_encoding::percent_decode_str;
use sha2::{Digest, Sha256};
use tower_http::services::ServeFile;

use crate::entity_tag::{is_known, tag};
use crate::page::accepts;

/// Path below which the viewer is served.
pub(crate) const PLACE: &str = "/view/";

/// Route of its files.
pub(crate) const FILES: &str = "/view/{*path}";

/// Route of the same place without a slash at its end.
pub(crate) const WITHOUT_SLASH: &str = "/view";

const INDEX: &str = "index.html";

/// Name of the configuration of OHIF, which this server writes.
const CONFIG: &str = "app-config.js";

/// Longest page in bytes that is read to compute its policy.
const LONGEST_PAGE: u64 = 4 << 20;

/// Headers of every file. A page that is isolated from other origins has `SharedArrayBuffer`, which OHIF needs for volumes.
const HEADERS: [(&str, &str); 6] = [
    ("cross-origin-opener-policy", "same-origin"),
    ("cross-origin-embedder-policy", "require-corp"),
    ("cross-origin-resource-policy", "same-origin"),
    ("cache-control", "no-cache"),
    ("referrer-policy", "no-referrer"),
    ("x-content-type-options", "nosniff"),
];

/// Folder with the static files of a viewer.
#[derive(Debug, Clone)]
pub struct Viewer {
    /// Without symbolic links.
    folder: Arc<Path>,
    is_ohif: bool,
}

impl Viewer {
    /// Opens a folder that has an `index.html`.
    ///
    /// # Errors
    /// `Validation` for other folders.
    pub fn open(folder: &Path) -> Result<Self> {
        let invalid = |why: String| Error::validation(format!("{} {why}", folder.display()));
        let found =
            folder.canonicalize().map_err(|error| invalid(format!("cannot be read: {error}")))?;
        let index = std::fs::read(found.join(INDEX)).map_err(|error| {
            invalid(format!(
                "has no {INDEX} that can be read ({error}); give the folder of the viewer's built files, such as \
                 node_modules/@ohif/app/dist"
            ))
        })?;
        let is_ohif = memchr::memmem::find(&index, b"OHIF").is_some();
        Ok(Self { folder: found.into(), is_ohif })
    }

    /// Returns the kind of viewer for the start page, which links to studies in the addresses of OHIF.
    pub(crate) fn kind(&self) -> &'static str {
        if self.is_ohif { "ohif" } else { "other" }
    }

    /// Returns the file of a decoded URL path, unless it is outside the folder.
    async fn file(&self, path: &str) -> Option<PathBuf> {
        let path = percent_decode_str(path).decode_utf8().ok()?;
        let is_name = |name: &str| !name.starts_with('.') && !name.contains(['\\', ':', '\0']);
        if path.is_empty() || !path.split('/').all(is_name) {
            return None;
        }
        let found = tokio::fs::canonicalize(self.folder.join(&*path)).await.ok()?;
        let is_file =
            found.starts_with(&self.folder) && tokio::fs::metadata(&found).await.ok()?.is_file();
        is_file.then_some(found)
    }

    /// Returns the response with the file of a path; `None` if there is none.
    async fn respond(&self, path: &str, asked: &HeaderMap) -> Option<Response> {
        if path == CONFIG && self.is_ohif {
            let config = healthimaging_viewer::OHIF_CONFIG;
            return Some(whole(
                asked,
                config.into(),
                "text/javascript; charset=utf-8",
                &policy(&[]),
            ));
        }
        let path = if path.is_empty() { INDEX } else { path };
        let file = self.file(path).await?;
        let about = tokio::fs::metadata(&file).await.ok()?;
        let is_page = file.extension().is_some_and(|end| end.eq_ignore_ascii_case("html"));
        if is_page && about.len() <= LONGEST_PAGE {
            let page = tokio::fs::read(&file).await.ok()?;
            let policy = policy(&inline_scripts(&page));
            return Some(whole(asked, page, "text/html; charset=utf-8", &policy));
        }
        let changed = about.modified().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
        let changed = changed.unwrap_or_default().as_nanos().to_le_bytes();
        let tag = tag(&[&about.len().to_le_bytes(), &changed]);
        if is_known(asked, &tag) {
            return Some(framed(StatusCode::NOT_MODIFIED.into_response(), &tag, &policy(&[])));
        }
        let mut service = ServeFile::new(&file);
        if self.file(&format!("{path}.br")).await.is_some() {
            service = service.precompressed_br();
        }
        if self.file(&format!("{path}.gz")).await.is_some() {
            service = service.precompressed_gzip();
        }
        let mut request = Request::new(Body::empty());
        request.headers_mut().clone_from(asked);
        let response = service.try_call(request).await.ok()?;
        Some(framed(response.map(Body::new), &tag, &policy(&[])))
    }
}

/// Serves the viewer at [`PLACE`]. Addresses that the viewer makes for its own pages are those of `index.html`.
pub(crate) async fn serve(State(viewer): State<Viewer>, request: Request) -> Response {
    let path = request.uri().path().strip_prefix(PLACE).unwrap_or_default();
    let asked = request.headers();
    if let Some(response) = viewer.respond(path, asked).await {
        return response;
    }
    let is_page = accepts(asked, &header::ACCEPT, "text/html");
    let index = if is_page { viewer.respond(INDEX, asked).await } else { None };
    index
        .unwrap_or_else(|| (StatusCode::NOT_FOUND, "the viewer has no such file\n").into_response())
}

/// Redirects to [`PLACE`], below which relative addresses of the viewer's files are.
pub(crate) async fn add_slash(RawQuery(query): RawQuery) -> Redirect {
    let query = query.map(|query| format!("?{query}")).unwrap_or_default();
    Redirect::permanent(&format!("{PLACE}{query}"))
}

/// Serves the viewer's files at the root too, where the published build of OHIF requests them. Routes of the server go first.
pub(crate) async fn at_root(
    State(viewer): State<Viewer>,
    request: Request,
    next: Next,
) -> Response {
    let is_read = matches!(*request.method(), Method::GET | Method::HEAD);
    if is_read && request.extensions().get::<MatchedPath>().is_none() {
        let path = request.uri().path().trim_start_matches('/');
        let found = viewer.respond(path, request.headers()).await;
        if let Some(response) = found.filter(|_| !path.is_empty()) {
            return response;
        }
    }
    next.run(request).await
}

/// Returns a response with a content in memory.
fn whole(asked: &HeaderMap, content: Vec<u8>, media: &'static str, policy: &str) -> Response {
    let tag = tag(&[&content]);
    let response = if is_known(asked, &tag) {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        ([(header::CONTENT_TYPE, media)], content).into_response()
    };
    framed(response, &tag, policy)
}

/// Sets the headers that every file has.
fn framed(mut response: Response, tag: &str, policy: &str) -> Response {
    let headers = response.headers_mut();
    for (name, value) in HEADERS {
        headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
    }
    for (name, value) in [(header::ETAG, tag), (header::CONTENT_SECURITY_POLICY, policy)] {
        if let Ok(value) = HeaderValue::from_str(value) {
            headers.insert(name, value);
        }
    }
    headers.append(header::VARY, HeaderValue::from_static("accept, accept-encoding"));
    response
}

/// Returns the Content-Security-Policy of a page with these inline scripts, and of workers: everything comes from this server.
/// Viewers set styles from scripts, and their decoders (WebAssembly) make functions of text.
fn policy(scripts: &[&[u8]]) -> String {
    let hash = |script: &&[u8]| format!(" 'sha256-{}'", STANDARD.encode(Sha256::digest(script)));
    let scripts: String = scripts.iter().map(hash).collect();
    format!(
        "default-src 'self'; script-src 'self' blob: 'unsafe-eval'{scripts}; worker-src 'self' blob:; \
         style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; font-src 'self' data:; \
         media-src 'self' blob:; connect-src 'self' data: blob:; frame-src 'self' blob:; object-src 'self' blob:; \
         base-uri 'self'; form-action 'none'; frame-ancestors 'none'"
    )
}

/// Returns the texts of script elements without `src`.
fn inline_scripts(page: &[u8]) -> Vec<&[u8]> {
    let find = |text: &[u8], wanted: &[u8]| {
        text.windows(wanted.len()).position(|window| window.eq_ignore_ascii_case(wanted))
    };
    let mut scripts = Vec::new();
    let mut rest = page;
    while let Some(start) = find(rest, b"<script") {
        rest = rest.get(start..).unwrap_or_default();
        let Some(end) = memchr::memchr(b'>', rest) else { break };
        let (element, after) = rest.split_at(end + 1);
        let length = find(after, b"</script").unwrap_or(after.len());
        let (text, after) = after.split_at(length);
        if !text.is_empty() && find(element, b" src=").is_none() {
            scripts.push(text);
        }
        rest = after;
    }
    scripts
}
