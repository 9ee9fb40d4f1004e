//! Invisible characters as visible escapes: `\u{202E}`.
//!
//! Text from DICOM files may hold control characters, marks that change the direction of text, and
//! zero-width characters, which make a text look like another, or hide words from people but not from
//! models. Answers show them as escapes; arguments convert the same escapes back, so that a value of an
//! answer finds what it came from. Stored data does not change.

use std::borrow::Cow;
use std::fmt::Write as _;

use healthimaging::is_invisible;
use serde_json::{Map, Value};

/// Start of an escape.
const BEGIN: &str = "\\u{";

/// Whether a character is invisible; tab, line feed and carriage return are not.
fn is_hidden(c: char) -> bool {
    !matches!(c, '\t' | '\n' | '\r') && is_invisible(c)
}

/// Whether any character is hidden.
fn has_hidden(text: &str) -> bool {
    // Most text, and megabytes of base64, need not be decoded to characters.
    let is_printable = |bytes: &[u8]| {
        let each = bytes.iter();
        each.fold(true, |all, byte| all & matches!(byte, b' '..=b'~'))
    };
    !text.as_bytes().chunks(64).all(is_printable) && text.contains(is_hidden)
}

/// Replaces every hidden character by an escape; the backslash of text that looks like an escape is
/// escaped, so that [`read_back`] is exact.
pub(crate) fn shown(text: &str) -> Cow<'_, str> {
    if !has_hidden(text) && !text.contains(BEGIN) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 16);
    for (at, c) in text.char_indices() {
        let is_begin = c == '\\' && text.get(at..).is_some_and(|rest| rest.starts_with(BEGIN));
        if is_hidden(c) || is_begin {
            // Writing to a String cannot fail.
            let _ = write!(shown, "{BEGIN}{:X}}}", u32::from(c));
        } else {
            shown.push(c);
        }
    }
    Cow::Owned(shown)
}

/// Restores the text from the result of [`shown`].
fn read_back(text: &str) -> Cow<'_, str> {
    let mut parts = text.split(BEGIN);
    let first = parts.next().unwrap_or_default();
    if first.len() == text.len() {
        return Cow::Borrowed(text);
    }
    let mut read = first.to_owned();
    for part in parts {
        let escape = part.split_once('}').and_then(|(digits, rest)| {
            let c = char::from_u32(u32::from_str_radix(digits, 16).ok()?)?;
            (is_hidden(c) || c == '\\').then_some((c, rest))
        });
        if let Some((c, rest)) = escape {
            read.push(c);
            read += rest;
        } else {
            read += BEGIN;
            read += part;
        }
    }
    Cow::Owned(read)
}

/// Applies [`shown`] to every text in a value.
pub(crate) fn show(value: &mut Value) {
    change(value, shown);
}

/// Applies [`read_back`] to every text of arguments.
pub(crate) fn read_arguments(arguments: &mut Map<String, Value>) {
    arguments.values_mut().for_each(|value| change(value, read_back));
}

/// Applies [`shown`] to every text of a JSON document.
pub(crate) fn shown_document(document: String) -> String {
    // Writers of JSON escape controls, and may escape any character.
    if !has_hidden(&document) && !document.contains("\\u") {
        return document;
    }
    match serde_json::from_str(&document) {
        Ok(mut value) => {
            show(&mut value);
            value.to_string()
        }
        Err(_) => shown(&document).into_owned(),
    }
}

fn change(value: &mut Value, how: fn(&str) -> Cow<'_, str>) {
    match value {
        Value::String(text) => {
            if let Cow::Owned(changed) = how(text) {
                *text = changed;
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| change(item, how)),
        Value::Object(object) => object.values_mut().for_each(|inner| change(inner, how)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_hidden_is_shown_and_read_back() {
        for (text, wanted) in [
            ("DOE^JANE", "DOE^JANE"),
            ("DOE\u{202E}ENAJ", "DOE\\u{202E}ENAJ"),
            ("\u{FEFF}A\u{200B}B\u{2066}C\u{E0041}", "\\u{FEFF}A\\u{200B}B\\u{2066}C\\u{E0041}"),
            ("\u{1B}$B\u{85}\0", "\\u{1B}$B\\u{85}\\u{0}"),
            ("line one\r\nline\ttwo", "line one\r\nline\ttwo"),
            ("Müller 山田 Ἀγ🙂", "Müller 山田 Ἀγ🙂"),
            ("a\\b", "a\\b"),
            ("\\u{202E}", "\\u{5C}u{202E}"),
            ("\\\\u{41}", "\\\\u{5C}u{41}"),
            ("\\\u{202E}", "\\\\u{202E}"),
        ] {
            assert_eq!(shown(text), wanted);
            assert_eq!(read_back(wanted), text);
        }
    }

    #[test]
    fn what_is_no_escape_of_ours_stays() {
        for text in ["\\u{41}", "\\u{}", "\\u{202E", "\\u{110000}", "\\u{zz}", "C:\\u\\x"] {
            assert_eq!(read_back(text), text);
        }
    }

    #[test]
    fn documents_are_shown_however_they_were_written() {
        let raw = "{\"a\":[\"x\u{202E}\"],\"b\":1.50}".to_owned();
        let escaped = r#"{"a":["x\u202e"],"b":1.50}"#.to_owned();
        for document in [raw, escaped] {
            let read: Value = serde_json::from_str(&shown_document(document)).unwrap();
            assert_eq!(read["a"][0], "x\\u{202E}");
        }
        let plain = r#"{ "a" : "Müller\n" }"#;
        assert_eq!(shown_document(plain.to_owned()), plain);
    }
}
