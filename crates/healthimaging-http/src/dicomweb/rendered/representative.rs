//! The instance whose picture stands for a series or a study (`PS3.18 §10.4.1.1.4`).

use healthimaging::model::{DicomJson, SearchDicomRequest, SearchLevel};
use healthimaging::{Error, Result, Uid};
use serde_json::Value;

use super::renderer::{Place, Renderer};
use crate::call::Call;
use crate::dicomweb::hierarchy::{Listed, listed, search, uid};

const MODALITY: &str = "00080060";
const SERIES_INSTANCE_UID: &str = "0020000E";
const SOP_INSTANCE_UID: &str = "00080018";
const NUMBER_OF_SERIES_RELATED_INSTANCES: &str = "00201209";
const ROWS: &str = "00280010";

/// Modalities of series without images of patients.
const WITHOUT_IMAGES: &[&str] = &[
    "AU", "DOC", "ECG", "EEG", "EMG", "EOG", "EPS", "FID", "HD", "KO", "PLAN", "PR", "REG", "RESP",
    "RTPLAN", "RTRECORD", "RTSTRUCT", "RWV", "SEG", "SMR", "SR",
];

/// Instances of a series that are searched for one with an image.
const MOST: u32 = 1000;

/// Returns the middle instance of the largest series with images of a study.
pub(super) async fn of_study(renderer: &Renderer, call: &Call) -> Result<Place> {
    let study: Uid = call.path("study")?;
    let mut series = search(&*renderer.web, call, SearchLevel::Series(Some(study.clone()))).await?;
    if series.is_empty() {
        return Err(Error::not_found("the data store has no such study in its primary image sets"));
    }
    series.sort_by_key(|one| {
        let modality = first(one, MODALITY).and_then(Value::as_str).unwrap_or_default();
        (WITHOUT_IMAGES.contains(&modality), std::cmp::Reverse(instances(one)))
    });
    for one in &series {
        let series = uid(one, SERIES_INSTANCE_UID)?;
        if let Some(sop) = middle(renderer, call, &study, &series, instances(one)).await? {
            return place(call, study, series, sop);
        }
    }
    Err(Error::not_found("the study has no images, so it has no thumbnail"))
}

/// Returns the middle instance of a series.
pub(super) async fn of_series(renderer: &Renderer, call: &Call) -> Result<Place> {
    let (study, series): (Uid, Uid) = (call.path("study")?, call.path("series")?);
    if call.all("imageSetId").next().is_some() {
        let level = SearchLevel::Instances(Some(study.clone()), Some(series.clone()));
        let listed: Vec<Listed> = listed(&*renderer.web, call, level).await?;
        let middle = listed.len() / 2;
        let found = listed.into_iter().nth(middle);
        let sop = found.ok_or_else(|| Error::not_found("the image set has no such series"))?.sop;
        return place(call, study, series, sop);
    }
    let level = SearchLevel::Series(Some(study.clone()));
    let mut request = page(call, level, 1, 0)?;
    request.filters.push((SERIES_INSTANCE_UID.to_owned(), series.to_string()));
    let found = renderer.web.search(request).await?;
    let found = found.first().ok_or_else(|| {
        Error::not_found("the data store has no such series in its primary image sets")
    })?;
    let sop = middle(renderer, call, &study, &series, instances(found)).await?;
    let sop =
        sop.ok_or_else(|| Error::not_found("the series has no images, so it has no thumbnail"))?;
    place(call, study, series, sop)
}

/// Returns the instance in the middle of a series of so many; of those that are images, if that one is none.
async fn middle(
    renderer: &Renderer,
    call: &Call,
    study: &Uid,
    series: &Uid,
    count: u64,
) -> Result<Option<Uid>> {
    let level = || SearchLevel::Instances(Some(study.clone()), Some(series.clone()));
    let offset = u32::try_from(count / 2).unwrap_or(0);
    let found = renderer.web.search(page(call, level(), 1, offset)?).await?;
    if let Some(found) = found.first().filter(|found| first(found, ROWS).is_some()) {
        return uid(found, SOP_INSTANCE_UID).map(Some);
    }
    let mut all = renderer.web.search(page(call, level(), MOST, 0)?).await?;
    all.retain(|one| first(one, ROWS).is_some());
    all.get(all.len() / 2).map(|one| uid(one, SOP_INSTANCE_UID)).transpose()
}

fn page(call: &Call, level: SearchLevel, limit: u32, offset: u32) -> Result<SearchDicomRequest> {
    let include_fields = match level {
        SearchLevel::Instances(..) => vec![ROWS.to_owned()],
        _ => Vec::new(),
    };
    Ok(SearchDicomRequest {
        datastore_id: call.path("datastoreId")?,
        level,
        filters: Vec::new(),
        include_fields,
        fuzzy_matching: false,
        limit: Some(limit),
        offset,
    })
}

fn place(call: &Call, study: Uid, series: Uid, sop: Uid) -> Result<Place> {
    let image_set_id = call.query("imageSetId")?;
    Ok(Place { datastore_id: call.path("datastoreId")?, study, series, sop, image_set_id })
}

/// Number of Series Related Instances (0020,1209); 0 if absent.
fn instances(series: &DicomJson) -> u64 {
    first(series, NUMBER_OF_SERIES_RELATED_INSTANCES).and_then(Value::as_u64).unwrap_or(0)
}

/// Returns the first value of an attribute.
fn first<'a>(data_set: &'a DicomJson, tag: &str) -> Option<&'a Value> {
    data_set.get(tag)?.get("Value")?.get(0).filter(|value| !value.is_null())
}
