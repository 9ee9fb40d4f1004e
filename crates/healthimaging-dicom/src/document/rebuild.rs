//! From the document back to a data set, with the VRs that the elements had.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use dicom_core::{Tag, VR};
use serde_json::Value as Json;

use super::implied::{Context, implied_vr};
use super::{Attributes, Document, Instance, dictionary};
use crate::data_set::{DataSet, Element, Value};

impl Document {
    /// The data set of an instance, all levels together and group 0002 with it, without pixel data.
    ///
    /// A value of the instance itself wins over that of a higher level, and what the instance is marked
    /// to lack is left out.
    ///
    /// A value that is stored apart is [`Value::Apart`] with its length and no offset. `None` when the
    /// instance is not here.
    #[must_use]
    pub fn data_set(&self, series_uid: &str, sop_uid: &str) -> Option<DataSet> {
        let series = self.series.get(series_uid)?;
        let instance = series.instances.get(sop_uid)?;
        let details = &instance.details;
        let mut reader = LevelReader {
            instance,
            is_detailed: !details.apart.is_empty()
                || !details.vrs.is_empty()
                || !details.texts.is_empty(),
            path: Vec::new(),
        };
        let context = instance.context();
        let mut data_set = DataSet::default();
        for level in [&self.patient, &self.study, &series.attributes] {
            reader.read_level(level, context, &mut data_set);
        }
        reader.read(&instance.attributes, context, &mut data_set);
        Some(data_set)
    }
}

struct LevelReader<'a> {
    instance: &'a Instance,
    /// Whether anything is known by path.
    is_detailed: bool,
    path: Vec<String>,
}

impl LevelReader<'_> {
    /// Reads what the instance has of a higher level.
    fn read_level(&mut self, attributes: &Attributes, context: Context, to: &mut DataSet) {
        for (key, value) in attributes {
            if !self.instance.differs_in(key) {
                self.read_one(key, value, context, to);
            }
        }
    }

    fn read(&mut self, attributes: &Attributes, context: Context, to: &mut DataSet) {
        for (key, value) in attributes {
            self.read_one(key, value, context, to);
        }
    }

    fn read_one(&mut self, key: &str, value: &Json, context: Context, to: &mut DataSet) {
        let Some(tag) = dictionary::tag(key) else {
            return;
        };
        let element = if self.is_detailed {
            self.path.push(dictionary::hex(tag));
            let element = self.detailed(tag, value, context);
            self.path.pop();
            element
        } else {
            self.element(tag, value, context, None)
        };
        to.elements.insert(tag, element);
    }

    fn detailed(&mut self, tag: Tag, value: &Json, context: Context) -> Element {
        let details = &self.instance.details;
        let path = self.path.join("/");
        if let Some(apart) = details.apart.get(&path).filter(|_| value.is_null()) {
            let (offset, length) = (0, apart.length);
            return Element {
                vr: apart.vr.parse().unwrap_or(VR::UN),
                value: Value::Apart { offset, length },
            };
        }
        let told = details.vrs.get(&path).and_then(|vr| vr.parse().ok());
        let mut element = self.element(tag, value, context, told);
        if let Some(text) = details.texts.get(&path)
            && matches!(element.value, Value::Text(_) | Value::Empty)
        {
            element.value = Value::Text(text.clone());
        }
        element
    }

    /// `told` is the VR that the details tell.
    fn element(&mut self, tag: Tag, value: &Json, context: Context, told: Option<VR>) -> Element {
        let known = known_vr(tag, value, context, self.instance);
        // An update may have put a value where the VR of the file no longer fits.
        let possible = [known, other_sign(known), plausible_vr(value)];
        for vr in told.into_iter().chain(possible) {
            if let Some(value) = self.typed(vr, value, context) {
                return Element { vr, value };
            }
        }
        let (vr, value) = (VR::UN, Value::Empty);
        Element { vr, value }
    }

    fn typed(&mut self, vr: VR, value: &Json, context: Context) -> Option<Value> {
        if vr != VR::SQ {
            return plain_value(vr, value);
        }
        let items = match value {
            Json::Null => &[],
            Json::Array(items) => items.as_slice(),
            _ => return None,
        };
        let mut data_sets = Vec::with_capacity(items.len());
        for (number, item) in items.iter().enumerate() {
            let attributes = item.as_object()?;
            let mut data_set = DataSet::default();
            self.path.push(number.to_string());
            self.read(attributes, context.within_attributes(attributes), &mut data_set);
            self.path.pop();
            data_sets.push(data_set);
        }
        Some(Value::Items(data_sets))
    }
}

fn known_vr(tag: Tag, value: &Json, context: Context, instance: &Instance) -> VR {
    if dictionary::keyword(tag).is_some() {
        return implied_vr(tag, value, context);
    }
    let told = instance.vrs.get(&dictionary::hex(tag));
    match told.and_then(|vr| vr.parse().ok()) {
        Some(vr) => vr,
        None if dictionary::is_private_creator(tag) => VR::LO,
        None => VR::UN,
    }
}

/// For a value of the series that is shown in an instance whose samples have another sign.
fn other_sign(vr: VR) -> VR {
    match vr {
        VR::US => VR::SS,
        VR::SS => VR::US,
        vr => vr,
    }
}

/// A VR that holds the value, whatever the element.
fn plausible_vr(value: &Json) -> VR {
    let first = match value {
        Json::Array(values) => values.first().unwrap_or(value),
        value => value,
    };
    match first {
        Json::Object(_) => VR::SQ,
        Json::Number(_) => VR::FD,
        _ => VR::UT,
    }
}

/// The value as `vr` holds it; `None` when it does not fit.
pub(crate) fn plain_value(vr: VR, value: &Json) -> Option<Value> {
    let values = match value {
        Json::Null => return Some(Value::Empty),
        Json::Array(values) => values.as_slice(),
        one => std::slice::from_ref(one),
    };
    match vr {
        VR::US => unsigned(values, u64::from(u16::MAX)),
        VR::UL => unsigned(values, u64::from(u32::MAX)),
        VR::UV => unsigned(values, u64::MAX),
        VR::SS => signed(values, i64::from(i16::MIN)..=i64::from(i16::MAX)),
        VR::SL => signed(values, i64::from(i32::MIN)..=i64::from(i32::MAX)),
        VR::SV => signed(values, i64::MIN..=i64::MAX),
        VR::FD => each(values, float).map(Value::Double),
        VR::FL => each(values, |value| float(value).and_then(single)).map(Value::Float),
        VR::AT => each(values, |value| tag_value(value.as_str()?)).map(Value::Tags),
        VR::SQ => None,
        vr if dictionary::is_bytes(vr) => bytes(value),
        _ => each(values, text_part).map(|parts| text(&parts)),
    }
}

fn each<T>(values: &[Json], convert: impl Fn(&Json) -> Option<T>) -> Option<Vec<T>> {
    values.iter().map(convert).collect()
}

fn unsigned(values: &[Json], highest: u64) -> Option<Value> {
    let convert = |value: &Json| value.as_u64().filter(|number| *number <= highest);
    each(values, convert).map(Value::Unsigned)
}

fn signed(values: &[Json], range: std::ops::RangeInclusive<i64>) -> Option<Value> {
    let convert = |value: &Json| value.as_i64().filter(|number| range.contains(number));
    each(values, convert).map(Value::Signed)
}

fn float(value: &Json) -> Option<f64> {
    match value.as_str() {
        None => value.as_f64(),
        Some("NaN") => Some(f64::NAN),
        Some("inf") => Some(f64::INFINITY),
        Some("-inf") => Some(f64::NEG_INFINITY),
        Some(_) => None,
    }
}

fn single(number: f64) -> Option<f32> {
    #[expect(clippy::cast_possible_truncation, reason = "the overflow is looked at")]
    let narrow = number as f32;
    (narrow.is_finite() || !number.is_finite()).then_some(narrow)
}

/// A tag of eight hexadecimal digits.
fn tag_value(text: &str) -> Option<Tag> {
    dictionary::tag(text).filter(|_| text.len() == 8 && text.is_ascii())
}

fn bytes(value: &Json) -> Option<Value> {
    let bytes = BASE64.decode(value.as_str()?).ok()?;
    Some(if bytes.is_empty() { Value::Empty } else { Value::Bytes(bytes) })
}

/// DS and IS are text, yet a document from outside may hold them as numbers.
fn text_part(value: &Json) -> Option<String> {
    match value {
        Json::String(text) => Some(text.clone()),
        Json::Number(number) => Some(number.to_string()),
        Json::Null => Some(String::new()),
        _ => None,
    }
}

fn text(parts: &[String]) -> Value {
    let joined = parts.join("\\");
    if joined.is_empty() { Value::Empty } else { Value::Text(joined) }
}
