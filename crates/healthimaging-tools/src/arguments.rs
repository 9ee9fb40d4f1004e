//! Arguments: how they are parsed, and the types that many tools share.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{DeserializeOwned, Error as _, IgnoredAny};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};
use serde_path_to_error::Segment;
use strsim::levenshtein;

use healthimaging::{Error, Result, plain_type};

use crate::schema;

/// The arguments of a call.
pub type Arguments = Map<String, Value>;

/// Parses the arguments of a tool; an error names the argument and what is allowed, and does not repeat
/// the value.
pub(crate) fn parse<T: DeserializeOwned + JsonSchema>(arguments: Arguments) -> Result<T> {
    // Serde accepts a list of the fields of an object in order, which is never meant.
    if let Some((path, wanted)) = misplaced::<T>(&arguments) {
        return Err(Error::validation(format!("`{}` must be {wanted}, not a list", brief(&path))));
    }
    let names: Vec<String> = arguments.keys().cloned().collect();
    read(arguments).map_err(|error| match nested::<T>(&names, error.message()) {
        Some(words) => Error::validation(words),
        None => error,
    })
}

/// Start of the error of a member that is near to none of its object.
const UNKNOWN_MEMBER: &str = "unknown member; expected ";

/// Returns the error of an unknown argument that is a member of another one, such as a filter.
fn nested<T: JsonSchema>(names: &[String], error: &str) -> Option<String> {
    let expected = error.strip_prefix(UNKNOWN_MEMBER)?;
    let schema = schema::whole_input_schema::<T>();
    let unknown = names.iter().find(|name| schema::member(&schema, name).is_none())?;
    if unknown.len() > LONGEST_NAME {
        return None;
    }
    let path = path_of_member(&schema, &plain(unknown), "")?;
    Some(format!("unknown member; perhaps `{path}` is meant. Expected {expected}"))
}

/// Returns the path of the first member of that name, as [`plain`] returns names.
fn path_of_member(schema: &Value, wanted: &str, path: &str) -> Option<String> {
    let members = schema.get("properties").and_then(Value::as_object).into_iter().flatten();
    let mut members = members.map(|(name, inner)| {
        let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
        (name, inner, path)
    });
    let of_members = members.find_map(|(name, inner, path)| {
        if plain(name) == wanted { Some(path) } else { path_of_member(inner, wanted, &path) }
    });
    of_members.or_else(|| path_of_member(schema.get("items")?, wanted, &format!("{path}[]")))
}

/// Parses an object, with the same errors.
pub(crate) fn read<T: DeserializeOwned>(arguments: Arguments) -> Result<T> {
    serde_path_to_error::deserialize(Value::Object(arguments)).map_err(|error| {
        let path = brief(&path_of(&error));
        let words = without_value(&error.into_inner().to_string());
        if path.is_empty() || path == "." || words.contains(&path) {
            Error::validation(words)
        } else if words.starts_with("must ") || words.starts_with("starts ") {
            Error::validation(format!("{path} {words}"))
        } else {
            Error::validation(format!("`{path}`: {words}"))
        }
    })
}

/// Start of what serde says of a member that it does not know, whose name follows.
const UNKNOWN: &str = "unknown field `";

/// Returns where an error is, without the name of an unknown member.
fn path_of(error: &serde_path_to_error::Error<serde_json::Error>) -> String {
    let path = error.path();
    if !error.inner().to_string().starts_with(UNKNOWN) {
        return path.to_string();
    }
    let segments: Vec<&Segment> = path.iter().collect();
    let known = segments.split_last().map_or(&segments[..], |(_, known)| known);
    let known = known.iter().map(ToString::to_string);
    known.collect::<Vec<_>>().join(".")
}

/// Returns the path of the first list in the place of another type, and that type in words.
fn misplaced<T: JsonSchema>(arguments: &Arguments) -> Option<(String, &'static str)> {
    // Most calls have no list, and need no schema.
    if !arguments.values().any(has_list) {
        return None;
    }
    let schema = schema::whole_input_schema::<T>();
    let mut members = arguments.iter();
    members.find_map(|(name, value)| misplaced_list(schema::member(&schema, name)?, value, name))
}

fn has_list(value: &Value) -> bool {
    match value {
        Value::Array(_) => true,
        Value::Object(object) => object.values().any(has_list),
        _ => false,
    }
}

fn misplaced_list(schema: &Value, value: &Value, path: &str) -> Option<(String, &'static str)> {
    match value {
        Value::Array(_) if !takes_list(schema) => Some((path.to_owned(), wanted_type(schema))),
        Value::Array(items) => {
            let of_items = schema.get("items")?;
            let mut items = items.iter().enumerate();
            items.find_map(|(at, item)| misplaced_list(of_items, item, &format!("{path}[{at}]")))
        }
        Value::Object(object) => object.iter().find_map(|(name, inner)| {
            misplaced_list(schema::member(schema, name)?, inner, &format!("{path}.{name}"))
        }),
        _ => None,
    }
}

fn wanted_type(schema: &Value) -> &'static str {
    match schema.get("type").and_then(Value::as_str) {
        Some("string") => "text",
        Some("integer") => "an integer",
        Some("number") => "a number",
        Some("boolean") => "true or false",
        _ => "an object",
    }
}

fn takes_list(schema: &Value) -> bool {
    match (schema.get("type"), schema.get("anyOf")) {
        (Some(name), _) => name == "array",
        (None, Some(Value::Array(branches))) => branches.iter().any(takes_list),
        _ => true,
    }
}

/// Longest name from the caller that an error repeats.
const LONGEST_NAME: usize = 80;

/// Shortens a name from the caller, which may have any length.
fn brief(name: &str) -> String {
    match name.char_indices().nth(LONGEST_NAME) {
        Some((end, _)) => format!("{}…", name.get(..end).unwrap_or_default()),
        None => name.to_owned(),
    }
}

/// Removes the invalid value from a message of serde: it may be patient data.
fn without_value(words: &str) -> String {
    const REPEATS_VALUE: [&str; 3] = ["invalid type: ", "invalid value: ", "invalid length "];
    if let Some(rest) = words.strip_prefix(UNKNOWN) {
        return match rest.rsplit_once("`, expected ") {
            Some((name, expected)) => known("unknown member", name, expected),
            None => "unknown member; none is expected".to_owned(),
        };
    }
    if let Some((sent, expected)) =
        words.strip_prefix("unknown variant `").and_then(|rest| rest.rsplit_once("`, expected "))
    {
        return known("unknown variant", sent, expected);
    }
    for fault in REPEATS_VALUE {
        if let Some(rest) = words.strip_prefix(fault)
            && let Some((_, expected)) = rest.rsplit_once(", expected ")
        {
            return match fault {
                "invalid type: " | "invalid value: " => format!("must be {}", plain_type(expected)),
                _ => format!("{}, expected {expected}", fault.trim_end_matches([' ', ':'])),
            };
        }
    }
    words.to_owned()
}

/// Names the word that may be meant, and all that are known; never the one that was sent, which may be patient data.
fn known(fault: &str, sent: &str, expected: &str) -> String {
    match nearest(sent, expected.split('`').skip(1).step_by(2)) {
        Some(name) => format!("{fault}; perhaps `{name}` is meant. Expected {expected}"),
        None => format!("{fault}; expected {expected}"),
    }
}

/// Most edits between a word that was sent and one that may be meant; of short words, a third of their length.
const NEAR: usize = 4;

/// Returns the known word that is nearest to another one, if it is near.
pub(crate) fn nearest<'a>(sent: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    // What is longer is near to none.
    if sent.len() > 2 * LONGEST_NAME {
        return None;
    }
    let sent_plain = plain(sent);
    let of_plain = |word: &str| levenshtein(&sent_plain, &plain(word));
    // Of two spellings of one name, the one that is written alike.
    let distances = known.map(|word| (of_plain(word), levenshtein(sent, word), word));
    let (distance, _, word) = distances.min()?;
    (distance <= NEAR.min(word.len() / 3)).then_some(word)
}

/// Returns a word without what names of the API and of tools differ in: case, underscores and the prefix `DICOM`.
fn plain(word: &str) -> String {
    let word = word.replace('_', "").to_ascii_lowercase();
    word.strip_prefix("dicom").map(str::to_owned).unwrap_or(word)
}

/// An integer from `MIN` to `MAX`; the error for another one names the range.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "i64")]
pub(crate) struct Within<const MIN: u32, const MAX: u32>(u32);

/// How many results to return.
pub(crate) type MaxResults = Within<1, 100>;

/// How long to wait for a write, in seconds.
pub(crate) type WaitSeconds = Within<0, 600>;

/// Longest answer, in bytes.
pub(crate) type MaxBytes = Within<10_000, 10_000_000>;

/// Longest side of a picture, in pixels.
pub(crate) type PictureSize = Within<16, 4096>;

/// Longest side of a contact sheet, in pixels.
pub(crate) type SheetSize = Within<256, 2048>;

/// How many slices a contact sheet has.
pub(crate) type SheetCount = Within<1, 100>;

/// Number of a frame in its instance.
pub(crate) type FrameNumber = Within<1, { u32::MAX }>;

/// Number of a page in its document.
pub(crate) type PageNumber = Within<1, { u32::MAX }>;

impl<const MIN: u32, const MAX: u32> Within<MIN, MAX> {
    /// The greatest.
    pub(crate) const MOST: Self = Self(MAX);

    pub(crate) const fn get(self) -> u32 {
        self.0
    }
}

impl<const MIN: u32, const MAX: u32> TryFrom<i64> for Within<MIN, MAX> {
    type Error = Error;

    fn try_from(number: i64) -> Result<Self> {
        match u32::try_from(number) {
            Ok(number) if (MIN..=MAX).contains(&number) => Ok(Self(number)),
            _ if MAX == u32::MAX => Err(Error::validation(format!("starts at {MIN}"))),
            _ => Err(Error::validation(format!("must be from {MIN} to {MAX}"))),
        }
    }
}

/// A slice of a series by its place: the middle one, or a number from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SliceChoice {
    Middle,
    Number(u32),
}

impl<'de> Deserialize<'de> for SliceChoice {
    fn deserialize<D: Deserializer<'de>>(source: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Sent {
            Number(f64),
            Text(String),
            Other(IgnoredAny),
        }
        let number = match Sent::deserialize(source)? {
            Sent::Text(text) if text.trim() == "middle" => return Ok(Self::Middle),
            Sent::Text(text) => text.trim().parse().ok(),
            Sent::Number(number) if number.fract() == 0.0 => format!("{number}").parse().ok(),
            Sent::Number(_) | Sent::Other(_) => None,
        };
        let number = number.filter(|number| *number > 0).map(Self::Number);
        number.ok_or_else(|| D::Error::custom("must be middle or a whole number from 1"))
    }
}

impl JsonSchema for SliceChoice {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "SliceChoice".into()
    }

    /// One type: some clients handle alternatives badly. A number is accepted too.
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string" })
    }
}

impl<const MIN: u32, const MAX: u32> JsonSchema for Within<MIN, MAX> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        format!("From{MIN}To{MAX}").into()
    }

    /// Leaves out bounds that its description and common sense give: each byte is sent with every list of tools.
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let mut schema = json_schema!({ "type": "integer" });
        if MIN > 1 || MAX == u32::MAX {
            schema.insert("minimum".to_owned(), MIN.into());
        }
        if MAX < u32::MAX {
            schema.insert("maximum".to_owned(), MAX.into());
        }
        schema
    }
}
