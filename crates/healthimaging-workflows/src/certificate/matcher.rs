//! Finds identifiers in pieces of a store: whole strings by their digests and, where the values are known, bytes.

use std::collections::hash_map::DefaultHasher;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::hash::{Hash as _, Hasher as _};
use std::ops::Range;
use std::sync::Arc;

use aho_corasick::{AhoCorasick, MatchKind};
use healthimaging::{Error, ImageSetId, Result};
use healthimaging_audit::Keys;

use super::identifiers::{Digests, digest_of_frame, digest_of_short, identifies, trimmed};
use super::scan::{Piece, Place};
use super::strings::{is_uid, plain, strings, words};

/// Most texts that are looked for as bytes.
const MOST_TEXTS: usize = 50_000;
/// Longest text around a match that is looked at.
pub(super) const LONGEST: usize = 256;
/// Most longer texts that contain an identifier and are none.
const MOST_LONGER: usize = 100_000;
/// Most places that are named.
const MOST_PLACES: usize = 10_000;
/// Strings that are known not to be looked for.
const KNOWN: usize = 1 << 16;

/// What was found, by the positions of the digests.
#[derive(Debug, Clone, Default)]
pub(super) struct Findings {
    /// In image sets that are not deleted.
    pub(super) held: BTreeMap<ImageSetId, BTreeSet<u32>>,
    /// Anywhere else; what an image set holds may be there.
    pub(super) elsewhere: BTreeMap<String, BTreeSet<u32>>,
    /// Strings, frames and files that were looked at.
    pub(super) pieces: u64,
    /// Their bytes.
    pub(super) bytes: u64,
}

impl Findings {
    /// Whether nothing was found.
    pub(super) fn is_empty(&self) -> bool {
        self.held.is_empty() && self.elsewhere.is_empty()
    }
}

/// Looks for identifiers.
pub(super) struct Matcher {
    keys: Arc<Keys>,
    whole: HashMap<[u8; 16], u32>,
    short: HashMap<[u8; 16], u32>,
    frames: HashMap<[u8; 16], u32>,
    texts: Option<(AhoCorasick, Vec<u32>)>,
    /// Whether a JSON text without any of the texts holds none of the UIDs and longer values: all of them are known, and
    /// JSON has no other spelling of them but escapes of Unicode.
    is_complete: bool,
    /// Longer texts that contain one of the texts, such as the UID of another study.
    longer: HashSet<Vec<u8>>,
    known: Vec<u64>,
    pub(super) findings: Findings,
    hits: Vec<u32>,
}

impl Matcher {
    /// Looks for these digests; and for those of `texts` that are among them as bytes too.
    pub(super) fn new<'a>(
        keys: Arc<Keys>,
        digests: &Digests,
        texts: impl Iterator<Item = &'a str>,
    ) -> Result<Self> {
        let numbered = |from: usize, digests: &[[u8; 16]]| {
            (from..)
                .zip(digests)
                .filter_map(|(number, digest)| Some((*digest, u32::try_from(number).ok()?)))
                .collect::<Vec<_>>()
        };
        let Digests { uids, values, short_values, frames } = digests;
        let (values_from, short_from) = (uids.len(), uids.len() + values.len());
        let mut whole: HashMap<_, _> = numbered(0, uids).into_iter().collect();
        whole.extend(numbered(values_from, values));
        let (mut patterns, mut numbers) = (Vec::new(), Vec::new());
        for text in texts {
            if patterns.len() < MOST_TEXTS
                && let Some(number) = whole.get(&keys.tag(trimmed(text).as_bytes()))
            {
                patterns.push(trimmed(text).to_owned());
                numbers.push(*number);
            }
        }
        let known: HashSet<u32> = numbers.iter().copied().collect();
        let is_plain = |text: &String| {
            text.bytes().all(|byte| byte >= 0x20 && !matches!(byte, b'"' | b'\\' | b'/'))
        };
        let is_complete = known.len() == whole.len() && patterns.iter().all(is_plain);
        let automaton = (!patterns.is_empty()).then(|| {
            AhoCorasick::builder().match_kind(MatchKind::LeftmostLongest).build(&patterns)
        });
        let automaton = automaton.transpose().map_err(|cause| {
            Error::internal("the identifiers are too many to be searched", cause)
        })?;
        Ok(Self {
            keys,
            whole,
            short: numbered(short_from, short_values).into_iter().collect(),
            frames: numbered(short_from + short_values.len(), frames).into_iter().collect(),
            texts: automaton.map(|automaton| (automaton, numbers)),
            is_complete,
            longer: HashSet::new(),
            known: vec![0; KNOWN],
            findings: Findings::default(),
            hits: Vec::new(),
        })
    }

    /// How many texts are looked for as bytes.
    pub(super) fn texts(&self) -> usize {
        self.texts.as_ref().map_or(0, |(_, numbers)| numbers.len())
    }

    /// Looks at a piece.
    pub(super) fn visit(&mut self, piece: Piece<'_>, place: &dyn Fn() -> Place) {
        self.findings.pieces += 1;
        match piece {
            Piece::Text(text) => {
                self.findings.bytes += text.len() as u64;
                let has_texts = self.bytes_in_text(text);
                if has_texts || !self.is_complete || text.contains("\\u") {
                    strings(text, &mut |key, string| self.string(key, string));
                } else if !self.short.is_empty() {
                    strings(text, &mut |key, string| {
                        for value in string.split('\\').map(trimmed) {
                            self.short_value(key, value);
                        }
                    });
                }
            }
            Piece::Attribute { keyword, value } => {
                self.findings.bytes += value.len() as u64;
                self.bytes_in_text(value);
                self.string(Some(keyword), value);
            }
            Piece::Bytes(bytes) => self.raw_bytes(bytes),
            Piece::Frame { length, crc32 } => {
                let digest = digest_of_frame(&self.keys, length, crc32);
                self.hits.extend(self.frames.get(&digest));
            }
        }
        self.note(place);
    }

    /// Looks at bytes in which values lie side by side, as in the pages of a database.
    pub(super) fn raw(&mut self, bytes: &[u8], place: &dyn Fn() -> Place) {
        self.findings.pieces += 1;
        self.raw_bytes(bytes);
        self.note(place);
    }

    fn note(&mut self, place: &dyn Fn() -> Place) {
        if self.hits.is_empty() {
            return;
        }
        let Place { what, image_set } = place();
        let hits = self.hits.drain(..);
        let Findings { held, elsewhere, .. } = &mut self.findings;
        match image_set {
            Some(id) if held.len() < MOST_PLACES || held.contains_key(&id) => {
                held.entry(id).or_default().extend(hits);
            }
            None if elsewhere.len() < MOST_PLACES || elsewhere.contains_key(&what) => {
                elsewhere.entry(what).or_default().extend(hits);
            }
            _ => {}
        }
    }

    fn string(&mut self, key: Option<&str>, string: &str) {
        for value in string.split('\\').map(trimmed) {
            self.whole_string(value);
            self.short_value(key, value);
            for word in words(value).filter(|word| word.len() < value.len()) {
                self.whole_string(word);
            }
        }
    }

    fn short_value(&mut self, key: Option<&str>, value: &str) {
        if !self.short.is_empty()
            && !value.is_empty()
            && let Some(key) = key.filter(|key| identifies(key))
        {
            let digest = digest_of_short(&self.keys, &plain(key), value);
            self.hits.extend(self.short.get(&digest));
        }
    }

    /// Looks a string up by its digest, unless it was just seen.
    fn whole_string(&mut self, string: &str) {
        if string.len() < 8 && !is_uid(string) {
            return;
        }
        let mut hasher = DefaultHasher::new();
        string.hash(&mut hasher);
        let hash = hasher.finish();
        let slot = usize::try_from(hash).unwrap_or_default() % KNOWN;
        if self.known.get(slot) == Some(&hash) {
            return;
        }
        match self.whole.get(&self.keys.tag(string.as_bytes())) {
            Some(number) => self.hits.push(*number),
            None => {
                if let Some(known) = self.known.get_mut(slot) {
                    *known = hash;
                }
            }
        }
    }

    /// Finds texts as words of their own; returns whether there is any, also as a part of a longer word, which is
    /// remembered: where values lie side by side, it is no match.
    fn bytes_in_text(&mut self, text: &str) -> bool {
        let Some((automaton, numbers)) = &self.texts else { return false };
        let bytes = text.as_bytes();
        let mut is_found = false;
        for found in automaton.find_iter(bytes) {
            is_found = true;
            let run = run(bytes, found.range());
            if run == found.range() {
                self.hits.extend(numbers.get(found.pattern().as_usize()));
            } else if self.longer.len() < MOST_LONGER {
                self.longer.insert(bytes.get(run).unwrap_or_default().to_vec());
            }
        }
        is_found
    }

    fn raw_bytes(&mut self, bytes: &[u8]) {
        self.findings.bytes += bytes.len() as u64;
        for uid in uids_in(bytes) {
            self.whole_string(uid);
        }
        let Some((automaton, numbers)) = &self.texts else { return };
        for found in automaton.find_iter(bytes) {
            if !is_of_longer(&self.longer, bytes, found.range()) {
                self.hits.extend(numbers.get(found.pattern().as_usize()));
            }
        }
    }
}

/// Whether a match is a part of one of these texts.
fn is_of_longer(longer: &HashSet<Vec<u8>>, bytes: &[u8], found: Range<usize>) -> bool {
    if longer.is_empty() {
        return false;
    }
    let around = run(bytes, found.clone());
    (around.start..=found.start).any(|start| {
        (found.end..=around.end)
            .any(|end| bytes.get(start..end).is_some_and(|part| longer.contains(part)))
    })
}

/// The word around a match: letters, digits and, of a UID, the dots in it.
fn run(bytes: &[u8], found: Range<usize>) -> Range<usize> {
    let text = bytes.get(found.clone()).unwrap_or_default();
    let is_uid = text.iter().all(|byte| byte.is_ascii_digit() || *byte == b'.');
    let is_part =
        |byte: &u8| byte.is_ascii_alphanumeric() || *byte >= 0x80 || (is_uid && *byte == b'.');
    let before = bytes.get(..found.start).unwrap_or_default();
    let after = bytes.get(found.end..).unwrap_or_default();
    let start = before.iter().rev().take(LONGEST).take_while(|byte| is_part(byte)).count();
    let mut end = after.iter().take(LONGEST).take_while(|byte| is_part(byte)).count();
    // The end of a sentence is not a part of a UID.
    while end > 0 && after.get(end - 1) == Some(&b'.') {
        end -= 1;
    }
    found.start - start..found.end + end
}

/// The longest runs of digits and dots that have the form of a UID.
fn uids_in(bytes: &[u8]) -> impl Iterator<Item = &str> {
    let runs = bytes.split(|byte| !byte.is_ascii_digit() && *byte != b'.');
    runs.filter_map(|run| std::str::from_utf8(run).ok())
        .map(|run| run.trim_matches('.'))
        .filter(|run| is_uid(run))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::certificate::identifiers::Identifiers;

    fn matcher(with_texts: bool) -> (tempfile::TempDir, Matcher) {
        let folder = tempfile::tempdir().unwrap();
        let keys = Arc::new(Keys::of_data_folder(folder.path()).unwrap());
        let mut identifiers = Identifiers::default();
        let document = r#"{"Patient":{"DICOM":{"PatientID":"MRN-20071984","PatientBirthDate":"19840720"}},
            "Study":{"DICOM":{"StudyInstanceUID":"1.2.3.4","StudyID":"77"}}}"#;
        identifiers.collect(Piece::Text(document));
        identifiers.collect(Piece::Frame { length: 4000, crc32: 7 });
        identifiers.collect(Piece::Frame { length: 4, crc32: 7 });
        let digests = identifiers.digests(&keys);
        assert_eq!(digests.all().count(), 5);
        let texts = if with_texts { identifiers.texts().collect() } else { Vec::new() };
        let matcher = Matcher::new(keys, &digests, texts.into_iter()).unwrap();
        (folder, matcher)
    }

    fn found(matcher: &mut Matcher, piece: Piece<'_>) -> usize {
        matcher.findings.elsewhere.clear();
        matcher.visit(piece, &|| Place::new("here"));
        matcher.findings.elsewhere.values().map(BTreeSet::len).sum()
    }

    #[test]
    fn whole_strings_are_found_by_their_digests_and_with_known_values_alike() {
        let (_folder, mut matcher) = matcher(false);
        let (_folder, mut known) = self::matcher(true);
        assert!(known.is_complete && !matcher.is_complete);
        for (text, wanted) in [
            (r#"{"path":"ward/1.2.3.4.dcm"}"#, 1),
            (r#"{"patient_id":"MRN\u002d20071984"}"#, 1),
            (r#"{"study_id":"77 ","x":["1.2.3.44"]}"#, 1),
            (r#"{"StudyID":"A\\77"}"#, 1),
            (r#"{"patient_id":"MRN-20071984 "}"#, 1),
            (r#"{"path":"ward/MRN-20071984.dcm"}"#, 1),
            (r#"{"message":"study 1.2.3.4 is locked."}"#, 1),
            ("MRN-20071984", 1),
            (r#"{"StudyID":"77","PatientBirthDate":"19840720"}"#, 2),
            (r#"{"InstanceNumber":"77","StudyDate":"19840720"}"#, 0),
            (r#"{"path":"MRN-200719840"}"#, 0),
            ("1.2.3.44", 0),
        ] {
            assert_eq!(found(&mut matcher, Piece::Text(text)), wanted, "{text}");
            assert_eq!(found(&mut known, Piece::Text(text)), wanted, "{text}, with values");
        }
        assert_eq!(found(&mut matcher, Piece::Frame { length: 4000, crc32: 7 }), 1);
        assert_eq!(found(&mut matcher, Piece::Frame { length: 4, crc32: 7 }), 0);
        assert_eq!(found(&mut matcher, Piece::Bytes(b"\x001.2.3.4\x00")), 1);
        assert_eq!(found(&mut matcher, Piece::Bytes(b"xxMRN-20071984yy")), 0, "needs the value");
    }

    #[test]
    fn known_values_are_found_as_bytes_and_parts_of_other_values_are_not() {
        let (_folder, mut matcher) = matcher(true);
        assert_eq!(found(&mut matcher, Piece::Bytes(b"xxMRN-20071984yy")), 1);
        assert_eq!(found(&mut matcher, Piece::Bytes(b"\x031.2.3.420240101")), 1);
        assert_eq!(found(&mut matcher, Piece::Text(r#"{"uid":"1.2.3.42"}"#)), 0);
        assert_eq!(found(&mut matcher, Piece::Bytes(b"\x031.2.3.4220240101")), 0, "another UID");
        assert_eq!(found(&mut matcher, Piece::Bytes(b"\x031.2.3.419990101")), 1);
    }
}
