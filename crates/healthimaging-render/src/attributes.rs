//! The attributes of an instance in a metadata document, and values read out of them.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use healthimaging_image::{Attribute, ImageAttributes};
use serde_json::{Map, Value};

/// A JSON object.
pub(crate) type Object = Map<String, Value>;

/// The attributes of an instance and of the levels above it.
///
/// An attribute is at one level of a document. Where an instance has its own value beside that of its
/// series, study or patient, its own counts.
#[derive(Debug)]
pub(crate) struct Attributes {
    pub(crate) own: Object,
    /// From the nearest level up: series, study, patient.
    pub(crate) above: [Object; 3],
}

impl Attributes {
    /// The value of an attribute; `None` also where it is empty.
    pub(crate) fn get(&self, keyword: &str) -> Option<&Value> {
        self.level_of(keyword)?.get(keyword).filter(|value| !value.is_null())
    }

    /// The level whose value counts, also if that is empty.
    pub(crate) fn level_of(&self, keyword: &str) -> Option<&Object> {
        let mut levels = std::iter::once(&self.own).chain(self.above.iter());
        levels.find(|level| level.contains_key(keyword))
    }

    /// A functional group of a frame, counted from 0 (PS3.3 §C.7.6.16): its own, or else the shared one.
    pub(crate) fn functional_group(&self, frame: usize, macro_name: &str) -> Option<&Object> {
        let frames = self.own.get("PerFrameFunctionalGroupsSequence");
        let own = frames.and_then(|frames| frames.get(frame)?.as_object());
        let shared = first_item(&self.own, "SharedFunctionalGroupsSequence");
        let mut groups = own.into_iter().chain(shared);
        groups.find_map(|groups| first_item(groups, macro_name))
    }

    /// The group that holds attributes of a frame; the instance itself where it has none.
    pub(crate) fn group_or_own(&self, frame: usize, macro_name: &str) -> &Object {
        self.functional_group(frame, macro_name).unwrap_or(&self.own)
    }

    /// The first text of an attribute, without padding.
    pub(crate) fn first_text(&self, keyword: &str) -> Option<&str> {
        first_text(self.get(keyword)?)
    }
}

impl ImageAttributes for Attributes {
    fn integer(&self, attribute: Attribute) -> Option<i64> {
        self.level_of(attribute.keyword)?.integer(attribute)
    }

    fn text(&self, attribute: Attribute) -> Option<&str> {
        self.level_of(attribute.keyword)?.text(attribute)
    }
}

/// A JSON object; anything else has no attributes.
pub(crate) fn object(value: Option<Value>) -> Object {
    match value {
        Some(Value::Object(object)) => object,
        _ => Map::new(),
    }
}

/// The first item of a sequence.
pub(crate) fn first_item<'a>(attributes: &'a Object, sequence: &str) -> Option<&'a Object> {
    attributes.get(sequence)?.get(0)?.as_object()
}

/// The first text of a value, without padding.
pub(crate) fn first_text(value: &Value) -> Option<&str> {
    let text = match value {
        Value::Array(values) => values.first()?.as_str()?,
        other => other.as_str()?,
    };
    text.split('\\').next().map(|text| text.trim_matches([' ', '\0']))
}

/// The numbers of an attribute, of any numeric or decimal representation; `None` for a value that is
/// not a finite number. An attribute that is absent or empty has no numbers.
pub(crate) fn numbers(attributes: &Object, keyword: &str) -> Vec<Option<f64>> {
    fn add(value: &Value, found: &mut Vec<Option<f64>>) {
        match value {
            Value::Null => {}
            Value::String(text) if text.trim_matches([' ', '\0']).is_empty() => {}
            Value::String(text) => found.extend(text.split('\\').map(|part| {
                let number: Option<f64> = part.trim_matches([' ', '\0']).parse().ok();
                number.filter(|number| number.is_finite())
            })),
            Value::Array(values) => values.iter().for_each(|value| add(value, found)),
            other => found.push(other.as_f64()),
        }
    }
    let mut found = Vec::new();
    if let Some(value) = attributes.get(keyword) {
        add(value, &mut found);
    }
    found
}

/// The first number of an attribute; `None` where it is absent, empty or not a number.
pub(crate) fn number(attributes: &Object, keyword: &str) -> Option<f64> {
    numbers(attributes, keyword).first().copied().flatten()
}

/// Whole numbers of an attribute; empty where one of them is not.
pub(crate) fn integers(attributes: &Object, keyword: &str) -> Vec<i64> {
    #[expect(clippy::cast_possible_truncation, reason = "integers of a document are below 2^53")]
    let whole = |number: Option<f64>| {
        number.filter(|number| number.fract() == 0.0).map(|number| number as i64)
    };
    let all: Option<Vec<i64>> = numbers(attributes, keyword).into_iter().map(whole).collect();
    all.unwrap_or_default()
}

/// The bytes of a binary attribute in little endian: base64 or, of VR US and SS, numbers.
pub(crate) fn bytes(attributes: &Object, keyword: &str) -> Option<Vec<u8>> {
    let word = |number: &Value| {
        let number = number.as_i64()?;
        u16::try_from(number & 0xffff).ok().map(u16::to_le_bytes)
    };
    let found = match attributes.get(keyword)? {
        Value::String(text) => STANDARD.decode(text.trim()).ok()?,
        Value::Array(numbers) => numbers.iter().map(word).collect::<Option<Vec<_>>>()?.concat(),
        number => word(number)?.to_vec(),
    };
    (!found.is_empty()).then_some(found)
}
