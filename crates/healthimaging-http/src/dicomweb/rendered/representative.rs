//! The instance whose picture stands for a series or a study (`PS3.18 §10.4.1.1.4`).

use healthimaging::model::{DicomJson, SearchDicomRequest, SearchLevel};
use healthimaging::{Error, Result, Uid};
use serde_json::Value;

use super::renderer::{Place, Renderer};
use crate::call::Call;
use crate::dicomweb::hierarchy::{Listed, listed, request, series_of_study, uid};

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

/// Instances that are tried, because the pixel data of some cannot be shown.
const TRIES: u32 = 5;

/// A series of a study.
struct Series {
    uid: Uid,
    is_without_images: bool,
    instances: u64,
}

impl Series {
    fn of(found: &DicomJson) -> Result<Self> {
        let modality = first(found, MODALITY).and_then(Value::as_str).unwrap_or_default();
        Ok(Self {
            uid: uid(found, SERIES_INSTANCE_UID)?,
            is_without_images: WITHOUT_IMAGES.contains(&modality),
            instances: instances(found),
        })
    }
}

/// Returns the instances nearest to the middle of the largest series with images of a study, the middle one first.
pub(super) async fn of_study(renderer: &Renderer, call: &Call) -> Result<Vec<Place>> {
    let study: Uid = call.path("study")?;
    let mut series = series_of_study(&*renderer.web, call, &study, Series::of).await?;
    if series.is_empty() {
        return Err(Error::not_found("the data store has no such study in its primary image sets"));
    }
    series.sort_by_key(|one| (one.is_without_images, std::cmp::Reverse(one.instances)));
    let mut places = Vec::new();
    for Series { uid, instances, .. } in series {
        for sop in middle(renderer, call, &study, &uid, instances).await? {
            places.push(place(call, study.clone(), uid.clone(), sop)?);
        }
        if places.len() >= TRIES as usize {
            break;
        }
    }
    if places.is_empty() {
        return Err(Error::not_found("the study has no images, so it has no thumbnail"));
    }
    places.truncate(TRIES as usize);
    Ok(places)
}

/// Returns the instances nearest to the middle of a series, the middle one first.
pub(super) async fn of_series(renderer: &Renderer, call: &Call) -> Result<Vec<Place>> {
    let place = |study: &Uid, series: &Uid, sop| place(call, study.clone(), series.clone(), sop);
    let (study, series): (Uid, Uid) = (call.path("study")?, call.path("series")?);
    if call.all("imageSetId").next().is_some() {
        let level = SearchLevel::Instances(Some(study.clone()), Some(series.clone()));
        let listed: Vec<Listed> = listed(&*renderer.web, call, level).await?;
        if listed.is_empty() {
            return Err(Error::not_found("the image set has no such series"));
        }
        let middle = listed.len() / 2;
        let nearest = nearest(listed, middle).into_iter();
        return nearest.map(|one| place(&study, &series, one.sop)).collect();
    }
    let level = SearchLevel::Series(Some(study.clone()));
    let mut request = page(call, level, 1, 0)?;
    request.filters.push((SERIES_INSTANCE_UID.to_owned(), series.to_string()));
    let found = renderer.web.search(request).await?;
    let found = found.first().ok_or_else(|| {
        Error::not_found("the data store has no such series in its primary image sets")
    })?;
    let found = middle(renderer, call, &study, &series, instances(found)).await?;
    if found.is_empty() {
        return Err(Error::not_found("the series has no images, so it has no thumbnail"));
    }
    found.into_iter().map(|sop| place(&study, &series, sop)).collect()
}

/// Returns the images nearest to the middle of a series of so many; of those that are images, if the middle one is none.
async fn middle(
    renderer: &Renderer,
    call: &Call,
    study: &Uid,
    series: &Uid,
    count: u64,
) -> Result<Vec<Uid>> {
    let level = || SearchLevel::Instances(Some(study.clone()), Some(series.clone()));
    let is_image = |one: &DicomJson| first(one, ROWS).is_some();
    let middle = u32::try_from(count / 2).unwrap_or(0);
    let offset = middle.saturating_sub(TRIES / 2);
    let found = renderer.web.search(page(call, level(), TRIES, offset)?).await?;
    let middle = (middle - offset) as usize;
    let mut images = if found.get(middle).is_some_and(is_image) {
        nearest(found, middle)
    } else {
        let mut all = renderer.web.search(page(call, level(), MOST, 0)?).await?;
        all.retain(is_image);
        let middle = all.len() / 2;
        nearest(all, middle)
    };
    images.retain(is_image);
    images.iter().map(|one| uid(one, SOP_INSTANCE_UID)).collect()
}

/// Returns the items nearest to an index, the one at the index first.
fn nearest<T>(items: Vec<T>, middle: usize) -> Vec<T> {
    let mut items: Vec<(usize, T)> = items.into_iter().enumerate().collect();
    items.sort_by_key(|(index, _)| index.abs_diff(middle));
    items.into_iter().take(TRIES as usize).map(|(_, item)| item).collect()
}

fn page(call: &Call, level: SearchLevel, limit: u32, offset: u32) -> Result<SearchDicomRequest> {
    let include_fields = match level {
        SearchLevel::Instances(..) => vec![ROWS.to_owned()],
        _ => Vec::new(),
    };
    Ok(SearchDicomRequest { limit: Some(limit), offset, ..request(call, level, include_fields)? })
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
