//! Copying instances of an image set to a new one: in one call, or in parts that the service takes.
//!
//! The first part makes the copy, which is recorded; the others join it. What the copy lacks is found out before each part, so
//! that nothing is copied twice, in this run or in a later one.

use std::collections::HashSet;

use healthimaging::{Error, ErrorKind, ImageSetId};
use healthimaging_jobs::is_lack_of_access;
use serde_json::Value;

use super::image_sets::{Copy, Halt, ImageSets, Step as Stepped, deleted_during};
use super::part::{Without, everything, instances_of, named};
use super::parts::{Instances, parts};
use super::run::{Attempts, Done, Run, changed_since};
use super::update::study_of;
use super::{Action, Step};
use crate::compare::differences;
use crate::document::Contents;
use crate::find::{self, Criteria};
use crate::work::ItemResult;

/// The copies of a change.
#[derive(Debug, Default)]
pub(super) struct Copies {
    /// Each belongs to a step.
    claimed: HashSet<ImageSetId>,
    /// How many were made in parts.
    in_parts: u64,
}

/// What a step copies.
struct Source<'a> {
    step: &'a Step,
    contents: &'a Contents,
    /// The instances.
    rest: Instances<'a>,
    /// Frames of a copy, at most.
    most_frames: Option<u64>,
}

impl Run<'_> {
    /// The copies that an earlier run has recorded.
    pub(super) fn recorded_copies(&self) -> Copies {
        let mut copies = Copies::default();
        for step in self.change.steps.iter().filter(|step| copies_first(step)) {
            let begun = self.recorded(&begun_item(step));
            copies.in_parts += u64::from(begun.is_some());
            copies.claimed.extend(begun.into_iter().chain(self.recorded(&copy_item(step))));
        }
        copies
    }

    /// Whether an earlier run has copied the rest, or a part of it, and died before it deleted the image set.
    pub(super) fn is_half_erased(&self, step: &Step) -> bool {
        copies_first(step)
            && [begun_item(step), copy_item(step)].iter().any(|item| self.recorded(item).is_some())
    }

    /// Copies the rest, and records the copy; nothing if there is no rest to copy.
    ///
    /// Of a copy that cannot come to its end nothing is left.
    pub(super) async fn copy_rest(
        &self,
        step: &Step,
        known: &[ImageSetId],
    ) -> Stepped<Option<ImageSetId>> {
        let copied = self.copy_or_continue(step, known).await;
        let ends_here = match &copied {
            Ok(copy) => copy.is_none(),
            Err(Halt::Stopped) => self.journal.is_called_off(),
            Err(Halt::Failed(error)) => !self.is_left_to_another_process(error),
        };
        let Some(begun) = self.recorded(&begun_item(step)).filter(|_| ends_here) else {
            return copied;
        };
        match (self.sets.finishing().delete_own(&begun).await, copied) {
            (Ok(()), copied) => copied,
            (Err(Halt::Failed(left)), Err(Halt::Failed(error))) => Err(Error::new(
                error.kind(),
                format!(
                    "{}; the image set is as it was, and image set {begun}, a part of it that was copied, could not be \
                     deleted ({}): delete it with delete_image_set",
                    error.message(),
                    left.message()
                ),
            )
            .into()),
            (Err(halt), _) => Err(halt),
        }
    }

    async fn copy_or_continue(
        &self,
        step: &Step,
        known: &[ImageSetId],
    ) -> Stepped<Option<ImageSetId>> {
        let id = &step.image_set_id;
        let Some(now) = self.sets.unlocked(id).await? else {
            return Ok(None);
        };
        if now.version_id != step.version_id {
            return Ok(None);
        }
        let contents = self.sets.contents(id, &now.version_id).await?;
        let Some(rest) = self.rest(step, &contents)? else {
            return Ok(None);
        };
        let source = Source {
            step,
            contents: &contents,
            rest: named(&rest),
            most_frames: self.sets.service.limits().copy_frames,
        };
        let (copy, is_in_parts) = self.copied(&source, known).await?;
        let sets = self.sets.finishing();
        if !source.is_whole(&sets, &copy, is_in_parts).await? {
            sets.delete_own(&copy).await?;
            return Err(not_whole().into());
        }
        let done = Done::new(ItemResult::Copied).with("copied_from", id.as_str());
        self.record_as(copy_item(step), &copy, done).await?;
        Ok(Some(copy))
    }

    /// What is copied of an image set; `None` when it does not hold what was to go, or nothing else.
    fn rest(&self, step: &Step, contents: &Contents) -> Result<Option<Value>, Error> {
        if copies_all(step) {
            return Ok(Some(everything(contents)));
        }
        match self.part()?.taken_from(contents) {
            Without::Rest { rest, .. } => Ok(Some(rest)),
            Without::Same | Without::Nothing => Ok(None),
        }
    }

    /// Makes the copy, or what is lacking of it; whether it is made in parts.
    async fn copied(
        &self,
        source: &Source<'_>,
        known: &[ImageSetId],
    ) -> Stepped<(ImageSetId, bool)> {
        let parts = parts(source.contents, &source.rest, source.most_frames);
        let [first, others @ ..] = parts.as_slice() else {
            return Err(changed_since(&source.step.image_set_id).into());
        };
        let begun = self.recorded(&begun_item(source.step));
        let is_in_parts = begun.is_some() || !others.is_empty();
        let copy = match begun {
            Some(begun) => begun,
            None => self.begin_copy(source, first, is_in_parts, known).await?,
        };
        if is_in_parts {
            self.join_parts(source, &copy).await?;
        }
        Ok((copy, is_in_parts))
    }

    /// Makes a copy with the first part, one step after the other: of two copies of the same instances, each is of one step.
    async fn begin_copy(
        &self,
        source: &Source<'_>,
        first: &Value,
        is_in_parts: bool,
        known: &[ImageSetId],
    ) -> Stepped<ImageSetId> {
        let (step, id) = (source.step, &source.step.image_set_id);
        let selection = (is_in_parts || !copies_all(step)).then_some(first);
        let how = Copy { selection, ..Copy::default() };
        let mut copies = self.copies.lock().await;
        let mut attempts = Attempts::at(id);
        let copy = loop {
            // One may be there from a killed run, or from a call whose answer was lost.
            let taken = |id: &ImageSetId| known.contains(id) || copies.claimed.contains(id);
            if let Some(copy) = self.left_over(source, first, taken).await? {
                break copy;
            }
            match self.sets.copy(id, &step.version_id, how).await {
                Ok(copy) => break copy,
                Err(halt) => attempts.again(beyond_quota(halt))?,
            }
            // A copy that is being made locks its source, and is found only when it is made.
            self.sets.unlocked(id).await?;
        };
        copies.claimed.insert(copy.clone());
        if is_in_parts {
            copies.in_parts += 1;
            self.expect(&copies);
            let done = Done::new(ItemResult::Copied).with("copied_from", id.as_str());
            self.record_as(begun_item(step), &copy, done).await?;
        }
        Ok(copy)
    }

    /// Announces the outcomes that there will be.
    pub(super) fn expect(&self, copies: &Copies) {
        self.journal.expect(self.change.items() + copies.in_parts);
    }

    /// Copies what the copy lacks into it.
    async fn join_parts(&self, source: &Source<'_>, copy: &ImageSetId) -> Stepped<()> {
        let id = &source.step.image_set_id;
        let mut attempts = Attempts::at(id);
        let (mut force, mut before) = (false, None);
        loop {
            let now = self.sets.unlocked(copy).await?.ok_or_else(|| deleted_during(copy))?;
            let held = self.sets.contents(copy, &now.version_id).await?;
            let held = instances_of(&held);
            let lacking: Instances<'_> = source.rest.difference(&held).copied().collect();
            let Some(next) =
                parts(source.contents, &lacking, source.most_frames).into_iter().next()
            else {
                return Ok(());
            };
            if before.replace(lacking.len()) == Some(lacking.len()) {
                return Err(not_whole().into());
            }
            let latest = self.sets.unlocked(id).await?.ok_or_else(|| deleted_during(id))?;
            if latest.version_id != source.step.version_id {
                return Err(changed_since(id).into());
            }
            let how = Copy {
                selection: Some(&next),
                into: Some((copy, &now.version_id)),
                force,
                ..Copy::default()
            };
            match self.sets.copy(id, &latest.version_id, how).await {
                Ok(_) => {}
                // The service joins instances that show another level if it is forced; then they are compared.
                Err(Halt::Failed(error)) if error.kind() == ErrorKind::Validation && !force => {
                    (force, before) = (true, None);
                }
                Err(halt) => {
                    attempts.again(beyond_quota(halt))?;
                    before = None;
                }
            }
        }
    }

    /// The copy that a killed run made and could not record.
    async fn left_over(
        &self,
        source: &Source<'_>,
        first: &Value,
        taken: impl Fn(&ImageSetId) -> bool,
    ) -> Stepped<Option<ImageSetId>> {
        let criteria = Criteria::study(study_of(source.contents)?);
        let (service, datastore) = (self.sets.service, self.sets.datastore_id);
        let found = find::all(service, datastore, &criteria, find::MOST_EXAMINED).await?;
        for set in found.image_sets {
            let id = set.image_set_id;
            if set.is_primary == Some(true) || taken(&id) {
                continue;
            }
            match source.is_copied_by(&self.sets, &id, &named(first)).await {
                Ok(true) => return Ok(Some(id)),
                Err(Halt::Stopped) => return Err(Halt::Stopped),
                // What cannot be read is no copy of ours.
                Ok(false) | Err(Halt::Failed(_)) => {}
            }
        }
        Ok(None)
    }

    /// Whether the job fails with this error here and goes on in a process that has access.
    pub(super) fn is_left_to_another_process(&self, error: &Error) -> bool {
        error.kind() == ErrorKind::Credentials
            || (self.journal.is_taken_over() && is_lack_of_access(error.kind()))
    }
}

impl Source<'_> {
    /// Whether an image set holds these instances and no others, each as the source has it.
    async fn is_copied_by(
        &self,
        sets: &ImageSets<'_>,
        id: &ImageSetId,
        wanted: &Instances<'_>,
    ) -> Stepped<bool> {
        let Some(now) = sets.unlocked(id).await? else {
            return Ok(false);
        };
        let held = sets.contents(id, &now.version_id).await?;
        Ok(instances_of(&held) == *wanted && self.is_same(sets, id).await?)
    }

    /// Whether what an image set holds is as in the source: frames by their checksums, and every attribute.
    async fn is_same(&self, sets: &ImageSets<'_>, id: &ImageSetId) -> Stepped<bool> {
        let old = sets.fetched(&self.step.image_set_id, Some(&self.step.version_id)).await?;
        let found = differences(&old, &sets.fetched(id, None).await?).await?;
        Ok(found.frames_different + found.attributes.len() + found.attributes_not_listed == 0)
    }

    /// Whether a copy holds the rest, of the same patient and study as the source.
    async fn is_whole(
        &self,
        sets: &ImageSets<'_>,
        copy: &ImageSetId,
        is_in_parts: bool,
    ) -> Stepped<bool> {
        let Some(now) = sets.unlocked(copy).await? else {
            return Ok(false);
        };
        let held = sets.contents(copy, &now.version_id).await?;
        let source = self.contents;
        if instances_of(&held) != self.rest
            || held.patient_id() != source.patient_id()
            || held.study_instance_uid() != source.study_instance_uid()
        {
            return Ok(false);
        }
        if is_in_parts {
            return self.is_same(sets, copy).await;
        }
        // The levels of a copy without some instances may show another value, which the others had of their own.
        let old = sets.fetched(&self.step.image_set_id, Some(&self.step.version_id)).await?;
        let found = differences(&old, &sets.fetched(copy, None).await?).await?;
        Ok(found.frames_different == 0)
    }
}

/// Whether a step copies before it deletes.
fn copies_first(step: &Step) -> bool {
    matches!(step.action, Action::Erase { .. }) || copies_all(step)
}

fn copies_all(step: &Step) -> bool {
    matches!(step.action, Action::Renew { .. } | Action::Replace { .. })
}

fn not_whole() -> Error {
    Error::new(
        ErrorKind::Service,
        "the copy is not whole; it was deleted again, and the image set is as it was",
    )
}

/// The error of a copy, with what to do about a quota: it was raised, or one instance has more frames than it allows.
fn beyond_quota(halt: Halt) -> Halt {
    match halt {
        Halt::Failed(error) if error.kind() == ErrorKind::QuotaExceeded => {
            let advice = "nothing was changed. Request a higher quota from AWS (frames of one copy), then call again";
            Halt::Failed(Error::new(error.kind(), format!("{}: {advice}", error.message())))
        }
        other => other,
    }
}

/// The item of the journal under which the first part of a copy is recorded, if there are several.
fn begun_item(step: &Step) -> String {
    format!("{}/part", step.image_set_id)
}

/// The item of the journal under which a copy is recorded.
pub(super) fn copy_item(step: &Step) -> String {
    format!("{}/copy", step.image_set_id)
}
