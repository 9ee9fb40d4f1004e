//! From the document back to a data set, with the VRs that the elements had.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use dicom_core::{Tag, VR};
use serde_json::Value as Json;

use super::implied::{Context, implied_vr};
use super::{Attributes, Document, Instance, SplitInstance, dictionary};
use crate::data_set::{DataSet, Element, Value};

impl Document {
    /// The data set of an instance, all levels together and group 0002 with it, without pixel data.
    ///
    /// A value of the instance itself wins over that of a higher level, and what the instance is marked
    /// to lack is left out.
    ///
    /// A bulk value is [`Value::Bulk`] with its length and no offset. `None` when the
    /// instance is not here.
    #[must_use]
    pub fn data_set(&self, series_uid: &str, sop_uid: &str) -> Option<DataSet> {
        Some(self.lazy_data_set(series_uid, sop_uid)?.to_data_set(&Path::Root))
    }

    /// As [`Self::data_set`], whose elements are made one at a time: all together would take as much
    /// memory as the document.
    pub(crate) fn lazy_data_set(&self, series_uid: &str, sop_uid: &str) -> Option<LazyDataSet<'_>> {
        let series = self.series.get(series_uid)?;
        let instance = series.instances.get(sop_uid)?;
        Some(LazyDataSet::of([&self.patient, &self.study, &series.attributes], instance))
    }
}

impl SplitInstance {
    /// As [`Document::lazy_data_set`], before the instance is part of a document.
    pub(crate) fn lazy_data_set(&self) -> LazyDataSet<'_> {
        LazyDataSet::of([&self.patient, &self.study, &self.series], &self.instance)
    }
}

/// Attributes by tag, in the order of the document.
fn sources(
    attributes: &Attributes,
    is_wanted: impl Fn(&str) -> bool,
) -> impl Iterator<Item = (Tag, Source<'_>)> {
    let wanted = attributes.iter().filter(move |(key, _)| is_wanted(key));
    wanted.filter_map(|(key, value)| Some((dictionary::tag(key)?, Source::Document(value))))
}

/// Path of a data set or an element, from the root down.
pub(crate) enum Path<'a> {
    Root,
    Into(&'a Path<'a>, Tag),
    Item(&'a Path<'a>, usize),
}

impl Path<'_> {
    /// The path as the details name it.
    pub(crate) fn text(&self) -> String {
        let (above, step) = match self {
            Path::Root => return String::new(),
            Path::Into(above, tag) => (above, dictionary::hex(*tag)),
            Path::Item(above, number) => (above, number.to_string()),
        };
        match above {
            Path::Root => step,
            above => above.text() + "/" + &step,
        }
    }
}

/// A data set whose elements are made one at a time.
pub(crate) struct LazyDataSet<'a> {
    elements: BTreeMap<Tag, Source<'a>>,
    rebuilder: Rebuilder<'a>,
}

/// What an element is made of.
enum Source<'a> {
    Document(&'a Json),
    /// Boxed, since there are few of them and many of the others.
    Made(Box<Element>),
}

/// As [`Element`], with items that are made one at a time.
pub(crate) struct LazyElement<'a> {
    pub(crate) vr: VR,
    pub(crate) value: LazyValue<'a>,
}

pub(crate) enum LazyValue<'a> {
    /// Any value but [`Value::Items`].
    Plain(Value),
    Items(LazyItems<'a>),
}

/// Items of a sequence, possibly none.
#[derive(Clone, Copy)]
pub(crate) struct LazyItems<'a> {
    items: &'a [Json],
    rebuilder: Rebuilder<'a>,
}

impl<'a> LazyDataSet<'a> {
    /// The attributes of the levels above an instance, and its own.
    fn of(levels: [&'a Attributes; 3], instance: &'a Instance) -> Self {
        let details = &instance.details;
        let is_detailed =
            !details.bulk_data.is_empty() || !details.vrs.is_empty() || !details.texts.is_empty();
        let mut elements = BTreeMap::new();
        for level in levels {
            elements.extend(sources(level, |key| !instance.differs_in(key)));
        }
        elements.extend(sources(&instance.attributes, |_| true));
        let rebuilder = Rebuilder { instance, is_detailed, context: instance.context() };
        Self { elements, rebuilder }
    }

    pub(crate) fn retain(&mut self, is_wanted: impl Fn(Tag) -> bool) {
        self.elements.retain(|tag, _| is_wanted(*tag));
    }

    /// Sets an element that the document does not have, or not so.
    pub(crate) fn set(&mut self, tag: Tag, vr: VR, value: Value) {
        self.elements.insert(tag, Source::Made(Box::new(Element { vr, value })));
    }

    /// Splits off the elements from `tag` on.
    pub(crate) fn split_off(&mut self, tag: Tag) -> Self {
        Self { elements: self.elements.split_off(&tag), rebuilder: self.rebuilder }
    }

    pub(crate) fn len(&self) -> usize {
        self.elements.len()
    }

    /// The elements in the order of their tags; `path` is that of the data set.
    pub(crate) fn elements(&self, path: &Path<'_>) -> impl Iterator<Item = (Tag, LazyElement<'a>)> {
        self.elements.iter().map(move |(&tag, source)| (tag, self.element(tag, source, path)))
    }

    /// The elements of some tags, but for sequences.
    pub(crate) fn plain(&self, is_wanted: impl Fn(Tag) -> bool) -> DataSet {
        let wanted = self.elements.iter().filter(|(tag, _)| is_wanted(**tag));
        let elements = wanted.filter_map(|(&tag, source)| {
            let LazyElement { vr, value } = self.element(tag, source, &Path::Root);
            match value {
                LazyValue::Plain(value) => Some((tag, Element { vr, value })),
                LazyValue::Items(_) => None,
            }
        });
        DataSet { elements: elements.collect() }
    }

    fn element(&self, tag: Tag, source: &Source<'a>, path: &Path<'_>) -> LazyElement<'a> {
        match source {
            Source::Document(value) => self.rebuilder.element(tag, value, &Path::Into(path, tag)),
            Source::Made(element) => {
                LazyElement { vr: element.vr, value: LazyValue::Plain(element.value.clone()) }
            }
        }
    }

    fn to_data_set(&self, path: &Path<'_>) -> DataSet {
        let elements = self.elements(path).map(|(tag, LazyElement { vr, value })| {
            let value = match value {
                LazyValue::Plain(value) => value,
                LazyValue::Items(items) => {
                    let path = Path::Into(path, tag);
                    let items = items.iter().enumerate();
                    let made = |(number, item): (usize, LazyDataSet<'_>)| {
                        item.to_data_set(&Path::Item(&path, number))
                    };
                    Value::Items(items.map(made).collect())
                }
            };
            (tag, Element { vr, value })
        });
        DataSet { elements: elements.collect() }
    }
}

impl<'a> LazyItems<'a> {
    pub(crate) fn len(&self) -> usize {
        self.items.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    pub(crate) fn iter(self) -> impl Iterator<Item = LazyDataSet<'a>> {
        // All are objects.
        self.items.iter().filter_map(Json::as_object).map(move |attributes| LazyDataSet {
            elements: sources(attributes, |_| true).collect(),
            rebuilder: Rebuilder {
                context: self.rebuilder.context.within_attributes(attributes),
                ..self.rebuilder
            },
        })
    }
}

/// Makes elements out of attributes of the document.
#[derive(Clone, Copy)]
struct Rebuilder<'a> {
    instance: &'a Instance,
    /// Whether anything is known by path.
    is_detailed: bool,
    context: Context,
}

impl<'a> Rebuilder<'a> {
    fn element(self, tag: Tag, value: &'a Json, path: &Path<'_>) -> LazyElement<'a> {
        if !self.is_detailed {
            return self.typed(tag, value, None);
        }
        let details = &self.instance.details;
        let path = path.text();
        if let Some(bulk) = details.bulk_data.get(&path).filter(|_| value.is_null()) {
            let (offset, length) = (0, bulk.length);
            let value = LazyValue::Plain(Value::Bulk { offset, length });
            return LazyElement { vr: bulk.vr.parse().unwrap_or(VR::UN), value };
        }
        let recorded = details.vrs.get(&path).and_then(|vr| vr.parse().ok());
        let mut element = self.typed(tag, value, recorded);
        if let Some(text) = details.texts.get(&path)
            && matches!(element.value, LazyValue::Plain(Value::Text(_) | Value::Empty))
        {
            element.value = LazyValue::Plain(Value::Text(text.clone()));
        }
        element
    }

    /// `recorded` is the VR in the details.
    fn typed(self, tag: Tag, value: &'a Json, recorded: Option<VR>) -> LazyElement<'a> {
        let known = known_vr(tag, value, self.context, self.instance);
        // An update may have put a value where the VR of the file no longer fits.
        let possible = [known, other_sign(known), plausible_vr(value)];
        for vr in recorded.into_iter().chain(possible) {
            if let Some(value) = self.value(vr, value) {
                return LazyElement { vr, value };
            }
        }
        LazyElement { vr: VR::UN, value: LazyValue::Plain(Value::Empty) }
    }

    fn value(self, vr: VR, value: &'a Json) -> Option<LazyValue<'a>> {
        if vr != VR::SQ {
            return plain_value(vr, value).map(LazyValue::Plain);
        }
        let items = match value {
            Json::Null => &[],
            Json::Array(items) if items.iter().all(Json::is_object) => items.as_slice(),
            _ => return None,
        };
        Some(LazyValue::Items(LazyItems { items, rebuilder: self }))
    }
}

fn known_vr(tag: Tag, value: &Json, context: Context, instance: &Instance) -> VR {
    if dictionary::keyword(tag).is_some() {
        return implied_vr(tag, value, context);
    }
    let recorded = instance.vrs.get(&dictionary::hex(tag));
    match recorded.and_then(|vr| vr.parse().ok()) {
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

/// Returns a VR that holds the value, for any element.
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
