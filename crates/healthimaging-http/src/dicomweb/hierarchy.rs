//! Retrieval of whole studies and series (`PS3.18 §10.4.1.1`). AWS HealthImaging documents neither, so the contract has
//! neither: the instances are searched, and retrieved one by one while the response is read.

use std::sync::Arc;

use axum::response::Response;
use bytes::{Buf, Bytes};
use futures::stream::{self, BoxStream, StreamExt, TryStreamExt};
use healthimaging::model::{
    DicomJson, RetrieveInstanceRequest, RetrieveInstanceResponse, SearchDicomRequest, SearchLevel,
    SeriesMetadataRequest, TransferSyntaxChoice,
};
use healthimaging::{
    Body, DatastoreId, DicomWeb, Error, ErrorKind, Result, SearchBound, Uid, search_all,
};
use http::{StatusCode, header};
use serde_json::Value;

use super::accept::{not_acceptable, ranges};
use super::part::{Part, Urls};
use super::{IMAGE_SET_ID, JSON, check_parameters, multipart, require_json};
use crate::call::Call;
use crate::content::warning;
use crate::entity_tag::tagged;

const DICOM: &str = "application/dicom";
const AVAILABLE: &str = "multipart/related; type=\"application/dicom\"; transfer-syntax=UID, or transfer-syntax=* \
                        for the stored one";

/// Instances of a retrieval.
const INSTANCES: SearchBound =
    SearchBound { most: 100_000, advice: "retrieve the series or instances one by one" };
/// Series of a study.
const SERIES: SearchBound = SearchBound { most: 100_000, advice: "retrieve the series one by one" };

const SERIES_INSTANCE_UID: &str = "0020000E";
const SOP_INSTANCE_UID: &str = "00080018";
const AVAILABLE_TRANSFER_SYNTAX_UID: &str = "00083002";

/// Returns the instances of a study as a multipart.
pub(super) async fn study(web: Arc<dyn DicomWeb>, call: Call) -> Result<Response> {
    reject_image_set(&call)?;
    check_parameters(&call, &[])?;
    let level = SearchLevel::Instances(Some(call.path("study")?), None);
    instances(web, call, level).await
}

/// Returns the instances of a series as a multipart.
pub(super) async fn series(web: Arc<dyn DicomWeb>, call: Call) -> Result<Response> {
    check_parameters(&call, &[IMAGE_SET_ID])?;
    let level = SearchLevel::Instances(Some(call.path("study")?), Some(call.path("series")?));
    instances(web, call, level).await
}

/// Returns the attributes of every instance of a study, series by series.
pub(super) async fn study_metadata(web: Arc<dyn DicomWeb>, call: Call) -> Result<Response> {
    require_json(&call.headers)?;
    reject_image_set(&call)?;
    check_parameters(&call, &[])?;
    let study: Uid = call.path("study")?;
    let series = |one: &DicomJson| uid(one, SERIES_INSTANCE_UID);
    let series: Vec<Uid> = series_of_study(&*web, &call, &study, series).await?;
    if series.is_empty() {
        return Err(nothing());
    }
    let datastore_id: DatastoreId = call.path("datastoreId")?;
    let arrays = stream::iter(series).then(move |series_instance_uid| {
        let request = SeriesMetadataRequest {
            datastore_id: datastore_id.clone(),
            study_instance_uid: study.clone(),
            series_instance_uid,
            image_set_id: None,
        };
        let web = Arc::clone(&web);
        async move { web.series_metadata(request).await }
    });
    let found = Body::from_stream(joined(arrays.boxed()), None);
    tagged(&call.headers, call.base_url.complete_bulk_data(found), JSON).await
}

/// Rejects `imageSetId`: a study may have several image sets, and one that is not primary is a single series.
pub(super) fn reject_image_set(call: &Call) -> Result<()> {
    if call.all("imageSetId").next().is_some() {
        return Err(Error::validation(
            "imageSetId cannot be used for a study; retrieve the series of the image set",
        ));
    }
    Ok(())
}

pub(super) fn nothing() -> Error {
    Error::not_found("the data store has no such study or series in its primary image sets")
}

/// Returns what `read` makes of each series of a study.
pub(super) async fn series_of_study<T>(
    web: &dyn DicomWeb,
    call: &Call,
    study: &Uid,
    mut read: impl FnMut(&DicomJson) -> Result<T>,
) -> Result<Vec<T>> {
    let level = SearchLevel::Series(Some(study.clone()));
    let request = request(call, level, Vec::new())?;
    search_all(web, request, SERIES, |one| read(&one).map(Some)).await
}

/// Returns a search for all of a level.
pub(super) fn request(
    call: &Call,
    level: SearchLevel,
    include_fields: Vec<String>,
) -> Result<SearchDicomRequest> {
    Ok(SearchDicomRequest {
        include_fields,
        ..SearchDicomRequest::all(call.path("datastoreId")?, level)
    })
}

pub(super) fn uid(data_set: &DicomJson, tag: &str) -> Result<Uid> {
    let value = data_set.get(tag).and_then(|attribute| attribute["Value"][0].as_str());
    Uid::try_from(value.unwrap_or_default())
        .map_err(|error| Error::internal("a search result lacks a UID", error))
}

/// An instance in a search result.
pub(super) struct Listed {
    pub(super) series: Uid,
    pub(super) sop: Uid,
    /// Available transfer syntaxes; `None` if unknown.
    available: Option<Vec<String>>,
}

impl Listed {
    fn of(data_set: &DicomJson) -> Result<Self> {
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let available = data_set.get(AVAILABLE_TRANSFER_SYNTAX_UID).and_then(|attribute| {
            Some(attribute.get("Value")?.as_array()?.iter().filter_map(text).collect())
        });
        Ok(Self {
            series: uid(data_set, SERIES_INSTANCE_UID)?,
            sop: uid(data_set, SOP_INSTANCE_UID)?,
            available,
        })
    }

    fn is_acceptable(&self, choices: &[TransferSyntaxChoice]) -> bool {
        choices.iter().any(|choice| match (choice, &self.available) {
            (TransferSyntaxChoice::Stored, _) | (_, None) => true,
            (TransferSyntaxChoice::Uid(uid), Some(all)) => {
                all.iter().any(|one| one == uid.as_str())
            }
        })
    }
}

/// Lists the instances of a study or series.
pub(super) async fn listed(
    web: &dyn DicomWeb,
    call: &Call,
    level: SearchLevel,
) -> Result<Vec<Listed>> {
    let (Some(image_set_id), SearchLevel::Instances(Some(study), Some(series))) =
        (call.query("imageSetId")?, &level)
    else {
        let request = request(call, level, vec![AVAILABLE_TRANSFER_SYNTAX_UID.to_owned()])?;
        return search_all(web, request, INSTANCES, |one| Listed::of(&one).map(Some)).await;
    };
    // Searches return primary image sets only; the metadata lists the instances of this one.
    let request = SeriesMetadataRequest {
        datastore_id: call.path("datastoreId")?,
        study_instance_uid: study.clone(),
        series_instance_uid: series.clone(),
        image_set_id: Some(image_set_id),
    };
    let text = web.series_metadata(request).await?.collect(MAX_METADATA).await?;
    let instances: Vec<Named> = serde_json::from_slice(&text)
        .map_err(|error| Error::internal("the metadata of a series is malformed", error))?;
    let listed = instances.into_iter().map(|named| {
        let [sop] = named.sop.value;
        Ok(Listed { series: series.clone(), sop: Uid::try_from(sop)?, available: None })
    });
    listed.collect()
}

/// Longest metadata of a series that is parsed for its UIDs, in bytes.
const MAX_METADATA: u64 = 64 << 20;

#[derive(serde::Deserialize)]
struct Named {
    #[serde(rename = "00080018")]
    sop: OneValue,
}

#[derive(serde::Deserialize)]
struct OneValue {
    #[serde(rename = "Value")]
    value: [String; 1],
}

/// Returns the instances of a study or series. Those that are not available in any transfer syntax of `Accept` are omitted,
/// with status 206 (`PS3.18` Table 10.4.3-1).
async fn instances(web: Arc<dyn DicomWeb>, call: Call, level: SearchLevel) -> Result<Response> {
    let mut choices = Vec::new();
    for range in ranges(&call.headers).iter().filter(|range| range.is_multipart_of(DICOM)) {
        choices.extend(range.syntaxes()?);
    }
    if choices.is_empty() {
        return Err(not_acceptable(AVAILABLE));
    }
    let study_instance_uid = match &level {
        SearchLevel::Instances(Some(study), _) => study.clone(),
        _ => return Err(nothing()),
    };
    let mut listed = listed(&*web, &call, level).await?;
    if listed.is_empty() {
        return Err(nothing());
    }
    let found = listed.len();
    listed.retain(|one| one.is_acceptable(&choices));
    if listed.is_empty() {
        return Err(not_acceptable(AVAILABLE));
    }
    let omitted = found - listed.len();
    let first = RetrieveInstanceRequest {
        datastore_id: call.path("datastoreId")?,
        study_instance_uid,
        series_instance_uid: listed.first().map(|one| one.series.clone()).ok_or_else(nothing)?,
        sop_instance_uid: listed.first().map(|one| one.sop.clone()).ok_or_else(nothing)?,
        image_set_id: call.query("imageSetId")?,
        transfer_syntax: TransferSyntaxChoice::Stored,
    };
    let urls = Urls::of(&call)?;
    let parts = stream::iter(listed).then(move |one| {
        let (web, choices, urls) = (Arc::clone(&web), choices.clone(), urls.clone());
        let request = RetrieveInstanceRequest {
            series_instance_uid: one.series,
            sop_instance_uid: one.sop,
            ..first.clone()
        };
        async move {
            let found = retrieve(&*web, &request, &choices).await?;
            let media = format!("{DICOM}; transfer-syntax={}", found.transfer_syntax_uid);
            let RetrieveInstanceRequest {
                study_instance_uid: study,
                series_instance_uid: series,
                sop_instance_uid: sop,
                ..
            } = &request;
            let location = urls.of_instance(study, series, sop, "");
            Ok(Part { media, location, body: found.instance })
        }
    });
    let mut response = multipart::response(DICOM, parts.boxed()).await?;
    if omitted > 0 {
        *response.status_mut() = StatusCode::PARTIAL_CONTENT;
        let text = format!("{omitted} instances are not available in a transfer syntax of Accept");
        if let Some(text) = warning(&text) {
            response.headers_mut().insert(header::WARNING, text);
        }
    }
    Ok(response)
}

/// Retrieves an instance in the first available transfer syntax.
async fn retrieve(
    web: &dyn DicomWeb,
    request: &RetrieveInstanceRequest,
    choices: &[TransferSyntaxChoice],
) -> Result<RetrieveInstanceResponse> {
    let mut refusal = not_acceptable(AVAILABLE);
    for transfer_syntax in choices.iter().cloned() {
        let request = RetrieveInstanceRequest { transfer_syntax, ..request.clone() };
        match web.retrieve_instance(request).await {
            Err(error) if error.kind() == ErrorKind::NotAcceptable => refusal = error,
            answer => return answer,
        }
    }
    Err(refusal)
}

/// Joins JSON arrays that are not empty.
fn joined(arrays: BoxStream<'static, Result<Body>>) -> BoxStream<'static, Result<Bytes>> {
    let elements = arrays.enumerate().map(|(number, array)| {
        let before = if number == 0 { "[" } else { "," };
        let elements = elements(array?);
        Result::<_>::Ok(stream::iter([Ok(Bytes::from_static(before.as_bytes()))]).chain(elements))
    });
    let end = stream::iter([Ok(Bytes::from_static(b"]"))]);
    elements.try_flatten().chain(end).boxed()
}

/// Removes the brackets of a JSON array, its first and last byte.
fn elements(array: Body) -> BoxStream<'static, Result<Bytes>> {
    let mut is_begun = false;
    let mut last: Option<Bytes> = None;
    let pieces = array.into_stream().try_filter(|piece| futures::future::ready(!piece.is_empty()));
    let pieces = pieces.map(move |piece| {
        let mut piece = piece?;
        if !is_begun {
            piece.advance(1);
            is_begun = true;
        }
        // Only the next piece shows whether this byte is the last one.
        let end = piece.split_off(piece.len().saturating_sub(1));
        let before = if end.is_empty() { None } else { last.replace(end) };
        Result::<_>::Ok(stream::iter(before.into_iter().chain([piece]).map(Ok)))
    });
    pieces.try_flatten().boxed()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn arrays_are_joined_whatever_their_pieces() {
        let arrays = [r#"[{"a":[1]},{}]"#, "[2]", "[[],[3]]"];
        for size in 1..15 {
            let bodies = arrays.map(|text| {
                let pieces: Vec<_> = text
                    .as_bytes()
                    .chunks(size)
                    .map(|piece| Ok(Bytes::copy_from_slice(piece)))
                    .collect();
                Ok(Body::from_stream(stream::iter(pieces).boxed(), None))
            });
            let whole = joined(stream::iter(bodies).boxed());
            let whole = Body::from_stream(whole, None).collect(1000).await.unwrap();
            assert_eq!(whole, r#"[{"a":[1]},{},2,[],[3]]"#, "in pieces of {size}");
        }
    }
}
