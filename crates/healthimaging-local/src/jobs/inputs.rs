//! What a job reads: its listing, and what the headers say.

use std::collections::{HashMap, HashSet};
use std::fs::File;

use healthimaging::{Error, ErrorKind, Result};
use healthimaging_dicom::GroupKey;
use healthimaging_objects::{Entry, Listed, Place};

use crate::ingest::{Header, OpenFile, Refusal};

/// A listed object and the place it is in.
#[derive(Debug)]
pub(super) struct Input {
    place: usize,
    listed: Listed,
}

/// Everything that a job reads, sorted by key.
#[derive(Debug)]
pub(super) struct Inputs {
    places: Vec<Place>,
    inputs: Vec<Input>,
}

impl Inputs {
    /// Lists the places; `skip` says which keys are none of the job's business.
    ///
    /// Fails when a place cannot be listed, or when there is nothing at all.
    pub(super) async fn list(places: Vec<Place>, skip: impl Fn(&str) -> bool) -> Result<Self> {
        let mut inputs = Vec::new();
        for (place, found) in places.iter().enumerate() {
            let listed = found.list().await.map_err(unreadable)?;
            inputs.extend(listed.into_iter().map(|listed| Input { place, listed }));
        }
        inputs.retain(|input| !skip(input.listed.key()));
        inputs.sort_by(|a, b| a.listed.key().cmp(b.listed.key()));
        inputs.dedup_by(|a, b| a.listed.key() == b.listed.key());
        if inputs.is_empty() {
            return Err(Error::not_found(
                "there are no objects under the input prefix",
            ));
        }
        Ok(Self { places, inputs })
    }

    pub(super) fn len(&self) -> usize {
        self.inputs.len()
    }

    /// The key of an input; empty for a number that there is not.
    pub(super) fn key(&self, number: usize) -> &str {
        self.inputs
            .get(number)
            .map_or("", |input| input.listed.key())
    }

    /// Its size in bytes when it was listed.
    pub(super) fn size(&self, number: usize) -> u64 {
        match self.inputs.get(number).map(|input| &input.listed) {
            Some(Listed::Object(entry)) => entry.size,
            _ => 0,
        }
    }

    /// The numbers of inputs that are not among the keys `done`.
    pub(super) fn without(&self, done: &HashSet<String>) -> Vec<usize> {
        let all = self.inputs.iter().enumerate();
        all.filter(|(_, input)| !done.contains(input.listed.key()))
            .map(|(number, _)| number)
            .collect()
    }

    /// Opens an input and reads its header.
    pub(super) async fn open(
        &self,
        number: usize,
    ) -> Result<OpenFile<std::io::BufReader<File>>, Refusal> {
        let file = self.fetch(number).await?;
        let read = tokio::task::spawn_blocking(move || OpenFile::read(file));
        read.await.unwrap_or_else(|error| {
            tracing::error!(%error, "reading a file ended unexpectedly");
            let message = "the file could not be read because of a fault of this program";
            Err(Refusal::fault(message))
        })
    }

    /// Reads the header of an input.
    pub(super) async fn header(&self, number: usize) -> Result<Header, Refusal> {
        Ok(self.open(number).await?.header())
    }

    async fn fetch(&self, number: usize) -> Result<File, Refusal> {
        let missing = || Refusal::fault("the input is not listed");
        let input = self.inputs.get(number).ok_or_else(missing)?;
        let entry: &Entry = match &input.listed {
            Listed::Object(entry) => entry,
            Listed::Unreadable { message, .. } => return Err(Refusal::invalid(message)),
        };
        let place = self.places.get(input.place).ok_or_else(missing)?;
        Ok(place.fetch(entry).await?)
    }
}

fn unreadable(error: Error) -> Error {
    let kind = match error.kind() {
        ErrorKind::Internal => ErrorKind::Service,
        kind => kind,
    };
    Error::new(
        kind,
        format!("the input could not be listed: {}", error.message()),
    )
    .with_source(error)
}

/// Inputs of one image set.
#[derive(Debug)]
pub(super) struct PlannedGroup {
    pub(super) key: GroupKey,
    /// In the order of their keys.
    pub(super) inputs: Vec<usize>,
}

/// Groups of one study, in the order of their first keys: the first decides what is primary.
#[derive(Debug)]
pub(super) struct PlannedStudy {
    pub(super) groups: Vec<PlannedGroup>,
}

/// Parts inputs, which come in the order of their keys, into studies and groups.
pub(super) fn plan(headers: impl IntoIterator<Item = (usize, GroupKey)>) -> Vec<PlannedStudy> {
    let mut studies: Vec<PlannedStudy> = Vec::new();
    let mut study_places: HashMap<String, usize> = HashMap::new();
    let mut group_places: HashMap<GroupKey, (usize, usize)> = HashMap::new();
    for (number, key) in headers {
        let (study, group) = *group_places.entry(key.clone()).or_insert_with(|| {
            let uid = key.study.study_instance_uid.clone();
            let study = *study_places.entry(uid).or_insert_with(|| {
                studies.push(PlannedStudy { groups: Vec::new() });
                studies.len() - 1
            });
            let groups = studies.get_mut(study).map(|found| &mut found.groups);
            let group = groups.map_or(0, |groups| {
                let inputs = Vec::new();
                groups.push(PlannedGroup { key, inputs });
                groups.len() - 1
            });
            (study, group)
        });
        let found = studies.get_mut(study);
        if let Some(group) = found.and_then(|study| study.groups.get_mut(group)) {
            group.inputs.push(number);
        }
    }
    studies
}
