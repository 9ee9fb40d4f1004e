//! Arguments: how they are read, and the kinds that many tools share.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use healthimaging::{Error, Result};

use crate::schema;
use crate::tool::Arguments;

/// Reads the arguments of a tool; an error names the argument and what is allowed, and does not repeat
/// the value.
pub(crate) fn parse<T: DeserializeOwned + JsonSchema>(arguments: Arguments) -> Result<T> {
    // Serde takes a list for an object whose fields come in order, which nobody means.
    if let Some(path) = schema::list_for_object::<T>(&arguments) {
        return Err(Error::validation(format!(
            "`{}`: invalid type, expected an object, not a list",
            brief(&path)
        )));
    }
    read(arguments)
}

/// Reads an object, with the same errors.
pub(crate) fn read<T: DeserializeOwned>(arguments: Arguments) -> Result<T> {
    serde_path_to_error::deserialize(Value::Object(arguments)).map_err(|error| {
        let path = brief(&error.path().to_string());
        let words = without_value(&error.into_inner().to_string());
        if path == "." || words.contains(&path) {
            Error::validation(words)
        } else {
            Error::validation(format!("`{path}`: {words}"))
        }
    })
}

/// Longest name of the caller's own that an error repeats.
const LONGEST_NAME: usize = 80;

/// A name that the caller made up may have any length.
fn brief(name: &str) -> String {
    match name.char_indices().nth(LONGEST_NAME) {
        Some((end, _)) => format!("{}…", name.get(..end).unwrap_or_default()),
        None => name.to_owned(),
    }
}

/// What is wrong, without the value that is wrong: it may be patient data.
fn without_value(words: &str) -> String {
    const REPEATS_VALUE: [&str; 4] =
        ["invalid type: ", "invalid value: ", "unknown variant ", "invalid length "];
    if let Some(rest) = words.strip_prefix("unknown field `")
        && let Some((name, expected)) = rest.rsplit_once("`, expected ")
    {
        return format!("unknown field `{}`, expected {expected}", brief(name));
    }
    for fault in REPEATS_VALUE {
        if let Some(rest) = words.strip_prefix(fault)
            && let Some((_, expected)) = rest.rsplit_once(", expected ")
        {
            return format!("{}, expected {expected}", fault.trim_end_matches([' ', ':']));
        }
    }
    words.to_owned()
}

/// How many results to return, 1 to 100; one page of the service when it is left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "i64")]
pub(crate) struct MaxResults(u32);

impl MaxResults {
    pub(crate) const fn get(self) -> u32 {
        self.0
    }
}

impl Default for MaxResults {
    fn default() -> Self {
        Self(50)
    }
}

impl TryFrom<i64> for MaxResults {
    type Error = Error;

    fn try_from(number: i64) -> Result<Self> {
        match u32::try_from(number) {
            Ok(number @ 1..=100) => Ok(Self(number)),
            _ => Err(Error::validation("max_results must be from 1 to 100")),
        }
    }
}

impl JsonSchema for MaxResults {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "MaxResults".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "integer", "maximum": 100 })
    }
}

/// How long to wait for a write to settle, 0 to 600 seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "i64")]
pub(crate) struct WaitSeconds(u32);

impl WaitSeconds {
    pub(crate) const fn get(self) -> u32 {
        self.0
    }
}

impl TryFrom<i64> for WaitSeconds {
    type Error = Error;

    fn try_from(number: i64) -> Result<Self> {
        match u32::try_from(number) {
            Ok(number @ 0..=600) => Ok(Self(number)),
            _ => Err(Error::validation("wait_seconds must be from 0 to 600")),
        }
    }
}

impl JsonSchema for WaitSeconds {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "WaitSeconds".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "integer", "maximum": 600 })
    }
}

/// How long an answer may be, 10,000 to 10,000,000 bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "i64")]
pub(crate) struct MaxBytes(usize);

impl MaxBytes {
    pub(crate) const fn get(self) -> usize {
        self.0
    }
}

impl TryFrom<i64> for MaxBytes {
    type Error = Error;

    fn try_from(number: i64) -> Result<Self> {
        match usize::try_from(number) {
            Ok(number @ 10_000..=10_000_000) => Ok(Self(number)),
            _ => Err(Error::validation("max_bytes must be from 10000 to 10000000")),
        }
    }
}

impl JsonSchema for MaxBytes {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "MaxBytes".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "integer", "maximum": 10_000_000 })
    }
}

/// Longest side of a picture in pixels, 16 to 4096.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "i64")]
pub(crate) struct PictureSize(u32);

impl PictureSize {
    pub(crate) const fn get(self) -> u32 {
        self.0
    }
}

impl Default for PictureSize {
    fn default() -> Self {
        Self(512)
    }
}

impl TryFrom<i64> for PictureSize {
    type Error = Error;

    fn try_from(number: i64) -> Result<Self> {
        match u32::try_from(number) {
            Ok(number @ 16..=4096) => Ok(Self(number)),
            _ => Err(Error::validation("max_size must be from 16 to 4096")),
        }
    }
}

impl JsonSchema for PictureSize {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "PictureSize".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "integer", "minimum": 16, "maximum": 4096 })
    }
}
