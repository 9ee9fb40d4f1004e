//! A document in pages that fit an answer: first what it says of patient, study and series, then its
//! instances, in order.

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value};

use super::Object;

/// Bytes of `{"Study":{"Series":{}}}`, of what stands around the instances of a series, and around the key
/// of an instance, at most.
const AROUND_SERIES: usize = 24;
const AROUND_INSTANCES: usize = 24;
const AROUND_KEY: usize = 4;

/// Entries of `left_out` that an answer lists; the rest is counted.
pub const LEFT_OUT_LISTED: usize = 50;

/// Bytes of `{"of":"","name":"","size_bytes":12345678},`.
const AROUND_LEFT_OUT: usize = 44;

/// A part of a document.
#[derive(Debug)]
pub struct Page {
    /// The part, in the form of the document.
    pub object: Object,
    /// Where the next page begins.
    pub next: Option<usize>,
    /// What is too long for any page.
    pub left_out: Vec<LeftOut>,
}

/// A member that was left out of a page, or of an outline, because it is too long.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(inline)]
pub struct LeftOut {
    /// Of which level: `Patient`, `Study`, or the UID of a series or an instance.
    pub of: String,
    /// Its keyword.
    pub name: String,
    /// Its size as JSON.
    pub size_bytes: usize,
}

impl LeftOut {
    /// Bytes of its entry in an answer, at most.
    fn listed_size(&self) -> usize {
        self.of.len() + self.name.len() + AROUND_LEFT_OUT
    }
}

/// Bytes of the entries that an answer lists.
fn listed_size(left_out: &[LeftOut]) -> usize {
    left_out.iter().take(LEFT_OUT_LISTED).map(LeftOut::listed_size).sum()
}

/// The page of a document that begins at `from`: 0, or what the page before said.
///
/// `longest` is what `size` may return for a page together with the list of what it leaves out. `None` if there is
/// no such page.
pub fn page(
    document: Object,
    from: usize,
    longest: usize,
    size: &dyn Fn(&Value) -> usize,
) -> Option<Page> {
    let mut head = document;
    let instances = take_instances(&mut head);
    let mut page = Page { object: Object::new(), next: None, left_out: Vec::new() };
    let mut used = AROUND_SERIES;
    if from == 0 {
        shorten_head(&mut head, longest, size, &mut page.left_out);
        used = size_of(&head, size);
        page.object = head;
    }
    // The first page has the head, and may have no instance; every other page has one at least.
    let first = from.saturating_sub(1);
    if first > instances.len() || (from > 0 && first == instances.len()) {
        return None;
    }
    let mut last = None;
    for (at, (series, uid, mut instance)) in instances.into_iter().enumerate().skip(first) {
        let is_new = last.as_ref() != Some(&series);
        let around = if is_new { series.len() + AROUND_INSTANCES } else { 0 };
        used += around + uid.len() + AROUND_KEY;
        let room = longest.saturating_sub(used + listed_size(&page.left_out));
        let mut length = size(&instance);
        if length > room {
            if from == 0 || at > first {
                page.next = Some(at + 1);
                break;
            }
            if let Value::Object(members) = &mut instance {
                shorten(&mut [(&uid, members)], length - room, size, &mut page.left_out);
            }
            length = size(&instance);
        }
        used += length;
        insert(&mut page.object, &series, uid, instance);
        last = Some(series);
    }
    Some(page)
}

/// Leaves out the longest attributes of the patient, study and series levels until the rest fits.
fn shorten_head(
    head: &mut Object,
    longest: usize,
    size: &dyn Fn(&Value) -> usize,
    left_out: &mut Vec<LeftOut>,
) {
    let excess = size_of(head, size).saturating_sub(longest);
    let mut series =
        head.get_mut("Study").and_then(|study| study.as_object_mut()?.shift_remove("Series"));
    let levels = head.iter_mut().filter(|(name, _)| ["Patient", "Study"].contains(&name.as_str()));
    let each_series = series.as_mut().and_then(Value::as_object_mut).into_iter().flatten();
    let all = levels
        .chain(each_series)
        .filter_map(|(of, level)| Some((of.as_str(), level.as_object_mut()?)));
    shorten(&mut all.collect::<Vec<_>>(), excess, size, left_out);
    if let (Some(series), Some(Value::Object(study))) = (series, head.get_mut("Study")) {
        study.insert("Series".to_owned(), series);
    }
}

/// Leaves out the longest members of `DICOM`, and of what stands beside it, until `excess` bytes are gone.
pub(super) fn shorten(
    levels: &mut [(&str, &mut Object)],
    mut excess: usize,
    size: &dyn Fn(&Value) -> usize,
    left_out: &mut Vec<LeftOut>,
) {
    if excess == 0 {
        return;
    }
    let mut all = Vec::new();
    for (at, (_, members)) in levels.iter().enumerate() {
        let dicom = members.get("DICOM").and_then(Value::as_object).into_iter().flatten();
        all.extend(dicom.map(|(name, value)| (at, true, name.clone(), size(value))));
        let beside = members.iter().filter(|(name, _)| *name != "DICOM");
        all.extend(beside.map(|(name, value)| (at, false, name.clone(), size(value))));
    }
    all.sort_by_key(|(.., size)| std::cmp::Reverse(*size));
    for (at, is_attribute, name, size_bytes) in all {
        if excess == 0 {
            break;
        }
        let Some((of, members)) = levels.get_mut(at) else { continue };
        let from = if is_attribute {
            members.get_mut("DICOM").and_then(Value::as_object_mut)
        } else {
            Some(&mut **members)
        };
        from.map(|from| from.shift_remove(&name));
        let saved = size_bytes + name.len() + 4;
        let one = LeftOut { of: (*of).to_owned(), name, size_bytes };
        if left_out.len() < LEFT_OUT_LISTED {
            excess += one.listed_size();
        }
        excess = excess.saturating_sub(saved);
        left_out.push(one);
    }
}

/// Bytes of an object, at most.
pub(super) fn size_of(object: &Object, size: &dyn Fn(&Value) -> usize) -> usize {
    object.iter().map(|(name, value)| name.len() + 4 + size(value)).sum::<usize>() + 2
}

/// Takes the instances out of a document: series, UID, instance.
fn take_instances(document: &mut Object) -> Vec<(String, String, Value)> {
    let mut taken = Vec::new();
    let series = document.get_mut("Study").and_then(|study| study.get_mut("Series"));
    for (series_uid, series) in series.and_then(Value::as_object_mut).into_iter().flatten() {
        let instances = series.as_object_mut().and_then(|one| one.shift_remove("Instances"));
        if let Some(Value::Object(instances)) = instances {
            let each = instances.into_iter();
            taken.extend(each.map(|(uid, instance)| (series_uid.clone(), uid, instance)));
        }
    }
    taken
}

/// Puts an instance where it stands in a document.
fn insert(document: &mut Object, series: &str, uid: String, instance: Value) {
    let mut object = document;
    for name in ["Study", "Series", series, "Instances"] {
        let inner = object.entry(name).or_insert_with(|| Value::Object(Map::new()));
        match inner {
            Value::Object(inner) => object = inner,
            // A document has objects there.
            _ => return,
        }
    }
    object.insert(uid, instance);
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn size(value: &Value) -> usize {
        value.to_string().len()
    }

    fn document(instances: usize) -> Object {
        let instances: Object = (0..instances)
            .map(|number| {
                let instance = json!({ "DICOM": { "InstanceNumber": number }, "ImageFrames": [] });
                (format!("1.2.{number}"), instance)
            })
            .collect();
        let document = json!({
            "SchemaVersion": "1.1",
            "Patient": { "DICOM": { "PatientID": "P" } },
            "Study": {
                "DICOM": { "StudyID": "S" },
                "Series": {
                    "1.2": { "DICOM": { "Modality": "CT" }, "Instances": instances },
                    "1.3": { "DICOM": { "Modality": "MR" }, "Instances": { "1.3.1": {} } }
                }
            }
        });
        document.as_object().unwrap().clone()
    }

    fn join(whole: &mut Value, part: Value) {
        match (whole, part) {
            (Value::Object(whole), Value::Object(part)) => {
                for (name, inner) in part {
                    match whole.get_mut(&name) {
                        Some(there) => join(there, inner),
                        None => drop(whole.insert(name, inner)),
                    }
                }
            }
            (whole, part) => assert_eq!(*whole, part),
        }
    }

    #[test]
    fn the_pages_are_the_document_and_each_of_them_fits() {
        let whole = document(100);
        for longest in [400, 500, 1_000, 5_000, 100_000] {
            let mut joined = json!({});
            let (mut at, mut pages) = (Some(0), 0);
            while let Some(from) = at {
                let page = page(whole.clone(), from, longest, &size).unwrap();
                assert!(page.left_out.is_empty());
                let object = Value::Object(page.object);
                assert!(size(&object) <= longest, "{longest}: {}", size(&object));
                join(&mut joined, object);
                at = page.next;
                pages += 1;
            }
            assert_eq!(joined, Value::Object(whole.clone()), "{longest}");
            assert!(longest < 100_000 || pages == 1);
        }
        for beyond in [102, 103, usize::MAX] {
            assert!(page(whole.clone(), beyond, 1_000, &size).is_none());
        }
    }

    #[test]
    fn what_is_too_long_for_any_page_is_named() {
        let mut whole = Value::Object(document(2));
        whole["Study"]["Series"]["1.2"]["Instances"]["1.2.0"]["DICOM"]["ContourData"] =
            json!("x".repeat(5_000));
        whole["Patient"]["DICOM"]["PatientComments"] = json!("y".repeat(6_000));
        let Value::Object(whole) = whole else { unreachable!() };
        let (mut left_out, mut at) = (Vec::new(), Some(0));
        while let Some(from) = at {
            let page = page(whole.clone(), from, 2_000, &size).unwrap();
            assert!(size(&Value::Object(page.object)) <= 2_000);
            left_out.extend(page.left_out);
            at = page.next;
        }
        let named: Vec<(&str, &str, usize)> =
            left_out.iter().map(|one| (&*one.of, &*one.name, one.size_bytes)).collect();
        let expected = [("Patient", "PatientComments", 6_002), ("1.2.0", "ContourData", 5_002)];
        assert_eq!(named, expected);
    }
}
