//! Where attributes come from: the first value of each, as a number or as text.

use serde_json::{Map, Value};

/// An attribute, by its keyword in documents and by its tag in data sets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Attribute {
    /// Keyword, such as `Rows`.
    pub keyword: &'static str,
    /// Tag: group and element.
    pub tag: (u16, u16),
}

/// Access to the attributes of an image.
///
/// Both functions return the first of several values. The value representation does not matter:
/// writers often use another one than the standard's.
pub trait ImageAttributes {
    /// A whole number of any integer, decimal, or text representation; `None` when the attribute is
    /// absent, empty, or something else.
    fn integer(&self, attribute: Attribute) -> Option<i64>;

    /// Text without padding; `None` when the attribute is absent, empty, or not text.
    fn text(&self, attribute: Attribute) -> Option<&str>;
}

impl ImageAttributes for Map<String, Value> {
    fn integer(&self, attribute: Attribute) -> Option<i64> {
        match first(self.get(attribute.keyword)?)? {
            Value::String(text) => whole_number(text),
            Value::Number(number) => number.as_i64().or_else(|| exact(number.as_f64()?)),
            _ => None,
        }
    }

    fn text(&self, attribute: Attribute) -> Option<&str> {
        let text = first(self.get(attribute.keyword)?)?.as_str()?;
        Some(text.trim_matches(PADDING)).filter(|text| !text.is_empty())
    }
}

const PADDING: [char; 2] = [' ', '\0'];

fn first(value: &Value) -> Option<&Value> {
    match value {
        Value::Array(values) => values.first(),
        other => Some(other),
    }
}

/// The whole number that a text of IS or DS spells, such as `512`, ` 16 ` or `3.0`.
#[must_use]
pub fn whole_number(text: &str) -> Option<i64> {
    let text = text.trim_matches(PADDING);
    text.parse().ok().or_else(|| exact(text.parse().ok()?))
}

/// A number without a fraction.
#[expect(clippy::cast_possible_truncation, reason = "far below 2^53")]
fn exact(number: f64) -> Option<i64> {
    (number.fract() == 0.0 && number.abs() <= f64::from(u32::MAX)).then_some(number as i64)
}
