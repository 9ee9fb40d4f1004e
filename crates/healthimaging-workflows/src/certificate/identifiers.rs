//! What image sets are known by: UIDs, values that identify a patient or a visit, and frames.

use std::collections::{BTreeMap, BTreeSet};

use healthimaging_audit::Keys;
use serde::{Deserialize, Serialize};

use super::scan::Piece;
use super::strings::{is_named, plain, strings};

/// Attributes whose values identify an object of an image set.
const UIDS: [&str; 4] =
    ["studyinstanceuid", "seriesinstanceuid", "sopinstanceuid", "frameofreferenceuid"];

/// Attributes whose values identify a patient, a visit or an order.
const IDENTIFYING: [&str; 13] = [
    "patientid",
    "patientname",
    "patientbirthdate",
    "otherpatientids",
    "otherpatientnames",
    "patientbirthname",
    "patientmotherbirthname",
    "patientaddress",
    "patienttelephonenumbers",
    "medicalrecordlocator",
    "accessionnumber",
    "studyid",
    "admissionid",
];

/// Begin of the UIDs that DICOM defines.
const STANDARD: &str = "1.2.840.10008.";

/// Shorter values, and dates, are only looked for as whole values of the same attribute.
const LONG: usize = 8;
/// Shorter frames, such as empty ones, do not identify anything.
const LEAST_FRAME: u64 = 256;
/// Most identifiers of a kind; more are counted.
const MOST: usize = 200_000;

/// Identifiers as they are: in memory, and in a file until the certificate is made.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Identifiers {
    pub(super) uids: BTreeSet<String>,
    /// Values of eight or more characters.
    pub(super) values: BTreeSet<String>,
    /// Attribute and value.
    pub(super) short_values: BTreeSet<(String, String)>,
    /// Length and CRC-32 of the stored bytes.
    pub(super) frames: BTreeSet<(u64, u32)>,
    /// Frames of all image sets, short ones too.
    pub(super) frame_count: u64,
    /// Names of packs.
    pub(super) packs: Vec<String>,
    /// Identifiers that did not fit.
    pub(super) not_listed: u64,
    /// Image sets whose identifiers could not be read.
    pub(super) unread: Vec<String>,
}

/// Adds to a set of limited size.
fn add<T: Ord>(set: &mut BTreeSet<T>, value: T, not_listed: &mut u64) {
    if set.len() < MOST {
        set.insert(value);
    } else if !set.contains(&value) {
        *not_listed += 1;
    }
}

impl Identifiers {
    /// Adds what a piece of an image set identifies it by.
    pub(super) fn collect(&mut self, piece: Piece<'_>) {
        match piece {
            Piece::Text(text) => strings(text, &mut |key, value| {
                if let Some(key) = key {
                    self.add(key, value);
                }
            }),
            Piece::Attribute { keyword, value } => self.add(keyword, value),
            Piece::Frame { length, crc32 } => {
                self.frame_count += 1;
                if length >= LEAST_FRAME {
                    add(&mut self.frames, (length, crc32), &mut self.not_listed);
                }
            }
            Piece::Bytes(_) => {}
        }
    }

    fn add(&mut self, key: &str, value: &str) {
        let is_uid = UIDS.iter().any(|name| is_named(key, name));
        if !is_uid && !identifies(key) {
            return;
        }
        let key = plain(key);
        for value in value.split('\\').map(trimmed).filter(|value| !value.is_empty()) {
            if is_uid && value.starts_with(STANDARD) {
                // Such as the frame of reference of an atlas.
            } else if is_uid {
                add(&mut self.uids, value.to_owned(), &mut self.not_listed);
            } else if is_long(&key, value) {
                add(&mut self.values, value.to_owned(), &mut self.not_listed);
            } else {
                let short = (key.clone(), value.to_owned());
                add(&mut self.short_values, short, &mut self.not_listed);
            }
        }
    }

    /// The texts that are looked for as bytes: the longest kinds first, up to a maximum.
    pub(super) fn texts(&self) -> impl Iterator<Item = &str> {
        self.values.iter().chain(&self.uids).map(String::as_str)
    }

    /// Their digests, in the same order.
    pub(super) fn digests(&self, keys: &Keys) -> Digests {
        let short = self.short_values.iter().map(|(key, value)| digest_of_short(keys, key, value));
        let frames =
            self.frames.iter().map(|(length, crc32)| digest_of_frame(keys, *length, *crc32));
        Digests {
            uids: self.uids.iter().map(|uid| keys.tag(uid.as_bytes())).collect(),
            values: self.values.iter().map(|value| keys.tag(value.as_bytes())).collect(),
            short_values: short.collect(),
            frames: frames.collect(),
        }
    }
}

/// Removes spaces and null characters at both ends.
pub(super) fn trimmed(value: &str) -> &str {
    value.trim_matches(|c: char| c.is_whitespace() || c == '\0')
}

/// Whether a value identifies anything wherever it appears.
fn is_long(key: &str, value: &str) -> bool {
    value.len() >= LONG && key != "patientbirthdate"
}

/// Whether values of a key, in any spelling, may be looked for.
pub(super) fn identifies(key: &str) -> bool {
    IDENTIFYING.iter().any(|name| is_named(key, name))
}

/// The digest of a value that a search names, as the identifiers of an image set have it.
pub(super) fn digest_of(keys: &Keys, key: &str, value: &str) -> [u8; 16] {
    let (key, value) = (plain(key), trimmed(value));
    if UIDS.contains(&&*key) || is_long(&key, value) {
        keys.tag(value.as_bytes())
    } else {
        digest_of_short(keys, &key, value)
    }
}

pub(super) fn digest_of_short(keys: &Keys, key: &str, value: &str) -> [u8; 16] {
    keys.tag(format!("{key}\0{value}").as_bytes())
}

pub(super) fn digest_of_frame(keys: &Keys, length: u64, crc32: u32) -> [u8; 16] {
    keys.tag(format!("frame\0{length}\0{crc32}").as_bytes())
}

/// Keyed digests of identifiers: the first 16 bytes of an HMAC-SHA256.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Digests {
    pub(super) uids: Vec<[u8; 16]>,
    pub(super) values: Vec<[u8; 16]>,
    pub(super) short_values: Vec<[u8; 16]>,
    pub(super) frames: Vec<[u8; 16]>,
}

impl Digests {
    /// Those of all kinds, in order: their positions name them.
    pub(super) fn all(&self) -> impl Iterator<Item = &[u8; 16]> {
        self.uids.iter().chain(&self.values).chain(&self.short_values).chain(&self.frames)
    }

    /// Whether there are none.
    pub(super) fn is_empty(&self) -> bool {
        self.all().next().is_none()
    }

    /// Leaves out those at the given positions.
    pub(super) fn without(&self, positions: &BTreeSet<u32>) -> Self {
        let mut position = 0;
        let mut kept = |digests: &[[u8; 16]]| {
            let kept = digests.iter().filter(|_| {
                position += 1;
                !positions.contains(&(position - 1))
            });
            kept.copied().collect::<Vec<_>>()
        };
        Self {
            uids: kept(&self.uids),
            values: kept(&self.values),
            short_values: kept(&self.short_values),
            frames: kept(&self.frames),
        }
    }
}

/// Digests as certificates have them: hexadecimal.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListedDigests(pub(super) BTreeMap<String, Vec<String>>);

impl From<&Digests> for ListedDigests {
    fn from(digests: &Digests) -> Self {
        let kinds = [
            ("uids", &digests.uids),
            ("values", &digests.values),
            ("short_values", &digests.short_values),
            ("frames", &digests.frames),
        ];
        let listed = |digests: &Vec<[u8; 16]>| digests.iter().map(hex::encode).collect();
        Self(kinds.map(|(name, digests)| (name.to_owned(), listed(digests))).into())
    }
}

impl ListedDigests {
    /// The digests; `None` if one of them is none.
    pub(super) fn read(&self) -> Option<Digests> {
        let of = |name: &str| {
            let listed = self.0.get(name).map(Vec::as_slice).unwrap_or_default();
            let digests = listed.iter().map(|digest| {
                let mut bytes = [0; 16];
                hex::decode_to_slice(digest, &mut bytes).ok().map(|()| bytes)
            });
            digests.collect::<Option<Vec<_>>>()
        };
        Some(Digests {
            uids: of("uids")?,
            values: of("values")?,
            short_values: of("short_values")?,
            frames: of("frames")?,
        })
    }

    /// How many there are of a kind.
    pub fn count(&self, kind: &str) -> usize {
        self.0.get(kind).map_or(0, Vec::len)
    }
}
