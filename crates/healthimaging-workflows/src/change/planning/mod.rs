//! Plans of changes, made by reading only.

mod earlier;
mod reassign;
mod series;

use std::collections::{BTreeMap, HashSet};

use futures::{StreamExt as _, TryStreamExt as _, stream};
use serde_json::Value;

use healthimaging::model::{
    GetImageSetMetadataRequest, GetImageSetRequest, ImageSetState, ImageSetsMetadataSummary,
};
use healthimaging::{DatastoreId, Error, HealthImaging, ImageSetId, Result, Uid, VersionId};

use super::part::{Without, named};
use super::parts::parts;
use super::{Action, Change, Part, Step, Target, Values};
use crate::document::{self, Contents, FETCHED_AT_ONCE};
use crate::find::{self, Criteria, is_primary};
use crate::hierarchy;
use crate::plan::{Plan, PlannedImageSet, PlannedStudy};

const KEPT: &str = "Removing makes a new version; the older versions of these image sets keep what is \
                    removed. To erase it for good, call with erase: true (remove_series_from_image_set \
                    and the tools for instances have it): the rest is copied to a new image set, and \
                    the old one is deleted with all its versions.";

const REPLACED: &str = "Where an image set holds more, the rest is copied to a new image set with a new \
                        id, without older versions and tags, and the old one is deleted with all its \
                        versions. For a moment a study may be seen without these instances.";

const FORCED: &str = "Study ID, sequences and attributes of several values need force. AWS documents it for image \
                      sets that are not primary; where it refuses primary ones, nothing of their study is \
                      changed, and the outcome says so.";

const OLD_VALUES: &str = "The older versions of these image sets keep the old values.";

pub use reassign::Reassignment;

/// Image sets whose old values a plan shows.
const READ_FOR_VALUES: usize = 48;

/// Where plans are made.
#[derive(Debug, Clone, Copy)]
pub struct Planner<'a> {
    /// Where it is read.
    pub service: &'a dyn HealthImaging,
    /// In which data store.
    pub datastore_id: &'a DatastoreId,
}

/// Which image sets a part is taken out of.
#[derive(Debug, Clone)]
pub enum Holders {
    /// All of a study that hold it.
    Study(Uid),
    /// All that hold this series.
    Series(Uid),
    /// This one.
    ImageSet(ImageSetId),
}

/// What becomes of the versions before the one that is made without a part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OlderVersions {
    /// They stay, and keep the part.
    Keep,
    /// They go, with the image set, once the rest is copied.
    Erase,
}

/// An image set that was looked at.
pub(super) struct Seen {
    pub(super) image_set_id: ImageSetId,
    pub(super) version_id: VersionId,
    pub(super) is_primary: bool,
    /// Whose it is.
    pub(super) of: PlannedStudy,
    pub(super) study: String,
    pub(super) series: Option<usize>,
    pub(super) instances: Option<usize>,
}

impl Planner<'_> {
    /// Deleting all image sets that match; none is `NotFound`, `missing` says what is.
    ///
    /// More than `ceiling` are a `Validation` error that says how many match.
    pub async fn deletion(
        self,
        action: &str,
        criteria: Criteria,
        ceiling: usize,
        missing: &str,
    ) -> Result<Plan> {
        let found = self.matching(&criteria, missing).await?;
        if found.len() > ceiling {
            return Err(Error::validation(format!(
                "{} image sets match, and at most {ceiling} may be deleted at once: nothing was \
                 deleted. Narrow the criteria, or raise max_deletions",
                found.len()
            )));
        }
        let warning = hierarchy::warning(&found);
        let seen: Vec<Seen> = self.versions_of(found).await?;
        let acts = seen.into_iter().map(|seen| (seen, Action::Delete)).collect();
        let change = self.change(Target::Matching(Box::new(criteria)));
        let mut plan = plan(action, change, acts);
        plan.notes.extend(warning);
        Ok(plan)
    }

    /// Taking a part out of every image set that holds it.
    ///
    /// Whole image sets are deleted where nothing else would be left.
    pub async fn removal(
        self,
        action: &str,
        part: Part,
        holders: Holders,
        older: OlderVersions,
    ) -> Result<Plan> {
        let (target, candidates) = self.candidates(holders).await?;
        let missing = format!("there is no such {} there", part.name());
        let looked = stream::iter(candidates.iter().cloned())
            .map(|id| Box::pin(self.look(id)))
            .buffered(FETCHED_AT_ONCE)
            .try_collect::<Vec<_>>();
        let known = if older == OlderVersions::Erase { candidates.clone() } else { Vec::new() };
        let (mut acts, mut notes) = (Vec::new(), Vec::new());
        let mut removes = None;
        for (mut seen, contents) in looked.await?.into_iter().flatten() {
            let action = match part.taken_from(&contents) {
                Without::Same => continue,
                Without::Nothing => Action::Delete,
                Without::Rest { series, instances, rest, .. } => {
                    seen.affects(series, instances);
                    match older {
                        OlderVersions::Keep => Action::Remove,
                        OlderVersions::Erase => {
                            notes.extend(self.parts_note(&seen, &contents, &rest));
                            Action::Erase {
                                primary: seen.is_primary,
                                known: self.siblings(&seen, &known).await?,
                            }
                        }
                    }
                }
            };
            removes.get_or_insert_with(|| part.planned(&contents));
            acts.push((seen, action));
        }
        if acts.is_empty() {
            return Err(Error::not_found(missing));
        }
        let mut change = self.change(target);
        change.part = Some(part);
        let mut plan = plan(action, change, acts);
        plan.removes = removes;
        plan.notes.extend(notes);
        Ok(plan)
    }

    /// Setting values in all image sets that match: in the primary ones of a study at once, in each of
    /// the others by itself.
    pub async fn update(
        self,
        action: &str,
        criteria: Criteria,
        values: Values,
        missing: &str,
    ) -> Result<Plan> {
        let found = self.matching(&criteria, missing).await?;
        let warning = hierarchy::warning(&found);
        let mut seen = self.versions_of(found).await?;
        let of_all: Vec<PlannedStudy> = seen.iter().map(|one| one.of.clone()).collect();
        let planned: Vec<PlannedImageSet> = seen.iter().map(Seen::updated).collect();
        let mut through: BTreeMap<String, usize> = BTreeMap::new();
        let mut acts: Vec<(Seen, Action)> = Vec::new();
        for one in seen.drain(..) {
            match through.get(&one.study) {
                Some(first) if one.is_primary => {
                    if let Some((_, Action::UpdateStudy { others })) = acts.get_mut(*first) {
                        others.push(one.image_set_id.clone());
                    }
                }
                None if one.is_primary => {
                    through.insert(one.study.clone(), acts.len());
                    acts.push((one, Action::UpdateStudy { others: Vec::new() }));
                }
                _ => acts.push((one, Action::Update)),
            }
        }
        let of_primaries =
            |(_, action): &(Seen, Action)| matches!(action, Action::UpdateStudy { .. });
        let target = self.target_of(&values, &of_all).await?;
        let is_forced = values.need_force() && acts.iter().any(of_primaries);
        let mut change = self.change(Target::Matching(Box::new(criteria)));
        change.values = Some(values);
        let mut plan = plan(action, change, acts);
        // One call updates all primary image sets of a study; each of them is agreed to.
        plan.image_sets = planned;
        plan.studies.clear();
        plan.add_studies(of_all);
        plan.notes.extend(target);
        plan.notes.extend(warning);
        plan.notes.push(OLD_VALUES.to_owned());
        plan.notes.extend(is_forced.then(|| FORCED.to_owned()));
        Ok(plan)
    }

    /// Adds to the plan of an update what its values replace, in the first of its image sets.
    pub async fn add_old_values(self, plan: &mut Plan) -> Result<()> {
        let Some(values) = plan.change.as_ref().and_then(|change| change.values.as_ref()) else {
            return Ok(());
        };
        let first = plan.image_sets.iter().take(READ_FOR_VALUES);
        let ids: Vec<(ImageSetId, VersionId)> =
            first.map(|set| (set.image_set_id.clone(), set.version_id.clone())).collect();
        let read: Vec<Contents> = stream::iter(ids)
            .map(|(id, version)| Box::pin(self.contents(id, version)))
            .buffered(FETCHED_AT_ONCE)
            .try_collect()
            .await?;
        plan.changes = values.changes(&read);
        if plan.image_sets.len() > READ_FOR_VALUES {
            let note = format!("Old values are those of the first {READ_FOR_VALUES} image sets.");
            plan.notes.push(note);
        }
        Ok(())
    }

    async fn contents(self, id: ImageSetId, version: VersionId) -> Result<Contents> {
        let request = GetImageSetMetadataRequest {
            datastore_id: self.datastore_id.clone(),
            image_set_id: id,
            version_id: Some(version),
        };
        document::contents(self.service, request).await
    }

    fn change(self, target: Target) -> Change {
        Change {
            datastore_id: self.datastore_id.clone(),
            target,
            part: None,
            values: None,
            series_values: None,
            steps: Vec::new(),
            certify: None,
        }
    }

    pub(super) async fn matching(
        self,
        criteria: &Criteria,
        missing: &str,
    ) -> Result<Vec<ImageSetsMetadataSummary>> {
        let found = find::all(self.service, self.datastore_id, criteria, find::MOST_EXAMINED);
        let found = found.await?.image_sets;
        if found.is_empty() {
            return Err(Error::not_found(missing));
        }
        Ok(found)
    }

    /// Completes summaries that leave the version out, as they may.
    pub(super) async fn versions_of(
        self,
        found: Vec<ImageSetsMetadataSummary>,
    ) -> Result<Vec<Seen>> {
        stream::iter(found)
            .map(|summary| Box::pin(self.version_of(summary)))
            .buffered(FETCHED_AT_ONCE)
            .try_collect()
            .await
    }

    async fn version_of(self, summary: ImageSetsMetadataSummary) -> Result<Seen> {
        let version_id = if let Some(version) = summary.version {
            version.into()
        } else {
            let request = GetImageSetRequest {
                datastore_id: self.datastore_id.clone(),
                image_set_id: summary.image_set_id.clone(),
                version_id: None,
            };
            let found = self.service.get_image_set(request).await?;
            found.properties.version_id
        };
        let is_primary = is_primary(&summary);
        let tags = summary.dicom_tags.unwrap_or_default();
        let count = |count: Option<u32>| count.and_then(|count| usize::try_from(count).ok());
        let instances = count(tags.number_of_study_related_instances);
        Ok(Seen {
            image_set_id: summary.image_set_id,
            version_id,
            is_primary,
            of: PlannedStudy {
                study_instance_uid: tags.study_instance_uid.clone(),
                patient_id: tags.patient_id,
                patient_name: tags.patient_name,
                study_date: tags.study_date,
                study_description: tags.study_description,
                modalities: tags.series_modality.into_iter().collect(),
                image_sets: 1,
                instances,
            },
            study: tags.study_instance_uid.unwrap_or_default(),
            series: count(tags.number_of_study_related_series),
            instances,
        })
    }

    /// Image sets that may hold a part, and how they are found again.
    async fn candidates(self, holders: Holders) -> Result<(Target, Vec<ImageSetId>)> {
        let (criteria, missing) = match holders {
            Holders::ImageSet(id) => return Ok((Target::ImageSet(id.clone()), vec![id])),
            Holders::Study(uid) => (Criteria::study(uid), "the data store holds no such study"),
            Holders::Series(uid) => (Criteria::series(uid), "the data store holds no such series"),
        };
        let found = self.matching(&criteria, missing).await?;
        let mut ids: Vec<ImageSetId> = found.iter().map(|set| set.image_set_id.clone()).collect();
        if criteria.series_instance_uid.is_some() {
            // A set of several series may be known under another one of them.
            let known: HashSet<ImageSetId> = ids.iter().cloned().collect();
            for study in studies_of(&found) {
                let study = Criteria::study(study);
                let all = find::all(self.service, self.datastore_id, &study, find::MOST_EXAMINED);
                let of_many = all.await?.image_sets.into_iter().filter(|set| {
                    let series = |tags: &healthimaging::model::DicomTags| {
                        tags.number_of_study_related_series
                    };
                    set.dicom_tags.as_ref().and_then(series) != Some(1)
                });
                let of_many = of_many.map(|set| set.image_set_id);
                ids.extend(of_many.filter(|id| !known.contains(id)));
            }
        }
        Ok((Target::Matching(Box::new(criteria)), ids))
    }

    /// An image set and what it holds; nothing when it is deleted.
    async fn look(self, id: ImageSetId) -> Result<Option<(Seen, Contents)>> {
        let request = GetImageSetRequest {
            datastore_id: self.datastore_id.clone(),
            image_set_id: id.clone(),
            version_id: None,
        };
        let set = self.service.get_image_set(request).await?.properties;
        if set.image_set_state == ImageSetState::Deleted {
            return Ok(None);
        }
        let request = GetImageSetMetadataRequest {
            datastore_id: self.datastore_id.clone(),
            image_set_id: id.clone(),
            version_id: None,
        };
        let contents = document::contents(self.service, request).await?;
        let is_primary = set.is_primary == Some(true);
        let seen = Seen::of(id, set.version_id, is_primary, &contents);
        Ok(Some((seen, contents)))
    }

    /// What to know of a copy that the service does not make in one call.
    fn parts_note(self, seen: &Seen, contents: &Contents, rest: &Value) -> Option<String> {
        let (id, most, wanted) =
            (&seen.image_set_id, self.service.limits().copy_frames, named(rest));
        let instances = wanted.iter().filter_map(|(series, instance)| {
            contents.series.get(*series)?.instances.get(*instance)
        });
        let frames = instances.map(|instance| instance.frame_count() as u64).max().unwrap_or(0);
        if let Some(most) = most.filter(|most| frames > *most) {
            return Some(format!(
                "An instance of image set {id} has {frames} frames, and the default quota of the service for a copy is \
                 {most}: if it refuses the copy, nothing is changed, and the outcome says so. Then request a higher quota \
                 for frames of a copy from AWS."
            ));
        }
        let parts = parts(contents, &wanted, most).len();
        (parts > 1).then(|| {
            format!(
                "Image set {id} is copied in {parts} parts, since the service limits the frames and the named instances of \
                 one copy. It stays until the copy holds all of them and was compared."
            )
        })
    }

    /// The image sets of the same study, so that a copy made later can be identified.
    async fn siblings(self, seen: &Seen, candidates: &[ImageSetId]) -> Result<Vec<ImageSetId>> {
        let study = Criteria::study(Uid::try_from(seen.study.trim())?);
        let found = find::all(self.service, self.datastore_id, &study, find::MOST_EXAMINED);
        let mut known: Vec<ImageSetId> = candidates.to_vec();
        for set in found.await?.image_sets {
            if !known.contains(&set.image_set_id) {
                known.push(set.image_set_id);
            }
        }
        Ok(known)
    }
}

impl Seen {
    /// As the plan of an update shows it.
    fn updated(&self) -> PlannedImageSet {
        PlannedImageSet {
            image_set_id: self.image_set_id.clone(),
            version_id: self.version_id.clone(),
            instances: self.instances,
            action: Some(Action::Update.name()),
        }
    }

    /// Counts only the part that is removed.
    fn affects(&mut self, series: usize, instances: usize) {
        (self.series, self.instances) = (Some(series), Some(instances));
        self.of.instances = Some(instances);
    }

    pub(super) fn of(
        image_set_id: ImageSetId,
        version_id: VersionId,
        is_primary: bool,
        contents: &Contents,
    ) -> Self {
        Self {
            image_set_id,
            version_id,
            is_primary,
            of: PlannedStudy::of(contents),
            study: contents.study_instance_uid().unwrap_or_default().to_owned(),
            series: Some(contents.series.len()),
            instances: Some(contents.instances().count()),
        }
    }
}

fn studies_of(found: &[ImageSetsMetadataSummary]) -> Vec<Uid> {
    let tags = found.iter().filter_map(|set| set.dicom_tags.as_ref());
    let uids = tags.filter_map(|tags| tags.study_instance_uid.as_deref());
    let mut studies: Vec<Uid> = uids.filter_map(|uid| Uid::try_from(uid.trim()).ok()).collect();
    studies.sort();
    studies.dedup();
    studies
}

/// The plan of these acts.
fn plan(action: &str, mut change: Change, acts: Vec<(Seen, Action)>) -> Plan {
    let mut plan = Plan::new(action, change.datastore_id.clone());
    plan.cannot_be_undone = false;
    let mut of_sets = Vec::new();
    let mut studies: BTreeMap<String, usize> = BTreeMap::new();
    let mut notes: Vec<&str> = Vec::new();
    for (seen, action) in acts {
        let note = match &action {
            Action::Remove => Some(KEPT),
            Action::Erase { .. } => Some(REPLACED),
            Action::Renew { .. } => Some(earlier::RENEWED),
            Action::Replace { .. } => Some(series::REPLACED),
            _ => None,
        };
        notes.extend(note.filter(|note| !notes.contains(note)));
        let number = studies.len();
        let study = *studies.entry(seen.study.clone()).or_insert(number);
        plan.cannot_be_undone |=
            !matches!(action, Action::Remove | Action::Update | Action::UpdateStudy { .. });
        of_sets.push(seen.of);
        plan.image_sets.push(PlannedImageSet {
            image_set_id: seen.image_set_id.clone(),
            version_id: seen.version_id.clone(),
            instances: seen.instances,
            action: Some(action.name()),
        });
        change.steps.push(Step {
            image_set_id: seen.image_set_id,
            version_id: seen.version_id,
            action,
            study,
            series: seen.series,
            instances: seen.instances,
        });
    }
    plan.add_studies(of_sets);
    plan.notes.extend(notes.into_iter().map(str::to_owned));
    plan.change = Some(change);
    plan
}
