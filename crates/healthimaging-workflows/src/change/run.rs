//! Carrying a change out, step by step.

use std::sync::Arc;

use futures::TryStreamExt as _;
use futures::stream::FuturesUnordered;
use serde_json::{Map, Value};
use tokio::sync::Mutex;

use healthimaging::{Error, ErrorKind, ImageSetId, Result};
use healthimaging_jobs::is_lack_of_access;

use super::copies::Copies;
use super::image_sets::{Halt, ImageSets, Step as Stepped};
use super::{Action, Change, Object, Part, SeriesValues, Step, Target, Values, report};
use crate::certificate;
use crate::find;
use crate::work::{ItemError, ItemOutcome, ItemResult, Journal, Tools};

/// Steps in work at once; each has image sets of its own.
const AT_ONCE: usize = 4;

/// Maximum number of restarts of a step because the image set changed.
const CONFLICTS: usize = 8;

/// Maximum number of restarts of a step because the result of a write is unknown.
const FAULTS: usize = 6;

/// A change that is being carried out.
pub(super) struct Run<'a> {
    pub(super) change: &'a Change,
    pub(super) sets: ImageSets<'a>,
    pub(super) journal: &'a dyn Journal,
    /// One step at a time begins a copy.
    pub(super) copies: Mutex<Copies>,
}

/// Carries it out, or what is left of it.
pub(crate) async fn run(
    change: &Change,
    tools: &Tools,
    journal: &dyn Journal,
) -> Result<Map<String, Value>> {
    let service = Arc::clone(&tools.back_end.service);
    let sets = ImageSets::new(&*service, &change.datastore_id, journal.cancelled());
    let run = Run { change, sets, journal, copies: Mutex::default() };
    let copies = run.recorded_copies();
    run.expect(&copies);
    *run.copies.lock().await = copies;
    let Some(certify) = change.certify.as_deref() else {
        run.steps().await?;
        return report::report(&run.at_the_end()).await;
    };
    let begun = certificate::begin(change, tools, journal).await;
    let done = run.steps().await;
    let is_left = journal.cancelled().is_cancelled() && !journal.is_called_off();
    let failed = match done {
        Err(error) if is_left || is_lack_of_access(error.kind()) => return Err(error),
        Err(error) => Some(error),
        Ok(()) => None,
    };
    let mut report = report::report(&run.at_the_end()).await?;
    if !is_left {
        let of = (change, certify);
        let made = certificate::finish(of, begun, tools, journal, &report, failed.as_ref()).await;
        report.insert("certificate".to_owned(), made);
    }
    failed.map_or(Ok(report), Err)
}

impl Change {
    /// How many outcomes there will be, if nothing is copied in parts.
    pub(super) fn items(&self) -> u64 {
        let items = self.steps.iter().map(|step| match &step.action {
            Action::UpdateStudy { others } => 1 + others.len(),
            // The copy, its place in the primary hierarchy, and the deletion.
            Action::Erase { primary: true, .. }
            | Action::Renew { primary: true, .. }
            | Action::Replace { .. } => 3,
            Action::Erase { .. } | Action::Renew { .. } => 2,
            Action::Delete | Action::Remove | Action::Update => 1,
        });
        items.sum::<usize>() as u64
    }
}

impl Run<'_> {
    /// What the report is made with: it states what is left in any case.
    fn at_the_end(self) -> Self {
        if self.journal.is_called_off() {
            Self { sets: self.sets.finishing(), ..self }
        } else {
            self
        }
    }

    /// Does all steps, some at once.
    async fn steps(&self) -> Result<()> {
        let (mut steps, mut working) = (self.change.steps.iter(), FuturesUnordered::new());
        loop {
            while working.len() < AT_ONCE
                && let Some(step) = steps.next()
            {
                working.push(self.step(step));
            }
            if working.try_next().await?.is_none() {
                return Ok(());
            }
        }
    }

    /// Does a step and records what became of it; an error means that no other step would fare better.
    async fn step(&self, step: &Step) -> Result<()> {
        let id = &step.image_set_id;
        if self.journal.outcome_of(id.as_str()).is_some() {
            return Ok(());
        }
        // What is half erased is brought to its end, cancelled or not.
        let is_needed = self.journal.is_called_off() && self.is_half_erased(step);
        if self.sets.is_stopped() && !is_needed {
            return Ok(());
        }
        let done = match &step.action {
            Action::Delete => self.delete(step).await,
            Action::Remove => self.remove(step).await,
            Action::Erase { primary, known } | Action::Renew { primary, known } => {
                self.erase(step, *primary, known).await
            }
            Action::Update if self.change.series_values.is_some() => self.update_series(step).await,
            Action::Update => self.update(step).await,
            Action::UpdateStudy { others } => self.update_study(step, others).await,
            Action::Replace { known } => self.replace(step, known).await,
        };
        match done {
            Ok(done) => self.record(id, done).await,
            Err(Halt::Stopped) => Ok(()),
            Err(Halt::Failed(error)) if self.is_left_to_another_process(&error) => Err(error),
            Err(Halt::Failed(error)) => {
                if let Action::UpdateStudy { others } = &step.action {
                    // The service changes all of a study or nothing.
                    for other in others {
                        self.record(other, Done::failed(&error)).await?;
                    }
                }
                self.record(id, Done::failed(&error)).await
            }
        }
    }

    /// Records what became of an image set, once.
    pub(super) async fn record(&self, id: &ImageSetId, done: Done) -> Result<()> {
        self.record_as(id.as_str().to_owned(), id, done).await
    }

    /// Records an item that is not named like its image set.
    pub(super) async fn record_as(&self, item: String, id: &ImageSetId, done: Done) -> Result<()> {
        if self.journal.outcome_of(&item).is_some() {
            return Ok(());
        }
        let outcome = ItemOutcome {
            item,
            image_set_id: Some(id.clone()),
            result: done.result,
            details: done.details,
            error: done.error,
        };
        self.journal.record(outcome).await
    }

    /// What the state of image sets is read with: once a write was sent whose answer is open, whether it
    /// was done is found out and recorded even when the job is cancelled.
    pub(super) fn looking(&self, attempts: &Attempts<'_>) -> ImageSets<'_> {
        if attempts.is_first() { self.sets.clone() } else { self.sets.finishing() }
    }

    /// The part that the change takes out.
    pub(super) fn part(&self) -> Result<&Part> {
        let part = self.change.part.as_ref();
        part.ok_or_else(|| Error::internal("the job has nothing to remove", "no part"))
    }

    /// The values that the change sets.
    pub(super) fn values(&self) -> Result<&Values> {
        let values = self.change.values.as_ref();
        values.ok_or_else(|| Error::internal("the job has no values to set", "no values"))
    }

    /// The values that the change sets in a series.
    pub(super) fn series_values(&self) -> Result<&SeriesValues> {
        let values = self.change.series_values.as_ref();
        values.ok_or_else(|| Error::internal("the job has no values to set", "no values"))
    }

    /// Whether an image set that changed since the plan is still one that it is about.
    pub(super) async fn is_target(&self, id: &ImageSetId) -> Stepped<bool> {
        match &self.change.target {
            Target::Matching(criteria) => {
                let found = find::all(
                    self.sets.service,
                    self.sets.datastore_id,
                    criteria,
                    find::MOST_EXAMINED,
                );
                Ok(found.await?.image_sets.iter().any(|set| set.image_set_id == *id))
            }
            Target::ImageSet(only) => Ok(only == id),
            Target::Forgotten {} => Ok(false),
        }
    }
}

/// What became of an image set.
pub(super) struct Done {
    result: ItemResult,
    details: Object,
    error: Option<ItemError>,
}

impl Done {
    pub(super) fn new(result: ItemResult) -> Self {
        Self { result, details: Object::new(), error: None }
    }

    pub(super) fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.details.insert(name.to_owned(), value.into());
        self
    }

    pub(super) fn failed(error: &Error) -> Self {
        tracing::debug!(%error, "a step failed");
        Self {
            result: ItemResult::Failed,
            details: Object::new(),
            error: Some(ItemError::from(error)),
        }
    }
}

/// Failed writes of a step, done or not: the state is read again after each.
pub(super) struct Attempts<'a> {
    id: &'a ImageSetId,
    conflicts: usize,
    faults: usize,
}

impl<'a> Attempts<'a> {
    pub(super) fn at(id: &'a ImageSetId) -> Self {
        Self { id, conflicts: 0, faults: 0 }
    }

    /// Whether to begin again after this; an error when not.
    pub(super) fn again(&mut self, halt: Halt) -> Stepped<()> {
        let Halt::Failed(error) = halt else {
            return Err(halt);
        };
        match error.kind() {
            ErrorKind::Conflict if self.conflicts < CONFLICTS => self.conflicts += 1,
            ErrorKind::Conflict => return Err(changed_repeatedly(self.id).into()),
            // The write may have been done all the same.
            ErrorKind::Service if self.faults < FAULTS => self.faults += 1,
            _ => return Err(error.into()),
        }
        Ok(())
    }

    /// Whether nothing was tried yet.
    pub(super) fn is_first(&self) -> bool {
        self.conflicts + self.faults == 0
    }
}

/// What a step meets that was planned for another state of the image set.
pub(super) fn changed_since(id: &ImageSetId) -> Error {
    Error::conflict(format!(
        "image set {id} has changed since the plan was made, and nothing was done to it; call again \
         for a new plan"
    ))
}

/// The error of a step whose image set changed again and again.
fn changed_repeatedly(id: &ImageSetId) -> Error {
    Error::conflict(format!(
        "image set {id} was changed by others before each write; try again when there are no other writes"
    ))
}
