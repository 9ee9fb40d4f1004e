//! When two values are the same: padding without meaning does not count (`PS3.5 §6.2`).

use std::collections::BTreeMap;

use dicom_core::VR;
use serde_json::Value;

use super::{Attributes, dictionary, index};

/// Whether two values of the attribute `key` are the same but for padding. Sequences are compared item
/// by item; an empty value and a blank one are the same.
pub(crate) fn is_same(key: &str, one: &Value, other: &Value) -> bool {
    if one == other {
        return true;
    }
    match (one, other) {
        (Value::String(one), Value::String(other)) => {
            let vr = dictionary::tag(key).and_then(dictionary::exact_vr);
            unpadded(vr, one) == unpadded(vr, other)
        }
        (Value::Null, Value::String(text)) | (Value::String(text), Value::Null) => {
            index::trimmed(text).is_empty()
        }
        (Value::Array(one), Value::Array(other)) => {
            let mut pairs = one.iter().zip(other);
            one.len() == other.len() && pairs.all(|(one, other)| is_same(key, one, other))
        }
        (Value::Object(one), Value::Object(other)) => are_same(one, other),
        _ => false,
    }
}

fn are_same(one: &Attributes, other: &Attributes) -> bool {
    let mut values = one.iter();
    one.len() == other.len()
        && values.all(|(key, value)| other.get(key).is_some_and(|held| is_same(key, value, held)))
}

/// Attributes in the order of their keys, without padding: what [`is_same`] for two of them is equal.
pub(crate) fn comparable(attributes: &Attributes) -> Value {
    let sorted: BTreeMap<&String, Value> =
        attributes.iter().map(|(key, value)| (key, unpadded_value(key, value))).collect();
    sorted.into_iter().map(|(key, value)| (key.clone(), value)).collect::<Attributes>().into()
}

fn unpadded_value(key: &str, value: &Value) -> Value {
    match value {
        Value::String(text) => {
            let vr = dictionary::tag(key).and_then(dictionary::exact_vr);
            match unpadded(vr, text) {
                "" => Value::Null,
                text => text.into(),
            }
        }
        Value::Array(values) => values.iter().map(|value| unpadded_value(key, value)).collect(),
        Value::Object(attributes) => comparable(attributes),
        value => value.clone(),
    }
}

/// Text without the padding that carries no meaning in a VR. Where the VR is not known, leading spaces
/// are kept.
fn unpadded(vr: Option<VR>, text: &str) -> &str {
    match vr {
        None | Some(VR::LT | VR::ST | VR::UC | VR::UR | VR::UT) => {
            text.trim_end_matches([' ', '\0'])
        }
        Some(_) => index::trimmed(text),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn padding_is_no_difference() {
        assert!(is_same("Laterality", &json!("R"), &json!("R ")));
        assert!(is_same("SeriesNumber", &json!(" 3"), &json!("3 ")));
        assert!(is_same("PatientSex", &json!(null), &json!(" ")));
        assert!(is_same("SoftwareVersions", &json!(["a", "b "]), &json!(["a ", "b"])));
        assert!(!is_same("Laterality", &json!("R"), &json!("L")));
        assert!(!is_same("SoftwareVersions", &json!(["a"]), &json!(["a", ""])));
        assert!(!is_same("PixelPaddingValue", &json!(0), &json!(-2000)));
        assert!(!is_same("PatientSex", &json!(null), &json!("O")));
    }

    #[test]
    fn leading_spaces_count_where_they_are_significant() {
        assert!(is_same("StudyDescription", &json!(" CHEST"), &json!("CHEST")));
        assert!(!is_same("PatientComments", &json!(" none"), &json!("none")));
        assert!(is_same("PatientComments", &json!("none  "), &json!("none")));
    }

    #[test]
    fn sequences_are_compared_to_the_bottom() {
        let of = |meaning: &str| json!([{"CodeValue": "T1 ", "Inner": [{"CodeMeaning": meaning}]}]);
        assert!(is_same("ProcedureCodeSequence", &of("a"), &of("a ")));
        assert!(!is_same("ProcedureCodeSequence", &of("a"), &of("b")));
        assert!(!is_same("ProcedureCodeSequence", &of("a"), &json!([])));
        let more = json!([{"CodeValue": "T1", "Inner": [{"CodeMeaning": "a", "CodeValue": "x"}]}]);
        assert!(!is_same("ProcedureCodeSequence", &of("a"), &more));
    }
}
