//! `CopyImageSet`: which instances, and how they join another image set.

use healthimaging::model::DicomCopies;
use healthimaging::{Error, Result};

use super::UpdateFailure;
use super::tree::{Extent, Tree, parse_tree};
use crate::document::same::is_same;
use crate::document::{Attributes, Document, Series};

/// The instances that `copiableAttributes` names.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct CopySelection {
    tree: Tree,
}

/// What to do when the patient, study and series levels of two image sets disagree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LevelConflicts {
    /// Refuse.
    Refuse,
    /// Take what the levels of the destination have (`force`); what an instance has otherwise than its
    /// own image set stays.
    KeepDestination,
    /// Let each instance keep its own, as an import does.
    KeepBoth,
}

impl CopySelection {
    /// Reads `copiableAttributes`. Errors, all `Validation`: not JSON, not the shape of the metadata
    /// document, attributes in it, or no instance named.
    pub fn parse(copiable_attributes: &str) -> Result<Self> {
        if copiable_attributes.chars().count() > DicomCopies::LONGEST {
            let message =
                format!("copiableAttributes may have {} characters at most", DicomCopies::LONGEST);
            return Err(Error::validation(message));
        }
        let tree = parse_tree("copiableAttributes", copiable_attributes.as_bytes())?;
        let has_attributes = !(tree.patient.is_empty() && tree.study.is_empty())
            || tree.series.values().any(|series| {
                !series.changes.is_empty()
                    || series.instances.values().any(|node| node.extent == Extent::Listed)
            });
        if has_attributes {
            let message =
                "copiableAttributes names series and instances, each {}, and no attributes";
            return Err(Error::validation(message));
        }
        let names_something = |series: &super::tree::SeriesNode| {
            series.extent == Extent::Whole || !series.instances.is_empty()
        };
        if !tree.series.values().any(names_something) {
            return Err(Error::validation("copiableAttributes names no instance"));
        }
        Ok(Self { tree })
    }

    /// The part of a document that is to be copied, with the levels of the whole, which are what has to
    /// agree with a destination; one that stands alone [settles](Document::settle) them. A `Validation`
    /// error when it does not hold what is named.
    pub fn select<I: Clone>(&self, document: &Document<I>) -> Result<Document<I>> {
        self.tree.check_targets(document)?;
        let mut selected = Document {
            patient: document.patient.clone(),
            study: document.study.clone(),
            ..Document::default()
        };
        for (series_uid, node) in &self.tree.series {
            let Some(series) = document.series.get(series_uid) else {
                continue;
            };
            let named =
                |uid: &String| node.extent == Extent::Whole || node.instances.contains_key(uid);
            let instances = series.instances.iter().filter(|(uid, _)| named(uid));
            let instances =
                instances.map(|(uid, instance)| (uid.clone(), instance.clone())).collect();
            let attributes = series.attributes.clone();
            let series = Series { attributes, instances };
            if !series.instances.is_empty() {
                selected.series.insert(series_uid.clone(), series);
            }
        }
        Ok(selected)
    }
}

impl Document {
    /// Takes the instances of `source` in, as `CopyImageSet` with a destination does. All or nothing:
    /// fails when an instance is already here, or when the levels above disagree and `conflicts` does
    /// not let that pass.
    pub fn join(&mut self, source: &Self, conflicts: LevelConflicts) -> Result<(), UpdateFailure> {
        let strict = conflicts == LevelConflicts::Refuse;
        if strict && differ(&self.patient, &source.patient) {
            return Err(mismatch("Patient"));
        }
        if strict && differ(&self.study, &source.study) {
            return Err(mismatch("Study"));
        }
        for (series_uid, series) in &source.series {
            match self.series.get(series_uid) {
                Some(own) if strict && differ(&own.attributes, &series.attributes) => {
                    return Err(mismatch("Series"));
                }
                None if strict => return Err(mismatch("Series")),
                _ => {}
            }
            let taken =
                |uid: &String| self.series.values().any(|own| own.instances.contains_key(uid));
            if series.instances.keys().any(taken) {
                return Err(UpdateFailure::new(
                    "the destination already holds an instance of the source",
                ));
            }
        }
        for (series_uid, series) in &source.series {
            for sop_uid in series.instances.keys() {
                match conflicts {
                    LevelConflicts::KeepDestination => self.take_over(source, series_uid, sop_uid),
                    _ => source.split_instance(series_uid, sop_uid).map_or((), |one| self.add(one)),
                }
            }
        }
        Ok(())
    }

    /// Adds an instance of `source` that takes from the levels here what it took from those there.
    fn take_over(&mut self, source: &Self, series_uid: &str, sop_uid: &str) {
        let Some(from) = source.series.get(series_uid) else {
            return;
        };
        let Some(mut instance) = from.instances.get(sop_uid).cloned() else {
            return;
        };
        let own = self
            .series
            .entry(series_uid.to_owned())
            .or_insert_with(|| Series { attributes: from.attributes.clone(), ..Series::default() });
        let levels = [
            (&source.patient, &self.patient),
            (&source.study, &self.study),
            (&from.attributes, &own.attributes),
        ];
        for (there, here) in levels {
            instance.change_level(there, here);
        }
        own.instances.insert(sop_uid.to_owned(), instance);
    }
}

/// Absent and empty are the same; padding does not count.
fn differ(one: &Attributes, other: &Attributes) -> bool {
    let mut keys = one.keys().chain(other.keys());
    let value =
        |attributes: &Attributes, key: &str| attributes.get(key).cloned().unwrap_or_default();
    keys.any(|key| !is_same(key, &value(one, key), &value(other, key)))
}

fn mismatch(level: &str) -> UpdateFailure {
    UpdateFailure::new(format!("{level} of SourceImageSet and DestinationImageSet don't match."))
}
