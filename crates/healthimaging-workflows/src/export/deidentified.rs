//! What an export reports about de-identification: one line a file, and a summary. Names of attributes, never values.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};

use healthimaging::{JobId, Result};
use healthimaging_objects::Location;

use super::lines::Lines;
use super::summary::Summary;
use crate::deidentify::{self, Deidentify, Outcome};
use crate::work::{ItemOutcome, ItemResult};

const REPORT: &str = "DEIDENTIFICATION/report.ndjson";
const SUMMARY: &str = "DEIDENTIFICATION/summary.md";

/// Sets of attributes that are remembered; further ones are recorded with each file.
const MOST_SETS: usize = 4096;

/// Attributes of a file by what was done with them.
pub(super) type Attributes = BTreeMap<Outcome, BTreeSet<String>>;

/// Sets of attributes that the journal holds. Few files differ in them, so each set is recorded once.
#[derive(Debug, Default)]
pub(super) struct ReportedAttributes(Mutex<HashSet<String>>);

impl ReportedAttributes {
    /// Adds the attributes of a report to the details of an outcome; returns their id, for [`Self::are_recorded`].
    pub(super) fn describe(
        &self,
        report: &deidentify::Report,
        details: &mut Map<String, Value>,
    ) -> String {
        let attributes = attributes(report);
        let text = json!(attributes);
        let digest = Sha256::digest(text.to_string());
        let id: String = hex::encode(digest).chars().take(16).collect();
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !known.contains(&id) {
            details.insert("attributes".to_owned(), text);
        }
        details.insert("attributes_id".to_owned(), id.clone().into());
        id
    }

    /// Notes that an outcome with these attributes is durable: later ones only name them.
    pub(super) fn are_recorded(&self, id: String) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() < MOST_SETS {
            known.insert(id);
        }
    }
}

fn attributes(report: &deidentify::Report) -> Attributes {
    let mut attributes = Attributes::new();
    for line in report.attributes() {
        let name = line.keyword.map_or(line.tag, str::to_owned);
        attributes.entry(line.outcome).or_default().insert(name);
    }
    attributes
}

/// The report while it is written.
pub(super) struct Report<'a> {
    lines: Lines,
    summary: Summary<'a>,
    known: HashMap<String, Arc<Attributes>>,
}

#[derive(Serialize)]
struct Line<'a> {
    /// Path of the file below the output; of one that is not written, the path that it would have.
    file: &'a str,
    result: ItemResult,
    #[serde(skip_serializing_if = "Option::is_none")]
    pixels: Option<&'a Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    attributes: Option<&'a Attributes>,
}

impl<'a> Report<'a> {
    pub(super) async fn create(deidentify: &'a Deidentify, place: &Location) -> Result<Self> {
        let lines = Lines::of(place.create(REPORT).await?);
        Ok(Self { lines, summary: Summary::new(deidentify), known: HashMap::new() })
    }

    /// Adds a file.
    pub(super) async fn add(&mut self, outcome: &ItemOutcome) -> Result<()> {
        let detail = |name: &str| outcome.details.get(name);
        let attributes = self.attributes(outcome);
        let error = outcome.error.as_ref().map(|error| error.message.as_str());
        let line = Line {
            file: &outcome.item,
            result: outcome.result,
            pixels: detail("pixels"),
            reason: detail("reason"),
            message: error.or_else(|| detail("message").and_then(Value::as_str)),
            attributes: attributes.as_deref(),
        };
        self.lines.add(&line).await?;
        self.summary.add(outcome, attributes.as_deref());
        Ok(())
    }

    fn attributes(&mut self, outcome: &ItemOutcome) -> Option<Arc<Attributes>> {
        let id = outcome.details.get("attributes_id")?.as_str()?;
        if let Some(known) = self.known.get(id) {
            return Some(Arc::clone(known));
        }
        let recorded = outcome.details.get("attributes")?;
        let attributes = Arc::new(Attributes::deserialize(recorded).ok()?);
        // Sets beyond the limit of a run are recorded with each file.
        if self.known.len() < 2 * MOST_SETS {
            self.known.insert(id.to_owned(), Arc::clone(&attributes));
        }
        Some(attributes)
    }

    /// Writes the end.
    pub(super) async fn finish(self, place: &Location, job_id: &JobId) -> Result<()> {
        self.lines.finish().await?;
        place.write(SUMMARY, Bytes::from(self.summary.text(job_id))).await
    }
}
