//! Unambiguous JSON: each member once, nothing after it, and errors that repeat nothing of it.

use std::collections::BTreeSet;
use std::fmt;

use serde::de::{Deserialize, DeserializeOwned, Deserializer, MapAccess, SeqAccess, Visitor};

use crate::error::{Error, Result};

/// Reads a value whose objects have no two members of one name, of which readers would use different ones.
///
/// `what` names the text in errors: "request body".
///
/// # Errors
///
/// `Validation`, without anything that was sent, which may be patient data.
pub fn read_json<T: DeserializeOwned>(what: &str, text: &[u8]) -> Result<T> {
    let invalid = |why: &str| Error::validation(format!("invalid {what}{why}"));
    let Unique = serde_json::from_slice(text).map_err(|error| {
        let why = if error.is_data() {
            "an object has two members of one name"
        } else {
            "it is not JSON"
        };
        invalid(&format!(": {why} (line {}, column {})", error.line(), error.column()))
    })?;
    serde_json::from_slice(text).map_err(|error| {
        let why = without_values(&error.to_string());
        invalid(&format!(": {why} (line {}, column {})", error.line(), error.column()))
    })
}

/// Returns what serde expected or missed, without the value that it found.
fn without_values(message: &str) -> String {
    let message = message.rsplit_once(" at line ").map_or(message, |(message, _)| message);
    match message.rsplit_once(", expected ") {
        Some((found, expected)) if found.starts_with("unknown field") => {
            format!("unknown member, expected {expected}")
        }
        Some((_, expected)) => format!("expected {}", plain_type(expected)),
        None if message.starts_with("unknown field") => {
            "unknown member; none is expected".to_owned()
        }
        // Our own words about an id or a value, or the name of a member that is missing.
        None => message.to_owned(),
    }
}

/// Names a type of JSON as callers know it, in place of the word of serde.
#[must_use]
pub fn plain_type(expected: &str) -> &str {
    match expected {
        "a map" | "map" => "an object",
        "a sequence" | "sequence" => "a list",
        "a string" | "string" | "a borrowed string" | "str" => "text",
        "a boolean" | "bool" => "true or false",
        "i8" | "i16" | "i32" | "i64" | "isize" => "an integer",
        "u8" | "u16" | "u32" | "u64" | "usize" => "an integer from 0",
        "f32" | "f64" => "a number",
        "unit" => "null",
        other if other.starts_with("struct ") || other.starts_with("internally tagged ") => {
            "an object"
        }
        other if other.starts_with("tuple ") => "a list",
        other if other.starts_with("data did not match any variant") => "another form",
        other => other,
    }
}

/// Any JSON whose objects have each member once.
struct Unique;

impl<'de> Deserialize<'de> for Unique {
    fn deserialize<D: Deserializer<'de>>(source: D) -> std::result::Result<Self, D::Error> {
        source.deserialize_any(UniqueVisitor)
    }
}

struct UniqueVisitor;

macro_rules! accept {
    ($($visit:ident: $type:ty),*) => {
        $(fn $visit<E>(self, _: $type) -> std::result::Result<Unique, E> {
            Ok(Unique)
        })*
    };
}

impl<'de> Visitor<'de> for UniqueVisitor {
    type Value = Unique;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    accept! { visit_bool: bool, visit_i64: i64, visit_u64: u64, visit_f64: f64, visit_str: &str }

    fn visit_unit<E>(self) -> std::result::Result<Unique, E> {
        Ok(Unique)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> std::result::Result<Unique, A::Error> {
        while let Some(Unique) = items.next_element()? {}
        Ok(Unique)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> std::result::Result<Unique, A::Error> {
        let mut names = BTreeSet::<String>::new();
        while let Some(name) = members.next_key()? {
            if !names.insert(name) {
                return Err(serde::de::Error::custom("two members of one name"));
            }
            let Unique = members.next_value()?;
        }
        Ok(Unique)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    #[derive(Debug, serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "it is only read into")]
    struct Wanted {
        number: u32,
        #[serde(default)]
        tags: BTreeMap<String, String>,
    }

    fn refused(text: &str) -> String {
        read_json::<Wanted>("request body", text.as_bytes()).unwrap_err().message().to_owned()
    }

    #[test]
    fn each_member_is_there_once_and_nothing_behind() {
        assert!(
            read_json::<Wanted>("request body", br#"{"number": 1, "tags": {"a": "1", "b": "1"}} "#)
                .is_ok()
        );
        for wrong in [
            r#"{"number": 1, "number": 1}"#,
            r#"{"number": 1, "tags": {"a": "1", "a": "2"}}"#,
            r#"{"number": 1, "tags": {"a": "1", "\u0061": "2"}}"#,
            r#"{"number": 1} x"#,
            r#"{"number": 1}{}"#,
            r#"{"number": 1"#,
        ] {
            assert!(read_json::<Wanted>("request body", wrong.as_bytes()).is_err(), "{wrong}");
        }
    }

    #[test]
    fn errors_repeat_nothing_that_was_sent() {
        for wrong in [
            r#"{"number": "DOE"}"#,
            r#"{"number": 1, "DOE": 1}"#,
            r#"{"number": 1, "tags": {"DOE": 1}}"#,
            r#"{"number": 1, "tags": {"DOE": "1", "DOE": "1"}}"#,
            r#"{"number": 1, "tags": ["DOE"]}"#,
            r#"{"number": DOE}"#,
            r#"{"number": 1}DOE"#,
            r#"{"number": "a, expected DOE, expected "}"#,
        ] {
            let message = refused(wrong);
            assert!(message.starts_with("invalid request body: "), "{message}");
            assert!(!message.contains("DOE"), "{message}");
        }
        assert_eq!(
            refused(r#"{"number": "1"}"#),
            "invalid request body: expected an integer from 0 (line 1, column 14)"
        );
        assert!(refused("{}").contains("missing field `number`"));
        assert!(refused(r#"{"n": 1}"#).contains("unknown member, expected"));
    }
}
