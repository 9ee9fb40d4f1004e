//! Joins `assets/` into one page: the style sheet and the scripts that `viewer.html` names go into it, and `early.js` before them.
//!
//! The scripts are deflated and encoded in base64, because hosts of MCP Apps receive the page as text, uncompressed,
//! inside an answer. A few lines inflate and run them. The hashes of all inline scripts and styles make the
//! Content-Security-Policy.

use std::error::Error;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::{env, fs};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flate2::Compression;
use flate2::write::{DeflateEncoder, GzEncoder};
use sha2::{Digest, Sha256};

/// Inflates and runs what the element before it holds.
const LOADER: &str = "\
const base64 = document.getElementById('packed').textContent;
const packed = Uint8Array.fromBase64?.(base64) ?? Uint8Array.from(atob(base64), (one) => one.charCodeAt(0));
new Response(new Blob([packed]).stream().pipeThrough(new DecompressionStream('deflate-raw'))).text().then((text) => {
  document.body.append(Object.assign(document.createElement('script'), { textContent: text }));
});
";

const STYLE: &str = "<link rel=\"stylesheet\" href=\"viewer.css\">";
const SCRIPT: (&str, &str) = ("<script src=\"", "\"></script>\n");

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=assets");
    let assets = Path::new("assets");
    let mut page = fs::read_to_string(assets.join("viewer.html"))?;
    let style = fs::read_to_string(assets.join("viewer.css"))?;
    let early = fs::read_to_string(assets.join("early.js"))?;
    let head = format!("<script>{early}</script>\n<style>{style}</style>");
    page = page.replace(STYLE, &head);

    let mut script = String::new();
    while let Some(start) = page.find(SCRIPT.0) {
        let name_at = start + SCRIPT.0.len();
        let rest = page.get(name_at..).unwrap_or_default();
        let end = rest.find(SCRIPT.1).ok_or("a script element does not end its line")?;
        let name = rest.get(..end).unwrap_or_default();
        script.push_str(&fs::read_to_string(assets.join(name))?);
        page.replace_range(start..name_at + end + SCRIPT.1.len(), "");
    }
    let mut deflate = DeflateEncoder::new(Vec::new(), Compression::best());
    deflate.write_all(script.as_bytes())?;
    let packed = STANDARD.encode(deflate.finish()?);
    let scripts = format!(
        "<script id=\"packed\" type=\"text/plain\">{packed}</script>\n<script>{LOADER}</script>\n</body>"
    );
    page = page.replace("</body>", &scripts);

    // What is shown of other documents is a PDF, in the browser's own reader.
    let policy = format!(
        "default-src 'none'; script-src {} {} {}; style-src {}; img-src data:; connect-src 'self'; \
         frame-src blob:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
        hash(&early),
        hash(LOADER),
        hash(&script),
        hash(&style)
    );
    let mut gzip = GzEncoder::new(Vec::new(), Compression::best());
    gzip.write_all(page.as_bytes())?;

    let out = PathBuf::from(env::var("OUT_DIR")?);
    let etag = format!("W/\"{}\"", STANDARD.encode(Sha256::digest(page.as_bytes())));
    fs::write(out.join("viewer.html"), &page)?;
    fs::write(out.join("viewer.html.gz"), gzip.finish()?)?;
    fs::write(out.join("policy.txt"), policy)?;
    fs::write(out.join("etag.txt"), etag)?;
    Ok(())
}

/// A source expression of the Content-Security-Policy.
fn hash(inline: &str) -> String {
    format!("'sha256-{}'", STANDARD.encode(Sha256::digest(inline.as_bytes())))
}
