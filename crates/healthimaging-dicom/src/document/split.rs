//! From a parsed file to the levels of the document.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use dicom_core::{Tag, VR};
use dicom_dictionary_std::tags;
use serde_json::{Number, Value as Json};

use super::implied::{Context, implied_vr};
use super::levels::Level;
use super::{Attributes, BulkElement, Document, Instance, SplitInstance, dictionary, texts};
use crate::data_set::{DataSet, Element, Value};

impl Document {
    /// Parts an instance into the levels of the document.
    ///
    /// Pixel data is left out; the caller adds frames, the stored transfer syntax and the ids of bulk
    /// values. The data set goes as the document comes, so that memory does
    /// not hold both.
    #[must_use]
    pub fn new_instance(meta: &DataSet, data_set: DataSet) -> SplitInstance {
        let mut split = SplitInstance {
            study_uid: uid(&data_set, tags::STUDY_INSTANCE_UID),
            series_uid: uid(&data_set, tags::SERIES_INSTANCE_UID),
            sop_uid: uid(&data_set, tags::SOP_INSTANCE_UID),
            ..SplitInstance::default()
        };
        let mut writer = LevelWriter::default();
        let context = Context::default().within(&data_set);
        for (tag, element) in meta.elements.clone().into_iter().chain(data_set.elements) {
            if is_pixel_data(tag) {
                continue;
            }
            let attributes = match Level::of(tag) {
                Level::Patient => &mut split.patient,
                Level::Study => &mut split.study,
                Level::Series => &mut split.series,
                Level::Instance => &mut split.instance.attributes,
            };
            writer.element(tag, element, context, attributes);
        }
        split.instance.vrs = writer.instance.vrs;
        split.instance.details = writer.instance.details;
        split.bulk_data = writer.bulk_data;
        split
    }
}

/// Whether a tag is one of the three kinds of pixel data (`PS3.5 §8`).
pub(crate) fn is_pixel_data(tag: Tag) -> bool {
    matches!(tag, tags::PIXEL_DATA | tags::FLOAT_PIXEL_DATA | tags::DOUBLE_FLOAT_PIXEL_DATA)
}

fn uid(data_set: &DataSet, tag: Tag) -> String {
    match data_set.elements.get(&tag).map(|element| &element.value) {
        Some(Value::Text(text)) => super::index::trimmed(text).to_owned(),
        _ => String::new(),
    }
}

/// Writes elements as attributes, and keeps what attributes cannot express.
#[derive(Default)]
struct LevelWriter {
    instance: Instance,
    bulk_data: Vec<BulkElement>,
    path: Vec<String>,
}

impl LevelWriter {
    fn element(&mut self, tag: Tag, element: Element, context: Context, to: &mut Attributes) {
        self.path.push(dictionary::hex(tag));
        let vr = element.vr;
        let value = self.value(tag, element, context);
        self.remember_vr(tag, vr, &value, context);
        to.insert(dictionary::key(tag), value);
        self.path.pop();
    }

    fn value(&mut self, tag: Tag, Element { vr, value }: Element, context: Context) -> Json {
        match value {
            Value::Items(items) if !items.is_empty() => self.items(items, context),
            Value::Bulk { offset, length } => {
                let (path, vr) = (self.path.join("/"), vr.to_string().to_owned());
                self.bulk_data.push(BulkElement { path, vr, offset, length });
                Json::Null
            }
            Value::Text(text) if !text.is_empty() => {
                let shown = text_value(tag, vr, &text);
                if texts::is_kept(vr, &texts::joined(&shown), &text) {
                    self.instance.details.texts.insert(self.path.join("/"), text);
                }
                shown
            }
            value => plain_value(tag, vr, &value),
        }
    }

    fn items(&mut self, items: Vec<DataSet>, context: Context) -> Json {
        let mut array = Vec::with_capacity(items.len());
        for (number, item) in items.into_iter().enumerate() {
            self.path.push(number.to_string());
            let context = context.within(&item);
            let mut attributes = Attributes::with_capacity(item.elements.len());
            for (tag, element) in item.elements {
                self.element(tag, element, context, &mut attributes);
            }
            array.push(Json::Object(attributes));
            self.path.pop();
        }
        Json::Array(array)
    }

    /// `DICOMVRs` holds one VR a tag; what does not fit there, or belongs to a keyword and is not what
    /// the keyword implies, goes by path into the details.
    fn remember_vr(&mut self, tag: Tag, vr: VR, value: &Json, context: Context) {
        if dictionary::keyword(tag).is_none() {
            let known = self.instance.vrs.entry(dictionary::hex(tag));
            if known.or_insert_with(|| vr.to_string().to_owned()) == vr.to_string() {
                return;
            }
        } else if implied_vr(tag, value, context) == vr {
            return;
        }
        let path = self.path.join("/");
        let vr = vr.to_string().to_owned();
        self.instance.details.vrs.insert(path, vr);
    }
}

/// A value without items, as the document shows it.
fn plain_value(tag: Tag, vr: VR, value: &Value) -> Json {
    let form = Form::of(tag);
    match value {
        Value::Unsigned(numbers) => form.array(numbers, |number| Json::from(*number)),
        Value::Signed(numbers) => form.array(numbers, |number| Json::from(*number)),
        Value::Float(numbers) => form.array(numbers, |number| decimal(f64::from(*number))),
        Value::Double(numbers) => form.array(numbers, |number| decimal(*number)),
        Value::Tags(tags) => form.array(tags, |tag| Json::from(dictionary::hex(*tag))),
        Value::Bytes(bytes) if !bytes.is_empty() || form == Form::Free => {
            Json::from(BASE64.encode(bytes))
        }
        Value::Empty if form == Form::Free && dictionary::is_bytes(vr) => Json::from(""),
        _ => Json::Null,
    }
}

/// How many values an attribute shows.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    /// The dictionary allows one value.
    Single,
    /// The dictionary allows several: an array, even of one.
    Multiple,
    /// The dictionary has no entry: several values are an array, a single one is itself.
    Free,
}

impl Form {
    fn of(tag: Tag) -> Self {
        if dictionary::keyword(tag).is_none() {
            Self::Free
        } else if dictionary::is_multi_valued(tag) {
            Self::Multiple
        } else {
            Self::Single
        }
    }

    fn array<T>(self, values: &[T], show: impl Fn(&T) -> Json) -> Json {
        match values {
            [] => Json::Null,
            [only] if self != Self::Multiple => show(only),
            all => Json::Array(all.iter().map(show).collect()),
        }
    }
}

/// A text as the document shows it: without trailing padding, in an array where there may be several.
pub(crate) fn text_value(tag: Tag, vr: VR, text: &str) -> Json {
    let form = Form::of(tag);
    let show = |part: &&str| Json::from(texts::without_pad(vr, part));
    let is_one = form == Form::Single || !dictionary::splits_at_backslash(vr);
    let parts: Vec<&str> = if is_one { vec![text] } else { text.split('\\').collect() };
    match parts[..] {
        [only] if texts::without_pad(vr, only).is_empty() => Json::Null,
        _ => form.array(&parts, show),
    }
}

/// Integral numbers print without fraction. JSON has no words for the rest of IEEE 754: strings.
pub(crate) fn decimal(number: f64) -> Json {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    if number.is_nan() {
        return Json::from("NaN");
    }
    if number.is_infinite() {
        return Json::from(if number > 0.0 { "inf" } else { "-inf" });
    }
    let negative_zero = number == 0.0 && number.is_sign_negative();
    if number.fract() == 0.0 && number.abs() < EXACT && !negative_zero {
        #[expect(clippy::cast_possible_truncation, reason = "integral, and below 2^53")]
        return Json::from(number as i64);
    }
    Number::from_f64(number).map_or(Json::Null, Json::Number)
}
