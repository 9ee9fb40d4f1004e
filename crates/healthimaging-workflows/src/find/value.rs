//! Values that criteria compare with: made only when they are well formed.

use std::borrow::Cow;

use chrono::{NaiveDate, NaiveTime, Timelike as _};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use healthimaging::{Error, Result, Timestamp, is_value_token};

/// Longest text that the service compares, in characters.
const LONGEST: usize = 256;

/// Declares a value that is written as text and checked when it is read.
macro_rules! checked {
    ($name:ident, $schema:tt) => {
        impl $name {
            /// The text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<&str> for $name {
            type Error = Error;

            fn try_from(text: &str) -> Result<Self> {
                Self::try_from(text.to_owned())
            }
        }

        impl From<$name> for String {
            fn from(value: $name) -> Self {
                value.0
            }
        }

        impl JsonSchema for $name {
            fn inline_schema() -> bool {
                true
            }

            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!($schema)
            }
        }
    };
}

/// Text to compare with: 1 to 256 characters, or the token of a value; without the spaces around it, which only pad.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Text(String);

impl TryFrom<String> for Text {
    type Error = Error;

    fn try_from(text: String) -> Result<Self> {
        let trimmed = text.trim();
        match trimmed.chars().count() {
            0 => Err(Error::validation("must not be empty")),
            1..=LONGEST => Ok(Self(trimmed.to_owned())),
            _ if is_value_token(trimmed) => Ok(Self(trimmed.to_owned())),
            count => Err(Error::validation(format!(
                "must have at most {LONGEST} characters, but has {count}"
            ))),
        }
    }
}

checked!(Text, { "type": "string" });

/// A day as DICOM writes it: `YYYYMMDD` (DA, `PS3.5 §6.2`); one that the calendar has.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct StudyDate(String);

impl StudyDate {
    /// The day after it; itself, at the end of the calendar.
    pub(super) fn next(&self) -> Self {
        let day = calendar_day(&self.0).and_then(|day| day.succ_opt());
        match day.map(|day| day.format("%Y%m%d").to_string()) {
            Some(text) if text.len() == 8 => Self(text),
            _ => self.clone(),
        }
    }
}

impl TryFrom<String> for StudyDate {
    type Error = Error;

    fn try_from(text: String) -> Result<Self> {
        match calendar_day(&text) {
            Some(_) => Ok(Self(text)),
            None => Err(Error::validation("must be a day that exists, as YYYYMMDD")),
        }
    }
}

checked!(StudyDate, { "type": "string", "pattern": "^[0-9]{8}$" });

fn calendar_day(text: &str) -> Option<NaiveDate> {
    let is_plain = text.len() == 8 && text.bytes().all(|byte| byte.is_ascii_digit());
    is_plain.then(|| NaiveDate::parse_from_str(text, "%Y%m%d").ok())?
}

/// A day and a time of it: `YYYYMMDD`, or `YYYYMMDDHHMMSS` with up to six digits after a point
/// (DT without an offset, `PS3.5 §6.2`).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct StudyMoment(String);

impl StudyMoment {
    /// The day, `YYYYMMDD`.
    pub(super) fn date(&self) -> &str {
        self.0.get(..8).unwrap_or_default()
    }

    /// The time, `HHMMSS.FFFFFF`.
    pub(super) fn time(&self) -> &str {
        self.0.get(8..).unwrap_or_default()
    }
}

impl TryFrom<String> for StudyMoment {
    type Error = Error;

    fn try_from(text: String) -> Result<Self> {
        const WANTED: &str = "must be a day and time as YYYYMMDDHHMMSS, or a day as YYYYMMDD";
        let refused = || Error::validation(WANTED);
        let (date, time) = text.trim().split_at_checked(8).ok_or_else(refused)?;
        let date = StudyDate::try_from(date).map_err(|_| refused())?;
        let time = if time.is_empty() { "000000" } else { time };
        let plain = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
        let time = Some(time)
            .filter(|time| plain(time) && time.len() <= 13)
            .and_then(|time| NaiveTime::parse_from_str(time, "%H%M%S%.f").ok())
            .ok_or_else(refused)?;
        let microseconds = time.nanosecond() / 1000;
        Ok(Self(format!("{}{}.{microseconds:06}", date.as_str(), time.format("%H%M%S"))))
    }
}

checked!(StudyMoment, { "type": "string" });

/// A moment as ISO 8601 writes it: `2026-01-31T12:00:00Z`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct Moment(pub Timestamp);

impl TryFrom<String> for Moment {
    type Error = Error;

    fn try_from(text: String) -> Result<Self> {
        text.parse()
            .map(Self)
            .map_err(|_| Error::validation("must be a moment such as 2026-01-31T12:00:00Z"))
    }
}

impl JsonSchema for Moment {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Moment".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string" })
    }
}

/// From one value to another, both included; open where an end is left out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(inline)]
pub struct Span<T> {
    /// The lower end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<T>,
    /// The upper end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<T>,
}

impl<T: PartialOrd> Span<T> {
    pub(super) fn check(&self, name: &str) -> Result<()> {
        match (&self.from, &self.to) {
            (None, None) => Err(Error::validation(format!("{name} must have from, to or both"))),
            (Some(from), Some(to)) if from > to => {
                Err(Error::validation(format!("{name} ends before it begins")))
            }
            _ => Ok(()),
        }
    }

    pub(super) fn holds(&self, value: &T) -> bool {
        self.from.as_ref().is_none_or(|from| value >= from)
            && self.to.as_ref().is_none_or(|to| value <= to)
    }
}
