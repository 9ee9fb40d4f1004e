//! Whether a value fits its VR (`PS3.5 §6.2`), and the form in which the document keeps it.

use chrono::{NaiveDate, NaiveTime};
use dicom_core::{Tag, VR};
use serde_json::Value;

use crate::document::implied::{Context, implied_vr};
use crate::document::limits::{IDENTIFIERS, is_uid, longest};
use crate::document::rebuild::plain_value;
use crate::document::texts::without_pad;
use crate::document::{Attributes, dictionary};

/// How closely the form of a value is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Leniency {
    /// It must have the form of its VR.
    Strict,
    /// It must be something that the VR can hold.
    Forced,
}

/// The value as the document keeps it; why not, otherwise.
pub(super) fn accepted(
    tag: Tag,
    vr: VR,
    value: &Value,
    leniency: Leniency,
) -> Result<Value, String> {
    let keyword = dictionary::keyword(tag).unwrap_or_default();
    let is_identifier = IDENTIFIERS.contains(&keyword);
    if value.is_null() || value.as_str().is_some_and(|text| without_pad(VR::UT, text).is_empty()) {
        return if is_identifier {
            Err("a UID cannot be empty".to_owned())
        } else {
            Ok(Value::Null)
        };
    }
    if vr == VR::SQ {
        return items(value, leniency);
    }
    let allows_several = keyword.is_empty() || dictionary::is_multi_valued(tag);
    if value.is_array() && !allows_several {
        return Err("it takes one value, not an array".to_owned());
    }
    if plain_value(vr, value).is_none() || !has_json_type(vr, value) {
        return Err(format!("the value does not fit the VR {}", vr.to_string()));
    }
    let length = value.as_str().map_or(0, |text| text.chars().count());
    if let Some(longest) = longest(keyword).filter(|longest| length > *longest) {
        return Err(format!("at most {longest} characters are allowed"));
    }
    let parts = match value {
        Value::Array(parts) => parts.iter().map(|part| kept(vr, part)).collect(),
        one => vec![kept(vr, one)],
    };
    for part in parts.iter().filter_map(Value::as_str) {
        let wrong = match leniency {
            _ if is_identifier => !is_uid(part),
            Leniency::Strict => !has_form_within(vr, part, longest(keyword)),
            // A backslash would make two values of one.
            Leniency::Forced => part.contains('\\') && dictionary::splits_at_backslash(vr),
        };
        if wrong {
            return Err(format!("the value does not have the form of the VR {}", vr.to_string()));
        }
    }
    Ok(shaped(tag, parts, value))
}

/// Numbers stand for text only where the text is a number.
fn has_json_type(vr: VR, value: &Value) -> bool {
    let parts = value.as_array().map_or(std::slice::from_ref(value), Vec::as_slice);
    let is_number_vr = matches!(vr, VR::DS | VR::IS) || dictionary::is_number(vr);
    is_number_vr || !parts.iter().any(Value::is_number)
}

/// An array where the dictionary allows several values, and where several are given.
fn shaped(tag: Tag, mut parts: Vec<Value>, given: &Value) -> Value {
    let is_array = dictionary::is_multi_valued(tag) && parts.iter().all(|part| !part.is_null());
    match parts.pop() {
        Some(only) if parts.is_empty() && !is_array && !given.is_array() => only,
        Some(last) => {
            parts.push(last);
            Value::Array(parts)
        }
        None => Value::Null,
    }
}

/// DS and IS are kept as text, whatever the caller wrote.
fn kept(vr: VR, value: &Value) -> Value {
    match value {
        Value::Number(number) if matches!(vr, VR::DS | VR::IS) => number.to_string().into(),
        Value::String(text) if !dictionary::is_bytes(vr) => without_pad(vr, text).into(),
        value => value.clone(),
    }
}

fn items(value: &Value, leniency: Leniency) -> Result<Value, String> {
    let items = value.as_array().ok_or("a sequence is an array of objects")?;
    let mut kept = Vec::with_capacity(items.len());
    for item in items {
        let item = item.as_object().ok_or("a sequence is an array of objects")?;
        let mut elements = Vec::with_capacity(item.len());
        for (key, value) in item {
            let known = dictionary::tag(key).filter(|tag| dictionary::keyword(*tag).is_some());
            let tag = known.ok_or("items may hold standard attributes only")?;
            let vr = implied_vr(tag, value, Context::default());
            elements.push((tag, accepted(tag, vr, value, leniency)?));
        }
        elements.sort_by_key(|(tag, _)| *tag);
        let named = elements.into_iter().map(|(tag, value)| (dictionary::key(tag), value));
        kept.push(Value::Object(named.collect::<Attributes>()));
    }
    if kept.is_empty() { Ok(Value::Null) } else { Ok(Value::Array(kept)) }
}

/// Whether one value has the form of its VR (`PS3.5` Table 6.2-1).
#[must_use]
pub fn has_form(vr: VR, value: &str) -> bool {
    has_form_within(vr, value, None)
}

/// Whether one value has the form of a VR. `longest` replaces the length that the VR allows, where the
/// service has its own.
fn has_form_within(vr: VR, text: &str, longest: Option<usize>) -> bool {
    let within = |of_vr: usize| text.chars().count() <= longest.unwrap_or(of_vr);
    let plain = || !text.contains(|c: char| c == '\\' || c.is_control());
    let lines = || !text.contains(|c: char| c.is_control() && !"\t\n\r\x0C".contains(c));
    let trimmed = text.trim_matches(' ');
    match vr {
        VR::AE => within(16) && plain() && text.is_ascii(),
        VR::AS => is_age(trimmed),
        VR::CS => within(16) && text.bytes().all(is_code),
        VR::DA => is_date(trimmed),
        VR::DS => text.len() <= 16 && is_decimal(trimmed),
        VR::DT => is_date_time(trimmed),
        VR::IS => text.len() <= 12 && trimmed.parse::<i32>().is_ok(),
        VR::LO => within(64) && plain(),
        VR::LT => within(10_240) && lines(),
        VR::PN => {
            plain() && text.split('=').count() <= 3 && text.split('=').all(|g| is_name(g, longest))
        }
        VR::SH => within(16) && plain(),
        VR::ST => within(1_024) && lines(),
        VR::TM => is_time(trimmed),
        VR::UC => plain(),
        VR::UI => is_uid(trimmed),
        VR::UR => plain() && !text.starts_with(' '),
        VR::UT => lines(),
        _ => true,
    }
}

fn is_code(byte: u8) -> bool {
    byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b' ' || byte == b'_'
}

fn is_age(text: &str) -> bool {
    let digits = text.strip_suffix(['D', 'W', 'M', 'Y']);
    digits.is_some_and(|digits| digits.len() == 3 && all_digits(digits))
}

fn is_date(text: &str) -> bool {
    text.len() == 8 && all_digits(text) && NaiveDate::parse_from_str(text, "%Y%m%d").is_ok()
}

/// `HH`, `HHMM`, `HHMMSS`, or that with one to six digits of a second.
fn is_time(text: &str) -> bool {
    let (whole, fraction) = match text.split_once('.') {
        Some((whole, fraction)) => (whole, Some(fraction)),
        None => (text, None),
    };
    let has_fraction =
        |digits: &str| whole.len() == 6 && (1..=6).contains(&digits.len()) && all_digits(digits);
    let padded = format!("{whole:0<6}");
    // 60 is a leap second.
    let padded = padded.strip_suffix("60").map_or(padded.clone(), |rest| format!("{rest}59"));
    matches!(whole.len(), 2 | 4 | 6)
        && all_digits(whole)
        && fraction.is_none_or(has_fraction)
        && NaiveTime::parse_from_str(&padded, "%H%M%S").is_ok()
}

/// A year, or more of `YYYYMMDDHHMMSS.FFFFFF`, with or without `&ZZXX`.
fn is_date_time(text: &str) -> bool {
    let (moment, zone) = match text.find(['+', '-']) {
        Some(at) => text.split_at(at),
        None => (text, ""),
    };
    let has_zone = zone.is_empty() || (zone.len() == 5 && zone.get(1..).is_some_and(all_digits));
    let date = moment.get(..moment.len().min(8)).unwrap_or_default();
    let has_date = matches!(date.len(), 4 | 6 | 8)
        && all_digits(date)
        && is_date(&format!("{date}{}", "0101".get(date.len() - 4..).unwrap_or_default()));
    let time = moment.get(date.len()..).unwrap_or_default();
    has_zone && has_date && (time.is_empty() || (date.len() == 8 && is_time(time)))
}

fn is_decimal(text: &str) -> bool {
    let allowed = |c: char| c.is_ascii_digit() || "+-.eE".contains(c);
    text.chars().all(allowed) && text.parse::<f64>().is_ok_and(f64::is_finite)
}

/// A component group of a name: up to five components.
fn is_name(group: &str, longest: Option<usize>) -> bool {
    group.split('^').count() <= 5 && group.chars().count() <= longest.unwrap_or(64)
}

fn all_digits(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit())
}
