//! Changes carried out on the document, one rule after another.

use std::collections::BTreeMap;

use dicom_core::{Tag, VR};
use serde_json::Value;

use super::tree::{Change, Extent, InstanceNode, NO_INSTANCE, NO_SERIES, Tree, shown};
use super::values::{Leniency, accepted};
use super::{UpdateFailure, UpdateRules};
use crate::document::implied::implied_vr;
use crate::document::levels::Level;
use crate::document::limits::IDENTIFIERS;
use crate::document::merge::in_tag_order;
use crate::document::{Attributes, Document, Instance, Series, dictionary};

type Done = Result<(), UpdateFailure>;

const USE_DELETE: &str = "this would leave the image set empty: use DeleteImageSet instead";

/// Carries out a document of removals.
pub(super) fn remove(tree: &Tree, document: &mut Document, rules: UpdateRules) -> Done {
    let patient = Place { rules, level: Level::Patient };
    let study = Place { rules, level: Level::Study };
    for (place, changes) in [(patient, &tree.patient), (study, &tree.study)] {
        for change in changes {
            let tag = place.removable(change)?;
            document.instances_mut().for_each(|instance| instance.follow_level(tag));
            let attributes = match place.level {
                Level::Patient => &mut document.patient,
                _ => &mut document.study,
            };
            attributes.shift_remove(&dictionary::key(tag));
        }
    }
    for (series_uid, node) in &tree.series {
        let series = document.series.get_mut(series_uid);
        let series = series.ok_or_else(|| UpdateFailure::new(NO_SERIES))?;
        if node.extent == Extent::Whole {
            document.series.remove(series_uid);
            continue;
        }
        let place = Place { rules, level: Level::Series };
        for change in &node.changes {
            let tag = place.removable(change)?;
            series.instances.values_mut().for_each(|instance| instance.follow_level(tag));
            series.attributes.shift_remove(&dictionary::key(tag));
        }
        remove_instances(&node.instances, series, rules)?;
    }
    document.series.retain(|_, series| !series.instances.is_empty());
    if document.series.is_empty() {
        return Err(UpdateFailure { leaves_nothing: true, ..UpdateFailure::new(USE_DELETE) });
    }
    document.settle();
    Ok(())
}

fn remove_instances(
    nodes: &BTreeMap<String, InstanceNode>,
    series: &mut Series,
    rules: UpdateRules,
) -> Done {
    let place = Place { rules, level: Level::Instance };
    for (sop_uid, node) in nodes {
        let instance = series.instances.get_mut(sop_uid);
        let instance = instance.ok_or_else(|| UpdateFailure::new(NO_INSTANCE))?;
        if node.extent == Extent::Whole {
            series.instances.remove(sop_uid);
            continue;
        }
        for change in &node.changes {
            let tag = place.removable(change)?;
            instance.details.forget(tag);
            instance.attributes.shift_remove(&dictionary::key(tag));
        }
    }
    Ok(())
}

/// Carries out a document of new values.
pub(super) fn update(tree: &Tree, document: &mut Document, rules: UpdateRules) -> Done {
    let none = BTreeMap::new();
    let patient = Place { rules, level: Level::Patient };
    for change in &tree.patient {
        let (tag, value) = patient.updatable(change, &none, None)?;
        document.instances_mut().for_each(|instance| instance.follow_level(tag));
        document.patient.insert(dictionary::key(tag), value);
    }
    let study = Place { rules, level: Level::Study };
    for change in &tree.study {
        let (tag, value) = study.updatable(change, &none, None)?;
        document.instances_mut().for_each(|instance| instance.follow_level(tag));
        document.study.insert(dictionary::key(tag), value);
    }
    for (series_uid, node) in &tree.series {
        let series = document.series.get_mut(series_uid);
        let series = series.ok_or_else(|| UpdateFailure::new(NO_SERIES))?;
        let place = Place { rules, level: Level::Series };
        for change in &node.changes {
            let (tag, value) = place.updatable(change, &none, None)?;
            series.instances.values_mut().for_each(|instance| instance.follow_level(tag));
            series.attributes.insert(dictionary::key(tag), value);
        }
        for (sop_uid, node) in &node.instances {
            let instance = series.instances.get_mut(sop_uid);
            let instance = instance.ok_or_else(|| UpdateFailure::new(NO_INSTANCE))?;
            update_instance(node, instance, rules)?;
        }
        series.instances = rekeyed(std::mem::take(&mut series.instances), |uid, instance| {
            own_uid(&instance.attributes, "SOPInstanceUID", uid)
        })?;
    }
    document.series = rekeyed(std::mem::take(&mut document.series), |uid, series| {
        own_uid(&series.attributes, "SeriesInstanceUID", uid)
    })?;
    Ok(())
}

fn update_instance(node: &InstanceNode, instance: &mut Instance, rules: UpdateRules) -> Done {
    let place = Place { rules, level: Level::Instance };
    for change in &node.changes {
        let (tag, value) = place.updatable(change, &node.vrs, Some(instance))?;
        instance.details.forget(tag);
        instance.attributes.insert(dictionary::key(tag), value);
    }
    for (tag, vr) in &node.vrs {
        instance.vrs.insert(tag.clone(), vr.to_string());
    }
    if !node.changes.is_empty() {
        in_tag_order(&mut instance.attributes);
    }
    Ok(())
}

/// The level at which changes are made, with the rules that hold there.
#[derive(Clone, Copy)]
struct Place {
    rules: UpdateRules,
    level: Level,
}

impl Place {
    fn removable(self, change: &Change) -> Result<Tag, UpdateFailure> {
        let tag = self.allowed(change)?;
        let keyword = dictionary::keyword(tag);
        if keyword.is_some_and(|keyword| IDENTIFIERS.contains(&keyword)) {
            return Err(UpdateFailure::new(format!("{} cannot be removed", change.key)));
        }
        Ok(tag)
    }

    /// The tag and the value to store.
    fn updatable(
        self,
        change: &Change,
        vrs: &BTreeMap<String, VR>,
        instance: Option<&Instance>,
    ) -> Result<(Tag, Value), UpdateFailure> {
        let tag = self.allowed(change)?;
        if dictionary::is_reserved(tag) {
            return Err(UpdateFailure::new(format!(
                "{}: no attribute may have this tag",
                change.key
            )));
        }
        let vr = vr_of(tag, &change.value, vrs, instance).ok_or_else(|| {
            let key = &change.key;
            UpdateFailure::new(format!("{key} is new: give its VR in DICOMVRs"))
        })?;
        let leniency = if self.rules.force { Leniency::Forced } else { Leniency::Strict };
        let value = accepted(tag, vr, &change.value, leniency)
            .map_err(|problem| UpdateFailure::new(format!("{}: {problem}", change.key)))?;
        Ok((tag, value))
    }

    /// What does not depend on the value.
    fn allowed(self, change: &Change) -> Result<Tag, UpdateFailure> {
        let Self { rules, level } = self;
        let key = shown(&change.key);
        let Some(tag) = change.tag else {
            let message = "a key is neither a keyword of the DICOM standard nor a tag of eight \
                           hexadecimal digits";
            return Err(UpdateFailure::new(message));
        };
        let refuse = |why: &str| Err(UpdateFailure::new(format!("{key}: {why}")));
        let keyword = dictionary::keyword(tag);
        let is_identifier = keyword.is_some_and(|keyword| IDENTIFIERS.contains(&keyword));
        if rules.primary {
            match level {
                _ if is_identifier => {
                    return refuse("UIDs of a primary image set stay as they are");
                }
                Level::Series => {
                    return refuse("the Series level of a primary image set cannot be changed");
                }
                Level::Patient if !rules.study_wide => {
                    return refuse(
                        "the Patient level of a primary image set can be changed only for the whole \
                         study: set includeStudyImageSets",
                    );
                }
                _ => {}
            }
        }
        if rules.force {
            return Ok(tag);
        }
        match keyword {
            None => refuse("private and unknown elements need force"),
            Some("StudyID") => refuse("it identifies the study and needs force"),
            Some(_) if is_identifier => refuse("UIDs need force"),
            Some(_) if dictionary::is_multi_valued(tag) => {
                refuse("attributes with several values need force")
            }
            Some(_) if dictionary::exact_vr(tag) == Some(VR::SQ) => refuse("sequences need force"),
            Some(_) => Ok(tag),
        }
    }
}

fn vr_of(
    tag: Tag,
    value: &Value,
    vrs: &BTreeMap<String, VR>,
    instance: Option<&Instance>,
) -> Option<VR> {
    if dictionary::keyword(tag).is_some() {
        let context = instance.map(Instance::context).unwrap_or_default();
        return Some(implied_vr(tag, value, context));
    }
    let hex = dictionary::hex(tag);
    let known = || instance?.vrs.get(&hex)?.parse().ok();
    let creator = dictionary::is_private_creator(tag).then_some(VR::LO);
    vrs.get(&hex).copied().or_else(known).or(creator)
}

fn own_uid(attributes: &Attributes, keyword: &str, key: &str) -> String {
    crate::document::index::text(attributes, keyword).unwrap_or(key).to_owned()
}

/// Puts each entry under the UID that it now has.
fn rekeyed<T>(
    entries: BTreeMap<String, T>,
    uid: impl Fn(&str, &T) -> String,
) -> Result<BTreeMap<String, T>, UpdateFailure> {
    let mut rekeyed = BTreeMap::new();
    for (key, entry) in entries {
        let key = uid(&key, &entry);
        if rekeyed.insert(key, entry).is_some() {
            return Err(UpdateFailure::new("a new UID is already taken in the image set"));
        }
    }
    Ok(rekeyed)
}
