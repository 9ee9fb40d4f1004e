//! Putting a copy into the primary hierarchy, in one call or in parts that the service takes.

use healthimaging::model::ImageSetsMetadataSummary;
use healthimaging::{Error, ErrorKind, ImageSetId};

use super::Step;
use super::image_sets::{Copy, Halt, ImageSets, Step as Stepped, deleted_during};
use super::part::instances_of;
use super::parts::{Instances, parts};
use super::run::{Attempts, Done, Run};
use super::update::study_of;
use crate::compare::differences;
use crate::document::Contents;
use crate::find::{self, Criteria};
use crate::work::ItemResult;

impl Run<'_> {
    /// Puts the copy into the primary hierarchy and takes it away; the image set that holds its instances
    /// there.
    pub(super) async fn promote(
        &self,
        sets: &ImageSets<'_>,
        step: &Step,
        copy: ImageSetId,
    ) -> Stepped<ImageSetId> {
        let recorded = self.recorded(&place_item(step));
        if let Some(place) = &recorded
            && sets.unlocked(&copy).await?.is_none()
        {
            return Ok(place.clone());
        }
        let promoted = self.promoted(sets, step, &copy, recorded).await;
        let place = promoted.map_err(|halt| not_promoted(halt, &copy))?;
        // Once it is promoted there are two of it; where the service moved it there is one.
        if place != copy {
            sets.delete_own(&copy).await?;
        }
        Ok(place)
    }

    /// The primary image set that has taken a copy in. It is recorded as soon as it holds the first part.
    async fn promoted(
        &self,
        sets: &ImageSets<'_>,
        step: &Step,
        copy: &ImageSetId,
        recorded: Option<ImageSetId>,
    ) -> Stepped<ImageSetId> {
        let record = async |place: &ImageSetId| {
            let done = Done::new(ItemResult::Copied).with("copied_from", copy.as_str());
            self.record_as(place_item(step), place, done).await
        };
        // A search may lag behind a copy.
        let mut places: Vec<ImageSetId> = recorded.into_iter().collect();
        let mut attempts = Attempts::at(copy);
        let mut before = None;
        loop {
            let now = sets.unlocked(copy).await?.ok_or_else(|| deleted_during(copy))?;
            if now.is_primary == Some(true) {
                record(copy).await?;
                return Ok(copy.clone());
            }
            let contents = sets.contents(copy, &now.version_id).await?;
            for place in primaries(sets, &contents).await? {
                if !places.contains(&place) {
                    places.push(place);
                }
            }
            let wanted = instances_of(&contents);
            let (lacking, place) = lacking(sets, &wanted, &places).await?;
            if let (true, Some(place)) = (lacking.is_empty(), place) {
                check_frames(sets, copy, &places).await?;
                record(&place).await?;
                return Ok(place);
            }
            if before.replace(lacking.len()) == Some(lacking.len()) {
                return Err(Error::new(
                    ErrorKind::Service,
                    "the primary image set does not hold what was copied into it",
                )
                .into());
            }
            let parts = parts(&contents, &lacking, sets.service.limits().copy_frames);
            let is_all = parts.len() == 1 && lacking == wanted;
            let selection = parts.first().filter(|_| !is_all);
            let how = Copy { selection, promote: true, ..Copy::default() };
            match sets.copy(copy, &now.version_id, how).await {
                Ok(place) => {
                    record(&place).await?;
                    if !places.contains(&place) {
                        places.push(place);
                    }
                }
                // The primary image set that it has to join may be locked for a moment.
                Err(halt) => {
                    attempts.again(halt)?;
                    before = None;
                }
            }
        }
    }
}

/// The primary image sets that may hold instances of the same series.
async fn primaries(sets: &ImageSets<'_>, contents: &Contents) -> Stepped<Vec<ImageSetId>> {
    let mut criteria = Criteria::study(study_of(contents)?);
    criteria.is_primary = Some(true);
    let found = find::all(sets.service, sets.datastore_id, &criteria, find::MOST_EXAMINED).await?;
    let may_hold = |set: &ImageSetsMetadataSummary| {
        let series = set.dicom_tags.as_ref().and_then(|tags| {
            let is_one = tags.number_of_study_related_series == Some(1);
            tags.series_instance_uid.as_deref().filter(|_| is_one)
        });
        series.is_none_or(|uid| contents.series.contains_key(uid))
    };
    let found = found.image_sets.into_iter().filter(may_hold);
    Ok(found.map(|set| set.image_set_id).collect())
}

/// The instances that none of these image sets holds, and the first image set that holds one of the others.
async fn lacking<'a>(
    sets: &ImageSets<'_>,
    wanted: &Instances<'a>,
    places: &[ImageSetId],
) -> Stepped<(Instances<'a>, Option<ImageSetId>)> {
    let (mut lacking, mut first) = (wanted.clone(), None);
    for place in places {
        let Some(now) = sets.unlocked(place).await? else {
            continue;
        };
        let held = sets.contents(place, &now.version_id).await?;
        let before = lacking.len();
        lacking.retain(|instance| !holds(&held, instance));
        if lacking.len() < before {
            first.get_or_insert_with(|| place.clone());
        }
    }
    Ok((lacking, first))
}

fn holds(contents: &Contents, (series, instance): &(&str, &str)) -> bool {
    contents.series.get(*series).is_some_and(|held| held.instances.contains_key(*instance))
}

/// Refuses primary image sets that hold other frames of the instances than the copy.
async fn check_frames(
    sets: &ImageSets<'_>,
    copy: &ImageSetId,
    places: &[ImageSetId],
) -> Stepped<()> {
    let copied = sets.fetched(copy, None).await?;
    for place in places {
        if sets.unlocked(place).await?.is_none() {
            continue;
        }
        let found = differences(&copied, &sets.fetched(place, None).await?).await?;
        if found.frames_different > 0 {
            return Err(Error::conflict(format!(
                "primary image set {place} holds other frames of the same instances; compare_image_sets shows which"
            ))
            .into());
        }
    }
    Ok(())
}

/// The error of a copy that could not be promoted.
fn not_promoted(halt: Halt, copy: &ImageSetId) -> Halt {
    match halt {
        Halt::Stopped => Halt::Stopped,
        Halt::Failed(error) => Halt::Failed(Error::new(
            error.kind(),
            format!(
                "the image set is erased, and what was to stay is safe in image set {copy}, but could not be made \
                 primary: {}. Try copy_image_set with promote_to_primary on it",
                error.message()
            ),
        )),
    }
}

/// The item under which the place of the copy in the primary hierarchy is recorded.
pub(super) fn place_item(step: &Step) -> String {
    format!("{}/primary", step.image_set_id)
}
