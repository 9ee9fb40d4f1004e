//! Values of a data set in the DICOM JSON Model (PS3.18 Annex F).

use std::borrow::Cow;

use healthimaging::{Error, Result};
use serde::Deserialize as _;
use serde_json::{Map, Value};

/// A data set: tag as eight hexadecimal digits → attribute.
pub(super) type DataSet = Map<String, Value>;

/// Deepest nesting of JSON that is parsed: files nest at most 128 sequences, of three levels each.
const DEEPEST: usize = 512;

/// Reads the first data set of an array of them.
pub(super) fn read(json: &[u8]) -> Result<DataSet> {
    if depth(json) > DEEPEST {
        return Err(Error::validation("the instance nests sequences too deeply to be read"));
    }
    let mut reader = serde_json::Deserializer::from_slice(json);
    reader.disable_recursion_limit();
    let data_sets = Vec::<DataSet>::deserialize(&mut reader)
        .map_err(|error| Error::internal("the DICOM JSON of an instance is invalid", error))?;
    let first = data_sets.into_iter().next();
    first.ok_or_else(|| Error::internal("the DICOM JSON of an instance is invalid", "no data set"))
}

/// Deepest nesting of objects and arrays in JSON.
fn depth(json: &[u8]) -> usize {
    let (mut depth, mut deepest) = (0_usize, 0);
    let (mut in_text, mut is_escaped) = (false, false);
    for byte in json {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' if in_text => is_escaped = true,
            b'"' => in_text = !in_text,
            _ if in_text => {}
            b'[' | b'{' => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

fn list<'a>(data_set: &'a DataSet, tag: &str) -> &'a [Value] {
    let values = data_set.get(tag).and_then(|attribute| attribute.get("Value")?.as_array());
    values.map_or(&[], Vec::as_slice)
}

/// The items of a sequence; none where it is absent.
pub(super) fn items<'a>(
    data_set: &'a DataSet,
    tag: &str,
) -> impl DoubleEndedIterator<Item = &'a DataSet> + use<'a> {
    list(data_set, tag).iter().filter_map(Value::as_object)
}

/// The first item of a sequence.
pub(super) fn item<'a>(data_set: &'a DataSet, tag: &str) -> Option<&'a DataSet> {
    items(data_set, tag).next()
}

fn text_of(value: &Value) -> Option<Cow<'_, str>> {
    match value {
        Value::String(text) => Some(Cow::Borrowed(text.trim_end_matches([' ', '\0']))),
        Value::Number(number) => Some(Cow::Owned(number.to_string())),
        Value::Object(name) => ["Alphabetic", "Ideographic", "Phonetic"]
            .iter()
            .find_map(|form| name.get(*form)?.as_str())
            .map(|name| Cow::Borrowed(name.trim_end_matches([' ', '\0']))),
        _ => None,
    }
    .filter(|text| !text.is_empty())
}

/// The values of an attribute as text.
pub(super) fn texts<'a>(
    data_set: &'a DataSet,
    tag: &str,
) -> impl Iterator<Item = Cow<'a, str>> + use<'a> {
    list(data_set, tag).iter().filter_map(text_of)
}

/// The first value of an attribute as text.
pub(super) fn text(data_set: &DataSet, tag: &str) -> Option<String> {
    texts(data_set, tag).next().map(Cow::into_owned)
}

/// All values of an attribute as text, with a separator between them.
pub(super) fn joined(data_set: &DataSet, tag: &str, separator: &str) -> Option<String> {
    let all: Vec<Cow<'_, str>> = texts(data_set, tag).collect();
    (!all.is_empty()).then(|| all.join(separator))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deep_nesting_is_refused_before_it_is_parsed() {
        assert_eq!(depth(br#"[{"a":"[[[\"[["}]"#), 2);
        let nested = |levels: usize| {
            let inner = r#"{"0040A730":{"vr":"SQ","Value":["#.repeat(levels);
            format!("[{inner}{}]", "]}}".repeat(levels))
        };
        assert!(read(nested(128).as_bytes()).is_ok());
        assert!(read(nested(100_000).as_bytes()).unwrap_err().message().contains("deep"));
        assert!(read(b"[]").is_err() && read(b"[").is_err() && read(b"{}").is_err());
    }
}
