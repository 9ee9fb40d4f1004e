//! The second net: texts that leave a server, whatever they come from.

use std::sync::LazyLock;

use dicom_dictionary_std::tags;
use healthimaging_deidentify::is_well_known;
use regex::{Captures, Regex};
use serde_json::{Map, Value};

use crate::attributes::{self, Treatment, of_member};
use crate::token::{class_of, trimmed};
use crate::{PATH, Redactor};

/// Shorter values are not looked for in texts: they are everywhere.
const SHORTEST: usize = 3;

/// Members that name a file.
const FILES: [&str; 4] = ["file", "item", "path", "metadataFilePath"];

static UIDS: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r"\b[0-2](?:\.[0-9]+){2,}").ok());
/// How locations of files begin.
const SCHEMES: [&str; 2] = ["file://", "s3://"];
/// What ends a location in a sentence; names of files may have spaces.
const ENDS: [char; 8] = [',', ';', '"', '\'', '`', '<', '>', '\n'];
/// What stands in a sentence for the location of a file.
const MASK: &str = "(location withheld)";

/// What a call sent: its values and paths are not news to the caller.
#[derive(Debug, Clone, Default)]
pub struct Sent {
    /// Values that tokens of the call stood for, with these tokens.
    opened: Vec<(String, String)>,
    /// Texts that the caller wrote.
    written: Vec<String>,
}

impl Redactor {
    /// Collects what the arguments of a call say.
    pub fn sent(&self, arguments: &Value) -> Sent {
        let mut sent = Sent::default();
        self.collect(arguments, &mut sent);
        // A value that holds another one is replaced first.
        sent.opened.sort_by_key(|(value, _)| std::cmp::Reverse(value.len()));
        sent
    }

    fn collect(&self, value: &Value, sent: &mut Sent) {
        match value {
            Value::String(text) => match class_of(text) {
                Some(class) => {
                    let opened = self.tokens.open(class, text);
                    let value = opened.filter(|value| value.chars().count() >= SHORTEST);
                    sent.opened.extend(value.map(|value| (value, text.clone())));
                }
                None => sent.written.push(text.clone()),
            },
            Value::Array(items) => items.iter().for_each(|item| self.collect(item, sent)),
            Value::Object(members) => members.values().for_each(|item| self.collect(item, sent)),
            _ => {}
        }
    }

    /// Replaces what identifies a patient in an answer: members named after attributes, UIDs, locations of files, and
    /// the values that the tokens of the call stood for.
    pub fn scrub(&self, answer: &mut Map<String, Value>, sent: &Sent) {
        for (name, value) in answer.iter_mut() {
            self.scrub_member(name, value, sent);
        }
        if answer.keys().any(|name| is_uid(name)) {
            let named = std::mem::take(answer);
            answer.extend(named.into_iter().map(|(name, value)| (self.text(&name, sent), value)));
        }
    }

    fn scrub_member(&self, name: &str, value: &mut Value, sent: &Sent) {
        match value {
            Value::String(text) => *text = self.member(name, text, sent),
            Value::Array(items) => {
                for item in items {
                    self.scrub_member(name, item, sent);
                }
            }
            Value::Object(members) => self.scrub(members, sent),
            _ => {}
        }
    }

    fn member(&self, name: &str, text: &str, sent: &Sent) -> String {
        if class_of(text).is_some() || trimmed(text).is_empty() {
            return text.to_owned();
        }
        if let Some(tag) = of_member(name) {
            let shown = match self.rules.treatment(tag, attributes::vr(tag)) {
                Treatment::Token => self.seal(tag, text),
                Treatment::Uid => self.uids(text),
                _ => None,
            };
            if let Some(shown) = shown {
                return shown;
            }
        }
        let is_location = SCHEMES.iter().any(|scheme| text.starts_with(scheme))
            || name == "file"
            || FILES.contains(&name) && text.contains(['/', '\\']);
        if is_location && !sent.written.iter().any(|written| written == text) {
            return self.tokens.seal(PATH, text).unwrap_or_default();
        }
        self.text(text, sent)
    }

    /// Returns a text, such as a message, without what identifies a patient.
    pub fn text(&self, text: &str, sent: &Sent) -> String {
        let mut shown = without_locations(text, sent);
        if let Some(uids) = UIDS.as_ref() {
            let replaced = uids.replace_all(&shown, |found: &Captures<'_>| {
                let text = &found[0];
                if !is_uid(text) {
                    return text.to_owned();
                }
                self.seal(tags::STUDY_INSTANCE_UID, text).unwrap_or_default()
            });
            shown = replaced.into_owned();
        }
        for (value, token) in &sent.opened {
            if shown.contains(value.as_str()) {
                shown = replaced_words(&shown, value, token);
            }
        }
        shown
    }

    /// Returns a path of DICOMweb with tokens in place of UIDs.
    pub(crate) fn uri(&self, uri: &str) -> String {
        let mut of_uid = false;
        let parts = uri.split('/').map(|part| {
            let is_uid =
                std::mem::replace(&mut of_uid, matches!(part, "studies" | "series" | "instances"));
            match self.uid(part).filter(|_| is_uid && !part.is_empty()) {
                Some(token) => token,
                None => part.to_owned(),
            }
        });
        let parts: Vec<String> = parts.collect();
        // A host may name a hospital.
        let path = parts.iter().position(|part| part == "datastore").unwrap_or_default();
        let path = parts.get(path..).unwrap_or_default().join("/");
        if uri.contains("/datastore/") { format!("/{path}") } else { path }
    }
}

/// Returns a text without the locations of files that the caller did not write.
fn without_locations(text: &str, sent: &Sent) -> String {
    let first = |text: &str| SCHEMES.iter().filter_map(|scheme| text.find(scheme)).min();
    let mut shown = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = first(rest) {
        let (before, found) = rest.split_at(at);
        shown.push_str(before);
        let behind = found.find("://").map_or(found.len(), |at| at + 3);
        let next = first(found.get(behind..).unwrap_or_default()).map(|at| at + behind);
        let end = found.find(ENDS).into_iter().chain(next).min().unwrap_or(found.len());
        let (place, after) = found.split_at(end);
        // Whether the caller wrote the location, and the sentence goes on behind it.
        let is_written = |written: &String| {
            let written = written.trim_end_matches('/');
            let rest =
                place.strip_prefix(written).map(|rest| rest.strip_prefix('/').unwrap_or(rest));
            written.len() > 7
                && rest
                    .is_some_and(|rest| rest.is_empty() || rest.starts_with([' ', '.', ':', ')']))
        };
        shown.push_str(if sent.written.iter().any(is_written) { place } else { MASK });
        rest = after;
    }
    shown.push_str(rest);
    shown
}

/// Replaces a value where it stands as a word of its own.
fn replaced_words(text: &str, value: &str, token: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(value) {
        let (before, found) = rest.split_at(at);
        let after = found.get(value.len()..).unwrap_or_default();
        let is_letter = |letter: Option<char>| letter.is_some_and(char::is_alphanumeric);
        shown.push_str(before);
        let is_part = is_letter(shown.chars().next_back()) || is_letter(after.chars().next());
        shown.push_str(if is_part && value.len() < 6 { value } else { token });
        rest = after;
    }
    shown.push_str(rest);
    shown
}

/// Whether a text is a UID that names no definition, and no address or version of a program.
fn is_uid(text: &str) -> bool {
    let parts: Vec<&str> = text.split('.').collect();
    let is_number =
        |part: &&str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    let is_address = parts.len() == 4 && parts.iter().all(|part| part.parse::<u8>().is_ok());
    parts.len() > 2
        && parts.iter().all(is_number)
        && matches!(parts.first(), Some(&"0" | &"1" | &"2"))
        && !is_address
        && (text.len() > 8 || text.starts_with("2.25."))
        && !is_well_known(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn locations_are_withheld_unless_the_caller_wrote_them() {
        let sent = Sent { opened: Vec::new(), written: vec!["file:///data/in/".to_owned()] };
        let shown = |text: &str| without_locations(text, &sent);
        assert_eq!(shown("in s3://b/DOE JANE/1.dcm, and"), "in (location withheld), and");
        assert_eq!(shown("in file:///data/in/DOE/1.dcm"), "in (location withheld)");
        assert_eq!(
            shown("nothing in file:///data/in/ was read"),
            "nothing in file:///data/in/ was read"
        );
        assert_eq!(shown("file:///data/in s3://b/DOE JANE"), "file:///data/in (location withheld)");
        assert_eq!(shown("healthimaging://datastores/1"), "healthimaging://datastores/1");
    }

    #[test]
    fn uids_are_told_from_addresses_and_versions() {
        for uid in ["1.2.826.0.1.3680043.8.498.1", "2.25.100", "1.2.840.113619.2.1"] {
            assert!(is_uid(uid), "{uid}");
        }
        for other in
            ["127.0.0.1", "1.0.0.127", "1.2.3", "0.1.0", "1.2.840.10008.1.2", "1.5", "1..2.3.4.5.6"]
        {
            assert!(!is_uid(other), "{other}");
        }
    }
}
