//! A certificate as a page that a person files: one HTML file without scripts, printed from the JSON, with every text escaped.

use std::fmt::Write as _;

use serde_json::Value;

use super::{Certificate, Verification};

const HEAD: &str = "<!doctype html>
<html lang=\"en\"><head><meta charset=\"utf-8\">
<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">
<title>Certificate of erasure</title>
<style>
body { font: 11pt/1.4 sans-serif; max-width: 48em; margin: 2em auto; padding: 0 1em; color: #111 }
h1 { font-size: 18pt } h2 { font-size: 13pt; margin-top: 1.6em }
table { border-collapse: collapse; width: 100% }
th, td { text-align: left; vertical-align: top; padding: .2em .6em .2em 0; border-top: 1px solid #ccc; overflow-wrap: anywhere }
th { width: 14em; font-weight: normal; color: #444 }
.verdict { font-size: 13pt; padding: .6em; border: 2px solid #111 }
ul { margin: 0; padding-left: 1.2em }
</style></head><body>
";

/// Most image sets on the page.
const LISTED: usize = 500;

/// Returns the page of a certificate, with what a later check found.
pub fn page(certificate: &Certificate, checked: Option<&Verification>) -> String {
    let mut page = HEAD.to_owned();
    page.push_str("<h1>Certificate of erasure</h1>\n");
    push(&mut page, format_args!("<p class=\"verdict\">{}</p>\n", escaped(&certificate.summary)));
    let Ok(Value::Object(document)) = serde_json::to_value(certificate) else {
        return page;
    };
    let of = |name: &str| document.get(name).cloned().unwrap_or_default();
    section(
        &mut page,
        "What was erased",
        &[("Scope", of("scope")), ("Counts", of("counts")), ("Back end", of("back_end"))],
    );
    section(&mut page, "Who agreed", &[("Agreed at", of("agreed_at")), ("Consent", of("consent"))]);
    section(
        &mut page,
        "What was found afterwards",
        &[("Search", of("search")), ("Scan of the store", of("scan"))],
    );
    section(&mut page, "Not reached", &[("This server does not erase", of("not_reached"))]);
    page.push_str("<h2>Image sets</h2>\n<table>\n");
    for set in certificate.image_sets.iter().take(LISTED) {
        let outcome = set.outcome.replace('_', " ");
        row(&mut page, set.image_set_id.as_str(), &escaped(&outcome));
    }
    page.push_str("</table>\n");
    let more = certificate.image_sets.len().saturating_sub(LISTED) as u64
        + certificate.image_sets_not_listed;
    if more > 0 {
        push(&mut page, format_args!("<p>and {more} more</p>\n"));
    }
    if let Some(checked) = checked {
        let result =
            if checked.is_clean() { "nothing of it was found" } else { "parts of it were found" };
        section(
            &mut page,
            "Later check",
            &[
                ("Result", Value::from(result)),
                ("Details", serde_json::to_value(checked).unwrap_or_default()),
            ],
        );
    }
    let kinds = ["uids", "values", "short_values", "frames"];
    let digests: usize = kinds.iter().map(|kind| certificate.identifiers.count(kind)).sum();
    section(
        &mut page,
        "Certificate",
        &[
            ("ID", of("certificate_id")),
            ("Made at", of("made_at")),
            ("Software", of("software")),
            ("Digests of identifiers", Value::from(digests)),
            ("Public key (Ed25519)", of("public_key")),
            ("Signature", of("signature")),
        ],
    );
    page.push_str(
        "<p>Identifiers appear as keyed digests (HMAC-SHA256). The signature is that of the JSON form of this certificate, \
         which <code>healthimaging-mcp-server certificate verify</code> checks; this page is a copy for people.</p>\n\
         </body></html>\n",
    );
    page
}

fn section(page: &mut String, title: &str, rows: &[(&str, Value)]) {
    push(page, format_args!("<h2>{}</h2>\n<table>\n", escaped(title)));
    for (name, value) in rows {
        let mut shown = String::new();
        show(&mut shown, value);
        row(page, name, &shown);
    }
    page.push_str("</table>\n");
}

fn row(page: &mut String, name: &str, shown: &str) {
    push(page, format_args!("<tr><th>{}</th><td>{shown}</td></tr>\n", escaped(name)));
}

/// Appends a value as HTML.
fn show(page: &mut String, value: &Value) {
    match value {
        Value::Null => page.push_str("none"),
        Value::String(text) => page.push_str(&escaped(text)),
        Value::Array(values) if values.is_empty() => page.push_str("none"),
        Value::Array(values) => {
            page.push_str("<ul>");
            for value in values {
                page.push_str("<li>");
                show(page, value);
                page.push_str("</li>");
            }
            page.push_str("</ul>");
        }
        Value::Object(members) => {
            page.push_str("<table>");
            for (name, value) in members {
                let mut shown = String::new();
                show(&mut shown, value);
                row(page, &name.replace('_', " "), &shown);
            }
            page.push_str("</table>");
        }
        other => page.push_str(&escaped(&other.to_string())),
    }
}

fn push(page: &mut String, text: std::fmt::Arguments<'_>) {
    // Writing to a string does not fail.
    let _ = page.write_fmt(text);
}

/// Escapes a text for HTML, and what is invisible in it.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            c if healthimaging::is_invisible(c) => escaped.extend(c.escape_unicode()),
            c => escaped.push(c),
        }
    }
    escaped
}
