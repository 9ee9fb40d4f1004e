//! The Store Instances Response (`PS3.18 §I.2`).

use std::collections::BTreeMap;

use healthimaging::model::{
    DicomJson, FailedInstance, ImageSetsMetadataSummary, Operator, SearchCriteria, SearchFilter,
    SearchImageSetsRequest, SearchValue, StoreInstancesResponse, StoredInstance,
};
use healthimaging::{DatastoreId, Error, ErrorKind, HealthImaging, ImageSetId, Result};
use percent_encoding::percent_decode_str;
use serde_json::Value;

use super::Item;
use crate::web::request::{Answer, Web};

/// Failure reason "processing failure" (`PS3.4 Table B.2-1`).
pub(super) const PROCESSING_FAILURE: u16 = 0x0110;

const STORED: &str = "00081199";
const FAILED: &str = "00081198";
/// Failures of files whose instance is unknown.
const OTHER_FAILURES: &str = "0008119A";
const SOP_CLASS: &str = "00081150";
const SOP_INSTANCE: &str = "00081155";
const FAILURE_REASON: &str = "00081197";
const WARNING_REASON: &str = "00081196";
const RETRIEVE_URL: &str = "00081190";
/// Longest response in bytes, with some hundred for each file.
const MAX_RESPONSE: u64 = 16 * 1024 * 1024;

/// Reads the outcomes; a response without any is an error.
pub(super) async fn read(
    service: &dyn HealthImaging,
    web: &Web,
    datastore: &DatastoreId,
    items: &[Item],
    answer: Answer,
) -> Result<StoreInstancesResponse> {
    if !matches!(answer.status, 200 | 202 | 409 | 507) {
        return Err(web.refusal(answer).await);
    }
    let (status, headers) = (answer.status, answer.headers.clone());
    let body = answer.body.collect(MAX_RESPONSE).await?;
    let Some(response) = response(&body) else {
        let answer = Answer { status, headers, body: body.into() };
        return Err(if matches!(status, 409 | 507) {
            web.refusal(answer).await
        } else {
            Error::new(
                ErrorKind::Service,
                "the response of AWS HealthImaging does not list the stored files; search for them",
            )
        });
    };
    let mut pending = Pending(items.iter().collect());
    let mut image_sets = ImageSets { service, datastore, known: BTreeMap::new() };
    let mut outcomes = StoreInstancesResponse { stored: Vec::new(), failed: Vec::new() };
    for item in sequence(&response, STORED) {
        let position = pending.take(text(item, SOP_INSTANCE));
        outcomes.stored.push(image_sets.stored(position, item).await?);
    }
    for item in sequence(&response, FAILED).chain(sequence(&response, OTHER_FAILURES)) {
        let position = pending.take(text(item, SOP_INSTANCE));
        outcomes.failed.push(failed(position, item));
    }
    outcomes.failed.extend(pending.0.into_iter().map(without_outcome));
    outcomes.failed.sort_by_key(|failed| failed.position);
    Ok(outcomes)
}

/// Returns the data set of the response, which may be in an array.
fn response(body: &[u8]) -> Option<DicomJson> {
    let found = match serde_json::from_slice(body).ok()? {
        Value::Array(list) => list.into_iter().next()?,
        found => found,
    };
    match found {
        Value::Object(found)
            if [STORED, FAILED, OTHER_FAILURES].iter().any(|tag| found.contains_key(*tag)) =>
        {
            Some(found)
        }
        _ => None,
    }
}

fn sequence<'a>(item: &'a DicomJson, tag: &str) -> impl Iterator<Item = &'a DicomJson> + use<'a> {
    let items = item.get(tag).and_then(|element| element.get("Value"));
    let items = items.and_then(Value::as_array).into_iter().flatten();
    items.filter_map(Value::as_object)
}

fn first<'a>(item: &'a DicomJson, tag: &str) -> Option<&'a Value> {
    item.get(tag)?.get("Value")?.get(0)
}

fn text<'a>(item: &'a DicomJson, tag: &str) -> Option<&'a str> {
    first(item, tag)?.as_str()
}

fn code(item: &DicomJson, tag: &str) -> Option<u16> {
    u16::try_from(first(item, tag)?.as_u64()?).ok()
}

/// Files without an outcome yet.
struct Pending<'a>(Vec<&'a Item>);

impl Pending<'_> {
    /// Takes the position of the first file of this instance, else of the first one of an unknown instance.
    fn take(&mut self, sop_instance: Option<&str>) -> usize {
        let find = |wanted: Option<&str>| {
            let mut items = self.0.iter();
            items.position(|item| item.meta.sop_instance_uid.as_deref() == wanted)
        };
        let found = find(sop_instance).or_else(|| find(None)).unwrap_or_default();
        if found < self.0.len() { self.0.remove(found).position } else { 0 }
    }
}

fn failed(position: usize, item: &DicomJson) -> FailedInstance {
    let reason = code(item, FAILURE_REASON).unwrap_or(PROCESSING_FAILURE);
    FailedInstance {
        position,
        sop_class_uid: text(item, SOP_CLASS).map(str::to_owned),
        sop_instance_uid: text(item, SOP_INSTANCE).map(str::to_owned),
        failure_reason: reason,
        message: meaning(reason).to_owned(),
    }
}

fn without_outcome(item: &Item) -> FailedInstance {
    FailedInstance {
        position: item.position,
        sop_class_uid: item.meta.sop_class_uid.clone(),
        sop_instance_uid: item.meta.sop_instance_uid.clone(),
        failure_reason: PROCESSING_FAILURE,
        message: "the response of AWS HealthImaging has no outcome for this file; search for it"
            .to_owned(),
    }
}

/// Meaning of a failure reason (`PS3.18 Table I.2-2`).
fn meaning(reason: u16) -> &'static str {
    match reason {
        0xA700..=0xA7FF => "refused: out of resources",
        0xA900..=0xA9FF => "refused: the data set does not match the SOP class or the study",
        0xC122 => "refused: the transfer syntax is not supported",
        0xC000..=0xCFFF => "refused: the file cannot be parsed",
        0x0110 => "processing failed",
        0x0117 => "refused: the SOP Instance UID is not valid",
        0x0122 => "refused: the SOP class is not supported",
        0x0124 => "refused: not authorized",
        _ => "refused: unknown failure reason",
    }
}

/// Image sets of stored instances, searched once for each series.
struct ImageSets<'a> {
    service: &'a dyn HealthImaging,
    datastore: &'a DatastoreId,
    known: BTreeMap<String, Vec<ImageSetsMetadataSummary>>,
}

impl ImageSets<'_> {
    async fn stored(&mut self, position: usize, item: &DicomJson) -> Result<StoredInstance> {
        let url = text(item, RETRIEVE_URL).unwrap_or_default();
        let series = after(url, "/series/");
        let sets = self.of_series(&series).await?;
        let named = after(url, "imageSetId=");
        let named = ImageSetId::try_from(named).ok();
        let primary = sets.iter().find(|set| set.is_primary == Some(true));
        // The latest change is first: without an id it is the image set that was just written.
        let image_set_id = named
            .or_else(|| primary.or(sets.first()).map(|set| set.image_set_id.clone()))
            .ok_or_else(|| {
            Error::new(
                ErrorKind::Service,
                "an instance was stored, but its image set is not found yet; search for it later",
            )
        })?;
        Ok(StoredInstance {
            position,
            sop_class_uid: text(item, SOP_CLASS).unwrap_or_default().to_owned(),
            sop_instance_uid: text(item, SOP_INSTANCE).unwrap_or_default().to_owned(),
            study_instance_uid: after(url, "/studies/"),
            series_instance_uid: series,
            is_primary: primary.is_some_and(|set| set.image_set_id == image_set_id),
            image_set_id,
            warning_reason: code(item, WARNING_REASON),
        })
    }

    async fn of_series(&mut self, series: &str) -> Result<&[ImageSetsMetadataSummary]> {
        if !self.known.contains_key(series) {
            let request = SearchImageSetsRequest {
                datastore_id: self.datastore.clone(),
                search_criteria: SearchCriteria {
                    filters: vec![SearchFilter {
                        values: vec![SearchValue::SeriesInstanceUid(series.to_owned())],
                        operator: Operator::Equal,
                    }],
                    sort: None,
                },
                next_token: None,
                max_results: None,
            };
            let found = self.service.search_image_sets(request).await?;
            let found = found.image_sets_metadata_summaries;
            self.known.insert(series.to_owned(), found);
        }
        Ok(self.known.get(series).map(Vec::as_slice).unwrap_or_default())
    }
}

/// Returns the percent-decoded segment after a mark in a URL.
fn after(url: &str, mark: &str) -> String {
    let rest = url.split_once(mark).map(|(_, rest)| rest);
    let word = rest.and_then(|rest| rest.split(['/', '?', '&', '#']).next());
    percent_decode_str(word.unwrap_or_default()).decode_utf8_lossy().into_owned()
}
