//! Setting values of a series: by updates where the service takes them, and otherwise in a copy that takes the place of the
//! image set.
//!
//! The service does not change the Series level of a primary image set. A copy is not primary, so it is changed and compared
//! first; then the image set is deleted, and the copy joins the primary hierarchy.

use std::sync::Arc;

use futures::{StreamExt as _, TryStreamExt as _, stream};

use healthimaging::{Error, ErrorKind, ImageFrameId, ImageSetId};
use healthimaging_dicom::DocumentText;
use serde_json::Value;

use super::Step;
use super::copies::copy_item;
use super::image_sets::{Halt, ImageSets, Step as Stepped, Update, deleted_during};
use super::promote::place_item;
use super::remove::check_updated;
use super::run::{Attempts, Done, Run, changed_since};
use super::update::{as_version, found_done};
use crate::compare::{self, Difference, Version, differences};
use crate::work::ItemResult;

/// Frames that are compared at once.
const AT_ONCE: usize = 4;

impl Run<'_> {
    /// Sets the values in one image set; where they are set already nothing is done.
    pub(super) async fn update_series(&self, step: &Step) -> Stepped<Done> {
        let id = &step.image_set_id;
        let mut attempts = Attempts::at(id);
        let mut made: Option<Value> = None;
        loop {
            let sets = self.looking(&attempts);
            let now = sets.unlocked(id).await?.ok_or_else(|| deleted_during(id))?;
            let next = self.next_update(&sets, id, made.as_ref()).await?;
            let Some(next) = next else {
                return Ok(as_version(found_done(step, &now.version_id), &now.version_id));
            };
            let is_new = now.version_id != step.version_id;
            if made.is_none() && attempts.is_first() && is_new && !self.is_target(id).await? {
                return Err(changed_since(id).into());
            }
            let force = self.series_values()?.need_force();
            let update = Update { set: Some(&next), force, ..Update::default() };
            match self.sets.update(id, &now.version_id, update).await {
                Ok(version) => check_updated(&version)?,
                Err(halt) => {
                    attempts.again(halt)?;
                    continue;
                }
            }
            made = Some(next);
        }
    }

    /// The document to set next; none if nothing is lacking, or if setting it again would change nothing.
    async fn next_update(
        &self,
        sets: &ImageSets<'_>,
        id: &ImageSetId,
        made: Option<&Value>,
    ) -> Stepped<Option<Value>> {
        let document = sets.fetched(id, None).await?.document;
        let lacking = self.series_values()?.lacking(&document).await?;
        Ok(lacking.map(|lacking| lacking.document).filter(|next| Some(next) != made))
    }

    /// Puts a copy with the values in the place of the image set.
    pub(super) async fn replace(&self, step: &Step, known: &[ImageSetId]) -> Stepped<Done> {
        let id = &step.image_set_id;
        let copy = match self.recorded(&copy_item(step)) {
            Some(copy) => copy,
            None => match self.copy_rest(step, known).await? {
                Some(copy) => copy,
                None => return Err(changed_since(id).into()),
            },
        };
        // From here on stopping half-way would leave the study with two copies.
        let sets = self.sets.finishing();
        if self.recorded(&place_item(step)).is_none()
            && let Err(halt) = self.prepare(&sets, step, &copy).await
        {
            // Without the image set, the copy is all there is.
            if sets.unlocked(id).await?.is_some() {
                sets.delete_own(&copy).await?;
            }
            return Err(halt);
        }
        self.delete_source(&sets, step, &copy).await?;
        let place = self.promote(&sets, step, copy).await?;
        let done = Done::new(ItemResult::Deleted).with("versions", step.version_id.number());
        Ok(done.with("replaced_by", place.as_str()))
    }

    /// Sets the values in the copy and, as long as the image set is there, makes sure that the copy can take its place.
    async fn prepare(&self, sets: &ImageSets<'_>, step: &Step, copy: &ImageSetId) -> Stepped<()> {
        self.change_copy(sets, copy).await?;
        match sets.unlocked(&step.image_set_id).await? {
            // An earlier run has deleted it, after this.
            None => return Ok(()),
            Some(now) if now.version_id != step.version_id => {
                return Err(changed_since(&step.image_set_id).into());
            }
            Some(_) => {}
        }
        let old = sets.fetched(&step.image_set_id, Some(&step.version_id)).await?;
        let new = sets.fetched(copy, None).await?;
        self.compare_metadata(&old, &new).await?;
        compare_frames(sets, &old, &new).await?;
        let contents = sets.contents(copy, &new.properties.version_id).await?;
        let obstacles =
            compare::obstacles(sets.service, sets.datastore_id, &contents, &step.image_set_id);
        match obstacles.await?.as_slice() {
            [] => Ok(()),
            names => Err(cannot_be_primary(names).into()),
        }
    }

    async fn change_copy(&self, sets: &ImageSets<'_>, copy: &ImageSetId) -> Stepped<()> {
        let mut attempts = Attempts::at(copy);
        let mut made: Option<Value> = None;
        loop {
            let now = sets.unlocked(copy).await?.ok_or_else(|| deleted_during(copy))?;
            let Some(next) = self.next_update(sets, copy, made.as_ref()).await? else {
                return Ok(());
            };
            let force = self.series_values()?.need_force();
            let update = Update { set: Some(&next), force, ..Update::default() };
            match sets.update(copy, &now.version_id, update).await {
                Ok(version) => {
                    check_updated(&version)?;
                    made = Some(next);
                }
                Err(halt) => attempts.again(halt)?,
            }
        }
    }

    /// Refuses a copy that differs from the image set in anything but the values.
    async fn compare_metadata(&self, old: &Version, new: &Version) -> Stepped<()> {
        let values = self.series_values()?;
        let found = differences(old, new).await?;
        let is_meant = |one: &Difference| values.sets(&one.attribute);
        let counts = found.attributes_not_listed
            + found.instances_added
            + found.instances_removed
            + found.instances_stored_differently
            + found.frames_different;
        if counts > 0 || !found.attributes.iter().all(is_meant) {
            return Err(not_the_same("metadata").into());
        }
        Ok(())
    }
}

/// Refuses a copy with other frames, byte for byte.
async fn compare_frames(sets: &ImageSets<'_>, old: &Version, new: &Version) -> Stepped<()> {
    let pairs = frame_pairs(&old.document, &new.document)?;
    let (old, new) = (&old.properties.image_set_id, &new.properties.image_set_id);
    let compared = stream::iter(pairs).map(async |(one, other)| {
        let one = sets.frame_digest(old, &one).await?;
        let other = sets.frame_digest(new, &other).await?;
        if one == other { Ok(()) } else { Err(Halt::Failed(not_the_same("frames"))) }
    });
    compared.buffer_unordered(AT_ONCE).try_collect().await
}

/// The frames of each instance in both documents, which hold the same instances.
fn frame_pairs(
    old: &Arc<DocumentText>,
    new: &Arc<DocumentText>,
) -> Result<Vec<(ImageFrameId, ImageFrameId)>, Error> {
    let of_new = |series: &str, sop: &str| {
        let series = new.levels().series.get(series)?;
        series.instances.get(sop)
    };
    let mut pairs = Vec::new();
    for (series_uid, series) in &old.levels().series {
        for (sop_uid, instance) in &series.instances {
            let other = of_new(series_uid, sop_uid).ok_or_else(|| not_the_same("metadata"))?;
            let (ids, others) = (instance.frame_ids()?, other.frame_ids()?);
            if ids.len() != others.len() {
                return Err(not_the_same("frames"));
            }
            for (id, other) in ids.into_iter().zip(others) {
                match (id, other) {
                    (Some(id), Some(other)) => pairs.push((id.try_into()?, other.try_into()?)),
                    // A frame that is not stored by itself.
                    (None, None) => {}
                    _ => return Err(not_the_same("frames")),
                }
            }
        }
    }
    Ok(pairs)
}

fn not_the_same(what: &str) -> Error {
    Error::new(
        ErrorKind::Service,
        format!(
            "the copy has other {what} than the image set; it was deleted again, and the image set is as it was"
        ),
    )
}

/// The error of an image set whose copy would not become primary.
pub(super) fn cannot_be_primary(names: &[&str]) -> Error {
    Error::conflict(format!(
        "the image set disagrees with other primary image sets of its study in {}, so that a changed copy cannot take its \
         place: nothing was changed. Set one value in the whole study first, with update_patient_study_metadata or \
         reassign_study",
        names.join(", ")
    ))
}
