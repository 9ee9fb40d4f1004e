//! The strings in a text, and what they are the values of.

use std::borrow::Cow;

use serde_json::from_str;

/// Calls `each` with every string in a JSON text, or a piece of one, and with the key that it is a value of. Keys are strings
/// too. A text that is not JSON is one string.
pub(super) fn strings(text: &str, each: &mut dyn FnMut(Option<&str>, &str)) {
    if !text.trim_start().starts_with(['{', '[', '"']) {
        return each(None, text);
    }
    let mut key: Option<Cow<'_, str>> = None;
    let mut rest = text;
    while let Some(start) = rest.find('"') {
        let begun = rest.get(start + 1..).unwrap_or_default();
        let Some(length) = end_of(begun) else {
            return each(None, begun);
        };
        let raw = begun.get(..length).unwrap_or_default();
        rest = begun.get(length + 1..).unwrap_or_default();
        let unescaped = raw.contains('\\').then(|| from_str::<String>(&format!("\"{raw}\"")).ok());
        let string = unescaped.flatten().map_or(Cow::Borrowed(raw), Cow::Owned);
        if rest.trim_start().starts_with(':') {
            each(None, &string);
            key = Some(string);
        } else {
            each(key.as_deref(), &string);
        }
    }
}

/// Length of a string up to its closing quotation mark.
fn end_of(text: &str) -> Option<usize> {
    let mut from = 0;
    loop {
        let at = from + text.get(from..)?.find('"')?;
        let before = text.get(..at)?.bytes().rev();
        // An even number of backslashes escape each other.
        if before.take_while(|byte| *byte == b'\\').count() % 2 == 0 {
            return Some(at);
        }
        from = at + 1;
    }
}

/// The words of a string: what paths and sentences are made of, names of files also without their ending.
pub(super) fn words(string: &str) -> impl Iterator<Item = &str> {
    let is_between = |c: char| c.is_whitespace() || "/\\,;:\"'()[]{}<>=|&?%".contains(c);
    string.split(is_between).flat_map(|word| {
        let word = word.trim_matches('.');
        let stem = word.rsplit_once('.').map(|(stem, _)| stem);
        [Some(word), stem].into_iter().flatten()
    })
}

/// Whether a text has the form of a UID.
pub(super) fn is_uid(text: &str) -> bool {
    (5..=64).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.')
        && text.bytes().filter(|byte| *byte == b'.').count() >= 2
}

/// A name of an attribute as the keys of all kinds of documents have it in common.
pub(super) fn plain(name: &str) -> String {
    name.chars().filter(|c| *c != '_').collect::<String>().to_ascii_lowercase()
}

/// Whether a key, in any spelling, has this plain name.
pub(super) fn is_named(key: &str, plain: &str) -> bool {
    let letters = key.bytes().filter(|byte| *byte != b'_').map(|byte| byte.to_ascii_lowercase());
    letters.eq(plain.bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_of_json_have_their_keys() {
        let mut found = Vec::new();
        let text = r#"{"Patient":{"PatientID":"P\"1\u00e9","Other":["a","b"]},"n":3}
            {"1.2.3":{"x":"y"}}"#;
        strings(text, &mut |key, string| {
            found.push((key.map(str::to_owned), string.to_owned()));
        });
        let of = |key: &str, string: &str| (Some(key.to_owned()), string.to_owned());
        for wanted in [of("PatientID", "P\"1é"), of("Other", "a"), of("Other", "b"), of("x", "y")]
        {
            assert!(found.contains(&wanted), "{wanted:?} of {found:?}");
        }
        assert!(found.contains(&(None, "1.2.3".to_owned())), "{found:?}");
        let mut escaped = Vec::new();
        strings(r#"["a\\","\"b\\\"","c"]"#, &mut |_, string| escaped.push(string.to_owned()));
        assert_eq!(escaped, ["a\\", "\"b\\\"", "c"]);
        assert!(is_named("patient_ID", "patientid") && !is_named("patientids", "patientid"));
        let mut plain = Vec::new();
        strings("no JSON", &mut |_, string| plain.push(string.to_owned()));
        assert_eq!(plain, ["no JSON"]);
    }

    #[test]
    fn words_are_those_of_paths_and_sentences() {
        let found: Vec<&str> = words("ward/P-12345678.dcm of study 1.2.3.").collect();
        for wanted in ["P-12345678", "P-12345678.dcm", "1.2.3", "ward"] {
            assert!(found.contains(&wanted), "{wanted} of {found:?}");
        }
        assert!(is_uid("1.2.840.1") && !is_uid("1.2") && !is_uid("20240101") && !is_uid("a.b.c"));
    }
}
