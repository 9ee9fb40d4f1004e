//! Coded entries (PS3.3 §8).

use std::fmt;

use serde::Serialize;

use super::json::{DataSet, item, text};

/// A coded entry; what its data set lacks is absent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Code {
    /// Code Meaning (0008,0104).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub meaning: Option<String>,
    /// Code Value (0008,0100), Long Code Value (0008,0119) or URN Code Value (0008,0120).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
    /// Coding Scheme Designator (0008,0102).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scheme: Option<String>,
}

impl Code {
    /// Reads the first item of a code sequence.
    pub(super) fn of(data_set: &DataSet, tag: &str) -> Option<Self> {
        let code = item(data_set, tag)?;
        let value = ["00080100", "00080119", "00080120"].iter().find_map(|tag| text(code, tag));
        let read = Self { meaning: text(code, "00080104"), value, scheme: text(code, "00080102") };
        (read.meaning.is_some() || read.value.is_some()).then_some(read)
    }

    /// Whether it is one of some codes, of the schemes that have had them: `(scheme, value)`.
    pub(super) fn is_any(&self, codes: &[(&str, &str)]) -> bool {
        let (scheme, value) = (self.scheme.as_deref(), self.value.as_deref());
        codes.iter().any(|code| scheme == Some(code.0) && value == Some(code.1))
    }

    /// The meaning, or else the value.
    pub(super) fn name(&self) -> &str {
        self.meaning.as_deref().or(self.value.as_deref()).unwrap_or_default()
    }

    /// A unit as it is written: the code of UCUM (PS3.16 CID 82), the meaning of other schemes.
    pub(super) fn unit(&self) -> &str {
        match (self.scheme.as_deref(), self.value.as_deref()) {
            (Some("UCUM"), Some("1" | "{no units}")) => "",
            (Some("UCUM"), Some(value)) => value,
            _ => self.name(),
        }
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())?;
        match (&self.scheme, &self.value) {
            (Some(scheme), Some(value)) => write!(f, " [{scheme} {value}]"),
            (None, Some(value)) if self.meaning.is_some() => write!(f, " [{value}]"),
            _ => Ok(()),
        }
    }
}
