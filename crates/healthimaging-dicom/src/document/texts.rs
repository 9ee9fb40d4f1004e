//! Texts as the document shows them, without trailing padding (`PS3.5 §6.2`), and what is kept beside it
//! where a writer would not pad them as they were.

use dicom_core::{Tag, VR};
use serde_json::Value as Json;

use super::split::text_value;
use super::{Attributes, Document, Instance, InstanceDetails, dictionary};

/// One value of a text without the padding that the document leaves out. DS and IS keep theirs, as the
/// service has them since 2025.
pub(crate) fn without_pad(vr: VR, text: &str) -> &str {
    match vr {
        VR::DS | VR::IS => text,
        _ => text.trim_end_matches([' ', '\0']),
    }
}

/// All of a text, its values joined; nothing for what is no text.
pub(crate) fn joined(value: &Json) -> String {
    match value {
        Json::String(text) => text.clone(),
        Json::Array(parts) => {
            let parts: Vec<&str> = parts.iter().map(|part| part.as_str().unwrap_or("")).collect();
            parts.join("\\")
        }
        _ => String::new(),
    }
}

/// Whether `text` has to be kept beside what the document shows of it: a writer adds one pad to what has
/// an odd length, and nothing else.
pub(crate) fn is_kept(vr: VR, shown: &str, text: &str) -> bool {
    if shown.is_empty() {
        return !text.is_empty();
    }
    let pad = if vr == VR::UI { '\0' } else { ' ' };
    shown.strip_suffix(pad).unwrap_or(shown) != text.strip_suffix(pad).unwrap_or(text)
}

fn vr_of(tag: Tag, path: &str, instance: &Instance) -> Option<VR> {
    let parsed = |vr: &String| vr.parse().ok();
    let recorded = instance.details.vrs.get(path).and_then(parsed);
    let known = || match dictionary::keyword(tag) {
        Some(_) => dictionary::exact_vr(tag),
        None => instance.vrs.get(&dictionary::hex(tag)).and_then(parsed),
    };
    recorded.or_else(known)
}

impl Instance {
    /// Keeps the texts of `own` where `shown`, which is the same but for padding, is not written so.
    pub(crate) fn keep_texts(&mut self, key: &str, shown: &Json, own: &Json) {
        if shown != own {
            let path = dictionary::tag(key).map_or_else(|| key.to_owned(), dictionary::hex);
            keep_texts(&mut self.details, path, key, shown, own);
        }
    }

    /// Puts the texts that are kept for attributes of `level` back where they belong, as the document
    /// would show them.
    pub(crate) fn restore_texts(&mut self, level: &mut Attributes) {
        let paths: Vec<String> = self.details.texts.keys().cloned().collect();
        for path in paths {
            let (Some(tag), Some(place)) = (last_tag(&path), place(level, &path)) else {
                continue;
            };
            let vr = vr_of(tag, &path, self).unwrap_or(VR::UN);
            let Some(text) = self.details.texts.get(&path) else {
                continue;
            };
            *place = text_value(tag, vr, text);
            if !is_kept(vr, &joined(place), text) {
                self.details.texts.remove(&path);
            }
        }
    }
}

fn keep_texts(details: &mut InstanceDetails, path: String, key: &str, shown: &Json, own: &Json) {
    if shown == own {
        return;
    }
    if let (Json::Array(shown), Json::Array(own)) = (shown, own)
        && own.iter().any(Json::is_object)
    {
        for (number, (shown, own)) in shown.iter().zip(own).enumerate() {
            let (Json::Object(shown), Json::Object(own)) = (shown, own) else {
                continue;
            };
            for (key, own) in own {
                let tag = dictionary::tag(key).map_or_else(|| key.clone(), dictionary::hex);
                let shown = shown.get(key).unwrap_or(&Json::Null);
                keep_texts(details, format!("{path}/{number}/{tag}"), key, shown, own);
            }
        }
        return;
    }
    let vr = dictionary::tag(key).and_then(dictionary::exact_vr).unwrap_or(VR::UN);
    let text = joined(own);
    if is_kept(vr, &joined(shown), &text) {
        details.texts.entry(path).or_insert(text);
    }
}

fn last_tag(path: &str) -> Option<Tag> {
    dictionary::tag(path.rsplit('/').next()?)
}

/// The value at a path below attributes.
fn place<'a>(attributes: &'a mut Attributes, path: &str) -> Option<&'a mut Json> {
    let mut steps = path.split('/');
    let mut value = attributes.get_mut(&dictionary::key(dictionary::tag(steps.next()?)?))?;
    while let (Some(number), Some(tag)) = (steps.next(), steps.next()) {
        let item = value.get_mut(number.parse::<usize>().ok()?)?;
        value = item.get_mut(dictionary::key(dictionary::tag(tag)?))?;
    }
    Some(value)
}

impl Document {
    /// Shows every text without trailing padding, as documents that were stored before did not; what a
    /// writer would not add again goes into the details.
    pub fn trim_texts(&mut self) {
        let mut kept = Vec::new();
        let all = self.series.values_mut();
        let mut all: Vec<&mut Instance> =
            all.flat_map(|series| series.instances.values_mut()).collect();
        for level in [&mut self.patient, &mut self.study] {
            trim(level, None, "", &mut kept);
        }
        give(&mut all, &mut kept);
        for series in self.series.values_mut() {
            trim(&mut series.attributes, None, "", &mut kept);
            let mut of_series: Vec<&mut Instance> = series.instances.values_mut().collect();
            give(&mut of_series, &mut kept);
            for instance in of_series {
                let mut attributes = std::mem::take(&mut instance.attributes);
                trim(&mut attributes, Some(instance), "", &mut kept);
                instance.attributes = attributes;
                instance.details.texts.extend(kept.drain(..));
            }
        }
    }
}

/// Gives what was kept at a level to each instance that has its value from there.
fn give(instances: &mut [&mut Instance], kept: &mut Vec<(String, String)>) {
    for (path, text) in kept.drain(..) {
        let root = path.split('/').next().and_then(dictionary::tag).map(dictionary::key);
        for instance in instances.iter_mut() {
            if root.as_ref().is_some_and(|key| !instance.differs_in(key)) {
                instance.details.texts.entry(path.clone()).or_insert_with(|| text.clone());
            }
        }
    }
}

fn trim(
    attributes: &mut Attributes,
    instance: Option<&Instance>,
    above: &str,
    kept: &mut Vec<(String, String)>,
) {
    for (key, value) in attributes.iter_mut() {
        let Some(tag) = dictionary::tag(key).filter(|_| may_be_padded(value)) else {
            continue;
        };
        let path = format!("{above}{}", dictionary::hex(tag));
        if let Json::Array(items) = &mut *value
            && items.iter().any(Json::is_object)
        {
            for (number, item) in items.iter_mut().enumerate() {
                if let Json::Object(item) = item {
                    trim(item, instance, &format!("{path}/{number}/"), kept);
                }
            }
            continue;
        }
        let vr = match instance {
            Some(instance) => vr_of(tag, &path, instance),
            None => dictionary::exact_vr(tag),
        };
        let Some(vr) = vr.filter(|vr| !dictionary::is_bytes(*vr)) else {
            continue;
        };
        let text = joined(value);
        *value = trimmed(vr, value);
        if is_kept(vr, &joined(value), &text) {
            kept.push((path, text));
        }
    }
}

fn trimmed(vr: VR, value: &Json) -> Json {
    match value {
        Json::String(text) => match without_pad(vr, text) {
            "" => Json::Null,
            text => text.into(),
        },
        Json::Array(parts) => {
            let part = |part: &Json| match part.as_str() {
                Some(text) => without_pad(vr, text).into(),
                None => part.clone(),
            };
            match &parts.iter().map(part).collect::<Vec<_>>()[..] {
                [Json::String(only)] if only.is_empty() => Json::Null,
                shown => shown.to_vec().into(),
            }
        }
        value => value.clone(),
    }
}

/// Whether there is a text with padding somewhere in a value.
fn may_be_padded(value: &Json) -> bool {
    match value {
        Json::String(text) => text.ends_with([' ', '\0']),
        Json::Array(values) => values.iter().any(may_be_padded),
        Json::Object(attributes) => attributes.values().any(may_be_padded),
        _ => false,
    }
}
