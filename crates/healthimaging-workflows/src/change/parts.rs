//! The parts in which instances are copied, where the service does not copy all of them in one call.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use healthimaging::model::DicomCopies;
use healthimaging_dicom::{InstanceSummary, Series};

use super::Object;
use super::part::naming;
use crate::document::Contents;

/// Series and SOP Instance UIDs of instances.
pub(super) type Instances<'a> = BTreeSet<(&'a str, &'a str)>;

/// The documents (`copiableAttributes`) that name these instances of an image set, each for one copy: with at most so many
/// frames, and as long as the service takes. An instance that has more frames is alone in its part.
///
/// The first part has instances of every series, and of those that show the values of the levels above, since the others
/// join it only if they agree with its levels.
pub(super) fn parts(
    contents: &Contents,
    wanted: &Instances<'_>,
    most_frames: Option<u64>,
) -> Vec<Value> {
    let series = contents.series.iter();
    let first: Instances<'_> =
        series.flat_map(|(uid, series)| first_of(uid, series, wanted)).collect();
    let others = wanted.iter().filter(|instance| !first.contains(*instance));
    let (mut parts, mut part) = (Vec::new(), Part::default());
    for (series, instance) in first.iter().chain(others) {
        let held = contents.series.get(*series).and_then(|held| held.instances.get(*instance));
        let frames = held.map_or(0, InstanceSummary::frame_count) as u64;
        if !part.takes(series, instance, frames, most_frames) {
            parts.push(std::mem::take(&mut part).document());
        }
        part.add(series, instance, frames);
    }
    if !part.series.is_empty() {
        parts.push(part.document());
    }
    parts
}

/// The instance that has the fewest values of its own, and for each of these one that has the value of its level.
fn first_of<'a>(
    uid: &'a str,
    series: &'a Series<InstanceSummary>,
    wanted: &Instances<'_>,
) -> Vec<(&'a str, &'a str)> {
    let held = || series.instances.iter().filter(|(sop, _)| wanted.contains(&(uid, sop.as_str())));
    let first = held().min_by_key(|(_, instance)| instance.own_keywords().count());
    let own = first.into_iter().flat_map(|(_, instance)| instance.own_keywords());
    let others = own.filter_map(|key| held().find(|(_, instance)| instance.own(key).is_none()));
    first.into_iter().chain(others).map(|(sop, _)| (uid, sop.as_str())).collect()
}

/// A part while it grows.
#[derive(Default)]
struct Part<'a> {
    series: BTreeMap<&'a str, Vec<&'a str>>,
    frames: u64,
    /// Characters of its document, at most.
    length: usize,
}

impl<'a> Part<'a> {
    fn takes(&self, series: &str, instance: &str, frames: u64, most_frames: Option<u64>) -> bool {
        self.series.is_empty()
            || (most_frames.is_none_or(|most| self.frames + frames <= most)
                && self.length + self.more(series, instance) <= DicomCopies::LONGEST)
    }

    /// Characters that an instance adds.
    fn more(&self, series: &str, instance: &str) -> usize {
        let length = |uid: &str, content: &Value| json!({ uid: content }).to_string().len();
        let instance = length(instance, &json!({}));
        if self.series.contains_key(series) {
            return instance;
        }
        let around = naming(&Object::new()).to_string().len();
        around + length(series, &json!({ "Instances": {} })) + instance
    }

    fn add(&mut self, series: &'a str, instance: &'a str, frames: u64) {
        self.length += self.more(series, instance);
        self.frames += frames;
        self.series.entry(series).or_default().push(instance);
    }

    fn document(self) -> Value {
        let series = self.series.into_iter().map(|(uid, instances)| {
            let instances: Object =
                instances.into_iter().map(|sop| (sop.to_owned(), json!({}))).collect();
            (uid.to_owned(), json!({ "Instances": instances }))
        });
        naming(&series.collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::change::part::{everything, named};
    use healthimaging_dicom::Document;

    /// Series of instances with so many frames, and these values of their own.
    fn contents(series: &[(&str, Vec<(usize, Value)>)]) -> Contents {
        let mut all = json!({});
        for (uid, instances) in series {
            let mut held = json!({});
            for (number, (frames, own)) in instances.iter().enumerate() {
                let frames = vec![json!({ "ID": "a" }); *frames];
                held[format!("{uid}.{number:05}")] = json!({ "DICOM": own, "ImageFrames": frames });
            }
            all[*uid] = json!({ "DICOM": { "Modality": "CT" }, "Instances": held });
        }
        let document =
            json!({ "Patient": { "DICOM": {} }, "Study": { "DICOM": {}, "Series": all } });
        Document::parse(document.to_string().as_bytes()).unwrap()
    }

    fn sizes(contents: &Contents, most: Option<u64>) -> Vec<usize> {
        let all = everything(contents);
        let wanted = named(&all);
        let parts = parts(contents, &wanted, most);
        let mut seen: BTreeSet<(&str, &str)> = BTreeSet::new();
        let sizes = parts.iter().map(|part| {
            let named = named(part);
            assert!(named.is_disjoint(&seen), "an instance is copied twice");
            seen.extend(&named);
            named.len()
        });
        let sizes = sizes.collect();
        assert_eq!(seen, wanted);
        sizes
    }

    #[test]
    fn a_part_has_as_many_frames_as_one_copy_takes() {
        let plain = |frames: &[usize]| frames.iter().map(|count| (*count, json!({}))).collect();
        let held = contents(&[("1.2", plain(&[400, 400, 200, 1, 1001, 3, 997]))]);
        assert_eq!(sizes(&held, None), [7]);
        assert_eq!(sizes(&held, Some(1000)), [3, 1, 1, 2]);
        assert_eq!(sizes(&held, Some(2002)), [5, 2]);
        assert_eq!(sizes(&contents(&[]), Some(1)), [0; 0]);
    }

    #[test]
    fn a_selection_is_as_long_as_the_service_takes() {
        let uid = format!("1.{}", "2".repeat(56));
        let held = contents(&[(&uid, vec![(1, json!({})); 4000])]);
        // 65 characters, two quotation marks, a colon, braces and a comma each.
        let all = everything(&held);
        assert!(all.to_string().len() > 4000 * 70);
        for part in parts(&held, &named(&all), None) {
            assert!(part.to_string().len() <= 260_000);
        }
        assert_eq!(sizes(&held, None).len(), 2);
    }

    #[test]
    fn the_first_part_shows_the_levels_of_all() {
        let own = || json!({ "Modality": "MR" });
        let first = vec![(1, own()), (1, own()), (1, json!({})), (1, own())];
        let held = contents(&[("1.2", first), ("1.3", vec![(1, json!({}))])]);
        let all = everything(&held);
        let parts = parts(&held, &named(&all), Some(2));
        assert_eq!(named(&parts[0]), BTreeSet::from([("1.2", "1.2.00002"), ("1.3", "1.3.00000")]));
        // Each has a value of its own; of each attribute, another one has that of the level.
        let mixed = vec![(1, json!({ "Modality": "MR" })), (1, json!({ "Laterality": "L" }))];
        let held = contents(&[("1.2", mixed)]);
        assert_eq!(sizes(&held, Some(2)), [2]);
    }
}
