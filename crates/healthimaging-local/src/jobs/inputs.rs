//! The inputs of a job: their listing, and their headers.

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::sync::Arc;

use healthimaging::model::ImportConfiguration;
use healthimaging::{Error, ErrorKind, Result};
use healthimaging_objects::{Entry, Listed, Location};

use super::directories::{self, NamedFiles};
use super::starts::Starts;
use crate::config::Grouping;
use crate::ingest::{
    self, BatchKey, Batches, FileKind, Header, LargeHeaders, OpenFile, Overrides, Refusal,
};
use crate::quotas::{Quotas, within};
use crate::shared::SharedStore;

/// The largest metadata file that is read: 64 MiB.
const LARGEST_METADATA: u64 = 64 << 20;

/// A listed object and the place it is in.
#[derive(Debug)]
pub(super) struct Input {
    place: usize,
    listed: Listed,
}

/// Everything that a job reads, sorted by key.
#[derive(Debug)]
pub(super) struct Inputs {
    places: Vec<Location>,
    inputs: Vec<Input>,
    overrides: Arc<Overrides>,
    /// Files that a DICOMDIR names.
    named: NamedFiles,
    starts: Starts,
}

impl Inputs {
    /// Lists the places, without the files of metadata that the job takes, and without what has
    /// `own_output` in its key.
    ///
    /// Fails when a place cannot be listed, or when there is nothing at all.
    pub(super) async fn list(
        shared: &SharedStore,
        places: Vec<Location>,
        configuration: Option<&ImportConfiguration>,
        own_output: &str,
    ) -> Result<Self> {
        let (overrides, metadata_keys) = read_overrides(&places, configuration).await?;
        let mut inputs = Vec::new();
        for (place, found) in places.iter().enumerate() {
            let listed = found.list().await.map_err(unreadable)?;
            inputs.extend(listed.into_iter().map(|listed| Input { place, listed }));
        }
        inputs.retain(|input| {
            let key = input.listed.key();
            !key.contains(own_output) && !metadata_keys.contains(key)
        });
        inputs.sort_by(|a, b| a.listed.key().cmp(b.listed.key()));
        inputs.dedup_by(|a, b| a.listed.key() == b.listed.key());
        if inputs.is_empty() {
            return Err(Error::not_found("there are no objects under the input prefix"));
        }
        let overrides = Arc::new(overrides);
        let (named, starts) = (NamedFiles::default(), Starts::new(shared));
        Ok(Self { places, inputs, overrides, named, starts })
    }

    /// The same with the files that the DICOMDIRs among them name: those that are not there are inputs
    /// that cannot be read.
    pub(super) async fn with_named_files(mut self) -> Self {
        let directories: Vec<usize> =
            (0..self.len()).filter(|number| directories::is_directory(self.key(*number))).collect();
        let (mut named, mut missing) = (NamedFiles::default(), Vec::new());
        for number in directories {
            let Some(place) = self.inputs.get(number).map(|input| input.place) else {
                continue;
            };
            let key = self.key(number);
            let prefix = self.places.get(place).and_then(|place| place.key("DICOMDIR").ok());
            if prefix.is_some_and(|prefix| prefix.starts_with(&format!("{key}/"))) {
                // The request names the file alone.
                continue;
            }
            let Ok(file) = self.fetch(number).await else {
                continue;
            };
            let listed = self.inputs.iter().map(|input| input.listed.key());
            for key in named.add(file, key, listed).await {
                let message = "a DICOMDIR names this file, and it is not there".to_owned();
                missing.push(Input { place, listed: Listed::Unreadable { key, message } });
            }
        }
        self.named = named;
        self.inputs.append(&mut missing);
        self.inputs.sort_by(|a, b| a.listed.key().cmp(b.listed.key()));
        self.inputs.dedup_by(|a, b| a.listed.key() == b.listed.key());
        self
    }

    /// Refuses more than a job may have.
    pub(super) fn check(&self, quotas: &Quotas) -> Result<()> {
        within(quotas.job_files, self.len() as u64, "files of a job")?;
        let keys = self.inputs.iter().map(|input| input.listed.key());
        let folders: HashSet<&str> =
            keys.filter_map(|key| key.rsplit_once('/').map(|(folder, _)| folder)).collect();
        within(quotas.job_folders, folders.len() as u64, "folders of a job")?;
        let bytes = (0..self.len()).map(|number| self.size(number)).sum();
        within(quotas.job_bytes, bytes, "bytes of the files of a job")
    }

    pub(super) fn len(&self) -> usize {
        self.inputs.len()
    }

    /// The key of an input; empty for a number that there is not.
    pub(super) fn key(&self, number: usize) -> &str {
        self.inputs.get(number).map_or("", |input| input.listed.key())
    }

    /// Its size in bytes when it was listed.
    pub(super) fn size(&self, number: usize) -> u64 {
        match self.inputs.get(number).map(|input| &input.listed) {
            Some(Listed::Object(entry)) => entry.size,
            _ => 0,
        }
    }

    /// The bytes of inputs that are among the keys `done`.
    pub(super) fn bytes_of(&self, done: &HashSet<String>) -> u64 {
        let numbers = 0..self.inputs.len();
        numbers
            .filter(|number| done.contains(self.key(*number)))
            .map(|number| self.size(number))
            .sum()
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
        large: &LargeHeaders,
    ) -> Result<OpenFile<File>, Refusal> {
        let file = self.fetch(number).await?;
        let read = ingest::open(file, Arc::clone(&self.overrides), large).await;
        read.map_err(|refusal| self.refusal(number, refusal))
    }

    /// The refusal of an input: an empty list of a job is recognized by its key, and a file that a DICOMDIR
    /// names has to be an instance.
    fn refusal(&self, number: usize, refusal: Refusal) -> Refusal {
        let key = self.key(number);
        let list = if self.size(number) == 0 { FileKind::of_empty(key) } else { None };
        let refusal = list.map_or(refusal, Refusal::recognized);
        if self.named.has(key) { refusal.of_named_file() } else { refusal }
    }

    /// Reads the header of an input, up to its pixel data.
    pub(super) async fn header(
        &self,
        number: usize,
        grouping: Grouping,
    ) -> Result<Header, Refusal> {
        let overrides = &self.overrides;
        let (place, entry) = self.entry(number)?;
        let read = if place.is_local() {
            let file = place.fetch(entry).await?;
            ingest::header(file, Arc::clone(overrides), grouping).await.map_err(Into::into)
        } else {
            self.starts.header(number, (place, entry), overrides, grouping).await
        };
        read.map_err(|refusal| self.refusal(number, refusal))
    }

    async fn fetch(&self, number: usize) -> Result<File, Refusal> {
        let (place, entry) = self.entry(number)?;
        Ok(if place.is_local() {
            place.fetch(entry).await?
        } else {
            self.starts.fetch(number, place, entry).await?
        })
    }

    fn entry(&self, number: usize) -> Result<(&Location, &Entry), Refusal> {
        let missing = || Refusal::fault("the input is not listed");
        let input = self.inputs.get(number).ok_or_else(missing)?;
        let entry: &Entry = match &input.listed {
            Listed::Object(entry) => entry,
            Listed::Unreadable { message, .. } => return Err(Refusal::invalid(message)),
        };
        Ok((self.places.get(input.place).ok_or_else(missing)?, entry))
    }
}

/// The metadata files that a job names, relative to its input, and their keys.
async fn read_overrides(
    places: &[Location],
    configuration: Option<&ImportConfiguration>,
) -> Result<(Overrides, HashSet<String>)> {
    let mut overrides = Overrides::default();
    let mut keys = HashSet::new();
    let (Some(place), Some(configuration)) = (places.first(), configuration) else {
        return Ok((overrides, keys));
    };
    let mappings = &configuration.dicom_json_metadata_import_configuration;
    for mapping in &mappings.dicom_metadata_mappings {
        let path = &mapping.metadata_file_path;
        let json = place.read(path, LARGEST_METADATA).await.map_err(|error| {
            let message = format!(
                "a metadata file of the import configuration cannot be read: {}",
                error.message()
            );
            Error::new(error.kind(), message).with_source(error)
        })?;
        let study = mapping.study_instance_uid.clone();
        overrides.add(study, mapping.series_instance_uid.clone(), &json)?;
        keys.insert(place.key(path)?);
    }
    Ok((overrides, keys))
}

fn unreadable(error: Error) -> Error {
    let kind = match error.kind() {
        ErrorKind::Internal => ErrorKind::Service,
        kind => kind,
    };
    Error::new(kind, format!("the input could not be listed: {}", error.message()))
        .with_source(error)
}

/// Inputs of one version of an image set.
#[derive(Debug)]
pub(super) struct PlannedBatch {
    pub(super) key: BatchKey,
    /// In the order of their keys.
    pub(super) inputs: Vec<usize>,
}

/// Batches of one study, by their turns and in the order of their first keys: the first decides what is primary.
#[derive(Debug)]
pub(super) struct PlannedStudy {
    pub(super) batches: Vec<PlannedBatch>,
}

/// Parts inputs, which come in the order of their keys, into studies and batches. It keeps a key a batch,
/// not a file.
#[derive(Debug, Default)]
pub(super) struct Plan {
    studies: Vec<PlannedStudy>,
    study_places: HashMap<String, usize>,
    batches: Batches,
    batch_places: HashMap<BatchKey, (usize, usize)>,
}

impl Plan {
    pub(super) fn add(&mut self, number: usize, header: &Header) {
        let key = self.batches.add(header);
        let place = self.batch_places.get(&key).copied();
        let (study, batch) = place.unwrap_or_else(|| self.begin(key));
        let study = self.studies.get_mut(study);
        if let Some(batch) = study.and_then(|study| study.batches.get_mut(batch)) {
            batch.inputs.push(number);
        }
    }

    /// Makes an empty batch, and its study when it is the first one of it.
    fn begin(&mut self, key: BatchKey) -> (usize, usize) {
        let uid = key.group.study.study_instance_uid.clone();
        let at = *self.study_places.entry(uid).or_insert(self.studies.len());
        if at == self.studies.len() {
            self.studies.push(PlannedStudy { batches: Vec::new() });
        }
        let batches = self.studies.get_mut(at).map(|study| &mut study.batches);
        let place = (at, batches.as_ref().map_or(0, |batches| batches.len()));
        if let Some(batches) = batches {
            batches.push(PlannedBatch { key: key.clone(), inputs: Vec::new() });
        }
        self.batch_places.insert(key, place);
        place
    }

    /// In the order of their first keys.
    pub(super) fn studies(mut self) -> Vec<PlannedStudy> {
        for study in &mut self.studies {
            study.batches.sort_by_key(|batch| batch.key.turn);
        }
        self.studies
    }
}
