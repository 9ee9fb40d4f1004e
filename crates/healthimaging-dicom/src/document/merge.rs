//! Instances join a document, and keep what is their own.
//!
//! A level shows an attribute once for all its instances. An instance that differs has its own value
//! among its attributes, or a mark in its details that it has none. A level never shows what no
//! instance has: when the last one that had its value from there is gone, the level takes that of an
//! instance that is left, which changes none of them.

use dicom_core::Tag;
use serde_json::Value;

use super::levels::Level;
use super::same::is_same;
use super::{Attributes, Document, Instance, Series, SplitInstance, dictionary};

/// `WarningReason` of elements that were changed while storing (`PS3.4 §B.4.2.3`); here: the instance
/// differs from its image set.
const COERCION_OF_DATA_ELEMENTS: u16 = 0xB000;

impl Document {
    /// Adds an instance.
    ///
    /// What the patient, study and series levels already hold stays; they take from the instance only
    /// when it is the first one there. Where the instance differs, it keeps its own: see
    /// [`Self::differing`]. An instance with the same `SOPInstanceUID` in the same series is replaced,
    /// and one that replaces all there is brings its values to the levels.
    pub fn add(&mut self, split: SplitInstance) {
        let SplitInstance { patient, study, series: of_series, mut instance, .. } = split;
        let (series_uid, sop_uid) = (split.series_uid, split.sop_uid);
        let series = self.series.entry(series_uid.clone()).or_default();
        let replaces = series.instances.remove(&sop_uid).is_some();
        let is_first_of_series = series.instances.is_empty();
        let is_first = self.series.values().all(|series| series.instances.is_empty());
        let mut differs = false;
        if is_first {
            self.patient = patient;
            self.study = study;
        } else {
            differs |= instance.keep_own(&self.patient, patient);
            differs |= instance.keep_own(&self.study, study);
        }
        let series = self.series.entry(series_uid.clone()).or_default();
        if is_first_of_series {
            series.attributes = of_series;
        } else {
            differs |= instance.keep_own(&series.attributes, of_series);
        }
        if differs {
            in_tag_order(&mut instance.attributes);
        }
        series.instances.insert(sop_uid.clone(), instance);
        if replaces && differs {
            self.settle_by(&series_uid, &sop_uid);
        }
    }

    /// An instance by itself, as [`Document::new_instance`] parted it; `None` when it is not here.
    #[must_use]
    pub fn split_instance(&self, series_uid: &str, sop_uid: &str) -> Option<SplitInstance> {
        let series = self.series.get(series_uid)?;
        let mut instance = series.instances.get(sop_uid)?.clone();
        let [mut patient, mut study, mut of_series] =
            [&self.patient, &self.study, &series.attributes].map(Attributes::clone);
        let own: Vec<String> = instance.own_keys().map(str::to_owned).collect();
        for key in std::mem::take(&mut instance.details.absent) {
            for level in [&mut patient, &mut study, &mut of_series] {
                level.shift_remove(&key);
            }
        }
        for key in own {
            let level = match Level::of_key(&key) {
                Level::Patient => &mut patient,
                Level::Study => &mut study,
                _ => &mut of_series,
            };
            if let Some(value) = instance.attributes.shift_remove(&key) {
                level.insert(key, value);
            }
        }
        for level in [&mut patient, &mut study, &mut of_series] {
            instance.restore_texts(level);
        }
        let study_uid = super::index::text(&study, "StudyInstanceUID").unwrap_or_default();
        Some(SplitInstance {
            study_uid: study_uid.to_owned(),
            series_uid: series_uid.to_owned(),
            sop_uid: sop_uid.to_owned(),
            patient,
            study,
            series: of_series,
            instance,
            bulk_data: Vec::new(),
        })
    }

    /// Keywords of the attributes of the patient, study and series levels in which an instance differs
    /// from its image set, in the order of their names: it has another value, or one where the image
    /// set has none, or none where the image set has one.
    #[must_use]
    pub fn differing(&self, series_uid: &str, sop_uid: &str) -> Vec<&str> {
        let instance = self.instance(series_uid, sop_uid);
        let mut keys: Vec<&str> = instance.into_iter().flat_map(Instance::differing).collect();
        keys.sort_unstable();
        keys
    }

    /// Lets each level show only what some instance has from it, after instances were removed.
    pub fn settle(&mut self) {
        let first = |series: &Series| series.instances.keys().next().cloned();
        let firsts: Vec<(String, String)> = self
            .series
            .iter()
            .filter_map(|(uid, series)| Some((uid.clone(), first(series)?)))
            .collect();
        for (series_uid, sop_uid) in firsts {
            self.settle_by(&series_uid, &sop_uid);
        }
    }

    /// Where no instance has an attribute as its level shows it, the level takes that of this one.
    fn settle_by(&mut self, series_uid: &str, sop_uid: &str) {
        let Some(instance) = self.instance(series_uid, sop_uid) else {
            return;
        };
        let keys: Vec<String> = instance.differing().map(str::to_owned).collect();
        for key in keys {
            let level = Level::of_key(&key);
            let none_left = match (level, self.series.get(series_uid)) {
                (Level::Series, Some(series)) => series.instances().all(|one| one.differs_in(&key)),
                _ => self.instances().all(|one| one.differs_in(&key)),
            };
            if !none_left {
                continue;
            }
            let own = self.instance(series_uid, sop_uid);
            let value = own.and_then(|instance| instance.attributes.get(&key)).cloned();
            let mut left: Vec<&mut Instance> = Vec::new();
            let attributes = if level == Level::Series {
                let Some(series) = self.series.get_mut(series_uid) else {
                    return;
                };
                left.extend(series.instances.values_mut());
                &mut series.attributes
            } else {
                let series = self.series.values_mut();
                left.extend(series.flat_map(|series| series.instances.values_mut()));
                if level == Level::Patient { &mut self.patient } else { &mut self.study }
            };
            let Some(value) = value else {
                attributes.shift_remove(&key);
                for one in &mut left {
                    one.details.absent.remove(&key);
                }
                continue;
            };
            for one in left {
                one.drop_own(&key, &value);
            }
            attributes.insert(key, value);
        }
    }
}

impl Instance {
    /// Code of the warning that the import gave (`PS3.3 §C.12.1.1`, `WarningReason` 0008,1196): that
    /// of the details, or B000 where the instance differs from its image set.
    #[must_use]
    pub fn warning_reason(&self) -> Option<u16> {
        let differs = || self.differing().next().map(|_| COERCION_OF_DATA_ELEMENTS);
        self.details.warning_reason.or_else(differs)
    }

    /// Whether it has an attribute of a higher level otherwise than that level shows it.
    pub(crate) fn differs_in(&self, key: &str) -> bool {
        self.attributes.contains_key(key) || self.details.absent.contains(key)
    }

    /// Keys of a higher level in which it differs from it.
    pub(crate) fn differing(&self) -> impl Iterator<Item = &str> {
        self.own_keys().chain(self.details.absent.iter().map(String::as_str))
    }

    /// Keys of a higher level of which it has its own value.
    fn own_keys(&self) -> impl Iterator<Item = &str> {
        let keys = self.attributes.keys().map(String::as_str);
        keys.filter(|key| Level::of_key(key) != Level::Instance)
    }

    /// Keeps what `own` has otherwise than `level`; whether there is such.
    pub(crate) fn keep_own(&mut self, level: &Attributes, own: Attributes) -> bool {
        let mut differs = false;
        for key in level.keys() {
            if !own.contains_key(key) {
                differs = true;
                self.details.absent.insert(key.clone());
            }
        }
        for (key, value) in own {
            match level.get(&key) {
                Some(held) if is_same(&key, held, &value) => self.keep_texts(&key, held, &value),
                _ => {
                    differs = true;
                    self.attributes.insert(key, value);
                }
            }
        }
        differs
    }

    /// Takes an attribute from its level, where that shows the same.
    fn drop_own(&mut self, key: &str, held: &Value) {
        let Some(own) = self.attributes.get(key).filter(|own| is_same(key, own, held)) else {
            return;
        };
        let own = own.clone();
        self.keep_texts(key, held, &own);
        self.attributes.shift_remove(key);
    }

    /// Comes from under the level `there` under the level `here`, whose values it takes; what it had
    /// otherwise than `there` stays.
    pub(crate) fn change_level(&mut self, there: &Attributes, here: &Attributes) {
        for key in there.keys().chain(here.keys()) {
            if self.attributes.contains_key(key) {
                if let Some(held) = here.get(key) {
                    self.drop_own(key, held);
                }
                continue;
            }
            if self.details.absent.contains(key) {
                if !here.contains_key(key) {
                    self.details.absent.remove(key);
                }
                continue;
            }
            match (there.get(key), here.get(key)) {
                (Some(was), Some(now)) if is_same(key, was, now) => self.keep_texts(key, now, was),
                _ => dictionary::tag(key).into_iter().for_each(|tag| self.details.forget(tag)),
            }
        }
    }

    /// Takes an attribute from its level, which was set or removed there.
    pub(crate) fn follow_level(&mut self, tag: Tag) {
        let key = dictionary::key(tag);
        self.details.forget(tag);
        self.details.absent.remove(&key);
        self.attributes.shift_remove(&key);
    }
}

/// Attributes of an instance are in the order of their tags.
pub(crate) fn in_tag_order(attributes: &mut Attributes) {
    let mut entries: Vec<_> = std::mem::take(attributes).into_iter().collect();
    entries.sort_by_cached_key(|(key, _)| dictionary::tag(key));
    *attributes = entries.into_iter().collect();
}
